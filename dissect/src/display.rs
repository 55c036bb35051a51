//! Operations and outcomes in words, for recordings, notices and replay.
//!
//! `write holding[100] = 731`, `read unit[3] holding[0-9]`; several accesses
//! are joined by ` + `. Addresses are zero-based, as on the wire. Unit 1 is
//! what tools address unless told otherwise, so it alone is left out. Values
//! are cut after eight elements, and of many accesses those that only observe
//! are counted: the text is for people, the exact bytes are in the recording.
//! What nobody is shown unless they ask for it is `***`, but for those who ask
//! by [`Operation::revealed`].

use crate::dissector::Outcome;
use crate::enip;
use crate::operation::{Access, Connection, Effect, Operation, Range, Secret, Values};
use crate::place::Place;
use std::fmt;

/// How many elements of a value are shown.
const SHOWN: usize = 8;

/// How many accesses are shown whatever their effect.
const SHOWN_ACCESSES: usize = 32;

/// How many bytes of a text are shown.
const TEXT_SHOWN: usize = 64;

/// The unit that is not mentioned.
const DEFAULT_UNIT: u8 = 1;

/// How secrets are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Secrets {
    Masked,
    Shown,
}

impl fmt::Display for Operation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_operation(formatter, self, Secrets::Masked)
    }
}

/// An operation in words with its secrets, for someone who has asked for them.
#[derive(Debug, Clone, Copy)]
pub struct Revealed<'a>(&'a Operation);

impl Operation {
    /// The same words as `Display`, with the secrets in place of `***`.
    pub fn revealed(&self) -> Revealed<'_> {
        Revealed(self)
    }
}

impl fmt::Display for Revealed<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_operation(formatter, self.0, Secrets::Shown)
    }
}

fn write_operation(
    formatter: &mut fmt::Formatter<'_>,
    operation: &Operation,
    secrets: Secrets,
) -> fmt::Result {
    let mut left_out: usize = 0;
    for (position, access) in operation.accesses.iter().enumerate() {
        if position >= SHOWN_ACCESSES && access.class.effect() == Effect::Observes {
            left_out = left_out.saturating_add(1);
            continue;
        }
        if position > 0 {
            formatter.write_str(" + ")?;
        }
        write_access(formatter, access, secrets)?;
        if access.place.is_none() {
            write!(formatter, " ({})", operation.function)?;
        }
    }
    if left_out > 0 { write!(formatter, " + {left_out} more that change nothing") } else { Ok(()) }
}

impl fmt::Display for Access {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_access(formatter, self, Secrets::Masked)
    }
}

fn write_access(formatter: &mut fmt::Formatter<'_>, access: &Access, secrets: Secrets) -> fmt::Result {
    write!(formatter, "{}", access.class)?;
    if let Some(unit) = access.unit.filter(|unit| *unit != DEFAULT_UNIT) {
        write!(formatter, " unit[{unit}]")?;
    }
    let mut count = None;
    if let Some(place) = &access.place {
        write!(formatter, " {place}")?;
        count = match place {
            Place::Range { range, .. } => count_of(*range),
            Place::Name(name) => name.elements().and_then(count_of),
            Place::Object(object) => {
                if let Some(service) = object.service {
                    write!(formatter, " ({})", enip::service_name(service, Some(object.class)))?;
                }
                None
            }
        };
    }
    match &access.values {
        Values::None => Ok(()),
        Values::Bits(_)
        | Values::Words(_)
        | Values::Masked { .. }
        | Values::Numbers { .. }
        | Values::Untyped(_)
        | Values::Text(_)
        | Values::Module { .. }
        | Values::Secret(_) => {
            write!(formatter, " = ")?;
            write_values(formatter, &access.values, count.unwrap_or(u32::MAX), secrets)
        }
    }
}

fn count_of(range: Range) -> Option<u32> {
    range.last().checked_sub(range.first())?.checked_add(1)
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Range { area, range } => write!(formatter, "{area}[{}]", area.addresses(*range)),
            Self::Name(name) => write!(formatter, "{name}"),
            Self::Object(object) => write!(formatter, "{object}"),
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done => formatter.write_str("ok"),
            Self::Refused { text, .. } => formatter.write_str(text),
            Self::Values { values, count } => {
                formatter.write_str("= ")?;
                write_values(formatter, values, *count, Secrets::Masked)
            }
            Self::Several(outcomes) => {
                for (position, outcome) in outcomes.iter().enumerate() {
                    if position == SHOWN_ACCESSES {
                        return write!(formatter, "; {} more", outcomes.len().saturating_sub(position));
                    }
                    write!(formatter, "{}{outcome}", if position > 0 { "; " } else { "" })?;
                }
                Ok(())
            }
            Self::Push { text } => write!(formatter, "sent by itself: {text}"),
            Self::Unreadable => formatter.write_str("an answer that does not fit the request"),
        }
    }
}

