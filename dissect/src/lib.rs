//! OT protocols: bytes to frames to operations, and each protocol's own refusal.
#![warn(missing_docs)]

mod operation;

pub use operation::{Access, Area, Carriage, Class, Effect, Operation, Place, Protocol, Range, Values};
