//! The audit file's thread and the queue in front of it.
//!
//! Lines go to the file in the order in which they were told, each by one
//! write; behind it its entry goes to the site log. Nobody but this thread
//! touches the file, so that a disk which hangs holds up nobody who only tells.
//!
//! When a write fails, or more waits than ever should, lines are lost. They
//! are counted, an alarm is raised once, and as soon as the file takes lines
//! again one says how many are missing. A line that is waited for and not
//! written in time is an error to who waits: what it was about doesn't happen.

use super::Alarm;
use super::{Event, Kind, prepared};
use crate::clock::Clock;
use crate::site_log::SiteLog;
use jiff::Timestamp;
use recording::log::LogEntry;
use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Write};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

/// Most lines that may wait, each of some kilobytes at most.
const WAITING: usize = 4096;

/// A line that is waited for longer than this is not written in time, and a
/// disk that takes none for so long hangs.
const WRITTEN_WITHIN: Duration = Duration::from_secs(5);

/// One event, ready for the file.
#[derive(Debug)]
pub(super) struct Line {
    /// When it happened.
    pub(super) at: Timestamp,
    /// Its JSON and a newline.
    pub(super) text: String,
    /// What the site log gets of it.
    pub(super) entry: Option<LogEntry>,
}

/// What the lines are written to.
trait Sink: Send + 'static {
    fn append(&mut self, line: &[u8]) -> io::Result<()>;
    fn sync(&mut self) -> io::Result<()>;
}

impl Sink for File {
    fn append(&mut self, line: &[u8]) -> io::Result<()> {
        self.write_all(line)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }
}

type Outcome = Result<(), String>;

/// Whom the outcome is told.
type Answer = Box<dyn FnOnce(Outcome) + Send>;

/// The queue's side of the thread.
pub(super) struct Lines {
    queue: Arc<Queue>,
    alarm: Alarm,
    name: String,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Default)]
struct Queue {
    desk: Mutex<Desk>,
    changed: Condvar,
}

#[derive(Default)]
struct Desk {
    waiting: VecDeque<(Line, Option<Answer>)>,
    /// Lines that never got to the file and that no line has told of.
    lost: u64,
    /// Since when the present write or sync runs.
    running: Option<Instant>,
    sync: Wish,
    hang: Told,
    full: Told,
    end: End,
    /// Why the last sync failed, or the file's last write.
    trouble: Option<String>,
}

#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum Wish {
    #[default]
    None,
    Wanted,
}

/// Whether people were told of a trouble.
#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum Told {
    #[default]
    Not,
    Once,
}

#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum End {
    #[default]
    Open,
    Wanted,
    Reached,
}

impl std::fmt::Debug for Lines {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Lines({})", self.name)
    }
}

impl Lines {
    pub(super) fn start(
        file: File,
        name: String,
        clock: Arc<dyn Clock>,
        alarm: Alarm,
        log: Option<Arc<SiteLog>>,
    ) -> io::Result<Self> {
        Self::start_on(file, name, clock, alarm, log)
    }

    fn start_on(
        sink: impl Sink,
        name: String,
        clock: Arc<dyn Clock>,
        alarm: Alarm,
        log: Option<Arc<SiteLog>>,
    ) -> io::Result<Self> {
        let queue = Arc::new(Queue::default());
        let mut work = Work {
            queue: Arc::clone(&queue),
            sink,
            name: name.clone(),
            clock,
            alarm: alarm.clone(),
            log,
            end_of_file: Edge::Whole,
        };
        let thread = Builder::new().name("audit".to_owned()).spawn(move || work.run())?;
        Ok(Self { queue, alarm, name, thread: Mutex::new(Some(thread)) })
    }

    /// Puts a line in, whatever becomes of it.
    pub(super) fn tell(&self, line: Line) {
        let text = line.text.clone();
        if let Err(why) = self.put(line, None) {
            // The log on standard error is all that is left for it.
            tracing::error!(target: "audit", "lost ({why}): {}", text.trim_end());
        }
    }

