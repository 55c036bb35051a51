//! The session's tape: opened before anything is dialled, written before
//! anything is sent, sealed at the end.
//!
//! [`OpenRecording`] is the proof that a session is recorded: `dial` demands
//! it. Entries are written on the data path's own thread (a hop to another
//! thread costs more than the write); syncing happens on a thread of its own
//! and comes back as tickets. After any failure the recording is never touched
//! again and the session ends.
//!
//! Order: [`open`] -> the site log's word that it knows of it ->
//! [`OpenRecording::record`] before each forward, with a ticket where a forward
//! has to wait for stable storage ->
//! [`OpenRecording::tick`] four times a second -> [`seal`]. The session's task
//! does the middle part through a [`Tape`], which keeps the order.

mod entries;
mod pulse;
#[cfg(test)]
mod simulated;
mod sync;
mod tape;

use crate::audit::Kind;
use crate::authenticate::Authenticated;
use crate::authorize::{NotOpened, Wish};
use crate::clock::Clock;
use crate::office::Office;
use crate::proxy::Ended;
use crate::site_log::{Committed, LogFailed};
use authz::Grant;
use pulse::Condemned;
pub use pulse::Pulse;
use recording::log::Sealing;
use recording::{
    Checkpoint, FileStorage, Moment, Opening, Position, RecordError, Sealed, Storage, Syncer, Writer,
};
use std::collections::VecDeque;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
pub use sync::{SyncThread, Syncing, Syncs};
pub use tape::Tape;
use tokio::time::timeout;
use wire::{Refusal, SessionId};

/// A checkpoint is written once this much time has passed since the last one
/// and there is something to sign. With the tick it stays below the second
/// that promise 5 allows.
const SIGNED_WITHIN: Duration = Duration::from_millis(700);

/// A sync that takes longer than this is a failed one.
const SYNCED_WITHIN: Duration = Duration::from_secs(5);

/// Opening or sealing a recording that takes longer than this has failed.
const DONE_WITHIN: Duration = Duration::from_secs(10);

const UNANSWERED: &str = "the disk did not answer within 10 s";

/// How often the client gets a checkpoint to keep.
const HANDED_OUT_EVERY: Duration = Duration::from_secs(10);

/// Space that is reserved for a recording at a time, in bytes.
const EXTENT: u64 = 1024 * 1024;

/// A recording that is written to. Made by [`open`] only; tests put other
/// storage and other syncing under it.
pub struct OpenRecording<S = FileStorage, Y = SyncThread> {
    writer: Writer<S>,
    syncs: Y,
    pulse: Arc<Pulse>,
    clock: Arc<dyn Clock>,
    began: jiff::Timestamp,
    started: Duration,
    waiting: VecDeque<Waiting>,
    signed: Duration,
    asked: Position,
    receipt: Receipt,
    /// The entries of one write; kept for its space.
    entries: Vec<recording::Entry>,
    standing: Standing,
}

/// Whether anything may still be written, be it the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Kept,
    GivenUp,
}

impl<S: Storage, Y> fmt::Debug for OpenRecording<S, Y> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("OpenRecording")
            .field("position", &self.writer.position())
            .finish_non_exhaustive()
    }
}

#[derive(Debug)]
struct Waiting {
    ticket: u64,
    position: Position,
    since: Duration,
}

/// The checkpoint that the client gets next, once what it covers is synced.
#[derive(Debug, Default)]
struct Receipt {
    newest: Option<Checkpoint>,
    handed_out: Duration,
}

/// A recording that the site log does not know of yet: nothing can be dialled
/// with it.
#[derive(Debug)]
pub struct Unlogged(OpenRecording);

impl Unlogged {
    /// Leaf hash of the recording's header, for the site log.
    pub fn header_hash(&self) -> [u8; 32] {
        self.0.writer.header_hash()
    }

    /// The recording, once its start is in the site log.
    pub fn logged(self, _proof: &Committed) -> OpenRecording {
        self.0
    }
}

