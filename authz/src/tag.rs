//! Tags: named, typed addresses of a target, and the values in them.
//!
//! An address has one type: that of the tag which covers it, or an unsigned
//! 16-bit number in a holding register that no tag covers. A value that can't
//! be told for certain is unknown (`None`), never guessed.

use crate::action::parse_area;
use crate::hint::nearest;
use crate::names::TagName;
use crate::problem::Slip;
use crate::value::Value;
use dissect::{Area, Protocol, Range, Values};
use serde::{Deserialize, Serialize};

/// A named address of a target, e.g. `modbus:holding[40]:f32:be-swap`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tag {
    /// Its name, unique within the target.
    pub name: TagName,
    /// The protocol whose address it is.
    pub protocol: Protocol,
    /// The device behind a serial gateway; `None` for any.
    pub unit: Option<u8>,
    /// The area.
    pub area: Area,
    /// All addresses that it covers, whole elements only.
    pub range: Range,
    /// How its values read; `None` where the area has no typed values.
    pub value: Option<ValueType>,
}

/// The number type of an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ValueType {
    /// Unsigned, 16 bits.
    U16(ByteOrder),
    /// Signed, 16 bits.
    I16(ByteOrder),
    /// Unsigned, 32 bits in two registers.
    U32(ByteOrder),
    /// Signed, 32 bits in two registers.
    I32(ByteOrder),
    /// IEEE 754 binary32 in two registers.
    F32(ByteOrder),
}

/// The order of the bytes A (most significant) to D of a 32-bit value in two
/// registers; for 16-bit values only the order within the register.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ByteOrder {
    /// `be`: A B, C D. The usual one, also where none is written.
    Big,
    /// `be-swap`: C D, A B; the low register comes first.
    BigSwapped,
    /// `le`: D C, B A.
    Little,
    /// `le-swap`: B A, D C.
    LittleSwapped,
}

const TYPES: [&str; 5] = ["u16", "i16", "u32", "i32", "f32"];
const ORDERS: [&str; 4] = ["be", "be-swap", "le", "le-swap"];

impl Tag {
    /// Parses `modbus:[unit[N]:]AREA[A[-B]][:TYPE[:ORDER]]`. For a 32-bit
    /// type a single address stands for its two registers.
    pub(crate) fn parse(name: TagName, text: &str) -> Result<Self, Slip> {
        let mut words = offsets(text).peekable();
        match words.next() {
            Some((_, "modbus")) => {}
            Some(_) | None => return Err(Slip::at(0, "a tag begins with modbus:")),
        }
        let unit = match words.peek() {
            Some((at, word)) if word.starts_with("unit[") => {
                let number = word.strip_prefix("unit[").and_then(|rest| rest.strip_suffix(']'));
                let unit = number.and_then(|number| number.parse().ok());
                Some(unit.ok_or_else(|| Slip::at(*at, "a unit is written unit[N], N from 0 to 255"))?)
            }
            Some(_) | None => None,
        };
        if unit.is_some() {
            words.next();
        }
        let (at, word) = words.next().ok_or_else(|| Slip::at(text.len(), "an area is missing"))?;
        let (area, range) = parse_area(at, word)?;
        if !word.contains('[') || area == Area::File {
            return Err(Slip::at(at, "a tag names an address of coil, discrete, input or holding"));
        }
        let value = parse_type(area, words.next(), words.next())?;
        if let Some((at, word)) = words.next() {
            return Err(Slip::at(at, format!("nothing can follow here, found {word}")));
        }
        let range = whole_elements(range, value).ok_or_else(|| {
            Slip::at(at, "a 32-bit value has two registers: name the first one or an even count")
        })?;
        Ok(Self { name, protocol: Protocol::Modbus, unit, area, range, value })
    }

    /// Whether the two could name the same address.
    pub(crate) fn overlaps(&self, other: &Self) -> bool {
        let units = self.unit.is_none() || other.unit.is_none() || self.unit == other.unit;
        units && self.area == other.area && self.range.overlaps(other.range)
    }
}

