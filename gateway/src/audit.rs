//! Everything that must be known later: who, what, when, why, by which rule.
//!
//! One [`Event`] type, appended as a JSON line to the audit file and told to
//! the log. Strings are bounded and stripped of control characters before they
//! are written; no field can hold a value of an operation, a code or a seed.
//! Refusals of strangers are counted per minute, those of known certificates
//! are written one by one, so that a flood of strangers can't fill the disk.
//!
//! The file belongs to a thread of its own: whoever must not wait for a disk
//! [tells][`Audit::tell`] an event and goes on; whoever does what must be
//! accounted for first waits for its line ([`Audit::write`],
//! [`Audit::commit`]). When the disk hangs or fails, an alarm is raised, the
//! former's lines wait or are counted as lost, and what the latter wanted does
//! not happen.
//!
//! An [`Alarm`] needs no disk: it goes to the log on standard error and, where
//! configured, as one UDP datagram to a syslog collector (RFC 5424).
//!
//! Each event but those of sessions has an entry in the site log with the hash
//! of its line, so that no line can be changed or left out unnoticed; the line
//! itself can be erased.
//!
//! Order: `tell` and `write` while things happen; `flush_strangers` once a minute
//! and at the end; `close`, and only then the site log's own.

mod alarm;
mod event;
mod lines;

use crate::clock::Clock;
use crate::names::Handle;
use crate::site_log::SiteLog;
use crate::state::Lock;
pub use alarm::{Alarm, harmless};
pub use event::{Event, Figure, Kind};
use lines::{Line, Lines};
use recording::log::Told;
use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The longest text of an event, in bytes of UTF-8.
pub const LONGEST_TEXT: usize = 512;

/// How many different kinds of refused strangers are counted apart.
const STRANGER_KINDS: usize = 32;

/// An event as it stands in the file. The salt lets the site log hold a hash
/// of the line from which nothing of it can be guessed.
#[derive(serde::Serialize)]
struct Salted<'a> {
    #[serde(flatten)]
    event: &'a Event,
    salt: String,
}

/// Why an event could not be written. The caller refuses what the event is
/// about: what can't be accounted for doesn't happen.
#[derive(Debug, thiserror::Error)]
#[error("audit file {path}: {reason}", path = .path.display())]
pub struct AuditError {
    path: PathBuf,
    reason: String,
}

/// The audit file and the log.
#[derive(Debug)]
pub struct Audit {
    clock: Arc<dyn Clock>,
    path: PathBuf,
    lines: Lines,
    strangers: Mutex<BTreeMap<&'static str, u64>>,
    alarm: Alarm,
}

impl Audit {
    /// Opens the file for appending, made with mode 0600 if it is not there,
    /// and starts its thread. Each event gets an entry in the site log, where
    /// there is one.
    ///
    /// # Errors
    /// When the file can't be opened or the thread not started.
    pub fn open(
        path: &Path,
        alarm: Alarm,
        clock: Arc<dyn Clock>,
        log: Option<Arc<SiteLog>>,
    ) -> Result<Self, AuditError> {
        let wrong = |error: std::io::Error| AuditError { path: path.to_owned(), reason: error.to_string() };
        let opened = OpenOptions::new().append(true).create(true).mode(0o600).open(path);
        let file = opened.map_err(wrong)?;
        let name = path.display().to_string();
        let lines = Lines::start(file, name, Arc::clone(&clock), alarm.clone(), log).map_err(wrong)?;
        Ok(Self { clock, path: path.to_owned(), lines, strangers: Mutex::default(), alarm })
    }

    /// An event of that kind, now.
    pub fn event(&self, kind: Kind) -> Event {
        Event::new(kind, self.clock.wall())
    }

    /// Tells an event and goes on: for what happens whether or not it can be
    /// written. A line that is lost is counted, and an alarm was raised.
    pub fn tell(&self, event: &Event) {
        match prepared(event) {
            Ok(line) => self.lines.tell(line),
            Err(reason) => self.alarm.raise(&self.wrong(reason).to_string()),
        }
    }

    /// Tells an event and waits, blocking, until its line survives the end of
    /// this process and it is in the site log's queue: for what must not
    /// happen otherwise.
    ///
    /// # Errors
    /// When that fails or takes too long. Whether the line is in the file is
    /// not known then.
    pub fn write(&self, event: &Event) -> Result<(), AuditError> {
        prepared(event).and_then(|line| self.lines.write(line)).map_err(|reason| self.wrong(reason))
    }

    /// As [`Audit::write`], where a thread must not block.
    ///
    /// # Errors
    /// As [`Audit::write`].
    pub async fn commit(&self, event: &Event) -> Result<(), AuditError> {
        let line = prepared(event).map_err(|reason| self.wrong(reason))?;
        self.lines.commit(line).await.map_err(|reason| self.wrong(reason))
    }

    /// Tells that a failure locks a person's second factor, if it does. Attempts
    /// while it is locked are refusals like any other.
    pub fn tell_of_a_lock(&self, person: &Handle, source: IpAddr, why: &str, lock: Lock) {
        if lock != Lock::None {
            let event = self.event(Kind::PersonLocked).person(person).source(source);
            self.tell(&event.what(&lock.to_string()).why(why));
        }
    }

