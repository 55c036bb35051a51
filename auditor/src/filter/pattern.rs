//! Names with `*` for any run of characters.

/// A name or a pattern of names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pattern {
    /// What stands between the stars, never empty.
    parts: Vec<String>,
}

impl Pattern {
    pub(crate) fn new(text: &str) -> Self {
        Self { parts: text.split('*').map(str::to_owned).collect() }
    }

    /// A pattern that fits wherever the text occurs.
    pub(crate) fn within(text: &str) -> Self {
        Self::new(&format!("*{text}*"))
    }

    pub(crate) fn fits(&self, name: &str) -> bool {
        let Some((first, rest)) = self.parts.split_first() else { return name.is_empty() };
        let Some((last, middle)) = rest.split_last() else { return name == first };
        let Some(inner) = name.strip_prefix(first.as_str()) else { return false };
        let Some(mut inner) = inner.strip_suffix(last.as_str()) else { return false };
        for part in middle {
            // The earliest place leaves the most for what follows.
            let Some((_, after)) = inner.split_once(part.as_str()) else { return false };
            inner = after;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_anything_and_nothing_else_does() {
        for (pattern, fits, fails) in [
            ("plc7", &["plc7"][..], &["", "plc", "plc77", "xplc7", "PLC7"][..]),
            ("*", &["", "x", "*"], &[]),
            ("*@vendor-a", &["tech-1@vendor-a", "@vendor-a"], &["tech-1@vendor-ab", "vendor-a"]),
            ("press-*/plc*", &["press-line/plc7", "press-/plc"], &["press/plc7"]),
            ("a*a", &["aa", "aba"], &["a", "ab"]),
            ("a*b*c", &["abc", "axbybc"], &["acb", "ab"]),
            ("a?[b]", &["a?[b]"], &["axb"]),
        ] {
            let parsed = Pattern::new(pattern);
            for name in fits {
                assert!(parsed.fits(name), "{pattern} {name}");
            }
            for name in fails {
                assert!(!parsed.fits(name), "{pattern} {name}");
            }
        }
        assert!(Pattern::within("731").fits("write holding[100] = 731"));
    }
}
