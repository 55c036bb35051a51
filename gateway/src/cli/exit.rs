//! Exit codes, the same for all of Gatehouse's programs.

use crate::admin::ClientError;
use crate::problem::Problem;
use std::fmt;
use std::io::Write;
use std::process::ExitCode;

/// How the program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exit {
    /// Done.
    Done,
    /// The answer is no: denied, differs, failed.
    No,
    /// The command line, a file, the terminal.
    Usage,
    /// The configuration or policy is not valid.
    Invalid,
    /// The gateway refused.
    Refused,
    /// The gateway does not answer.
    Unreachable,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Done => 0,
            Exit::No => 1,
            Exit::Usage => 4,
            Exit::Invalid => 5,
            Exit::Refused => 6,
            Exit::Unreachable => 7,
        })
    }
}

/// An end that needs a word.
#[derive(Debug)]
pub(super) struct Failure {
    exit: Exit,
    text: String,
}

impl Failure {
    pub(super) fn new(exit: Exit, text: impl fmt::Display) -> Self {
        Self { exit, text: text.to_string() }
    }

    pub(super) fn problems(problems: Vec<Problem>) -> Self {
        let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
        Self::new(Exit::Invalid, lines.join("\n"))
    }

    /// Writes the word to standard error.
    pub(super) fn tell(&self) -> ExitCode {
        let mut error = std::io::stderr().lock();
        for line in self.text.lines() {
            // Nobody listens; the code says it all.
            let _ = writeln!(error, "gatehouse-gateway: {line}");
        }
        self.exit.into()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let exit = match &error {
            ClientError::Unreachable { .. } => Exit::Unreachable,
            ClientError::Refused(_) => Exit::Refused,
            ClientError::Invalid(_) => Exit::Invalid,
            ClientError::Answer(_) => Exit::Usage,
        };
        Self::new(exit, error)
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::new(Exit::Usage, error)
    }
}
