//! The events of a recording: who, what, which verdict by which rule, and
//! every turn that the session took.
//!
//! An event is CBOR (RFC 8949): a map of one pair, from the event's name to a
//! map of its fields, or to its name alone where it has none. Texts may come
//! from a peer, so each is cut at [`MAX_TEXT`] bytes when it is written; a
//! reader must still treat them as hostile when it shows them.

use crate::{Mode, Totals};
use bytes::Bytes;
use serde::{Deserialize, Serialize, Serializer};

/// Longest text in an event, in bytes of UTF-8. Longer ones are cut at a
/// character and end in `…`.
pub const MAX_TEXT: usize = 1024;

/// Longest event, in bytes of CBOR. The terms of a grant are the only part
/// that can come near it.
pub const MAX_EVENT: usize = 1024 * 1024;

/// One turn of the session's story.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Event {
    /// The session begins; the first entry of every recording.
    Started(Box<Started>),
    /// The technician's tool asked for a channel and got it.
    ChannelOpened {
        /// The channel, as numbered within the session.
        channel: u32,
        /// The service's name in the inventory.
        #[serde(serialize_with = "bounded")]
        service: String,
        /// The protocol by which it is understood.
        #[serde(serialize_with = "bounded")]
        protocol: String,
        /// The device's port.
        port: u16,
    },
    /// The connection to the device stands.
    ChannelConnected {
        /// The channel, as numbered within the session.
        channel: u32,
    },
    /// The channel is over; nothing more of it follows.
    ChannelClosed {
        /// The channel, as numbered within the session.
        channel: u32,
        /// Which side ended it: `client`, `device` or `gateway`.
        #[serde(serialize_with = "bounded")]
        by: String,
        /// Whether what was sent could still arrive: `finished`, or `reset`
        /// where bytes that were still queued were discarded.
        #[serde(serialize_with = "bounded")]
        how: String,
        /// Why, in plain words.
        #[serde(serialize_with = "bounded")]
        reason: String,
        /// Bytes that passed its taps.
        totals: Totals,
    },
    /// A request was decoded and judged.
    Operation {
        /// The request's number in the session, from 1.
        request: u64,
        /// The channel, as numbered within the session.
        channel: u32,
        /// Where its frame begins in the `from_client` tap.
        offset: u64,
        /// The frame's length in bytes.
        length: u32,
        /// The protocol's own name of the function.
        #[serde(serialize_with = "bounded")]
        function: String,
        /// The operation in words, e.g. `write holding[100] = 731`.
        #[serde(serialize_with = "bounded")]
        text: String,
        /// What it does to the device: `observes` or `changes`.
        #[serde(serialize_with = "bounded")]
        effect: String,
        /// What was decided.
        decision: Decision,
        /// The deciding rule, e.g. `policy.csv:12`; empty where none applied.
        #[serde(serialize_with = "bounded")]
        rule: String,
        /// Why, in plain words; empty for an allowed one.
        #[serde(serialize_with = "bounded")]
        reason: String,
    },
    /// The device answered a request, or sent something by itself.
    Answer {
        /// The number of the request that is answered, or [`Event::UNASKED`].
        request: u64,
        /// The channel, as numbered within the session.
        channel: u32,
        /// Where the answer's frame begins in the `from_device` tap.
        offset: u64,
        /// The frame's length in bytes.
        length: u32,
        /// What the device said, e.g. `ok` or `illegal data address`.
        #[serde(serialize_with = "bounded")]
        text: String,
        /// Whether the device refused.
        refused: bool,
    },
    /// An opaque channel showed something in the clear: what it is, a version,
    /// a name, the fingerprint of a key.
    Observed {
        /// The channel, as numbered within the session.
        channel: u32,
        /// The tap at which it was seen: `from_client` or `from_device`.
        #[serde(serialize_with = "bounded")]
        tap: String,
        /// Where in that tap the piece begins that showed it.
        offset: u64,
        /// What it is about, e.g. `tls.server-name`.
        #[serde(serialize_with = "bounded")]
        fact: String,
        /// What was shown, as the peer wrote it.
        #[serde(serialize_with = "bounded")]
        value: String,
    },
    /// A request that did not go to the device is refused in the protocol's
    /// own words: these bytes of the `to_client` tap are the gateway's, no
    /// device has said them.
    Refusal {
        /// The number of the request that is refused.
        request: u64,
        /// The channel, as numbered within the session.
        channel: u32,
        /// Where the refusal begins in the `to_client` tap.
        offset: u64,
        /// Its length in bytes.
        length: u32,
    },
    /// A direction lost its framing; the channel is closed for it.
    Unframed {
        /// The channel, as numbered within the session.
        channel: u32,
        /// The tap that could not be framed: `from_client` or `from_device`.
        #[serde(serialize_with = "bounded")]
        tap: String,
        /// Why, in plain words.
        #[serde(serialize_with = "bounded")]
        reason: String,
    },
    /// From here on the session is judged by other terms.
    TermsChanged {
        /// SHA-256 of the new policy.
        policy_hash: Bytes,
        /// The canonical terms.
        terms: Bytes,
    },
    /// The technician's network address changed.
    PathChanged {
        /// The new address.
        #[serde(serialize_with = "bounded")]
        source: String,
    },
    /// The gateway's wall clock jumped against its monotonic clock.
    ClockStep {
        /// Milliseconds by which it jumped, negative for backwards.
        step_ms: i64,
    },
    /// The session will end softly.
    Ending {
        /// Why, in plain words.
        #[serde(serialize_with = "bounded")]
        reason: String,
        /// Seconds that are left.
        in_s: u32,
    },
    /// A remark of the gateway.
    Note {
        /// The remark.
        #[serde(serialize_with = "bounded")]
        text: String,
    },
}

