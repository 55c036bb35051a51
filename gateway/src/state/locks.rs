//! How long a person must wait after failed second factors.
//!
//! The first failures cost nothing, then the delay doubles up to 15 minutes;
//! only after 100 failures in a row is the lock permanent. Nobody without the
//! person's own certificate reaches the place where failures are counted.

use jiff::{SignedDuration, Timestamp};
use std::fmt;

/// Failures in a row that cost no delay.
pub const FREE_ATTEMPTS: u32 = 4;

/// Failures in a row after which only an administrator unlocks.
pub const PERMANENT_AFTER: u32 = 100;

/// The first delay; it doubles with each failure.
const FIRST_DELAY: SignedDuration = SignedDuration::from_secs(30);

/// The longest delay that ends by itself.
const LONGEST_DELAY: SignedDuration = SignedDuration::from_mins(15);

/// A lock on the second factor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(tag = "lock", content = "until", rename_all = "lowercase")]
pub enum Lock {
    /// Attempts are open.
    None,
    /// No attempt is judged before this time.
    Until(Timestamp),
    /// No attempt is judged until an administrator unlocks.
    Permanent,
}

impl Lock {
    /// The lock in force at `now`: one that has run out is none.
    pub fn at(self, now: Timestamp) -> Self {
        match self {
            Self::Until(until) if until <= now => Self::None,
            Self::None | Self::Until(_) | Self::Permanent => self,
        }
    }
}

impl fmt::Display for Lock {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => formatter.write_str("not locked"),
            Self::Until(until) => write!(formatter, "locked until {until}"),
            Self::Permanent => formatter.write_str("locked until an administrator unlocks"),
        }
    }
}

/// The lock that `failures` failures in a row bring, the last one at `now`.
pub fn lock_after(failures: u32, now: Timestamp) -> Lock {
    if failures >= PERMANENT_AFTER {
        return Lock::Permanent;
    }
    let Some(doublings) = failures.checked_sub(FREE_ATTEMPTS + 1) else { return Lock::None };
    let factor = 1_i32.checked_shl(doublings).filter(|factor| *factor > 0).unwrap_or(i32::MAX);
    let delay = FIRST_DELAY.checked_mul(factor).map_or(LONGEST_DELAY, |delay| delay.min(LONGEST_DELAY));
    Lock::Until(now.saturating_add(delay).unwrap_or(Timestamp::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delay(failures: u32) -> Option<i64> {
        match lock_after(failures, Timestamp::UNIX_EPOCH) {
            Lock::Until(until) => Some(until.as_second()),
            Lock::None | Lock::Permanent => None,
        }
    }

    #[test]
    fn delays_grow_to_fifteen_minutes_and_become_permanent_only_at_a_hundred() {
        assert_eq!((0..=4).map(delay).collect::<Vec<_>>(), vec![None; 5]);
        assert_eq!((5..=11).filter_map(delay).collect::<Vec<_>>(), [30, 60, 120, 240, 480, 900, 900]);
        assert!((10..PERMANENT_AFTER).all(|failures| delay(failures) == Some(900)));
        assert_eq!(lock_after(100, Timestamp::UNIX_EPOCH), Lock::Permanent);
        assert_eq!(lock_after(u32::MAX, Timestamp::UNIX_EPOCH), Lock::Permanent);
    }

    #[test]
    fn a_lock_that_has_run_out_is_none() {
        let until = Timestamp::from_second(100).unwrap();
        assert_eq!(Lock::Until(until).at(Timestamp::from_second(99).unwrap()), Lock::Until(until));
        assert_eq!(Lock::Until(until).at(until), Lock::None);
        assert_eq!(Lock::Permanent.at(until), Lock::Permanent);
    }
}
