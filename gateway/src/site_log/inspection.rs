//! What a start would find of the site log, without starting: nothing is
//! locked, made or written.

use super::{file, witness};
use crate::config::LogSettings;
use crate::problem::Problem;
use jiff::Timestamp;
use recording::log::{LogFault, LogTail, LogVerdict, inspect_log};
use recording::{LogPosition, PublicKey};
use std::fs::File;
use std::io;
use std::path::Path;

/// What to do with a log that is not to be trusted.
pub(super) const WAY_OUT: &str =
    "keep the file for the auditor, and move it out of the folder to begin a new log";

/// A log that a gateway would go on with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspection {
    /// Entries that a signed head covers.
    pub entries: u64,
    /// When the last head was signed.
    pub signed_until: Option<Timestamp>,
    /// Bytes behind the last head, which the next start drops and enters as
    /// dropped.
    pub torn_bytes: u64,
    /// What a start would raise an alarm about.
    pub warning: Option<String>,
}

/// Looks at the log of these settings; `None` where there is none yet.
///
/// # Errors
/// What a start would refuse.
pub fn inspect(settings: &LogSettings, key: &PublicKey) -> Result<Option<Inspection>, Problem> {
    let path = file(settings);
    let problem = |reason: String, hint: &str| Problem::new(&path, reason).key("[log] dir").hint(hint);
    let unreadable = |error: io::Error| problem(error.to_string(), "make the file readable");
    let log = match open(&path) {
        Ok(log) => log,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unreadable(error)),
    };
    let (report, _) = inspect_log(log, key).map_err(unreadable)?;
    if let LogVerdict::Altered { offset, fault } = report.verdict {
        return Err(problem(altered(offset, &fault), WAY_OUT));
    }
    let mut warning = None;
    if let (Some(folder), Some(head), Some(log)) = (&settings.witness, &report.head, report.log) {
        let newest = LogPosition { origin: log.origin(), size: head.size, root: head.root };
        match witness::later(folder, key, &newest) {
            Ok(None) => {}
            Ok(Some(path)) => return Err(problem(witness::knows_more(&path), WAY_OUT)),
            Err(error) => warning = Some(format!("the witness {} can't be read: {error}", folder.display())),
        }
    }
    let signed = report.head.as_ref().map_or(0, |head| head.bytes);
    let torn_bytes = match report.tail {
        LogTail { entries: 0, broken: None } => 0,
        LogTail { .. } => report.length.saturating_sub(signed),
    };
    Ok(Some(Inspection {
        entries: report.head.as_ref().map_or(0, |head| head.size),
        signed_until: report.head.as_ref().map(|head| head.time),
        torn_bytes,
        warning,
    }))
}

fn altered(offset: u64, fault: &LogFault) -> String {
    recording::log::LogError::Altered { offset, fault: fault.clone() }.to_string()
}

/// Opening a pipe would wait for whoever writes to it.
fn open(path: &Path) -> io::Result<File> {
    if !std::fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is not a file"));
    }
    File::open(path)
}
