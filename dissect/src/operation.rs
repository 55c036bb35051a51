//! What one decoded request means: the vocabulary that policy, core,
//! recording and replay share.
//!
//! An [`Operation`] is a small list of [`Access`]es. Each access names the
//! class of what happens, where (unit, area, inclusive range) and, for a
//! write, with which values. The set of single addresses that the accesses
//! cover are the operation's *atoms*; policy judges each of them.

use crate::number::{ByteOrder, NumberKind};
use crate::place::Place;
use bytes::Bytes;
use smallvec::SmallVec;
use std::fmt;

/// A protocol that a service of the inventory speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// Modbus/TCP with an MBAP header.
    Modbus,
    /// S7 communication over ISO on TCP.
    S7,
    /// S7 communication plus, which newer controllers speak on the same port;
    /// carried as bytes without being understood.
    S7Plus,
    /// EtherNet/IP over TCP with CIP explicit messages.
    Enip,
    /// SSH, carried as bytes without being understood.
    Ssh,
    /// RFB, the protocol of VNC, carried as bytes without being understood.
    Rfb,
    /// Remote Desktop, carried as bytes without being understood.
    Rdp,
    /// HTTP and HTTPS, carried as bytes without being understood.
    Http,
    /// Any other TCP service, carried as bytes without being understood.
    Tcp,
}

impl Protocol {
    /// Every protocol, in the order in which listings show them.
    pub const ALL: [Self; 9] = [
        Self::Modbus,
        Self::S7,
        Self::S7Plus,
        Self::Enip,
        Self::Ssh,
        Self::Rfb,
        Self::Rdp,
        Self::Http,
        Self::Tcp,
    ];

    /// The protocol's word in policy actions and in `targets.toml`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Modbus => "modbus",
            Self::S7 => "s7",
            Self::S7Plus => "s7plus",
            Self::Enip => "enip",
            Self::Ssh => "ssh",
            Self::Rfb => "rfb",
            Self::Rdp => "rdp",
            Self::Http => "http",
            Self::Tcp => "tcp",
        }
    }

    /// The protocol of that name, `None` for a word that is no protocol.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|protocol| protocol.name() == name)
    }

    /// Whether requests are decoded, or the bytes only carried and recorded.
    pub fn carriage(self) -> Carriage {
        match self {
            Self::Modbus | Self::S7 | Self::Enip => Carriage::Decoded,
            Self::S7Plus | Self::Ssh | Self::Rfb | Self::Rdp | Self::Http | Self::Tcp => Carriage::Opaque,
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// How a protocol's bytes are carried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carriage {
    /// Every request is decoded and judged on its own.
    Decoded,
    /// Judged once for the service (`ssh:use`, `tcp:use`), recorded as bytes.
    Opaque,
}

/// What kind of thing an access does; one vocabulary for all protocols.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// What a session needs to live at all; comes with any grant.
    Housekeeping,
    /// Asking the device who it is; comes with any grant.
    Identify,
    /// Reading values.
    Read,
    /// Asking for values to be sent on change or by cycle.
    Subscribe,
    /// Changing values.
    Write,
    /// Start, stop, mode, reset.
    Control,
    /// Upload of a program from the device.
    ProgramRead,
    /// Download, delete, firmware, configuration.
    ProgramWrite,
    /// Reading files or file records.
    FileRead,
    /// Writing files or file records.
    FileWrite,
    /// Setting the device's clock.
    TimeSet,
    /// Logins, passwords, keys.
    Security,
    /// Counters, loop-backs, status words.
    Diagnostic,
    /// Aimed through this device at another one.
    Route,
    /// Use of an opaque service as a whole.
    Use,
    /// A function whose effect is not known.
    Unknown,
}

impl Class {
    /// Every class, in the order in which tables show them.
    pub const ALL: [Self; 16] = [
        Self::Housekeeping,
        Self::Identify,
        Self::Read,
        Self::Subscribe,
        Self::Write,
        Self::Control,
        Self::ProgramRead,
        Self::ProgramWrite,
        Self::FileRead,
        Self::FileWrite,
        Self::TimeSet,
        Self::Security,
        Self::Diagnostic,
        Self::Route,
        Self::Use,
        Self::Unknown,
    ];

    /// The class's word in policy actions.
    pub fn name(self) -> &'static str {
        match self {
            Self::Housekeeping => "housekeeping",
            Self::Identify => "identify",
            Self::Read => "read",
            Self::Subscribe => "subscribe",
            Self::Write => "write",
            Self::Control => "control",
            Self::ProgramRead => "program-read",
            Self::ProgramWrite => "program-write",
            Self::FileRead => "file-read",
            Self::FileWrite => "file-write",
            Self::TimeSet => "time-set",
            Self::Security => "security",
            Self::Diagnostic => "diagnostic",
            Self::Route => "route",
            Self::Use => "use",
            Self::Unknown => "unknown",
        }
    }

    /// The class of that name, `None` for a word that is no class.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.name() == name)
    }

    /// Whether such an access changes the device, so that its record has to
    /// be on stable storage before it goes (write-ahead, promise 1).
    pub fn effect(self) -> Effect {
        match self {
            Self::Housekeeping | Self::Identify | Self::Read | Self::Subscribe => Effect::Observes,
            Self::Write
            | Self::Control
            | Self::ProgramRead
            | Self::ProgramWrite
            | Self::FileRead
            | Self::FileWrite
            | Self::TimeSet
            | Self::Security
            | Self::Diagnostic
            | Self::Route
            | Self::Use
            | Self::Unknown => Effect::Changes,
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// Whether an operation can change the state of the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effect {
    /// Leaves the device as it is.
    Observes,
    /// May change the device; recorded durably before it is sent.
    Changes,
}

/// An inclusive range of zero-based addresses, never empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct Range {
    first: u32,
    last: u32,
}

