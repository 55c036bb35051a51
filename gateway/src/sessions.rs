//! Who is signed in and which sessions run, right now.
//!
//! The data path enters each sign-in and each session here and gets a place:
//! while the place lives, the entry is listed and can be told to end; dropping
//! the place removes it. The administrator's side lists and ends. This module
//! never touches a connection: an order to end is a message that the session
//! itself obeys, within a second for the hard ones.
//!
//! Order: `sign_in` -> (`register` a session, many per sign-in) -> orders
//! arrive in `order` -> the place is dropped.

use crate::cutter::Cutter;
use crate::names::{Handle, SessionId, TargetId};
use crate::record::Pulse;
use crate::state::FactorEpoch;
use jiff::Timestamp;
use rustls::pki_types::CertificateDer;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// Why an entry must end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EndOrder {
    /// An administrator ended it.
    Killed {
        /// Who.
        by: String,
    },
    /// The certificate no longer verifies against the newest CA and CRL.
    CertificateRevoked,
    /// The person was disabled.
    PersonDisabled,
    /// The person's second factor was removed.
    FactorRemoved,
    /// The second factor was asked for again and not given: a soft ending,
    /// since nobody need mean harm by being away.
    FactorMissing,
    /// The data path did not move for seconds.
    StoodStill,
    /// The recordings' disk is nearly full: a soft ending, so that what is
    /// under way is recorded to its end.
    SpaceRanOut,
    /// The gateway stops: a soft ending.
    Shutdown,
    /// The site log can't be written: nothing can be accounted for. A soft
    /// ending, since what runs is in the log and goes on being recorded.
    LogFailed,
}

impl EndOrder {
    /// Whether connections must be gone within a second.
    pub fn is_hard(&self) -> bool {
        match self {
            Self::Killed { .. }
            | Self::CertificateRevoked
            | Self::PersonDisabled
            | Self::FactorRemoved
            | Self::StoodStill => true,
            Self::FactorMissing | Self::SpaceRanOut | Self::Shutdown | Self::LogFailed => false,
        }
    }
}

/// How many may run at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Sessions of everybody.
    pub sessions: u32,
    /// Sessions of one person.
    pub sessions_per_person: u32,
}

/// Why a session finds no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Full {
    /// The gateway's bound is reached.
    #[error("the gateway has as many sessions as its limit allows")]
    Gateway,
    /// The person's bound is reached.
    #[error("this person has as many sessions as the limit allows")]
    Person,
    /// A session of that id runs: ids are random, so somebody is wrong.
    #[error("a session with this id runs already")]
    IdTaken,
    /// The sign-in has ended, or has been told to.
    #[error("the sign-in has ended")]
    SignInEnded,
}

/// A signed-in connection.
#[derive(Debug, Clone)]
pub struct SignIn {
    /// Whose.
    pub person: Handle,
    /// Its address when it signed in.
    pub source: SocketAddr,
    /// When the second factor was accepted.
    pub since: Timestamp,
    /// Which of the person's factors it was proven with.
    pub factors: FactorEpoch,
    /// The certificate that was shown, end entity first: verified again when
    /// the CA or the CRL changes.
    pub chain: Vec<CertificateDer<'static>>,
}

/// The number of a sign-in while it lasts; never reused within a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SignInId(u64);

/// A running session as it is listed.
#[derive(Debug, Clone)]
pub struct SessionInfo {
    /// The session's random id.
    pub id: SessionId,
    /// Who.
    pub person: Handle,
    /// To which target.
    pub target: TargetId,
    /// From where it was opened.
    pub source: IpAddr,
    /// When it was opened.
    pub started: Timestamp,
    /// When the grant ends.
    pub expires: Timestamp,
    /// SHA-256 of the policy it was granted under.
    pub policy: [u8; 32],
    /// The recording mode in plain words.
    pub mode: String,
}

/// What a session counts while it runs; the data path adds, listings read.
#[derive(Debug, Default)]
pub struct Counters {
    /// Channels open now.
    pub channels: AtomicU32,
    /// Operations decided.
    pub operations: AtomicU64,
    /// Operations denied.
    pub denied: AtomicU64,
    /// Bytes written to the device.
    pub to_device: AtomicU64,
    /// Bytes sent to the technician.
    pub to_client: AtomicU64,
}

