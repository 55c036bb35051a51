//! Tags: named, typed addresses of a target, and the values in them.
//!
//! An address has one type: that of the tag which covers it, or, without one,
//! what the protocol itself says: an unsigned 16-bit number in a Modbus
//! holding register, the type that a CIP request names and the controller
//! checks. A value that can't be told for certain is unknown (`None`), never
//! guessed: what a client of S7 says of a type binds nobody, so it counts for
//! nothing here.

use crate::action::{Parts, parse_place, parse_unit};
use crate::hint::nearest;
use crate::names::TagName;
use crate::problem::Slip;
use crate::value::Value;
use dissect::{Access, AddressUnit, Area, NameKind, NumberKind, Place, Protocol, Range, Values};
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
    /// All that it covers, whole elements only.
    pub place: Place,
    /// How its values read; `None` where it has no typed values, or those
    /// that the request itself names.
    pub value: Option<ValueType>,
}

/// The number type of an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ValueType {
    /// The number.
    pub kind: NumberKind,
    /// How its bytes lie in the device.
    pub order: ByteOrder,
}

/// The order of the bytes A (most significant) to D of a 32-bit value in two
/// words of 16 bits, and likewise of others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ByteOrder {
    /// `be`: A B, C D. The usual one of Modbus and S7.
    Big,
    /// `be-swap`: C D, A B; the low word comes first.
    BigSwapped,
    /// `le`: D C, B A. The one of CIP.
    Little,
    /// `le-swap`: B A, D C.
    LittleSwapped,
}

const TYPES: [(&str, NumberKind); 11] = [
    ("bool", NumberKind::Bool),
    ("u8", NumberKind::U8),
    ("i8", NumberKind::I8),
    ("u16", NumberKind::U16),
    ("i16", NumberKind::I16),
    ("u32", NumberKind::U32),
    ("i32", NumberKind::I32),
    ("u64", NumberKind::U64),
    ("i64", NumberKind::I64),
    ("f32", NumberKind::F32),
    ("f64", NumberKind::F64),
];
const ORDERS: [&str; 4] = ["be", "be-swap", "le", "le-swap"];

/// What holding registers are without a tag.
const REGISTER: ValueType = ValueType { kind: NumberKind::U16, order: ByteOrder::Big };

impl Tag {
    /// Parses `PROTOCOL:[unit[N]:]PLACE[:TYPE[:ORDER]]`. For a type that is
    /// wider than an address a single address stands for all that it takes.
    pub(crate) fn parse(name: TagName, text: &str) -> Result<Self, Slip> {
        let mut words = Parts::of(text).peekable();
        let protocol = parse_protocol(words.next().map_or("", |(_, word)| word))?;
        let unit = match words.peek() {
            Some((at, word)) if protocol == Protocol::Modbus => parse_unit(*at, word)?,
            Some(_) | None => None,
        };
        if unit.is_some() {
            words.next();
        }
        let (at, word) = words.next().ok_or_else(|| Slip::at(text.len(), "an area is missing"))?;
        let place = parse_place(protocol, at, word)?;
        check_place(&place, at, word)?;
        let (kind, order) = (words.next(), words.next());
        let value = parse_type(&place, kind, order)?;
        if let Some((at, word)) = words.next() {
            return Err(Slip::at(at, format!("nothing can follow here, found {word}")));
        }
        let place = match place {
            Place::Range { area, range } => {
                let range = whole_elements(area, range, value)
                    .ok_or_else(|| Slip::at(at, not_whole(area, value.map_or(0, ValueType::width))))?;
                Place::Range { area, range }
            }
            Place::Name(_) | Place::Object(_) => place,
        };
        Ok(Self { name, protocol, unit, place, value })
    }

    /// Whether the two could name the same address.
    pub(crate) fn overlaps(&self, other: &Self) -> bool {
        let units = self.unit.is_none() || other.unit.is_none() || self.unit == other.unit;
        units && self.protocol == other.protocol && self.place.overlaps(&other.place)
    }
}

