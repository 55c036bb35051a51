//! Jobs: what a request of the basic services means.
//!
//! A download is judged by its first request. The device asks for the blocks
//! by jobs of its own then, so a client that sends those jobs itself does
//! something that isn't known.

use super::function::{
    END_UPLOAD, MODE_TRANSITION, PI_SERVICE, PLC_STOP, READ_VAR, REQUEST_DOWNLOAD, SETUP, START_UPLOAD,
    UPLOAD, WRITE_VAR, name, program_invocation,
};
use super::item::{Item, Position, item, piece};
use super::pdu::Pdu;
use crate::dissector::Flaw;
use crate::operation::{Access, Class, Secret, Values};
use crate::reader::Reader;
use bytes::Bytes;
use smallvec::{SmallVec, smallvec};

/// The first bytes of a block transfer's parameter, before the block's name.
const TRANSFER_HEADER: usize = 8;
/// The same of a program invocation, before its argument.
const INVOCATION_HEADER: usize = 8;

/// What a well-formed request means.
pub(super) struct Meaning {
    pub(super) function: &'static str,
    pub(super) accesses: SmallVec<[Access; 2]>,
}

impl Meaning {
    pub(super) fn whole(function: &'static str, class: Class, values: Values) -> Self {
        Self { function, accesses: smallvec![Access { values, ..Access::whole(class, None) }] }
    }
}

pub(super) fn meaning(pdu: &Pdu) -> Result<Meaning, Flaw> {
    let function = pdu.function().ok_or(Flaw::Length)?;
    let (parameter, data) = (pdu.parameter.clone(), Reader::new(pdu.data.clone()));
    let simple = |class| Ok(Meaning::whole(name(function), class, Values::None));
    match function {
        READ_VAR => {
            data.end()?;
            let accesses = read_var(parameter)?;
            Ok(Meaning { function: name(function), accesses })
        }
        WRITE_VAR => Ok(Meaning { function: name(function), accesses: write_var(parameter, data)? }),
        REQUEST_DOWNLOAD => transfer(parameter, name(function), Class::ProgramWrite),
        START_UPLOAD => transfer(parameter, name(function), Class::ProgramRead),
        UPLOAD | END_UPLOAD => simple(Class::ProgramRead),
        PI_SERVICE => invocation(parameter),
        PLC_STOP | MODE_TRANSITION => simple(Class::Control),
        SETUP => {
            data.end()?;
            if parameter.len() != 8 {
                return Err(Flaw::Length);
            }
            simple(Class::Housekeeping)
        }
        _ => simple(Class::Unknown),
    }
}

/// The number of items that a read or write names.
fn items(parameter: &mut Reader) -> Result<u8, Flaw> {
    parameter.byte()?;
    match parameter.byte()? {
        0 => Err(Flaw::Count { count: 0 }),
        count => Ok(count),
    }
}

fn read_var(parameter: Bytes) -> Result<SmallVec<[Access; 2]>, Flaw> {
    let mut parameter = Reader::new(parameter);
    let mut accesses = SmallVec::new();
    for _ in 0..items(&mut parameter)? {
        match item(&mut parameter)? {
            Item::Variable { place, .. } => accesses.push(Access {
                class: Class::Read,
                unit: None,
                place: Some(place),
                values: Values::None,
            }),
            Item::Other => return Ok(unknown(accesses)),
        }
    }
    parameter.end()?;
    Ok(accesses)
}

fn write_var(parameter: Bytes, mut data: Reader) -> Result<SmallVec<[Access; 2]>, Flaw> {
    let mut parameter = Reader::new(parameter);
    let mut accesses = SmallVec::new();
    let count = items(&mut parameter)?;
    for number in 1..=count {
        let Item::Variable { place, shape } = item(&mut parameter)? else { return Ok(unknown(accesses)) };
        let position = if number == count { Position::Last } else { Position::Inner };
        let values = piece(&mut data, position)?.values(shape)?;
        accesses.push(Access { class: Class::Write, unit: None, place: Some(place), values });
    }
    parameter.end()?;
    data.end()?;
    Ok(accesses)
}

/// What is behind an item of unknown addressing isn't looked at: the request
/// is denied whole.
fn unknown(mut accesses: SmallVec<[Access; 2]>) -> SmallVec<[Access; 2]> {
    accesses.push(Access::whole(Class::Unknown, None));
    accesses
}

/// The beginning of a download or upload: eight bytes, then the block's name
/// behind its length. The length of a download, behind that, is the client's
/// own word.
fn transfer(parameter: Bytes, function: &'static str, class: Class) -> Result<Meaning, Flaw> {
    let mut parameter = Reader::new(parameter);
    parameter.take(TRANSFER_HEADER)?;
    let length = parameter.byte()?;
    let block = parameter.take(length.into())?;
    Ok(Meaning::whole(function, class, Values::Text(block)))
}

/// A program invocation: eight bytes, the argument behind its length, the
/// service's name behind its length. Whom a login is for and with what is
/// nobody's business.
fn invocation(parameter: Bytes) -> Result<Meaning, Flaw> {
    let mut parameter = Reader::new(parameter);
    parameter.take(INVOCATION_HEADER)?;
    let length = parameter.word()?;
    let argument = parameter.take(length.into())?;
    let length = parameter.byte()?;
    let service = parameter.take(length.into())?;
    parameter.end()?;
    let (function, class) = program_invocation(&service);
    let values = if class == Class::Security {
        Values::Secret(Secret::new(argument))
    } else if class == Class::Unknown {
        Values::Text(service)
    } else if argument.is_empty() {
        Values::None
    } else {
        Values::Text(argument)
    };
    Ok(Meaning::whole(function, class, values))
}