    /// Counts a refusal of somebody without a known certificate. `why` is one
    /// of a few fixed texts.
    pub fn stranger(&self, why: &'static str) {
        let mut strangers = lock(&self.strangers);
        let why = if strangers.contains_key(why) || strangers.len() < STRANGER_KINDS { why } else { "other" };
        let count = strangers.entry(why).or_default();
        *count = count.saturating_add(1);
    }

    /// Tells what was counted since the last time, one event per reason.
    pub fn flush_strangers(&self) {
        let counted = std::mem::take(&mut *lock(&self.strangers));
        for (why, count) in counted {
            self.tell(&self.event(Kind::StrangersRefused).why(why).count(count));
        }
    }

    /// Asks for what was written to be put on stable storage.
    pub fn ask_for_sync(&self) {
        self.lines.ask_for_sync();
    }

    /// Raises the alarm, once, if the file has not taken a line for too long.
    pub fn look(&self) {
        self.lines.look();
    }

    /// Writes what waits, puts it on stable storage and ends the thread. A
    /// disk that hangs is waited for a few seconds.
    ///
    /// # Errors
    /// When that fails: lines may be lost.
    pub fn close(&self) -> Result<(), AuditError> {
        self.lines.close().map_err(|reason| self.wrong(reason))
    }

    /// The path that needs no disk.
    pub fn alarm(&self) -> &Alarm {
        &self.alarm
    }

    /// Waits until all that was told is dealt with.
    #[cfg(test)]
    pub(crate) fn settle(&self) {
        self.lines.settle();
    }

    fn wrong(&self, reason: String) -> AuditError {
        AuditError { path: self.path.clone(), reason }
    }
}

/// An event's line with its newline, and what the site log gets of it.
fn prepared(event: &Event) -> Result<Line, String> {
    let salt = salt().map_err(|_| "the system gives no randomness".to_owned())?;
    let mut text = serde_json::to_string(&Salted { event, salt }).map_err(|error| error.to_string())?;
    let entry = event.entry(Told(recording::log::hash_of(text.as_bytes())));
    text.push('\n');
    Ok(Line { at: event.at, text, entry })
}

fn salt() -> Result<String, aws_lc_rs::error::Unspecified> {
    let mut salt = [0; 16];
    aws_lc_rs::rand::fill(&mut salt)?;
    Ok(hex::encode(salt))
}

/// A poisoned lock here guards a file handle or counts: whole at any moment.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;
    use crate::fixture::noon;
    use std::net::UdpSocket;

    fn audit(path: &Path) -> Audit {
        Audit::open(path, Alarm::to_log(), Arc::new(ManualClock::at(noon())), None).unwrap()
    }

    #[test]
    fn an_event_is_one_line_of_json() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.jsonl");
        let audit = audit(&path);
        let person = Handle::parse("tech-1@vendor-a").unwrap();
        let event = audit.event(Kind::OperationDenied).person(&person).source([192, 0, 2, 1].into());
        audit
            .write(&event.rule("policy.csv:12").what("write holding[100]").why("no rule\nallows it"))
            .unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let (text, salt) = text.split_once(",\"salt\":\"").unwrap();
        assert_eq!(salt.len(), 32 + "\"}\n".len(), "{salt}");
        assert_eq!(
            text,
            "{\"at\":\"2026-03-10T12:00:00Z\",\"event\":\"operation_denied\",\"person\":\"tech-1@vendor-a\",\
             \"source\":\"192.0.2.1\",\"what\":\"write holding[100]\",\"why\":\"no rule\\\\u{a}allows it\",\
             \"rule\":\"policy.csv:12\""
        );
        let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&path).unwrap().permissions());
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn what_came_from_outside_is_bounded_and_can_not_act() {
        assert_eq!(harmless("a\u{1b}[2Jb\u{202e}c\u{9b}d"), "a\\u{1b}[2Jb\\u{202e}c\\u{9b}d");
        let long = harmless(&"ü".repeat(10_000));
        assert!(long.len() <= LONGEST_TEXT + '…'.len_utf8() && long.ends_with('…'));
        assert!(harmless(&"\u{1b}".repeat(10_000)).len() <= LONGEST_TEXT + '…'.len_utf8());
    }

    #[test]
    fn a_flood_of_strangers_is_one_line_a_reason() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.jsonl");
        let audit = audit(&path);
        for _ in 0..1000 {
            audit.stranger("handshake failed");
            audit.stranger("too many connections");
        }
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "");
        audit.flush_strangers();
        audit.flush_strangers();
        audit.close().unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text.lines().count(), 2);
        assert!(text.lines().all(|line| line.contains("\"count\":1000")), "{text}");
    }

    #[test]
    fn a_full_disk_is_an_error_and_an_alarm_without_a_disk() {
        let collector = UdpSocket::bind("127.0.0.1:0").unwrap();
        collector.set_read_timeout(Some(std::time::Duration::from_secs(10))).unwrap();
        let alarm = Alarm::to_syslog(collector.local_addr().unwrap()).unwrap();
        let audit =
            Audit::open(Path::new("/dev/full"), alarm, Arc::new(ManualClock::at(noon())), None).unwrap();
        assert!(audit.write(&audit.event(Kind::SignedIn)).is_err());
        let mut datagram = [0; 1024];
        let length = collector.recv(&mut datagram).unwrap();
        let text = String::from_utf8_lossy(&datagram[..length]).into_owned();
        assert!(text.starts_with("<81>1 - - gatehouse-gateway - ALARM - audit file /dev/full"), "{text}");
    }
}