/// One reading of [`Counters`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Counted {
    /// Channels open now.
    pub channels: u32,
    /// Operations decided.
    pub operations: u64,
    /// Operations denied.
    pub denied: u64,
    /// Bytes written to the device.
    pub to_device: u64,
    /// Bytes sent to the technician.
    pub to_client: u64,
}

impl Counters {
    /// The figures now. They are read one by one: a listing, not an account.
    pub fn read(&self) -> Counted {
        Counted {
            channels: self.channels.load(Ordering::Relaxed),
            operations: self.operations.load(Ordering::Relaxed),
            denied: self.denied.load(Ordering::Relaxed),
            to_device: self.to_device.load(Ordering::Relaxed),
            to_client: self.to_client.load(Ordering::Relaxed),
        }
    }
}

/// Everybody who is in the house.
#[derive(Debug)]
pub struct Registry {
    bounds: Bounds,
    house: Arc<Mutex<House>>,
}

#[derive(Debug, Default)]
struct House {
    next: u64,
    sign_ins: BTreeMap<SignInId, (SignIn, watch::Sender<Option<EndOrder>>)>,
    sessions: BTreeMap<SessionId, Running>,
}

#[derive(Debug)]
struct Running {
    info: SessionInfo,
    sign_in: SignInId,
    counters: Arc<Counters>,
    order: watch::Sender<Option<EndOrder>>,
    cutter: Arc<Cutter>,
    pulse: Option<Arc<Pulse>>,
}

/// What a watchdog has to know of a running session.
#[derive(Debug)]
pub struct Watched {
    /// The session.
    pub id: SessionId,
    /// The order it got.
    pub order: Option<EndOrder>,
    /// Cuts its connections.
    pub cutter: Arc<Cutter>,
    /// Tells of writes to its recording, once there is one.
    pub pulse: Option<Arc<Pulse>>,
}

impl Registry {
    /// An empty house with these bounds.
    pub fn new(bounds: Bounds) -> Self {
        Self { bounds, house: Arc::default() }
    }

    /// Enters a sign-in.
    pub fn sign_in(&self, sign_in: SignIn) -> SignInPlace {
        let (sender, order) = watch::channel(None);
        let mut house = lock(&self.house);
        house.next = house.next.saturating_add(1);
        let id = SignInId(house.next);
        house.sign_ins.insert(id, (sign_in, sender));
        SignInPlace { id, order, house: Arc::clone(&self.house) }
    }

    /// Enters a session of a sign-in, within the bounds.
    pub fn register(&self, sign_in: SignInId, info: SessionInfo) -> Result<SessionPlace, Full> {
        let mut house = lock(&self.house);
        let live = house.sign_ins.get(&sign_in).is_some_and(|(_, order)| order.borrow().is_none());
        if !live {
            return Err(Full::SignInEnded);
        }
        if house.sessions.contains_key(&info.id) {
            return Err(Full::IdTaken);
        }
        if at_bound(house.sessions.len(), self.bounds.sessions) {
            return Err(Full::Gateway);
        }
        let own = house.sessions.values().filter(|running| running.info.person == info.person).count();
        if at_bound(own, self.bounds.sessions_per_person) {
            return Err(Full::Person);
        }
        let (sender, order) = watch::channel(None);
        let (id, counters, cutter) = (info.id, Arc::new(Counters::default()), Arc::new(Cutter::default()));
        let running = Running {
            info,
            sign_in,
            counters: Arc::clone(&counters),
            order: sender,
            cutter: Arc::clone(&cutter),
            pulse: None,
        };
        house.sessions.insert(id, running);
        Ok(SessionPlace { id, order, counters, cutter, house: Arc::clone(&self.house) })
    }

    /// What a watchdog looks at.
    pub fn watched(&self) -> Vec<Watched> {
        let house = lock(&self.house);
        let watched = |(id, running): (&SessionId, &Running)| Watched {
            id: *id,
            order: running.order.borrow().clone(),
            cutter: Arc::clone(&running.cutter),
            pulse: running.pulse.clone(),
        };
        house.sessions.iter().map(watched).collect()
    }

