//! Reading and writing tags (Logix 5000 Controllers Data Access, 1756-PM020,
//! chapter "CIP Services"; types in CIP Volume 1, C-6.1).

use super::fields::Fields;
use super::service::{MODIFY_TAG, READ_FRAGMENT, READ_TAG, WRITE_FRAGMENT, WRITE_TAG};
use crate::dissector::Flaw;
use crate::name::Name;
use crate::number::{ByteOrder, NumberKind};
use crate::operation::{Access, Class, Values};
use crate::place::Place;
use bytes::Bytes;

/// Decodes a service on `tag`; `None` if it isn't one for tags. `data` is
/// part of `frame`.
pub(super) fn decode(service: u8, tag: &Name, data: &[u8], frame: &Bytes) -> Result<Option<Access>, Flaw> {
    let fields = Fields::new(data);
    let mut name = tag.clone();
    let (class, elements, values) = match service {
        READ_TAG => (Class::Read, read(fields)?, Values::None),
        READ_FRAGMENT => (Class::Read, read_fragment(fields)?, Values::None),
        WRITE_TAG => {
            let (elements, values) = write(fields, frame)?;
            (Class::Write, elements, values)
        }
        WRITE_FRAGMENT => {
            let (elements, values) = write_fragment(fields, frame)?;
            (Class::Write, elements, values)
        }
        MODIFY_TAG => (Class::Write, Elements { skipped: 0, count: 1 }, modify(fields, frame)?),
        _ => return Ok(None),
    };
    // What can't be spelled can't be allowed.
    Ok(Some(match name.run(elements.skipped, elements.count) {
        Ok(()) => Access { class, unit: None, place: Some(Place::Name(name)), values },
        Err(_) => Access { class: Class::Unknown, unit: None, place: None, values },
    }))
}

/// Which elements, counted from the one that the path names.
struct Elements {
    skipped: u32,
    count: u32,
}

fn counted(count: u16) -> Result<u32, Flaw> {
    if count == 0 { Err(Flaw::Count { count }) } else { Ok(count.into()) }
}

fn read(mut fields: Fields<'_>) -> Result<Elements, Flaw> {
    let count = counted(fields.short()?)?;
    fields.end()?;
    Ok(Elements { skipped: 0, count })
}

/// The answer may go up to the last element, wherever it begins.
fn read_fragment(mut fields: Fields<'_>) -> Result<Elements, Flaw> {
    let count = counted(fields.short()?)?;
    let _offset = fields.long()?;
    fields.end()?;
    Ok(Elements { skipped: 0, count })
}

fn write(mut fields: Fields<'_>, frame: &Bytes) -> Result<(Elements, Values), Flaw> {
    let kind = Type::next(&mut fields)?;
    let count = counted(fields.short()?)?;
    let data = fields.rest();
    if let Some(size) = kind.size_of(count)
        && data.len() != size
    {
        return Err(Flaw::Length);
    }
    Ok((Elements { skipped: 0, count }, kind.values(frame.slice_ref(data))))
}

/// One part of a long write: the elements that its bytes fill, if they are
/// whole; else all of them, with bytes that nobody can compare.
fn write_fragment(mut fields: Fields<'_>, frame: &Bytes) -> Result<(Elements, Values), Flaw> {
    let kind = Type::next(&mut fields)?;
    let count = counted(fields.short()?)?;
    let offset = fields.long()?;
    let data = fields.rest();
    let bytes = frame.slice_ref(data);
    let whole = Elements { skipped: 0, count };
    let Some(size) = kind.size_of(count) else { return Ok((whole, Values::Untyped(bytes))) };
    let start = usize::try_from(offset).map_err(|_| Flaw::Address)?;
    if data.is_empty() || start.checked_add(data.len()).is_none_or(|end| end > size) {
        return Err(Flaw::Address);
    }
    Ok(match kind.elements_at(offset, data.len()) {
        Some(elements) => (elements, kind.values(bytes)),
        None => (whole, Values::Untyped(bytes)),
    })
}

