//! Tags: named, typed addresses of a target.

use crate::names::TagName;
use dissect::{Area, Protocol, Range};
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
    /// `be`: A B, C D. The usual one.
    Big,
    /// `be-swap`: C D, A B; the low register comes first.
    BigSwapped,
    /// `le`: D C, B A.
    Little,
    /// `le-swap`: B A, D C.
    LittleSwapped,
}
