//! Operations and outcomes in words, for recordings, notices and replay.
//!
//! `write holding[100] = 731`, `read unit[3] holding[0-9]`; several accesses
//! are joined by ` + `. Addresses are zero-based, as on the wire. Unit 1 is
//! what tools address unless told otherwise, so it alone is left out. Values
//! are cut after eight elements: the text is for people, the exact bytes are
//! in the recording.

use crate::dissector::Outcome;
use crate::operation::{Access, Connection, Element, Operation, Place, Values};
use bytes::Buf;
use std::fmt;

/// How many elements of a value are shown.
const SHOWN: usize = 8;

/// How many bytes of a name are shown.
const NAME_SHOWN: usize = 64;

/// The unit that is not mentioned.
const DEFAULT_UNIT: u8 = 1;

impl fmt::Display for Operation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, access) in self.accesses.iter().enumerate() {
            if position > 0 {
                formatter.write_str(" + ")?;
            }
            write!(formatter, "{access}")?;
            if access.place.is_none() {
                write!(formatter, " ({})", self.function)?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Access {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.class)?;
        if let Some(unit) = self.unit.filter(|unit| *unit != DEFAULT_UNIT) {
            write!(formatter, " unit[{unit}]")?;
        }
        let mut count = None;
        if let Some(place) = self.place {
            write!(formatter, " {place}")?;
            count = place.range.last().checked_sub(place.range.first()).and_then(|span| span.checked_add(1));
        }
        match &self.values {
            Values::None => Ok(()),
            Values::Bits(_)
            | Values::Words(_)
            | Values::Masked { .. }
            | Values::Elements { .. }
            | Values::Untyped(_)
            | Values::Name(_)
            | Values::Module { .. }
            | Values::Secret(_) => {
                write!(formatter, " = ")?;
                write_values(formatter, &self.values, count.unwrap_or(u32::MAX))
            }
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}[{}]", self.area, self.area.addresses(self.range))
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done => formatter.write_str("ok"),
            Self::Refused { text, .. } => formatter.write_str(text),
            Self::Values { values, count } => {
                formatter.write_str("= ")?;
                write_values(formatter, values, *count)
            }
            Self::Items(outcomes) => {
                for (position, outcome) in outcomes.iter().enumerate() {
                    if position > 0 {
                        formatter.write_str("; ")?;
                    }
                    write!(formatter, "{outcome}")?;
                }
                Ok(())
            }
            Self::Push { text } => write!(formatter, "sent by itself: {text}"),
            Self::Unreadable => formatter.write_str("an answer that does not fit the request"),
        }
    }
}

/// Writes at most [`SHOWN`] of the `count` elements.
fn write_values(formatter: &mut fmt::Formatter<'_>, values: &Values, count: u32) -> fmt::Result {
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    match values {
        Values::None => formatter.write_str("nothing"),
        Values::Bits(bytes) => {
            let bits =
                bytes.iter().flat_map(|byte| (0..8_u8).map(move |bit| byte.wrapping_shr(bit.into()) & 1));
            write_list(formatter, bits.take(count))
        }
        Values::Words(bytes) => {
            let words = bytes.chunks_exact(2).filter_map(|pair| pair.try_into().ok().map(u16::from_be_bytes));
            write_list(formatter, words.take(count))
        }
        Values::Masked { and, or } => {
            write!(formatter, "(old and {and:#06x}) or ({or:#06x} and not {and:#06x})")
        }
        Values::Elements { element, bytes } => write_elements(formatter, *element, bytes),
        Values::Untyped(bytes) => write_hex(formatter, bytes),
        Values::Name(bytes) => write_name(formatter, bytes),
        Values::Module { connection, rack, slot } => {
            let connection = match connection {
                Connection::Programmer => "PG",
                Connection::Operator => "OP",
                Connection::Basic => "basic",
            };
            write!(formatter, "{connection} rack {rack} slot {slot}")
        }
        Values::Secret(_) => formatter.write_str("***"),
    }
}

/// Numbers as people write them; what has no one reading in hexadecimal.
fn write_elements(formatter: &mut fmt::Formatter<'_>, element: Element, bytes: &[u8]) -> fmt::Result {
    let elements = bytes.chunks_exact(element.size().into());
    match element {
        Element::Byte => write_hex(formatter, bytes),
        Element::Char => write_name(formatter, bytes),
        Element::Word => write_list(formatter, elements.filter_map(|mut bytes| bytes.try_get_u16().ok())),
        Element::Int => write_list(formatter, elements.filter_map(|mut bytes| bytes.try_get_i16().ok())),
        Element::DoubleWord => {
            write_list(formatter, elements.filter_map(|mut bytes| bytes.try_get_u32().ok()))
        }
        Element::DoubleInt => {
            write_list(formatter, elements.filter_map(|mut bytes| bytes.try_get_i32().ok()))
        }
        Element::Real => write_list(formatter, elements.filter_map(|mut bytes| bytes.try_get_f32().ok())),
        Element::Counter | Element::Timer => {
            let words = elements.filter_map(|mut bytes| bytes.try_get_u16().ok());
            write_list(formatter, words.map(|word| format!("{word:#06x}")))
        }
    }
}

fn write_hex(formatter: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    formatter.write_str("0x")?;
    for byte in bytes.iter().take(SHOWN) {
        write!(formatter, "{byte:02x}")?;
    }
    if bytes.len() > SHOWN { formatter.write_str("...") } else { Ok(()) }
}

