//! Writes the site log.
//!
//! Order of events: [`LogWriter::open`] reads what is there, or begins a new
//! log; [`LogWriter::append`] writes entries and a head over them by one
//! write; a [`LogSyncer`] on another thread brings them to stable storage.
//!
//! It never goes on after a failure, and never writes over bytes that a
//! signed head covers. A tail that a crash tore is written over by an entry
//! that says so, and only then cut off: at no instant is it gone silently.

use super::LOG_MAGIC;
use super::entry::{LogEntry, MAX_ENTRY};
use super::frame::{put_entry, put_head};
use super::head::{LogHead, LogId};
use super::history::History;
use super::ledger::Ledger;
use super::read::{LogFault, LogVerdict, MAX_GROUP, Signatures, SignedHead, read_with};
use crate::checkpoint::CheckpointError;
use crate::header::LogPosition;
use crate::keys::SigningKey;
use crate::ratchet::CryptoError;
use crate::storage::{Storage, SyncStorage};
use crate::tree::{self, Hash, Tree};
use jiff::Timestamp;
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Storage of a site log: append-only, but for a tail that no head covers.
pub trait LogStorage: Storage {
    /// Lets the next write begin at `length` bytes from the start.
    fn rewind(&mut self, length: u64);
}

/// A signed head that was written. It must not leave the gateway before a
/// [`LogSyncer`] has covered it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogCheckpoint {
    /// The signed note for client and witness.
    pub note: String,
    /// Where the log stands, for the header of a recording.
    pub position: LogPosition,
    /// The file's length.
    pub bytes: u64,
}

