//! From the client to the device, or back with a refusal.

use super::{Channel, Close, Phase};
use crate::action::{Action, Notice};
use crate::desk::Desk;
use crate::due::Denial;
use crate::input::By;
use crate::intake::BUFFERED;
use crate::judge::Judgement;
use crate::record::{Decision, Event, Tap};
use bytes::Bytes;
use dissect::{
    Carriage, Content, Direction, Effect, Expects, Framing, Malformed, Operation, Request, Unframed,
};
use std::time::Duration;

/// A request that is cut and decoded.
#[derive(Debug)]
pub(super) struct Head {
    /// Where its frame begins in the `from_client` tap.
    offset: u64,
    request: Request,
}

/// A request that is recorded for the device and has not been sent.
#[derive(Debug)]
pub(super) struct Waiting {
    number: u64,
    request: Request,
    /// What is sent: the frame, translated.
    bytes: Bytes,
    /// What has to be on stable storage first.
    ticket: Option<u64>,
    /// In which input it was judged.
    turn: u64,
}

/// How many requests of a channel wait for storage at most.
const WAITING: usize = 1024;

/// Whether there was a request to deal with.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Done,
    Blocked,
}

impl Channel {
    /// Deals with the next request, if there is one and its turn has come.
    pub(crate) fn step(&mut self, desk: &mut Desk, actions: &mut Vec<Action>) -> Result<Step, Close> {
        if self.phase != Phase::Open {
            return Ok(Step::Blocked);
        }
        let Some(head) = self.next_head(desk, actions)? else { return Ok(Step::Blocked) };
        if !self.has_turn(&head.request, desk)? {
            self.head = Some(head);
            return Ok(Step::Blocked);
        }
        self.judge(head, desk, actions)?;
        self.release(desk, actions)?;
        self.send_denials(desk, actions);
        Ok(Step::Done)
    }

    /// When the request that waits for its turn may go by its pace.
    pub(crate) fn head_due(&self, desk: &Desk) -> Option<Duration> {
        match self.protocol.carriage() {
            Carriage::Decoded => self.head.as_ref().map(|head| desk.due(&head.request.content)),
            Carriage::Opaque => None,
        }
    }

    /// Sends what is recorded for the device, in order, as far as storage has
    /// come. What waited is judged once more: rights may have ended meanwhile.
    /// Its bytes stay in the tap then, so nothing may follow them.
    pub(crate) fn release(&mut self, desk: &mut Desk, actions: &mut Vec<Action>) -> Result<(), Close> {
        while self.waiting.front().is_some_and(|waiting| desk.is_durable(waiting.ticket)) {
            if self.waiting.front().is_some_and(|waiting| !still_allowed(waiting, desk)) {
                let reason = "the right to a request ended while it waited for storage";
                return Err(Close::soft(By::Gateway, reason));
            }
            let Some(waiting) = self.waiting.pop_front() else { break };
            self.unsent = self.unsent.saturating_sub(waiting.bytes.len());
            self.dissector.forwarded(&waiting.request);
            self.due.sent(waiting.number, desk.now.saturating_add(desk.answer_timeout));
            actions.push(Action::ToDevice { channel: self.id, bytes: waiting.bytes });
        }
        Ok(())
    }

    /// Sends the denials whose turn has come.
    pub(super) fn send_denials(&mut self, desk: &Desk, actions: &mut Vec<Action>) {
        while let Some(Denial { request, bytes }) = self.due.next_denial() {
            let bytes = self.dissector.inject(bytes);
            let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
            let offset = self.taps.totals().to_client;
            actions.push(desk.event(Event::Refusal { request, channel: self.id, offset, length }));
            self.taps.bytes(desk.now, Tap::ToClient, bytes.clone(), actions);
            actions.push(Action::ToClient { channel: self.id, bytes });
        }
    }

    fn next_head(&mut self, desk: &Desk, actions: &mut Vec<Action>) -> Result<Option<Head>, Close> {
        if let Some(head) = self.head.take() {
            return Ok(Some(head));
        }
        match self.dissector.frame(Direction::FromClient, self.from_client.bytes()) {
            Framing::Partial => Ok(None),
            Framing::Whole(length) => {
                let cut = self.from_client.cut(length);
                Ok(Some(Head { offset: cut.offset, request: self.dissector.decode(cut.frame) }))
            }
            Framing::Lost(unframed) => {
                Err(self.unframed(Tap::FromClient, By::Client, unframed, desk, actions))
            }
        }
    }

    pub(super) fn unframed(
        &self,
        tap: Tap,
        by: By,
        unframed: Unframed,
        desk: &Desk,
        actions: &mut Vec<Action>,
    ) -> Close {
        let reason = unframed.to_string();
        actions.push(desk.event(Event::Unframed { channel: self.id, tap, reason: reason.clone() }));
        Close::soft(by, reason)
    }

    /// Whether more may be recorded for the device before the rest is sent.
    pub(super) fn has_room(&self) -> bool {
        self.unsent < BUFFERED && self.waiting.len() < WAITING
    }

    /// Whether the request may be dealt with now. Not judged yet, so that it
    /// is judged by the terms that hold when its turn comes.
    fn has_turn(&self, request: &Request, desk: &Desk) -> Result<bool, Close> {
        if !self.has_room() {
            return Ok(false);
        }
        match self.protocol.carriage() {
            Carriage::Opaque => return Ok(true),
            Carriage::Decoded => {}
        }
        if request.expects == Expects::Answer {
            if self.due.is_overdue(request.key) {
                let reason = "an identifier is used again although its answer is overdue";
                return Err(Close::soft(By::Client, reason));
            }
            if self.due.len() >= self.outstanding(desk) || self.due.holds(request.key) {
                return Ok(false);
            }
        }
        Ok(desk.due(&request.content) <= desk.now)
    }