/// A name in quotes, with nothing in it that a terminal would obey.
fn write_name(formatter: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    let shown = bytes.get(..NAME_SHOWN).unwrap_or(bytes);
    write!(formatter, "\"{}\"", shown.escape_ascii())?;
    if bytes.len() > NAME_SHOWN { formatter.write_str("...") } else { Ok(()) }
}

fn write_list<T: fmt::Display>(
    formatter: &mut fmt::Formatter<'_>,
    elements: impl Iterator<Item = T>,
) -> fmt::Result {
    for (position, element) in elements.enumerate() {
        if position > 0 {
            formatter.write_str(" ")?;
        }
        if position == SHOWN {
            return formatter.write_str("...");
        }
        write!(formatter, "{element}")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::area::Area;
    use crate::operation::{Class, Protocol, Range, Secret};
    use bytes::Bytes;
    use smallvec::smallvec;

    fn access(class: Class, unit: u8, area: Area, range: (u32, u32), values: Values) -> Access {
        let range = Range::new(range.0, range.1).unwrap();
        Access { class, unit: Some(unit), place: Some(Place { area, range }), values }
    }

    fn text(accesses: smallvec::SmallVec<[Access; 2]>) -> String {
        Operation { protocol: Protocol::Modbus, function: "a function", accesses }.to_string()
    }

    #[test]
    fn reads_and_writes_have_the_words_of_the_policy() {
        let write = access(
            Class::Write,
            1,
            Area::Holding,
            (100, 100),
            Values::Words(Bytes::from_static(&[0x02, 0xDB])),
        );
        let read = access(Class::Read, 3, Area::Holding, (0, 9), Values::None);
        assert_eq!(text(smallvec![write.clone()]), "write holding[100] = 731");
        assert_eq!(text(smallvec![read.clone()]), "read unit[3] holding[0-9]");
        assert_eq!(text(smallvec![read, write]), "read unit[3] holding[0-9] + write holding[100] = 731");
        assert_eq!(
            text(smallvec![Access::whole(Class::Control, Some(255))]),
            "control unit[255] (a function)"
        );
    }

    #[test]
    fn long_values_are_cut_and_bits_stop_at_the_count() {
        let words = Bytes::from(vec![0_u8; 18]);
        assert_eq!(
            text(smallvec![access(Class::Write, 1, Area::Holding, (0, 8), Values::Words(words))]),
            "write holding[0-8] = 0 0 0 0 0 0 0 0 ..."
        );
        let bits = Values::Bits(Bytes::from_static(&[0b1111_1101]));
        assert_eq!(
            text(smallvec![access(Class::Write, 1, Area::Coil, (7, 9), bits)]),
            "write coil[7-9] = 1 0 1"
        );
    }

    #[test]
    fn file_records_masks_and_untyped_bytes_are_readable() {
        let file = access(
            Class::FileRead,
            1,
            Area::File,
            ((4 << 16) + 1, (4 << 16) + 2),
            Values::Untyped(Bytes::from_static(&[0xAB; 9])),
        );
        assert_eq!(text(smallvec![file]), "file-read file[4.1-4.2] = 0xabababababababab...");
        let masked =
            access(Class::Write, 1, Area::Holding, (4, 4), Values::Masked { and: 0x00F2, or: 0x0025 });
        assert_eq!(text(smallvec![masked]), "write holding[4] = (old and 0x00f2) or (0x0025 and not 0x00f2)");
        let values = Values::Words(Bytes::from_static(&[0, 1, 0, 2]));
        assert_eq!(Outcome::Values { values, count: 2 }.to_string(), "= 1 2");
        assert_eq!(Outcome::Done.to_string(), "ok");
    }

    #[test]
    fn typed_numbers_names_and_secrets_are_shown_as_what_they_are() {
        let shown = |element, bytes: &'static [u8]| {
            let values = Values::Elements { element, bytes: Bytes::from_static(bytes) };
            Outcome::Values { values, count: 1 }.to_string()
        };
        assert_eq!(shown(Element::Byte, &[1, 0xAB]), "= 0x01ab");
        assert_eq!(shown(Element::Char, b"a\x1b"), "= \"a\\x1b\"");
        assert_eq!(shown(Element::Word, &[0xFF, 0xFE, 0, 1]), "= 65534 1");
        assert_eq!(shown(Element::Int, &[0xFF, 0xFE]), "= -2");
        assert_eq!(shown(Element::DoubleWord, &[0xFF, 0xFF, 0xFF, 0xFE]), "= 4294967294");
        assert_eq!(shown(Element::DoubleInt, &[0xFF, 0xFF, 0xFF, 0xFE]), "= -2");
        assert_eq!(shown(Element::Real, &[0x41, 0x48, 0, 0]), "= 12.5");
        assert_eq!(shown(Element::Timer, &[0x20, 0x10]), "= 0x2010");
        let secret = Secret::new(Bytes::from_static(b"hunter2"));
        assert_eq!(secret.reveal().as_ref(), b"hunter2");
        let access = Access { values: Values::Secret(secret), ..Access::whole(Class::Security, None) };
        assert_eq!(text(smallvec![access.clone()]), "security = *** (a function)");
        assert!(!format!("{access:?}").contains("hunter2"));
    }
}