    /// Puts a line in and waits until it is written.
    pub(super) fn write(&self, line: Line) -> Outcome {
        let (sender, answer) = sync_channel(1);
        // Nobody waits any more: it is in nobody's interest then.
        self.demand(line, Box::new(move |outcome| drop(sender.try_send(outcome))))?;
        answer.recv_timeout(WRITTEN_WITHIN).unwrap_or_else(|_| Err(too_slow()))
    }

    /// The same where a thread must not block.
    pub(super) async fn commit(&self, line: Line) -> Outcome {
        let (sender, answer) = tokio::sync::oneshot::channel();
        self.demand(line, Box::new(move |outcome| drop(sender.send(outcome))))?;
        match tokio::time::timeout(WRITTEN_WITHIN, answer).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => Err("its thread is gone".to_owned()),
            Err(_) => Err(too_slow()),
        }
    }

    pub(super) fn ask_for_sync(&self) {
        lock(&self.queue.desk).sync = Wish::Wanted;
        self.queue.changed.notify_all();
    }

    pub(super) fn look(&self) {
        let mut desk = lock(&self.queue.desk);
        if desk.hangs() && desk.hang == Told::Not {
            desk.hang = Told::Once;
            let waiting = desk.waiting.len();
            drop(desk);
            self.alarm.raise(&format!(
                "audit file {}: {}; {waiting} lines wait, nobody is let in and nothing is changed until it \
                 answers",
                self.name,
                too_slow()
            ));
        }
    }

    /// Lets what waits be written and synced; does not wait for a disk that
    /// hangs.
    pub(super) fn close(&self) -> Outcome {
        let Some(thread) = lock(&self.thread).take() else { return Ok(()) };
        let mut desk = lock(&self.queue.desk);
        desk.end = End::Wanted;
        self.queue.changed.notify_all();
        let open = |desk: &mut Desk| desk.end != End::Reached;
        let waited = self.queue.changed.wait_timeout_while(desk, WRITTEN_WITHIN, open);
        let (desk, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if desk.end != End::Reached {
            return Err(format!("{}: {} lines are lost", too_slow(), desk.waiting.len()));
        }
        let trouble = desk.trouble.clone();
        drop(desk);
        if thread.join().is_err() {
            return Err("its thread panicked".to_owned());
        }
        trouble.map_or(Ok(()), Err)
    }

    #[cfg(test)]
    pub(super) fn settle(&self) {
        let busy = |desk: &mut Desk| {
            (!desk.waiting.is_empty() || desk.running.is_some()) && desk.end != End::Reached
        };
        let waited = self.queue.changed.wait_while(lock(&self.queue.desk), busy);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }

    /// A line that something depends on is refused at once by a disk that
    /// hangs: whoever wants in then need not wait to hear so.
    fn demand(&self, line: Line, answer: Answer) -> Outcome {
        if lock(&self.queue.desk).hangs() {
            return Err(too_slow());
        }
        self.put(line, Some(answer))
    }

    fn put(&self, line: Line, answer: Option<Answer>) -> Outcome {
        let mut desk = lock(&self.queue.desk);
        if desk.end != End::Open {
            return Err("it is closed".to_owned());
        }
        if desk.waiting.len() >= WAITING {
            desk.lost = desk.lost.saturating_add(1);
            let first = std::mem::replace(&mut desk.full, Told::Once) == Told::Not;
            drop(desk);
            let why = "too many lines wait".to_owned();
            if first {
                self.alarm.raise(&format!("audit file {}: {why}; what happens now is lost to it", self.name));
            }
            return Err(why);
        }
        desk.waiting.push_back((line, answer));
        self.queue.changed.notify_all();
        Ok(())
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        if let Err(why) = self.close() {
            tracing::error!("audit file {}: {why}", self.name);
        }
    }
}

impl Desk {
    fn hangs(&self) -> bool {
        self.running.is_some_and(|since| since.elapsed() > WRITTEN_WITHIN)
    }
}

fn too_slow() -> String {
    format!("it has not taken a line within {} s", WRITTEN_WITHIN.as_secs())
}

/// Whether the file ends behind a line, or amid one that failed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Edge {
    Whole,
    Torn,
}