    /// Requests that may be under way: no more than the target's limit, and
    /// than the device itself has agreed to.
    fn outstanding(&self, desk: &Desk) -> usize {
        let agreed = self.dissector.parallel().map_or(usize::MAX, |agreed| agreed.get().into());
        desk.outstanding.min(agreed)
    }

    fn judge(&mut self, head: Head, desk: &mut Desk, actions: &mut Vec<Action>) -> Result<(), Close> {
        match self.protocol.carriage() {
            Carriage::Opaque => return self.pass(head, desk, actions),
            Carriage::Decoded => desk.take_turn(&head.request.content),
        }
        let judged = match &head.request.content {
            Content::Operation(operation) => Judged {
                function: operation.function,
                text: operation.to_string(),
                effect: operation.effect(),
                judgement: desk.judge.judge(desk.now, operation),
            },
            Content::Malformed { why } => Judged::malformed(why),
        };
        let number = desk.number();
        actions.push(desk.event(self.operation_event(number, &head, &judged)));
        match judged.judgement.decision {
            Decision::Allow => {
                match judged.effect {
                    Effect::Changes => actions.push(Action::Active),
                    Effect::Observes => {}
                }
                self.admit(number, head, judged.effect, desk, actions);
                Ok(())
            }
            Decision::Deny | Decision::Needs => self.refuse(number, &head, judged, desk, actions),
        }
    }

    /// A piece of an opaque service. Its use was judged when the channel was
    /// opened; it is judged again, since the terms may have ended meanwhile,
    /// but recorded as bytes alone.
    fn pass(&mut self, head: Head, desk: &mut Desk, actions: &mut Vec<Action>) -> Result<(), Close> {
        if !is_allowed(&head.request, desk) {
            return Err(Close::soft(By::Gateway, "the service is no longer permitted"));
        }
        self.admit(0, head, Effect::Changes, desk, actions);
        Ok(())
    }

    /// Records the request for the device. It goes with the next release.
    fn admit(&mut self, number: u64, head: Head, effect: Effect, desk: &mut Desk, actions: &mut Vec<Action>) {
        let Head { offset, request } = head;
        self.dissector.admitted(&request);
        let bytes = self.dissector.translate(Direction::FromClient, request.frame.clone());
        if bytes == request.frame {
            self.taps.same(desk.now, Tap::ToDevice, &bytes, (Tap::FromClient, offset), actions);
        } else {
            self.taps.bytes(desk.now, Tap::ToDevice, bytes.clone(), actions);
        }
        match request.expects {
            Expects::Answer => self.due.expect(number, request.key),
            Expects::Nothing => {}
        }
        let ticket = desk.ticket(effect);
        self.unsent = self.unsent.saturating_add(bytes.len());
        self.waiting.push_back(Waiting { number, request, bytes, ticket, turn: desk.turn });
    }

    /// Refuses in the protocol's own words, behind the answers that are due.
    fn refuse(
        &mut self,
        number: u64,
        head: &Head,
        judged: Judged,
        desk: &mut Desk,
        actions: &mut Vec<Action>,
    ) -> Result<(), Close> {
        desk.counts.denied = desk.counts.denied.saturating_add(1);
        let Judged { text, judgement, .. } = judged;
        let answer = self.dissector.deny(&head.request, judgement.denial);
        let Judgement { reason, rule, .. } = judgement;
        let operation = text;
        actions.push(Action::Notice(Notice::Denied { channel: self.id, operation, reason, rule }));
        match (answer, head.request.expects) {
            (Some(bytes), _) => {
                self.due.deny(Denial { request: number, bytes });
                Ok(())
            }
            // Nobody waits for an answer to it, so none is missing.
            (None, Expects::Nothing) => Ok(()),
            (None, Expects::Answer) => {
                Err(Close::soft(By::Gateway, "a refused request to which the protocol has no refusal"))
            }
        }
    }

    fn operation_event(&self, request: u64, head: &Head, judged: &Judged) -> Event {
        Event::Operation {
            request,
            channel: self.id,
            offset: head.offset,
            length: u32::try_from(head.request.frame.len()).unwrap_or(u32::MAX),
            function: judged.function,
            text: judged.text.clone(),
            effect: judged.effect,
            decision: judged.judgement.decision,
            rule: judged.judgement.rule.clone(),
            reason: judged.judgement.reason.clone(),
        }
    }
}

/// A request with its verdict.
struct Judged {
    function: &'static str,
    text: String,
    effect: Effect,
    judgement: Judgement,
}

impl Judged {
    /// What is broken is never put to the policy.
    fn malformed(why: &Malformed) -> Self {
        let judgement = Judgement {
            decision: Decision::Deny,
            rule: String::new(),
            reason: "the request is malformed".to_owned(),
            denial: why.denial(),
        };
        Self { function: why.function, text: why.to_string(), effect: Effect::Changes, judgement }
    }
}

fn is_allowed(request: &Request, desk: &Desk) -> bool {
    let allows = |operation: &Operation| match desk.judge.decision(desk.now, operation) {
        Decision::Allow => true,
        Decision::Deny | Decision::Needs => false,
    };
    match &request.content {
        Content::Operation(operation) => allows(operation),
        Content::Malformed { .. } => false,
    }
}

/// Within the input that judged it the verdict stands.
fn still_allowed(waiting: &Waiting, desk: &Desk) -> bool {
    waiting.turn == desk.turn || is_allowed(&waiting.request, desk)
}
