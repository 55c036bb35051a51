//! Whether the person who signed in is still there: when the second factor has
//! to be shown again.
//!
//! Pure: the time comes in, and what has to be done goes out. One [`Presence`]
//! stands for one sign-in with all its sessions. What counts as a sign of the
//! person is said to it from outside ([`crate::Action::Active`], the opening of
//! a session): a tool that polls, asks who a device is, or keeps a connection
//! alive does so whether anybody sits before it or not.
//!
//! Order: `call` at `next` -> [`Call::Ask`] -> `proven`, or [`Call::GiveUp`].

use std::fmt;
use std::time::Duration;

/// How long a person is believed to be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PresenceLimits {
    /// Without a sign of the person.
    pub idle: Duration,
    /// Since the factor was shown, whatever the person does.
    pub absolute: Duration,
    /// How long the person may take to show it again.
    pub answer: Duration,
}

/// Why the factor has to be shown again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// There was no sign of the person for this long.
    Idle(Duration),
    /// It was shown this long ago.
    Absolute(Duration),
}

impl fmt::Display for Due {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Idle(limit) => {
                write!(formatter, "nothing was changed for {limit:?}, the second factor is due again")
            }
            Self::Absolute(limit) => write!(formatter, "the second factor is due again after {limit:?}"),
        }
    }
}

/// What has to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Call {
    /// Nothing before [`Presence::next`].
    Nothing,
    /// Hold requests back and ask for the factor.
    Ask {
        /// Why.
        due: Due,
        /// How long there is to give it.
        within: Duration,
    },
    /// It did not come: the sign-in ends.
    GiveUp,
}

/// The watch over one sign-in.
#[derive(Debug, Clone, Copy)]
pub struct Presence {
    limits: PresenceLimits,
    proven: Duration,
    active: Duration,
    stage: Stage,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Believed,
    Asked { until: Duration },
}

impl Presence {
    /// A person who has just shown the factor.
    pub fn new(now: Duration, limits: PresenceLimits) -> Self {
        Self { limits, proven: now, active: now, stage: Stage::Believed }
    }

    /// A sign of the person. While the factor is asked for it answers nothing.
    pub fn active(&mut self, at: Duration) {
        self.active = self.active.max(at);
    }

    /// The factor was shown.
    pub fn proven(&mut self, now: Duration) {
        self.proven = self.proven.max(now);
        self.active = self.active.max(now);
        self.stage = Stage::Believed;
    }

    /// Whether the factor is being asked for.
    pub fn is_asked(&self) -> bool {
        match self.stage {
            Stage::Believed => false,
            Stage::Asked { .. } => true,
        }
    }

    /// When [`Presence::call`] has something to do, unless a sign comes first.
    pub fn next(&self) -> Duration {
        match self.stage {
            Stage::Believed => self.idle_at().min(self.absolute_at()),
            Stage::Asked { until } => until,
        }
    }

    /// What has to be done now.
    pub fn call(&mut self, now: Duration) -> Call {
        match self.stage {
            Stage::Asked { until } if now >= until => Call::GiveUp,
            Stage::Asked { .. } => Call::Nothing,
            Stage::Believed if now >= self.absolute_at() => {
                self.ask(now, Due::Absolute(self.limits.absolute))
            }
            Stage::Believed if now >= self.idle_at() => self.ask(now, Due::Idle(self.limits.idle)),
            Stage::Believed => Call::Nothing,
        }
    }

    fn ask(&mut self, now: Duration, due: Due) -> Call {
        let within = self.limits.answer;
        self.stage = Stage::Asked { until: now.saturating_add(within) };
        Call::Ask { due, within }
    }

    fn idle_at(&self) -> Duration {
        self.active.saturating_add(self.limits.idle)
    }

    fn absolute_at(&self) -> Duration {
        self.proven.saturating_add(self.limits.absolute)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);
    const LIMITS: PresenceLimits = PresenceLimits {
        idle: Duration::from_secs(900),
        absolute: Duration::from_secs(8 * 3600),
        answer: Duration::from_secs(120),
    };

    fn asked(due: Due) -> Call {
        Call::Ask { due, within: LIMITS.answer }
    }

    #[test]
    fn without_a_sign_the_factor_is_due_after_a_quarter_of_an_hour() {
        let mut presence = Presence::new(MINUTE, LIMITS);
        assert_eq!(presence.next(), 16 * MINUTE);
        assert_eq!(presence.call(16 * MINUTE - Duration::from_millis(1)), Call::Nothing);
        assert_eq!(presence.call(16 * MINUTE), asked(Due::Idle(LIMITS.idle)));
        assert!(presence.is_asked());
        assert_eq!((presence.call(17 * MINUTE), presence.next()), (Call::Nothing, 18 * MINUTE));
        assert_eq!(presence.call(18 * MINUTE), Call::GiveUp);
    }

    #[test]
    fn each_sign_puts_it_off_but_not_for_ever() {
        let mut presence = Presence::new(Duration::ZERO, LIMITS);
        for minute in 1..480 {
            presence.active(minute * MINUTE);
            assert_eq!(presence.call(minute * MINUTE), Call::Nothing, "minute {minute}");
        }
        assert_eq!(presence.next(), 480 * MINUTE);
        assert_eq!(presence.call(480 * MINUTE), asked(Due::Absolute(LIMITS.absolute)));
    }

    #[test]
    fn only_the_factor_answers_and_begins_both_anew() {
        let mut presence = Presence::new(Duration::ZERO, LIMITS);
        assert!(matches!(presence.call(15 * MINUTE), Call::Ask { .. }));
        presence.active(16 * MINUTE);
        assert!(presence.is_asked(), "a sign is no factor");
        presence.proven(16 * MINUTE);
        assert_eq!((presence.is_asked(), presence.next()), (false, 31 * MINUTE));
        assert_eq!(presence.call(20 * MINUTE), Call::Nothing);
        // A sign that is told late does not shorten it.
        presence.active(MINUTE);
        assert_eq!(presence.next(), 31 * MINUTE);
    }
}
