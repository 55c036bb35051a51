//! One channel: the tool's connection on one side, the device's on the other.
//!
//! Requests go through [`requests`]: cut, gated, judged, recorded, sent or
//! refused. Answers go through [`answers`]. This file opens, finishes and
//! closes. A channel never sends a byte that its taps don't have, and
//! whatever it can't be sure of closes it.

mod answers;
mod requests;

use crate::action::{Action, Refusal};
use crate::desk::Desk;
use crate::due::Due;
use crate::ending::How;
use crate::input::{By, PIECE};
use crate::intake::{BUFFERED, Intake};
use crate::record::{Event, Tap};
use crate::taps::Taps;
use bytes::Bytes;
use dissect::{Carriage, Direction, Dissector, Fact, Framing, Observer, Protocol};
use requests::{Head, Waiting};
use std::collections::VecDeque;
use std::time::Duration;

pub(crate) use requests::Step;

/// A channel of the session.
#[derive(Debug)]
pub(crate) struct Channel {
    id: u32,
    protocol: Protocol,
    dissector: Dissector,
    /// Looks at an opaque connection as long as there is something to see.
    observer: Option<Observer>,
    phase: Phase,
    taps: Taps,
    from_client: Intake,
    from_device: Intake,
    /// The next request, waiting for its turn, not judged yet.
    head: Option<Head>,
    /// Requests that were judged and recorded for the device, in order.
    waiting: VecDeque<Waiting>,
    /// How many bytes these are.
    unsent: usize,
    due: Due,
    client: Side,
    device: Side,
}

/// Whether the device is there yet.
#[derive(Debug, PartialEq, Eq)]
enum Phase {
    Dialing,
    Open,
}

/// One peer's half of the connection.
#[derive(Debug, PartialEq, Eq)]
enum Side {
    /// It may still send.
    Sending,
    /// It will send nothing more.
    Finished,
    /// The other peer has been told so.
    PassedOn,
}

/// Why a channel has to be closed.
#[derive(Debug)]
pub(crate) struct Close {
    pub(crate) how: How,
    pub(crate) by: By,
    pub(crate) reason: String,
}

impl Close {
    pub(crate) fn soft(by: By, reason: impl Into<String>) -> Self {
        Self { how: How::Soft, by, reason: reason.into() }
    }

    pub(crate) fn hard(by: By, reason: impl Into<String>) -> Self {
        Self { how: How::Hard, by, reason: reason.into() }
    }
}

impl Channel {
    pub(crate) fn new(id: u32, protocol: Protocol) -> Self {
        Self {
            id,
            protocol,
            dissector: Dissector::new(protocol),
            observer: Observer::new(protocol),
            phase: Phase::Dialing,
            taps: Taps::new(id),
            from_client: Intake::default(),
            from_device: Intake::default(),
            head: None,
            waiting: VecDeque::new(),
            unsent: 0,
            due: Due::default(),
            client: Side::Sending,
            device: Side::Sending,
        }
    }

    pub(crate) fn protocol(&self) -> Protocol {
        self.protocol
    }

    pub(crate) fn is_dialing(&self) -> bool {
        self.phase == Phase::Dialing
    }

    /// The device is there.
    pub(crate) fn connected(&mut self, desk: &Desk, actions: &mut Vec<Action>) {
        if self.phase == Phase::Dialing {
            self.phase = Phase::Open;
            actions.push(desk.event(Event::ChannelConnected { channel: self.id }));
            actions.push(Action::ConfirmChannel { channel: self.id });
        }
    }

    /// Whether more bytes of that direction are wanted now.
    pub(crate) fn ready(&self, direction: Direction) -> bool {
        let open = self.phase == Phase::Open;
        match direction {
            Direction::FromClient => {
                open && self.client == Side::Sending
                    && self.head.is_none()
                    && self.from_client.bytes().len() < BUFFERED
                    && self.has_room()
            }
            Direction::FromDevice => open && self.device == Side::Sending,
        }
    }

