//! Items of read and write var: an address each, and the data that belongs
//! to it.
//!
//! Only the pointer-like addresses (S7ANY) name their bytes; of any other
//! addressing it is not known what it touches. Where an address and a count
//! don't fit each other, a device might read them differently from us, so
//! they are refused as malformed.

use crate::area::Area;
use crate::dissector::Flaw;
use crate::number::{ByteOrder, NumberKind};
use crate::operation::{Range, Values};
use crate::place::Place;
use crate::reader::Reader;
use bytes::Bytes;

/// Begins every address.
const SPECIFICATION: u8 = 0x12;
const S7ANY: u8 = 0x10;
const S7ANY_LENGTH: u8 = 10;
const BIT: u8 = 0x01;
const COUNTER: u8 = 0x1C;
const TIMER: u8 = 0x1D;

/// How the data of an item is counted.
const IN_BITS_SINGLE: u8 = 0x03;
const IN_BITS: [u8; 2] = [0x04, 0x05];
const IN_BYTES: [u8; 3] = [0x06, 0x07, 0x09];

/// What one item is about.
pub(super) enum Item {
    Variable {
        place: Place,
        shape: Shape,
    },
    /// Addressed in a way that doesn't say what it touches.
    Other,
}

/// The type and number of an item's values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    Bit,
    Elements { element: Element, count: u16 },
}

/// The type of what is in a device's memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Element {
    Byte,
    Char,
    Number(NumberKind),
    /// 16 bits in the device's own coding.
    Counter,
    /// 16 bits in the device's own coding.
    Timer,
}

impl Element {
    /// How many bytes it takes.
    fn size(self) -> usize {
        match self {
            Self::Byte | Self::Char => 1,
            Self::Counter | Self::Timer => 2,
            Self::Number(kind) => kind.width(),
        }
    }

    fn values(self, bytes: Bytes) -> Values {
        match self {
            Self::Byte | Self::Counter | Self::Timer => Values::Untyped(bytes),
            Self::Char => Values::Text(bytes),
            Self::Number(kind) => Values::Numbers { kind, order: ByteOrder::Big, bytes },
        }
    }
}

impl Shape {
    fn bytes(self) -> usize {
        match self {
            Self::Bit => 1,
            Self::Elements { element, count } => element.size().saturating_mul(count.into()),
        }
    }

    pub(super) fn count(self) -> u32 {
        match self {
            Self::Bit => 1,
            Self::Elements { count, .. } => count.into(),
        }
    }
}

/// Reads one address.
pub(super) fn item(fields: &mut Reader) -> Result<Item, Flaw> {
    let specification = fields.byte()?;
    if specification != SPECIFICATION {
        return Err(Flaw::Value { value: specification.into() });
    }
    let length = fields.byte()?;
    let mut address = Reader::new(fields.take(length.into())?);
    if address.byte()? != S7ANY {
        return Ok(Item::Other);
    }
    if length != S7ANY_LENGTH {
        return Err(Flaw::Length);
    }
    let (transport, count, block, area) =
        (address.byte()?, address.word()?, address.word()?, address.byte()?);
    let start = u32::from(address.byte()?) << 16 | u32::from(address.word()?);
    address.end()?;
    let (Some(area), Some(shape)) = (self::area(area, block), shape(transport, count)) else {
        return Ok(Item::Other);
    };
    place(area, shape, start)
}

fn area(code: u8, block: u16) -> Option<Area> {
    Some(match code {
        0x80 => Area::Peripheral,
        0x81 => Area::Inputs,
        0x82 => Area::Outputs,
        0x83 => Area::Merkers,
        0x84 => Area::DataBlock(block),
        0x85 => Area::InstanceBlock(block),
        0x86 => Area::Local,
        COUNTER => Area::Counters,
        TIMER => Area::Timers,
        _ => return None,
    })
}

