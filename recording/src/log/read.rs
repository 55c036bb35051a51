//! Reads and checks a site log with the public key alone.
//!
//! Order of events: the magic, then frame after frame: entries are leaves,
//! each head must be signed by the key and say of the entries before it what
//! they are. Only entries that a head covers are given to the visitor. What
//! follows the last head is the tail that a crash may have torn.

use super::entry::LogEntry;
use super::frame::{Frame, Step, step};
use super::head::{LogHead, LogId};
use super::history::History;
use super::ledger::Ledger;
use super::{LOG_MAGIC, frame};
use crate::checkpoint::{CheckpointError, MAX_NOTE};
use crate::keys::PublicKey;
use crate::tree::{self, Hash};
use jiff::Timestamp;
use std::io::{self, BufReader, Read, Seek, SeekFrom};

/// Most entries between two heads; a gateway writes far fewer.
pub(super) const MAX_GROUP: usize = 65_536;

/// Bytes that are read at a time.
const CHUNK: usize = 128 * 1024;

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogReport {
    /// Which log it is, as its first entry says.
    pub log: Option<LogId>,
    /// The file's length in bytes.
    pub length: u64,
    /// The last head that covers what stands before it.
    pub head: Option<SignedHead>,
    /// What follows it.
    pub tail: LogTail,
    /// The answer.
    pub verdict: LogVerdict,
}

/// A head with its place in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedHead {
    /// Entries that it covers.
    pub size: u64,
    /// Tree hash over them.
    pub root: Hash,
    /// When it was signed.
    pub time: Timestamp,
    /// Bytes from the start, the head included.
    pub bytes: u64,
    /// The note as it stands.
    pub note: String,
}

/// What follows the last head.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LogTail {
    /// Whole entries that no head covers.
    pub entries: u64,
    /// Where bytes begin that are no whole frame.
    pub broken: Option<u64>,
}

/// The answer of a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogVerdict {
    /// Signed to its last byte.
    Sound,
    /// Genuine as far as it is signed; a write behind that was torn.
    Torn,
    /// Not what was signed.
    Altered {
        /// Where it stops being as it was signed: the end of the last head
        /// that fits, or the frame that is wrong.
        offset: u64,
        /// What is wrong there.
        fault: LogFault,
    },
}

/// What is wrong with an altered log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LogFault {
    /// It does not begin like a site log of this version.
    #[error("this is not a site log of a version that this program knows")]
    Magic,
    /// Its first entry is not the one that a log begins with.
    #[error("it does not begin with the entry of its creation")]
    Created,
    /// Its first entry names another signing key.
    #[error("it is signed by the key {name}+{id:08x}, not by the one given")]
    Key {
        /// Name in the entry.
        name: String,
        /// Id in the entry.
        id: u32,
    },
    /// A head is not genuine.
    #[error("head: {0}")]
    Head(CheckpointError),
    /// A genuine head is not about the entries before it.
    #[error("the signed head does not fit the entries before it")]
    Covers,
    /// There is something that is no frame, and a signed head behind it.
    #[error("there is no whole entry")]
    NoFrame,
    /// More entries without a head than any gateway writes.
    #[error("there are too many entries without a signed head")]
    Group,
}

/// Reads a log and gives every covered entry, with its number, to `visit`.
///
/// # Errors
/// Only where the file can't be read; what is wrong with its content is in
/// the report.
pub fn read_log<R: Read + Seek>(
    source: R,
    key: &PublicKey,
    visit: impl FnMut(u64, &[u8]),
) -> io::Result<(LogReport, History)> {
    read_with(source, key, Signatures::Every, visit)
}

/// Reads a log as a gateway does before it goes on with it, and changes
/// nothing: of the heads only the last one's signature is checked.
///
/// # Errors
/// As [`read_log`].
pub fn inspect_log<R: Read + Seek>(source: R, key: &PublicKey) -> io::Result<(LogReport, Ledger)> {
    let mut ledger = Ledger::default();
    let take = |number: u64, bytes: &[u8]| ledger.take(number, bytes);
    let (report, _) = read_with(source, key, Signatures::Last, take)?;
    Ok((report, ledger))
}

/// Which heads' signatures are checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Signatures {
    /// All of them.
    Every,
    /// The last one, whose root covers all entries: enough to go on writing,
    /// and quick for a log of years.
    Last,
}