impl Event {
    /// In place of a request's number: the device sent this by itself.
    pub const UNASKED: u64 = 0;

    /// The channel that this event ends.
    pub(crate) fn closes(&self) -> Option<u32> {
        match self {
            Self::ChannelClosed { channel, .. } => Some(*channel),
            Self::Started(_)
            | Self::ChannelOpened { .. }
            | Self::ChannelConnected { .. }
            | Self::Operation { .. }
            | Self::Answer { .. }
            | Self::Observed { .. }
            | Self::Refusal { .. }
            | Self::Unframed { .. }
            | Self::TermsChanged { .. }
            | Self::PathChanged { .. }
            | Self::ClockStep { .. }
            | Self::Ending { .. }
            | Self::Note { .. } => None,
        }
    }

    /// Whether every field that holds one of a few words holds one of these,
    /// and a hash is as long as it must be.
    pub(crate) fn is_in_words_of_the_format(&self) -> bool {
        match self {
            Self::Started(started) => started.policy_hash.len() == POLICY_HASH,
            Self::TermsChanged { policy_hash, .. } => policy_hash.len() == POLICY_HASH,
            Self::ChannelClosed { by, how, .. } => {
                matches!(by.as_str(), "client" | "device" | "gateway")
                    && matches!(how.as_str(), "finished" | "reset")
            }
            Self::Operation { effect, .. } => matches!(effect.as_str(), "observes" | "changes"),
            Self::Observed { tap, .. } | Self::Unframed { tap, .. } => {
                matches!(tap.as_str(), "from_client" | "from_device")
            }
            Self::ChannelOpened { .. }
            | Self::ChannelConnected { .. }
            | Self::Answer { .. }
            | Self::Refusal { .. }
            | Self::PathChanged { .. }
            | Self::ClockStep { .. }
            | Self::Ending { .. }
            | Self::Note { .. } => true,
        }
    }

    /// More bytes than the event can have in CBOR.
    pub(crate) fn size_bound(&self) -> u64 {
        let terms = match self {
            Self::Started(started) => started.terms.len().saturating_add(started.policy_hash.len()),
            Self::TermsChanged { policy_hash, terms } => terms.len().saturating_add(policy_hash.len()),
            Self::ChannelOpened { .. }
            | Self::ChannelConnected { .. }
            | Self::ChannelClosed { .. }
            | Self::Operation { .. }
            | Self::Answer { .. }
            | Self::Observed { .. }
            | Self::Refusal { .. }
            | Self::Unframed { .. }
            | Self::PathChanged { .. }
            | Self::ClockStep { .. }
            | Self::Ending { .. }
            | Self::Note { .. } => 0,
        };
        u64::try_from(terms).unwrap_or(u64::MAX).saturating_add(TEXTS_BOUND)
    }
}

/// Length of a policy's hash, in bytes.
const POLICY_HASH: usize = 32;

/// More bytes than all texts and numbers of an event have in CBOR: `Started`
/// has nine texts.
const TEXTS_BOUND: u64 = 16 * 1024;

/// Who may do what, as decided when the session began.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Started {
    /// The person's permanent handle.
    #[serde(serialize_with = "bounded")]
    pub person: String,
    /// The target's id in the inventory.
    #[serde(serialize_with = "bounded")]
    pub target: String,
    /// The target's zone.
    #[serde(serialize_with = "bounded")]
    pub zone: String,
    /// The device's address.
    #[serde(serialize_with = "bounded")]
    pub address: String,
    /// The technician's network address.
    #[serde(serialize_with = "bounded")]
    pub source: String,
    /// How the person was authenticated.
    #[serde(serialize_with = "bounded")]
    pub assurance: String,
    /// When bytes must be on stable storage.
    pub mode: Mode,
    /// SHA-256 of the policy.
    pub policy_hash: Bytes,
    /// The reason that the technician gave, if any.
    #[serde(serialize_with = "bounded_option")]
    pub reason: Option<String>,
    /// The ticket that the technician named, if any.
    #[serde(serialize_with = "bounded_option")]
    pub ticket: Option<String>,
    /// The gateway's software and version.
    #[serde(serialize_with = "bounded")]
    pub software: String,
    /// The canonical terms of the grant.
    pub terms: Bytes,
}

/// What was decided on an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// It went to the device.
    Allow,
    /// It was refused.
    Deny,
    /// It needs something that was not there, and was refused for that.
    Needs,
}

impl Decision {
    /// The decision's word in listings and in the file.
    pub fn name(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
            Self::Needs => "needs",
        }
    }
}

pub(crate) fn bounded<S: Serializer>(text: &str, serializer: S) -> Result<S::Ok, S::Error> {
    match cut(text) {
        None => serializer.serialize_str(text),
        Some(kept) => serializer.serialize_str(&format!("{kept}…")),
    }
}

fn bounded_option<S: Serializer>(text: &Option<String>, serializer: S) -> Result<S::Ok, S::Error> {
    match text.as_deref().map(|text| (text, cut(text))) {
        None => serializer.serialize_none(),
        Some((text, None)) => serializer.serialize_some(text),
        Some((_, Some(kept))) => serializer.serialize_some(&format!("{kept}…")),
    }
}

/// The part of a too long text that is kept, `None` if it need not be cut.
pub(crate) fn cut(text: &str) -> Option<&str> {
    if text.len() <= MAX_TEXT {
        return None;
    }
    let room = MAX_TEXT.saturating_sub("…".len());
    let end = (0..=room).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    text.get(..end)
}