/// Writes at most [`SHOWN`] of the `count` elements.
fn write_values(
    formatter: &mut fmt::Formatter<'_>,
    values: &Values,
    count: u32,
    secrets: Secrets,
) -> fmt::Result {
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
        Values::Numbers { kind, order, bytes } => write_list(formatter, kind.all(*order, bytes).take(count)),
        Values::Untyped(bytes) => write_hex(formatter, bytes),
        Values::Text(bytes) => write_text(formatter, bytes),
        Values::Module { connection, rack, slot } => {
            let connection = match connection {
                Connection::Programmer => "PG",
                Connection::Operator => "OP",
                Connection::Basic => "basic",
            };
            write!(formatter, "{connection} rack {rack} slot {slot}")
        }
        Values::Secret(secret) => match secrets {
            Secrets::Masked => formatter.write_str("***"),
            Secrets::Shown => write_secret(formatter, secret),
        },
    }
}

/// As a text where it is one, else all of its bytes.
fn write_secret(formatter: &mut fmt::Formatter<'_>, secret: &Secret) -> fmt::Result {
    let bytes = secret.reveal();
    if bytes.iter().all(|byte| byte.is_ascii_graphic() || *byte == b' ') {
        return write_text(formatter, bytes);
    }
    formatter.write_str("0x")?;
    bytes.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
}

fn write_hex(formatter: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    formatter.write_str("0x")?;
    for byte in bytes.iter().take(SHOWN) {
        write!(formatter, "{byte:02x}")?;
    }
    if bytes.len() > SHOWN { formatter.write_str("...") } else { Ok(()) }
}

/// A text in quotes, with nothing in it that a terminal would obey.
fn write_text(formatter: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    let shown = bytes.get(..TEXT_SHOWN).unwrap_or(bytes);
    write!(formatter, "\"{}\"", shown.escape_ascii())?;
    if bytes.len() > TEXT_SHOWN { formatter.write_str("...") } else { Ok(()) }
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
    use crate::number::{ByteOrder, NumberKind};
    use crate::operation::{Class, Protocol, Secret};
    use bytes::Bytes;
    use smallvec::smallvec;

    fn access(class: Class, unit: u8, area: Area, range: (u32, u32), values: Values) -> Access {
        let range = Range::new(range.0, range.1).unwrap();
        Access { class, unit: Some(unit), place: Some(Place::Range { area, range }), values }
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
    fn typed_numbers_texts_and_secrets_are_shown_as_what_they_are() {
        let shown = |values| Outcome::Values { values, count: 9 }.to_string();
        let numbers = |kind, bytes: &'static [u8]| {
            shown(Values::Numbers { kind, order: ByteOrder::Big, bytes: Bytes::from_static(bytes) })
        };
        assert_eq!(numbers(NumberKind::U16, &[0xFF, 0xFE, 0, 1]), "= 65534 1");
        assert_eq!(numbers(NumberKind::I32, &[0xFF, 0xFF, 0xFF, 0xFE]), "= -2");
        assert_eq!(numbers(NumberKind::F32, &[0x41, 0x48, 0, 0]), "= 12.5");
        assert_eq!(shown(Values::Untyped(Bytes::from_static(&[1, 0xAB]))), "= 0x01ab");
        assert_eq!(shown(Values::Text(Bytes::from_static(b"a\x1b"))), "= \"a\\x1b\"");
        let secret = Secret::new(Bytes::from_static(b"hunter2"));
        assert_eq!(secret.reveal().as_ref(), b"hunter2");
        let access = Access { values: Values::Secret(secret), ..Access::whole(Class::Security, None) };
        assert_eq!(text(smallvec![access.clone()]), "security = *** (a function)");
        assert!(!format!("{access:?}").contains("hunter2"));
        let revealed = |bytes: &'static [u8]| {
            let values = Values::Secret(Secret::new(Bytes::from_static(bytes)));
            let accesses = smallvec![Access { values, ..access.clone() }];
            Operation { protocol: Protocol::S7, function: "a function", accesses }.revealed().to_string()
        };
        assert_eq!(revealed(b"hunter2"), "security = \"hunter2\" (a function)");
        assert_eq!(revealed(b"hunter2\x1b[2J"), "security = 0x68756e746572321b5b324a (a function)");
    }
}
