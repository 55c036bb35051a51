//! From the device to the client.

use super::{Channel, Close, Side};
use crate::action::Action;
use crate::desk::Desk;
use crate::due::Answered;
use crate::input::{By, PIECE};
use crate::intake::Cut;
use crate::record::{Event, Tap, UNASKED};
use bytes::Bytes;
use dissect::{Carriage, Direction, Framing, Key, Outcome};

impl Channel {
    /// Records bytes from the device, pairs its answers with their requests
    /// and passes them on.
    pub(crate) fn device_sent(
        &mut self,
        bytes: Bytes,
        desk: &Desk,
        actions: &mut Vec<Action>,
    ) -> Result<(), Close> {
        if bytes.is_empty() {
            return Ok(());
        }
        self.from_device.push(&bytes);
        let length = bytes.len();
        let facts = self.observe(Direction::FromDevice, &bytes);
        self.taps.bytes(desk.now, Tap::FromDevice, bytes, actions);
        if self.device != Side::Sending || length > PIECE {
            return Err(Close::soft(By::Device, "more bytes than were asked for"));
        }
        self.record_facts(facts, desk, actions);
        loop {
            match self.dissector.frame(Direction::FromDevice, self.from_device.bytes()) {
                Framing::Partial => return Ok(()),
                Framing::Whole(length) => {
                    let cut = self.from_device.cut(length);
                    self.answer(cut, desk, actions)?;
                }
                Framing::Lost(unframed) => {
                    return Err(self.unframed(Tap::FromDevice, By::Device, unframed, desk, actions));
                }
            }
        }
    }

    /// One whole frame.
    fn answer(&mut self, cut: Cut, desk: &Desk, actions: &mut Vec<Action>) -> Result<(), Close> {
        let Cut { offset, frame } = cut;
        let answer = self.dissector.answer(frame.clone());
        match self.protocol.carriage() {
            Carriage::Opaque => {}
            Carriage::Decoded => {
                let Some(answered) = self.answered(answer.key, &answer.outcome) else {
                    return Err(Close::soft(By::Device, "an answer to which there is no request"));
                };
                actions.push(desk.event(self.answer_event(&answered, offset, &frame, &answer.outcome)));
            }
        }
        let bytes = self.dissector.translate(Direction::FromDevice, frame.clone());
        if bytes == frame {
            self.taps.same(desk.now, Tap::ToClient, &bytes, (Tap::FromDevice, offset), actions);
        } else {
            self.taps.bytes(desk.now, Tap::ToClient, bytes.clone(), actions);
        }
        actions.push(Action::ToClient { channel: self.id, bytes });
        self.send_denials(desk, actions);
        Ok(())
    }

    /// To what the device's frame belongs; `None` if it may not pass.
    fn answered(&mut self, key: Option<Key>, outcome: &Outcome) -> Option<Answered> {
        match (key, outcome) {
            (Some(key), _) => self.due.answered(key),
            (None, Outcome::Push { .. }) => Some(Answered::Unasked),
            (
                None,
                Outcome::Done
                | Outcome::Refused { .. }
                | Outcome::Values { .. }
                | Outcome::Several(_)
                | Outcome::Unreadable,
            ) => None,
        }
    }

    fn answer_event(&self, answered: &Answered, offset: u64, frame: &Bytes, outcome: &Outcome) -> Event {
        let (request, text) = match answered {
            Answered::InTime(request) => (*request, outcome.to_string()),
            Answered::Late(request) => (*request, format!("late: {outcome}")),
            Answered::Unasked => (UNASKED, outcome.to_string()),
        };
        let refused = outcome.is_refusal();
        let length = u32::try_from(frame.len()).unwrap_or(u32::MAX);
        Event::Answer { request, channel: self.id, offset, length, text, refused }
    }
}
