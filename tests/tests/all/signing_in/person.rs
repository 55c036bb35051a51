//! What the gateway should remember of one person: factors, what of them was
//! used, failures, standing. It shares with the gateway only the table of
//! delays after failures.

use super::model::{CallerIs, Ceremony, Fits, Signed, UserCheck, Way, Who};
use gateway::state::{Lock, PERMANENT_AFTER, lock_after};
use jiff::{SignedDuration, Timestamp};

/// Steps either side whose code fits, and whose code tells a wrong clock.
const SKEW: i64 = 1;
const NEARBY: i64 = 10;
/// How long an answer may take.
const CEREMONY_LASTS: SignedDuration = SignedDuration::from_secs(120);

/// What the gateway sees of a person when it looks: whether they may sign in,
/// and how often their factors were removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Seen {
    pub(super) enabled: bool,
    pub(super) epoch: u32,
}

/// Which of a person's passkeys, one after the other.
pub(super) type Generation = u32;

#[derive(Debug, Clone)]
pub(super) struct Person {
    pub(super) seen: Seen,
    has_seed: bool,
    last_step: Option<i64>,
    passkey: Option<Passkey>,
    pub(super) passkeys: Generation,
    failures: u32,
    lock: Lock,
    pub(super) by_code: usize,
    pub(super) by_passkey: usize,
}

#[derive(Debug, Clone, Copy)]
struct Passkey {
    generation: Generation,
    counter: u32,
}

impl Person {
    /// Enabled, with both factors.
    pub(super) fn new() -> Self {
        Self {
            seen: Seen { enabled: true, epoch: 0 },
            has_seed: true,
            last_step: None,
            passkey: Some(Passkey { generation: 0, counter: 0 }),
            passkeys: 1,
            failures: 0,
            lock: Lock::None,
            by_code: 0,
            by_passkey: 0,
        }
    }

    /// The passkey that a page would ask for.
    pub(super) fn generation(&self) -> Option<Generation> {
        self.passkey.map(|passkey| passkey.generation)
    }

    /// All factors are removed, and with them failures and lock; the last step
    /// stays used.
    pub(super) fn reset(&mut self) {
        if self.has_seed || self.passkey.is_some() {
            (self.has_seed, self.passkey) = (false, None);
            (self.failures, self.lock) = (0, Lock::None);
            self.seen.epoch += 1;
        }
    }

    /// Whether new factors can be given.
    pub(super) fn can_have_new(&self) -> bool {
        self.seen.enabled && !self.has_seed && self.passkey.is_none()
    }

    /// Both factors are given anew.
    pub(super) fn give_new(&mut self) {
        self.has_seed = true;
        self.passkey = Some(Passkey { generation: self.passkeys, counter: 0 });
        self.passkeys += 1;
    }

    /// Whether the code is the person's own, not used, and the person not
    /// locked; remembers the attempt.
    pub(super) fn judge_code(&mut self, fits: Fits, now: Timestamp) -> bool {
        let step_now = now.as_second() / 30;
        if !self.has_seed || !self.count(now) {
            return false;
        }
        match fits {
            Some(ahead) if ahead.abs() <= SKEW => {
                let step = step_now + ahead;
                let fresh = self.last_step.is_none_or(|last| step > last);
                if fresh {
                    self.last_step = Some(step);
                    self.forget();
                }
                fresh
            }
            Some(ahead) if ahead.abs() <= NEARBY => {
                (self.failures, self.lock) = (self.failures - 1, Lock::None);
                false
            }
            Some(_) | None => false,
        }
    }

    /// Whether the answer is that of this person's own passkey to this very
    /// ceremony, verified its user, and is the passkey's next one; remembers
    /// the attempt.
    pub(super) fn judge_passkey(
        &mut self,
        owner: Who,
        ceremony: Option<Ceremony>,
        signed: Option<Signed>,
        visit: usize,
        now: Timestamp,
    ) -> bool {
        let Some(ceremony) = ceremony else { return false };
        let Some(asked) = ceremony.asks_for else { return false };
        if !self.count(now) {
            return false;
        }
        let (Some(signed), Some(passkey)) = (signed, self.passkey) else { return false };
        let caller = match ceremony.way {
            Way::Page => CallerIs::Page,
            Way::Direct => CallerIs::Connection(visit),
        };
        let right = now.duration_since(ceremony.begun) < CEREMONY_LASTS
            && signed.challenge == Some(ceremony.number)
            && signed.credential == (owner, asked)
            && passkey.generation == asked
            && signed.caller == caller
            && signed.user == UserCheck::Done
            && signed.counter > passkey.counter;
        if right {
            self.passkey = Some(Passkey { counter: signed.counter, ..passkey });
            self.forget();
        }
        right
    }

    /// Counts an attempt before it is judged; `false` if it must not be.
    fn count(&mut self, now: Timestamp) -> bool {
        if self.lock.at(now) != Lock::None {
            return false;
        }
        self.failures += 1;
        assert!(self.failures < PERMANENT_AFTER, "a scene is too long");
        self.lock = lock_after(self.failures, now);
        true
    }

    fn forget(&mut self) {
        (self.failures, self.lock) = (0, Lock::None);
    }
}
