//! Modbus requests: one frame to one [`Operation`].
//!
//! Every field of the common functions is checked against the limits of
//! V1.1b3, section 6, and against the length of the frame; the last byte has
//! to be accounted for. A request that doesn't add up is malformed, since a
//! device might read it differently from us.

use super::function::{diagnostic, name, undecoded_class};
use super::{COUNTED_FROM, Header, umas};
use crate::area::Area;
use crate::dissector::{Content, Expects, Flaw, Key, Malformed, Request};
use crate::operation::{Access, Class, Operation, Protocol, Range, Values};
use crate::place::Place;
use crate::reader::Reader;
use bytes::Bytes;
use smallvec::{SmallVec, smallvec};

/// Most coils or inputs of one read (6.1, 6.2).
const READ_BITS: u16 = 2000;
/// Most registers of one read (6.3, 6.4, 6.17).
const READ_WORDS: u16 = 125;
/// Most coils of one write (6.11).
const WRITE_BITS: u16 = 1968;
/// Most registers of one write (6.12).
const WRITE_WORDS: u16 = 123;
/// Most registers of the write within a read/write (6.17).
const EXCHANGE_WORDS: u16 = 121;
/// Registers that a FIFO read may touch: its count and up to 31 values (6.18).
const FIFO_WORDS: u32 = 32;
/// The highest record number of a file (6.14).
const LAST_RECORD: u16 = 0x270F;
/// Limits of the byte count of a file read and a file write (6.14, 6.15), and
/// of what a file read may ask for.
const FILE_READ_BYTES: std::ops::RangeInclusive<u8> = 0x07..=0xF5;
const FILE_WRITE_BYTES: std::ops::RangeInclusive<u8> = 0x09..=0xFB;

/// What a well-formed request means.
struct Meaning {
    function: &'static str,
    accesses: SmallVec<[Access; 2]>,
    expects: Expects,
}

/// Decodes one whole frame. Total: what is no frame is malformed.
pub(crate) fn decode(frame: Bytes) -> Request {
    let Some(header) = Header::of(&frame) else {
        let why = Malformed { function: "no function", flaw: Flaw::Length };
        return Request { frame, key: Key(0), expects: Expects::Answer, content: Content::Malformed { why } };
    };
    let (expects, content) = match meaning(&frame, header) {
        Ok(Meaning { function, accesses, expects }) => {
            (expects, Content::Operation(Operation { protocol: Protocol::Modbus, function, accesses }))
        }
        Err(flaw) => {
            let why = Malformed { function: name(header.function), flaw };
            (Expects::Answer, Content::Malformed { why })
        }
    };
    Request { frame, key: header.key(), expects, content }
}

fn meaning(frame: &Bytes, header: Header) -> Result<Meaning, Flaw> {
    let mut fields = Reader::new(frame.clone());
    fields.take(COUNTED_FROM)?;
    if fields.left() != usize::from(header.length) {
        return Err(Flaw::Length);
    }
    fields.take(2)?;
    let unit = Some(header.unit);
    let accesses = match header.function {
        0 => return Err(Flaw::Function),
        1 => smallvec![read(fields, unit, Area::Coil, READ_BITS)?],
        2 => smallvec![read(fields, unit, Area::Discrete, READ_BITS)?],
        3 => smallvec![read(fields, unit, Area::Holding, READ_WORDS)?],
        4 => smallvec![read(fields, unit, Area::Input, READ_WORDS)?],
        5 => smallvec![write_coil(fields, unit)?],
        6 => smallvec![write_register(fields, unit)?],
        7 | 11 | 12 => bare(fields, Class::Diagnostic, unit)?,
        8 => return diagnostics(fields, unit),
        15 => smallvec![write_coils(fields, unit)?],
        16 => smallvec![write_registers(fields, unit, WRITE_WORDS)?],
        17 => bare(fields, Class::Identify, unit)?,
        20 => read_files(fields, unit)?,
        21 => write_files(fields, unit)?,
        22 => smallvec![mask_register(fields, unit)?],
        23 => exchange(fields, unit)?,
        24 => smallvec![read_fifo(fields, unit)?],
        43 => return encapsulated(fields, unit),
        umas::FUNCTION => return engineering(fields, unit),
        other => smallvec![Access::whole(undecoded_class(other), unit)],
    };
    Ok(Meaning { function: name(header.function), accesses, expects: Expects::Answer })
}

/// A function whose PDU is its code alone.
fn bare(fields: Reader, class: Class, unit: Option<u8>) -> Result<SmallVec<[Access; 2]>, Flaw> {
    fields.end()?;
    Ok(smallvec![Access::whole(class, unit)])
}

/// `count` addresses from `first`, all of which have to exist.
fn place(area: Area, first: u16, count: u16) -> Result<Place, Flaw> {
    Range::counted(first.into(), count.into())
        .filter(|range| range.last() <= area.last_address())
        .map(|range| Place::Range { area, range })
        .ok_or(Flaw::Address)
}

