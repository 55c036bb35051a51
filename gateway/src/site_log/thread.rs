//! The log's thread and the queue in front of it.

use super::LogFailed;
use super::witness::{Offer, Witness};
use crate::audit::Alarm;
use crate::clock::Clock;
use jiff::Timestamp;
use recording::log::{LogCheckpoint, LogEntry, LogError, LogStorage, LogSyncer, LogWriter};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// Most entries that may wait; a log that falls so far behind has failed.
const WAITING: usize = 16_384;

/// Most entries under one signed head.
const GROUP: usize = 4096;

/// How far the log is, for whoever waits or hands out heads.
#[derive(Debug, Clone)]
pub(super) struct Progress {
    /// Entries put into the queue that are on stable storage.
    pub(super) durable: u64,
    /// The newest head whose entries are on stable storage.
    pub(super) newest: LogCheckpoint,
    /// Since when the present write and sync run.
    pub(super) running: Option<Instant>,
    /// Why nothing is entered any more.
    pub(super) failed: Option<LogFailed>,
}

/// What waits to be written.
#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    changed: Condvar,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug, Default)]
struct Waiting {
    entries: Vec<(Timestamp, LogEntry)>,
    /// Entries that were ever put in, and of those the durable ones.
    put: u64,
    durable: u64,
    state: State,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Open,
    Closed,
    Failed(LogFailed),
}

impl State {
    fn refusal(&self) -> Option<LogFailed> {
        match self {
            Self::Open => None,
            Self::Closed => Some(LogFailed::Closed),
            Self::Failed(failed) => Some(failed.clone()),
        }
    }
}

impl Queue {
    /// Puts an entry in and gives its ticket.
    pub(super) fn put(&self, at: Timestamp, entry: LogEntry) -> Result<u64, LogFailed> {
        let mut waiting = lock(&self.waiting);
        if let Some(refusal) = waiting.state.refusal() {
            return Err(refusal);
        }
        if waiting.entries.len() >= WAITING {
            waiting.state = State::Failed(LogFailed::Full);
            self.changed.notify_all();
            return Err(LogFailed::Full);
        }
        waiting.entries.push((at, entry));
        waiting.put = waiting.put.saturating_add(1);
        self.changed.notify_all();
        Ok(waiting.put)
    }

    /// Blocks until a ticket is durable.
    pub(super) fn wait_for(&self, ticket: u64, within: Duration) -> Result<(), LogFailed> {
        let waiting = lock(&self.waiting);
        let open =
            |waiting: &mut Waiting| waiting.durable < ticket && !matches!(waiting.state, State::Failed(_));
        let waited = self.changed.wait_timeout_while(waiting, within, open);
        let (waiting, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if waiting.durable >= ticket {
            return Ok(());
        }
        match &waiting.state {
            State::Failed(failed) => Err(failed.clone()),
            State::Open | State::Closed => Err(LogFailed::Slow),
        }
    }

    /// Nothing is taken in any more.
    pub(super) fn fail(&self, why: &LogFailed) {
        let mut waiting = lock(&self.waiting);
        if matches!(waiting.state, State::Open) {
            waiting.state = State::Failed(why.clone());
            self.changed.notify_all();
        }
    }

    /// Why nothing is taken in, unless it was closed in order.
    pub(super) fn failure(&self) -> Option<LogFailed> {
        match &lock(&self.waiting).state {
            State::Failed(failed) => Some(failed.clone()),
            State::Open | State::Closed => None,
        }
    }

    /// Takes nothing more in, and waits until what is in is written.
    pub(super) fn close(&self) {
        {
            let mut waiting = lock(&self.waiting);
            if matches!(waiting.state, State::Open) {
                waiting.state = State::Closed;
            }
            self.changed.notify_all();
        }
        if let Some(thread) = lock(&self.thread).take()
            && thread.join().is_err()
        {
            tracing::error!("the thread of the site log panicked");
        }
    }

    /// Waits for entries; `None` when there will be no more.
    fn take(&self) -> Option<Vec<(Timestamp, LogEntry)>> {
        let idle = |waiting: &mut Waiting| waiting.entries.is_empty() && matches!(waiting.state, State::Open);
        let waited = self.changed.wait_while(lock(&self.waiting), idle);
        let mut waiting = waited.unwrap_or_else(PoisonError::into_inner);
        if waiting.entries.is_empty() || matches!(waiting.state, State::Failed(_)) {
            return None;
        }
        let count = waiting.entries.len().min(GROUP);
        Some(waiting.entries.drain(..count).collect())
    }

    fn reached(&self, durable: u64) {
        lock(&self.waiting).durable = durable;
        self.changed.notify_all();
    }
}

/// Starts the thread that owns the log.
pub(super) fn start<S: LogStorage + 'static>(
    writer: LogWriter<S>,
    clock: Arc<dyn Clock>,
    alarm: Alarm,
    witness: Option<&Witness>,
) -> std::io::Result<(Arc<Queue>, watch::Receiver<Progress>)> {
    let syncer = writer.syncer().map_err(std::io::Error::other)?;
    let newest = writer.newest().clone();
    let offer = witness.map(Witness::offer);
    if let Some(offer) = &offer {
        offer.newest(&newest);
    }
    let (report, progress) = watch::channel(Progress { durable: 0, newest, running: None, failed: None });
    let queue = Arc::new(Queue::default());
    let mut work = Work { queue: Arc::clone(&queue), writer, syncer, clock, alarm, offer, report };
    let thread = Builder::new().name("site-log".to_owned()).spawn(move || work.run())?;
    *lock(&queue.thread) = Some(thread);
    Ok((queue, progress))
}

