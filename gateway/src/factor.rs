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
