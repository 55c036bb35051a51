//! What is wrong with a policy folder, with the exact place and a way out.

use std::fmt;

/// One reason why a folder is refused.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Problem {
    /// The file, as the admin would name it.
    pub file: String,
    /// The line, from 1.
    pub line: Option<u32>,
    /// The column in characters, from 1.
    pub column: Option<u32>,
    /// What is wrong.
    pub message: String,
    /// What was probably meant.
    pub hint: Option<String>,
}

impl Problem {
    pub(crate) fn of_file(file: &str, message: impl Into<String>) -> Self {
        Self { file: file.to_owned(), line: None, column: None, message: message.into(), hint: None }
    }

    pub(crate) fn at(file: &str, line: u32, column: u32, message: impl Into<String>) -> Self {
        Self { line: Some(line), column: Some(column), ..Self::of_file(file, message) }
    }

    pub(crate) fn with_hint(self, hint: Option<String>) -> Self {
        Self { hint, ..self }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.file)?;
        if let Some(line) = self.line {
            write!(formatter, ":{line}")?;
        }
        if let Some(column) = self.column {
            write!(formatter, ":{column}")?;
        }
        write!(formatter, ": {}", self.message)?;
        match &self.hint {
            Some(hint) => write!(formatter, " ({hint})"),
            None => Ok(()),
        }
    }
}

/// All that is wrong with a folder; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// All as a list.
    pub fn into_vec(self) -> Vec<Problem> {
        self.0
    }

    /// Files are then named by their path instead of by their bare name.
    pub(crate) fn in_folder(mut self, folder: &std::path::Path) -> Self {
        for problem in &mut self.0 {
            problem.file = folder.join(&problem.file).display().to_string();
        }
        self
    }
}

impl From<Problem> for Problems {
    fn from(problem: Problem) -> Self {
        Self(vec![problem])
    }
}

impl std::ops::Deref for Problems {
    type Target = [Problem];

    fn deref(&self) -> &[Problem] {
        &self.0
    }
}

impl IntoIterator for Problems {
    type Item = Problem;
    type IntoIter = std::vec::IntoIter<Problem>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            if index > 0 {
                formatter.write_str("\n")?;
            }
            write!(formatter, "{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

/// Something that is valid and yet probably not meant.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Warning(pub Problem);

impl fmt::Display for Warning {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.0)
    }
}

/// What is wrong within one field, before its place in a file is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Slip {
    /// Where in the field's text, in bytes from 0.
    pub(crate) offset: usize,
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
}

impl Slip {
    pub(crate) fn at(offset: usize, message: impl Into<String>) -> Self {
        Self { offset, message: message.into(), hint: None }
    }

    pub(crate) fn hint(self, hint: impl Into<Option<String>>) -> Self {
        Self { hint: hint.into(), ..self }
    }

    /// The same slip in a text of which this was a part.
    pub(crate) fn shift(self, by: usize) -> Self {
        Self { offset: self.offset.saturating_add(by), ..self }
    }

    /// The problem, for a field whose text begins at `column`.
    pub(crate) fn in_field(self, file: &str, line: u32, column: u32) -> Problem {
        let offset = u32::try_from(self.offset).unwrap_or(u32::MAX);
        Problem::at(file, line, column.saturating_add(offset), self.message).with_hint(self.hint)
    }
}

/// Collects problems so that one run names all of them.
#[derive(Debug, Default)]
pub(crate) struct Collector(Vec<Problem>);

/// So many are told; a broken file must not fill a terminal or memory.
const TOLD: usize = 50;

impl Collector {
    pub(crate) fn push(&mut self, problem: Problem) {
        if self.0.len() < TOLD {
            self.0.push(problem);
        }
    }

    /// Keeps the value, or the problem and nothing.
    pub(crate) fn take<T>(&mut self, result: Result<T, Problem>) -> Option<T> {
        result.map_err(|problem| self.push(problem)).ok()
    }

    pub(crate) fn finish<T>(self, value: T) -> Result<T, Problems> {
        if self.0.is_empty() { Ok(value) } else { Err(Problems(self.0)) }
    }
}