fn parse_protocol(word: &str) -> Result<Protocol, Slip> {
    let protocol = Protocol::from_name(word);
    protocol
        .filter(|protocol| matches!(protocol, Protocol::Modbus | Protocol::S7 | Protocol::Enip))
        .ok_or_else(|| Slip::at(0, "a tag begins with modbus:, s7: or enip:"))
}

/// A tag names something of which values can be spoken.
fn check_place(place: &Place, at: usize, word: &str) -> Result<(), Slip> {
    match place {
        Place::Range { area: Area::File | Area::Umas, .. } => {
            Err(Slip::at(at, "a tag names an address of coil, discrete, input or holding"))
        }
        Place::Range { area, .. } if !word.contains('[') => Err(Slip::at(
            at,
            match area.protocol() {
                Protocol::Modbus => "a tag names an address of coil, discrete, input or holding",
                Protocol::S7
                | Protocol::S7Plus
                | Protocol::Enip
                | Protocol::Ssh
                | Protocol::Rfb
                | Protocol::Rdp
                | Protocol::Http
                | Protocol::Tcp => "a tag names addresses in brackets",
            },
        )),
        Place::Name(name) if name.kind() == NameKind::Path => {
            Err(Slip::at(at, "a way through the device has no values"))
        }
        Place::Object(object) if object.attribute.is_none() => {
            Err(Slip::at(at, "a tag of an object names an attribute, class[CLASS.INSTANCE.ATTRIBUTE]"))
        }
        Place::Range { .. } | Place::Name(_) | Place::Object(_) => Ok(()),
    }
}

/// The value that a write puts at an atom of its own, if it can be told.
/// `tag` is the one that covers the atom.
pub(crate) fn value_at(access: &Access, atom: &Place, tag: Option<&Tag>) -> Option<Value> {
    match (access.place.as_ref()?, atom) {
        (Place::Range { area, range: written }, Place::Range { range, .. }) => {
            value_in(*area, *written, &access.values, range.first(), tag)
        }
        (Place::Name(written), Place::Name(name)) => {
            let index = match (written.elements(), name.elements()) {
                (Some(all), Some(one)) if one.first() == one.last() => {
                    one.first().checked_sub(all.first())?
                }
                (Some(_), _) => return None,
                (None, _) => 0,
            };
            named_value(&access.values, index, tag)
        }
        (Place::Object(_), Place::Object(_)) => named_value(&access.values, 0, tag),
        (Place::Range { .. } | Place::Name(_) | Place::Object(_), _) => None,
    }
}

fn value_in(area: Area, written: Range, values: &Values, address: u32, tag: Option<&Tag>) -> Option<Value> {
    let value = match tag {
        Some(tag) => tag.value?,
        None if area == Area::Holding => REGISTER,
        None => return None,
    };
    let start = match tag.map(|tag| &tag.place) {
        Some(Place::Range { range, .. }) => {
            let into = address.checked_sub(range.first())?.checked_rem(value.addresses(area)?)?;
            address.checked_sub(into)?
        }
        Some(Place::Name(_) | Place::Object(_)) => return None,
        None => address,
    };
    let offset = start.checked_sub(written.first())?;
    let last = start.checked_add(value.addresses(area)?.checked_sub(1)?)?;
    if last > written.last() {
        return None;
    }
    if value.kind == NumberKind::Bool {
        return bit(written, values, offset).map(|bit| Value::Integer(bit.into()));
    }
    let bytes = match values {
        Values::Words(bytes)
        | Values::Untyped(bytes)
        | Values::Text(bytes)
        | Values::Numbers { bytes, .. } => bytes,
        Values::None
        | Values::Bits(_)
        | Values::Masked { .. }
        | Values::Module { .. }
        | Values::Secret(_) => return None,
    };
    let offset = match area.unit() {
        AddressUnit::Word => offset.checked_mul(2)?,
        AddressUnit::BitOfByte if offset.checked_rem(8)? == 0 => offset.checked_div(8)?,
        AddressUnit::BitOfByte | AddressUnit::Bit | AddressUnit::Code | AddressUnit::Record => return None,
    };
    value.read(bytes.get(usize::try_from(offset).ok()?..)?)
}

