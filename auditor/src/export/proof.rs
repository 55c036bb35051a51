//! What is proven of the recording that an export comes from.

use crate::exit::Exit;
use crate::progress::Progress;
use crate::time::stamp;
use crate::trouble::Trouble;
use jiff::tz::TimeZone;
use recording::{Position, PublicKey, Report, SignedPrefix, Verdict};
use std::fs::File;
use std::path::Path;

/// The result of a verification, or that there was none.
#[derive(Debug)]
pub(super) enum Proof {
    /// No public key was given.
    NotVerified,
    /// Verified, and not found altered.
    Verified {
        report: Box<Report>,
        /// Name and id of the key.
        key: String,
    },
}

impl Proof {
    /// Verifies where there is a key. An altered recording is an error.
    pub(super) fn of(file: &File, path: &Path, key: Option<&PublicKey>) -> Result<Self, Trouble> {
        let Some(key) = key else { return Ok(Self::NotVerified) };
        let length = file.metadata().map_err(Trouble::file(path))?.len();
        let progress = Progress::new(length, "verify");
        let report = recording::verify_watched(file, key, |done| progress.reached(done));
        let report = Box::new(report.map_err(Trouble::file(path))?);
        if let Verdict::Altered { offset, fault } = &report.verdict {
            let (path, why) = (path.to_owned(), fault.to_string());
            return Err(Trouble::Altered { path, offset: *offset, why });
        }
        Ok(Self::Verified { report, key: format!("{}+{:08x}", key.name(), key.id()) })
    }

    /// The answer in one word.
    pub(super) fn word(&self) -> &'static str {
        match self {
            Self::NotVerified => "not verified",
            Self::Verified { report, .. } => match report.verdict {
                Verdict::Clean => "clean",
                Verdict::Untrimmed => "untrimmed",
                Verdict::Unclean => "unclean",
                Verdict::Altered { .. } => "altered",
            },
        }
    }

    /// The answer in words.
    pub(super) fn sentence(&self) -> String {
        let Self::Verified { report, key } = self else {
            return "NOT VERIFIED: no public key was given".to_owned();
        };
        let Some(SignedPrefix { bytes, time, .. }) = &report.signed else {
            return format!("verified with {key}: nothing of it is signed");
        };
        let until = stamp(*time, &TimeZone::UTC);
        let signed = format!("verified with {key}: {bytes} bytes, signed until {until}");
        match report.verdict {
            Verdict::Clean => format!("{signed}, whole and closed"),
            Verdict::Untrimmed => format!("{signed}, whole and closed, reserved space not given back"),
            Verdict::Unclean | Verdict::Altered { .. } => {
                format!("{signed}, not closed: truncation can't be excluded, and what follows is unsigned")
            }
        }
    }

    /// Whether a checkpoint covers the frame that begins there; `None`
    /// without a verification.
    pub(super) fn covers(&self, position: Position) -> Option<bool> {
        match self {
            Self::NotVerified => None,
            Self::Verified { report, .. } => {
                Some(report.signed.as_ref().is_some_and(|signed| position.bytes < signed.bytes))
            }
        }
    }

    /// The last checkpoint.
    pub(super) fn note(&self) -> Option<&str> {
        match self {
            Self::NotVerified => None,
            Self::Verified { report, .. } => report.signed.as_ref().map(|signed| signed.note.as_str()),
        }
    }

    /// As `verify` would end without a site log; done where nothing was
    /// verified.
    pub(super) fn exit(&self) -> Exit {
        match self {
            Self::NotVerified => Exit::Done,
            Self::Verified { report, .. } => match report.verdict {
                Verdict::Clean => Exit::Done,
                Verdict::Untrimmed => Exit::Unclean,
                Verdict::Unclean => Exit::Uncertain,
                Verdict::Altered { .. } => Exit::No,
            },
        }
    }
}
