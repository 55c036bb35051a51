//! What the core wants done.

use crate::ending::{EndCause, How};
use crate::record::Entry;
use bytes::Bytes;
use std::time::Duration;

/// One thing to do, in the order given. When a [`Action::Record`] fails, none
/// of the actions behind it may be done; [`EndCause::RecorderFailed`] is then
/// the next input.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Action {
    /// Write this to the recording.
    Record(Entry),
    /// Bring all recorded so far to stable storage, then say
    /// [`crate::Input::Durable`].
    Sync {
        /// The ticket to say it with; a later one covers all earlier.
        ticket: u64,
    },
    /// Connect to the device's service.
    Dial {
        /// For this channel.
        channel: u32,
        /// The service's name in the inventory.
        service: String,
    },
    /// Tell the client that its channel is open.
    ConfirmChannel {
        /// The channel.
        channel: u32,
    },
    /// Tell the client that there will be no such channel.
    RefuseChannel {
        /// The channel.
        channel: u32,
        /// What kind of refusal.
        refusal: Refusal,
        /// Why, in plain words.
        text: String,
    },
    /// Send to the device.
    ToDevice {
        /// On this channel.
        channel: u32,
        /// The bytes.
        bytes: Bytes,
    },
    /// Send to the technician's tool.
    ToClient {
        /// On this channel.
        channel: u32,
        /// The bytes.
        bytes: Bytes,
    },
    /// Tell the device that nothing more will come, after what was sent.
    FinishDevice {
        /// On this channel.
        channel: u32,
    },
    /// Tell the tool that nothing more will come, after what was sent.
    FinishClient {
        /// On this channel.
        channel: u32,
    },
    /// Close both sides and forget the channel.
    CloseChannel {
        /// The channel.
        channel: u32,
        /// Whether bytes still queued may go out first.
        how: How,
        /// Why, in plain words.
        why: String,
    },
    /// The person has done something: an operation that changes the device
    /// goes to it, or an opaque service was opened.
    Active,
    /// Tell the technician.
    Notice(Notice),
    /// The session is over. No action towards a peer follows.
    End {
        /// Hard or soft.
        how: How,
        /// Why.
        cause: EndCause,
    },
}

/// Why a channel is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// The policy does not permit the service.
    NotPermitted,
    /// As many channels as the target's limits allow are open.
    Busy,
    /// The device does not take the connection.
    Unreachable,
    /// The session is ending.
    Ended,
    /// The channel's number was used before, or too many were.
    Malformed,
    /// The person has to show the second factor again first.
    Paused,
}

/// News for the technician's client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// An operation was refused.
    Denied {
        /// On this channel.
        channel: u32,
        /// The operation in words.
        operation: String,
        /// Why.
        reason: String,
        /// By which rule; empty where none applied.
        rule: String,
    },
    /// The session will end.
    Ending {
        /// Why.
        cause: EndCause,
        /// Seconds that are left.
        in_s: u32,
    },
    /// The session has ended.
    Ended {
        /// Why.
        cause: EndCause,
    },
    /// Other terms apply.
    GrantChanged {
        /// When they end, since the session's start.
        expires: Duration,
    },
}

/// What a session has seen so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Requests judged, and openings of opaque channels.
    pub operations: u64,
    /// How many of them were refused.
    pub denied: u64,
}
