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
mod lines;

use crate::clock::Clock;
use crate::names::{Handle, SessionId, TargetId};
use crate::site_log::SiteLog;
use crate::state::Lock;
pub use alarm::{Alarm, harmless};
use jiff::Timestamp;
use lines::{Line, Lines};
use recording::log::{Happening, LogEntry, Told};
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

/// What happened. The word in the file is the variant in snake case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The gateway started or stopped.
    GatewayStarted,
    /// It stopped in good order.
    GatewayStopped,
    /// Connections of strangers were refused: a count per minute.
    StrangersRefused,
    /// A known certificate was refused before or at the second factor.
    SignInRefused,
    /// A second factor was accepted.
    SignedIn,
    /// A sign-in ended.
    SignedOut,
    /// A session was asked for and refused.
    SessionRefused,
    /// A session began.
    SessionStarted,
    /// A session ended.
    SessionEnded,
    /// A channel was refused.
    ChannelRefused,
    /// An operation was denied.
    OperationDenied,
    /// A recording failed.
    RecorderFailed,
    /// Space for recordings became scarce, or came back.
    SpaceChanged,
    /// A policy was applied.
    PolicyApplied,
    /// A policy was refused.
    PolicyRefused,
    /// The policy folder changed; nothing was applied.
    PolicyFolder,
    /// A key was mapped to a person.
    PersonImported,
    /// A passkey was registered for a person.
    PasskeyAdded,
    /// A passkey was to be registered and was not.
    PasskeyRefused,
    /// A person was disabled.
    PersonDisabled,
    /// A person was enabled.
    PersonEnabled,
    /// A person's failures were reset.
    PersonUnlocked,
    /// A person's second factor was removed.
    FactorRemoved,
    /// A person without a second factor was given one by an administrator.
    FactorGiven,
    /// The second factor was asked for again in a sign-in.
    FactorAsked,
    /// It was shown.
    FactorShown,
    /// A backup was made of all that makes this gateway.
    BackedUp,
    /// This gateway was put back from a backup.
    Restored,
    /// An administrator ended a session.
    SessionKilled,
    /// CA, CRL or certificate were read anew.
    TlsReloaded,
    /// Changed TLS files were refused; the old ones stay.
    TlsRefused,
    /// The CRL ends soon or has lapsed.
    CrlExpiry,
    /// A certificate that the gateway needs ends soon or has expired.
    CertificateExpiry,
    /// A live sign-in's certificate no longer verifies.
    CertificateRevoked,
    /// The clock stepped.
    ClockStepped,
    /// An administrator accepted the clock.
    ClockAccepted,
    /// A request on the admin socket was refused.
    AdminRefused,
    /// An administrator's change, told before, could not be made.
    AdminFailed,
    /// A recording that a crash left was looked at.
    SessionRecovered,
    /// The site log's witness could not be given a head.
    WitnessFailed,
    /// A person's second factor is locked after failures.
    PersonLocked,
    /// Lines of this file were lost: a count.
    LinesLost,
    /// A person was invited to enrol.
    PersonInvited,
    /// An administrator withdrew an invitation.
    InvitationWithdrawn,
    /// A person enrolled: one more key, and a certificate for it.
    PersonEnrolled,
    /// Somebody with a good token was refused.
    EnrolmentRefused,
    /// A person's certificate was renewed.
    CertificateRenewed,
    /// Somebody who is signed in got no new certificate.
    RenewalRefused,
    /// An administrator revoked a certificate.
    CertificateWithdrawn,
    /// The gateway has a new issuing authority.
    AuthorityMade,
    /// The gateway's own authority signed new revocation lists.
    ListsSigned,
}

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Event {
    /// When, with zone.
    pub at: Timestamp,
    /// What happened.
    pub event: Kind,
    /// The person it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub person: Option<Handle>,
    /// The address it came from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<IpAddr>,
    /// The target it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<TargetId>,
    /// The session it belongs to, as hex.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// The administrator who did it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// What exactly, without values of operations.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub what: Option<String>,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// The rule that decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// How often, for counted events.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// What the site log has of it beside its kind.
    #[serde(skip)]
    pub figure: Figure,
}

/// The one figure of an event that the site log names itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Figure {
    /// It needs none.
    #[default]
    None,
    /// The hash of a policy.
    Policy([u8; 32]),
    /// A step of the clock, in seconds.
    Step(i64),
}

/// An event as it stands in the file. The salt lets the site log hold a hash
/// of the line from which nothing of it can be guessed.
#[derive(serde::Serialize)]
struct Salted<'a> {
    #[serde(flatten)]
    event: &'a Event,
    salt: String,
}

impl Event {
    /// An event with nothing but its kind and time.
    pub fn new(event: Kind, at: Timestamp) -> Self {
        Self {
            at,
            event,
            person: None,
            source: None,
            target: None,
            session: None,
            by: None,
            what: None,
            why: None,
            rule: None,
            count: None,
            figure: Figure::None,
        }
    }

