//! What keeps a command from doing its work, with the file that it is about.

use crate::exit::Exit;
use recording::{KeyError, OpenError, RecipientError, ScanError};
use std::io;
use std::path::{Path, PathBuf};

/// Why a command, or its work on one file, stopped.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Trouble {
    /// A file or folder can't be read.
    #[error("{path}: {source}")]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A key file can't be used or made.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A verifier key or identity file has the wrong content.
    #[error("{path}: {source}")]
    KeyContent {
        /// The key file.
        path: PathBuf,
        /// What is wrong with it.
        source: KeyError,
    },
    /// A recording can't be listed.
    #[error("{path}: {source}")]
    Outline {
        /// The recording.
        path: PathBuf,
        /// What is wrong with it.
        source: ScanError,
    },
    /// A recording can't be read.
    #[error("{path}: {source}")]
    Recording {
        /// The recording.
        path: PathBuf,
        /// What is wrong with it.
        source: OpenError,
    },
    /// There is something where an export would be written.
    #[error("{path}: there is something already; exports never overwrite, name another place")]
    Exists {
        /// The place.
        path: PathBuf,
    },
    /// A recording that was to be exported was altered.
    #[error(
        "{path}: ALTERED at offset {offset}: {why}; it is not exported (replay tells what can still be read)"
    )]
    Altered {
        /// The recording.
        path: PathBuf,
        /// Where the first frame begins that is not as it was signed.
        offset: u64,
        /// What is wrong there.
        why: String,
    },
    /// A format of bytes would show a password that nobody has asked for.
    #[error(
        "{path}: request {request} holds a password ({function}), and {format} would show its bytes; say --show-secrets to export it all the same, or choose jsonl or csv, which mask it"
    )]
    Secret {
        /// The recording.
        path: PathBuf,
        /// The first such request.
        request: u64,
        /// The protocol's own name of what it does.
        function: String,
        /// What was to be written.
        format: &'static str,
    },
    /// Several recordings can't be followed at once.
    #[error("--follow takes one recording, not {0}: follow each in a terminal of its own")]
    FollowsOne(usize),
    /// The user asked for an end.
    #[error("interrupted: the answer is not complete")]
    Interrupted,
    /// A recording decrypts and tells what this version can't judge.
    #[error("{path}: {why}")]
    Content {
        /// The recording.
        path: PathBuf,
        /// What it tells.
        why: String,
    },
    /// A policy folder is invalid.
    #[error("{0}")]
    Policy(String),
    /// The output can't be written.
    #[error("output: {0}")]
    Output(#[from] io::Error),
}

impl Trouble {
    /// The exit code that it leads to. What does not decrypt was altered; a
    /// reader that closes its end of a pipe has what it wants.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Recording { source, .. } => match source {
                OpenError::Frame { .. }
                | OpenError::Entries { .. }
                | OpenError::Key(
                    RecipientError::Commitment | RecipientError::KeyBlock | RecipientError::Recipients,
                ) => Exit::No,
                OpenError::Io(_) | OpenError::Header(_) | OpenError::Key(_) | OpenError::Crypto(_) => {
                    Exit::Usage
                }
            },
            Self::Altered { .. } => Exit::No,
            Self::Policy(_) => Exit::Invalid,
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Done,
            Self::File { .. }
            | Self::Key(_)
            | Self::KeyContent { .. }
            | Self::Outline { .. }
            | Self::Exists { .. }
            | Self::Secret { .. }
            | Self::FollowsOne(_)
            | Self::Interrupted
            | Self::Content { .. }
            | Self::Output(_) => Exit::Usage,
        }
    }

    pub(crate) fn file(path: &Path) -> impl FnOnce(io::Error) -> Self {
        |source| Self::File { path: path.to_owned(), source }
    }

    pub(crate) fn recording(path: &Path) -> impl FnOnce(OpenError) -> Self {
        |source| Self::Recording { path: path.to_owned(), source }
    }

    /// A key file's trouble, with its path where the error does not have it.
    pub(crate) fn key(path: &Path) -> impl FnOnce(KeyError) -> Self {
        |source| match source {
            KeyError::File { .. } | KeyError::Readable { .. } => Self::Key(source),
            KeyError::Private
            | KeyError::Public
            | KeyError::Identity(_)
            | KeyError::Name(_)
            | KeyError::Generate => Self::KeyContent { path: path.to_owned(), source },
        }
    }
}
