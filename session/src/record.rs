//! What the core wants recorded: plain data in the shape of a recording's
//! entries, which the gateway hands to its recorder one by one.

use authz::PolicyHash;
use bytes::Bytes;
use dissect::{Effect, FactName, Protocol};
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use crate::ending::{EndCause, How};
use crate::input::By;

/// Where on a channel bytes pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Tap {
    /// What the technician's tool sent.
    FromClient,
    /// What goes to the device.
    ToDevice,
    /// What the device sent.
    FromDevice,
    /// What goes to the technician's tool.
    ToClient,
}

impl fmt::Display for Tap {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::FromClient => "from_client",
            Self::ToDevice => "to_device",
            Self::FromDevice => "from_device",
            Self::ToClient => "to_client",
        })
    }
}

/// One thing to be recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Since the session's start.
    pub at: Duration,
    /// What.
    pub body: Body,
}

/// Bytes at a tap, or an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// Bytes at a tap.
    Bytes {
        /// The channel.
        channel: u32,
        /// The tap.
        tap: Tap,
        /// How many bytes passed the tap before.
        offset: u64,
        /// The bytes.
        bytes: Bytes,
    },
    /// Bytes at a tap that equal bytes which another tap of the same channel
    /// has, at most [`crate::REACH`] bytes back.
    Same {
        /// The channel.
        channel: u32,
        /// The tap.
        tap: Tap,
        /// How many bytes passed the tap before.
        offset: u64,
        /// How many bytes these are.
        length: u32,
        /// The tap that has them.
        of: Tap,
        /// Where they begin there.
        of_offset: u64,
    },
    /// Anything else that belongs to the session's story.
    Event(Event),
}

/// One turn of the session's story.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A channel was asked for and is permitted.
    ChannelOpened {
        /// The channel.
        channel: u32,
        /// The service's name in the inventory.
        service: String,
        /// How it is understood.
        protocol: Protocol,
        /// The device's port.
        port: u16,
    },
    /// The connection to the device stands.
    ChannelConnected {
        /// The channel.
        channel: u32,
    },
    /// The channel is over; nothing more of it follows.
    ChannelClosed {
        /// The channel.
        channel: u32,
        /// Whose doing it was.
        by: By,
        /// Whether what was sent could still arrive.
        how: How,
        /// Why, in plain words.
        reason: String,
        /// Bytes recorded per tap.
        totals: Totals,
    },
    /// A request was judged.
    Operation {
        /// Its number in the session, from 1.
        request: u64,
        /// The channel.
        channel: u32,
        /// Where its frame begins in the `from_client` tap.
        offset: u64,
        /// The frame's length in bytes; 0 for the opening of an opaque channel.
        length: u32,
        /// The protocol's own name of the function.
        function: &'static str,
        /// The operation in words.
        text: String,
        /// Whether it can change the device.
        effect: Effect,
        /// What was decided.
        decision: Decision,
        /// The deciding rule; empty where none applied.
        rule: String,
        /// Why; empty for an allowed one.
        reason: String,
    },
    /// The device answered a request, or sent something by itself.
    Answer {
        /// The request's number, or [`UNASKED`].
        request: u64,
        /// The channel.
        channel: u32,
        /// Where the answer's frame begins in the `from_device` tap.
        offset: u64,
        /// The frame's length in bytes.
        length: u32,
        /// What the device said.
        text: String,
        /// Whether it refused.
        refused: bool,
    },
    /// An opaque channel showed something in the clear.
    Observed {
        /// The channel.
        channel: u32,
        /// The tap at which it was seen: `from_client` or `from_device`.
        tap: Tap,
        /// Where in the tap the piece begins that showed it.
        offset: u64,
        /// What it is about.
        fact: FactName,
        /// What was shown, as the peer wrote it.
        value: String,
    },
    /// A request that did not go to the device is refused in the protocol's
    /// own words, which no device has said.
    Refusal {
        /// The request's number.
        request: u64,
        /// The channel.
        channel: u32,
        /// Where the refusal begins in the `to_client` tap.
        offset: u64,
        /// Its length in bytes.
        length: u32,
    },
    /// A direction lost its framing; the channel is closed for it.
    Unframed {
        /// The channel.
        channel: u32,
        /// The tap that could not be framed.
        tap: Tap,
        /// Why, in plain words.
        reason: String,
    },
    /// From here on the session is judged by other terms.
    TermsChanged {
        /// The policy that they come from.
        policy: PolicyHash,
        /// The canonical terms.
        terms: Bytes,
    },
    /// The technician's network address changed.
    PathChanged {
        /// The new address.
        source: IpAddr,
    },
    /// The session will end softly.
    Ending {
        /// Why.
        cause: EndCause,
        /// Seconds that are left.
        in_s: u32,
    },
    /// A remark.
    Note {
        /// The remark.
        text: String,
    },
}

/// In place of a request's number: the device sent this by itself.
pub const UNASKED: u64 = 0;

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Decision {
    /// It goes to the device.
    Allow,
    /// It was refused.
    Deny,
    /// It needs something that is not there, and was refused for that.
    Needs,
}

/// Bytes per tap.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Bytes that the technician's tool sent.
    pub from_client: u64,
    /// Bytes recorded for the device.
    pub to_device: u64,
    /// Bytes that the device sent.
    pub from_device: u64,
    /// Bytes recorded for the technician's tool.
    pub to_client: u64,
}
