//! Gives signed heads of the log to a witness: a folder, best on another
//! machine or medium.
//!
//! Each head is a new file named after its size, so that a medium which can be
//! written once serves as well. A folder that fails or hangs holds nothing up:
//! it has a thread of its own, and what it misses is told as an alarm. But a
//! witness that knows a later head than the log is a reason not to go on: two
//! histories would be signed.

use crate::audit::Alarm;
use recording::log::{LogCheckpoint, LogHead, MAX_RECEIPT};
use recording::{LogPosition, PublicKey};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

/// Time between two heads for the witness, at least.
const EVERY: Duration = Duration::from_secs(10);

/// A write that takes longer than this is told.
const WRITTEN_WITHIN: Duration = Duration::from_secs(60);

/// How long the end of the gateway waits for the last head.
const LAST_WITHIN: Duration = Duration::from_secs(5);

/// The ending of a head's file.
const ENDING: &str = "checkpoint";

/// The witness's thread.
#[derive(Debug)]
pub(super) struct Witness {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// Where the log's thread leaves heads.
#[derive(Debug, Clone)]
pub(super) struct Offer(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    folder: PathBuf,
    desk: Mutex<Desk>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Desk {
    newest: Option<LogCheckpoint>,
    writing: Option<Instant>,
    trouble: Option<String>,
    told: Option<String>,
    end: End,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum End {
    #[default]
    Open,
    Wanted,
    Reached,
}

impl Offer {
    pub(super) fn newest(&self, head: &LogCheckpoint) {
        lock(&self.0.desk).newest = Some(head.clone());
        self.0.changed.notify_all();
    }
}

impl Witness {
    /// Looks at what the witness has, and starts its thread.
    ///
    /// # Errors
    /// In words, where the witness holds a head that this log does not lead
    /// to. A folder that can't be read is an alarm.
    pub(super) fn start(
        folder: &Path,
        key: &PublicKey,
        newest: &LogCheckpoint,
        alarm: Alarm,
    ) -> Result<Self, String> {
        match later(folder, key, &newest.position) {
            Ok(None) => {}
            Ok(Some(path)) => {
                return Err(knows_more(&path));
            }
            Err(error) => alarm.raise(&format!("the witness {} can't be read: {error}", folder.display())),
        }
        let shared =
            Arc::new(Shared { folder: folder.to_owned(), desk: Mutex::default(), changed: Condvar::new() });
        let work = Arc::clone(&shared);
        let thread = Builder::new().name("witness".to_owned()).spawn(move || work.run(&alarm));
        let thread = thread.map_err(|error| error.to_string())?;
        Ok(Self { shared, thread: Mutex::new(Some(thread)) })
    }

    pub(super) fn offer(&self) -> Offer {
        Offer(Arc::clone(&self.shared))
    }

    /// What is wrong, once for each trouble.
    pub(super) fn trouble(&self) -> Option<String> {
        let mut desk = lock(&self.shared.desk);
        let slow = desk.writing.is_some_and(|since| since.elapsed() > WRITTEN_WITHIN);
        let trouble = if slow { Some("a write does not return".to_owned()) } else { desk.trouble.clone() };
        if trouble == desk.told {
            return None;
        }
        desk.told.clone_from(&trouble);
        trouble.map(|trouble| format!("the witness {}: {trouble}", self.shared.folder.display()))
    }

    /// Lets the last head be written, and does not wait for a folder that
    /// hangs.
    pub(super) fn close(&self) {
        let Some(thread) = lock(&self.thread).take() else { return };
        let mut desk = lock(&self.shared.desk);
        desk.end = End::Wanted;
        self.shared.changed.notify_all();
        let open = |desk: &mut Desk| desk.end != End::Reached;
        let waited = self.shared.changed.wait_timeout_while(desk, LAST_WITHIN, open);
        let (desk, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let reached = desk.end == End::Reached;
        drop(desk);
        if reached && thread.join().is_err() {
            tracing::error!("the thread of the witness panicked");
        }
    }
}

impl Shared {
    fn run(&self, alarm: &Alarm) {
        while let Some(head) = self.next() {
            lock(&self.desk).writing = Some(Instant::now());
            let written = write(&self.folder, &head);
            let mut desk = lock(&self.desk);
            desk.writing = None;
            let before = desk.trouble.take();
            if let Err(error) = written {
                let trouble = error.to_string();
                if before.as_ref() != Some(&trouble) {
                    alarm.raise(&format!("the witness {} got no head: {trouble}", self.folder.display()));
                }
                desk.trouble = Some(trouble);
                // Tried again with the next head, or with this one.
                desk.newest.get_or_insert(head);
            }
            let open = |desk: &mut Desk| desk.end == End::Open;
            let waited = self.changed.wait_timeout_while(desk, EVERY, open);
            let (mut desk, _) = waited.unwrap_or_else(PoisonError::into_inner);
            if desk.end == End::Wanted && desk.trouble.is_some() {
                desk.newest = None;
            }
        }
        lock(&self.desk).end = End::Reached;
        self.changed.notify_all();
    }

    fn next(&self) -> Option<LogCheckpoint> {
        let idle = |desk: &mut Desk| desk.newest.is_none() && desk.end == End::Open;
        let waited = self.changed.wait_while(lock(&self.desk), idle);
        waited.unwrap_or_else(PoisonError::into_inner).newest.take()
    }
}

/// Where a head's file is; in the order of names the last is the newest.
fn path_of(folder: &Path, head: &LogCheckpoint) -> PathBuf {
    folder.join(format!("{:020}.{ENDING}", head.position.size))
}

/// Writes a head to a new file, whole or not at all under its name.
fn write(folder: &Path, head: &LogCheckpoint) -> io::Result<()> {
    let path = path_of(folder, head);
    if fs::read(&path).is_ok_and(|there| there == head.note.as_bytes()) {
        return Ok(());
    }
    let beside = path.with_extension("new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).open(&beside)?;
    file.write_all(head.note.as_bytes())?;
    file.sync_all()?;
    fs::rename(&beside, &path)
}

pub(super) fn knows_more(path: &Path) -> String {
    format!("the witness knows a later history: {}", path.display())
}

/// A genuine head of this log in the folder that is later than `newest`.
pub(super) fn later(folder: &Path, key: &PublicKey, newest: &LogPosition) -> io::Result<Option<PathBuf>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|ending| ending == ENDING) {
            names.push(path);
        }
    }
    names.sort();
    // The newest few: a forged name can't hide a genuine one behind it.
    for path in names.into_iter().rev().take(64) {
        let mut note = Vec::new();
        let most = u64::try_from(MAX_RECEIPT).unwrap_or(u64::MAX);
        File::open(&path)?.take(most).read_to_end(&mut note)?;
        let Ok(head) = LogHead::verify(&note, key) else { continue };
        let ours = head.log.origin() == newest.origin;
        let fork = head.size == newest.size && head.root != newest.root;
        if ours && (head.size > newest.size || fork) {
            return Ok(Some(path));
        }
    }
    Ok(None)
}

/// A poisoned lock here guards plain values: whole at any moment.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