/// Size of the masks, bits to set, bits to keep: new = (old OR set) AND keep.
/// Tools made of pycomm3 1.2 write the second mask eight bytes wide whatever
/// the size; what is too much of it has to keep all, which is what a controller
/// that reads no further does.
fn modify(mut fields: Fields<'_>, frame: &Bytes) -> Result<Values, Flaw> {
    let size = fields.short()?;
    let masks = fields.rest();
    if !matches!(size, 1 | 2 | 4 | 8 | 12) {
        return Err(Flaw::Value { value: size });
    }
    let (set, keep) = (fields.take(size.into())?, fields.take(size.into())?);
    let beyond = fields.rest();
    if !beyond.is_empty()
        && (beyond.len().saturating_add(keep.len()) != WIDEST || beyond.iter().any(|bits| *bits != 0xFF))
    {
        return Err(Flaw::Length);
    }
    Ok(match (wide(set), wide(keep)) {
        (Some(set), Some(keep)) => Values::Masked { and: keep & !set, or: set & keep },
        _ => Values::Untyped(frame.slice_ref(masks)),
    })
}

/// Bytes of the widest mask that is one number.
const WIDEST: usize = 8;

/// Up to eight bytes as one number.
fn wide(bytes: &[u8]) -> Option<u64> {
    let mut wide = [0; 8];
    wide.get_mut(..bytes.len())?.copy_from_slice(bytes);
    Some(u64::from_le_bytes(wide))
}

/// The type that goes before values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Type {
    /// A number of that kind.
    Number(NumberKind),
    /// A structure, or a type of which the elements have no fixed size.
    Other,
}

impl Type {
    /// Reads a type code; that of a structure has its handle behind it.
    pub(super) fn next(fields: &mut Fields<'_>) -> Result<Self, Flaw> {
        let code = fields.short()?;
        if code == 0x02A0 {
            fields.short()?;
        }
        Ok(match code {
            0xC1 => Self::Number(NumberKind::Bool),
            0xC2 => Self::Number(NumberKind::I8),
            0xC3 => Self::Number(NumberKind::I16),
            0xC4 => Self::Number(NumberKind::I32),
            0xC5 => Self::Number(NumberKind::I64),
            0xC6 | 0xD1 => Self::Number(NumberKind::U8),
            0xC7 | 0xD2 => Self::Number(NumberKind::U16),
            0xC8 | 0xD3 => Self::Number(NumberKind::U32),
            0xC9 | 0xD4 => Self::Number(NumberKind::U64),
            0xCA => Self::Number(NumberKind::F32),
            0xCB => Self::Number(NumberKind::F64),
            _ => Self::Other,
        })
    }

    /// Bytes of `count` elements, if it is known.
    fn size_of(self, count: u32) -> Option<usize> {
        match self {
            Self::Number(kind) => usize::try_from(count).ok()?.checked_mul(kind.width()),
            Self::Other => None,
        }
    }

    fn elements_at(self, offset: u32, length: usize) -> Option<Elements> {
        let width = match self {
            Self::Number(kind) => u32::try_from(kind.width()).ok()?,
            Self::Other => return None,
        };
        let length = u32::try_from(length).ok()?;
        let is_whole = offset.checked_rem(width)? == 0 && length.checked_rem(width)? == 0;
        let elements = Elements { skipped: offset.checked_div(width)?, count: length.checked_div(width)? };
        is_whole.then_some(elements)
    }

    pub(super) fn values(self, bytes: Bytes) -> Values {
        match self {
            Self::Number(kind) => Values::Numbers { kind, order: ByteOrder::Little, bytes },
            Self::Other => Values::Untyped(bytes),
        }
    }

    /// How many elements `bytes` are: numbers, or else bytes.
    pub(super) fn count(self, bytes: &[u8]) -> u32 {
        let width = match self {
            Self::Number(kind) => kind.width(),
            Self::Other => 1,
        };
        bytes.len().checked_div(width).and_then(|count| u32::try_from(count).ok()).unwrap_or(u32::MAX)
    }
}