/// A bit that was written as such, or as part of bytes.
fn bit(written: Range, values: &Values, offset: u32) -> Option<u8> {
    match values {
        Values::Bits(bytes) if written.first() == written.last() => bytes.first().map(|byte| byte & 1),
        Values::Untyped(bytes) | Values::Text(bytes) | Values::Numbers { bytes, .. }
            if written.first().checked_rem(8)? == 0 =>
        {
            let byte = *bytes.get(usize::try_from(offset.checked_div(8)?).ok()?)?;
            Some(byte.checked_shr(offset.checked_rem(8)?)? & 1)
        }
        Values::None
        | Values::Bits(_)
        | Values::Words(_)
        | Values::Masked { .. }
        | Values::Numbers { .. }
        | Values::Untyped(_)
        | Values::Text(_)
        | Values::Module { .. }
        | Values::Secret(_) => None,
    }
}

/// The element of that number in what was written to a name or an attribute.
/// The type on the wire counts, since the device checks it; where a tag has
/// one too, they have to be the same.
fn named_value(values: &Values, index: u32, tag: Option<&Tag>) -> Option<Value> {
    let told = tag.and_then(|tag| tag.value);
    let index = usize::try_from(index).ok()?;
    match values {
        Values::Numbers { kind, order, bytes } if told.is_none_or(|told| told.kind == *kind) => {
            kind.read(*order, bytes, index).and_then(Value::of)
        }
        Values::Untyped(bytes) => {
            let told = told?;
            let width = told.kind.width();
            let is_whole = bytes.len().checked_rem(width)? == 0;
            told.read(bytes.get(index.checked_mul(width)?..).filter(|_| is_whole)?)
        }
        Values::None
        | Values::Bits(_)
        | Values::Words(_)
        | Values::Masked { .. }
        | Values::Numbers { .. }
        | Values::Text(_)
        | Values::Module { .. }
        | Values::Secret(_) => None,
    }
}

impl ValueType {
    /// Bytes of a value.
    fn width(self) -> usize {
        self.kind.width()
    }

    /// How many addresses of an area one value takes.
    pub(crate) fn addresses(self, area: Area) -> Option<u32> {
        let width = u32::try_from(self.width()).ok()?;
        match area.unit() {
            AddressUnit::Bit => None,
            AddressUnit::Word => width.checked_div(2).filter(|words| *words > 0),
            AddressUnit::BitOfByte if self.kind == NumberKind::Bool => Some(1),
            AddressUnit::BitOfByte => width.checked_mul(8),
            AddressUnit::Code | AddressUnit::Record => None,
        }
    }

    /// The value that the bytes begin with.
    fn read(self, bytes: &[u8]) -> Option<Value> {
        let mut number = [0_u8; 8];
        let number = number.get_mut(..self.width())?;
        number.copy_from_slice(bytes.get(..self.width())?);
        self.order.to_big(number);
        self.kind.read(dissect::ByteOrder::Big, number, 0).and_then(Value::of)
    }
}

impl ByteOrder {
    /// Puts the most significant byte first.
    fn to_big(self, number: &mut [u8]) {
        match self {
            Self::Big => {}
            Self::Little => number.reverse(),
            Self::BigSwapped => {
                number.reverse();
                number.chunks_exact_mut(2).for_each(<[u8]>::reverse);
            }
            Self::LittleSwapped => number.chunks_exact_mut(2).for_each(<[u8]>::reverse),
        }
    }
}