/// What a finished session amounts to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tally {
    /// Operations decided.
    pub operations: u64,
    /// Operations denied.
    pub denied: u64,
    /// What became of the recording, in words.
    pub outcome: String,
    /// How the recording was sealed, if it was.
    pub sealed: Seal,
    /// The last checkpoint, for the client to keep.
    pub receipt: Option<String>,
    /// The head of the site log that covers the end, for the client to keep.
    pub log_head: Option<String>,
}

/// How a recording came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seal {
    /// In order, and all of it is on stable storage.
    Done(Sealing),
    /// It failed, and is not written to any more.
    Failed,
    /// The disk has not answered: it may still be written to.
    Unknown,
}

/// The name of a session's file within the recordings folder.
pub fn file_name(id: SessionId) -> String {
    recording::file_name(&id.to_bytes())
}

/// Makes the recording and brings header, key block and grant to stable
/// storage.
///
/// # Errors
/// [`NotOpened`] if that fails or the disk is too full: no tape, no session.
pub async fn open(
    office: &Arc<Office>,
    who: &Authenticated,
    grant: &Grant,
    wish: &Wish,
    id: SessionId,
) -> Result<Unlogged, NotOpened> {
    let mode = office.config.recording.mode_for(grant.target().mode);
    let started = entries::started(who, grant, wish, mode);
    let made = office.blocking(move |office| create(office, id, mode, started));
    let made = timeout(DONE_WITHIN, made).await.unwrap_or_else(|_| Err(UNANSWERED.to_owned()));
    made.map(Unlogged).map_err(|why| {
        office.audit.alarm().raise(&format!("session {id} can't be recorded: {why}"));
        let event = office.audit.event(Kind::RecorderFailed).person(who.person()).session(id).why(&why);
        office.audit.tell(&event);
        NotOpened { code: Refusal::Recorder, text: Refusal::Recorder.sentence().to_owned(), audit: why }
    })
}

/// Closes a recording that the site log could not be told of: nothing was
/// dialled with it.
pub async fn give_up(office: &Arc<Office>, recording: Unlogged, failed: &LogFailed) -> NotOpened {
    let why = failed.to_string();
    office.audit.alarm().raise(&format!("no session can begin: {why}"));
    seal(office, recording.0, &Ended::never_began(&why)).await;
    NotOpened { code: Refusal::Recorder, text: Refusal::Recorder.sentence().to_owned(), audit: why }
}

/// Seals the recording and tells what became of it. A recording that failed
/// stays as it is: nothing is ever written behind a failure.
pub async fn seal(office: &Arc<Office>, recording: OpenRecording, ended: &Ended) -> Tally {
    let (operations, denied) = (ended.counts.operations, ended.counts.denied);
    let reason = ended.text.clone();
    let sealed = timeout(DONE_WITHIN, office.blocking(move |_| recording.finish(&reason)));
    let (seal, why) = match sealed.await {
        Ok(Ok(sealed)) => {
            let outcome = format!("sealed, {} bytes", sealed.position.bytes);
            let sealing =
                Sealing { leaves: sealed.position.frames, root: sealed.root, bytes: sealed.position.bytes };
            let (receipt, sealed) = (Some(sealed.note), Seal::Done(sealing));
            return Tally { operations, denied, outcome, sealed, receipt, log_head: None };
        }
        Ok(Err(why)) => (Seal::Failed, why),
        Err(_) => (Seal::Unknown, UNANSWERED.to_owned()),
    };
    office.audit.alarm().raise(&format!("a recording could not be sealed: {why}"));
    let outcome = format!("not sealed: {why}");
    Tally { operations, denied, outcome, sealed: seal, receipt: None, log_head: None }
}

