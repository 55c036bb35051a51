//! Makes text from outside harmless for a terminal.
//!
//! Names, reasons and file names may come from a technician, a device or a
//! forged recording. None of them may move the cursor, answer for the
//! terminal, hide text or turn its direction. Every such character is shown as
//! an escape; a backslash is doubled so that the two can't be confused.

use std::fmt::{self, Write};

/// Shows a text so that no terminal acts on it. The result is one line.
#[derive(Debug, Clone, Copy)]
pub struct Safe<'a>(pub &'a str);

impl fmt::Display for Safe<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            match character {
                '\\' => formatter.write_str("\\\\")?,
                unsafe_one if !is_harmless(unsafe_one) => {
                    let code = u32::from(unsafe_one);
                    if code < 0x100 {
                        write!(formatter, "\\x{code:02x}")?;
                    } else {
                        write!(formatter, "\\u{{{code:x}}}")?;
                    }
                }
                harmless => formatter.write_char(harmless)?,
            }
        }
        Ok(())
    }
}

/// [`Safe`] as a `String`.
pub fn safe(text: &str) -> String {
    Safe(text).to_string()
}

/// How many characters [`safe`] makes of a text.
pub(crate) fn safe_width(text: &str) -> usize {
    safe(text).chars().count()
}

/// Makes serialized JSON harmless for a terminal without changing what it
/// says: such characters stand only inside its strings, where JSON's own
/// escapes mean the same.
pub fn safe_json(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for character in json.chars() {
        if is_harmless(character) || character == '\n' {
            out.push(character);
            continue;
        }
        for unit in character.encode_utf16(&mut [0; 2]) {
            out.push_str(&format!("\\u{unit:04x}"));
        }
    }
    out
}

/// Whether a terminal merely draws the character, where it stands.
pub fn is_harmless(character: char) -> bool {
    let hidden = matches!(
        character,
        // Soft hyphen, grapheme joiner, Arabic letter mark, Hangul fillers.
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{3164}' | '\u{ffa0}'
        // Khmer inherent vowels, Mongolian selectors and vowel separator.
        | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
        // Zero-width characters, direction marks, embeddings, overrides,
        // isolates, line and paragraph separators, invisible operators.
        | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        // Byte order mark, interlinear annotation, variation selectors.
        | '\u{feff}' | '\u{fff0}'..='\u{fffb}' | '\u{fe00}'..='\u{fe0f}'
        // Musical format controls, tags and the selectors above them.
        | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}'
    );
    !character.is_control() && !hidden
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{any, proptest};

    #[test]
    fn sequences_that_terminals_act_on_are_shown() {
        for (hostile, shown) in [
            ("\x1b[2J", "\\x1b[2J"),
            ("\x1b]52;c;cm0=\x07", "\\x1b]52;c;cm0=\\x07"),
            ("\u{9b}31m", "\\x9b31m"),
            ("\u{90}q\u{9c}", "\\x90q\\x9c"),
            ("a\r\nb\tc\0\x7f", "a\\x0d\\x0ab\\x09c\\x00\\x7f"),
            ("\u{202e}fdp.exe", "\\u{202e}fdp.exe"),
            ("\u{2066}a\u{2069}", "\\u{2066}a\\u{2069}"),
            ("\\x1b", "\\\\x1b"),
            ("ok\u{200b}", "ok\\u{200b}"),
            ("Größe 5 µm", "Größe 5 µm"),
        ] {
            assert_eq!(safe(hostile), shown);
        }
    }

    #[test]
    fn every_control_character_is_escaped() {
        for code in (0..0x20).chain(0x7f..0xa0) {
            let character = char::from_u32(code).unwrap();
            assert_eq!(safe(&character.to_string()), format!("\\x{code:02x}"));
        }
    }

    proptest! {
        #[test]
        fn nothing_harmful_remains_and_nothing_is_lost(text in any::<String>()) {
            let shown = safe(&text);
            assert!(shown.chars().all(is_harmless), "{shown:?}");
            let json = safe_json(&serde_json::to_string(&text).unwrap());
            assert!(json.chars().all(is_harmless), "{json:?}");
            assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
        }

        #[test]
        fn different_texts_look_different(one in any::<String>(), two in any::<String>()) {
            assert_eq!(one == two, safe(&one) == safe(&two));
        }
    }
}
