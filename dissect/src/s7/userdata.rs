//! Userdata: the services beyond reading and writing variables.
//!
//! The parameter names group and sub-function; what is written, asked for or
//! set stands in the data. A long answer comes in pieces, each asked for by a
//! short request that repeats the sequence number of the piece before: such a
//! request means what the first one meant. A request that itself comes in
//! pieces is not put together, so it is unknown.

use super::function::{CHANGE_TRANSFER, CPU, CYCLIC, CYCLIC_TRANSFER, READ_SZL, SECURITY, userdata};
use super::item::{Item, item};
use super::job::Meaning;
use super::pdu::Pdu;
use crate::dissector::Flaw;
use crate::operation::{Access, Class, Secret, Values};
use crate::reader::Reader;
use bytes::Bytes;
use smallvec::{SmallVec, smallvec};

/// Begins every parameter.
const HEAD: [u8; 3] = [0x00, 0x01, 0x12];
/// The bytes behind the length: of a first request, and of all others.
const SHORT: u8 = 4;
const LONG: u8 = 8;
/// The method of a first request, and of answers and requests for more.
const REQUEST: u8 = 0x11;
const RESPONSE: u8 = 0x12;
/// The data of a request without data.
const NO_DATA: [u8; 4] = [0x0A, 0x00, 0x00, 0x00];
/// The partial lists of system status that say what a module is: its order
/// number and version (0x11), its name and place (0x1C).
const IDENTIFICATION: [u8; 2] = [0x11, 0x1C];

/// Who a unit is from and what for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    Push,
    Request,
    Response,
    Unknown,
}

/// The parameter.
#[derive(Debug, Clone, Copy)]
pub(super) struct Parameter {
    method: u8,
    pub(super) purpose: Purpose,
    pub(super) service: Service,
    /// Of the pieces of an answer: the same in the request for the next.
    pub(super) sequence: u8,
    /// Whether the pieces end with this one.
    pub(super) pieces: Pieces,
    /// 0 for none; in answers only.
    pub(super) error: u16,
}

/// Group and sub-function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Service {
    pub(super) group: u8,
    pub(super) function: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pieces {
    Last,
    More,
}

impl Parameter {
    pub(super) fn parse(parameter: &[u8]) -> Result<Self, Flaw> {
        let (head, rest) = parameter.split_first_chunk::<3>().ok_or(Flaw::Length)?;
        let (&length, rest) = rest.split_first().ok_or(Flaw::Length)?;
        if *head != HEAD || rest.len() != usize::from(length) {
            return Err(Flaw::Length);
        }
        let (method, purpose, function, sequence, pieces, error) = match (length, rest) {
            (SHORT, &[method, purpose, function, sequence]) => {
                (method, purpose, function, sequence, Pieces::Last, 0)
            }
            (LONG, &[method, purpose, function, sequence, _, more, class, code]) => {
                let pieces = if more == 0 { Pieces::Last } else { Pieces::More };
                (method, purpose, function, sequence, pieces, u16::from_be_bytes([class, code]))
            }
            _ => return Err(Flaw::Length),
        };
        let service = Service { group: purpose & 0x3F, function };
        let purpose = match purpose.wrapping_shr(6) {
            0 => Purpose::Push,
            1 => Purpose::Request,
            2 => Purpose::Response,
            _ => Purpose::Unknown,
        };
        Ok(Self { method, purpose, service, sequence, pieces, error })
    }
}

/// What is remembered of an answer whose pieces haven't ended.
#[derive(Debug)]
pub(super) struct Unfinished {
    pub(super) service: Service,
    pub(super) sequence: u8,
    /// What the first request meant.
    pub(super) accesses: SmallVec<[Access; 2]>,
}

pub(super) fn meaning<'a>(
    pdu: &Pdu,
    mut unfinished: impl Iterator<Item = &'a Unfinished>,
) -> Result<Meaning, Flaw> {
    let parameter = Parameter::parse(&pdu.parameter)?;
    let Parameter { service, sequence, .. } = parameter;
    let (function, classes) = userdata(service.group, service.function);
    // A password that comes in pieces is one too.
    let values = values(service, Class::Unknown, &pdu.data);
    let unknown = Meaning::whole(function, Class::Unknown, values);
    match (parameter.purpose, parameter.method, parameter.pieces) {
        (Purpose::Request, REQUEST, Pieces::Last) => {
            let accesses = first_request(service, classes, pdu.data.clone())?;
            Ok(Meaning { function, accesses })
        }
        (Purpose::Request, RESPONSE, Pieces::Last) if *pdu.data == NO_DATA && parameter.error == 0 => {
            let first = unfinished.find(|first| (first.service, first.sequence) == (service, sequence));
            let accesses = first.map(|first| first.accesses.clone());
            Ok(accesses.map_or(unknown, |accesses| Meaning { function, accesses }))
        }
        _ => Ok(unknown),
    }
}