/// The value that a write puts at `address`, if it can be told: the element
/// of `tag`, or an unsigned 16-bit number where there is none.
pub(crate) fn value_at(written: Range, values: &Values, address: u32, tag: Option<&Tag>) -> Option<Value> {
    let bytes = match values {
        Values::Words(bytes) => bytes,
        Values::None | Values::Bits(_) | Values::Masked { .. } | Values::Untyped(_) => return None,
    };
    let register = |address: u32| -> Option<[u8; 2]> {
        let index = usize::try_from(address.checked_sub(written.first())?).ok()?.checked_mul(2)?;
        let within = address <= written.last();
        within.then(|| bytes.get(index..)?.first_chunk::<2>().copied()).flatten()
    };
    let (kind, first) = match tag {
        None => (ValueType::U16(ByteOrder::Big), address),
        Some(tag) => {
            let kind = tag.value?;
            let into = address.checked_sub(tag.range.first())?;
            (kind, address.checked_sub(into.checked_rem(kind.registers())?)?)
        }
    };
    match kind.registers() {
        1 => kind.short(register(first)?),
        _ => kind.long(register(first)?, register(first.checked_add(1)?)?),
    }
}

impl ValueType {
    /// How many registers one value takes.
    fn registers(self) -> u32 {
        match self {
            Self::U16(_) | Self::I16(_) => 1,
            Self::U32(_) | Self::I32(_) | Self::F32(_) => 2,
        }
    }

    fn short(self, register: [u8; 2]) -> Option<Value> {
        match self {
            Self::U16(order) => Some(Value::Integer(u16::from_be_bytes(order.short(register)).into())),
            Self::I16(order) => Some(Value::Integer(i16::from_be_bytes(order.short(register)).into())),
            Self::U32(_) | Self::I32(_) | Self::F32(_) => None,
        }
    }

    fn long(self, first: [u8; 2], second: [u8; 2]) -> Option<Value> {
        match self {
            Self::U32(order) => Some(Value::Integer(u32::from_be_bytes(order.long(first, second)).into())),
            Self::I32(order) => Some(Value::Integer(i32::from_be_bytes(order.long(first, second)).into())),
            Self::F32(order) => Value::float(f32::from_be_bytes(order.long(first, second))),
            Self::U16(_) | Self::I16(_) => None,
        }
    }
}

impl ByteOrder {
    fn short(self, [a, b]: [u8; 2]) -> [u8; 2] {
        match self {
            Self::Big | Self::BigSwapped => [a, b],
            Self::Little | Self::LittleSwapped => [b, a],
        }
    }

    /// The value's bytes, most significant first.
    fn long(self, [a, b]: [u8; 2], [c, d]: [u8; 2]) -> [u8; 4] {
        match self {
            Self::Big => [a, b, c, d],
            Self::BigSwapped => [c, d, a, b],
            Self::Little => [d, c, b, a],
            Self::LittleSwapped => [b, a, d, c],
        }
    }
}

fn offsets(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut at = 0_usize;
    text.split(':').map(move |word| {
        let start = at;
        at = at.saturating_add(word.len()).saturating_add(1);
        (start, word)
    })
}

fn parse_type(
    area: Area,
    kind: Option<(usize, &str)>,
    order: Option<(usize, &str)>,
) -> Result<Option<ValueType>, Slip> {
    let Some((at, word)) = kind else {
        // A holding register without a type is read as an unsigned number.
        return Ok((area == Area::Holding).then_some(ValueType::U16(ByteOrder::Big)));
    };
    match area {
        Area::Holding | Area::Input => {}
        Area::Coil | Area::Discrete | Area::File => {
            return Err(Slip::at(at, format!("{area} has no number types")));
        }
    }
    let order = match order {
        None => ByteOrder::Big,
        Some((at, word)) => parse_order(at, word)?,
    };
    match word {
        "u16" => Ok(Some(ValueType::U16(order))),
        "i16" => Ok(Some(ValueType::I16(order))),
        "u32" => Ok(Some(ValueType::U32(order))),
        "i32" => Ok(Some(ValueType::I32(order))),
        "f32" => Ok(Some(ValueType::F32(order))),
        _ => Err(Slip::at(at, format!("unknown type {word:?} (known: {})", TYPES.join(", ")))
            .hint(nearest(word, TYPES))),
    }
}

fn parse_order(at: usize, word: &str) -> Result<ByteOrder, Slip> {
    match word {
        "be" => Ok(ByteOrder::Big),
        "be-swap" => Ok(ByteOrder::BigSwapped),
        "le" => Ok(ByteOrder::Little),
        "le-swap" => Ok(ByteOrder::LittleSwapped),
        _ => Err(Slip::at(at, format!("unknown byte order {word:?} (known: {})", ORDERS.join(", ")))
            .hint(nearest(word, ORDERS))),
    }
}

