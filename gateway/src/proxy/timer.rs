//! When the core wants to be asked although nothing came.
//!
//! With each request something else is due first, mostly the end of the wait
//! for its answer, and mostly that answer comes. So the timer is set back
//! only where something is due earlier than it would ring, and a ring for what
//! is settled by then sets it anew.

use super::bell::{Bell, Bells};
use std::pin::Pin;
use std::task::{Poll, ready};
use std::time::Duration;
use tokio::time::{Sleep, sleep};

/// The timer of one session.
pub(super) struct Timer {
    bell: Bell,
    sleep: Pin<Box<Sleep>>,
    /// What it is set to, since the session's start.
    set: Option<Duration>,
}

impl Timer {
    pub(super) fn new(bells: &Bells) -> Self {
        Self { bell: bells.hang(), sleep: Box::pin(sleep(Duration::ZERO)), set: None }
    }

    /// Whether the time is `due`, both it and `now` since the session's start.
    pub(super) fn poll(&mut self, due: Option<Duration>, now: impl Fn() -> Duration) -> Poll<()> {
        let Some(due) = due else { return Poll::Pending };
        loop {
            if self.set.is_none_or(|set| due < set) {
                self.sleep.set(sleep(due.saturating_sub(now())));
                self.set = Some(due);
                self.bell.ring();
            }
            let Self { bell, sleep, .. } = self;
            ready!(bell.poll(|context| sleep.as_mut().poll(context)));
            if self.set.take() == Some(due) {
                return Poll::Ready(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;
    use std::time::Instant;
    use tokio::time::timeout;

    /// Waits with `timer` for what is due at each of the times that `due`
    /// tells as the time passes, in milliseconds; gives when it rang.
    async fn rings(timer: &mut Timer, bells: &Bells, due: impl Fn(u128) -> u64) -> u128 {
        let start = Instant::now();
        poll_fn(|context| {
            bells.answer(context);
            let due = Duration::from_millis(due(start.elapsed().as_millis()));
            timer.poll(Some(due), || start.elapsed())
        })
        .await;
        start.elapsed().as_millis()
    }

    #[tokio::test]
    async fn it_rings_when_something_is_due_whatever_was_due_before() {
        let bells = Bells::default();
        let mut timer = Timer::new(&bells);
        bells.answer(&std::task::Context::from_waker(std::task::Waker::noop()));
        assert!(timer.poll(None, || Duration::MAX).is_pending());
        assert!(rings(&mut timer, &bells, |_| 50).await >= 50);
        // What was due first is settled when it rings.
        let later = |passed| if passed < 20 { 20 } else { 100 };
        assert!(rings(&mut timer, &bells, later).await >= 100);
        // Set to the far future, and then something is due soon.
        let far = timeout(Duration::from_millis(10), rings(&mut timer, &bells, |_| 3_600_000)).await;
        assert!(far.is_err());
        let soon = timeout(Duration::from_secs(60), rings(&mut timer, &bells, |_| 20)).await;
        assert!(soon.is_ok_and(|passed| passed >= 20));
    }
}
