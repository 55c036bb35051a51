//! One request with its verdict and what became of it.

use authz::Tag;
use bytes::Bytes;
use dissect::{Class, Operation, Place, Protocol};
use recording::{Decision, Position};
use std::fmt::Write as _;
use std::ops::Range;
use std::rc::Rc;
use std::time::Duration;

/// A channel as the recording names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Channel {
    pub(crate) number: u32,
    pub(crate) service: String,
    /// As recorded; [`Self::known`] where this program knows it.
    pub(crate) protocol: String,
    pub(crate) known: Option<Protocol>,
    /// The device's port, 0 for a channel that was never opened.
    pub(crate) port: u16,
}

impl Channel {
    /// A channel that was never opened: an opaque service that was refused.
    pub(crate) fn unknown(number: u32) -> Self {
        Self { number, service: String::new(), protocol: String::new(), known: None, port: 0 }
    }
}

/// A request that was judged.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) number: u64,
    pub(crate) channel: Rc<Channel>,
    /// When it was judged, after the session's start.
    pub(crate) asked: Duration,
    /// The frame of the recording that holds its verdict.
    pub(crate) position: Position,
    /// Its bytes, where the recording has them, as they are.
    pub(super) frame: Option<Bytes>,
    pub(super) hidden: Hidden,
    pub(crate) function: String,
    pub(crate) text: String,
    pub(crate) effect: String,
    pub(crate) decision: Decision,
    pub(crate) rule: String,
    pub(crate) reason: String,
    /// What it touches; empty for a malformed one.
    pub(crate) accesses: Vec<Access>,
    pub(crate) malformed: bool,
    pub(crate) outcome: Outcome,
}

impl Request {
    /// The operation in words, or else the function.
    pub(crate) fn words(&self) -> &str {
        if self.text.is_empty() { &self.function } else { &self.text }
    }

    /// The answer, where there was one.
    pub(crate) fn answer(&self) -> Option<&Answer> {
        match &self.outcome {
            Outcome::Answered(answer) => Some(answer),
            Outcome::Denied | Outcome::Opened | Outcome::Sent | Outcome::Unanswered => None,
        }
    }

    /// Its bytes in hexadecimal, those that are hidden as `**`.
    pub(crate) fn hex(&self) -> Option<String> {
        self.frame.as_ref().map(|frame| self.hidden.hex(frame))
    }

    /// Whether something in it is hidden.
    pub(crate) fn hides(&self) -> bool {
        self.hidden != Hidden::default()
    }

    /// The last frame of the recording that says something of it.
    pub(crate) fn last_position(&self) -> Position {
        self.answer().map_or(self.position, |answer| answer.position.max(self.position))
    }
}

/// Which bytes of a request nobody is shown unless they ask for them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Hidden {
    /// These; none for a request without a secret.
    Parts(Vec<Range<usize>>),
    /// All: where in it the secret stands is not known.
    All,
}

impl Default for Hidden {
    fn default() -> Self {
        Self::Parts(Vec::new())
    }
}

impl Hidden {
    pub(super) fn of(operation: &Operation, frame: Option<&Bytes>) -> Self {
        let places = operation.secrets().map(|secret| secret.place_in(frame?));
        places.collect::<Option<_>>().map_or(Self::All, Self::Parts)
    }

    fn hex(&self, frame: &[u8]) -> String {
        let hides = |place| match self {
            Self::Parts(parts) => parts.iter().any(|part| part.contains(&place)),
            Self::All => true,
        };
        frame.iter().enumerate().fold(String::new(), |mut text, (place, byte)| {
            if hides(place) {
                text.push_str("**");
            } else {
                // Writing to a text can't fail.
                let _written = write!(text, "{byte:02x}");
            }
            text
        })
    }
}

/// One access of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Access {
    pub(crate) class: Class,
    pub(crate) unit: Option<u8>,
    pub(crate) place: Option<Place>,
    /// Names of the target's tags that it touches.
    pub(crate) tags: Vec<String>,
}

impl Access {
    pub(crate) fn new(protocol: Protocol, access: dissect::Access, tags: &[Tag]) -> Self {
        let dissect::Access { class, unit, place, .. } = access;
        let touched = |tag: &&Tag| {
            place.as_ref().is_some_and(|place| {
                let unit = tag.unit.is_none() || tag.unit == unit;
                unit && tag.protocol == protocol && tag.place.overlaps(place)
            })
        };
        let tags = tags.iter().filter(touched).map(|tag| tag.name.to_string()).collect();
        Self { class, unit, place, tags }
    }
}

/// What became of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It was refused by the gateway.
    Denied,
    /// It was the opening of an opaque service, and was allowed.
    Opened,
    /// It went to the device, which by the protocol's rules never answers it.
    Sent,
    /// It went to the device, which has not answered.
    Unanswered,
    /// It went to the device, which answered.
    Answered(Answer),
}

/// What the device said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    /// When, after the session's start.
    pub(crate) at: Duration,
    /// The frame of the recording that tells it.
    pub(crate) position: Position,
    /// Its bytes, where the recording has them.
    pub(crate) frame: Option<Bytes>,
    pub(crate) text: String,
    pub(crate) refused: bool,
}
