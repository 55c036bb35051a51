//! Modbus answers, read against the request that they answer.
//!
//! An answer is taken for what it says only if it says what was asked: the
//! same function, as many values as were requested, an exact echo of a
//! write. Anything else is unreadable, so that a recording never shows a
//! confirmation that did not happen.

use super::function::exception;
use super::{COUNTED_FROM, EXCEPTION, umas};
use crate::dissector::{Flaw, Outcome};
use crate::operation::Values;
use crate::reader::Reader;
use bytes::{Bytes, BytesMut};
use smallvec::SmallVec;

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
    /// These bytes after the function code. As many as all writes of
    /// registers and coils echo are kept in place.
    Echo(SmallVec<[u8; 8]>),
    /// One byte of eight bits (6.7).
    Status,
    /// Two words, a status and a count (6.9).
    EventCounter,
    /// A byte count, then that many bytes: at least `least` of them.
    Counted { least: u8 },
    /// A byte count, then an identification, mostly in characters (6.13).
    ServerId,
    /// The sub-function, then one word (6.8).
    Diagnostic { sub_function: u16 },
    /// As many groups of records as were asked for, with so many words each (6.14).
    Files(SmallVec<[u16; 2]>),
    /// The objects of a device identification (6.21).
    Identification { code: u8 },
    /// An answer of UMAS.
    Engineering,
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
        let echo = |bytes: Bytes| Self::Echo(SmallVec::from_slice(&bytes));
        Ok(match function {
            1 | 2 => Self::Bits { count: second_word(fields)? },
            3 | 4 | 23 => Self::Words { count: second_word(fields)? },
            24 => Self::Fifo,
            5 | 6 | 15 | 16 => echo(fields.take(4)?),
            21 | 22 => echo(fields.rest()),
            7 => Self::Status,
            8 => diagnostic(fields.rest()),
            11 => Self::EventCounter,
            // Status, event count and message count stand before the events.
            12 => Self::Counted { least: 6 },
            17 => Self::ServerId,
            20 => Self::Files(files(fields)?),
            43 => encapsulated(fields)?,
            umas::FUNCTION => Self::Engineering,
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
            Self::Echo(expected) if fields.take(expected.len())? == expected.as_slice() => {
                fields.end()?;
                Ok(Outcome::Done)
            }
            Self::Echo(_) => Ok(Outcome::Unreadable),
            Self::Status => {
                let bits = fields.take(1)?;
                fields.end()?;
                Ok(Outcome::Values { values: Values::Bits(bits), count: 8 })
            }
            Self::EventCounter => {
                let words = fields.take(4)?;
                fields.end()?;
                Ok(Outcome::Values { values: Values::Words(words), count: 2 })
            }
            Self::Counted { least } => {
                let bytes = fields.byte()?;
                let content = fields.take(bytes.into())?;
                fields.end()?;
                if bytes < *least { Err(Flaw::ByteCount { bytes }) } else { Ok(untyped(content)) }
            }
            Self::ServerId => {
                let bytes = fields.byte()?;
                let content = fields.take(bytes.into())?;
                fields.end()?;
                if bytes == 0 { Err(Flaw::ByteCount { bytes }) } else { Ok(text(content)) }
            }
            Self::Diagnostic { sub_function } => {
                let (answered, word) = (fields.word()?, fields.take(2)?);
                fields.end()?;
                if answered != *sub_function {
                    return Ok(Outcome::Unreadable);
                }
                Ok(Outcome::Values { values: Values::Words(word), count: 1 })
            }
            Self::Files(counts) => records(fields, counts),
            Self::Identification { code } => identification(fields, *code),
            Self::Engineering => engineering(fields),
            Self::Bytes => Ok(untyped(fields.rest())),
        }
    }
}

fn text(bytes: Bytes) -> Outcome {
    let count = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    Outcome::Values { values: Values::Text(bytes), count }
}