fn bounded(count: u16, most: u16) -> Result<u16, Flaw> {
    if (1..=most).contains(&count) { Ok(count) } else { Err(Flaw::Count { count }) }
}

fn access(class: Class, unit: Option<u8>, place: Place, values: Values) -> Access {
    Access { class, unit, place: Some(place), values }
}

/// 6.1 to 6.4.
fn read(mut fields: Reader, unit: Option<u8>, area: Area, most: u16) -> Result<Access, Flaw> {
    let first = fields.word()?;
    let count = bounded(fields.word()?, most)?;
    fields.end()?;
    Ok(access(Class::Read, unit, place(area, first, count)?, Values::None))
}

/// 6.5: on is FF00, off is 0000, nothing else exists.
fn write_coil(mut fields: Reader, unit: Option<u8>) -> Result<Access, Flaw> {
    let address = fields.word()?;
    let bits: &'static [u8] = match fields.word()? {
        0xFF00 => &[1],
        0x0000 => &[0],
        value => return Err(Flaw::Value { value }),
    };
    fields.end()?;
    Ok(access(Class::Write, unit, place(Area::Coil, address, 1)?, Values::Bits(Bytes::from_static(bits))))
}

/// 6.6.
fn write_register(mut fields: Reader, unit: Option<u8>) -> Result<Access, Flaw> {
    let address = fields.word()?;
    let value = fields.take(2)?;
    fields.end()?;
    Ok(access(Class::Write, unit, place(Area::Holding, address, 1)?, Values::Words(value)))
}

/// 6.11.
fn write_coils(mut fields: Reader, unit: Option<u8>) -> Result<Access, Flaw> {
    let first = fields.word()?;
    let count = bounded(fields.word()?, WRITE_BITS)?;
    let values = counted_values(&mut fields, count.div_ceil(8))?;
    fields.end()?;
    Ok(access(Class::Write, unit, place(Area::Coil, first, count)?, Values::Bits(values)))
}

/// 6.12, and the write half of 6.17.
fn write_registers(mut fields: Reader, unit: Option<u8>, most: u16) -> Result<Access, Flaw> {
    let first = fields.word()?;
    let count = bounded(fields.word()?, most)?;
    let values = counted_values(&mut fields, count.saturating_mul(2))?;
    fields.end()?;
    Ok(access(Class::Write, unit, place(Area::Holding, first, count)?, Values::Words(values)))
}

/// Values after a byte count that has to be the `expected` one.
fn counted_values(fields: &mut Reader, expected: u16) -> Result<Bytes, Flaw> {
    let bytes = fields.byte()?;
    if u16::from(bytes) != expected {
        return Err(Flaw::ByteCount { bytes });
    }
    fields.take(bytes.into())
}

/// 6.16.
fn mask_register(mut fields: Reader, unit: Option<u8>) -> Result<Access, Flaw> {
    let address = fields.word()?;
    let values = Values::Masked { and: fields.word()?.into(), or: fields.word()?.into() };
    fields.end()?;
    Ok(access(Class::Write, unit, place(Area::Holding, address, 1)?, values))
}

/// 6.17: the device writes first and reads then; both are accesses.
fn exchange(mut fields: Reader, unit: Option<u8>) -> Result<SmallVec<[Access; 2]>, Flaw> {
    let first = fields.word()?;
    let count = bounded(fields.word()?, READ_WORDS)?;
    let read = access(Class::Read, unit, place(Area::Holding, first, count)?, Values::None);
    Ok(smallvec![read, write_registers(fields, unit, EXCHANGE_WORDS)?])
}

/// 6.18: names the register with the queue's count; the values follow it, so
/// the access covers all that the answer may reveal.
fn read_fifo(mut fields: Reader, unit: Option<u8>) -> Result<Access, Flaw> {
    let first = u32::from(fields.word()?);
    fields.end()?;
    let last = first.saturating_add(FIFO_WORDS.saturating_sub(1)).min(Area::Holding.last_address());
    let range = Range::new(first, last).ok_or(Flaw::Address)?;
    Ok(access(Class::Read, unit, Place::Range { area: Area::Holding, range }, Values::None))
}

/// 6.14: groups of seven bytes, each naming records of one file.
fn read_files(mut fields: Reader, unit: Option<u8>) -> Result<SmallVec<[Access; 2]>, Flaw> {
    let bytes = fields.byte()?;
    if !FILE_READ_BYTES.contains(&bytes) || usize::from(bytes) != fields.left() {
        return Err(Flaw::ByteCount { bytes });
    }
    let mut accesses = SmallVec::new();
    let mut answered: u32 = 0;
    while fields.left() > 0 {
        let (place, count) = file_records(&mut fields)?;
        answered = answered.saturating_add(u32::from(count).saturating_mul(2)).saturating_add(2);
        if answered > u32::from(*FILE_READ_BYTES.end()) {
            return Err(Flaw::Count { count });
        }
        accesses.push(access(Class::FileRead, unit, place, Values::None));
    }
    Ok(accesses)
}

