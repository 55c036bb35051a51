//! The session as a whole: inputs go to their channels, channels get their
//! turns, terms change. How channels are opened stands in [`opening`], how
//! time runs out and sessions end in [`closing`].

use crate::action::{Action, Counts, Notice, Refusal};
use crate::channel::{Channel, Close, Step};
use crate::core::closing::Time;
use crate::desk::Desk;
use crate::ending::{EndCause, How, Schedule};
use crate::input::{By, Input, Setup};
use crate::presence::Due;
use crate::record::{Decision, Event};
use authz::{Limits, Terms};
use bytes::Bytes;
use dissect::{Carriage, Content, Direction, Dissector};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;

mod closing;
mod opening;

/// How often the use of opaque channels is judged while they are open: their
/// windows may close although neither side sends anything.
const RECHECK: Duration = Duration::from_secs(1);

/// The pure core of one session.
#[derive(Debug)]
pub struct Core {
    desk: Desk,
    limits: Limits,
    terms: Arc<Terms>,
    channels: BTreeMap<u32, Channel>,
    /// Every channel number that was ever used: a number names one channel
    /// in the recording.
    used: BTreeSet<u32>,
    /// The channel whose request was dealt with last, for fair turns.
    last_turn: u32,
    schedule: Schedule,
    /// When it ends whatever the terms become, and why.
    bound: (Duration, EndCause),
    /// When the opaque channels were last judged.
    rechecked: Duration,
    flow: Flow,
    life: Life,
}

/// Whether requests may pass at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flow {
    /// Each as it is judged.
    Open,
    /// None, until the person has shown the second factor again.
    Paused,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Life {
    Running,
    /// No more requests; answers that are due may still come, each within
    /// its own time.
    Closing {
        cause: EndCause,
    },
    Ended,
}

/// The end of the terms, or the session's own where that comes first.
fn schedule(now: Duration, (bound, cause): (Duration, EndCause), expires: Duration) -> Schedule {
    if bound < expires {
        Schedule::new(now, bound, cause)
    } else {
        Schedule::new(now, expires, EndCause::GrantExpired)
    }
}

impl Core {
    /// A session without channels. The time begins at zero.
    pub fn new(setup: Setup) -> Self {
        let limits = setup.limits.clone();
        let terms = Arc::clone(&setup.terms);
        let bound = (setup.expires, setup.expires_by);
        let desk = Desk::new(setup);
        let expires = desk.judge.expires().min(limits.session);
        Self {
            desk,
            limits,
            terms,
            channels: BTreeMap::new(),
            used: BTreeSet::new(),
            last_turn: 0,
            schedule: schedule(Duration::ZERO, bound, expires),
            bound,
            rechecked: Duration::ZERO,
            flow: Flow::Open,
            life: Life::Running,
        }
    }

    /// Takes one input at `now`, since the session's start, and appends what
    /// is to be done. Whatever is due by the time is done first.
    pub fn handle(&mut self, now: Duration, input: Input, actions: &mut Vec<Action>) {
        self.desk.begin(now);
        if let Input::End(cause) = input
            && cause.how() == How::Hard
        {
            return self.end_hard(cause, actions);
        }
        let time = self.keep_time(actions);
        match self.life {
            Life::Running => self.run(input, actions),
            Life::Closing { .. } => self.drain(input, actions),
            Life::Ended => {}
        }
        // After the input, which may have narrowed what is allowed.
        if time == Time::GaveUp && self.life == Life::Running {
            self.serve_all(actions);
        }
        self.finish_closing(actions);
        self.desk.sync(actions);
    }

    /// When [`Input::Timer`] has to come at the latest, since the session's
    /// start; `None` after the end.
    pub fn next_timer(&self) -> Option<Duration> {
        let answers = self.channels.values().filter_map(Channel::deadline).min();
        match self.life {
            Life::Running => {
                let own = self.schedule.next().min(self.next_pace()).min(self.next_recheck());
                Some(answers.map_or(own, |answers| answers.min(own)))
            }
            Life::Closing { .. } => answers,
            Life::Ended => None,
        }
    }

    /// Whether bytes of that direction should be read now. As long as not,
    /// the peer is to be held back.
    pub fn ready(&self, channel: u32, direction: Direction) -> bool {
        let Some(channel) = self.channels.get(&channel) else { return false };
        match (self.life, direction) {
            (Life::Running, Direction::FromClient | Direction::FromDevice) => match self.flow {
                Flow::Open => channel.ready(direction),
                Flow::Paused => channel.ready_paused(direction),
            },
            (Life::Closing { .. }, Direction::FromDevice) => channel.ready(direction),
            (Life::Closing { .. }, Direction::FromClient) | (Life::Ended, _) => false,
        }
    }

    /// What the session has seen so far.
    pub fn counts(&self) -> Counts {
        self.desk.counts
    }

    /// How many channels are open or being opened.
    pub fn channels(&self) -> usize {
        self.channels.len()
    }

