//! The terms of a grant: all that judging needs, and nothing that could dial.
//!
//! Terms are data. They go into the recording as canonical bytes, so that a
//! replay judges as the gateway did, and they can be made from such bytes by
//! anyone: what lets a session reach a device is the `Grant` around them.
//!
//! Judging an operation: each of its atoms meets the rules of its address. A
//! matching deny that is true or unknown denies the whole operation; else a
//! matching allow that is true and owes nothing lets the atom pass; else the
//! obligations of the first matching allow that is true are owed; else the
//! operation is denied.

use crate::condition::{Predicate, term};
use crate::files::PolicyHash;
use crate::index::Index;
use crate::names::{Handle, ServiceName, TargetId, WindowName, ZoneName};
use crate::rules::Ruling;
use crate::scope::Scope;
use crate::tag::Tag;
use crate::verdict::{Obligation, RuleId};
use crate::window::Open;
use dissect::{Area, Place, Protocol};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::num::NonZeroU32;

/// What one person may do on one target, compiled.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(try_from = "Content", into = "Content")]
pub struct Terms {
    pub(crate) content: Content,
    pub(crate) index: Index,
}

/// The terms as they are written down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Content {
    pub(crate) person: Handle,
    pub(crate) target: TargetId,
    pub(crate) zone: Option<ZoneName>,
    pub(crate) policy: PolicyHash,
    pub(crate) granted: Timestamp,
    pub(crate) expires: Timestamp,
    pub(crate) services: Vec<(ServiceName, Protocol)>,
    pub(crate) tags: Vec<Tag>,
    pub(crate) windows: Vec<OpenTimes>,
    pub(crate) rules: Vec<TermRule>,
}

/// When a window is open between the grant and its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct OpenTimes {
    pub(crate) window: WindowName,
    pub(crate) open: Vec<Open>,
}

/// A rule that can apply to the person on the target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TermRule {
    pub(crate) id: RuleId,
    pub(crate) ruling: Ruling,
    pub(crate) scope: Scope,
    pub(crate) predicates: Vec<Predicate>,
    pub(crate) obligations: Vec<Obligation>,
}

/// Why bytes are no terms.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TermsError {
    /// Written by another version.
    #[error("terms of version {0} can't be read by this version")]
    Version(u8),
    /// Larger than any terms that are ever made.
    #[error("terms of {0} bytes are out of bounds")]
    Size(usize),
    /// Not terms at all.
    #[error("not terms: {0}")]
    Malformed(String),
}

/// The version byte in front of the canonical bytes.
const VERSION: u8 = 2;

impl Terms {
    /// The most bytes of terms.
    pub const LARGEST: usize = 4 * 1024 * 1024;

    /// Compiles what was written down.
    pub(crate) fn compile(content: Content) -> Result<Self, String> {
        let reversed = |first, last| first > last;
        let places = content.rules.iter().filter_map(|rule| rule.scope.place.as_ref());
        for place in places.chain(content.tags.iter().map(|tag| &tag.place)) {
            if let Place::Range { range, .. } = place
                && reversed(range.first(), range.last())
            {
                return Err("a range runs backwards".to_owned());
            }
        }
        let windows: Vec<WindowName> = content.windows.iter().map(|times| times.window.clone()).collect();
        let index = Index::build(&content.rules, &windows, &content.tags)?;
        Ok(Self { content, index })
    }

    /// The person.
    pub fn person(&self) -> &Handle {
        &self.content.person
    }

    /// The target.
    pub fn target(&self) -> &TargetId {
        &self.content.target
    }

    /// The target's zone.
    pub fn zone(&self) -> Option<&ZoneName> {
        self.content.zone.as_ref()
    }

    /// The policy that they come from.
    pub fn policy(&self) -> PolicyHash {
        self.content.policy
    }

    /// From when they hold.
    pub fn granted(&self) -> Timestamp {
        self.content.granted
    }

    /// Until when they hold, excluded.
    pub fn expires(&self) -> Timestamp {
        self.content.expires
    }

    /// The services on which some operation could be allowed, with their
    /// protocols. A channel to any other service need not be opened.
    pub fn services(&self) -> impl Iterator<Item = (&ServiceName, Protocol)> {
        self.content.services.iter().map(|(name, protocol)| (name, *protocol))
    }