/// Why the log can't go on.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The storage failed.
    #[error("{doing} the site log failed: {source}")]
    Storage {
        /// What was being done.
        doing: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// It failed before.
    #[error("the site log has failed before")]
    Poisoned,
    /// It is not what was signed.
    #[error("the site log is not what was signed, from offset {offset} on: {fault}")]
    Altered {
        /// Where.
        offset: u64,
        /// What is wrong.
        fault: LogFault,
    },
    /// A head can't be signed.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The cryptographic library refused.
    #[error(transparent)]
    Crypto(#[from] CryptoError),
    /// More entries at a time than fit, or one that is too long.
    #[error("too many entries at a time, or too long a one")]
    TooLarge,
}

/// Writes the site log; used by one thread.
pub struct LogWriter<S> {
    storage: S,
    log: LogId,
    signer: Arc<SigningKey>,
    tree: Tree,
    bytes: u64,
    newest: LogCheckpoint,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    poisoned: AtomicBool,
    /// Held while syncing: of two syncs at a time the kernel would tell only
    /// one that a write was lost.
    syncing: Mutex<()>,
}

impl<S: LogStorage> LogWriter<S> {
    /// Goes on with the log that `existing` reads, or begins a new one where
    /// there is none. All of it is on stable storage when this returns.
    ///
    /// # Errors
    /// [`LogError::Altered`] where the log is not what was signed: it is left
    /// as it is. Else see [`LogError`].
    pub fn open(
        storage: S,
        mut existing: impl Read + Seek,
        signer: Arc<SigningKey>,
        now: Timestamp,
    ) -> Result<(Self, Ledger), LogError> {
        let mut ledger = Ledger::default();
        let take = |number: u64, bytes: &[u8]| ledger.take(number, bytes);
        let read = read_with(&mut existing, signer.public(), Signatures::Last, take);
        let (report, history) = read.map_err(failed("reading"))?;
        if let LogVerdict::Altered { offset, fault } = report.verdict {
            return Err(LogError::Altered { offset, fault });
        }
        let kept = report.head.as_ref().map_or(0, |head| head.bytes);
        let dropped = match report.length.saturating_sub(kept) {
            0 => None,
            bytes => {
                let hash = hash_from(&mut existing, kept).map_err(failed("reading"))?;
                Some(LogEntry::TailDropped { offset: kept, bytes, hash })
            }
        };
        match report.head.zip(report.log) {
            Some((head, log)) => {
                let found = Found { log, head, history };
                let writer = Self::resume(storage, signer, found, now, dropped)?;
                Ok((writer, ledger))
            }
            None => Self::create(storage, signer, now, dropped),
        }
    }

    fn create(
        mut storage: S,
        signer: Arc<SigningKey>,
        now: Timestamp,
        dropped: Option<LogEntry>,
    ) -> Result<(Self, Ledger), LogError> {
        let log = LogId::random()?;
        let key = signer.public();
        let created = LogEntry::Created { log, key_id: key.id(), key_name: key.name().to_owned() };
        let entries: Vec<_> =
            [Some(created), dropped].into_iter().flatten().map(|entry| (now, entry)).collect();
        let mut ledger = Ledger::default();
        for (number, (at, entry)) in (0..).zip(&entries) {
            ledger.take(number, &entry.encode(*at));
        }
        storage.rewind(0);
        let mut writer = Self::new(storage, log, signer);
        writer.write(&LOG_MAGIC, &entries, now)?;
        writer.settle()?;
        Ok((writer, ledger))
    }

    /// Goes on behind the last head, with an entry about what was dropped.
    fn resume(
        mut storage: S,
        signer: Arc<SigningKey>,
        found: Found,
        now: Timestamp,
        dropped: Option<LogEntry>,
    ) -> Result<Self, LogError> {
        let Found { log, head, history } = found;
        storage.rewind(head.bytes);
        let mut writer = Self::new(storage, log, signer);
        writer.tree = history.tree();
        writer.bytes = head.bytes;
        let position = LogPosition { origin: log.origin(), size: head.size, root: head.root };
        writer.newest = LogCheckpoint { note: head.note, position, bytes: head.bytes };
        if let Some(dropped) = dropped {
            writer.write(&[], &[(now, dropped)], now)?;
            writer.settle()?;
        }
        Ok(writer)
    }

    fn new(storage: S, log: LogId, signer: Arc<SigningKey>) -> Self {
        let position = LogPosition { origin: log.origin(), size: 0, root: Tree::default().root() };
        Self {
            storage,
            log,
            signer,
            tree: Tree::default(),
            bytes: 0,
            newest: LogCheckpoint { note: String::new(), position, bytes: 0 },
            shared: Arc::default(),
        }
    }

    /// Which log this is.
    pub fn log(&self) -> LogId {
        self.log
    }

    /// The newest head. At [`LogWriter::open`] it is on stable storage.
    pub fn newest(&self) -> &LogCheckpoint {
        &self.newest
    }

    /// Appends entries and a head over them by one write. When it returns
    /// they survive the end of this process.
    ///
    /// # Errors
    /// [`LogError::TooLarge`] for more than 65536 entries, which changes
    /// nothing. After any other error nothing works any more.
    pub fn append(
        &mut self,
        entries: &[(Timestamp, LogEntry)],
        now: Timestamp,
    ) -> Result<LogCheckpoint, LogError> {
        self.shared.check()?;
        if entries.len() > MAX_GROUP {
            return Err(LogError::TooLarge);
        }
        self.write(&[], entries, now)?;
        Ok(self.newest.clone())
    }

    /// A handle that syncs this log from another thread.
    ///
    /// # Errors
    /// [`LogError::Storage`] where the system gives no second handle.
    pub fn syncer(&self) -> Result<LogSyncer, LogError> {
        let storage = self.storage.syncer().map_err(failed("syncing"))?;
        Ok(LogSyncer { storage, shared: Arc::clone(&self.shared) })
    }

    fn write(
        &mut self,
        before: &[u8],
        entries: &[(Timestamp, LogEntry)],
        now: Timestamp,
    ) -> Result<(), LogError> {
        let result = self.try_write(before, entries, now);
        if result.is_err() {
            self.shared.poison();
        }
        result
    }

    fn try_write(
        &mut self,
        before: &[u8],
        entries: &[(Timestamp, LogEntry)],
        now: Timestamp,
    ) -> Result<(), LogError> {
        let mut out = before.to_vec();
        for (at, entry) in entries {
            let bytes = entry.encode(*at);
            if bytes.len() > MAX_ENTRY {
                return Err(LogError::TooLarge);
            }
            self.tree.push(tree::leaf(&bytes));
            put_entry(&mut out, &bytes);
        }
        let (size, root) = (self.tree.size(), self.tree.root());
        let note = LogHead { log: self.log, size, root, time: now }.sign(&self.signer)?;
        put_head(&mut out, &note);
        self.storage.write(&out).map_err(failed("writing"))?;
        let written = u64::try_from(out.len()).unwrap_or(u64::MAX);
        self.bytes = self.bytes.saturating_add(written);
        let position = LogPosition { origin: self.log.origin(), size, root };
        self.newest = LogCheckpoint { note, position, bytes: self.bytes };
        Ok(())
    }

    /// Brings what was written over a torn tail to stable storage, and only
    /// then cuts off what is left of it.
    fn settle(&mut self) -> Result<(), LogError> {
        let syncer = self.syncer()?;
        syncer.sync()?;
        self.storage.truncate(self.bytes).map_err(failed("cutting a torn end off"))?;
        syncer.sync()
    }
}

/// A log that can be gone on with.
struct Found {
    log: LogId,
    head: SignedHead,
    history: History,
}

/// Brings the log to stable storage, beside its writer.
pub struct LogSyncer {
    storage: Box<dyn SyncStorage>,
    shared: Arc<Shared>,
}

impl LogSyncer {
    /// Syncs all that was written when the call began.
    ///
    /// # Errors
    /// [`LogError::Storage`] once, [`LogError::Poisoned`] from then on; the
    /// file is not touched again.
    pub fn sync(&self) -> Result<(), LogError> {
        let _alone = self.shared.syncing.lock().unwrap_or_else(PoisonError::into_inner);
        self.shared.check()?;
        self.storage.sync().map_err(|source| {
            self.shared.poison();
            LogError::Storage { doing: "syncing", source }
        })
    }
}

impl Shared {
    fn check(&self) -> Result<(), LogError> {
        if self.poisoned.load(Ordering::Acquire) { Err(LogError::Poisoned) } else { Ok(()) }
    }

    fn poison(&self) {
        self.poisoned.store(true, Ordering::Release);
    }
}

/// SHA-256 over all bytes from `offset` on.
fn hash_from(source: &mut (impl Read + Seek), offset: u64) -> io::Result<Hash> {
    source.seek(SeekFrom::Start(offset))?;
    tree::sha256_of(source)
}

fn failed(doing: &'static str) -> impl FnOnce(io::Error) -> LogError {
    move |source| LogError::Storage { doing, source }
}
