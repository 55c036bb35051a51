//! Modbus/TCP: framing by the MBAP header, refusals, and what is remembered
//! of forwarded requests until their answers come.
//!
//! Sources: MODBUS Messaging on TCP/IP Implementation Guide V1.0b (the
//! header), MODBUS Application Protocol Specification V1.1b3 (functions in
//! section 6, exceptions in section 7).
//!
//! It never guesses where a frame begins: a header that can't be one is lost
//! framing. Requests are decoded in [`request`], answers in [`answer`], names
//! and classes of all function codes stand in [`function`], those of the
//! engineering protocol inside function 90 in [`umas`].

mod answer;
mod function;
mod request;
mod umas;

use crate::dissector::{Answer, Denial, Direction, Expects, Framing, Key, Outcome, Request, Unframed};
use answer::Asked;
use bytes::{BufMut, Bytes, BytesMut};
use std::collections::VecDeque;
use std::num::NonZeroUsize;

pub(crate) use request::decode;

/// The longest frame in bytes: 6 bytes of MBAP header before the length's
/// reach, the unit, and a PDU of 253 (V1.1b3, section 4.1).
pub const LONGEST_FRAME: usize = 260;

/// How many forwarded requests without an answer are remembered per channel.
/// Beyond it the oldest is forgotten, so that its answer pairs with nothing.
pub const PENDING: usize = 2048;

/// Bytes before those that the length field counts.
const COUNTED_FROM: usize = 6;
/// The smallest value of the length field: unit and function.
const SHORTEST: u16 = 2;
/// The largest value of the length field: unit and a PDU of 253.
const LONGEST: u16 = 254;
/// Set in the function code of an exception answer (V1.1b3, section 7).
const EXCEPTION: u8 = 0x80;

/// What a channel remembers.
#[derive(Debug)]
pub(crate) struct Modbus {
    pending: VecDeque<Pending>,
}

/// A forwarded request without its answer.
#[derive(Debug)]
struct Pending {
    key: Key,
    function: u8,
    asked: Asked,
}

impl Modbus {
    pub(crate) fn new() -> Self {
        Self { pending: VecDeque::new() }
    }

    pub(crate) fn forwarded(&mut self, request: &Request) {
        if request.expects == Expects::Nothing {
            return;
        }
        let Some(header) = Header::of(&request.frame) else { return };
        if self.pending.len() >= PENDING {
            self.pending.pop_front();
        }
        let asked = Asked::of(&request.frame);
        self.pending.push_back(Pending { key: request.key, function: header.function, asked });
    }

    /// Pairs by transaction identifier and unit, the oldest first where an
    /// identifier is in use twice.
    pub(crate) fn answer(&mut self, frame: Bytes) -> Answer {
        let waiting = Header::of(&frame)
            .and_then(|header| self.pending.iter().position(|pending| pending.key == header.key()))
            .and_then(|position| self.pending.remove(position));
        match waiting {
            Some(pending) => {
                let outcome = pending.asked.read(pending.function, &frame);
                Answer { frame, key: Some(pending.key), outcome }
            }
            None => Answer { frame, key: None, outcome: Outcome::Unreadable },
        }
    }
}

/// The MBAP header with the function code behind it.
#[derive(Debug, Clone, Copy)]
struct Header {
    transaction: u16,
    length: u16,
    unit: u8,
    function: u8,
}

impl Header {
    fn of(frame: &[u8]) -> Option<Self> {
        let [high, low, _, _, length_high, length_low, unit, function] = *frame.first_chunk::<8>()?;
        Some(Self {
            transaction: u16::from_be_bytes([high, low]),
            length: u16::from_be_bytes([length_high, length_low]),
            unit,
            function,
        })
    }

    fn key(self) -> Key {
        Key(u64::from(self.transaction) << 8 | u64::from(self.unit))
    }
}

/// Each field is looked at as soon as it is there, so that a peer that does
/// not speak Modbus is found out by its first bytes.
pub(crate) fn frame(direction: Direction, buffered: &[u8]) -> Framing {
    let Some([_, _, high, low]) = buffered.first_chunk::<4>() else { return Framing::Partial };
    let found = u16::from_be_bytes([*high, *low]);
    if found != 0 {
        return Framing::Lost(Unframed::ProtocolIdentifier { found });
    }
    let Some([.., high, low]) = buffered.first_chunk::<COUNTED_FROM>() else { return Framing::Partial };
    let length = u16::from_be_bytes([*high, *low]);
    if !(SHORTEST..=LONGEST).contains(&length) {
        return Framing::Lost(Unframed::Length { length });
    }
    if let (Direction::FromClient, Some(header)) = (direction, Header::of(buffered))
        && header.function & EXCEPTION != 0
    {
        return Framing::Lost(Unframed::AnswerFromClient { function: header.function });
    }
    let whole = COUNTED_FROM.saturating_add(length.into());
    match NonZeroUsize::new(whole) {
        Some(whole) if buffered.len() >= whole.get() => Framing::Whole(whole),
        Some(_) | None => Framing::Partial,
    }
}

/// The exception answer with the request's own transaction identifier and
/// unit. `None` for a function code that leaves no room for the exception bit.
pub(crate) fn deny(frame: &[u8], denial: Denial) -> Option<Bytes> {
    let header = Header::of(frame).filter(|header| header.function & EXCEPTION == 0)?;
    let mut answer = BytesMut::with_capacity(9);
    answer.put_u16(header.transaction);
    answer.put_u16(0);
    answer.put_u16(3);
    answer.put_u8(header.unit);
    answer.put_u8(header.function | EXCEPTION);
    answer.put_u8(exception(denial));
    Some(answer.freeze())
}

/// V1.1b3, section 7. Not 04, 05, 06 or 0B: they'd report a failure of the
/// device or make the client try again.
fn exception(denial: Denial) -> u8 {
    match denial {
        Denial::Function => 0x01,
        Denial::Address => 0x02,
        Denial::Value => 0x03,
        Denial::Unit => 0x0A,
    }
}

#[cfg(test)]
mod tests;