fn parse_type(
    place: &Place,
    kind: Option<(usize, &str)>,
    order: Option<(usize, &str)>,
) -> Result<Option<ValueType>, Slip> {
    let Some((at, word)) = kind else { return Ok(untold(place)) };
    let refuse = |what: &dyn std::fmt::Display| Err(Slip::at(at, format!("{what} has no number types")));
    let usual = match place {
        Place::Range { area: Area::Holding | Area::Input, .. } => ByteOrder::Big,
        Place::Range { area, .. } if area.unit() == AddressUnit::BitOfByte => ByteOrder::Big,
        Place::Range { area, .. } => return refuse(area),
        Place::Name(_) | Place::Object(_) => ByteOrder::Little,
    };
    let order = match (place, order) {
        (_, None) => usual,
        (Place::Range { .. }, Some((at, word))) => parse_order(at, word)?,
        (Place::Name(_) | Place::Object(_), Some((at, _))) => {
            return Err(Slip::at(at, "the order of bytes is fixed in CIP"));
        }
    };
    let Some((_, kind)) = TYPES.into_iter().find(|(name, _)| *name == word) else {
        let known = TYPES.map(|(name, _)| name);
        return Err(Slip::at(at, format!("unknown type {word:?} (known: {})", known.join(", ")))
            .hint(nearest(word, known)));
    };
    let value = ValueType { kind, order };
    match place {
        Place::Range { area, range } => {
            let is_bit = area.unit() == AddressUnit::BitOfByte && range.first() == range.last();
            match (value.addresses(*area), kind) {
                (None, _) => Err(Slip::at(at, format!("{area} has no values of type {word}"))),
                (Some(_), NumberKind::Bool) if !is_bit => {
                    Err(Slip::at(at, "a bool is one bit, as in db12[4.3]"))
                }
                (Some(_), NumberKind::Bool) => Ok(Some(value)),
                (Some(_), _) if is_bit => Err(Slip::at(at, "one bit is a bool")),
                (Some(_), _) => Ok(Some(value)),
            }
        }
        Place::Name(_) | Place::Object(_) => Ok(Some(value)),
    }
}

