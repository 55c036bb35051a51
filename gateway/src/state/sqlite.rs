//! The state in one SQLite file, for a single gateway.
//!
//! Write-ahead log with `synchronous=FULL`: a commit is on stable storage when
//! it returns. Every transaction takes the write lock at its start, so that two
//! of them can't both read a counter before either writes it. The file has
//! mode 0600: it holds the seeds of second factors.

use super::{
    Attempt, Change, ClockMark, Failure, Import, Imported, KeyHash, Lock, Person, PersonId, PersonRecord,
    PolicySnapshot, SessionEnd, SessionHistory, SessionRow, Standing, State, StateError, StepUse,
};
use crate::names::{Handle, SessionId};
use jiff::Timestamp;
use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};
use rusqlite_migration::{M, Migrations};
use std::fs::OpenOptions;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

mod attempts;
mod index;
mod people;

const STEPS: &[M<'static>] = &[M::up(include_str!("sqlite/schema.sql"))];
const MIGRATIONS: Migrations<'static> = Migrations::from_slice(STEPS);

/// How long a transaction waits for another process's, such as a backup.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// The state in one SQLite file.
#[derive(Debug)]
pub struct SqliteState {
    path: PathBuf,
    connection: Mutex<Connection>,
}

impl SqliteState {
    /// Opens the file, made with mode 0600 if it is not there, and brings its
    /// tables up to date.
    ///
    /// # Errors
    /// [`StateError::Open`] also for a file that others may read.
    pub fn open(path: &Path) -> Result<Self, StateError> {
        let refuse = |reason: String| StateError::Open { path: path.display().to_string(), reason };
        let made =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path);
        let file = made.map_err(|error| refuse(error.to_string()))?;
        let mode = file.metadata().map_err(|error| refuse(error.to_string()))?.permissions().mode();
        if mode & 0o077 != 0 {
            return Err(refuse(format!("others may read it (mode {:03o}); chmod 600 it", mode & 0o777)));
        }
        drop(file);
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(BUSY_TIMEOUT)?;
        connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "foreign_keys", true)?;
        MIGRATIONS.to_latest(&mut connection).map_err(|error| refuse(error.to_string()))?;
        Ok(Self { path: path.to_owned(), connection: Mutex::new(connection) })
    }

    /// The database file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Runs one transaction that holds the write lock from its start. A
    /// failure on the way rolls all of it back.
    fn transact<T>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, StateError>,
    ) -> Result<T, StateError> {
        // A panic inside a transaction rolls it back: the connection is usable.
        let mut connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let answer = work(&transaction)?;
        transaction.commit()?;
        Ok(answer)
    }
}

impl State for SqliteState {
    fn import_person(&self, import: &Import, now: Timestamp) -> Result<Imported, StateError> {
        self.transact(|transaction| people::import(transaction, import, now))
    }

    fn person_by_key(&self, key: &KeyHash) -> Result<Option<Person>, StateError> {
        self.transact(|transaction| people::by_key(transaction, key))
    }

    fn person(&self, handle: &Handle) -> Result<Option<PersonRecord>, StateError> {
        self.transact(|transaction| people::record(transaction, handle))
    }

    fn persons(&self) -> Result<Vec<PersonRecord>, StateError> {
        self.transact(people::all)
    }

    fn set_standing(&self, handle: &Handle, standing: Standing) -> Result<Change, StateError> {
        self.transact(|transaction| people::set_standing(transaction, handle, standing))
    }

    fn unlock_person(&self, handle: &Handle) -> Result<Change, StateError> {
        self.transact(|transaction| attempts::unlock(transaction, handle))
    }

    fn begin_attempt(&self, person: PersonId, now: Timestamp) -> Result<Attempt, StateError> {
        self.transact(|transaction| attempts::begin(transaction, person, now))
    }

    fn accept_step(&self, person: PersonId, step: u64, now: Timestamp) -> Result<StepUse, StateError> {
        self.transact(|transaction| attempts::accept_step(transaction, person, step, now))
    }

    fn record_failure(&self, person: PersonId, failure: Failure, now: Timestamp) -> Result<Lock, StateError> {
        self.transact(|transaction| attempts::record_failure(transaction, person, failure, now))
    }

    fn session_started(&self, row: &SessionRow) -> Result<(), StateError> {
        self.transact(|transaction| index::started(transaction, row))
    }

    fn session_ended(&self, id: SessionId, end: &SessionEnd) -> Result<(), StateError> {
        self.transact(|transaction| index::ended(transaction, id, end))
    }

    fn close_interrupted(&self, now: Timestamp) -> Result<Vec<SessionId>, StateError> {
        self.transact(|transaction| index::close_interrupted(transaction, now))
    }

    fn sessions(&self, limit: u32) -> Result<Vec<SessionHistory>, StateError> {
        self.transact(|transaction| index::newest(transaction, limit))
    }

    fn apply_policy(&self, snapshot: &PolicySnapshot) -> Result<(), StateError> {
        self.transact(|transaction| index::apply_policy(transaction, snapshot))
    }

    fn current_policy(&self) -> Result<Option<PolicySnapshot>, StateError> {
        self.transact(index::current_policy)
    }

    fn clock_mark(&self) -> Result<Option<ClockMark>, StateError> {
        self.transact(index::clock_mark)
    }

    fn store_clock_mark(&self, mark: &ClockMark) -> Result<(), StateError> {
        self.transact(|transaction| index::store_clock_mark(transaction, mark))
    }
}

/// Milliseconds since 1970 as a time.
fn time(milliseconds: i64) -> Result<Timestamp, StateError> {
    Timestamp::from_millisecond(milliseconds).map_err(|_| StateError::Corrupt("time"))
}

fn handle(text: &str) -> Result<Handle, StateError> {
    Handle::parse(text).map_err(|_| StateError::Corrupt("handle"))
}

fn bytes<const N: usize>(blob: Vec<u8>, what: &'static str) -> Result<[u8; N], StateError> {
    blob.try_into().map_err(|_| StateError::Corrupt(what))
}
