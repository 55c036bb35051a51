//! OT protocols: bytes to frames to operations, and each protocol's own refusal.
//!
//! One [`Dissector`] serves one channel. The order of events for a request:
//! [`Dissector::frame`] finds the first whole frame of what has arrived,
//! [`Dissector::decode`] says what it means, and then either
//! [`Dissector::forwarded`] and [`Dissector::translate`] when it goes to the
//! device, or [`Dissector::deny`] for the protocol's own refusal. Frames of
//! the device go through [`Dissector::answer`], which pairs them. What a
//! connection that is carried as bytes shows in the clear, an [`Observer`] sees.
//!
//! This crate never decides, never reads a clock and never does I/O. It gives
//! out whole frames only, and the bytes of a [`Request`] are the bytes that
//! its [`Operation`] was decoded from: what is decided is what is forwarded.
#![warn(missing_docs)]
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

mod area;
mod display;
mod dissector;
mod enip;
mod modbus;
mod name;
mod number;
mod observer;
mod opaque;
mod operation;
mod place;
mod reader;
mod s7;
mod s7plus;

pub use area::{AddressUnit, Addresses, Area};
pub use display::Revealed;
pub use dissector::{
    Answer, Content, Denial, Direction, Dissector, Expects, Flaw, Framing, Key, Malformed, Outcome, Request,
    Unframed,
};
pub use modbus::{LONGEST_FRAME, PENDING};
pub use name::{LONGEST_NAME, Name, NameKind, NotAName};
pub use number::{ByteOrder, Number, NumberKind};
pub use observer::{EXAMINED, Fact, FactName, LONGEST_VALUE, Observer};
pub use operation::{
    Access, Carriage, Class, Connection, Effect, Operation, Protocol, Range, Secret, Values,
};
pub use place::{Object, Place};