    /// The person it is about.
    #[must_use]
    pub fn person(mut self, person: &Handle) -> Self {
        self.person = Some(person.clone());
        self
    }

    /// The address it came from.
    #[must_use]
    pub fn source(mut self, source: IpAddr) -> Self {
        self.source = Some(source);
        self
    }

    /// The target it is about.
    #[must_use]
    pub fn target(mut self, target: &TargetId) -> Self {
        self.target = Some(target.clone());
        self
    }

    /// The session it belongs to.
    #[must_use]
    pub fn session(mut self, session: SessionId) -> Self {
        self.session = Some(session.to_string());
        self
    }

    /// The administrator who did it.
    #[must_use]
    pub fn by(mut self, by: &str) -> Self {
        self.by = Some(harmless(by));
        self
    }

    /// What exactly. Never a value of an operation.
    #[must_use]
    pub fn what(mut self, what: &str) -> Self {
        self.what = Some(harmless(what));
        self
    }

    /// Why.
    #[must_use]
    pub fn why(mut self, why: &str) -> Self {
        self.why = Some(harmless(why));
        self
    }

    /// The rule that decided.
    #[must_use]
    pub fn rule(mut self, rule: &str) -> Self {
        self.rule = Some(harmless(rule));
        self
    }

    /// The figure that the site log names itself.
    #[must_use]
    pub fn figure(mut self, figure: Figure) -> Self {
        self.figure = figure;
        self
    }

    /// What the site log gets of this event, `told` being the hash of its
    /// line. Sessions, their operations and keys have entries of their own.
    fn entry(&self, told: Told) -> Option<LogEntry> {
        let what = match self.event {
            Kind::GatewayStarted => {
                let software = concat!("gatehouse-gateway ", env!("CARGO_PKG_VERSION")).to_owned();
                return Some(LogEntry::GatewayStarted { software });
            }
            Kind::GatewayStopped => return Some(LogEntry::GatewayStopped),
            Kind::PolicyApplied => {
                let Figure::Policy(policy) = self.figure else { return None };
                return Some(LogEntry::PolicyApplied { policy, told });
            }
            Kind::ClockStepped => {
                let Figure::Step(seconds) = self.figure else { return None };
                return Some(LogEntry::ClockStepped { seconds, told });
            }
            Kind::SessionStarted
            | Kind::SessionEnded
            | Kind::SessionRecovered
            | Kind::ChannelRefused
            | Kind::FactorAsked
            | Kind::OperationDenied
            | Kind::PolicyFolder
            | Kind::SpaceChanged
            | Kind::TlsReloaded
            | Kind::CertificateExpiry
            | Kind::ListsSigned => return None,
            Kind::StrangersRefused => Happening::StrangersRefused,
            Kind::SignInRefused | Kind::PasskeyRefused => Happening::SignInRefused,
            Kind::SignedIn => Happening::SignedIn,
            Kind::SignedOut => Happening::SignedOut,
            Kind::SessionRefused => Happening::SessionRefused,
            Kind::RecorderFailed => Happening::RecorderFailed,
            Kind::PolicyRefused => Happening::PolicyRefused,
            Kind::PersonImported => Happening::PersonImported,
            Kind::PersonDisabled => Happening::PersonDisabled,
            Kind::PersonEnabled => Happening::PersonEnabled,
            Kind::PersonUnlocked => Happening::PersonUnlocked,
            Kind::FactorRemoved => Happening::FactorRemoved,
            Kind::FactorGiven | Kind::PasskeyAdded => Happening::FactorGiven,
            Kind::FactorShown => Happening::FactorShown,
            Kind::BackedUp => Happening::BackedUp,
            Kind::Restored => Happening::Restored,
            Kind::SessionKilled => Happening::SessionKilled,
            Kind::TlsRefused => Happening::TlsRefused,
            Kind::CrlExpiry => Happening::CrlExpiry,
            Kind::CertificateRevoked => Happening::CertificateRevoked,
            Kind::ClockAccepted => Happening::ClockAccepted,
            Kind::AdminRefused => Happening::AdminRefused,
            Kind::AdminFailed => Happening::AdminFailed,
            Kind::WitnessFailed => Happening::WitnessFailed,
            Kind::PersonLocked => Happening::Locked,
            Kind::LinesLost => Happening::LinesLost,
            Kind::PersonInvited => Happening::PersonInvited,
            Kind::InvitationWithdrawn => Happening::InvitationWithdrawn,
            Kind::PersonEnrolled => Happening::PersonEnrolled,
            Kind::EnrolmentRefused => Happening::EnrolmentRefused,
            Kind::CertificateRenewed => Happening::CertificateRenewed,
            Kind::RenewalRefused => Happening::RenewalRefused,
            Kind::CertificateWithdrawn => Happening::CertificateWithdrawn,
            Kind::AuthorityMade => Happening::AuthorityMade,
        };
        Some(LogEntry::Event { what, count: self.count.unwrap_or(1), told })
    }

    /// How often.
    #[must_use]
    pub fn count(mut self, count: u64) -> Self {
        self.count = Some(count);
        self
    }
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
