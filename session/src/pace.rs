//! Requests per second across a session, by making them wait.
//!
//! A virtual scheduling clock (the generic cell rate algorithm): each request
//! moves it on by one interval, and it may run ahead of the time by
//! [`BURST`]. Nothing is counted per tick, so that no timer is needed while
//! nobody waits.

use std::time::Duration;

/// How far ahead requests may be: a tool that asks for a handful of values at
/// once isn't held up, a stream of them is.
const BURST: Duration = Duration::from_millis(100);

/// The pace of one session.
#[derive(Debug)]
pub(crate) struct Pace {
    /// `None` where no pace is set.
    interval: Option<Duration>,
    /// When the next request would be due at an even pace.
    even: Duration,
}

impl Pace {
    /// A pace of that many requests per second; 0 counts as 1.
    pub(crate) fn new(per_second: Option<u32>) -> Self {
        let interval = per_second.and_then(|rate| Duration::from_secs(1).checked_div(rate.max(1)));
        Self { interval, even: Duration::ZERO }
    }

    pub(crate) fn is_set(&self) -> bool {
        self.interval.is_some()
    }

    /// When the next request may go: now, or later.
    pub(crate) fn next(&self, now: Duration) -> Duration {
        match self.interval {
            Some(_) => self.even.saturating_sub(BURST).max(now),
            None => now,
        }
    }

    /// Takes note of a request that goes now.
    pub(crate) fn take(&mut self, now: Duration) {
        if let Some(interval) = self.interval {
            self.even = self.even.max(now).saturating_add(interval);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_of_requests_is_held_to_the_rate() {
        let mut pace = Pace::new(Some(50));
        let (mut now, mut taken) = (Duration::ZERO, 0);
        while now < Duration::from_secs(10) {
            now = pace.next(now);
            pace.take(now);
            taken += 1;
        }
        assert!((500..=507).contains(&taken), "{taken} requests in 10 s at 50/s");
    }

    #[test]
    fn a_pause_is_no_credit_beyond_the_burst() {
        let mut pace = Pace::new(Some(50));
        let now = Duration::from_secs(100);
        let mut taken = 0;
        while pace.next(now) == now {
            pace.take(now);
            taken += 1;
        }
        assert_eq!(taken, 6);
        assert_eq!(Pace::new(None).next(now), now);
    }
}
