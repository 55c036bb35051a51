//! Writes one recording, from the header to the end frame.
//!
//! Order of events: [`Writer::create`] writes and syncs the header with a
//! first checkpoint, then entries are appended, a checkpoint is added now and
//! then, and [`Writer::finish`] seals. A [`Syncer`] on another thread brings
//! what was written to stable storage.
//!
//! It never goes on after a failure: whatever goes wrong, every later call on
//! the writer and its syncers fails, and no sync is tried twice. The one
//! exception is a disk that has no room for more than the reserve: then
//! nothing was written and the recording can still be finished.
//! It never opens a file that exists, and never appends after a crash.

use crate::assembly::Assembly;
use crate::batch::BatchError;
use crate::checkpoint::CheckpointError;
use crate::ending::{End, Index, Mark};
use crate::entry::{Body, Entry, Position, Totals};
use crate::event::{Event, MAX_EVENT};
use crate::header::{self, Header, HeaderError, LogPosition, MAX_LENGTH, Mode};
use crate::keys::SigningKey;
use crate::ratchet::{CryptoError, FileKey, Ratchet};
use crate::recipient::{self, Recipient, RecipientError};
use crate::storage::{Allocation, Storage, SyncStorage};
use crate::taps::{Taps, WINDOW};
use jiff::Timestamp;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Space that is kept back so that a recording can always be closed, in
/// bytes: the longest end frame and its checkpoint.
const CLOSING: u64 = 64 * 1024;

/// Least step by which space is reserved, in bytes.
const MIN_RESERVE: u64 = 256 * 1024;

/// What a recording begins with.
#[derive(Debug)]
pub struct Opening<'a> {
    /// The session's random id; the file is named after it.
    pub session: [u8; 16],
    /// When bytes must be on stable storage.
    pub mode: Mode,
    /// Where the site log stands.
    pub log: LogPosition,
    /// Wall clock now.
    pub started_wall: Timestamp,
    /// The gateway's monotonic clock now; entries count from here.
    pub started_mono: Duration,
    /// Who can read the recording: 1 to [`crate::MAX_RECIPIENTS`].
    pub recipients: &'a [Recipient],
    /// What signs the checkpoints.
    pub signer: Arc<SigningKey>,
    /// Bytes to reserve ahead of the writing, at least 256 KiB.
    pub reserve: u64,
}

/// One instant on both clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// The gateway's wall clock; it is what a checkpoint tells.
    pub wall: Timestamp,
    /// Time since the recording's monotonic start.
    pub at: Duration,
}

/// A checkpoint that was written. It must not leave the gateway before a
/// [`Syncer`] has covered its position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// The signed note for client and witness.
    pub note: String,
    /// Behind the checkpoint's frame.
    pub position: Position,
}

/// A finished recording; all of it is on stable storage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// The final signed note.
    pub note: String,
    /// The file's length and frames.
    pub position: Position,
    /// RFC 6962 tree hash that the final checkpoint signs.
    pub root: [u8; 32],
    /// Leaf hash of the header.
    pub header_hash: [u8; 32],
    /// Bytes that passed the taps.
    pub totals: Totals,
}