    /// The running sessions, oldest first.
    pub fn sessions(&self) -> Vec<(SessionInfo, Counted)> {
        let house = lock(&self.house);
        let mut list: Vec<_> =
            house.sessions.values().map(|running| (running.info.clone(), running.counters.read())).collect();
        list.sort_by_key(|(info, _)| (info.started, info.id));
        list
    }

    /// The sign-ins, oldest first.
    pub fn sign_ins(&self) -> Vec<(SignInId, SignIn)> {
        lock(&self.house).sign_ins.iter().map(|(id, (sign_in, _))| (*id, sign_in.clone())).collect()
    }

    /// Orders one session to end. `None` if there is no such session.
    pub fn end_session(&self, id: SessionId, order: EndOrder) -> Option<SessionInfo> {
        let house = lock(&self.house);
        let running = house.sessions.get(&id)?;
        give(&running.order, &order);
        Some(running.info.clone())
    }

    /// Orders a sign-in and all its sessions to end; tells how many sessions.
    pub fn end_sign_in(&self, id: SignInId, order: EndOrder) -> usize {
        lock(&self.house).end_sign_in(id, &order)
    }

    /// Orders all that a person has to end; tells how many sessions.
    pub fn end_person(&self, person: &Handle, order: EndOrder) -> usize {
        let house = lock(&self.house);
        let own: Vec<_> =
            house.sign_ins.iter().filter(|(_, (sign_in, _))| sign_in.person == *person).collect();
        own.into_iter().map(|(id, _)| house.end_sign_in(*id, &order)).sum()
    }

    /// Orders every session to end, but no sign-in; tells how many.
    pub fn end_all_sessions(&self, order: EndOrder) -> usize {
        let house = lock(&self.house);
        house.sessions.values().inspect(|running| give(&running.order, &order)).count()
    }

    /// Orders everything to end; tells how many sessions.
    pub fn end_all(&self, order: EndOrder) -> usize {
        let house = lock(&self.house);
        house.sign_ins.keys().map(|id| house.end_sign_in(*id, &order)).sum()
    }
}

impl House {
    fn end_sign_in(&self, id: SignInId, order: &EndOrder) -> usize {
        let Some((_, sender)) = self.sign_ins.get(&id) else { return 0 };
        // The sessions first: a sign-in that obeyed before them would take
        // the line away, and they would end for that instead of this order.
        let own = self.sessions.values().filter(|running| running.sign_in == id);
        let told = own.inspect(|running| give(&running.order, order)).count();
        give(sender, order);
        told
    }
}

/// A sign-in's place in the house; dropping it removes the sign-in.
#[derive(Debug)]
pub struct SignInPlace {
    /// The number under which sessions are registered.
    pub id: SignInId,
    /// Becomes `Some` when the sign-in must end.
    pub order: watch::Receiver<Option<EndOrder>>,
    house: Arc<Mutex<House>>,
}

impl Drop for SignInPlace {
    fn drop(&mut self) {
        lock(&self.house).sign_ins.remove(&self.id);
    }
}

/// A session's place in the house; dropping it removes the session.
#[derive(Debug)]
pub struct SessionPlace {
    /// The session's id.
    pub id: SessionId,
    /// Becomes `Some` when the session must end.
    pub order: watch::Receiver<Option<EndOrder>>,
    /// Where the session counts.
    pub counters: Arc<Counters>,
    /// Where the session's connections to its device are held.
    pub cutter: Arc<Cutter>,
    house: Arc<Mutex<House>>,
}

impl SessionPlace {
    /// Lets a watchdog see the writes to the session's recording.
    pub fn watch(&self, pulse: &Arc<Pulse>) {
        if let Some(running) = lock(&self.house).sessions.get_mut(&self.id) {
            running.pulse = Some(Arc::clone(pulse));
        }
    }
}

impl Drop for SessionPlace {
    fn drop(&mut self) {
        lock(&self.house).sessions.remove(&self.id);
    }
}

