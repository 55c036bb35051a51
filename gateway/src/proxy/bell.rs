//! Whom a wake was for.
//!
//! A session's task waits for many things at once: its lines, orders, a
//! policy, the clock. To ask all of them after each wake would cost more than
//! the work itself. A [`Bell`] is a waker of the task that remembers that it
//! rang: what did not ring has nothing new and is not asked.
//!
//! A bell rings when it is hung, when what it was last handed to wakes it, and
//! when the task rings it. Something that answered is asked again: it may have
//! more to tell.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

/// The task that all its bells wake.
#[derive(Debug, Default)]
pub(super) struct Bells(Arc<Mutex<Option<Waker>>>);

/// One thing that the task waits for.
#[derive(Debug)]
pub(super) struct Bell {
    rope: Arc<Rope>,
    waker: Waker,
}

#[derive(Debug)]
struct Rope {
    rang: AtomicBool,
    task: Arc<Mutex<Option<Waker>>>,
}

impl Bells {
    /// Takes note of the task as it is polled now. Must precede any
    /// [`Bell::poll`].
    pub(super) fn answer(&self, context: &Context<'_>) {
        let mut task = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *task {
            Some(waker) => waker.clone_from(context.waker()),
            None => *task = Some(context.waker().clone()),
        }
    }

    /// A further bell, rung once.
    pub(super) fn hang(&self) -> Bell {
        let rope = Arc::new(Rope { rang: AtomicBool::new(true), task: Arc::clone(&self.0) });
        Bell { waker: Waker::from(Arc::clone(&rope)), rope }
    }
}

impl Bell {
    /// Polls, if it rang since the last time that `Pending` came back.
    pub(super) fn poll<T>(&self, poll: impl FnOnce(&mut Context<'_>) -> Poll<T>) -> Poll<T> {
        // Forgotten first: what rings while it is polled is not lost.
        if !self.rope.rang.swap(false, Ordering::AcqRel) {
            return Poll::Pending;
        }
        let polled = poll(&mut Context::from_waker(&self.waker));
        if polled.is_ready() {
            self.ring();
        }
        polled
    }

    /// Rung by the task itself, which needs no waking.
    pub(super) fn ring(&self) {
        self.rope.rang.store(true, Ordering::Release);
    }
}

impl Wake for Rope {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.rang.store(true, Ordering::Release);
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(waker) = &*task {
            waker.wake_by_ref();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU32;

    #[derive(Default)]
    struct Task(AtomicU32);

    impl Wake for Task {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn only_what_rang_is_asked() {
        let task = Arc::new(Task::default());
        let waker = Waker::from(Arc::clone(&task));
        let bells = Bells::default();
        bells.answer(&Context::from_waker(&waker));
        let (one, other) = (bells.hang(), bells.hang());
        let mut kept = None;
        let mut ask = |bell: &Bell, answer: Poll<()>| {
            let mut asked = false;
            let _ = bell.poll(|context| {
                (asked, kept) = (true, Some(context.waker().clone()));
                answer
            });
            asked
        };
        assert!(ask(&other, Poll::Pending), "a new bell rings");
        assert!(ask(&one, Poll::Ready(())) && ask(&one, Poll::Pending), "an answer may be followed by more");
        assert!(!ask(&one, Poll::Pending) && !ask(&other, Poll::Pending));
        one.ring();
        assert!(!ask(&other, Poll::Pending) && ask(&one, Poll::Pending));
        assert_eq!(task.0.load(Ordering::Relaxed), 0);
        if let Some(waker) = kept {
            waker.wake();
        }
        assert_eq!(task.0.load(Ordering::Relaxed), 1);
        let pending = one.poll(|context| -> Poll<()> {
            context.waker().wake_by_ref();
            Poll::Pending
        });
        assert!(pending.is_pending());
        assert!(one.poll(|_| Poll::Ready(())).is_ready(), "a ring during the poll is not lost");
    }
}
