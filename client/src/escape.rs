//! Makes text from outside harmless on a terminal.
//!
//! What it is for: names, reasons and banners come from the gateway, and a hostile or broken one could put terminal
//! sequences into them. What it never does: it lets no character through that moves the cursor, starts a sequence,
//! breaks the line, or reorders or hides its neighbours.

/// `text` with every dangerous character written as `\xNN` or `\u{N}`.
#[must_use]
pub fn escape(text: &str) -> String {
    let mut harmless = String::with_capacity(text.len());
    for character in text.chars() {
        match u32::from(character) {
            code if character.is_control() && code <= 0xff => harmless.push_str(&format!("\\x{code:02x}")),
            code if reorders_or_hides(character) => harmless.push_str(&format!("\\u{{{code:x}}}")),
            _ => harmless.push(character),
        }
    }
    harmless
}

/// Line and paragraph separators, bidirectional controls (Unicode TR 9), zero-width and tag characters, and the byte
/// order mark: they print nothing themselves and change what the reader sees.
const fn reorders_or_hides(character: char) -> bool {
    matches!(
        character,
        '\u{ad}'
            | '\u{61c}'
            | '\u{180e}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminal_sequences_become_text() {
        assert_eq!(escape("a\x1b[2Jb\r\n\x07\x7f\u{9b}31m"), "a\\x1b[2Jb\\x0d\\x0a\\x07\\x7f\\x9b31m");
        assert_eq!(escape("\u{202e}cba\u{2066}\u{200b}\u{2028}"), "\\u{202e}cba\\u{2066}\\u{200b}\\u{2028}");
        assert_eq!(escape("Füllstand 液面 press-line/plc7"), "Füllstand 液面 press-line/plc7");
    }

    proptest::proptest! {
        #[test]
        fn nothing_dangerous_is_left(text in proptest::collection::vec(proptest::char::any(), 0..60)) {
            let text: String = text.into_iter().collect();
            let dangerous = |character: char| character.is_control() || reorders_or_hides(character);
            proptest::prop_assert!(!escape(&text).contains(dangerous));
        }
    }
}
