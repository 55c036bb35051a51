//! What the time brings, and the end of a session.
//!
//! A soft end stops requests at once, waits a while for the answers that are
//! due and then finishes the connections. A hard end resets them and waits
//! for nothing; closing comes before the record of it, so that it works
//! without a recorder too.

use super::{Core, Life};
use crate::action::{Action, Notice};
use crate::channel::Close;
use crate::ending::{Call, EndCause, How, Schedule};
use crate::input::By;
use crate::record::Event;
use std::time::Duration;

/// What the time has brought.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub(super) enum Time {
    /// Nothing that frees a request.
    Passed,
    /// Answers are waited for no longer, so others may have their turn.
    GaveUp,
}

impl Core {
    /// Warnings, the end of the grant, answers that are overdue.
    pub(super) fn keep_time(&mut self, actions: &mut Vec<Action>) -> Time {
        if self.life == Life::Running {
            match self.schedule.call(self.desk.now) {
                Call::Nothing => {}
                Call::Warn { cause, left } => self.warn(cause, left, actions),
                Call::End(cause) => self.begin_closing(cause, actions),
            }
        }
        let now = self.desk.now;
        if self.life == Life::Running && self.next_recheck() <= now {
            self.close_unpermitted(actions);
        }
        if !self.channels.values().any(|channel| channel.deadline().is_some_and(|deadline| deadline <= now)) {
            return Time::Passed;
        }
        self.each(actions, |channel, desk, actions| channel.give_up(desk, actions));
        Time::GaveUp
    }

    pub(super) fn warn(&mut self, cause: EndCause, left: Duration, actions: &mut Vec<Action>) {
        let in_s = u32::try_from(left.as_secs()).unwrap_or(u32::MAX);
        actions.push(self.desk.event(Event::Ending { cause, in_s }));
        actions.push(Action::Notice(Notice::Ending { cause, in_s }));
    }

    pub(super) fn end_in(&mut self, cause: EndCause, within: Duration, actions: &mut Vec<Action>) {
        if cause.how() == How::Hard {
            return self.end_hard(cause, actions);
        }
        let at = self.desk.now.saturating_add(within);
        if at < self.schedule.at() {
            self.schedule = Schedule::new(self.desk.now, at, cause);
            self.warn(cause, within, actions);
        }
        if within.is_zero() {
            self.begin_closing(cause, actions);
        }
    }

    /// The soft end: from here on nothing goes to a device.
    pub(super) fn begin_closing(&mut self, cause: EndCause, actions: &mut Vec<Action>) {
        self.life = Life::Closing { cause };
        self.warn(cause, Duration::ZERO, actions);
        for channel in self.channels.values_mut() {
            channel.stop_requests();
        }
    }

    /// Closes the channels whose clients are owed nothing more, which is at
    /// the latest when the last answer is overdue, and ends the session after
    /// the last of them.
    pub(super) fn finish_closing(&mut self, actions: &mut Vec<Action>) {
        let Life::Closing { cause } = self.life else { return };
        self.each(actions, |channel, _, _| {
            if channel.owes_nothing() {
                return Err(Close::soft(By::Gateway, cause.to_string()));
            }
            Ok(())
        });
        if self.channels.is_empty() {
            self.life = Life::Ended;
            actions.push(Action::Notice(Notice::Ended { cause }));
            actions.push(Action::End { how: How::Soft, cause });
        }
    }

    /// The hard end: connections first, so that nothing else has to work.
    pub(super) fn end_hard(&mut self, cause: EndCause, actions: &mut Vec<Action>) {
        let ended = self.life == Life::Ended;
        if ended && cause != EndCause::RecorderFailed {
            return;
        }
        self.life = Life::Ended;
        let channels = std::mem::take(&mut self.channels);
        if cause == EndCause::RecorderFailed {
            for channel in channels.values() {
                channel.abandon(cause.to_string(), actions);
            }
        } else {
            let mut closing = Vec::new();
            for channel in channels.into_values() {
                channel.close(Close::hard(By::Gateway, cause.to_string()), &self.desk, &mut closing);
            }
            let (records, closes): (Vec<_>, Vec<_>) =
                closing.into_iter().partition(|action| matches!(action, Action::Record(_)));
            actions.extend(closes);
            actions.push(self.desk.event(Event::Ending { cause, in_s: 0 }));
            actions.extend(records);
        }
        if !ended {
            actions.push(Action::Notice(Notice::Ended { cause }));
        }
        actions.push(Action::End { how: How::Hard, cause });
    }
}