pub(super) fn read_with<R: Read + Seek>(
    source: R,
    key: &PublicKey,
    signatures: Signatures,
    mut visit: impl FnMut(u64, &[u8]),
) -> io::Result<(LogReport, History)> {
    let mut walk = Walk::new(BufReader::with_capacity(CHUNK, source), key, signatures)?;
    let verdict = walk.run(&mut visit)?;
    let Walk { source: _, length, log, head, tail, mut history, .. } = walk;
    // What no head covers is no history.
    history.truncate(head.as_ref().map_or(0, |head| head.size));
    Ok((LogReport { log, length, head, tail, verdict }, history))
}

struct Walk<'a, R> {
    source: BufReader<R>,
    length: u64,
    key: &'a PublicKey,
    signatures: Signatures,
    offset: u64,
    log: Option<LogId>,
    head: Option<SignedHead>,
    tail: LogTail,
    history: History,
    /// Entries since the last head, with the number of the first.
    pending: (u64, Vec<Vec<u8>>),
}

impl<'a, R: Read + Seek> Walk<'a, R> {
    fn new(mut source: BufReader<R>, key: &'a PublicKey, signatures: Signatures) -> io::Result<Self> {
        let length = source.seek(SeekFrom::End(0))?;
        source.seek(SeekFrom::Start(0))?;
        Ok(Self {
            source,
            length,
            key,
            signatures,
            offset: 0,
            log: None,
            head: None,
            tail: LogTail::default(),
            history: History::default(),
            pending: (0, Vec::new()),
        })
    }

    fn run(&mut self, visit: &mut impl FnMut(u64, &[u8])) -> io::Result<LogVerdict> {
        let mut magic = Vec::with_capacity(LOG_MAGIC.len());
        self.source.by_ref().take(LOG_MAGIC.len() as u64).read_to_end(&mut magic)?;
        if magic != LOG_MAGIC {
            let torn = LOG_MAGIC.starts_with(written(&magic));
            return self.stop(LogFault::Magic, if torn { Torn::Maybe } else { Torn::No });
        }
        self.offset = LOG_MAGIC.len() as u64;
        loop {
            match step(&mut self.source)? {
                Step::Frame(Frame::Entry(bytes), length) => {
                    let end = self.offset.saturating_add(length);
                    match self.entry(bytes) {
                        None => self.offset = end,
                        // Its last bytes may never have reached the disk.
                        Some(LogFault::Created) => return self.refused(LogFault::Created, end),
                        Some(fault) => return Ok(self.altered(fault)),
                    }
                }
                Step::Frame(Frame::Head(note), length) => {
                    if let Some(verdict) = self.head(note, length, visit)? {
                        return Ok(verdict);
                    }
                }
                Step::End => return self.end(),
                Step::Broken => return self.stop(LogFault::NoFrame, Torn::Maybe),
            }
        }
    }

    fn entry(&mut self, bytes: Vec<u8>) -> Option<LogFault> {
        if self.log.is_none() {
            match LogEntry::decode(&bytes) {
                Some((_, LogEntry::Created { log, key_id, key_name })) => {
                    if key_id != self.key.id() || key_name != self.key.name() {
                        return Some(LogFault::Key { name: key_name, id: key_id });
                    }
                    self.log = Some(log);
                }
                Some(_) | None => return Some(LogFault::Created),
            }
        }
        if self.pending.1.len() >= MAX_GROUP {
            return Some(LogFault::Group);
        }
        self.history.push(tree::leaf(&bytes));
        self.pending.1.push(bytes);
        None
    }

    /// A head that begins at the present offset and is `length` bytes long.
    fn head(
        &mut self,
        note: Vec<u8>,
        length: u64,
        visit: &mut impl FnMut(u64, &[u8]),
    ) -> io::Result<Option<LogVerdict>> {
        let end = self.offset.saturating_add(length);
        let said = match self.signatures {
            Signatures::Every => LogHead::verify(&note, self.key),
            Signatures::Last => {
                let text = std::str::from_utf8(&note).ok();
                text.and_then(LogHead::unverified).ok_or(CheckpointError::Text)
            }
        };
        let said = match said {
            Ok(said) => said,
            Err(error) => return self.refused(LogFault::Head(error), end).map(Some),
        };
        let covers = Some(said.log) == self.log
            && said.size == self.history.size()
            && Some(said.root) == self.history.root(said.size);
        if !covers {
            return Ok(Some(self.altered(LogFault::Covers)));
        }
        let Ok(note) = String::from_utf8(note) else {
            return Ok(Some(self.altered(LogFault::Head(CheckpointError::Note))));
        };
        self.offset = end;
        self.head = Some(SignedHead { size: said.size, root: said.root, time: said.time, bytes: end, note });
        let (first, entries) = (self.pending.0, std::mem::take(&mut self.pending.1));
        for (number, entry) in (first..).zip(&entries) {
            visit(number, entry);
        }
        self.pending.0 = self.history.size();
        Ok(None)
    }

