//! TOML files of a policy folder: text to a typed form, with positions.

use crate::files::Files;
use crate::problem::Problem;
use serde::de::DeserializeOwned;
use std::ops::Range;

/// A file's text, for telling where in it something stands.
pub(crate) struct Document<'a> {
    file: &'static str,
    text: &'a str,
}

impl<'a> Document<'a> {
    /// The file of that name; empty if the folder has none.
    pub(crate) fn of(files: &'a Files, file: &'static str) -> Result<Self, Problem> {
        let bytes = files.get(file).unwrap_or_default();
        match std::str::from_utf8(bytes) {
            Ok(text) => Ok(Self { file, text }),
            Err(error) => {
                let before = bytes.get(..error.valid_up_to()).unwrap_or_default();
                let line = before.iter().filter(|&&byte| byte == b'\n').count();
                let line = u32::try_from(line).unwrap_or(u32::MAX).saturating_add(1);
                Err(Problem { line: Some(line), ..Problem::of_file(file, "not UTF-8") })
            }
        }
    }

    /// Parses it; unknown keys are errors by the types' own attributes.
    pub(crate) fn parse<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        toml::from_str(self.text).map_err(|error| match error.span() {
            Some(span) => self.problem(&span, error.message()),
            None => Problem::of_file(self.file, error.message()),
        })
    }

    /// A problem at the beginning of a span of bytes.
    pub(crate) fn problem(&self, span: &Range<usize>, message: impl Into<String>) -> Problem {
        let before = self.text.get(..span.start).unwrap_or(self.text);
        let line = before.matches('\n').count();
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count();
        let one_based = |count: usize| u32::try_from(count).unwrap_or(u32::MAX).saturating_add(1);
        Problem::at(self.file, one_based(line), one_based(column), message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Sample {
        #[expect(dead_code, reason = "only parsed")]
        known: u8,
    }

    fn problem(text: &[u8]) -> String {
        let files = Files::from_contents([("targets.toml", text)]).unwrap();
        let parsed = Document::of(&files, "targets.toml").and_then(|document| document.parse::<Sample>());
        parsed.unwrap_err().to_string()
    }

    #[test]
    fn positions_are_exact() {
        assert!(problem(b"# head\n  unknown = 1\n").starts_with("targets.toml:2:3: unknown field `unknown`"));
        assert!(problem(b"known = 300").starts_with("targets.toml:1:9: "));
        assert_eq!(problem(b"a = 1\n\xff"), "targets.toml:2: not UTF-8");
    }
}
