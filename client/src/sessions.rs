//! What this process knows about its sessions, from the gateway's notices and its own channels.
//!
//! What it is for: one ledger behind the status line, the state file and the decision when all is over. What it never
//! does: it prints nothing and sends nothing. The newest checkpoint of each session is kept here, for the receipts.

use std::collections::BTreeMap;

use jiff::Timestamp;
use recording::log::Receipt;
use wire::{EndReason, Limits, Notice, SessionId};

use crate::escape::escape;

/// All sessions of one sign-in.
#[derive(Debug, Default)]
pub struct Ledger {
    sessions: BTreeMap<SessionId, Session>,
    log_checkpoint: Option<String>,
}

/// One session as the client knows it.
#[derive(Debug)]
pub struct Session {
    /// The target's id, escaped.
    pub target: String,
    /// When it ends at the latest.
    pub expires: Timestamp,
    /// What the target can stand.
    pub limits: Limits,
    /// Channels that stand now.
    pub channels: u32,
    /// Requests decided, if the gateway tells.
    pub operations: Option<u64>,
    /// Requests denied.
    pub denied: u64,
    /// The newest denial in words.
    pub last_denial: Option<String>,
    /// An announced end.
    pub ending: Option<(EndReason, Timestamp)>,
    /// The end.
    pub ended: Option<Ended>,
    /// The newest signed checkpoint of the recording.
    pub checkpoint: Option<String>,
}

/// Why a session is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// The number.
    pub reason: EndReason,
    /// More in words, escaped; may be empty.
    pub text: String,
}

impl std::fmt::Display for Ended {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let reason = self.reason.to_string();
        if self.text.is_empty() || self.text == reason {
            return formatter.write_str(&reason);
        }
        write!(formatter, "{reason} ({})", self.text)
    }
}

impl Session {
    fn new(target: &str, expires: Timestamp, limits: Limits) -> Self {
        Self {
            target: escape(target),
            expires,
            limits,
            channels: 0,
            operations: None,
            denied: 0,
            last_denial: None,
            ending: None,
            ended: None,
            checkpoint: None,
        }
    }

    /// When it ends as far as is known.
    #[must_use]
    pub fn end(&self) -> Timestamp {
        self.ending.map_or(self.expires, |(_, at)| at.min(self.expires))
    }

    /// Takes one notice and gives the line that tells a person of it, if it is worth one.
    fn notice(&mut self, notice: Notice, now: Timestamp) -> Option<String> {
        match notice {
            Notice::Denied { channel: _, operation, reason, rule } => {
                self.denied = self.denied.saturating_add(1);
                let by = if rule.is_empty() { String::new() } else { format!(" [{}]", escape(&rule)) };
                let denial = format!("{}: {}{by}", escape(&operation), escape(&reason));
                let line = format!("{}: denied {denial}", self.target);
                self.last_denial = Some(denial);
                Some(line)
            }
            Notice::Ending { reason, in_s } => {
                let left = jiff::SignedDuration::from_secs(i64::from(in_s));
                self.ending = Some((reason, now.saturating_add(left).unwrap_or(now)));
                // Where nothing is left, that it has ended is told at once.
                (in_s > 0).then(|| {
                    let left = crate::status::duration(i64::from(in_s));
                    format!("{}: ends in {left}: {reason}", self.target)
                })
            }
            Notice::Ended { reason, text } => {
                let ended = Ended { reason, text: escape(&text) };
                let line = format!("{}: ended: {ended}", self.target);
                self.ended = Some(ended);
                Some(line)
            }
            Notice::GrantChanged { expires_ms, text } => {
                self.expires = Timestamp::from_millisecond(expires_ms).unwrap_or(now);
                self.ending = None;
                let more = if text.is_empty() { String::new() } else { format!(": {}", escape(&text)) };
                Some(format!("{}: the rules have changed{more}", self.target))
            }
            Notice::Activity { operations, denied } => {
                self.operations = Some(operations);
                self.denied = self.denied.max(denied);
                None
            }
        }
    }
}

