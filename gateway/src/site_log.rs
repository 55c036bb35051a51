//! The site log at the gateway: what happened here, signed and handed out.
//!
//! One thread owns the log's file. Whoever has something to enter puts it into
//! a queue; the thread writes all that waits by one write with a signed head
//! over it, syncs, and only then tells how far the log is durable. There is no
//! waiting window: each round takes what came while the last one ran, and the
//! data path's thread never waits for a disk here.
//!
//! What can't be accounted for does not happen: after a failed or slow sync
//! nothing is entered any more, no session begins, and those that run are
//! told to end softly (their starts are in the log, their recordings go on).
//!
//! Order: [`SiteLog::open`] -> [`recovery`] of what a crash left ->
//! [`SiteLog::enter`] and [`SiteLog::commit`] while things happen ->
//! [`SiteLog::close`] at the end.

mod inspection;
mod keys;
pub mod recovery;
#[cfg(test)]
mod tests;
mod thread;
mod witness;

use crate::audit::Alarm;
use crate::clock::Clock;
use crate::config::LogSettings;
use crate::office::Office;
use crate::problem::Problem;
use crate::record::{Seal, Tally, Unlogged};
pub use inspection::{Inspection, inspect};
use jiff::Timestamp;
pub use keys::Keys;
use recording::log::{LOG_FILE, Ledger, LogEntry, LogError, LogFile, LogWriter, Pseudonym};
use recording::{LogPosition, SigningKey};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use thread::{Progress, Queue};
use tokio::sync::watch;
use wire::SessionId;
use witness::Witness;

/// A sync that takes longer than this is a failed one.
const SYNCED_WITHIN: Duration = Duration::from_secs(5);

/// How often a client gets a head to keep, at least, while there are new ones.
const HANDED_OUT_EVERY: Duration = Duration::from_secs(10);

/// The site log of this gateway.
#[derive(Debug)]
pub struct SiteLog {
    clock: Arc<dyn Clock>,
    queue: Arc<Queue>,
    progress: watch::Receiver<Progress>,
    witness: Option<Witness>,
    /// Which keys the log knows.
    pub keys: Keys,
}

/// Why the site log can't be used.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LogFailed {
    /// It failed, now or before.
    #[error("the site log failed: {0}")]
    Failed(Arc<str>),
    /// A sync has not returned in time.
    #[error("the site log is too slow: a sync has not returned for {} s", SYNCED_WITHIN.as_secs())]
    Slow,
    /// More waits to be written than ever should.
    #[error("the site log is too slow: too many entries wait")]
    Full,
    /// It was closed: the gateway stops.
    #[error("the site log is closed")]
    Closed,
}

/// Proof that what was committed is on stable storage, under a signed head.
#[derive(Debug)]
pub struct Committed(());

/// Why no gateway runs on a log.
#[derive(Debug, thiserror::Error)]
pub enum NotOpened {
    /// The file can't be had: its folder, or another gateway that writes it.
    #[error("{0}")]
    Unavailable(Problem),
    /// It is not what was signed, or its settings can't be met.
    #[error("{0}")]
    Refused(Problem),
}

impl SiteLog {
    /// Opens the log and starts its thread; a tail that a crash tore is
    /// dropped by an entry that says so.
    ///
    /// # Errors
    /// Where the log can't be opened or is not what was signed: then no
    /// gateway runs on it.
    pub fn open(
        settings: &LogSettings,
        key: &Arc<SigningKey>,
        clock: Arc<dyn Clock>,
        alarm: Alarm,
    ) -> Result<(Self, Ledger), NotOpened> {
        let path = settings.dir.join(LOG_FILE);
        let problem = |reason: String, hint: &str| Problem::new(&path, reason).key("[log] dir").hint(hint);
        let unavailable = |error: io::Error, hint| NotOpened::Unavailable(problem(error.to_string(), hint));
        let failed = |reason, hint| NotOpened::Refused(problem(reason, hint));
        let file = LogFile::open(&path)
            .map_err(|error| unavailable(error, "make the folder writable and stop any other gateway"))?;
        let existing = file.reader().map_err(|error| unavailable(error, "make the file readable"))?;
        let opened = LogWriter::open(file, existing, Arc::clone(key), clock.wall());
        let (writer, ledger) = opened.map_err(|error| failed(error.to_string(), inspection::WAY_OUT))?;
        let witness = settings
            .witness
            .as_ref()
            .map(|folder| Witness::start(folder, key.public(), writer.newest(), alarm.clone()))
            .transpose()
            .map_err(|reason| failed(reason, inspection::WAY_OUT))?;
        let started = thread::start(writer, Arc::clone(&clock), alarm, witness.as_ref());
        let (queue, progress) = started.map_err(|error| failed(error.to_string(), inspection::WAY_OUT))?;
        let keys = Keys::of(&ledger);
        Ok((Self { clock, queue, progress, witness, keys }, ledger))
    }

    /// Puts an entry into the queue; nobody waits for it.
    ///
    /// # Errors
    /// [`LogFailed`] once the log has failed.
    pub fn enter(&self, entry: LogEntry) -> Result<(), LogFailed> {
        self.queue.put(self.clock.wall(), entry).map(drop)
    }

    /// Enters something that happened at another time than now.
    ///
    /// # Errors
    /// [`LogFailed`] once the log has failed.
    pub fn enter_at(&self, at: Timestamp, entry: LogEntry) -> Result<(), LogFailed> {
        self.queue.put(at, entry).map(drop)
    }