fn whole_elements(range: Range, value: Option<ValueType>) -> Option<Range> {
    let registers = value.map_or(1, ValueType::registers);
    let count = range.last().checked_sub(range.first())?.checked_add(1)?;
    if count == 1 {
        let last = range.first().checked_add(registers.checked_sub(1)?)?;
        return (last <= 0xFFFF).then(|| Range::new(range.first(), last)).flatten();
    }
    (count.checked_rem(registers)? == 0).then_some(range)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn tag(text: &str) -> Result<Tag, Slip> {
        Tag::parse(TagName::parse("pump").unwrap(), text)
    }

    fn words(words: &[u16]) -> Values {
        Values::Words(Bytes::from(words.iter().flat_map(|word| word.to_be_bytes()).collect::<Vec<_>>()))
    }

    #[test]
    fn a_32_bit_tag_covers_both_registers() {
        let tag = tag("modbus:holding[40]:f32:be-swap").unwrap();
        assert_eq!((tag.range.first(), tag.range.last()), (40, 41));
        assert_eq!(tag.value, Some(ValueType::F32(ByteOrder::BigSwapped)));
    }

    #[test]
    fn bad_tags_are_told_with_their_place() {
        for (text, at, told) in [
            ("s7:db1", 0, "begins with modbus"),
            ("modbus", 6, "an area is missing"),
            ("modbus:holding", 7, "names an address"),
            ("modbus:file[1]", 7, "names an address"),
            ("modbus:holding[1]:f23", 18, "unknown type"),
            ("modbus:holding[1]:f32:eb", 22, "unknown byte order"),
            ("modbus:holding[1-3]:f32", 7, "two registers"),
            ("modbus:holding[65535]:f32", 7, "two registers"),
            ("modbus:coil[1]:u16", 15, "no number types"),
            ("modbus:unit[300]:coil[1]", 7, "a unit is written"),
            ("modbus:holding[1]:u16:be:x", 25, "nothing can follow"),
        ] {
            let slip = tag(text).expect_err(text);
            assert!(slip.offset == at && slip.message.contains(told), "{text}: {slip:?}");
        }
    }

    /// 1.5 is 3F C0 00 00 in IEEE 754 binary32.
    #[test]
    fn every_byte_order_reads_the_same_value() {
        for (order, registers) in [
            ("be", [0x3FC0, 0x0000]),
            ("be-swap", [0x0000, 0x3FC0]),
            ("le", [0x0000, 0xC03F]),
            ("le-swap", [0xC03F, 0x0000]),
        ] {
            let tag = tag(&format!("modbus:holding[40]:f32:{order}")).unwrap();
            let written = Range::new(40, 41).unwrap();
            for address in [40, 41] {
                let value = value_at(written, &words(&registers), address, Some(&tag));
                assert_eq!(value, Value::float(1.5), "{order} at {address}");
            }
        }
    }

    #[test]
    fn integers_keep_their_sign_and_width() {
        let written = Range::new(40, 41).unwrap();
        for (kind, expected) in [("i16", -2_i64), ("u16", 0xFFFE), ("i32", -65_537), ("u32", 0xFFFE_FFFF)] {
            let tag = tag(&format!("modbus:holding[40]:{kind}")).unwrap();
            let value = value_at(written, &words(&[0xFFFE, 0xFFFF]), 40, Some(&tag));
            assert_eq!(value, Some(Value::Integer(expected)), "{kind}");
        }
    }

    #[test]
    fn what_is_not_certain_is_unknown() {
        let tag = tag("modbus:holding[40]:f32").unwrap();
        let pair = Range::new(40, 41).unwrap();
        let low = Range::new(40, 40).unwrap();
        let high = Range::new(41, 41).unwrap();
        let nan = words(&[0x7FC0, 0x0000]);
        assert_eq!(value_at(pair, &nan, 40, Some(&tag)), None, "not a number");
        assert_eq!(value_at(low, &words(&[0x3FC0]), 40, Some(&tag)), None, "upper half only");
        assert_eq!(value_at(high, &words(&[0]), 41, Some(&tag)), None, "lower half only");
        assert_eq!(value_at(pair, &words(&[0x3FC0]), 41, Some(&tag)), None, "fewer words than told");
        assert_eq!(value_at(low, &Values::Masked { and: 0, or: 1 }, 40, None), None, "masked");
        assert_eq!(value_at(low, &Values::None, 40, None), None, "no values");
        assert_eq!(value_at(low, &words(&[1]), 41, None), None, "beyond the write");
        assert_eq!(value_at(high, &words(&[1]), 40, None), None, "before the write");
    }
}