fn untyped(bytes: Bytes) -> Outcome {
    let count = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    Outcome::Values { values: Values::Untyped(bytes), count }
}

/// The sub-functions that come back as they were sent, and those that return
/// a register or a count (6.8.1).
fn diagnostic(data: Bytes) -> Asked {
    match data.first_chunk::<2>().map(|code| u16::from_be_bytes(*code)) {
        Some(0x00 | 0x01 | 0x03 | 0x0A | 0x14) => Asked::Echo(SmallVec::from_slice(&data)),
        Some(sub_function @ (0x02 | 0x0B..=0x12)) => Asked::Diagnostic { sub_function },
        Some(_) | None => Asked::Bytes,
    }
}

/// How many words each group of a file request asks for.
fn files(mut fields: Reader) -> Result<SmallVec<[u16; 2]>, Flaw> {
    fields.byte()?;
    let mut counts = SmallVec::new();
    while fields.left() > 0 {
        fields.take(5)?;
        counts.push(fields.word()?);
    }
    Ok(counts)
}

/// 6.14: a byte count, then for each group its length, the reference type 6
/// and the records.
fn records(mut fields: Reader, counts: &[u16]) -> Result<Outcome, Flaw> {
    let bytes = fields.byte()?;
    if usize::from(bytes) != fields.left() {
        return Err(Flaw::ByteCount { bytes });
    }
    let mut all = BytesMut::with_capacity(fields.left());
    for count in counts {
        let length = fields.byte()?;
        let wanted = usize::from(*count).saturating_mul(2);
        if usize::from(length) != wanted.saturating_add(1) || fields.byte()? != 6 {
            return Err(Flaw::ByteCount { bytes: length });
        }
        all.extend_from_slice(&fields.take(wanted)?);
    }
    fields.end()?;
    let count = counts.iter().map(|count| u32::from(*count)).sum();
    Ok(Outcome::Values { values: Values::Words(all.freeze()), count })
}

fn encapsulated(mut fields: Reader) -> Result<Asked, Flaw> {
    Ok(match fields.byte()? {
        0x0E => Asked::Identification { code: fields.byte()? },
        _ => Asked::Bytes,
    })
}

/// 6.21: the interface's type, the code that was asked for, conformity, more
/// to come, the next object, how many objects; then each with its length.
fn identification(mut fields: Reader, code: u8) -> Result<Outcome, Flaw> {
    if (fields.byte()?, fields.byte()?) != (0x0E, code) {
        return Ok(Outcome::Unreadable);
    }
    let (_conformity, _more, _next) = (fields.byte()?, fields.byte()?, fields.byte()?);
    let objects = fields.byte()?;
    let mut all = BytesMut::with_capacity(fields.left());
    for _ in 0..objects {
        let (object, length) = (fields.byte()?, fields.byte()?);
        let value = fields.take(length.into())?;
        if !all.is_empty() {
            all.extend_from_slice(b"; ");
        }
        all.extend_from_slice(object_name(object).as_bytes());
        all.extend_from_slice(&value);
    }
    fields.end()?;
    Ok(text(all.freeze()))
}

/// What stands before the value of an object (6.21). Those from 0x80 on are
/// the vendor's own.
fn object_name(object: u8) -> &'static str {
    match object {
        0 => "vendor ",
        1 => "product ",
        2 => "revision ",
        3 => "URL ",
        4 => "product name ",
        5 => "model ",
        6 => "application ",
        _ => "",
    }
}

/// The session's byte, the state, data.
fn engineering(mut fields: Reader) -> Result<Outcome, Flaw> {
    let _session = fields.byte()?;
    match fields.byte()? {
        umas::DONE if fields.left() == 0 => Ok(Outcome::Done),
        umas::DONE => Ok(untyped(fields.rest())),
        umas::REFUSED => Ok(Outcome::Refused { code: umas::REFUSED.into(), text: "UMAS error" }),
        _ => Ok(Outcome::Unreadable),
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