    /// Enters something and waits until it is on stable storage.
    ///
    /// # Errors
    /// [`LogFailed`]; whether it is in the log is not known then.
    pub async fn commit(&self, entry: LogEntry) -> Result<Committed, LogFailed> {
        let ticket = self.queue.put(self.clock.wall(), entry)?;
        let mut progress = self.progress.clone();
        let reached = progress.wait_for(|progress| progress.failed.is_some() || progress.durable >= ticket);
        match tokio::time::timeout(SYNCED_WITHIN, reached).await {
            Ok(Ok(progress)) => match &progress.failed {
                // What a sync covered before the failure is covered.
                Some(failed) if progress.durable < ticket => Err(failed.clone()),
                Some(_) | None => Ok(Committed(())),
            },
            Ok(Err(_)) => Err(LogFailed::Closed),
            Err(_) => Err(LogFailed::Slow),
        }
    }

    /// As [`SiteLog::commit`], where a thread may block.
    ///
    /// # Errors
    /// [`LogFailed`].
    pub fn commit_blocking(&self, entry: LogEntry) -> Result<Committed, LogFailed> {
        let ticket = self.queue.put(self.clock.wall(), entry)?;
        self.queue.wait_for(ticket, SYNCED_WITHIN)?;
        Ok(Committed(()))
    }

    /// Where the log stands on stable storage.
    pub fn position(&self) -> LogPosition {
        self.progress.borrow().newest.position.clone()
    }

    /// The newest signed head whose entries are on stable storage.
    pub fn head(&self) -> String {
        self.progress.borrow().newest.note.clone()
    }

    /// Why nothing can be entered any more, if so. A sync that hangs counts.
    pub fn failure(&self) -> Option<LogFailed> {
        let running = self.progress.borrow().running;
        if running.is_some_and(|since| since.elapsed() > SYNCED_WITHIN) {
            self.queue.fail(&LogFailed::Slow);
        }
        self.queue.failure()
    }

    /// What keeps the witness from getting heads, told once for each trouble.
    pub fn witness_trouble(&self) -> Option<String> {
        self.witness.as_ref().and_then(Witness::trouble)
    }

    /// Writes what waits, gives the witness the last head, and ends the
    /// threads.
    ///
    /// # Errors
    /// [`LogFailed`] where the log had failed.
    pub fn close(&self) -> Result<(), LogFailed> {
        self.queue.close();
        if let Some(witness) = &self.witness {
            witness.close();
        }
        self.progress.borrow().failed.clone().map_or(Ok(()), Err)
    }
}

impl Drop for SiteLog {
    fn drop(&mut self) {
        // Nothing waits for an office that is gone; its threads end.
        self.queue.close();
        if let Some(witness) = &self.witness {
            witness.close();
        }
    }
}

/// Enters the start of a session, before anything is dialled for it; gives
/// the recording that can be worked with.
///
/// # Errors
/// The recording and why the log does not have it.
pub async fn enter(
    office: &Arc<Office>,
    id: SessionId,
    recording: Unlogged,
) -> Result<crate::record::OpenRecording, (Unlogged, LogFailed)> {
    let session = Pseudonym::of(&id.to_bytes());
    let started = LogEntry::SessionStarted { session, header: recording.header_hash() };
    match office.log.commit(started).await {
        Ok(committed) => Ok(recording.logged(&committed)),
        Err(failed) => Err((recording, failed)),
    }
}

/// Enters the end of a session and adds the head that covers it to what the
/// client gets. A recording that could not be sealed is entered as it is; one
/// that the disk may still change, at the next start.
pub async fn account(office: &Arc<Office>, id: SessionId, tally: Tally) -> Tally {
    let session = Pseudonym::of(&id.to_bytes());
    let entry = match tally.sealed {
        Seal::Done(sealed) => {
            LogEntry::SessionEnded { session, leaves: sealed.leaves, root: sealed.root, bytes: sealed.bytes }
        }
        Seal::Unknown => {
            office.audit.alarm().raise(&format!(
                "what becomes of the recording of session {id} is not known: the next start enters its end"
            ));
            return tally;
        }
        Seal::Failed => {
            let found = office.blocking(move |office| recovery::broken_off(office, id)).await;
            match found {
                Ok(recovered) => LogEntry::SessionRecovered(recovered),
                Err(why) => {
                    office.audit.alarm().raise(&format!("session {id} is not in the site log: {why}"));
                    return tally;
                }
            }
        }
    };
    match office.log.commit(entry).await {
        Ok(_) => Tally { log_head: Some(office.log.head()), ..tally },
        Err(failed) => {
            office.audit.alarm().raise(&format!("the end of session {id} is not in the site log: {failed}"));
            tally
        }
    }
}

/// Which head a client got last.
#[derive(Debug, Default)]
pub struct HandedOut {
    size: u64,
    at: Option<Duration>,
}

impl HandedOut {
    /// The newest head, if the client has not got it and one is due.
    pub fn due(&mut self, now: Duration, log: &SiteLog) -> Option<String> {
        if self.at.is_some_and(|at| now.saturating_sub(at) < HANDED_OUT_EVERY) {
            return None;
        }
        let progress = log.progress.borrow();
        if progress.newest.position.size <= self.size {
            return None;
        }
        self.size = progress.newest.position.size;
        self.at = Some(now);
        Some(progress.newest.note.clone())
    }
}

impl From<LogError> for LogFailed {
    fn from(error: LogError) -> Self {
        Self::Failed(error.to_string().into())
    }
}

/// The file of the site log.
pub fn file(settings: &LogSettings) -> PathBuf {
    settings.dir.join(LOG_FILE)
}
