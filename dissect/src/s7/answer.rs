//! Answers of the device, read against the requests that they answer.
//!
//! As with requests, an answer counts for what it says only if all of it
//! fits: the same function, as many items, exactly the bytes that were asked
//! for. A confirmation that did not happen is never shown.

use super::function::{READ_VAR, WRITE_VAR, error, item_error};
use super::item::{Item, Position, Shape, item, piece};
use super::pdu::{Kind, Pdu};
use super::userdata::{Parameter, Service, content};
use crate::dissector::{Flaw, Outcome};
use crate::operation::Values;
use crate::reader::Reader;
use bytes::Bytes;
use smallvec::SmallVec;

/// The return code of an item that was done.
const DONE: u8 = 0xFF;

/// What is kept of a forwarded request to read its answer.
#[derive(Debug)]
pub(super) enum Asked {
    /// A connection.
    Connect,
    /// These values.
    Read(SmallVec<[Shape; 4]>),
    /// So many items to be written.
    Write { items: u8 },
    /// Another job.
    Job { function: u8 },
    /// A userdata service.
    Userdata { service: Service },
}

impl Asked {
    /// From a job that was decoded before.
    pub(super) fn job(pdu: &Pdu) -> Option<Self> {
        let function = pdu.function()?;
        Some(match function {
            READ_VAR => Self::Read(shapes(pdu.parameter.clone()).ok()?),
            WRITE_VAR => Self::Write { items: *pdu.parameter.get(1)? },
            _ => Self::Job { function },
        })
    }

    /// What an acknowledgement says.
    pub(super) fn acknowledged(&self, pdu: &Pdu) -> Outcome {
        if pdu.error != 0 {
            return Outcome::Refused { code: pdu.error.into(), text: error(pdu.error) };
        }
        let outcome = match self {
            Self::Read(shapes) => read(shapes, pdu),
            Self::Write { items } => written(*items, pdu),
            Self::Job { function } if pdu.header.kind == Kind::Ack || pdu.function() == Some(*function) => {
                Ok(Outcome::Done)
            }
            Self::Job { .. } | Self::Userdata { .. } | Self::Connect => Err(Flaw::Function),
        };
        outcome.unwrap_or(Outcome::Unreadable)
    }

    /// What a userdata answer says.
    pub(super) fn responded(&self, parameter: &Parameter, data: &Bytes) -> Outcome {
        match self {
            Self::Userdata { service } if *service == parameter.service => {
                response(parameter, data).unwrap_or(Outcome::Unreadable)
            }
            Self::Userdata { .. } | Self::Connect | Self::Read(_) | Self::Write { .. } | Self::Job { .. } => {
                Outcome::Unreadable
            }
        }
    }
}

fn shapes(parameter: Bytes) -> Result<SmallVec<[Shape; 4]>, Flaw> {
    let mut fields = Reader::new(parameter);
    fields.byte()?;
    let mut shapes = SmallVec::new();
    for _ in 0..fields.byte()? {
        match item(&mut fields)? {
            Item::Variable { shape, .. } => shapes.push(shape),
            Item::Other => return Err(Flaw::Function),
        }
    }
    Ok(shapes)
}

/// The data behind an echo of function and number of items.
fn echoed(function: u8, items: usize, pdu: &Pdu) -> Result<Reader, Flaw> {
    match *pdu.parameter {
        [found, count] if found == function && usize::from(count) == items => {
            Ok(Reader::new(pdu.data.clone()))
        }
        _ => Err(Flaw::Function),
    }
}

fn read(shapes: &[Shape], pdu: &Pdu) -> Result<Outcome, Flaw> {
    let mut data = echoed(READ_VAR, shapes.len(), pdu)?;
    let (last, inner) = shapes.split_last().ok_or(Flaw::Length)?;
    let mut outcomes = Vec::new();
    for shape in inner {
        outcomes.push(item_read(&mut data, *shape, Position::Inner)?);
    }
    let outcome = item_read(&mut data, *last, Position::Last)?;
    data.end()?;
    if outcomes.is_empty() {
        return Ok(outcome);
    }
    outcomes.push(outcome);
    Ok(Outcome::Several(outcomes))
}

fn item_read(data: &mut Reader, shape: Shape, position: Position) -> Result<Outcome, Flaw> {
    let piece = piece(data, position)?;
    if piece.code == DONE {
        return Ok(Outcome::Values { values: piece.values(shape)?, count: shape.count() });
    }
    Ok(refused(piece.code))
}

fn refused(code: u8) -> Outcome {
    Outcome::Refused { code: code.into(), text: item_error(code) }
}

/// A return code for each item. All alike are told once.
fn written(items: u8, pdu: &Pdu) -> Result<Outcome, Flaw> {
    let codes = echoed(WRITE_VAR, items.into(), pdu)?.rest();
    if codes.len() != usize::from(items) {
        return Err(Flaw::Length);
    }
    let first = *codes.first().ok_or(Flaw::Length)?;
    let outcome = |code| if code == DONE { Outcome::Done } else { refused(code) };
    if codes.iter().all(|code| *code == first) {
        return Ok(outcome(first));
    }
    Ok(Outcome::Several(codes.iter().map(|code| outcome(*code)).collect()))
}

/// What a security service returns is not shown.
fn response(parameter: &Parameter, data: &Bytes) -> Result<Outcome, Flaw> {
    if parameter.error != 0 {
        let code = parameter.error;
        return Ok(Outcome::Refused { code: code.into(), text: error(code) });
    }
    let code = *data.first().ok_or(Flaw::Length)?;
    let values = content(data.clone())?;
    match (code, values.is_empty()) {
        (DONE, false) if parameter.service.group != super::function::SECURITY => {
            let count = u32::try_from(values.len()).unwrap_or(u32::MAX);
            Ok(Outcome::Values { values: Values::Untyped(values), count })
        }
        // Without an error and without data there was none to give.
        (DONE, _) | (0x0A, true) => Ok(Outcome::Done),
        _ => Ok(refused(code)),
    }
}