impl Ledger {
    /// A session was opened.
    pub fn opened(&mut self, session: SessionId, target: &str, expires_ms: i64, limits: Limits) {
        let expires = Timestamp::from_millisecond(expires_ms).unwrap_or(Timestamp::MAX);
        self.sessions.insert(session, Session::new(target, expires, limits));
    }

    /// Takes a notice; the line that tells of it. One about a session that is not ours is ignored.
    pub fn notice(&mut self, session: SessionId, notice: Notice, now: Timestamp) -> Option<String> {
        self.sessions.get_mut(&session)?.notice(notice, now)
    }

    /// Keeps the newest checkpoint.
    pub fn checkpoint(&mut self, session: SessionId, note: String) {
        if let Some(session) = self.sessions.get_mut(&session) {
            session.checkpoint = Some(note);
        }
    }

    /// Keeps the newest head of the gateway's site log.
    pub fn log_checkpoint(&mut self, note: String) {
        self.log_checkpoint = Some(note);
    }

    /// What there is to keep of each live session: its recording's newest checkpoint and the site log's newest head.
    pub fn receipts(&self) -> Vec<(SessionId, Receipt)> {
        let receipt = |session: &Session| Receipt {
            session: session.checkpoint.clone(),
            log: self.log_checkpoint.clone(),
        };
        let live = self.live().map(|(id, session)| (*id, receipt(session)));
        live.filter(|(_, receipt)| *receipt != Receipt::default()).collect()
    }

    /// A channel stands.
    pub fn channel_opened(&mut self, session: SessionId) {
        if let Some(session) = self.sessions.get_mut(&session) {
            session.channels = session.channels.saturating_add(1);
        }
    }

    /// A channel that stood is gone.
    pub fn channel_closed(&mut self, session: SessionId) {
        if let Some(session) = self.sessions.get_mut(&session) {
            session.channels = session.channels.saturating_sub(1);
        }
    }

    /// All sessions, ended ones too.
    pub fn sessions(&self) -> impl Iterator<Item = (&SessionId, &Session)> {
        self.sessions.iter()
    }

    /// Those that have not ended.
    pub fn live(&self) -> impl Iterator<Item = (&SessionId, &Session)> {
        self.sessions.iter().filter(|(_, session)| session.ended.is_none())
    }

    /// How the last of them ended, once none is left; `None` before.
    #[must_use]
    pub fn all_ended(&self) -> Option<Vec<(&str, &Ended)>> {
        self.sessions
            .values()
            .map(|session| session.ended.as_ref().map(|ended| (session.target.as_str(), ended)))
            .collect::<Option<Vec<_>>>()
            .filter(|ended| !ended.is_empty())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) const LIMITS: Limits = Limits { channels: 4, requests_per_second: None, outstanding: 16 };

    pub(crate) fn id(number: u8) -> SessionId {
        SessionId::from_bytes([number; 16])
    }

    pub(crate) fn denied(reason: &str) -> Notice {
        Notice::Denied {
            channel: 1,
            operation: "write holding[731] = 5".into(),
            reason: reason.into(),
            rule: "policy.csv:12".into(),
        }
    }

    #[test]
    fn a_denial_is_counted_and_told_without_its_terminal_sequences() {
        let mut ledger = Ledger::default();
        let now = Timestamp::UNIX_EPOCH;
        ledger.opened(id(1), "press-line/plc7", 1000, LIMITS);
        let line = ledger.notice(id(1), denied("no rule\x1b[2J"), now).unwrap();
        assert_eq!(line, "press-line/plc7: denied write holding[731] = 5: no rule\\x1b[2J [policy.csv:12]");
        ledger.notice(id(1), denied("again"), now);
        let (_, session) = ledger.sessions().next().unwrap();
        assert_eq!(session.denied, 2);
        assert!(session.last_denial.as_deref().unwrap().ends_with("again [policy.csv:12]"));
        assert_eq!(ledger.notice(id(9), denied("x"), now), None);
    }

