//! What a site log says of each session, and what was in force last.

use super::entry::{KeyRole, LogEntry, Recovered};
use super::{LogId, Pseudonym};
use crate::tree::Hash;
use jiff::Timestamp;
use std::collections::BTreeMap;

/// Where something stands in the log, and when it was entered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The entry's number, from 0.
    pub number: u64,
    /// The gateway's wall clock.
    pub at: Timestamp,
}

/// One session as the log knows it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Account {
    /// Its start, and its header's hash.
    pub started: Option<(Place, Hash)>,
    /// Its end: leaves, root and length of the sealed file.
    pub ended: Option<(Place, Sealing)>,
    /// What was found after a crash.
    pub recovered: Option<(Place, Recovered)>,
    /// When it was erased on purpose.
    pub erased: Option<Place>,
}

/// How a recording was sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sealing {
    /// Leaves that its last checkpoint covers.
    pub leaves: u64,
    /// Tree hash over them.
    pub root: Hash,
    /// The file's length.
    pub bytes: u64,
}

impl Account {
    /// Whether nothing accounts for this session's end yet.
    pub fn is_open(&self) -> bool {
        self.ended.is_none() && self.recovered.is_none() && self.erased.is_none()
    }
}

/// All that a log's entries amount to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ledger {
    /// Which log.
    pub log: Option<LogId>,
    /// Each session.
    pub sessions: BTreeMap<Pseudonym, Account>,
    /// The newest key of each role.
    pub keys: BTreeMap<KeyRole, Hash>,
    /// The newest policy.
    pub policy: Option<Hash>,
    /// The last start of a gateway.
    pub gateway_started: Option<Place>,
    /// The stop that followed it.
    pub gateway_stopped: Option<Place>,
    /// Entries of a kind that this program does not know.
    pub unknown: u64,
}

impl Ledger {
    /// Takes the next entry; its bytes are a leaf.
    pub fn take(&mut self, number: u64, bytes: &[u8]) {
        match LogEntry::decode(bytes) {
            Some((at, entry)) => self.enter(Place { number, at }, entry),
            None => self.unknown = self.unknown.saturating_add(1),
        }
    }

    fn enter(&mut self, place: Place, entry: LogEntry) {
        match entry {
            LogEntry::Created { log, .. } => self.log = Some(log),
            LogEntry::GatewayStarted { .. } => {
                self.gateway_started = Some(place);
                self.gateway_stopped = None;
            }
            LogEntry::GatewayStopped => self.gateway_stopped = Some(place),
            LogEntry::SessionStarted { session, header } => {
                self.sessions.entry(session).or_default().started = Some((place, header));
            }
            LogEntry::SessionEnded { session, leaves, root, bytes } => {
                let sealing = Sealing { leaves, root, bytes };
                self.sessions.entry(session).or_default().ended = Some((place, sealing));
            }
            LogEntry::SessionRecovered(recovered) => {
                let account = self.sessions.entry(recovered.session).or_default();
                account.recovered = Some((place, recovered));
            }
            LogEntry::SessionErased { session, .. } => {
                self.sessions.entry(session).or_default().erased = Some(place);
            }
            LogEntry::PolicyApplied { policy, .. } => self.policy = Some(policy),
            LogEntry::KeyChanged { role, hash } => {
                self.keys.insert(role, hash);
            }
            LogEntry::Heartbeat { .. }
            | LogEntry::TailDropped { .. }
            | LogEntry::ClockStepped { .. }
            | LogEntry::Event { .. } => {}
        }
    }
}
