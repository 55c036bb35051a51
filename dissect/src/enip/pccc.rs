//! PCCC, the command set of PLC-5, SLC 500 and MicroLogix, inside of CIP
//! (DF1 Protocol and Command Set, 1770-6.5.16, chapters 7 and 13).
//!
//! The functions that read and write files of the data table are known with
//! their addresses. Everything else, modes and downloads among it, is unknown:
//! so are the old commands that address memory as such, since what they touch
//! can't be told as a file.

use super::fields::Fields;
use crate::dissector::Flaw;
use crate::name::{Name, NameKind};
use crate::operation::{Access, Class, Range, Values};
use crate::place::Place;
use bytes::Bytes;
use smallvec::{SmallVec, smallvec};

/// The command under which the functions of data tables are.
const EXTENDED: u8 = 0x0F;
/// Set in the command of an answer.
pub(super) const ANSWER: u8 = 0x40;
/// How many parts a read-modify-write may have.
const MOST_PARTS: usize = 64;

/// A PCCC command, taken apart.
pub(super) struct Command<'a> {
    pub(super) command: u8,
    pub(super) status: u8,
    /// Pairs command and answer.
    pub(super) transaction: u16,
    fields: Fields<'a>,
}

impl<'a> Command<'a> {
    /// Behind the requester: its length with itself, vendor, serial number.
    pub(super) fn parse(data: &'a [u8]) -> Result<Self, Flaw> {
        let mut fields = Fields::new(data);
        let requester = fields.byte()?;
        fields.take(requester.checked_sub(1).ok_or(Flaw::ByteCount { bytes: requester })?.into())?;
        let (command, status, transaction) = (fields.byte()?, fields.byte()?, fields.short()?);
        Ok(Self { command, status, transaction, fields })
    }

    /// What follows the transaction number.
    pub(super) fn data(&self) -> &'a [u8] {
        self.fields.rest()
    }
}

/// What a command means.
pub(super) struct Meaning {
    pub(super) function: &'static str,
    pub(super) accesses: SmallVec<[Access; 2]>,
}