/// Why a recording can't go on. The gateway is to blame, or its disk; in
/// every case no further byte may pass.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The storage failed.
    #[error("{doing} the recording failed: {source}")]
    Storage {
        /// What was being done: `writing`, `syncing`, `reserving` ...
        doing: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// It failed before.
    #[error("the recording has failed before")]
    Poisoned,
    /// There is no room for more than the end; the recording can be finished.
    #[error("there is no room for more of the recording: {0}")]
    Full(Arc<io::Error>),
    /// The header can't be written.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// The recipients can't be used.
    #[error(transparent)]
    Recipients(#[from] RecipientError),
    /// A checkpoint can't be signed.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The cryptographic library refused.
    #[error(transparent)]
    Crypto(#[from] CryptoError),
    /// Entries do not follow on those before.
    #[error(transparent)]
    Entries(#[from] BatchError),
    /// An event is larger than [`MAX_EVENT`], or the end than a frame.
    #[error("an event is too large to be recorded")]
    TooLarge,
    /// A time lies more than 584 years after the start.
    #[error("a time can't be recorded")]
    Time,
}

/// Writes one recording; used by one thread.
pub struct Writer<S> {
    storage: S,
    assembly: Assembly,
    signer: Arc<SigningKey>,
    header: Header,
    header_hash: [u8; 32],
    taps: Taps,
    totals: Totals,
    index: Index,
    cbor: Vec<u8>,
    reserve: Reserve,
    shared: Arc<Shared>,
}

/// Space that is reserved for the recording.
enum Reserve {
    /// The storage can't reserve.
    Unsupported,
    /// There is space up to `end`; it grows by `step`.
    Until { end: u64, step: u64 },
    /// It can't grow any more.
    Exhausted { why: Arc<io::Error> },
}

/// What the writer and its syncers know of one another.
#[derive(Debug, Default)]
struct Shared {
    poisoned: AtomicBool,
    written: Mutex<Position>,
    /// Held while syncing: of two syncs at a time the kernel would tell only
    /// one that a write was lost.
    syncing: Mutex<()>,
}

impl<S: Storage> Writer<S> {
    /// Begins a recording: header, wrapped key and a first checkpoint, all on
    /// stable storage when this returns.
    ///
    /// # Errors
    /// See [`RecordError`]; the storage then holds nothing of worth.
    pub fn create(mut storage: S, opening: Opening<'_>) -> Result<Self, RecordError> {
        let key = FileKey::random()?;
        let header = Header {
            mode: opening.mode,
            session: opening.session,
            started_wall: opening.started_wall,
            started_mono: opening.started_mono,
            log: opening.log,
            key_commitment: key.commitment(&opening.session)?,
            recipients_hash: recipient::hash(opening.recipients),
            key_id: opening.signer.public().id(),
            key_name: opening.signer.public().name().to_owned(),
        };
        let bytes = header::encode(&header, &recipient::wrap(&key, opening.recipients)?)?;
        let head = header::parse(&bytes)?;
        let ratchet = Ratchet::new(&key, &header.session)?;
        let step = opening.reserve.max(MIN_RESERVE);
        let reserve = match storage.allocate(step).map_err(failed("reserving space for"))? {
            Allocation::Reserved => Reserve::Until { end: step, step },
            Allocation::Unsupported => Reserve::Unsupported,
        };
        let mut writer = Self {
            storage,
            assembly: Assembly::new(&head, bytes, ratchet),
            signer: opening.signer,
            header,
            header_hash: head.hash,
            taps: Taps::default(),
            totals: Totals::default(),
            index: Index::new(),
            cbor: Vec::new(),
            reserve,
            shared: Arc::default(),
        };
        writer.checkpoint(Moment { wall: opening.started_wall, at: Duration::ZERO })?;
        writer.syncer()?.sync()?;
        Ok(writer)
    }

    /// The recording's header.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Leaf hash of the header, as the site log keeps it.
    pub fn header_hash(&self) -> [u8; 32] {
        self.header_hash
    }

    /// Where the file ends now.
    pub fn position(&self) -> Position {
        self.shared.written()
    }

    /// Appends entries by one write. When it returns they survive the end of
    /// this process; a [`Syncer`] makes them survive the machine's.
    ///
    /// # Errors
    /// [`RecordError::Full`] leaves the recording as it was, ready to be
    /// finished. After any other error nothing works any more.
    pub fn append(&mut self, entries: &[Entry]) -> Result<Position, RecordError> {
        self.make_room(entries)?;
        self.guarded(|writer| {
            writer.pack(entries)?;
            writer.write()
        })
    }

    /// Appends entries and a checkpoint over them by one write.
    ///
    /// # Errors
    /// As [`Writer::append`].
    pub fn append_signed(&mut self, entries: &[Entry], now: Moment) -> Result<Checkpoint, RecordError> {
        self.make_room(entries)?;
        self.guarded(|writer| {
            writer.pack(entries)?;
            writer.sign(now)
        })
    }

    /// Signs all that was written and moves on to the next epoch's keys.
    ///
    /// # Errors
    /// As [`Writer::append`].
    pub fn checkpoint(&mut self, now: Moment) -> Result<Checkpoint, RecordError> {
        self.append_signed(&[], now)
    }

    /// Ends the recording: end frame and final checkpoint, synced, and the
    /// reserved space given back. It blocks until the disk has it.
    ///
    /// # Errors
    /// See [`RecordError`]; the file then verifies as ended uncleanly.
    pub fn finish(mut self, now: Moment, reason: &str) -> Result<Sealed, RecordError> {
        self.guarded(|writer| {
            let end = End {
                at: nanoseconds(now.at)?,
                reason: reason.to_owned(),
                totals: writer.totals,
                marks: writer.index.marks().to_vec(),
            };
            let mut cbor = Vec::new();
            ciborium::into_writer(&end, &mut cbor).map_err(|_| RecordError::TooLarge)?;
            writer.assembly.end(&cbor)?;
            let signed = writer.assembly.checkpoint(now.wall, &writer.signer)?;
            let position = writer.write()?;
            let syncer = writer.syncer()?;
            syncer.sync()?;
            writer.storage.truncate(position.bytes).map_err(failed("closing"))?;
            syncer.sync()?;
            let (root, header_hash, totals) = (signed.root, writer.header_hash, writer.totals);
            Ok(Sealed { note: signed.note, position, root, header_hash, totals })
        })
    }

    /// A handle that syncs this recording from another thread.
    ///
    /// # Errors
    /// [`RecordError::Storage`] where the system gives no second handle.
    pub fn syncer(&self) -> Result<Syncer, RecordError> {
        let storage = self.storage.syncer().map_err(failed("syncing"))?;
        Ok(Syncer { storage, shared: Arc::clone(&self.shared) })
    }

    /// Reserves space before anything of `entries` is worked on, so that a
    /// full disk leaves a recording that can be finished.
    fn make_room(&mut self, entries: &[Entry]) -> Result<(), RecordError> {
        self.shared.check()?;
        let needed = entries.iter().map(size_bound).fold(CLOSING.saturating_mul(2), u64::saturating_add);
        let needed = self.assembly.position().bytes.saturating_add(needed);
        if needed > MAX_LENGTH {
            let why =
                io::Error::new(io::ErrorKind::FileTooLarge, "it would be longer than a recording can be");
            return Err(RecordError::Full(Arc::new(why)));
        }
        match &mut self.reserve {
            Reserve::Unsupported => Ok(()),
            Reserve::Exhausted { why } => Err(RecordError::Full(Arc::clone(why))),
            Reserve::Until { end, .. } if needed <= *end => Ok(()),
            Reserve::Until { end, step } => {
                let wanted = needed.max(end.saturating_add(*step));
                match self.storage.allocate(wanted) {
                    Ok(Allocation::Reserved) => *end = wanted,
                    Ok(Allocation::Unsupported) => self.reserve = Reserve::Unsupported,
                    Err(error) => {
                        let why = Arc::new(error);
                        self.reserve = Reserve::Exhausted { why: Arc::clone(&why) };
                        return Err(RecordError::Full(why));
                    }
                }
                Ok(())
            }
        }
    }

    /// Does `work` unless something failed before, and lets nothing happen
    /// after it failed.
    fn guarded<T>(
        &mut self,
        work: impl FnOnce(&mut Self) -> Result<T, RecordError>,
    ) -> Result<T, RecordError> {
        self.shared.check()?;
        let result = work(self);
        if result.is_err() {
            self.shared.poison();
        }
        result
    }

    fn pack(&mut self, entries: &[Entry]) -> Result<(), RecordError> {
        for entry in entries {
            let at = nanoseconds(entry.at)?;
            match &entry.body {
                Body::Bytes { channel, tap, offset, bytes } => {
                    let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
                    self.taps.advance(*channel, *tap, *offset, length)?;
                    self.totals.add(*tap, length);
                    self.assembly.bytes(at, (*channel, *tap, *offset), bytes)?;
                }
                Body::Same { channel, tap, offset, length, of, of_offset } => {
                    if *length > WINDOW || tap == of {
                        return Err(BatchError::Reference.into());
                    }
                    self.taps.reach(*channel, *of, *of_offset, *length)?;
                    self.taps.advance(*channel, *tap, *offset, (*length).into())?;
                    self.totals.add(*tap, (*length).into());
                    self.assembly.same(at, (*channel, *tap, *offset), *length, (*of, *of_offset))?;
                }
                Body::Event(event) => self.pack_event(at, event)?,
            }
        }
        self.assembly.close()
    }

    fn pack_event(&mut self, at: u64, event: &Event) -> Result<(), RecordError> {
        if !event.is_in_words_of_the_format() {
            return Err(BatchError::Event.into());
        }
        self.cbor.clear();
        ciborium::into_writer(event, &mut self.cbor).map_err(|_| RecordError::TooLarge)?;
        if self.cbor.len() > MAX_EVENT {
            return Err(RecordError::TooLarge);
        }
        self.taps.note(event);
        self.assembly.event(at, &self.cbor)
    }

    fn sign(&mut self, now: Moment) -> Result<Checkpoint, RecordError> {
        let signed = self.assembly.checkpoint(now.wall, &self.signer)?;
        self.index.add(Mark(signed.before.bytes, signed.before.frames, nanoseconds(now.at)?));
        Ok(Checkpoint { note: signed.note, position: self.write()? })
    }

    fn write(&mut self) -> Result<Position, RecordError> {
        let position = self.assembly.position();
        if !self.assembly.buffer().is_empty() {
            self.storage.write(self.assembly.buffer()).map_err(failed("writing"))?;
        }
        self.assembly.written();
        *self.shared.written.lock().unwrap_or_else(PoisonError::into_inner) = position;
        Ok(position)
    }
}

/// Brings a recording to stable storage, beside its writer.
pub struct Syncer {
    storage: Box<dyn SyncStorage>,
    shared: Arc<Shared>,
}

impl Syncer {
    /// Syncs and gives the position that is covered: all that was written
    /// when the call began.
    ///
    /// # Errors
    /// [`RecordError::Storage`] once, [`RecordError::Poisoned`] from then on;
    /// the file is not touched again.
    pub fn sync(&self) -> Result<Position, RecordError> {
        let _alone = self.shared.syncing.lock().unwrap_or_else(PoisonError::into_inner);
        self.shared.check()?;
        let position = self.shared.written();
        self.storage.sync().map_err(|source| {
            self.shared.poison();
            RecordError::Storage { doing: "syncing", source }
        })?;
        Ok(position)
    }

    /// Where the file ends now.
    pub fn written(&self) -> Position {
        self.shared.written()
    }
}

impl Shared {
    fn check(&self) -> Result<(), RecordError> {
        if self.poisoned.load(Ordering::Acquire) { Err(RecordError::Poisoned) } else { Ok(()) }
    }

    fn poison(&self) {
        self.poisoned.store(true, Ordering::Release);
    }

    fn written(&self) -> Position {
        *self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// More bytes than the entry can add to the file, its share of frame headers
/// included.
fn size_bound(entry: &Entry) -> u64 {
    let plain = match &entry.body {
        Body::Bytes { bytes, .. } => u64::try_from(bytes.len()).unwrap_or(u64::MAX),
        Body::Same { .. } => 0,
        Body::Event(event) => event.size_bound(),
    };
    // One item and frame header for every begun 32 KiB and two more.
    plain.saturating_add((plain / 32_768).saturating_add(2).saturating_mul(128))
}

fn nanoseconds(at: Duration) -> Result<u64, RecordError> {
    u64::try_from(at.as_nanos()).map_err(|_| RecordError::Time)
}

fn failed(doing: &'static str) -> impl FnOnce(io::Error) -> RecordError {
    move |source| RecordError::Storage { doing, source }
}

/// The file name of a session's recording.
pub fn file_name(session: &[u8; 16]) -> String {
    format!("{}.ghr", hex::encode(session))
}

/// A random session id.
///
/// # Errors
/// [`CryptoError`] where the system gives no randomness.
pub fn random_session() -> Result<[u8; 16], CryptoError> {
    let mut session = [0; 16];
    aws_lc_rs::rand::fill(&mut session).map_err(|_| CryptoError)?;
    Ok(session)
}