/// Why a recording could not be made.
#[derive(Debug, thiserror::Error)]
enum OpenError {
    #[error("{path}: {source}", path = .path.display())]
    File { path: PathBuf, source: std::io::Error },
    #[error("only {free} bytes are free for recordings in {path}; {reserve} must stay free", path = .path.display())]
    Space { path: PathBuf, free: u64, reserve: u64 },
    #[error(transparent)]
    Record(#[from] RecordError),
    #[error("the thread for syncing can't be started: {0}")]
    Thread(std::io::Error),
}

fn create(
    office: &Office,
    id: SessionId,
    mode: authz::Mode,
    begins: recording::Started,
) -> Result<OpenRecording, OpenError> {
    let settings = &office.config.recording;
    enough_space(&settings.dir, settings.space.reserve)?;
    let path = settings.dir.join(file_name(id));
    let storage = FileStorage::create(&path).map_err(|source| OpenError::File { path, source })?;
    let clock = Arc::clone(&office.clock);
    let opening = Opening {
        session: id.to_bytes(),
        mode: entries::mode(mode),
        log: office.log.position(),
        started_wall: clock.wall(),
        started_mono: clock.monotonic(),
        recipients: &settings.recipients,
        signer: Arc::clone(&settings.signing_key),
        reserve: EXTENT,
    };
    OpenRecording::begin(storage, opening, clock, begins, |syncer| SyncThread::start(syncer, id))
}

fn enough_space(dir: &std::path::Path, reserve: u64) -> Result<(), OpenError> {
    let seen = crate::space::free(dir);
    let free = seen.map_err(|source| OpenError::File { path: dir.to_owned(), source })?;
    if free < reserve.saturating_add(EXTENT) {
        return Err(OpenError::Space { path: dir.to_owned(), free, reserve });
    }
    Ok(())
}

/// Why a recording stopped being one.
#[derive(Debug, thiserror::Error)]
pub enum RecordFailure {
    /// The writer failed; it never writes again.
    #[error(transparent)]
    Write(#[from] RecordError),
    /// The sync thread reported a failure.
    #[error("{0}")]
    Sync(String),
    /// Stable storage answers too slowly.
    #[error("a sync has not returned for {} s", SYNCED_WITHIN.as_secs())]
    Slow,
    /// A write took too long; it counts as failed although it came back.
    #[error("a write took longer than 5 s")]
    SlowWrite,
    /// It failed before, so its end is not written either.
    #[error("it failed before")]
    GivenUp,
}

impl RecordFailure {
    /// Whether the recording can still be closed: nothing was written, and
    /// the space for its end is reserved.
    fn leaves_it_whole(&self) -> bool {
        matches!(self, Self::Write(RecordError::Full(_)))
    }
}

impl From<Condemned> for RecordFailure {
    fn from(_: Condemned) -> Self {
        Self::SlowWrite
    }
}

impl<S: Storage, Y: Syncing> OpenRecording<S, Y> {
    /// Header, key block and grant, all on stable storage when it returns;
    /// `start` begins the syncing of what follows.
    fn begin(
        storage: S,
        opening: Opening<'_>,
        clock: Arc<dyn Clock>,
        begins: recording::Started,
        start: impl FnOnce(Syncer) -> std::io::Result<Y>,
    ) -> Result<Self, OpenError> {
        let (began, started) = (opening.started_wall, opening.started_mono);
        let mut writer = Writer::create(storage, opening)?;
        let first = recording::Entry {
            at: Duration::ZERO,
            body: recording::Body::Event(recording::Event::Started(Box::new(begins))),
        };
        let moment = Moment { wall: clock.wall(), at: clock.monotonic().saturating_sub(started) };
        let signed = writer.append_signed(&[first], moment)?;
        let syncer = writer.syncer()?;
        syncer.sync()?;
        Ok(Self {
            writer,
            syncs: start(syncer).map_err(OpenError::Thread)?,
            pulse: Arc::default(),
            clock,
            began,
            started,
            waiting: VecDeque::new(),
            signed: Duration::ZERO,
            asked: signed.position,
            receipt: Receipt { newest: Some(signed), handed_out: Duration::ZERO },
            entries: Vec::new(),
            standing: Standing::Kept,
        })
    }

    /// Tells a watchdog of writes that are under way.
    pub fn pulse(&self) -> &Arc<Pulse> {
        &self.pulse
    }

    /// When it began, as its header says: what is judged by this and
    /// [`OpenRecording::now`] is judged the same again from the recording.
    pub fn began(&self) -> jiff::Timestamp {
        self.began
    }

    /// Time since the recording began.
    pub fn now(&self) -> Duration {
        self.clock.monotonic().saturating_sub(self.started)
    }