struct Work<S> {
    queue: Arc<Queue>,
    writer: LogWriter<S>,
    syncer: LogSyncer,
    clock: Arc<dyn Clock>,
    alarm: Alarm,
    offer: Option<Offer>,
    report: watch::Sender<Progress>,
}

impl<S: LogStorage> Work<S> {
    fn run(&mut self) {
        while let Some(group) = self.queue.take() {
            self.report.send_modify(|progress| progress.running = Some(Instant::now()));
            let written = self.write(&group);
            match written {
                Ok(newest) => self.publish(newest, group.len()),
                Err(error) => return self.fail(error),
            }
        }
    }

    fn write(&mut self, group: &[(Timestamp, LogEntry)]) -> Result<LogCheckpoint, LogError> {
        let newest = self.writer.append(group, self.clock.wall())?;
        self.syncer.sync()?;
        Ok(newest)
    }

    /// What was written is on stable storage: only now its head may go out.
    fn publish(&self, newest: LogCheckpoint, count: usize) {
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        let durable = self.report.borrow().durable.saturating_add(count);
        if let Some(offer) = &self.offer {
            offer.newest(&newest);
        }
        self.report.send_modify(|progress| {
            progress.running = None;
            progress.durable = durable;
            progress.newest = newest;
        });
        // Last, so that whoever waited for it finds it in the newest head.
        self.queue.reached(durable);
    }

    fn fail(&self, error: LogError) {
        let failed = LogFailed::from(error);
        self.alarm.raise(&format!("{failed}; no new session begins, those that run are ended"));
        self.queue.fail(&failed);
        self.report.send_modify(|progress| {
            progress.running = None;
            progress.failed = Some(failed);
        });
    }
}

/// A poisoned lock here guards a list and counts: whole at any moment.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;
    use crate::fixture::noon;
    use recording::log::LogHead;
    use recording::{Allocation, SigningKey, Storage, SyncStorage};
    use std::io::{self, Cursor};

    /// A disk in memory that knows what a power failure would leave.
    #[derive(Debug, Clone, Default)]
    struct Disk(Arc<Mutex<Platter>>);

    #[derive(Debug, Default)]
    struct Platter {
        written: Vec<u8>,
        synced: Vec<u8>,
        syncs: u32,
        /// Syncs fail from this one on.
        broken_from: Option<u32>,
    }

    impl LogStorage for Disk {
        fn rewind(&mut self, length: u64) {
            lock(&self.0).written.truncate(usize::try_from(length).unwrap());
        }
    }

    impl Storage for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
            lock(&self.0).written.extend_from_slice(bytes);
            Ok(())
        }

        fn allocate(&mut self, _: u64) -> io::Result<Allocation> {
            Ok(Allocation::Unsupported)
        }

        fn truncate(&mut self, _: u64) -> io::Result<()> {
            Ok(())
        }

        fn syncer(&self) -> io::Result<Box<dyn SyncStorage>> {
            Ok(Box::new(self.clone()))
        }
    }

    impl SyncStorage for Disk {
        fn sync(&self) -> io::Result<()> {
            let mut platter = lock(&self.0);
            platter.syncs += 1;
            if platter.broken_from.is_some_and(|from| platter.syncs >= from) {
                return Err(io::Error::other("the disk is gone"));
            }
            platter.synced = platter.written.clone();
            Ok(())
        }
    }

    fn begun(disk: &Disk) -> (Arc<Queue>, watch::Receiver<Progress>) {
        let key = Arc::new(SigningKey::generate("plant").unwrap());
        let (writer, _) = LogWriter::open(disk.clone(), Cursor::new(Vec::new()), key, noon()).unwrap();
        start(writer, Arc::new(ManualClock::at(noon())), Alarm::to_log(), None).unwrap()
    }

    fn heartbeat() -> LogEntry {
        LogEntry::Heartbeat { sessions: 0 }
    }

    #[test]
    fn no_head_is_handed_out_before_what_it_covers_is_synced() {
        let disk = Disk::default();
        let (queue, progress) = begun(&disk);
        for _ in 0..50 {
            let ticket = queue.put(noon(), heartbeat()).unwrap();
            queue.wait_for(ticket, Duration::from_secs(60)).unwrap();
            let synced = lock(&disk.0).synced.clone();
            let head = progress.borrow().newest.clone();
            let end = usize::try_from(head.bytes).unwrap();
            assert!(synced[..end].ends_with(head.note.as_bytes()), "{} bytes are synced", synced.len());
        }
        queue.close();
    }

    #[test]
    fn a_failed_sync_hands_nothing_out_and_is_never_tried_again() {
        let disk = Disk::default();
        let (queue, progress) = begun(&disk);
        let before = progress.borrow().newest.clone();
        let syncs = {
            let mut platter = lock(&disk.0);
            platter.broken_from = Some(platter.syncs + 1);
            platter.syncs
        };
        let ticket = queue.put(noon(), heartbeat()).unwrap();
        let waited = queue.wait_for(ticket, Duration::from_secs(60));
        assert!(matches!(waited, Err(LogFailed::Failed(_))), "{waited:?}");
        assert!(queue.put(noon(), heartbeat()).is_err());
        queue.close();
        assert_eq!(progress.borrow().newest, before);
        assert!(progress.borrow().failed.is_some());
        assert_eq!(lock(&disk.0).syncs, syncs + 1);
        let said = LogHead::unverified(&before.note).unwrap();
        assert_eq!(said.size, before.position.size);
    }

    #[test]
    fn a_log_that_falls_too_far_behind_has_failed() {
        let queue = Queue::default();
        for _ in 0..WAITING {
            queue.put(noon(), heartbeat()).unwrap();
        }
        assert!(matches!(queue.put(noon(), heartbeat()), Err(LogFailed::Full)));
        assert!(matches!(queue.failure(), Some(LogFailed::Full)));
    }
}
