//! One dissector per channel, and the shapes that all protocols share.
//!
//! The state is per channel and behind `&mut`; fragments are a matter of
//! [`Dissector::frame`].
//!
//! Protocols that number their messages have their place here already. A
//! denied request leaves a gap in the numbers that the device sees, and a
//! refusal takes a number that the device did not give. So every frame that
//! goes on passes [`Dissector::translate`] in the order in which it goes, in
//! either direction, and a refusal gets its number by [`Dissector::inject`]
//! when its turn comes, which may be long after it was made.

use crate::enip::Enip;
use crate::modbus::Modbus;
use crate::opaque;
use crate::operation::{Class, Operation, Protocol, Values};
use crate::s7::S7;
use bytes::Bytes;
use std::num::{NonZeroU16, NonZeroUsize};

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
    /// A TPKT does not begin with its version 3 and a reserved 0 (RFC 1006,
    /// section 6).
    #[error("{found:#04x} in a TPKT header in place of {expected:#04x}")]
    TpktHeader {
        /// The byte that is there.
        found: u8,
        /// The byte that has to be there.
        expected: u8,
    },
    /// The TPKT length is too small for what has to be inside.
    #[error("the TPKT length of {length} is too small")]
    TpktLength {
        /// What the field said, in bytes, its own header included.
        length: u16,
    },
    /// The fragments of one transport unit are more than are put together.
    #[error("a transport unit of more than {most} bytes")]
    Oversized {
        /// The limit, in bytes with all headers.
        most: usize,
    },
    /// A transport unit that this side does not send in class 0 of ISO 8073,
    /// or not in the middle of another.
    #[error("a transport unit of type {found:#04x} that has no place here")]
    TransportUnit {
        /// Its type octet.
        found: u8,
    },
    /// A transport unit whose header contradicts its length.
    #[error("a transport header of {length} bytes, which does not fit")]
    TransportHeader {
        /// What the length indicator said.
        length: u8,
    },
    /// Not the protocol identifier of S7 communication.
    #[error("the protocol identifier is {found:#04x}, not the 0x32 of S7 communication")]
    S7Identifier {
        /// The first byte of the transport unit's data.
        found: u8,
    },
    /// S7 communication plus on a service that is to speak S7 communication.
    #[error(
        "S7 communication plus (identifier 0x72) on a service of plain S7 communication; such a service is named s7plus and carried without being understood"
    )]
    S7Plus,
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
/// 0 to 7. For S7 the kind of request in bits 16 to 23 and its reference in
/// bits 0 to 15. For EtherNet/IP the sender context without its highest bit,
/// or that bit with the connection in bits 16 to 47 and the sequence count in
/// bits 0 to 15.
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
    /// for it, as is right for an [`Outcome::Push`].
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
    /// It sent this by itself: an alarm, values that were subscribed to, or a
    /// request of its own within a transfer that is under way. No request
    /// waits for it, and it may pass.
    Push {
        /// What it is.
        text: &'static str,
    },
    /// A certain frame whose inside does not fit the request.
    Unreadable,
}