    /// Writes entries. When it returns, they survive the end of the process.
    ///
    /// With a ticket, a checkpoint is written behind them and a sync asked
    /// for; the ticket comes out of [`OpenRecording::durable`] when all of that
    /// is on stable storage.
    ///
    /// # Errors
    /// [`RecordFailure`]: nothing may go out any more.
    pub fn record(
        &mut self,
        entries: &mut Vec<session::Entry>,
        ticket: Option<u64>,
    ) -> Result<(), RecordFailure> {
        let mut written = std::mem::take(&mut self.entries);
        written.extend(entries.drain(..).map(entries::entry));
        match ticket {
            None if written.is_empty() => {}
            None => {
                let Self { writer, pulse, .. } = self;
                pulse.around(|| writer.append(&written))??;
            }
            Some(ticket) => {
                let position = self.sign(&written)?;
                self.waiting.push_back(Waiting { ticket, position, since: self.now() });
                self.ask();
            }
        }
        written.clear();
        self.entries = written;
        Ok(())
    }

    /// The newest of the tickets that became durable since it was last asked.
    ///
    /// # Errors
    /// [`RecordFailure`] when a sync failed: it is never tried again.
    pub fn durable(&mut self) -> Result<Option<u64>, RecordFailure> {
        let reached = self.syncs.reached().map_err(RecordFailure::Sync)?;
        let mut newest = None;
        while self.waiting.front().is_some_and(|waiting| waiting.position <= reached) {
            newest = self.waiting.pop_front().map(|waiting| waiting.ticket);
        }
        Ok(newest)
    }

    /// Four times a second: signs and syncs what has come, watches the disk.
    ///
    /// # Errors
    /// [`RecordFailure`]: nothing may go out any more.
    pub fn tick(&mut self) -> Result<(), RecordFailure> {
        let now = self.now();
        self.syncs.reached().map_err(RecordFailure::Sync)?;
        let waited = self.waiting.front().map(|waiting| now.saturating_sub(waiting.since));
        if waited.is_some_and(|waited| waited > SYNCED_WITHIN) || self.syncs.pending_for() > SYNCED_WITHIN {
            return Err(RecordFailure::Slow);
        }
        let written = self.writer.position();
        if written != self.asked {
            if now.saturating_sub(self.signed) >= SIGNED_WITHIN {
                self.sign(&[])?;
            }
            self.ask();
        }
        Ok(())
    }

    /// A checkpoint for the client to keep, at most every ten seconds and only
    /// once what it covers is on stable storage.
    pub fn receipt(&mut self) -> Option<String> {
        let due = self.now().saturating_sub(self.receipt.handed_out) >= HANDED_OUT_EVERY;
        let reached = self.syncs.reached().ok()?;
        if !due || self.receipt.newest.as_ref()?.position > reached {
            return None;
        }
        self.receipt.handed_out = self.now();
        self.receipt.newest.take().map(|checkpoint| checkpoint.note)
    }

    fn sign(&mut self, entries: &[recording::Entry]) -> Result<Position, RecordFailure> {
        let now = self.now();
        let Self { writer, pulse, clock, .. } = self;
        let moment = Moment { wall: clock.wall(), at: now };
        let signed = pulse.around(|| writer.append_signed(entries, moment))??;
        let position = signed.position;
        self.signed = now;
        self.receipt.newest = Some(signed);
        Ok(position)
    }

    fn ask(&mut self) {
        self.asked = self.writer.position();
        self.syncs.ask();
    }

    /// What failed is not touched again, whatever the disk does later.
    fn give_up(&mut self) {
        self.standing = Standing::GivenUp;
    }

    fn finish(self, reason: &str) -> Result<Sealed, RecordFailure> {
        let at = self.now();
        let Self { writer, syncs, clock, standing, .. } = self;
        if standing == Standing::GivenUp {
            // Its thread may hang in a sync: it ends when it can.
            return Err(RecordFailure::GivenUp);
        }
        // The thread ends first, so that the last sync is the writer's own.
        syncs.stop();
        Ok(writer.finish(Moment { wall: clock.wall(), at }, reason)?)
    }
}

impl<S: Storage> OpenRecording<S> {
    /// What tells when [`OpenRecording::durable`] has news.
    pub fn syncs(&self) -> Syncs {
        self.syncs.news()
    }
}