    /// The same while no request passes: what the tool sends is taken as far
    /// as there is room, so that its end is seen; an opaque device is not
    /// read, since what it shows is for the person who is asked for.
    pub(crate) fn ready_paused(&self, direction: Direction) -> bool {
        let open = self.phase == Phase::Open;
        match (direction, self.protocol.carriage()) {
            (Direction::FromClient, Carriage::Decoded | Carriage::Opaque) => {
                open && self.client == Side::Sending && self.from_client.bytes().len() < BUFFERED
            }
            (Direction::FromDevice, Carriage::Decoded) => self.ready(direction),
            (Direction::FromDevice, Carriage::Opaque) => false,
        }
    }

    /// Gives up a channel whose tool went away while its requests were held
    /// back: nobody expects them to be carried out any more.
    pub(crate) fn nobody_waits(&self) -> Result<(), Close> {
        if self.phase == Phase::Open && !self.is_drained() {
            let reason = "the tool closed the connection while its requests were held back";
            return Err(Close::soft(By::Client, reason));
        }
        Ok(())
    }

    /// When the oldest request under way is overdue.
    pub(crate) fn deadline(&self) -> Option<Duration> {
        self.due.deadline()
    }

    /// Whether the client is owed nothing.
    pub(crate) fn owes_nothing(&self) -> bool {
        self.due.is_empty()
    }

    /// Records bytes from the client and keeps them to be cut.
    pub(crate) fn client_sent(
        &mut self,
        bytes: &Bytes,
        desk: &Desk,
        actions: &mut Vec<Action>,
    ) -> Result<(), Close> {
        self.record_from_client(bytes, desk, actions);
        if self.client != Side::Sending {
            return Err(Close::soft(By::Client, "bytes after the end of its sending"));
        }
        if bytes.len() > PIECE || self.from_client.bytes().len() > BUFFERED {
            return Err(Close::soft(By::Client, "more bytes than were asked for"));
        }
        self.from_client.push(bytes);
        let facts = self.observe(Direction::FromClient, bytes);
        self.record_facts(facts, desk, actions);
        Ok(())
    }

    /// What bytes of an opaque connection show in the clear. They go their
    /// way whatever that is.
    fn observe(&mut self, direction: Direction, bytes: &[u8]) -> Vec<Fact> {
        let mut facts = Vec::new();
        if let Some(observer) = &mut self.observer {
            observer.observe(direction, bytes, &mut facts);
            if observer.is_over() {
                self.observer = None;
            }
        }
        facts
    }

    /// Records what was seen, behind the bytes that showed it.
    fn record_facts(&self, facts: Vec<Fact>, desk: &Desk, actions: &mut Vec<Action>) {
        actions.extend(facts.into_iter().map(|Fact { direction, offset, name, value }| {
            let tap = match direction {
                Direction::FromClient => Tap::FromClient,
                Direction::FromDevice => Tap::FromDevice,
            };
            desk.event(Event::Observed { channel: self.id, tap, offset, fact: name, value })
        }));
    }

    /// Records bytes from the client that go nowhere any more.
    pub(crate) fn record_from_client(&mut self, bytes: &Bytes, desk: &Desk, actions: &mut Vec<Action>) {
        if !bytes.is_empty() {
            self.taps.bytes(desk.now, Tap::FromClient, bytes.clone(), actions);
        }
    }

    pub(crate) fn client_finished(&mut self) {
        if self.client == Side::Sending {
            self.client = Side::Finished;
        }
    }

    /// Nothing more will come from the device, so nothing asked will be
    /// answered.
    pub(crate) fn device_finished(&mut self) {
        if self.device == Side::Sending {
            self.device = Side::Finished;
        }
    }

    /// Passes on that a peer has finished, once all that it sent before has
    /// gone, and ends the channel when there is nothing left to do.
    pub(crate) fn settle(&mut self, desk: &Desk, actions: &mut Vec<Action>) -> Result<(), Close> {
        if self.device == Side::Finished {
            self.finish_client(desk, actions);
            if self.protocol.carriage() == Carriage::Decoded {
                return Err(Close::soft(By::Device, "the device closed the connection"));
            }
        }
        if self.client == Side::Finished && self.is_drained() {
            self.finish_device(desk, actions);
        }
        if self.client != Side::PassedOn {
            return Ok(());
        }
        let over = match self.protocol.carriage() {
            Carriage::Decoded => self.due.is_empty(),
            Carriage::Opaque => self.device == Side::PassedOn,
        };
        if over { Err(Close::soft(By::Client, "the tool closed the connection")) } else { Ok(()) }
    }