    /// When the session will end softly, since its start.
    pub fn expires(&self) -> Duration {
        self.schedule.at()
    }

    fn run(&mut self, input: Input, actions: &mut Vec<Action>) {
        match input {
            Input::OpenChannel { channel, service, port, protocol } => {
                self.open(channel, service, port, protocol, actions);
            }
            Input::DeviceConnected { channel } => {
                self.with(channel, actions, |channel, desk, actions| {
                    channel.connected(desk, actions);
                    Ok(())
                });
                self.serve(channel, actions);
            }
            Input::FromClient { channel, bytes } => {
                self.with(channel, actions, |channel, desk, actions| {
                    channel.client_sent(&bytes, desk, actions)
                });
                self.serve(channel, actions);
            }
            Input::FromDevice { channel, bytes } => self.device_sent(channel, bytes, actions),
            Input::ClientFinished { channel } => {
                let flow = self.flow;
                self.with(channel, actions, |channel, _, _| {
                    channel.client_finished();
                    match flow {
                        Flow::Open => Ok(()),
                        Flow::Paused => channel.nobody_waits(),
                    }
                });
                self.serve(channel, actions);
            }
            Input::DeviceFinished { channel } => {
                self.with(channel, actions, |channel, _, _| {
                    channel.device_finished();
                    Ok(())
                });
                self.serve(channel, actions);
            }
            Input::Durable { ticket } => {
                self.desk.durable(ticket);
                self.serve_all(actions);
            }
            Input::Timer => self.serve_all(actions),
            Input::NewTerms(terms) => self.change_terms(terms, actions),
            Input::Pause(due) => self.pause(due, actions),
            Input::Resume => self.resume(actions),
            Input::PathChanged(source) => {
                self.desk.judge.change_source(source);
                actions.push(self.desk.event(Event::PathChanged { source }));
                self.close_unpermitted(actions);
            }
            Input::DeviceUnreachable { channel, text } => self.unreachable(channel, text, actions),
            Input::ChannelBroken { channel, by, text } => self.broken(channel, by, text, actions),
            Input::EndIn { cause, within } => self.end_in(cause, within, actions),
            Input::End(cause) => self.begin_closing(cause, actions),
        }
    }

    /// After the soft end: answers still come, nothing goes to a device.
    fn drain(&mut self, input: Input, actions: &mut Vec<Action>) {
        match input {
            Input::FromClient { channel, bytes } => self.with(channel, actions, |channel, desk, actions| {
                channel.record_from_client(&bytes, desk, actions);
                Ok(())
            }),
            Input::FromDevice { channel, bytes } => self.device_sent(channel, bytes, actions),
            Input::DeviceFinished { channel } => {
                self.close(channel, Close::soft(By::Device, "the device closed the connection"), actions);
            }
            Input::DeviceUnreachable { channel, text } => self.unreachable(channel, text, actions),
            Input::ChannelBroken { channel, by, text } => self.broken(channel, by, text, actions),
            Input::OpenChannel { channel, .. } => {
                self.refuse(channel, Refusal::Ended, "the session is ending", actions);
            }
            Input::DeviceConnected { .. }
            | Input::ClientFinished { .. }
            | Input::Durable { .. }
            | Input::Timer
            | Input::NewTerms(_)
            | Input::Pause(_)
            | Input::Resume
            | Input::PathChanged(_)
            | Input::EndIn { .. }
            | Input::End(_) => {}
        }
    }

    fn device_sent(&mut self, channel: u32, bytes: Bytes, actions: &mut Vec<Action>) {
        self.with(channel, actions, |channel, desk, actions| channel.device_sent(bytes, desk, actions));
        if self.life == Life::Running {
            self.serve(channel, actions);
        }
    }

    /// Deals with all that a channel can do now. Where requests are paced
    /// every channel gets its turn.
    fn serve(&mut self, channel: u32, actions: &mut Vec<Action>) {
        match self.flow {
            Flow::Open => {}
            Flow::Paused => {
                return self.with(channel, actions, |channel, desk, actions| channel.settle(desk, actions));
            }
        }
        if self.desk.is_paced() {
            return self.serve_all(actions);
        }
        self.with(channel, actions, |channel, desk, actions| {
            channel.release(desk, actions)?;
            while channel.step(desk, actions)? == Step::Done {}
            channel.settle(desk, actions)
        });
    }

    fn serve_all(&mut self, actions: &mut Vec<Action>) {
        match self.flow {
            Flow::Open => {}
            Flow::Paused => {
                return self.each(actions, |channel, desk, actions| channel.settle(desk, actions));
            }
        }
        self.each(actions, |channel, desk, actions| channel.release(desk, actions));
        let mut blocked = 0;
        while blocked < self.channels.len() {
            let Some(channel) = self.next_turn() else { break };
            let mut step = Step::Blocked;
            self.with(channel, actions, |channel, desk, actions| {
                step = channel.step(desk, actions)?;
                Ok(())
            });
            match step {
                Step::Done => blocked = 0,
                Step::Blocked => blocked += 1,
            }
        }
        self.each(actions, |channel, desk, actions| channel.settle(desk, actions));
    }