    /// A frame whose last bytes never reached the disk is torn; any other that
    /// is not accepted is an alteration.
    fn refused(&mut self, fault: LogFault, end: u64) -> io::Result<LogVerdict> {
        let last = self.last_written()?;
        let torn = last.is_none_or(|last| last.saturating_add(1) < end);
        self.stop(fault, if torn { Torn::Maybe } else { Torn::No })
    }

    fn end(&mut self) -> io::Result<LogVerdict> {
        self.tail.entries = self.pending.1.len() as u64;
        if self.tail.entries > 0 || self.head.is_none() {
            return Ok(LogVerdict::Torn);
        }
        Ok(self.last_head_is_genuine())
    }

    /// Nothing can be followed from here on. If a genuine head stands behind
    /// the last one that fitted, signed bytes were changed.
    fn stop(&mut self, fault: LogFault, torn: Torn) -> io::Result<LogVerdict> {
        self.tail = LogTail { entries: self.pending.1.len() as u64, broken: Some(self.offset) };
        if torn == Torn::No || self.signed_further_on()? {
            return Ok(LogVerdict::Altered { offset: self.offset, fault });
        }
        match self.last_head_is_genuine() {
            LogVerdict::Sound => Ok(LogVerdict::Torn),
            other @ (LogVerdict::Torn | LogVerdict::Altered { .. }) => Ok(other),
        }
    }

    /// Where only the last head's signature counts, this is the time.
    fn last_head_is_genuine(&self) -> LogVerdict {
        let Some(head) = &self.head else { return LogVerdict::Sound };
        match LogHead::verify(head.note.as_bytes(), self.key) {
            Ok(_) => LogVerdict::Sound,
            Err(error) => LogVerdict::Altered { offset: head.bytes, fault: LogFault::Head(error) },
        }
    }

    fn altered(&self, fault: LogFault) -> LogVerdict {
        let offset = self.head.as_ref().map_or(0, |head| head.bytes);
        LogVerdict::Altered { offset, fault }
    }

    /// Whether any bytes behind the last head that fitted are a genuine one.
    fn signed_further_on(&mut self) -> io::Result<bool> {
        let mut place = self.head.as_ref().map_or(0, |head| head.bytes);
        let step = (CHUNK.saturating_sub(MAX_NOTE)) as u64;
        loop {
            let chunk = self.chunk(place)?;
            if frame::notes_in(&chunk).any(|note| LogHead::verify(note, self.key).is_ok()) {
                return Ok(true);
            }
            if chunk.len() < CHUNK {
                return Ok(false);
            }
            place = place.saturating_add(step);
        }
    }

    /// Where the last byte that is not zero stands.
    fn last_written(&mut self) -> io::Result<Option<u64>> {
        let (mut place, mut last) = (self.offset, None);
        loop {
            let chunk = self.chunk(place)?;
            if let Some(at) = crate::scan::last_not_zero(&chunk) {
                last = Some(place.saturating_add(at as u64));
            }
            if chunk.len() < CHUNK {
                return Ok(last);
            }
            place = place.saturating_add(CHUNK as u64);
        }
    }

    fn chunk(&mut self, place: u64) -> io::Result<Vec<u8>> {
        self.source.seek(SeekFrom::Start(place))?;
        let mut chunk = Vec::new();
        self.source.by_ref().take(CHUNK as u64).read_to_end(&mut chunk)?;
        Ok(chunk)
    }
}

/// Whether a crash can have left what was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Torn {
    Maybe,
    No,
}

/// `bytes` without zeros at the end: space that was never written.
fn written(bytes: &[u8]) -> &[u8] {
    let end = crate::scan::last_not_zero(bytes).map_or(0, |last| last.saturating_add(1));
    bytes.get(..end).unwrap_or_default()
}
