//! Numbers of a fixed kind, as protocols with typed values carry them.
//!
//! Only a view: the bytes stay where they are, and an element is read when
//! somebody asks for it.

use bytes::Bytes;
use std::fmt;

/// Which byte of a number comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ByteOrder {
    /// The most significant one.
    Big,
    /// The least significant one.
    Little,
}

/// The kind of a number: how wide it is and how its bits read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NumberKind {
    /// One byte; 0 is false, anything else true.
    Bool,
    /// Signed, 8 bits.
    I8,
    /// Signed, 16 bits.
    I16,
    /// Signed, 32 bits.
    I32,
    /// Signed, 64 bits.
    I64,
    /// Unsigned, 8 bits.
    U8,
    /// Unsigned, 16 bits.
    U16,
    /// Unsigned, 32 bits.
    U32,
    /// Unsigned, 64 bits.
    U64,
    /// IEEE 754 binary32.
    F32,
    /// IEEE 754 binary64.
    F64,
}

impl NumberKind {
    /// Bytes of one number, 1 to 8.
    pub fn width(self) -> usize {
        match self {
            Self::Bool | Self::I8 | Self::U8 => 1,
            Self::I16 | Self::U16 => 2,
            Self::I32 | Self::U32 | Self::F32 => 4,
            Self::I64 | Self::U64 | Self::F64 => 8,
        }
    }

    /// The number at `index` of `bytes`; `None` past the last whole one.
    pub fn read(self, order: ByteOrder, bytes: &[u8], index: usize) -> Option<Number> {
        let bytes = bytes.get(index.checked_mul(self.width())?..)?;
        Some(match self {
            Self::Bool => Number::Bool(*bytes.first()? != 0),
            Self::I8 => Number::Signed(i8::from_be_bytes(*bytes.first_chunk()?).into()),
            Self::I16 => Number::Signed(i16::from_be_bytes(order.big(bytes)?).into()),
            Self::I32 => Number::Signed(i32::from_be_bytes(order.big(bytes)?).into()),
            Self::I64 => Number::Signed(i64::from_be_bytes(order.big(bytes)?)),
            Self::U8 => Number::Unsigned((*bytes.first()?).into()),
            Self::U16 => Number::Unsigned(u16::from_be_bytes(order.big(bytes)?).into()),
            Self::U32 => Number::Unsigned(u32::from_be_bytes(order.big(bytes)?).into()),
            Self::U64 => Number::Unsigned(u64::from_be_bytes(order.big(bytes)?)),
            Self::F32 => Number::Short(f32::from_be_bytes(order.big(bytes)?)),
            Self::F64 => Number::Long(f64::from_be_bytes(order.big(bytes)?)),
        })
    }

    /// All whole numbers of `bytes`, in order.
    pub(crate) fn all(self, order: ByteOrder, bytes: &Bytes) -> impl Iterator<Item = Number> {
        (0..).map_while(move |index| self.read(order, bytes, index))
    }
}

impl ByteOrder {
    /// The first `N` bytes, the most significant one first.
    fn big<const N: usize>(self, bytes: &[u8]) -> Option<[u8; N]> {
        let mut number = *bytes.first_chunk::<N>()?;
        match self {
            Self::Big => {}
            Self::Little => number.reverse(),
        }
        Some(number)
    }
}

/// One number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Number {
    /// True or false.
    Bool(bool),
    /// An integer that may be negative.
    Signed(i64),
    /// An integer that can't be negative.
    Unsigned(u64),
    /// A binary32, kept as such so that it is shown with its own digits.
    Short(f32),
    /// A binary64.
    Long(f64),
}

impl fmt::Display for Number {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool(on) => write!(formatter, "{}", u8::from(*on)),
            Self::Signed(number) => write!(formatter, "{number}"),
            Self::Unsigned(number) => write!(formatter, "{number}"),
            Self::Short(number) => write!(formatter, "{number}"),
            Self::Long(number) => write!(formatter, "{number}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_in_either_order_and_end_with_the_bytes() {
        let text = |kind: NumberKind, order: ByteOrder, bytes: &'static [u8]| {
            kind.all(order, &Bytes::from_static(bytes))
                .map(|number| number.to_string())
                .collect::<Vec<_>>()
                .join(" ")
        };
        let little = |kind, bytes| text(kind, ByteOrder::Little, bytes);
        assert_eq!(little(NumberKind::I16, &[0xFE, 0xFF, 0x01, 0x00, 0x07]), "-2 1");
        assert_eq!(little(NumberKind::U16, &[0xFE, 0xFF]), "65534");
        assert_eq!(little(NumberKind::F32, &[0, 0, 0x60, 0x40]), "3.5");
        assert_eq!(little(NumberKind::Bool, &[0, 0xFF]), "0 1");
        assert_eq!(little(NumberKind::U64, &[0xFF; 7]), "");
        let big = |kind, bytes| text(kind, ByteOrder::Big, bytes);
        assert_eq!(big(NumberKind::I16, &[0xFF, 0xFE, 0x00, 0x01, 0x07]), "-2 1");
        assert_eq!(big(NumberKind::U32, &[0xFF, 0xFF, 0xFF, 0xFE]), "4294967294");
        assert_eq!(big(NumberKind::F32, &[0x41, 0x48, 0, 0]), "12.5");
        assert_eq!(NumberKind::I8.read(ByteOrder::Big, &[0x80], 0), Some(Number::Signed(-128)));
        assert_eq!(NumberKind::I64.read(ByteOrder::Little, &[0; 8], usize::MAX), None);
    }
}
