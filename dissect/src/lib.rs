//! OT protocols: bytes to frames to operations, and each protocol's own refusal.
#![warn(missing_docs)]

mod operation;

pub use operation::{Access, Area, Carriage, Class, Effect, Operation, Place, Protocol, Range, Values};

/// Why an operation is denied, as a protocol can say it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denial {
    /// The function as such (Modbus exception 01).
    Function,
    /// The addresses (02).
    Address,
    /// A value (03).
    Value,
    /// The whole unit behind a gateway (0A).
    Unit,
}
