//! Modbus answers, read against the request that they answer.
//!
//! An answer is taken for what it says only if it says what was asked: the
//! same function, as many values as were requested, an exact echo of a
//! write. Anything else is unreadable, so that a recording never shows a
//! confirmation that did not happen.

use super::function::exception;
use super::{COUNTED_FROM, EXCEPTION};
use crate::dissector::{Flaw, Outcome};
use crate::operation::Values;
use crate::reader::Reader;
use bytes::Bytes;

/// What is kept of a forwarded request to read its answer. Copies, so that
/// no channel buffer is held alive.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// That many bits after a byte count.
    Bits { count: u16 },
    /// That many words after a byte count.
    Words { count: u16 },
    /// A queue of words (6.18).
    Fifo,
    /// These bytes after the function code.
    Echo(Bytes),
    /// Bytes that have no type.
    Bytes,
}

impl Asked {
    /// From the request's frame, which was decoded before.
    pub(super) fn of(frame: &Bytes) -> Self {
        Self::parse(frame).unwrap_or(Self::Bytes)
    }

    fn parse(frame: &Bytes) -> Result<Self, Flaw> {
        let mut fields = Reader::new(frame.clone());
        fields.take(COUNTED_FROM.saturating_add(1))?;
        let function = fields.byte()?;
        let echo = |bytes: Bytes| Self::Echo(Bytes::copy_from_slice(&bytes));
        Ok(match function {
            1 | 2 => Self::Bits { count: second_word(fields)? },
            3 | 4 | 23 => Self::Words { count: second_word(fields)? },
            24 => Self::Fifo,
            5 | 6 | 15 | 16 => echo(fields.take(4)?),
            21 | 22 => echo(fields.rest()),
            8 => diagnostic(fields.rest()),
            _ => Self::Bytes,
        })
    }

    /// What the device's frame says.
    pub(super) fn read(&self, function: u8, frame: &Bytes) -> Outcome {
        self.outcome(function, frame).unwrap_or(Outcome::Unreadable)
    }

    fn outcome(&self, function: u8, frame: &Bytes) -> Result<Outcome, Flaw> {
        let mut fields = Reader::new(frame.clone());
        fields.take(COUNTED_FROM.saturating_add(1))?;
        let answered = fields.byte()?;
        if answered == function | EXCEPTION {
            let code = fields.byte()?;
            fields.end()?;
            return Ok(Outcome::Refused { code: code.into(), text: exception(code) });
        }
        if answered != function {
            return Ok(Outcome::Unreadable);
        }
        self.values(fields)
    }

    fn values(&self, mut fields: Reader) -> Result<Outcome, Flaw> {
        match self {
            Self::Bits { count } => {
                let bits = counted(fields, count.div_ceil(8))?;
                Ok(Outcome::Values { values: Values::Bits(bits), count: (*count).into() })
            }
            Self::Words { count } => {
                let words = counted(fields, count.saturating_mul(2))?;
                Ok(Outcome::Values { values: Values::Words(words), count: (*count).into() })
            }
            Self::Fifo => fifo(fields),
            Self::Echo(expected) if fields.take(expected.len())? == *expected => {
                fields.end()?;
                Ok(Outcome::Done)
            }
            Self::Echo(_) => Ok(Outcome::Unreadable),
            Self::Bytes => {
                let bytes = fields.rest();
                let count = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
                Ok(Outcome::Values { values: Values::Untyped(bytes), count })
            }
        }
    }
}

/// The sub-functions that come back as they were sent; the others return
/// counters (6.8.1).
fn diagnostic(data: Bytes) -> Asked {
    match data.first_chunk::<2>() {
        Some([0x00, 0x00 | 0x01 | 0x03 | 0x0A | 0x14]) => Asked::Echo(Bytes::copy_from_slice(&data)),
        Some(_) | None => Asked::Bytes,
    }
}

fn second_word(mut fields: Reader) -> Result<u16, Flaw> {
    fields.word()?;
    fields.word()
}

/// A byte count that has to be the `expected` one, then so many bytes.
fn counted(mut fields: Reader, expected: u16) -> Result<Bytes, Flaw> {
    let bytes = fields.byte()?;
    if u16::from(bytes) != expected {
        return Err(Flaw::ByteCount { bytes });
    }
    let values = fields.take(bytes.into())?;
    fields.end()?;
    Ok(values)
}

/// 6.18: byte count (two for the count, two for each value), count, values.
fn fifo(mut fields: Reader) -> Result<Outcome, Flaw> {
    let bytes = fields.word()?;
    let count = fields.word()?;
    let values = fields.rest();
    let consistent = usize::from(bytes) == values.len().saturating_add(2)
        && usize::from(count).saturating_mul(2) == values.len();
    if !consistent || count > 31 {
        return Err(Flaw::Count { count });
    }
    Ok(Outcome::Values { values: Values::Words(values), count: count.into() })
}