    /// The channel after the last one, round and round.
    fn next_turn(&mut self) -> Option<u32> {
        let after = (Bound::Excluded(self.last_turn), Bound::Unbounded);
        let next = self.channels.range(after).next().or_else(|| self.channels.iter().next());
        self.last_turn = *next?.0;
        Some(self.last_turn)
    }

    /// When a request that waits for the pace may go.
    fn next_pace(&self) -> Duration {
        let heads = self.channels.values().filter_map(|channel| channel.head_due(&self.desk));
        heads.filter(|due| *due > self.desk.now).min().unwrap_or(Duration::MAX)
    }

    /// From here on no request passes. What was asked before is answered.
    fn pause(&mut self, due: Due, actions: &mut Vec<Action>) {
        if self.flow == Flow::Open {
            self.flow = Flow::Paused;
            actions.push(self.desk.note(format!("requests are held back: {due}")));
        }
    }

    fn resume(&mut self, actions: &mut Vec<Action>) {
        if self.flow == Flow::Paused {
            self.flow = Flow::Open;
            actions.push(self.desk.note("the second factor was shown again: requests pass".to_owned()));
            self.serve_all(actions);
        }
    }

    /// From the next request on other terms hold.
    fn change_terms(&mut self, terms: Arc<Terms>, actions: &mut Vec<Action>) {
        if terms.person() != self.terms.person() || terms.target() != self.terms.target() {
            return self.end_hard(EndCause::Internal, actions);
        }
        let event = Event::TermsChanged { policy: terms.policy(), terms: terms.to_bytes().into() };
        actions.push(self.desk.event(event));
        self.desk.judge.change_terms(Arc::clone(&terms));
        self.terms = terms;
        let expires = self.desk.judge.expires().min(self.limits.session);
        self.schedule = if self.bound.0 < expires && self.schedule.cause() == EndCause::GrantExpired {
            schedule(self.desk.now, self.bound, expires)
        } else {
            self.schedule.with_grant(self.desk.now, expires)
        };
        actions.push(Action::Notice(Notice::GrantChanged { expires: self.schedule.at() }));
        let _: Time = self.keep_time(actions);
        if self.life == Life::Running {
            self.close_unpermitted(actions);
            self.serve_all(actions);
        }
    }

    /// When the opaque channels are to be judged again.
    fn next_recheck(&self) -> Duration {
        let opaque = |channel: &Channel| channel.protocol().carriage() == Carriage::Opaque;
        if self.channels.values().any(opaque) {
            self.rechecked.saturating_add(RECHECK)
        } else {
            Duration::MAX
        }
    }

    /// Closes the opaque channels whose use is permitted no longer.
    fn close_unpermitted(&mut self, actions: &mut Vec<Action>) {
        self.rechecked = self.desk.now;
        self.each(actions, |channel, desk, _| match channel.protocol().carriage() {
            Carriage::Decoded => Ok(()),
            Carriage::Opaque => match Dissector::new(channel.protocol()).decode(Bytes::new()).content {
                Content::Operation(operation)
                    if desk.judge.decision(desk.now, &operation) == Decision::Allow =>
                {
                    Ok(())
                }
                Content::Operation(_) | Content::Malformed { .. } => {
                    Err(Close::soft(By::Gateway, "the service is no longer permitted"))
                }
            },
        });
    }

    /// What reached the device before its client broke is left to arrive.
    fn broken(&mut self, channel: u32, by: By, text: String, actions: &mut Vec<Action>) {
        let close = match by {
            By::Client => Close::soft(by, text),
            By::Device | By::Gateway => Close::hard(by, text),
        };
        self.close(channel, close, actions);
    }

    fn close(&mut self, channel: u32, close: Close, actions: &mut Vec<Action>) {
        if let Some(channel) = self.channels.remove(&channel) {
            channel.close(close, &self.desk, actions);
        }
    }

    /// Lets one channel work; closes it if it says so.
    fn with(
        &mut self,
        channel: u32,
        actions: &mut Vec<Action>,
        work: impl FnOnce(&mut Channel, &mut Desk, &mut Vec<Action>) -> Result<(), Close>,
    ) {
        let Some(open) = self.channels.get_mut(&channel) else { return };
        if let Err(close) = work(open, &mut self.desk, actions) {
            self.close(channel, close, actions);
        }
    }

    /// Lets every channel work.
    fn each(
        &mut self,
        actions: &mut Vec<Action>,
        mut work: impl FnMut(&mut Channel, &mut Desk, &mut Vec<Action>) -> Result<(), Close>,
    ) {
        let mut closed = Vec::new();
        for (id, channel) in &mut self.channels {
            if let Err(close) = work(channel, &mut self.desk, actions) {
                closed.push((*id, close));
            }
        }
        for (channel, close) in closed {
            self.close(channel, close, actions);
        }
    }
}
