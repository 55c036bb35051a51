//! Whether the person of a sign-in is still there: asking for the second factor
//! again on the same connection.
//!
//! The pure watch is [`session::Presence`]; here it gets its time, the signs of
//! the person that sessions see, and a voice. While it asks, every session of
//! the sign-in holds its requests back; connections to devices stay as they
//! are. An answer is judged like the first one: counted before it is compared,
//! each code once, by the factor of the very person who signed in.
//!
//! Order: [`Presence::wait`] -> [`Presence::look`] -> sessions hold back ->
//! [`Presence::judge`], at most [`ATTEMPTS`] times -> they go on, or the sign-in
//! ends.

use crate::audit::{Audit, AuditError, Kind};
use crate::authenticate::{ATTEMPTS, Authenticated};
use crate::clock::Clock;
use crate::factor::{self, Rejection, Verified};
use crate::office::Office;
use crate::passkey::{self, SignInCeremony};
use authz::Assurance;
use session::{Call, Due, PresenceLimits};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, watch};

/// An answer to a code leaves no sooner than this after the code came.
const ANSWER_AFTER: Duration = Duration::from_millis(250);

/// The longest sleep between two looks: the clock that counts need not be the
/// one that sleeps.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Whether the sessions of a sign-in hold their requests back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asking {
    /// They go on.
    Nothing,
    /// They hold back until the factor was shown.
    Factor(Due),
}

/// The watch over one sign-in, shared by its hall and its sessions.
pub struct Presence {
    clock: Arc<dyn Clock>,
    watch: Mutex<Watch>,
    /// Milliseconds on the monotonic clock when a session last saw a sign.
    active: AtomicU64,
    asking: watch::Sender<Asking>,
    /// Rings when the watch was set anew.
    anew: Notify,
}

struct Watch {
    pure: session::Presence,
    attempts: u32,
    judging: Judging,
}

/// Whether a code is being judged: one at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Judging {
    Nothing,
    OneCode,
}

impl fmt::Debug for Presence {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Presence({:?})", *self.asking.borrow())
    }
}

/// What has to be done now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Look {
    /// Nothing yet.
    Nothing,
    /// The person has to be asked.
    Ask {
        /// Why.
        due: Due,
        /// How long there is to answer.
        within: Duration,
    },
    /// The sign-in ends: no answer came.
    GiveUp,
}

/// What a person gave when asked again.
#[derive(Debug)]
pub enum Given {
    /// A one-time code.
    Code(String),
    /// The answer of a page, with the ceremony that this connection had asked
    /// for; `None` if there was none.
    Passkey {
        /// Taken by this answer.
        ceremony: Option<SignInCeremony>,
        /// The assertion.
        json: String,
    },
}

/// What a code was worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Answer {
    /// The person is there; the sessions go on.
    Proven,
    /// It is not accepted, and another may follow.
    Again,
    /// It is not accepted, and it was the last one.
    Last,
    /// Nobody had asked, or another is being judged.
    OutOfTurn,
}

impl Presence {
    /// The watch over a person who has just shown the factor.
    pub fn new(clock: Arc<dyn Clock>, limits: PresenceLimits) -> Self {
        let now = clock.monotonic();
        let pure = session::Presence::new(now, limits);
        let watch = Mutex::new(Watch { pure, attempts: 0, judging: Judging::Nothing });
        let (asking, _) = watch::channel(Asking::Nothing);
        Self { clock, watch, active: AtomicU64::new(0), asking, anew: Notify::new() }
    }

    /// A sign of the person, seen now.
    pub fn sign(&self) {
        self.active.fetch_max(milliseconds(self.clock.monotonic()), Ordering::Relaxed);
    }

    /// What sessions hear of it.
    pub fn subscribe(&self) -> watch::Receiver<Asking> {
        self.asking.subscribe()
    }

    /// Whether the factor is being asked for.
    pub fn asking(&self) -> Asking {
        *self.asking.borrow()
    }