/// The type of a place of which none is told.
fn untold(place: &Place) -> Option<ValueType> {
    match place {
        Place::Range { area: Area::Holding, .. } => Some(REGISTER),
        Place::Range { area, range } => {
            let is_bit = area.unit() == AddressUnit::BitOfByte && range.first() == range.last();
            is_bit.then_some(ValueType { kind: NumberKind::Bool, order: ByteOrder::Big })
        }
        Place::Name(_) | Place::Object(_) => None,
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

/// The addresses of whole values: of one where a single address is named, of
/// all that fit otherwise.
fn whole_elements(area: Area, range: Range, value: Option<ValueType>) -> Option<Range> {
    let Some(value) = value else { return Some(range) };
    let addresses = value.addresses(area)?;
    let count = range.last().checked_sub(range.first())?.checked_add(1)?;
    let single = match area.unit() {
        AddressUnit::BitOfByte if value.kind != NumberKind::Bool => 8,
        AddressUnit::Bit
        | AddressUnit::Word
        | AddressUnit::Code
        | AddressUnit::BitOfByte
        | AddressUnit::Record => 1,
    };
    if count == single {
        let whole = Range::counted(range.first(), addresses)?;
        return (whole.last() <= area.last_address()).then_some(whole);
    }
    (count.checked_rem(addresses)? == 0).then_some(range)
}

fn not_whole(area: Area, width: usize) -> String {
    match (area.unit(), width) {
        (AddressUnit::Word, 4) => {
            "a 32-bit value has two registers: name the first one or an even count".to_owned()
        }
        (AddressUnit::Word, _) => {
            "a 64-bit value has four registers: name the first one or a multiple of four".to_owned()
        }
        (AddressUnit::Bit | AddressUnit::Code | AddressUnit::BitOfByte | AddressUnit::Record, _) => {
            format!("a value of this type has {width} bytes: name the first one or a multiple of {width}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use dissect::{Class, Name};

    fn tag(text: &str) -> Result<Tag, Slip> {
        Tag::parse(TagName::parse("pump").unwrap(), text)
    }

    fn typed(kind: NumberKind, order: ByteOrder) -> Option<ValueType> {
        Some(ValueType { kind, order })
    }

    /// The value at an address of a write to an area.
    fn value(area: Area, written: Range, values: &Values, address: u32, tag: Option<&Tag>) -> Option<Value> {
        let place = |range| Place::Range { area, range };
        let access =
            Access { class: Class::Write, unit: None, place: Some(place(written)), values: values.clone() };
        value_at(&access, &place(Range::new(address, address).unwrap()), tag)
    }

    fn range(tag: &Tag) -> (u32, u32) {
        match &tag.place {
            Place::Range { range, .. } => (range.first(), range.last()),
            Place::Name(_) | Place::Object(_) => panic!("{tag:?}"),
        }
    }

    fn words(words: &[u16]) -> Values {
        Values::Words(Bytes::from(words.iter().flat_map(|word| word.to_be_bytes()).collect::<Vec<_>>()))
    }

    #[test]
    fn a_32_bit_tag_covers_both_registers() {
        let tag = tag("modbus:holding[40]:f32:be-swap").unwrap();
        assert_eq!(range(&tag), (40, 41));
        assert_eq!(tag.value, typed(NumberKind::F32, ByteOrder::BigSwapped));
    }

    #[test]
    fn bad_tags_are_told_with_their_place() {
        for (text, at, told) in [
            ("tcp:db1", 0, "begins with modbus"),
            ("s7:db1", 3, "addresses in brackets"),
            ("s7:db1[4]:u33", 10, "unknown type"),
            ("s7:db1[4.3]:u8", 12, "one bit is a bool"),
            ("s7:db1[4]:bool", 10, "one bit, as in"),
            ("s7:db1[0-2]:f32", 3, "has 4 bytes"),
            ("s7:timer[1]:u16", 12, "has no number types"),
            ("s7:unit[1]:db1[0]", 3, "unknown area"),
            ("enip:symbol", 5, "needs a name"),
            ("enip:path[1.5]", 5, "has no values"),
            ("enip:class[4.100]", 5, "names an attribute"),
            ("enip:symbol[A]:i16:be", 19, "fixed in CIP"),
            ("modbus:holding[1]:u8", 18, "no values of type u8"),
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
                let value = value(Area::Holding, written, &words(&registers), address, Some(&tag));
                assert_eq!(value, Value::float(1.5), "{order} at {address}");
            }
        }
    }

    #[test]
    fn integers_keep_their_sign_and_width() {
        let written = Range::new(40, 41).unwrap();
        for (kind, expected) in [("i16", -2_i64), ("u16", 0xFFFE), ("i32", -65_537), ("u32", 0xFFFE_FFFF)] {
            let tag = tag(&format!("modbus:holding[40]:{kind}")).unwrap();
            let value = value(Area::Holding, written, &words(&[0xFFFE, 0xFFFF]), 40, Some(&tag));
            assert_eq!(value, Some(Value::Integer(expected.into())), "{kind}");
        }
    }

    #[test]
    fn what_is_not_certain_is_unknown() {
        let tag = tag("modbus:holding[40]:f32").unwrap();
        let pair = Range::new(40, 41).unwrap();
        let low = Range::new(40, 40).unwrap();
        let high = Range::new(41, 41).unwrap();
        let nan = words(&[0x7FC0, 0x0000]);
        assert_eq!(value(Area::Holding, pair, &nan, 40, Some(&tag)), None, "not a number");
        assert_eq!(value(Area::Holding, low, &words(&[0x3FC0]), 40, Some(&tag)), None, "upper half only");
        assert_eq!(value(Area::Holding, high, &words(&[0]), 41, Some(&tag)), None, "lower half only");
        assert_eq!(
            value(Area::Holding, pair, &words(&[0x3FC0]), 41, Some(&tag)),
            None,
            "fewer words than told"
        );
        assert_eq!(value(Area::Holding, low, &Values::Masked { and: 0, or: 1 }, 40, None), None, "masked");
        assert_eq!(value(Area::Holding, low, &Values::None, 40, None), None, "no values");
        assert_eq!(value(Area::Holding, low, &words(&[1]), 41, None), None, "beyond the write");
        assert_eq!(value(Area::Holding, high, &words(&[1]), 40, None), None, "before the write");
    }
    #[test]
    fn values_of_s7_lie_in_bytes_and_bits() {
        let bytes = |bytes: &[u8]| Values::Untyped(Bytes::copy_from_slice(bytes));
        let level = tag("s7:db12[4]:f32").unwrap();
        assert_eq!(range(&level), (32, 63));
        let db = Area::DataBlock(12);
        // Bytes 2 to 9, with 1.5 in bytes 4 to 7.
        let written = Range::new(16, 79).unwrap();
        let values = bytes(&[9, 9, 0x3F, 0xC0, 0, 0, 9, 9]);
        for address in [32, 47, 63] {
            assert_eq!(value(db, written, &values, address, Some(&level)), Value::float(1.5), "{address}");
        }
        let upper = Range::new(32, 47).unwrap();
        assert_eq!(value(db, upper, &bytes(&[0x3F, 0xC0]), 40, Some(&level)), None, "half of it");
        let more = bytes(&[0x3F, 0xC0, 0, 0]);
        assert_eq!(value(db, upper, &more, 40, Some(&level)), None, "half of it, whatever else is there");
        assert_eq!(value(db, written, &values, 16, None), None, "no type");
        let valve = tag("s7:db12[4.3]").unwrap();
        assert_eq!((range(&valve), valve.value), ((35, 35), typed(NumberKind::Bool, ByteOrder::Big)));
        let bit = Range::new(35, 35).unwrap();
        let on = Values::Bits(Bytes::from_static(&[1]));
        assert_eq!(value(db, bit, &on, 35, Some(&valve)), Some(Value::Integer(1)));
        let whole = Range::new(32, 39).unwrap();
        assert_eq!(value(db, whole, &bytes(&[0b1000]), 35, Some(&valve)), Some(Value::Integer(1)));
        assert_eq!(value(db, whole, &bytes(&[0b0111]), 35, Some(&valve)), Some(Value::Integer(0)));
        assert_eq!(value(db, bit, &on, 35, Some(&level)), None, "a bit of a number");
    }

    #[test]
    fn values_of_cip_have_the_type_of_the_request_and_of_the_tag() {
        let name = |text: &str| Place::Name(Name::parse(NameKind::Symbol, text).unwrap());
        let value = |place: &str, atom: &str, values: Values, tag: Option<&Tag>| {
            let access = Access { class: Class::Write, unit: None, place: Some(name(place)), values };
            value_at(&access, &name(atom), tag)
        };
        let numbers = |kind, bytes: &[u8]| Values::Numbers {
            kind,
            order: dissect::ByteOrder::Little,
            bytes: Bytes::copy_from_slice(bytes),
        };
        let two = numbers(NumberKind::I16, &[0xFE, 0xFF, 7, 0]);
        assert_eq!(value("Line[3-4]", "Line[4]", two.clone(), None), Some(Value::Integer(7)));
        assert_eq!(value("Line[3-4]", "Line[3]", two.clone(), None), Some(Value::Integer(-2)));
        assert_eq!(value("Line[3-4]", "Line[3-4]", two.clone(), None), None, "two at once");
        let speed = numbers(NumberKind::F32, &[0, 0, 0xC0, 0x3F]);
        assert_eq!(value("Speed", "Speed", speed.clone(), None), Value::float(1.5));
        let same = tag("enip:symbol[Speed]:f32").unwrap();
        assert_eq!(value("Speed", "Speed", speed.clone(), Some(&same)), Value::float(1.5));
        let other = tag("enip:symbol[Speed]:i32").unwrap();
        assert_eq!(value("Speed", "Speed", speed, Some(&other)), None, "another type than the tag's");
        let raw = Values::Untyped(Bytes::from_static(&[0x0A, 0]));
        assert_eq!(value("Speed", "Speed", raw.clone(), None), None);
        let word = tag("enip:symbol[Speed]:i16").unwrap();
        assert_eq!(value("Speed", "Speed", raw, Some(&word)), Some(Value::Integer(10)));
    }

    #[test]
    fn every_width_reads_in_every_order() {
        for (order, bytes) in [
            (ByteOrder::Big, [1, 2, 3, 4, 5, 6, 7, 8]),
            (ByteOrder::BigSwapped, [7, 8, 5, 6, 3, 4, 1, 2]),
            (ByteOrder::Little, [8, 7, 6, 5, 4, 3, 2, 1]),
            (ByteOrder::LittleSwapped, [2, 1, 4, 3, 6, 5, 8, 7]),
        ] {
            let value = ValueType { kind: NumberKind::U64, order }.read(&bytes);
            assert_eq!(value, Some(Value::Integer(0x0102_0304_0506_0708)), "{order:?}");
        }
    }
}
