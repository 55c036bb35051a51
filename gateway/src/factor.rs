//! The second factor: a six-digit TOTP code (RFC 6238), judged against the
//! seed of the person whose certificate this connection showed.
//!
//! Pure but for [`verify`], which wraps the judgement in the state's
//! transactions: count the attempt, judge the code, use up its step. A code is
//! parsed to six ASCII digits before anything is compared, so that no
//! whitespace or other writing of the same code counts as a second one. This
//! module never logs a code or a seed.

use crate::state::{Attempt, Failure, Lock, PersonId, State, StateError, StepUse};
use jiff::Timestamp;
use std::fmt;
use totp_rs::{Builder, Secret, Totp, TotpError};

/// Seconds of one step (RFC 6238, 5.2).
pub const STEP_SECONDS: u64 = 30;

/// Steps before and after the present one whose code is accepted.
const SKEW: u16 = 1;

/// Steps before and after the present one that are tried to tell a wrong clock
/// from a wrong code: five minutes either way.
const NEARBY: u16 = 10;

/// A person's TOTP secret. Prints as nothing and is erased when dropped.
#[derive(Clone)]
pub struct Seed(Secret);

impl Seed {
    /// A new random seed of 160 bits (RFC 4226, section 4).
    pub fn generate() -> Self {
        Self(Secret::generate())
    }

    /// A seed from the state. `None` unless it is 16 to 64 bytes long.
    pub fn from_bytes(bytes: Vec<u8>) -> Option<Self> {
        (16..=64).contains(&bytes.len()).then(|| Self(Secret::new(bytes.into_boxed_slice())))
    }

    /// The secret bytes, for the state only.
    pub fn expose(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// The `otpauth://` address that authenticator apps read. It holds the
    /// secret: it is shown once and never stored.
    pub fn address(&self, account: &str, issuer: &str) -> Result<String, TotpError> {
        let builder = Builder::new().with_secret(self.0.clone()).with_skew(SKEW).with_account_name(account);
        builder.with_issuer(Some(issuer)).build()?.to_url()
    }

    fn totp(&self, skew: u16) -> Result<Totp, TotpError> {
        Builder::new().with_secret(self.0.clone()).with_skew(skew).build()
    }
}

impl fmt::Debug for Seed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Seed(..)")
    }
}

/// Exactly six ASCII digits. Prints as nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct Code(String);

impl Code {
    /// Takes six ASCII digits and nothing else: no spaces, no other script's
    /// digits, no other length.
    pub fn parse(text: &str) -> Option<Self> {
        (text.len() == 6 && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| Self(text.to_owned()))
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Code(..)")
    }
}

/// What a code is worth at some moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judgement {
    /// It is the code of this step, at most one away from now.
    Fits {
        /// The step: seconds since 1970 divided by [`STEP_SECONDS`].
        step: u64,
    },
    /// It is the code of a step some minutes away: a clock is wrong.
    OtherStep {
        /// Steps ahead of the gateway; negative is behind.
        ahead: i64,
    },
    /// It is the code of no step around.
    Wrong,
}

/// Judges a code without remembering anything.
pub fn judge(seed: &Seed, code: &Code, now: Timestamp) -> Judgement {
    let seconds = u64::try_from(now.as_second()).unwrap_or(0);
    // A seed that the library refuses can't be matched by any code.
    let Ok(totp) = seed.totp(SKEW) else { return Judgement::Wrong };
    if let Some(step) = totp.check(&code.0, seconds) {
        return Judgement::Fits { step };
    }
    let Some(step) = seed.totp(NEARBY).ok().and_then(|totp| totp.check(&code.0, seconds)) else {
        return Judgement::Wrong;
    };
    Judgement::OtherStep {
        ahead: i64::try_from(step).unwrap_or(0) - i64::try_from(seconds / STEP_SECONDS).unwrap_or(0),
    }
}

/// The largest step whose code can have been accepted by `now`.
pub fn last_acceptable(now: Timestamp) -> u64 {
    let seconds = u64::try_from(now.as_second()).unwrap_or(0);
    (seconds / STEP_SECONDS).saturating_add(SKEW.into())
}

/// The outcome of one attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verified {
    /// The second factor holds; its step is used up, durably.
    Accepted {
        /// The step that was used up.
        step: u64,
    },
    /// Not accepted. On the wire all reasons look alike.
    Refused {
        /// For the audit event.
        why: Rejection,
        /// The lock now in force.
        lock: Lock,
    },
}

/// Why a second factor was refused, for the audit event only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rejection {
    /// Not six ASCII digits.
    Malformed,
    /// The code of no step around.
    Wrong,
    /// The right code, used before.
    Replayed,
    /// The code of another nearby step: alarm, because a clock is off.
    OtherStep {
        /// Steps ahead of the gateway; negative is behind.
        ahead: i64,
    },
    /// Not judged: the person is locked.
    Locked,
    /// Not judged: the person has no factor.
    NoFactor,
}