impl Range {
    /// The range from `first` to `last`, both included; `None` if reversed.
    pub fn new(first: u32, last: u32) -> Option<Self> {
        (first <= last).then_some(Self { first, last })
    }

    /// The range of `count` addresses from `first`; `None` for no address or
    /// past the end of the number space.
    pub fn counted(first: u32, count: u32) -> Option<Self> {
        let last = first.checked_add(count.checked_sub(1)?)?;
        Some(Self { first, last })
    }

    /// The range of one address.
    pub fn single(address: u32) -> Self {
        Self { first: address, last: address }
    }

    /// The lowest address.
    pub fn first(self) -> u32 {
        self.first
    }

    /// The highest address.
    pub fn last(self) -> u32 {
        self.last
    }

    /// Whether every address of `other` lies in this range.
    pub fn contains(self, other: Self) -> bool {
        self.first <= other.first && other.last <= self.last
    }

    /// Whether the two have an address in common.
    pub fn overlaps(self, other: Self) -> bool {
        self.first <= other.last && other.first <= self.last
    }
}

impl fmt::Display for Range {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last {
            write!(formatter, "[{}]", self.first)
        } else {
            write!(formatter, "[{}-{}]", self.first, self.last)
        }
    }
}

/// The values that an access carries towards the device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Values {
    /// None: a read, or a command without values.
    None,
    /// Single bits in address order, least significant bit of the first byte
    /// first (Modbus Application Protocol V1.1b3, 6.11).
    Bits(Bytes),
    /// 16-bit words in address order, each big endian.
    Words(Bytes),
    /// A masked write: new = (old AND `and`) OR (`or` AND NOT `and`)
    /// (Modbus Application Protocol V1.1b3, 6.16). Bits above the width of
    /// the element are 0 in both.
    Masked {
        /// Bits that keep their old value.
        and: u64,
        /// New value of the other bits.
        or: u64,
    },
    /// Numbers of one kind in address order. A part of a number at the end
    /// is possible, and is no number.
    Numbers {
        /// Their kind.
        kind: NumberKind,
        /// The order of the bytes of each.
        order: ByteOrder,
        /// Their bytes.
        bytes: Bytes,
    },
    /// Bytes without a type that policy could compare.
    Untyped(Bytes),
    /// What the protocol writes out in characters, such as the name of a
    /// block; not necessarily printable.
    Text(Bytes),
    /// The module of a rack that a connection is for.
    Module {
        /// What kind of peer the client says it is.
        connection: Connection,
        /// 0 to 7.
        rack: u8,
        /// 0 to 31.
        slot: u8,
    },
    /// What nobody is shown unless they ask for it: a password.
    Secret(Secret),
}

/// What a client says it is when it connects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Connection {
    /// A programming device (PG).
    Programmer,
    /// An operator panel (OP).
    Operator,
    /// Another controller or a simple client.
    Basic,
}

/// Bytes that neither `Debug` nor any `Display` shows.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Bytes);

impl Secret {
    pub(crate) fn new(bytes: Bytes) -> Self {
        Self(bytes)
    }

    /// The bytes, for someone who has asked for them.
    pub fn reveal(&self) -> &Bytes {
        &self.0
    }

    /// Where in the frame that it was decoded from it stands; `None` where it
    /// was put together from several pieces, or for another frame.
    pub fn place_in(&self, frame: &Bytes) -> Option<std::ops::Range<usize>> {
        if self.0.is_empty() {
            return Some(0..0);
        }
        let start = (self.0.as_ptr() as usize).checked_sub(frame.as_ptr() as usize)?;
        let end = start.checked_add(self.0.len())?;
        (end <= frame.len()).then_some(start..end)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("***")
    }
}

/// One access of an operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// What kind of thing it does.
    pub class: Class,
    /// The device behind a serial gateway; `None` where the protocol has none.
    pub unit: Option<u8>,
    /// Where; `None` if the request names no address.
    pub place: Option<Place>,
    /// With which values.
    pub values: Values,
}

impl Access {
    /// An access to the device as a whole.
    pub fn whole(class: Class, unit: Option<u8>) -> Self {
        Self { class, unit, place: None, values: Values::None }
    }
}

/// One decoded request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    /// The protocol it was decoded from.
    pub protocol: Protocol,
    /// The protocol's own name of the function, for people, e.g.
    /// `write single register`.
    pub function: &'static str,
    /// What it touches; never empty.
    pub accesses: SmallVec<[Access; 2]>,
}

impl Operation {
    /// What in it nobody is shown unless they ask for it.
    pub fn secrets(&self) -> impl Iterator<Item = &Secret> {
        self.accesses.iter().filter_map(|access| match &access.values {
            Values::Secret(secret) => Some(secret),
            Values::None
            | Values::Bits(_)
            | Values::Words(_)
            | Values::Masked { .. }
            | Values::Numbers { .. }
            | Values::Untyped(_)
            | Values::Text(_)
            | Values::Module { .. } => None,
        })
    }

    /// The strongest effect of its accesses.
    pub fn effect(&self) -> Effect {
        self.accesses.iter().map(|access| access.class.effect()).max().unwrap_or(Effect::Changes)
    }
}