/// 6.15: the same groups, each followed by its values.
fn write_files(mut fields: Reader, unit: Option<u8>) -> Result<SmallVec<[Access; 2]>, Flaw> {
    let bytes = fields.byte()?;
    if !FILE_WRITE_BYTES.contains(&bytes) || usize::from(bytes) != fields.left() {
        return Err(Flaw::ByteCount { bytes });
    }
    let mut accesses = SmallVec::new();
    while fields.left() > 0 {
        let (place, count) = file_records(&mut fields)?;
        let values = fields.take(usize::from(count).saturating_mul(2))?;
        accesses.push(access(Class::FileWrite, unit, place, Values::Untyped(values)));
    }
    Ok(accesses)
}

/// One group: reference type 6, file, first record, number of records.
fn file_records(fields: &mut Reader) -> Result<(Place, u16), Flaw> {
    let (reference, file, record) = (fields.byte()?, fields.word()?, fields.word()?);
    let count = bounded(fields.word()?, LAST_RECORD.saturating_add(1))?;
    let last = record.checked_add(count.saturating_sub(1)).ok_or(Flaw::Address)?;
    if reference != 6 || file == 0 || last > LAST_RECORD {
        return Err(Flaw::Address);
    }
    let at = |record: u16| u32::from(file) << 16 | u32::from(record);
    let range = Range::new(at(record), at(last)).ok_or(Flaw::Address)?;
    Ok((Place::Range { area: Area::File, range }, count))
}

/// 6.8: a sub-function and its data, two bytes for all but the echo, and zero
/// where it says nothing.
fn diagnostics(mut fields: Reader, unit: Option<u8>) -> Result<Meaning, Flaw> {
    let sub_function = fields.word()?;
    let (function, class) = diagnostic(sub_function);
    let data = fields.rest();
    match (sub_function, data.as_ref()) {
        // Any number of words comes back as it is.
        (0, data) if !data.is_empty() && data.len() % 2 == 0 => {}
        (0, _) => return Err(Flaw::Length),
        (1, [0x00 | 0xFF, 0x00]) | (3, [_, 0x00]) => {}
        (1 | 3, [high, low]) => return Err(Flaw::Value { value: u16::from_be_bytes([*high, *low]) }),
        (_, _) if class == Class::Unknown => {}
        (_, [0, 0]) => {}
        (_, [high, low]) => return Err(Flaw::Value { value: u16::from_be_bytes([*high, *low]) }),
        (_, _) => return Err(Flaw::Length),
    }
    // A device in listen only mode answers nothing, not even this.
    let expects = if sub_function == 4 { Expects::Nothing } else { Expects::Answer };
    Ok(Meaning { function, accesses: smallvec![Access::whole(class, unit)], expects })
}

/// 6.19 to 6.21: of the encapsulated interfaces only the device
/// identification is known from end to end.
fn encapsulated(mut fields: Reader, unit: Option<u8>) -> Result<Meaning, Flaw> {
    let (function, class) = match fields.byte()? {
        0x0E => {
            let code = fields.byte()?;
            let _object = fields.byte()?;
            fields.end()?;
            if !(1..=4).contains(&code) {
                return Err(Flaw::Value { value: code.into() });
            }
            ("read device identification", Class::Identify)
        }
        // Reads or writes an object of some node of a CAN network behind the
        // device, in a way that CiA 309-2 defines and V1.1b3 does not.
        0x0D => ("CANopen general reference", Class::Unknown),
        _ => (name(43), Class::Unknown),
    };
    Ok(Meaning { function, accesses: smallvec![Access::whole(class, unit)], expects: Expects::Answer })
}

/// Function 90: the session's byte, the code, data that goes with it. What is
/// read or written is not known any nearer than by its code.
fn engineering(mut fields: Reader, unit: Option<u8>) -> Result<Meaning, Flaw> {
    let _session = fields.byte()?;
    let code = fields.byte()?;
    let (function, class) = umas::code(code);
    let data = fields.rest();
    let read_or_written = place(Area::Umas, code.into(), 1)?;
    let (place, values) = match class {
        Class::Read => (Some(read_or_written), Values::None),
        Class::Write => (Some(read_or_written), Values::Untyped(data)),
        Class::ProgramWrite => (None, Values::Untyped(data)),
        Class::Housekeeping
        | Class::Identify
        | Class::Subscribe
        | Class::Control
        | Class::ProgramRead
        | Class::FileRead
        | Class::FileWrite
        | Class::TimeSet
        | Class::Security
        | Class::Diagnostic
        | Class::Route
        | Class::Use
        | Class::Unknown => (None, Values::None),
    };
    let accesses = smallvec![Access { class, unit, place, values }];
    Ok(Meaning { function, accesses, expects: Expects::Answer })
}