impl fmt::Display for Rejection {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed => formatter.write_str("the code is not six digits"),
            Self::Wrong => formatter.write_str("the code is wrong"),
            Self::Replayed => formatter.write_str("the code was used before"),
            Self::OtherStep { ahead } => {
                write!(formatter, "the code belongs to another time, {ahead} steps ahead: a clock is off")
            }
            Self::Locked => formatter.write_str("locked after too many failures"),
            Self::NoFactor => formatter.write_str("no second factor is stored"),
        }
    }
}

/// Counts the attempt, judges the code, uses up its step. Blocks on the disk.
///
/// # Errors
/// When the state fails: the caller refuses the sign-in.
pub fn verify(
    state: &dyn State,
    person: PersonId,
    text: &str,
    now: Timestamp,
) -> Result<Verified, StateError> {
    let seed = match state.begin_attempt(person, now)? {
        Attempt::Open { seed, .. } => seed,
        Attempt::Locked(lock) => return Ok(Verified::Refused { why: Rejection::Locked, lock }),
        Attempt::NoFactor => return Ok(Verified::Refused { why: Rejection::NoFactor, lock: Lock::None }),
    };
    let Some(code) = Code::parse(text) else {
        return refuse(state, person, Rejection::Malformed, Failure::Wrong, now);
    };
    match judge(&seed, &code, now) {
        Judgement::Fits { step } => match state.accept_step(person, step, now)? {
            StepUse::Accepted => Ok(Verified::Accepted { step }),
            StepUse::AlreadyUsed => refuse(state, person, Rejection::Replayed, Failure::Wrong, now),
        },
        Judgement::OtherStep { ahead } => {
            refuse(state, person, Rejection::OtherStep { ahead }, Failure::OtherStep, now)
        }
        Judgement::Wrong => refuse(state, person, Rejection::Wrong, Failure::Wrong, now),
    }
}

