//! One dissector per channel, and the shapes that all protocols share.
//!
//! What later protocols need has its place here already: the state is per
//! channel and behind `&mut`, fragments are a matter of [`Dissector::frame`],
//! renumbering after a denial one of [`Dissector::translate`].

use crate::enip::Enip;
use crate::modbus::Modbus;
use crate::opaque;
use crate::operation::{Operation, Protocol, Values};
use bytes::Bytes;
use std::num::NonZeroUsize;

/// Which of the two peers sent the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// The technician's tool.
    FromClient,
    /// The device.
    FromDevice,
}

/// What the bytes that have arrived so far begin with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// The beginning of a frame, or nothing; more has to arrive.
    Partial,
    /// A whole frame of that many bytes. There may be more behind it.
    Whole(NonZeroUsize),
    /// Where this frame ends can't be known: the channel has to be closed.
    Lost(Unframed),
}

/// Why framing was lost. The protocol is never searched for a new beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unframed {
    /// The MBAP length field is outside 2..=254 (MODBUS Messaging on TCP/IP
    /// V1.0b, 3.1.3, and the PDU limit of V1.1b3, section 4.1).
    #[error("the Modbus length field is {length}, not within 2 to 254")]
    Length {
        /// What the field said, in bytes.
        length: u16,
    },
    /// The MBAP protocol identifier is not 0.
    #[error("the protocol identifier is {found}, not the 0 of Modbus/TCP")]
    ProtocolIdentifier {
        /// What the field said.
        found: u16,
    },
    /// A request with a function code that only exception answers have, so
    /// that no well-formed refusal of it exists.
    #[error("function code {function} in a request, which only an answer can have")]
    AnswerFromClient {
        /// The code, 128 or higher.
        function: u8,
    },
    /// The EtherNet/IP encapsulation length is above 65511 (CIP Volume 2,
    /// 2-3.3).
    #[error("the encapsulation length field is {length}, above 65511")]
    EncapsulationLength {
        /// What the field said, in bytes.
        length: u16,
    },
    /// The EtherNet/IP encapsulation options aren't 0, so that a device has
    /// to discard the frame (CIP Volume 2, 2-3.7).
    #[error("the encapsulation options are {found:#x}, not the 0 of EtherNet/IP")]
    EncapsulationOptions {
        /// What the field said.
        found: u32,
    },
}

/// Pairs a request with its answer within one channel and protocol.
///
/// For Modbus the transaction identifier in bits 8 to 23 and the unit in bits
/// 0 to 7. For EtherNet/IP the sender context without its highest bit, or that
/// bit with the connection in bits 16 to 47 and the sequence count in bits 0
/// to 15.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(pub u64);

/// Whether the device is to answer a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expects {
    /// One answer.
    Answer,
    /// None, by the protocol's rules.
    Nothing,
}

/// One whole frame from the client, decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The frame, unchanged.
    pub frame: Bytes,
    /// What its answer will carry.
    pub key: Key,
    /// Whether it will be answered.
    pub expects: Expects,
    /// What it means.
    pub content: Content,
}

/// The inside of a frame.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "a box would be an allocation for each request")]
pub enum Content {
    /// Understood, to be judged.
    Operation(Operation),
    /// The frame's end is certain but its inside is broken: to be denied in
    /// the protocol's own words, never forwarded.
    Malformed {
        /// What is wrong with it.
        why: Malformed,
    },
}

/// What is wrong with a request whose end is certain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("malformed {function}: {flaw}")]
pub struct Malformed {
    /// The protocol's own name of the function that it claims to be.
    pub function: &'static str,
    /// What is wrong.
    pub flaw: Flaw,
}

impl Malformed {
    /// The protocol's error that says it best.
    pub fn denial(&self) -> Denial {
        match self.flaw {
            Flaw::Function | Flaw::Depth => Denial::Function,
            Flaw::Address | Flaw::Path | Flaw::Connection => Denial::Address,
            Flaw::Length | Flaw::Count { .. } | Flaw::ByteCount { .. } | Flaw::Value { .. } => Denial::Value,
        }
    }
}

/// A single fault inside a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// A function code that the protocol rules out.
    #[error("not a valid function code")]
    Function,
    /// The fields don't add up to the length of the frame.
    #[error("the fields do not fit the length of the frame")]
    Length,
    /// A count outside the limits of the function.
    #[error("a count of {count}")]
    Count {
        /// What the field said, in elements.
        count: u16,
    },
    /// A byte count that contradicts the count or the length.
    #[error("a byte count of {bytes}")]
    ByteCount {
        /// What the field said, in bytes.
        bytes: u8,
    },
    /// An address, or the end of a range, that does not exist.
    #[error("an address past the end of the area")]
    Address,
    /// A value that the function does not know.
    #[error("the value {value}")]
    Value {
        /// What the field said.
        value: u16,
    },
    /// A path of segments that ends within one, or whose segments are none.
    #[error("a path that can't be read")]
    Path,
    /// A message on a connection that was not opened on this channel.
    #[error("a connection that was not opened on this channel")]
    Connection,
    /// Requests within requests, more than three levels of them.
    #[error("requests nested too deeply")]
    Depth,
}