fn first_request(service: Service, classes: &[Class], data: Bytes) -> Result<SmallVec<[Access; 2]>, Flaw> {
    let data = content(data)?;
    let accesses = match (service.group, service.function) {
        (CPU, READ_SZL) => smallvec![Access::whole(status_list(&data)?, None)],
        (CYCLIC, CYCLIC_TRANSFER | CHANGE_TRANSFER) => return cyclic(data),
        _ => classes
            .iter()
            .map(|class| Access { values: values(service, *class, &data), ..Access::whole(*class, None) })
            .collect(),
    };
    Ok(accesses)
}

/// The data part: return code, how the length counts, length, content.
pub(super) fn content(data: Bytes) -> Result<Bytes, Flaw> {
    let mut data = Reader::new(data);
    let (_code, transport, length) = (data.byte()?, data.byte()?, data.word()?);
    let length = match transport {
        0x03 => length.div_ceil(8),
        0x04 | 0x05 if length & 7 == 0 => length.wrapping_shr(3),
        0x04 | 0x05 => return Err(Flaw::Count { count: length }),
        _ => length,
    };
    let content = data.take(length.into())?;
    data.end()?;
    Ok(content)
}

fn values(service: Service, class: Class, data: &Bytes) -> Values {
    match class {
        _ if data.is_empty() => Values::None,
        _ if service.group == SECURITY => Values::Secret(Secret::new(data.clone())),
        Class::Write | Class::TimeSet | Class::Security => Values::Untyped(data.clone()),
        Class::Housekeeping
        | Class::Identify
        | Class::Read
        | Class::Subscribe
        | Class::Control
        | Class::ProgramRead
        | Class::ProgramWrite
        | Class::FileRead
        | Class::FileWrite
        | Class::Diagnostic
        | Class::Route
        | Class::Use
        | Class::Unknown => Values::None,
    }
}

/// Whether it is of the group of passwords, however the rest adds up.
pub(super) fn may_be_password(parameter: &[u8]) -> bool {
    parameter.get(5).is_some_and(|purpose| purpose & 0x3F == SECURITY)
}

/// A list and an index into it.
fn status_list(data: &[u8]) -> Result<Class, Flaw> {
    match *data {
        [_, list, _, _] if IDENTIFICATION.contains(&list) => Ok(Class::Identify),
        [_, _, _, _] => Ok(Class::Read),
        _ => Err(Flaw::Length),
    }
}

/// Number of items, time base, factor, then addresses as in read var.
fn cyclic(data: Bytes) -> Result<SmallVec<[Access; 2]>, Flaw> {
    let mut fields = Reader::new(data);
    let (count, _base, _factor) = (fields.word()?, fields.byte()?, fields.byte()?);
    let mut accesses = SmallVec::new();
    for _ in 0..count {
        match item(&mut fields)? {
            Item::Variable { place, .. } => accesses.push(Access {
                class: Class::Subscribe,
                unit: None,
                place: Some(place),
                values: Values::None,
            }),
            Item::Other => return Ok(smallvec![Access::whole(Class::Unknown, None)]),
        }
    }
    fields.end()?;
    if accesses.is_empty() { Err(Flaw::Count { count }) } else { Ok(accesses) }
}

/// The parameter of a refusal: the request's own service and sequence number.
pub(super) fn refusal(parameter: &[u8], error: u16) -> Option<[u8; 12]> {
    let [a, b, c, _, _, purpose, function, sequence] = *parameter.first_chunk::<8>()?;
    let [class, code] = error.to_be_bytes();
    let response = 0x80 | purpose & 0x3F;
    ([a, b, c] == HEAD).then_some([a, b, c, LONG, RESPONSE, response, function, sequence, 0, 0, class, code])
}
