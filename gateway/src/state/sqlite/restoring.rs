//! Copies of the whole state, and what has to be done to one that is put back.

use super::time;
use crate::factor;
use crate::state::{PutBack, Restoration, StateError};
use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags, OptionalExtension, Transaction, params};
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// More revocation lists than a gateway signs between a backup and its loss.
/// Numbers only have to grow (RFC 5280, 5.2.3).
const LISTS_SINCE: i64 = 1 << 24;

/// A file that is removed whatever becomes of it.
struct Copying(PathBuf);

impl Drop for Copying {
    fn drop(&mut self) {
        // What is secret in it is sealed; the next copy removes it.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// All of the database as it is at one moment, whoever writes meanwhile.
pub(super) fn copy(database: &Path) -> Result<Zeroizing<Vec<u8>>, StateError> {
    let mut name = database.as_os_str().to_owned();
    name.push(".copying");
    let copying = Copying(name.into());
    let path = &copying.0;
    let open = |reason: String| StateError::Open { path: path.display().to_string(), reason };
    let refuse = |error: std::io::Error| open(error.to_string());
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(refuse(error)),
        Ok(()) | Err(_) => {}
    }
    drop(OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(refuse)?);
    let from = Connection::open_with_flags(database, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    from.busy_timeout(super::BUSY_TIMEOUT)?;
    let mut to = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    // All pages in one step: one moment.
    if Backup::new(&from, &mut to)?.step(-1)? != StepResult::Done {
        return Err(open("the database could not be copied in one go; try again".to_owned()));
    }
    to.close().map_err(|(_, error)| StateError::Database(error))?;
    std::fs::read(path).map(Zeroizing::new).map_err(refuse)
}

pub(super) fn put_back(
    transaction: &Transaction<'_>,
    restoration: &Restoration,
) -> Result<PutBack, StateError> {
    let sound: String = transaction.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if sound != "ok" {
        return Err(StateError::Corrupt("database"));
    }
    let step = factor::last_acceptable(restoration.restored);
    let step = i64::try_from(step).map_err(|_| StateError::Corrupt("step"))?;
    transaction.execute("UPDATE attempts SET last_step = max(coalesce(last_step, 0), ?1)", params![step])?;
    // Used since the backup, an invitation would be good a second time.
    let withdrawn = "UPDATE invitations SET ended = ?1, outcome = 'withdrawn' WHERE ended IS NULL";
    transaction.execute(withdrawn, params![restoration.restored.as_millisecond()])?;
    // Lists signed since have higher numbers than the backup knows of.
    transaction.execute("UPDATE revocation_lists SET number = number + ?1", params![LISTS_SINCE])?;
    transaction.execute(
        "INSERT INTO restorations (made, restored) VALUES (?1, ?2)",
        params![restoration.made.as_millisecond(), restoration.restored.as_millisecond()],
    )?;
    let people: i64 = transaction.query_row("SELECT count(*) FROM persons", [], |row| row.get(0))?;
    Ok(PutBack { people: u64::try_from(people).map_err(|_| StateError::Corrupt("count"))? })
}

pub(super) fn untold(transaction: &Transaction<'_>) -> Result<Option<Restoration>, StateError> {
    let query = "SELECT made, restored FROM restorations WHERE told = 0 ORDER BY number DESC LIMIT 1";
    let row: Option<(i64, i64)> =
        transaction.query_row(query, [], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    row.map(|(made, restored)| Ok(Restoration { made: time(made)?, restored: time(restored)? })).transpose()
}

pub(super) fn told(transaction: &Transaction<'_>) -> Result<(), StateError> {
    transaction.execute("UPDATE restorations SET told = 1", [])?;
    Ok(())
}