    /// Gives up on requests whose time is over.
    pub(crate) fn give_up(&mut self, desk: &Desk, actions: &mut Vec<Action>) -> Result<(), Close> {
        while let Some(request) = self.due.give_up(desk.now) {
            let text = format!("no answer to request {request} within {:?}", desk.answer_timeout);
            actions.push(desk.note(text));
        }
        self.send_denials(desk, actions);
        if self.due.is_lost() {
            return Err(Close::soft(By::Device, "too many requests without an answer"));
        }
        Ok(())
    }

    /// Stops taking and sending requests; what is owed for those sent stays.
    pub(crate) fn stop_requests(&mut self) {
        self.head = None;
        self.due.forget_unsent();
    }

    /// Closes both sides. First what closes, then its record, so that closing
    /// never depends on the recorder.
    pub(crate) fn close(mut self, close: Close, desk: &Desk, actions: &mut Vec<Action>) {
        let channel = self.id;
        let Close { how, by, mut reason } = close;
        if how == How::Soft && self.phase == Phase::Open {
            self.finish_device(desk, actions);
            self.finish_client(desk, actions);
        }
        self.refuse_dialing(by, &reason, actions);
        let unsent = self.unsent;
        if unsent > 0 {
            reason = format!("{reason}; the last {unsent} bytes recorded for the device were not sent");
        }
        actions.push(Action::CloseChannel { channel, how, why: reason.clone() });
        let totals = self.taps.totals();
        actions.push(desk.event(Event::ChannelClosed { channel, by, how, reason, totals }));
    }

    /// Closes both sides at once and records nothing.
    pub(crate) fn abandon(&self, why: String, actions: &mut Vec<Action>) {
        self.refuse_dialing(By::Gateway, &why, actions);
        actions.push(Action::CloseChannel { channel: self.id, how: How::Hard, why });
    }

    /// A client that still waits for its channel is told that none comes.
    fn refuse_dialing(&self, by: By, text: &str, actions: &mut Vec<Action>) {
        if self.phase == Phase::Dialing {
            let refusal = match by {
                By::Device => Refusal::Unreachable,
                By::Client | By::Gateway => Refusal::Ended,
            };
            actions.push(Action::RefuseChannel { channel: self.id, refusal, text: text.to_owned() });
        }
    }

    fn finish_device(&mut self, desk: &Desk, actions: &mut Vec<Action>) {
        if self.client != Side::PassedOn {
            self.client = Side::PassedOn;
            self.note_rest(Direction::FromClient, desk, actions);
            actions.push(Action::FinishDevice { channel: self.id });
        }
    }

    fn finish_client(&mut self, desk: &Desk, actions: &mut Vec<Action>) {
        if self.device != Side::PassedOn {
            self.device = Side::PassedOn;
            self.note_rest(Direction::FromDevice, desk, actions);
            actions.push(Action::FinishClient { channel: self.id });
        }
    }

    /// Bytes that never became a whole frame are recorded, not forwarded.
    fn note_rest(&self, direction: Direction, desk: &Desk, actions: &mut Vec<Action>) {
        let (tap, rest) = match direction {
            Direction::FromClient => (Tap::FromClient, self.from_client.bytes().len()),
            Direction::FromDevice => (Tap::FromDevice, self.from_device.bytes().len()),
        };
        if rest > 0 {
            let text = format!("the last {rest} bytes {tap} of channel {} were not forwarded", self.id);
            actions.push(desk.note(text));
        }
    }

    /// Whether all whole requests have gone to the device or been refused.
    fn is_drained(&self) -> bool {
        self.phase == Phase::Open
            && self.head.is_none()
            && self.waiting.is_empty()
            && self.dissector.frame(Direction::FromClient, self.from_client.bytes()) == Framing::Partial
    }
}
