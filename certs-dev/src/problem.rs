//! What can go wrong, each in one line that names the thing and the way out.

use std::io;
use std::path::PathBuf;

/// Why nothing was done.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// There is something where a new infrastructure should go.
    #[error(
        "{} exists already and is not overwritten: choose another --dir, or remove that folder yourself if no \
         gateway uses it", .0.display()
    )]
    Exists(PathBuf),
    /// No certificate was issued to that name.
    #[error("nothing was issued to `{name}`: {} is not there", .looked_at.display())]
    NoSuchName {
        /// The name as given.
        name: String,
        /// The file that would be there.
        looked_at: PathBuf,
    },
    /// The name could not be one of a person.
    #[error(
        "`{0}` is no name: use lower-case letters, digits, `.`, `_`, `-` and at most one `@`, 64 at most"
    )]
    BadName(String),
    /// A file of the folder is missing or damaged.
    #[error("{} is {why}: this is not a folder that `certs-dev init` made, or it was changed", .file.display())]
    Unreadable {
        /// Which file.
        file: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The operating system refused.
    #[error("{}: {source}", .path.display())]
    Io {
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A key or certificate could not be made.
    #[error("cannot make {what}: {why}")]
    Crypto {
        /// What.
        what: &'static str,
        /// Why.
        why: String,
    },
}

impl Problem {
    /// The exit code of the program: 5 for a damaged folder, 4 for anything else.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Unreadable { .. } => 5,
            Self::Exists(_)
            | Self::NoSuchName { .. }
            | Self::BadName(_)
            | Self::Io { .. }
            | Self::Crypto { .. } => 4,
        }
    }
}