/// A hard order replaces a soft one, never the other way round.
fn give(sender: &watch::Sender<Option<EndOrder>>, order: &EndOrder) {
    sender.send_if_modified(|given| {
        let weightier = given.as_ref().is_none_or(|given| order.is_hard() && !given.is_hard());
        if weightier {
            *given = Some(order.clone());
        }
        weightier
    });
}

fn at_bound(count: usize, bound: u32) -> bool {
    u32::try_from(count).map_or(true, |count| count >= bound)
}

/// A poisoned lock here guards maps that are whole at any moment.
fn lock(house: &Mutex<House>) -> MutexGuard<'_, House> {
    house.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{session_info as info, sign_in};

    fn registry() -> Registry {
        Registry::new(Bounds { sessions: 3, sessions_per_person: 2 })
    }

    #[test]
    fn the_bounds_hold_and_a_dropped_place_is_free_again() {
        let registry = registry();
        let (a, b) =
            (registry.sign_in(sign_in("tech-1@vendor-a")), registry.sign_in(sign_in("tech-2@vendor-b")));
        let _first = registry.register(a.id, info(1, "tech-1@vendor-a")).unwrap();
        let second = registry.register(a.id, info(2, "tech-1@vendor-a")).unwrap();
        assert_eq!(registry.register(a.id, info(3, "tech-1@vendor-a")).unwrap_err(), Full::Person);
        let _third = registry.register(b.id, info(3, "tech-2@vendor-b")).unwrap();
        assert_eq!(registry.register(b.id, info(4, "tech-2@vendor-b")).unwrap_err(), Full::Gateway);
        drop(second);
        assert_eq!(registry.sessions().len(), 2);
        assert!(registry.register(b.id, info(4, "tech-2@vendor-b")).is_ok());
    }

    #[test]
    fn an_order_to_a_person_reaches_sign_in_and_sessions_of_that_person_only() {
        let registry = registry();
        let (a, b) =
            (registry.sign_in(sign_in("tech-1@vendor-a")), registry.sign_in(sign_in("tech-2@vendor-b")));
        let own = registry.register(a.id, info(1, "tech-1@vendor-a")).unwrap();
        let other = registry.register(b.id, info(2, "tech-2@vendor-b")).unwrap();
        assert_eq!(
            registry.end_person(&Handle::parse("tech-1@vendor-a").unwrap(), EndOrder::PersonDisabled),
            1
        );
        assert_eq!(*a.order.borrow(), Some(EndOrder::PersonDisabled));
        assert_eq!(*own.order.borrow(), Some(EndOrder::PersonDisabled));
        assert_eq!((b.order.borrow().clone(), other.order.borrow().clone()), (None, None));
        let late = registry.register(a.id, info(3, "tech-1@vendor-a"));
        assert_eq!(late.unwrap_err(), Full::SignInEnded);
    }

    #[test]
    fn a_hard_order_replaces_a_soft_one_and_never_the_other_way_round() {
        let registry = registry();
        let place = registry.sign_in(sign_in("tech-1@vendor-a"));
        let session = registry.register(place.id, info(1, "tech-1@vendor-a")).unwrap();
        assert_eq!(registry.end_all(EndOrder::Shutdown), 1);
        let killed = EndOrder::Killed { by: "uid 0".to_owned() };
        assert!(registry.end_session(session.id, killed.clone()).is_some());
        registry.end_all(EndOrder::Shutdown);
        assert_eq!(*session.order.borrow(), Some(killed));
        assert!(registry.end_session(SessionId::from_bytes([9; 16]), EndOrder::Shutdown).is_none());
    }

    #[test]
    fn a_second_session_under_a_running_ones_id_is_refused() {
        let registry = registry();
        let place = registry.sign_in(sign_in("tech-1@vendor-a"));
        let first = registry.register(place.id, info(1, "tech-1@vendor-a")).unwrap();
        let again = registry.register(place.id, info(1, "tech-1@vendor-a"));
        assert_eq!(again.unwrap_err(), Full::IdTaken);
        first.counters.denied.fetch_add(2, Ordering::Relaxed);
        assert_eq!(registry.sessions().first().map(|(_, counted)| counted.denied), Some(2));
    }
}