    /// The target's tags.
    pub fn tags(&self) -> &[Tag] {
        &self.content.tags
    }

    /// The strictest pace that any rule demands, in operations per second.
    /// For which operations is told by [`crate::Verdict::Needs`] with an
    /// [`Obligation::Rate`]: a core that paces may take that one as met, any
    /// other refuses the operation.
    pub fn rate(&self) -> Option<NonZeroU32> {
        let obligations = self.content.rules.iter().flat_map(|rule| &rule.obligations);
        let rates = obligations.filter_map(|obligation| match obligation {
            Obligation::Rate(rate) => Some(*rate),
            Obligation::Approval(_) | Obligation::Hold(_) | Obligation::Supervised(_) => None,
        });
        rates.min()
    }

    /// The rules and times, one line each, for people.
    pub fn describe(&self) -> Vec<String> {
        let head = format!(
            "{} on {} from {} until {}",
            self.content.person, self.content.target, self.content.granted, self.content.expires
        );
        let windows = self.content.windows.iter().map(|times| {
            let open: Vec<String> =
                times.open.iter().map(|(from, until)| format!("{from} to {until}")).collect();
            let open = if open.is_empty() { "never".to_owned() } else { open.join(", ") };
            format!("window {}: {open}", times.window)
        });
        std::iter::once(head)
            .chain(self.content.rules.iter().map(ToString::to_string))
            .chain(windows)
            .collect()
    }

    /// Canonical bytes: a version byte, then postcard.
    pub fn to_bytes(&self) -> Vec<u8> {
        // Serializing plain data into memory can't fail; an empty result
        // would be refused by `from_bytes`.
        let bytes = postcard::to_extend(&self.content, vec![VERSION]);
        bytes.unwrap_or_default()
    }

    /// Terms from [`Terms::to_bytes`].
    ///
    /// # Errors
    /// [`TermsError`] for other versions, sizes or forms; never a panic.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, TermsError> {
        if bytes.len() > Self::LARGEST {
            return Err(TermsError::Size(bytes.len()));
        }
        let malformed = |error: &dyn fmt::Display| TermsError::Malformed(error.to_string());
        let (&version, body) = bytes.split_first().ok_or_else(|| malformed(&"empty"))?;
        if version != VERSION {
            return Err(TermsError::Version(version));
        }
        let content: Content = postcard::from_bytes(body).map_err(|error| malformed(&error))?;
        let terms = Self::compile(content).map_err(|error| malformed(&error))?;
        if terms.to_bytes() == bytes { Ok(terms) } else { Err(malformed(&"not in their one canonical form")) }
    }

    /// The tag that an address belongs to.
    pub(crate) fn tag_at(
        &self,
        protocol: Protocol,
        unit: Option<u8>,
        area: Area,
        address: u32,
    ) -> Option<&Tag> {
        self.content.tags.get(self.index.tag(protocol, unit, area, address)?)
    }

    /// The tag that an atom belongs to.
    pub(crate) fn tag_of(&self, protocol: Protocol, unit: Option<u8>, atom: &Place) -> Option<&Tag> {
        match atom {
            Place::Range { area, range } => self.tag_at(protocol, unit, *area, range.first()),
            Place::Name(_) | Place::Object(_) => {
                let tags = self.index.named_tags().filter_map(|number| self.content.tags.get(number));
                tags.into_iter().find(|tag| tag.protocol == protocol && tag.place.covers(atom))
            }
        }
    }
}

impl PartialEq for Terms {
    fn eq(&self, other: &Self) -> bool {
        self.content == other.content
    }
}

impl Eq for Terms {}

impl From<Terms> for Content {
    fn from(terms: Terms) -> Self {
        terms.content
    }
}

impl TryFrom<Content> for Terms {
    type Error = String;

    fn try_from(content: Content) -> Result<Self, String> {
        Self::compile(content)
    }
}

impl fmt::Display for TermRule {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ruling = match self.ruling {
            Ruling::Allow => "allow",
            Ruling::Deny => "deny",
        };
        write!(formatter, "{}: {ruling} {}", self.id, self.scope)?;
        let predicates = self.predicates.iter().map(ToString::to_string);
        let conditions: Vec<String> = predicates.chain(self.obligations.iter().map(term)).collect();
        if conditions.is_empty() { Ok(()) } else { write!(formatter, " if {}", conditions.join(" & ")) }
    }
}