/// One whole frame from the device, decoded and paired.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The frame, unchanged.
    pub frame: Bytes,
    /// The request that it answers; `None` if no forwarded request is waiting
    /// for it.
    pub key: Option<Key>,
    /// What the device said.
    pub outcome: Outcome,
}

/// What the device said. `Display` gives the recording's words: `ok`,
/// `= 1 2 3`, `illegal data address`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It did what was asked.
    Done,
    /// It refused.
    Refused {
        /// The protocol's error code.
        code: u32,
        /// The protocol's own name of the code.
        text: &'static str,
    },
    /// It gave values.
    Values {
        /// The values, in the order of the addresses that were asked for.
        values: Values,
        /// How many elements they are: bits, words or bytes.
        count: u32,
    },
    /// It answered each part of a request that had several, in their order.
    Several(Vec<Self>),
    /// A certain frame whose inside does not fit the request.
    Unreadable,
}

impl Outcome {
    /// Whether it refused the request, or a part of it.
    pub fn is_refused(&self) -> bool {
        match self {
            Self::Refused { .. } => true,
            Self::Several(outcomes) => outcomes.iter().any(Self::is_refused),
            Self::Done | Self::Values { .. } | Self::Unreadable => false,
        }
    }
}

/// What a refusal is about, so that the protocol's nearest error is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
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

/// The parser of one channel. Holds what its protocol has to remember between
/// frames, bounded.
#[derive(Debug)]
pub struct Dissector {
    state: State,
}

#[derive(Debug)]
enum State {
    Modbus(Modbus),
    Enip(Enip),
    Opaque,
}

impl Dissector {
    /// The dissector of a fresh connection.
    pub fn new(protocol: Protocol) -> Self {
        let state = match protocol {
            Protocol::Modbus => State::Modbus(Modbus::new()),
            Protocol::Enip => State::Enip(Enip::new()),
            Protocol::Tcp => State::Opaque,
        };
        Self { state }
    }

    /// Finds the end of the first frame in `buffered`. A length outside the
    /// protocol's limits is lost framing at once, so a caller never has to
    /// keep more than one longest frame. An opaque service has no frames:
    /// all that is there is whole.
    pub fn frame(&self, direction: Direction, buffered: &[u8]) -> Framing {
        match &self.state {
            State::Modbus(_) => crate::modbus::frame(direction, buffered),
            State::Enip(_) => crate::enip::frame(buffered),
            State::Opaque => opaque::frame(buffered),
        }
    }

    /// Decodes one whole frame from the client.
    pub fn decode(&mut self, frame: Bytes) -> Request {
        match &self.state {
            State::Modbus(_) => crate::modbus::decode(frame),
            State::Enip(enip) => enip.decode(frame),
            State::Opaque => opaque::decode(frame),
        }
    }

    /// Takes note that this request goes to the device, so that its answer
    /// can be paired and read. Not to be called for a denied one.
    pub fn forwarded(&mut self, request: &Request) {
        match &mut self.state {
            State::Modbus(modbus) => modbus.forwarded(request),
            State::Enip(enip) => enip.forwarded(request),
            State::Opaque => {}
        }
    }

    /// Decodes one whole frame from the device and pairs it with the oldest
    /// forwarded request of the same key.
    pub fn answer(&mut self, frame: Bytes) -> Answer {
        match &mut self.state {
            State::Modbus(modbus) => modbus.answer(frame),
            State::Enip(enip) => enip.answer(frame),
            State::Opaque => opaque::answer(frame),
        }
    }

    /// The protocol's own refusal of a request that was not forwarded.
    /// `None` if the protocol has none: the channel has to be closed.
    pub fn deny(&mut self, request: &Request, denial: Denial) -> Option<Bytes> {
        match &self.state {
            State::Modbus(_) => crate::modbus::deny(&request.frame, denial),
            State::Enip(enip) => enip.deny(request, denial),
            State::Opaque => None,
        }
    }

    /// The frame as it has to go on, after earlier denials on the channel
    /// may have shifted the protocol's sequence numbers. No protocol
    /// here has such numbers, so the frame stays as it is.
    pub fn translate(&mut self, direction: Direction, frame: Bytes) -> Bytes {
        match (&self.state, direction) {
            (
                State::Modbus(_) | State::Enip(_) | State::Opaque,
                Direction::FromClient | Direction::FromDevice,
            ) => frame,
        }
    }
}