fn shape(transport: u8, count: u16) -> Option<Shape> {
    let element = match transport {
        BIT if count == 1 => return Some(Shape::Bit),
        0x02 => Element::Byte,
        0x03 => Element::Char,
        0x04 => Element::Number(NumberKind::U16),
        0x05 => Element::Number(NumberKind::I16),
        0x06 => Element::Number(NumberKind::U32),
        0x07 => Element::Number(NumberKind::I32),
        0x08 => Element::Number(NumberKind::F32),
        COUNTER => Element::Counter,
        TIMER => Element::Timer,
        _ => return None,
    };
    Some(Shape::Elements { element, count })
}

/// The addresses that an item covers. Memory is addressed by the bit, but
/// only single bits may begin within a byte; counters and timers are
/// addressed by their number.
fn place(area: Area, shape: Shape, start: u32) -> Result<Item, Flaw> {
    if area.number() == Some(0) {
        return Err(Flaw::Address);
    }
    let addresses = match (area, shape) {
        (Area::Counters, Shape::Elements { element: Element::Counter, count })
        | (Area::Timers, Shape::Elements { element: Element::Timer, count }) => count.into(),
        (Area::Counters | Area::Timers, Shape::Bit | Shape::Elements { .. })
        | (_, Shape::Elements { element: Element::Counter | Element::Timer, .. }) => return Ok(Item::Other),
        (_, Shape::Bit) => 1,
        (_, Shape::Elements { .. }) if start & 7 != 0 => return Err(Flaw::Address),
        (_, Shape::Elements { element, count }) => {
            let bits = u32::try_from(element.size()).unwrap_or(u32::MAX).saturating_mul(8);
            u32::from(count).saturating_mul(bits)
        }
    };
    if addresses == 0 {
        return Err(Flaw::Count { count: 0 });
    }
    Range::counted(start, addresses)
        .filter(|range| range.last() <= area.last_address())
        .map(|range| Item::Variable { place: Place::Range { area, range }, shape })
        .ok_or(Flaw::Address)
}

/// Whether more data follows that of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Position {
    Inner,
    Last,
}

/// The data of one item: its return code and, where it has any, its bytes
/// with the count as it stands on the wire.
pub(super) struct Piece {
    pub(super) code: u8,
    transport: u8,
    length: u16,
    bytes: Bytes,
}

/// Reads the data of one item. Each begins at an even place, so a fill byte
/// follows an odd one; behind the last one it may stand or not.
pub(super) fn piece(fields: &mut Reader, position: Position) -> Result<Piece, Flaw> {
    let (code, transport, length) = (fields.byte()?, fields.byte()?, fields.word()?);
    let bytes = match transport {
        0 if length == 0 => 0,
        IN_BITS_SINGLE => length.div_ceil(8),
        _ if IN_BITS.contains(&transport) && length & 7 == 0 => length.wrapping_shr(3),
        _ if IN_BYTES.contains(&transport) => length,
        _ => return Err(Flaw::Value { value: transport.into() }),
    };
    let bytes = fields.take(bytes.into())?;
    let fill = match position {
        Position::Inner => 1,
        Position::Last => fields.left().min(1),
    };
    if bytes.len() & 1 == 1 {
        fields.take(fill)?;
    }
    Ok(Piece { code, transport, length, bytes })
}

impl Piece {
    /// The values, if they are exactly those that the item is about.
    pub(super) fn values(self, shape: Shape) -> Result<Values, Flaw> {
        if self.bytes.len() != shape.bytes() {
            return Err(Flaw::Count { count: self.length });
        }
        match shape {
            Shape::Bit if self.transport != IN_BITS_SINGLE || self.length != 1 => {
                Err(Flaw::Value { value: self.transport.into() })
            }
            Shape::Bit => match *self.bytes {
                [0 | 1] => Ok(Values::Bits(self.bytes)),
                [other, ..] => Err(Flaw::Value { value: other.into() }),
                [] => Err(Flaw::Length),
            },
            Shape::Elements { .. } if self.transport == IN_BITS_SINGLE => {
                Err(Flaw::Value { value: self.transport.into() })
            }
            Shape::Elements { element, .. } => Ok(element.values(self.bytes)),
        }
    }
}