struct Work<S> {
    queue: Arc<Queue>,
    sink: S,
    name: String,
    clock: Arc<dyn Clock>,
    alarm: Alarm,
    log: Option<Arc<SiteLog>>,
    end_of_file: Edge,
}

/// What the thread does next.
enum Next {
    Write(Line, Option<Answer>),
    Sync,
    End,
}

impl<S: Sink> Work<S> {
    fn run(&mut self) {
        loop {
            match self.next() {
                Next::Write(line, answer) => {
                    let written = self.line(&line);
                    let outcome = written.clone().and_then(|()| self.enter(&line));
                    self.done(&written);
                    if let Some(answer) = answer {
                        answer(outcome);
                    }
                }
                Next::Sync => {
                    let outcome = self.sink.sync().map_err(|error| error.to_string());
                    self.done(&outcome);
                }
                Next::End => break,
            }
        }
        let outcome = self.sink.sync().map_err(|error| error.to_string());
        self.done(&outcome);
        lock(&self.queue.desk).end = End::Reached;
        self.queue.changed.notify_all();
    }

    /// The next thing to do; from now on it runs.
    fn next(&self) -> Next {
        let idle =
            |desk: &mut Desk| desk.waiting.is_empty() && desk.sync == Wish::None && desk.end == End::Open;
        let waited = self.queue.changed.wait_while(lock(&self.queue.desk), idle);
        let mut desk = waited.unwrap_or_else(PoisonError::into_inner);
        desk.running = Some(Instant::now());
        if let Some((line, answer)) = desk.waiting.pop_front() {
            return Next::Write(line, answer);
        }
        if std::mem::take(&mut desk.sync) == Wish::Wanted { Next::Sync } else { Next::End }
    }

    /// Writes a line, behind one that tells of those that were lost before.
    fn line(&mut self, line: &Line) -> Outcome {
        let lost = lock(&self.queue.desk).lost;
        let written = self.tell_of(lost).and_then(|()| self.append(line));
        if written.is_err() {
            let mut desk = lock(&self.queue.desk);
            desk.lost = desk.lost.saturating_add(1);
        }
        written
    }

    fn tell_of(&mut self, lost: u64) -> Outcome {
        if lost == 0 {
            return Ok(());
        }
        let event = Event::new(Kind::LinesLost, self.clock.wall()).count(lost);
        let line = prepared(&event)?;
        self.append(&line)?;
        if let Err(why) = self.enter(&line) {
            tracing::error!("{lost} lost lines are not in the site log: {why}");
        }
        let mut desk = lock(&self.queue.desk);
        desk.lost = desk.lost.saturating_sub(lost);
        desk.full = Told::Not;
        Ok(())
    }

    fn append(&mut self, line: &Line) -> Outcome {
        tracing::info!(target: "audit", "{}", line.text.trim_end());
        if self.end_of_file == Edge::Torn {
            self.sink.append(b"\n").map_err(|error| error.to_string())?;
        }
        // If it fails, some of it may be there.
        self.end_of_file = Edge::Torn;
        self.sink.append(line.text.as_bytes()).map_err(|error| error.to_string())?;
        self.end_of_file = Edge::Whole;
        Ok(())
    }

    /// What the site log gets of a line that is written. A log that failed has
    /// raised its own alarm.
    fn enter(&self, line: &Line) -> Outcome {
        match (&self.log, &line.entry) {
            (Some(log), Some(entry)) => {
                log.enter_at(line.at, entry.clone()).map_err(|failed| failed.to_string())
            }
            (None, _) | (_, None) => Ok(()),
        }
    }

    /// What ran is over. A trouble is told once, until there is none.
    fn done(&self, outcome: &Outcome) {
        let mut desk = lock(&self.queue.desk);
        desk.running = None;
        desk.hang = Told::Not;
        let before = std::mem::replace(&mut desk.trouble, outcome.clone().err());
        drop(desk);
        self.queue.changed.notify_all();
        if let Err(why) = outcome
            && before.as_ref() != Some(why)
        {
            self.alarm.raise(&format!("audit file {}: {why}", self.name));
        }
    }
}

/// A poisoned lock here guards plain values: whole at any moment.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