    #[test]
    fn the_gateways_count_of_denials_wins_only_if_it_is_larger() {
        let mut ledger = Ledger::default();
        let now = Timestamp::UNIX_EPOCH;
        ledger.opened(id(1), "a", 1000, LIMITS);
        ledger.notice(id(1), denied("x"), now);
        assert_eq!(ledger.notice(id(1), Notice::Activity { operations: 9, denied: 0 }, now), None);
        assert_eq!(ledger.sessions().next().unwrap().1.denied, 1);
        ledger.notice(id(1), Notice::Activity { operations: 9, denied: 4 }, now);
        let (_, session) = ledger.sessions().next().unwrap();
        assert_eq!((session.denied, session.operations), (4, Some(9)));
    }

    #[test]
    fn an_end_is_told_once_and_its_reason_once() {
        let told = |notice| {
            let mut ledger = Ledger::default();
            ledger.opened(id(1), "a", 1000, LIMITS);
            ledger.notice(id(1), notice, Timestamp::UNIX_EPOCH)
        };
        let reason = EndReason::Killed;
        let ended = |text: &str| told(Notice::Ended { reason, text: text.to_owned() }).unwrap();
        assert_eq!(ended(""), format!("a: ended: {reason}"));
        assert_eq!(ended(&reason.to_string()), ended(""));
        assert_eq!(ended("operator-1"), format!("a: ended: {reason} (operator-1)"));
        assert_eq!(told(Notice::Ending { reason, in_s: 0 }), None);
        assert_eq!(told(Notice::Ending { reason, in_s: 60 }).unwrap(), format!("a: ends in 1 min: {reason}"));
    }

    #[test]
    fn all_is_over_when_the_last_session_has_ended() {
        let mut ledger = Ledger::default();
        let now = Timestamp::UNIX_EPOCH;
        assert!(ledger.all_ended().is_none(), "no session is not an end");
        ledger.opened(id(1), "a", 1000, LIMITS);
        ledger.opened(id(2), "b", 1000, LIMITS);
        let end = |reason| Notice::Ended { reason, text: String::new() };
        ledger.notice(id(1), end(EndReason::Killed), now);
        assert!(ledger.all_ended().is_none());
        assert_eq!(ledger.live().count(), 1);
        ledger.notice(id(2), end(EndReason::GrantExpired), now);
        let ended = ledger.all_ended().unwrap();
        assert_eq!(
            ended.iter().map(|(_, ended)| ended.reason).collect::<Vec<_>>(),
            [EndReason::Killed, EndReason::GrantExpired]
        );
    }

    #[test]
    fn an_announced_end_shortens_the_time_and_a_new_grant_takes_it_back() {
        let mut ledger = Ledger::default();
        let now = Timestamp::UNIX_EPOCH;
        ledger.opened(id(1), "a", 3_600_000, LIMITS);
        let line =
            ledger.notice(id(1), Notice::Ending { reason: EndReason::WindowClosed, in_s: 300 }, now).unwrap();
        assert_eq!(line, "a: ends in 5 min: the maintenance window is over");
        assert_eq!(ledger.sessions().next().unwrap().1.end(), Timestamp::from_second(300).unwrap());
        ledger.notice(id(1), Notice::GrantChanged { expires_ms: 900_000, text: String::new() }, now);
        assert_eq!(ledger.sessions().next().unwrap().1.end(), Timestamp::from_second(900).unwrap());
    }

    #[test]
    fn the_newest_checkpoint_is_kept() {
        let mut ledger = Ledger::default();
        ledger.opened(id(1), "a", 1000, LIMITS);
        ledger.checkpoint(id(1), "first".into());
        ledger.checkpoint(id(1), "second".into());
        assert_eq!(ledger.sessions().next().unwrap().1.checkpoint.as_deref(), Some("second"));
        ledger.log_checkpoint("log".into());
        let kept = Receipt { session: Some("second".into()), log: Some("log".into()) };
        assert_eq!(ledger.receipts(), [(id(1), kept)]);
        ledger.notice(
            id(1),
            Notice::Ended { reason: EndReason::Killed, text: String::new() },
            Timestamp::UNIX_EPOCH,
        );
        assert_eq!(ledger.receipts(), [], "what has ended has its last receipt");
    }
}