    /// Waits until there may be something to do.
    pub async fn wait(&self) {
        let left = self.with(|watch, now| watch.pure.next().saturating_sub(now));
        tokio::select! {
            () = tokio::time::sleep(left.min(LOOK_EVERY)) => {}
            () = self.anew.notified() => {}
        }
    }

    /// Looks whether the factor is due, or overdue.
    pub fn look(&self) -> Look {
        match self.with(|watch, now| watch.pure.call(now)) {
            Call::Nothing => Look::Nothing,
            Call::Ask { due, within } => {
                self.with(|watch, _| watch.attempts = 0);
                self.asking.send_replace(Asking::Factor(due));
                Look::Ask { due, within }
            }
            Call::GiveUp => Look::GiveUp,
        }
    }

    /// Judges what the person who signed in gave; each is an event. It has to be
    /// a factor like the first one, or a sign-in would be worth more than what
    /// keeps it alive.
    pub async fn judge(&self, office: &Arc<Office>, who: &Authenticated, given: Given) -> Answer {
        if !self.begin_judging() {
            return Answer::OutOfTurn;
        }
        let answer_at = tokio::time::Instant::now() + ANSWER_AFTER;
        let judged = match (given, who.assurance()) {
            (Given::Code(code), Assurance::CertificateAndTotp) => judge_code(office, who, code).await,
            (Given::Passkey { ceremony, json }, Assurance::CertificateAndWebauthn) => {
                judge_passkey(office, who, ceremony, json).await
            }
            (Given::Code(_), Assurance::CertificateAndWebauthn)
            | (Given::Passkey { .. }, Assurance::CertificateAndTotp) => {
                Ok(Some("another factor than at the sign-in".to_owned()))
            }
        };
        let why = match judged {
            Ok(why) => why.map(|why| format!("asked again: {why}")),
            Err(failed) => {
                office.audit.alarm().raise(&failed);
                Some(failed)
            }
        };
        let noted = note(&office.audit, who, why.as_deref()).await;
        tokio::time::sleep_until(answer_at).await;
        // What can't be accounted for does not happen.
        self.end_judging(why.is_none() && noted.is_ok())
    }

    fn begin_judging(&self) -> bool {
        self.with(|watch, _| {
            let free =
                watch.pure.is_asked() && watch.judging == Judging::Nothing && watch.attempts < ATTEMPTS;
            if free {
                watch.judging = Judging::OneCode;
                watch.attempts = watch.attempts.saturating_add(1);
            }
            free
        })
    }

    fn end_judging(&self, accepted: bool) -> Answer {
        let answer = self.with(|watch, now| {
            watch.judging = Judging::Nothing;
            if accepted {
                watch.pure.proven(now);
                Answer::Proven
            } else if watch.attempts < ATTEMPTS {
                Answer::Again
            } else {
                Answer::Last
            }
        });
        if answer == Answer::Proven {
            self.asking.send_replace(Asking::Nothing);
        }
        self.anew.notify_one();
        answer
    }

    fn with<T>(&self, work: impl FnOnce(&mut Watch, Duration) -> T) -> T {
        // Plain values that are whole at any moment.
        let mut watch = self.watch.lock().unwrap_or_else(PoisonError::into_inner);
        watch.pure.active(Duration::from_millis(self.active.load(Ordering::Relaxed)));
        work(&mut watch, self.clock.monotonic())
    }
}

/// `None`: the code holds.
async fn judge_code(
    office: &Arc<Office>,
    who: &Authenticated,
    code: String,
) -> Result<Option<String>, String> {
    let (person, now) = (who.record().id, office.clock.wall());
    let verify = move |office: &Office| factor::verify(&*office.state, person, &code, now);
    Ok(match office.blocking(verify).await? {
        Verified::Accepted { .. } => None,
        Verified::Refused { why, lock } => {
            if why != Rejection::Locked {
                office.audit.tell_of_a_lock(who.person(), who.source().ip(), &why.to_string(), lock);
            }
            if let Rejection::OtherStep { ahead } = why {
                let text = format!("a code of {} fits {ahead} steps of 30 s beside now", who.person());
                office.audit.alarm().raise(&format!("{text}: check both clocks"));
            }
            Some(format!("{why}; {lock}"))
        }
    })
}