impl Outcome {
    /// Whether it refused the request, or a part of it.
    pub fn is_refusal(&self) -> bool {
        match self {
            Self::Refused { .. } => true,
            Self::Several(outcomes) => outcomes.iter().any(Self::is_refusal),
            Self::Done | Self::Values { .. } | Self::Push { .. } | Self::Unreadable => false,
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
    S7(S7),
    Enip(Enip),
    Opaque(Protocol),
}

impl Dissector {
    /// The dissector of a fresh connection.
    pub fn new(protocol: Protocol) -> Self {
        let state = match protocol {
            Protocol::Modbus => State::Modbus(Modbus::new()),
            Protocol::S7 => State::S7(S7::new()),
            Protocol::Enip => State::Enip(Enip::new()),
            Protocol::S7Plus
            | Protocol::Ssh
            | Protocol::Rfb
            | Protocol::Rdp
            | Protocol::Http
            | Protocol::Tcp => State::Opaque(protocol),
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
            State::S7(_) => crate::s7::frame(direction, buffered),
            State::Enip(_) => crate::enip::frame(buffered),
            State::Opaque(_) => opaque::frame(buffered),
        }
    }

    /// Decodes one whole frame from the client.
    pub fn decode(&mut self, frame: Bytes) -> Request {
        match &self.state {
            State::Modbus(_) => crate::modbus::decode(frame),
            State::S7(s7) => s7.decode(frame),
            State::Enip(enip) => enip.decode(frame),
            State::Opaque(protocol) => opaque::decode(*protocol, frame),
        }
    }

    /// Takes note that this request is to go to the device, behind all that
    /// were admitted before it. It may have to wait for its record until it
    /// is [`Self::forwarded`]; what is decoded meanwhile has to know already
    /// what it will have changed.
    pub fn admitted(&mut self, request: &Request) {
        match &mut self.state {
            State::Enip(enip) => enip.admitted(request),
            State::Modbus(_) | State::S7(_) | State::Opaque(_) => {}
        }
    }

    /// Takes note that this request goes to the device, so that its answer
    /// can be paired and read. Not to be called for a denied one.
    pub fn forwarded(&mut self, request: &Request) {
        match &mut self.state {
            State::Modbus(modbus) => modbus.forwarded(request),
            State::S7(s7) => s7.forwarded(request),
            State::Enip(enip) => enip.forwarded(request),
            State::Opaque(_) => {}
        }
    }

    /// Decodes one whole frame from the device and pairs it with the oldest
    /// forwarded request of the same key.
    pub fn answer(&mut self, frame: Bytes) -> Answer {
        match &mut self.state {
            State::Modbus(modbus) => modbus.answer(frame),
            State::S7(s7) => s7.answer(frame),
            State::Enip(enip) => enip.answer(frame),
            State::Opaque(_) => opaque::answer(frame),
        }
    }

    /// The protocol's own refusal of a request that was not forwarded.
    /// `None` if the protocol has none: the channel has to be closed, unless
    /// the request is one that is never answered.
    pub fn deny(&mut self, request: &Request, denial: Denial) -> Option<Bytes> {
        match &self.state {
            State::Modbus(_) => crate::modbus::deny(&request.frame, denial),
            State::S7(s7) => s7.deny(request),
            State::Enip(enip) => enip.deny(request, denial),
            State::Opaque(_) => None,
        }
    }

    /// The class of the sequence of requests that is under way, such as a
    /// download that has begun and has not ended; it should not be cut off
    /// without need. `None` if there is none.
    pub fn sequence(&self) -> Option<Class> {
        match &self.state {
            State::S7(s7) => s7.sequence(),
            State::Modbus(_) | State::Enip(_) | State::Opaque(_) => None,
        }
    }

    /// How many requests the device has agreed to work on at once. More must
    /// not be sent to it before it has answered. `None` if nothing was agreed.
    pub fn parallel(&self) -> Option<NonZeroU16> {
        match &self.state {
            State::S7(s7) => s7.parallel(),
            State::Modbus(_) | State::Enip(_) | State::Opaque(_) => None,
        }
    }

    /// The frame as it has to go on, after earlier denials on the channel
    /// may have shifted the protocol's sequence numbers. To be called for
    /// every frame that goes on, in the order in which they go. No protocol
    /// here has such numbers, so the frame stays as it is.
    pub fn translate(&mut self, direction: Direction, frame: Bytes) -> Bytes {
        match (&self.state, direction) {
            (
                State::Modbus(_) | State::S7(_) | State::Enip(_) | State::Opaque(_),
                Direction::FromClient | Direction::FromDevice,
            ) => frame,
        }
    }

    /// A refusal of [`Self::deny`] as it has to go to the client now, behind
    /// all that was translated for it before: it takes the next number of the
    /// device's. No protocol here has such numbers, so it stays as it is.
    pub fn inject(&mut self, refusal: Bytes) -> Bytes {
        match &self.state {
            State::Modbus(_) | State::S7(_) | State::Enip(_) | State::Opaque(_) => refusal,
        }
    }
}