/// Decodes the data of an Execute PCCC that is part of `frame`.
pub(super) fn decode(data: &[u8], frame: &Bytes) -> Result<Meaning, Flaw> {
    let Command { command, status, mut fields, .. } = Command::parse(data)?;
    let unknown = |function| Meaning { function, accesses: smallvec![Access::whole(Class::Unknown, None)] };
    if command != EXTENDED || status != 0 {
        return Ok(unknown("PCCC command"));
    }
    let function = fields.byte()?;
    let known = |function, access: Option<SmallVec<[Access; 2]>>| match access {
        Some(accesses) => Meaning { function, accesses },
        None => unknown(function),
    };
    Ok(match function {
        0x00 => known("PCCC word range write", packet(fields, Packet::WriteBytes, frame)?),
        0x01 => known("PCCC word range read", packet(fields, Packet::ReadBytes, frame)?),
        0x26 => known("PCCC read-modify-write", modify(fields)?),
        0x67 => known("PCCC typed write", packet(fields, Packet::WriteTyped, frame)?),
        0x68 => known("PCCC typed read", packet(fields, Packet::ReadTyped, frame)?),
        0xA1 => known("PCCC typed logical read", logical(fields, Levels::Two, Act::Read, frame)?),
        0xA2 => known("PCCC typed logical read", logical(fields, Levels::Three, Act::Read, frame)?),
        0xA9 => known("PCCC typed logical write", logical(fields, Levels::Two, Act::Write, frame)?),
        0xAA => known("PCCC typed logical write", logical(fields, Levels::Three, Act::Write, frame)?),
        0xAB => known("PCCC masked write", logical(fields, Levels::Three, Act::Mask, frame)?),
        0x3A | 0x80 => unknown("PCCC set CPU mode"),
        0x50 => unknown("PCCC download all request"),
        0x52 => unknown("PCCC download completed"),
        0x53 => unknown("PCCC upload all request"),
        0x55 => unknown("PCCC upload completed"),
        0x57 => unknown("PCCC initialize memory"),
        _ => unknown("PCCC function"),
    })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Levels {
    Two,
    Three,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Act {
    Read,
    Write,
    Mask,
}

/// Where in a file: its number, the element, and a part of that.
struct Address {
    file: u32,
    element: u32,
    part: Option<u32>,
}

impl Address {
    /// The place of `count` elements, or of a part of the first.
    fn place(&self, count: u32) -> Option<Place> {
        let mut name = Name::empty(NameKind::Table);
        name.decimal(self.file).ok()?;
        name.indices(Range::counted(self.element, count)?).ok()?;
        if let (Some(part), 1) = (self.part, count) {
            name.step(decimal(part)?.as_str().as_bytes()).ok()?;
        }
        Some(Place::Name(name))
    }
}

fn decimal(number: u32) -> Option<Name> {
    let mut digits = Name::empty(NameKind::Table);
    digits.decimal(number).ok()?;
    Some(digits)
}

/// One byte, or 0xFF and two.
fn number(fields: &mut Fields<'_>) -> Result<u32, Flaw> {
    match fields.byte()? {
        0xFF => fields.short().map(u32::from),
        short => Ok(short.into()),
    }
}

/// Bytes of an element by the type of its file; `None` for a type that isn't
/// known. Status, bit, timer, counter, control, integer, float, output, input,
/// string, ASCII, BCD, long.
fn element_size(kind: u32) -> Option<u32> {
    match kind {
        0x84 | 0x85 | 0x89 | 0x8B | 0x8C | 0x8E | 0x8F => Some(2),
        0x86..=0x88 => Some(6),
        0x8A | 0x91 => Some(4),
        0x8D => Some(84),
        _ => None,
    }
}

/// 0xA1, 0xA2, 0xA9, 0xAA, 0xAB: byte count, file, type, element, part.
fn logical(
    mut fields: Fields<'_>,
    levels: Levels,
    act: Act,
    frame: &Bytes,
) -> Result<Option<SmallVec<[Access; 2]>>, Flaw> {
    let bytes = fields.byte()?;
    if bytes == 0 {
        return Err(Flaw::ByteCount { bytes });
    }
    let (file, kind, element) = (number(&mut fields)?, number(&mut fields)?, number(&mut fields)?);
    let part = match levels {
        Levels::Two => None,
        Levels::Three => Some(number(&mut fields)?),
    };
    let values = match act {
        Act::Read => Values::None,
        Act::Write => Values::Untyped(frame.slice_ref(fields.take(bytes.into())?)),
        Act::Mask if bytes == 2 => masked(fields.short()?, fields.short()?),
        // One mask for each of the words.
        Act::Mask if bytes & 1 == 0 => {
            fields.short()?;
            Values::Untyped(frame.slice_ref(fields.take(bytes.into())?))
        }
        Act::Mask => return Err(Flaw::ByteCount { bytes }),
    };
    fields.end()?;
    let class = if act == Act::Read { Class::Read } else { Class::Write };
    let Some(size) = element_size(kind) else { return Ok(None) };
    let elements = reached(size, part, bytes.into());
    let part = part.filter(|part| *part != 0 || size > 4);
    Ok(one(class, Address { file, element, part }.place(elements), values))
}

/// How many elements `bytes` reach over, from word `part` of the first.
fn reached(size: u32, part: Option<u32>, bytes: u32) -> u32 {
    part.unwrap_or(0).saturating_mul(2).saturating_add(bytes).div_ceil(size)
}

/// A mask of the bits that take the value, then the value.
fn masked(mask: u16, value: u16) -> Values {
    Values::Masked { and: (!mask).into(), or: (value & mask).into() }
}

fn one(class: Class, place: Option<Place>, values: Values) -> Option<SmallVec<[Access; 2]>> {
    Some(smallvec![Access { class, unit: None, place: Some(place?), values }])
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Packet {
    ReadBytes,
    WriteBytes,
    ReadTyped,
    WriteTyped,
}

/// The PLC-5 functions: offset of the packet and size of all packets in
/// elements, a logical address, then a count or the data. The whole
/// transaction is what is judged, whichever part of it the packet carries.
fn packet(
    mut fields: Fields<'_>,
    packet: Packet,
    frame: &Bytes,
) -> Result<Option<SmallVec<[Access; 2]>>, Flaw> {
    let (offset, total) = (fields.short()?, fields.short()?);
    let Some(address) = system_address(&mut fields)? else { return Ok(None) };
    let data = fields.rest();
    let carried = match packet {
        // A count in bytes.
        Packet::ReadBytes => u32::from(fields.byte()?).div_ceil(2),
        Packet::ReadTyped => u32::from(fields.short()?),
        Packet::WriteBytes | Packet::WriteTyped => u32::try_from(data.len().div_ceil(2)).unwrap_or(u32::MAX),
    };
    let (class, values) = match packet {
        Packet::ReadBytes | Packet::ReadTyped => {
            fields.end()?;
            (Class::Read, Values::None)
        }
        Packet::WriteBytes | Packet::WriteTyped => (Class::Write, Values::Untyped(frame.slice_ref(data))),
    };
    // Elements may be as small as a word, so counting words never counts too
    // few.
    let reached = u32::from(offset).saturating_add(carried).max(total.into()).max(1);
    Ok(one(class, address.place(reached), values))
}

/// 0x26: an address, a mask of the bits that stay and one of the bits that are
/// set, again and again.
fn modify(mut fields: Fields<'_>) -> Result<Option<SmallVec<[Access; 2]>>, Flaw> {
    let mut accesses = SmallVec::new();
    while !fields.is_empty() {
        let Some(address) = system_address(&mut fields)? else { return Ok(None) };
        let (and, or) = (fields.short()?, fields.short()?);
        let values = Values::Masked { and: (and & !or).into(), or: or.into() };
        let Some(mut access) = one(Class::Write, address.place(1), values) else { return Ok(None) };
        if accesses.len() >= MOST_PARTS {
            return Err(Flaw::Depth);
        }
        accesses.append(&mut access);
    }
    Ok((!accesses.is_empty()).then_some(accesses))
}

/// A PLC-5 logical binary address: a byte that says which levels follow (data
/// table, file, element, part), then these. `None` for the other forms.
fn system_address(fields: &mut Fields<'_>) -> Result<Option<Address>, Flaw> {
    let levels = fields.byte()?;
    let mut level = |bit: u8| if levels & bit == 0 { Ok(None) } else { number(fields).map(Some) };
    let (table, file, element, part) = (level(1)?, level(2)?, level(4)?, level(8)?);
    Ok(match (levels, table, file, element) {
        (0..=0x0F, None | Some(0), Some(file), Some(element)) => Some(Address { file, element, part }),
        _ => None,
    })
}