/// `None`: the passkey holds.
async fn judge_passkey(
    office: &Arc<Office>,
    who: &Authenticated,
    ceremony: Option<SignInCeremony>,
    json: String,
) -> Result<Option<String>, String> {
    let (person, now) = (who.record().id, office.clock.wall());
    let verify = move |office: &Office| {
        let party = office.relying_party.as_ref().ok_or("no passkeys are configured")?;
        let verified = passkey::verify(&*office.state, party, person, ceremony, &json, now);
        verified.map_err(|error| error.to_string())
    };
    Ok(match office.blocking(verify).await? {
        passkey::Verified::Accepted { .. } => None,
        passkey::Verified::Refused { why, lock } => {
            if why != passkey::Refused::Locked {
                office.audit.tell_of_a_lock(who.person(), who.source().ip(), &why.to_string(), lock);
            }
            passkey::tell_of_a_copy(office, who.person(), &why);
            Some(format!("{why}; {lock}"))
        }
    })
}

async fn note(audit: &Audit, who: &Authenticated, refused: Option<&str>) -> Result<(), AuditError> {
    let kind = if refused.is_some() { Kind::SignInRefused } else { Kind::FactorShown };
    let event = audit.event(kind).person(who.person()).source(who.source().ip());
    let event = match refused {
        Some(why) => event.why(why),
        None => event,
    };
    audit.commit(&event).await
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;
    use crate::fixture::noon;

    const LIMITS: PresenceLimits = PresenceLimits {
        idle: Duration::from_secs(900),
        absolute: Duration::from_secs(3600),
        answer: Duration::from_secs(120),
    };

    #[test]
    fn what_a_session_sees_counts_for_the_sign_in_and_an_answer_only_when_asked() {
        let clock = Arc::new(ManualClock::at(noon()));
        clock.advance(Duration::from_secs(1000));
        let presence = Presence::new(clock.clone(), LIMITS);
        let mut heard = presence.subscribe();
        assert!(!presence.begin_judging(), "nobody asked");
        clock.advance(Duration::from_secs(800));
        presence.sign();
        clock.advance(Duration::from_secs(800));
        assert_eq!(presence.look(), Look::Nothing);
        clock.advance(Duration::from_secs(100));
        let due = Due::Idle(LIMITS.idle);
        assert_eq!(presence.look(), Look::Ask { due, within: LIMITS.answer });
        assert_eq!(*heard.borrow_and_update(), Asking::Factor(due));
        assert!(presence.begin_judging());
        assert!(!presence.begin_judging(), "one at a time");
        assert_eq!(presence.end_judging(false), Answer::Again);
        assert_eq!(presence.asking(), Asking::Factor(due));
        assert!(presence.begin_judging());
        assert_eq!(presence.end_judging(true), Answer::Proven);
        assert_eq!(presence.asking(), Asking::Nothing);
        assert_eq!(presence.look(), Look::Nothing);
    }

    #[test]
    fn codes_are_bounded_each_time_it_is_asked() {
        let clock = Arc::new(ManualClock::at(noon()));
        let presence = Presence::new(clock.clone(), LIMITS);
        for _ in 0..2 {
            clock.advance(LIMITS.idle);
            assert!(matches!(presence.look(), Look::Ask { .. }));
            for left in (0..ATTEMPTS).rev() {
                assert!(presence.begin_judging());
                let expected = if left > 0 { Answer::Again } else { Answer::Last };
                assert_eq!(presence.end_judging(false), expected);
            }
            assert!(!presence.begin_judging(), "a fourth code");
            presence.with(|watch, now| watch.pure.proven(now));
        }
        clock.advance(LIMITS.idle);
        assert!(matches!(presence.look(), Look::Ask { .. }));
        clock.advance(LIMITS.answer);
        assert_eq!(presence.look(), Look::GiveUp);
    }
}
