//! What can go wrong, whose side it is on, and the exit code that says so.

use std::io;
use std::path::Path;

/// Why the program ends without having done what was asked: one line that names the thing and the way out.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// The command line asks for something that cannot be.
    #[error("{0}")]
    Usage(String),
    /// The operating system refused something on this machine.
    #[error("{what}: {source}")]
    Io {
        /// The thing.
        what: String,
        /// Why.
        source: io::Error,
    },
    /// The profile, or a file that it names, is wrong.
    #[error("{0}")]
    Configuration(String),
    /// The gateway said no, or ended what it had allowed.
    #[error("{0}")]
    Refused(String),
    /// No gateway that this profile trusts answers, or the line to it was lost.
    #[error("{0}")]
    Unreachable(String),
}

impl Problem {
    /// A failed operation on a file.
    pub fn of_file(path: &Path, source: io::Error) -> Self {
        Self::Io { what: path.display().to_string(), source }
    }

    /// The program's exit code: 4 usage or I/O, 5 configuration, 6 refused by the gateway, 7 unreachable.
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) | Self::Io { .. } => 4,
            Self::Configuration(_) => 5,
            Self::Refused(_) => 6,
            Self::Unreachable(_) => 7,
        }
    }
}
