//! What a recording keeps: bytes of the four taps and events, each with its
//! time.
//!
//! This module names things only. How they lie in the file is in `batch`,
//! how they are sealed in `ratchet`.

use crate::Event;
use bytes::Bytes;
use std::time::Duration;

/// One of the four points of a channel at which bytes are kept.
///
/// The taps of one direction differ where a request was denied or a
/// protocol's sequence numbers had to be translated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Tap {
    /// What the technician's tool sent.
    FromClient,
    /// What was sent on to the device.
    ToDevice,
    /// What the device sent.
    FromDevice,
    /// What was sent on to the technician's tool.
    ToClient,
}

impl Tap {
    /// Every tap, in the order of the totals in a recording.
    pub const ALL: [Self; 4] = [Self::FromClient, Self::ToDevice, Self::FromDevice, Self::ToClient];

    /// The tap's word in listings and exports.
    pub fn name(self) -> &'static str {
        match self {
            Self::FromClient => "from_client",
            Self::ToDevice => "to_device",
            Self::FromDevice => "from_device",
            Self::ToClient => "to_client",
        }
    }

    /// The tap's number in the file.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::FromClient => 0,
            Self::ToDevice => 1,
            Self::FromDevice => 2,
            Self::ToClient => 3,
        }
    }

    /// The tap of that number, `None` for a number that is no tap.
    pub(crate) fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|tap| tap.code() == code)
    }
}

/// One thing that happened, with its time.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Time since the recording's monotonic start. At most 584 years.
    pub at: Duration,
    /// What happened.
    pub body: Body,
}

/// What an [`Entry`] says.
///
/// The bytes of one tap of one channel are contiguous: the first ones have
/// offset 0, each later `Bytes` or `Same` begins where the one before ended.
/// The writer refuses anything else, since a gap would be unrecorded bytes.
#[derive(Debug, Clone, PartialEq)]
pub enum Body {
    /// Bytes that passed a tap.
    Bytes {
        /// The channel, as numbered within the session.
        channel: u32,
        /// The tap that they passed.
        tap: Tap,
        /// Count of bytes that passed this tap of the channel before.
        offset: u64,
        /// The bytes.
        bytes: Bytes,
    },
    /// Bytes that passed a tap and equal bytes that passed another tap of the
    /// same channel at most [`crate::WINDOW`] bytes ago.
    Same {
        /// The channel, as numbered within the session.
        channel: u32,
        /// The tap that they passed.
        tap: Tap,
        /// Count of bytes that passed this tap of the channel before.
        offset: u64,
        /// Count of bytes, at most [`crate::WINDOW`].
        length: u32,
        /// The tap that kept the bytes.
        of: Tap,
        /// Offset of the first of them in that tap.
        of_offset: u64,
    },
    /// Anything else that belongs to the session's story.
    Event(Event),
}

/// A place in a recording file: everything before it is written.
///
/// Positions of one recording are ordered: a later one covers an earlier one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// Bytes from the start of the file.
    pub bytes: u64,
    /// Frames from the start of the file, the header not counted.
    pub frames: u64,
}

/// Bytes per tap, over all channels.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Totals {
    /// Bytes that the technician's tool sent.
    pub from_client: u64,
    /// Bytes sent on to the device.
    pub to_device: u64,
    /// Bytes that the device sent.
    pub from_device: u64,
    /// Bytes sent on to the technician's tool.
    pub to_client: u64,
}

impl Totals {
    /// Counts `bytes` more on `tap`.
    pub fn add(&mut self, tap: Tap, bytes: u64) {
        let total = match tap {
            Tap::FromClient => &mut self.from_client,
            Tap::ToDevice => &mut self.to_device,
            Tap::FromDevice => &mut self.from_device,
            Tap::ToClient => &mut self.to_client,
        };
        *total = total.saturating_add(bytes);
    }

    /// The count of `tap`.
    pub fn of(&self, tap: Tap) -> u64 {
        match tap {
            Tap::FromClient => self.from_client,
            Tap::ToDevice => self.to_device,
            Tap::FromDevice => self.from_device,
            Tap::ToClient => self.to_client,
        }
    }
}
