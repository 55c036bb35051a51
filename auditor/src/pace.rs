//! How fast a replay tells its story.

use crate::interrupt::Interrupt;
use std::str::FromStr;
use std::time::{Duration, Instant};

/// How many times faster than it happened.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Speed {
    /// Without any waiting.
    Max,
    /// That many times faster; 1 is time-true.
    Times(f64),
}

/// The text is no speed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a speed is a number between 0.001 and 1000000, or max")]
pub struct NoSpeed;

impl FromStr for Speed {
    type Err = NoSpeed;

    fn from_str(text: &str) -> Result<Self, NoSpeed> {
        if text == "max" {
            return Ok(Self::Max);
        }
        let times: f64 = text.parse().map_err(|_| NoSpeed)?;
        if (0.001..=1_000_000.0).contains(&times) { Ok(Self::Times(times)) } else { Err(NoSpeed) }
    }
}

impl Speed {
    /// How long after the replay began something is due that happened `at`
    /// after the session began.
    pub fn due(self, at: Duration) -> Duration {
        match self {
            Self::Max => Duration::ZERO,
            Self::Times(times) => {
                Duration::try_from_secs_f64(at.as_secs_f64() / times).unwrap_or(Duration::MAX)
            }
        }
    }
}

/// Waits as the speed says.
#[derive(Debug)]
pub(crate) struct Pace {
    speed: Speed,
    began: Instant,
    /// Where in the session's time the replay begins.
    from: Duration,
}

impl Pace {
    /// The replay begins now, at `from` after the session began.
    pub(crate) fn new(speed: Speed, from: Duration) -> Self {
        Self { speed, began: Instant::now(), from }
    }

    /// Returns when something is due that happened `at` after the session
    /// began, or when the replay is interrupted.
    pub(crate) fn wait(&self, at: Duration, interrupt: &Interrupt) {
        let due = self.speed.due(at.saturating_sub(self.from));
        interrupt.wait(due.saturating_sub(self.began.elapsed()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speeds_are_numbers_or_max() {
        assert_eq!("max".parse(), Ok(Speed::Max));
        assert_eq!("2.5".parse(), Ok(Speed::Times(2.5)));
        for refused in ["", "fast", "0", "-1", "nan", "inf", "1e9"] {
            assert_eq!(refused.parse::<Speed>(), Err(NoSpeed), "{refused}");
        }
    }

    #[test]
    fn things_are_due_when_the_speed_says() {
        let at = Duration::from_secs(10);
        assert_eq!(Speed::Times(1.0).due(at), at);
        assert_eq!(Speed::Times(4.0).due(at), Duration::from_millis(2500));
        assert_eq!(Speed::Max.due(at), Duration::ZERO);
    }

    #[test]
    fn a_time_true_replay_waits() {
        let interrupt = Interrupt::default();
        let pace = Pace::new(Speed::Times(10.0), Duration::from_secs(60));
        pace.wait(Duration::from_millis(60_300), &interrupt);
        assert!(pace.began.elapsed() >= Duration::from_millis(30));
        pace.wait(Duration::ZERO, &interrupt);
    }
}
