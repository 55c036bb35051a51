//! Brings a recording to stable storage, on a thread of its own.
//!
//! A sync takes between a tenth of a millisecond and, on a bad day, seconds;
//! the data path never waits for one. There is no waiting window: each sync
//! covers whatever was written while the last one ran. After a failed sync the
//! thread reports and ends; a kernel tells of a lost write once.

use recording::{Position, Syncer};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};
use tokio::sync::watch;
use wire::SessionId;

/// Whatever brings a recording to stable storage while it is written.
pub trait Syncing {
    /// Asks for a sync of all that is written by now.
    fn ask(&self);

    /// How far the recording is on stable storage.
    ///
    /// # Errors
    /// Why a sync failed; there is none after that.
    fn reached(&self) -> Result<Position, String>;

    /// How long the sync that runs now has been running.
    fn pending_for(&self) -> Duration;

    /// Ends it after the sync that runs.
    fn stop(self);
}

/// The thread, and what it has reached.
#[derive(Debug)]
pub struct SyncThread {
    ask: SyncSender<()>,
    progress: watch::Receiver<Progress>,
    running: Running,
    thread: JoinHandle<()>,
}

#[derive(Debug, Clone, Default)]
struct Progress {
    reached: Position,
    failed: Option<String>,
}

/// Since when the sync that runs now has been running. No news for anybody
/// who waits for a sync, so it wakes nobody.
type Running = Arc<Mutex<Option<Instant>>>;

/// Tells when a recording's syncs have news.
#[derive(Debug, Clone)]
pub struct Syncs(watch::Receiver<Progress>);

impl Syncs {
    /// Those of a recording that is never synced.
    #[cfg(test)]
    pub(crate) fn none() -> Self {
        Self(watch::channel(Progress::default()).1)
    }

    /// Waits for news. A thread that is gone without a word is a failure that
    /// the tick finds; waiting here must not spin on it.
    pub async fn changed(&mut self) {
        if self.0.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

impl SyncThread {
    /// Starts the thread of one recording.
    pub(super) fn start(syncer: Syncer, id: SessionId) -> std::io::Result<Self> {
        // One waiting question is enough: it is answered by a sync that begins
        // after it was asked.
        let (ask, asked) = sync_channel(1);
        let (report, progress) = watch::channel(Progress::default());
        let running = Running::default();
        let name = format!("sync-{}", id.to_string().get(..8).unwrap_or_default());
        let shared = Arc::clone(&running);
        let thread = Builder::new().name(name).spawn(move || run(&syncer, &asked, &report, &shared))?;
        Ok(Self { ask, progress, running, thread })
    }

    /// What tells of further syncs.
    pub(super) fn news(&self) -> Syncs {
        Syncs(self.progress.clone())
    }
}

impl Syncing for SyncThread {
    fn ask(&self) {
        // Full: the question that waits covers this one too. Gone: the failure
        // that ended the thread is in the progress already.
        let _ = self.ask.try_send(());
    }

    fn reached(&self) -> Result<Position, String> {
        let progress = self.progress.borrow();
        match &progress.failed {
            Some(why) => Err(why.clone()),
            None => Ok(progress.reached),
        }
    }

    fn pending_for(&self) -> Duration {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.map_or(Duration::ZERO, |since| since.elapsed())
    }

    fn stop(self) {
        let Self { ask, thread, .. } = self;
        drop(ask);
        if thread.join().is_err() {
            tracing::error!("the thread that syncs a recording panicked");
        }
    }
}

fn run(syncer: &Syncer, asked: &Receiver<()>, report: &watch::Sender<Progress>, running: &Running) {
    let runs = |since| *running.lock().unwrap_or_else(PoisonError::into_inner) = since;
    while asked.recv().is_ok() {
        runs(Some(Instant::now()));
        let synced = syncer.sync();
        runs(None);
        let failed = synced.is_err();
        report.send_modify(|progress| match synced {
            Ok(position) => progress.reached = position,
            Err(error) => progress.failed = Some(error.to_string()),
        });
        if failed {
            return;
        }
    }
}