fn refuse(
    state: &dyn State,
    person: PersonId,
    why: Rejection,
    failure: Failure,
    now: Timestamp,
) -> Result<Verified, StateError> {
    let lock = state.record_failure(person, failure, now)?;
    Ok(Verified::Refused { why, lock })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::noon;
    use crate::names::Handle;
    use crate::state::{Import, KeyHash, SqliteState, StateFiles};
    use jiff::SignedDuration;
    use std::path::Path;
    use std::sync::Barrier;

    fn code_at(seed: &Seed, at: Timestamp) -> String {
        seed.totp(0).unwrap().generate(u64::try_from(at.as_second()).unwrap()).to_string()
    }

    fn steps(count: i64) -> SignedDuration {
        SignedDuration::from_secs(count * 30)
    }

    fn enrolled(folder: &Path) -> (SqliteState, PersonId, Seed) {
        let state = SqliteState::open(&StateFiles::within(folder)).unwrap();
        let (seed, key) = (Seed::generate(), KeyHash([7; 32]));
        let handle = Handle::parse("tech-1@vendor-a").unwrap();
        state.import_person(&Import { handle, key, seed: seed.clone() }, noon()).unwrap();
        let person = state.person_by_key(&key).unwrap().unwrap().id;
        (state, person, seed)
    }

    fn accepted(verified: Verified) -> bool {
        matches!(verified, Verified::Accepted { .. })
    }

    fn rejection(verified: Verified) -> Option<Rejection> {
        match verified {
            Verified::Refused { why, .. } => Some(why),
            Verified::Accepted { .. } => None,
        }
    }

    #[test]
    fn the_rfc_6238_vector_holds() {
        // RFC 6238, appendix B: SHA-1, T = 59 s gives 94287082; six digits of it.
        let seed = Seed::from_bytes(b"12345678901234567890".to_vec()).unwrap();
        assert_eq!(code_at(&seed, Timestamp::from_second(59).unwrap()), "287082");
    }

    #[test]
    fn one_step_either_side_is_accepted_and_no_more() {
        let seed = Seed::generate();
        for ahead in -12..=12 {
            let code = Code::parse(&code_at(&seed, noon() + steps(ahead))).unwrap();
            let judged = judge(&seed, &code, noon());
            let expected = match ahead {
                -1..=1 => Judgement::Fits { step: u64::try_from(noon().as_second() / 30 + ahead).unwrap() },
                -10..=10 => Judgement::OtherStep { ahead },
                _ => Judgement::Wrong,
            };
            assert_eq!(judged, expected, "{ahead} steps ahead");
        }
    }

    #[test]
    fn a_code_has_one_spelling() {
        assert!(Code::parse("012345").is_some());
        for wrong in [
            "",
            "12345",
            "1234567",
            " 123456",
            "123456 ",
            "123 456",
            "12345\n",
            "١٢٣٤٥٦",
            "１２３４５６",
            "12345a",
            "-12345",
        ] {
            assert!(Code::parse(wrong).is_none(), "{wrong:?}");
        }
    }

    #[test]
    fn a_code_works_once_also_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let (state, person, seed) = enrolled(folder.path());
        let code = code_at(&seed, noon());
        assert!(accepted(verify(&state, person, &code, noon()).unwrap()));
        assert_eq!(rejection(verify(&state, person, &code, noon()).unwrap()), Some(Rejection::Replayed));
        drop(state);
        let state = SqliteState::open(&StateFiles::within(folder.path())).unwrap();
        assert_eq!(rejection(verify(&state, person, &code, noon()).unwrap()), Some(Rejection::Replayed));
        // An earlier step is used up with a later one.
        let earlier = code_at(&seed, noon() - steps(1));
        assert_eq!(rejection(verify(&state, person, &earlier, noon()).unwrap()), Some(Rejection::Replayed));
        let next = code_at(&seed, noon() + steps(1));
        assert!(accepted(verify(&state, person, &next, noon() + steps(1)).unwrap()));
    }

    #[test]
    fn other_spellings_of_a_used_code_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let (state, person, seed) = enrolled(folder.path());
        let code = code_at(&seed, noon());
        assert!(accepted(verify(&state, person, &code, noon()).unwrap()));
        for spelled in [format!(" {code}"), format!("{code} "), format!("0{code}")] {
            assert_eq!(
                rejection(verify(&state, person, &spelled, noon()).unwrap()),
                Some(Rejection::Malformed)
            );
        }
    }

    #[test]
    fn of_fifty_at_once_exactly_one_gets_in() {
        let folder = tempfile::tempdir().unwrap();
        let (state, person, seed) = enrolled(folder.path());
        let (code, gate) = (code_at(&seed, noon()), Barrier::new(50));
        let step = match judge(&seed, &Code::parse(&code).unwrap(), noon()) {
            Judgement::Fits { step } => step,
            other @ (Judgement::OtherStep { .. } | Judgement::Wrong) => panic!("{other:?}"),
        };
        // The step alone, so that the lock can't be what keeps the others out.
        let won = std::thread::scope(|scope| {
            let one = || {
                gate.wait();
                state.accept_step(person, step, noon()).unwrap() == StepUse::Accepted
            };
            let all: Vec<_> = (0..50).map(|_| scope.spawn(one)).collect();
            all.into_iter().map(|one| one.join().unwrap()).filter(|won| *won).count()
        });
        assert_eq!(won, 1);
    }

    #[test]
    fn of_fifty_connections_with_one_code_exactly_one_gets_in() {
        let folder = tempfile::tempdir().unwrap();
        let (state, person, seed) = enrolled(folder.path());
        drop(state);
        let (code, gate) = (code_at(&seed, noon()), Barrier::new(50));
        // Five connections to one file: SQLite's locks count, not only ours.
        let open = |_| SqliteState::open(&StateFiles::within(folder.path())).unwrap();
        let states: Vec<_> = (0..5).map(open).collect();
        let won = std::thread::scope(|scope| {
            let (code, gate) = (&code, &gate);
            let one = |state| {
                move || {
                    gate.wait();
                    accepted(verify(state, person, code, noon()).unwrap())
                }
            };
            let all: Vec<_> = (0..50).map(|index: usize| scope.spawn(one(&states[index % 5]))).collect();
            all.into_iter().map(|one| one.join().unwrap()).filter(|won| *won).count()
        });
        assert_eq!(won, 1);
    }

    #[test]
    fn failures_lock_success_resets_and_a_wrong_clock_does_not_lock() {
        let folder = tempfile::tempdir().unwrap();
        let (state, person, seed) = enrolled(folder.path());
        let other_step = code_at(&seed, noon() + steps(5));
        for _ in 0..20 {
            let verified = verify(&state, person, &other_step, noon()).unwrap();
            assert_eq!(rejection(verified), Some(Rejection::OtherStep { ahead: 5 }));
        }
        for _ in 0..5 {
            assert!(!accepted(verify(&state, person, "x", noon()).unwrap()));
        }
        let right = code_at(&seed, noon());
        let Verified::Refused { why, lock } = verify(&state, person, &right, noon()).unwrap() else {
            panic!("a locked person got in")
        };
        assert_eq!((why, lock), (Rejection::Locked, Lock::Until(noon() + SignedDuration::from_secs(30))));
        let later = noon() + SignedDuration::from_secs(31);
        assert!(accepted(verify(&state, person, &code_at(&seed, later), later).unwrap()));
        let record = state.person(&Handle::parse("tech-1@vendor-a").unwrap()).unwrap().unwrap();
        assert_eq!((record.failures, record.lock, record.last_sign_in), (0, Lock::None, Some(later)));
    }

    #[test]
    fn seeds_and_codes_do_not_print() {
        let seed = Seed::from_bytes(b"12345678901234567890".to_vec()).unwrap();
        assert_eq!(format!("{seed:?} {:?}", Code::parse("123456").unwrap()), "Seed(..) Code(..)");
        assert!(Seed::from_bytes(vec![0; 15]).is_none());
    }
}
