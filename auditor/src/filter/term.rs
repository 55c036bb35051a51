//! The words of a filter: what each of them means.

use super::pattern::Pattern;
use super::{Facts, Subject};
use crate::chronicle::{Access, Outcome, Request};
use crate::row::Who;
use dissect::{Class, Place, Protocol};
use recording::{Decision, Tap};
use std::ops::RangeInclusive;

/// A single word, with what stands in its brackets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Term {
    /// `*`: everything.
    Anything,
    Class(Class),
    Protocol(Protocol),
    Changes,
    Observes,
    Malformed,
    Allowed,
    Denied,
    Needs,
    Answered,
    Refused,
    Unanswered,
    Place(Place),
    Unit(u8),
    Tag(Pattern),
    Channel(RangeInclusive<u64>),
    Request(RangeInclusive<u64>),
    Tap(Tap),
    Function(Pattern),
    Text(Pattern),
    Answer(Pattern),
    Rule(Pattern),
    Service(Pattern),
    Person(Pattern),
    Target(Pattern),
    Zone(Pattern),
    Session(Pattern),
}

/// What a word wants in brackets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wants {
    /// No brackets.
    Nothing,
    /// A unit, 0 to 255.
    Unit,
    /// A number or a range of them.
    Numbers,
    /// A name, with stars.
    Name,
    /// Words that occur.
    Words,
    /// An area, with addresses or without, or another place of the protocol.
    Place(Protocol),
}

/// Words that are neither class nor protocol nor area.
pub(crate) const OTHERS: [(&str, Wants); 25] = [
    ("changes", Wants::Nothing),
    ("observes", Wants::Nothing),
    ("malformed", Wants::Nothing),
    ("allowed", Wants::Nothing),
    ("denied", Wants::Nothing),
    ("needs", Wants::Nothing),
    ("answered", Wants::Nothing),
    ("refused", Wants::Nothing),
    ("unanswered", Wants::Nothing),
    ("from_client", Wants::Nothing),
    ("from_device", Wants::Nothing),
    ("*", Wants::Nothing),
    ("unit", Wants::Unit),
    ("channel", Wants::Numbers),
    ("request", Wants::Numbers),
    ("tag", Wants::Name),
    ("function", Wants::Name),
    ("rule", Wants::Name),
    ("service", Wants::Name),
    ("person", Wants::Name),
    ("target", Wants::Name),
    ("zone", Wants::Name),
    ("session", Wants::Name),
    ("text", Wants::Words),
    ("answer", Wants::Words),
];

impl Term {
    /// The term of a word without brackets.
    pub(crate) fn plain(word: &str) -> Option<Self> {
        let other = match word {
            "*" => Some(Self::Anything),
            "changes" => Some(Self::Changes),
            "observes" => Some(Self::Observes),
            "malformed" => Some(Self::Malformed),
            "allowed" => Some(Self::Allowed),
            "denied" => Some(Self::Denied),
            "needs" => Some(Self::Needs),
            "answered" => Some(Self::Answered),
            "refused" => Some(Self::Refused),
            "unanswered" => Some(Self::Unanswered),
            "from_client" => Some(Self::Tap(Tap::FromClient)),
            "from_device" => Some(Self::Tap(Tap::FromDevice)),
            _ => None,
        };
        other
            .or_else(|| Class::from_name(word).map(Self::Class))
            .or_else(|| Protocol::from_name(word).map(Self::Protocol))
    }

    /// The term of a word about names.
    pub(crate) fn named(word: &str, inner: &str) -> Option<Self> {
        let name = Pattern::new(inner);
        match word {
            "tag" => Some(Self::Tag(name)),
            "function" => Some(Self::Function(name)),
            "rule" => Some(Self::Rule(name)),
            "service" => Some(Self::Service(name)),
            "person" => Some(Self::Person(name)),
            "target" => Some(Self::Target(name)),
            "zone" => Some(Self::Zone(name)),
            "session" => Some(Self::Session(name)),
            "text" => Some(Self::Text(Pattern::within(inner))),
            "answer" => Some(Self::Answer(Pattern::within(inner))),
            _ => None,
        }
    }

    pub(crate) fn fits(&self, facts: &Facts<'_>, access: Option<&Access>) -> bool {
        let request = match facts.subject {
            Subject::Request(request) => Some(request),
            Subject::Piece(_) => None,
        };
        let of_request = |judge: &dyn Fn(&Request) -> bool| request.is_some_and(judge);
        let of_access = |judge: &dyn Fn(&Access) -> bool| access.is_some_and(judge);
        let of_who = |judge: &dyn Fn(&Who) -> bool| facts.who.is_some_and(judge);
        match self {
            Self::Anything => true,
            Self::Class(class) => of_access(&|access| access.class == *class),
            Self::Protocol(protocol) => facts.channel.known == Some(*protocol),
            Self::Changes => of_request(&|request| request.effect == "changes"),
            Self::Observes => of_request(&|request| request.effect == "observes"),
            Self::Malformed => of_request(&|request| request.malformed),
            // Bytes of an opaque service pass only where its use is allowed.
            Self::Allowed => request.is_none_or(|request| request.decision == Decision::Allow),
            Self::Denied => of_request(&|request| request.decision != Decision::Allow),
            Self::Needs => of_request(&|request| request.decision == Decision::Needs),
            Self::Answered => of_request(&|request| request.answer().is_some()),
            Self::Refused => of_request(&|request| request.answer().is_some_and(|answer| answer.refused)),
            Self::Unanswered => of_request(&|request| request.outcome == Outcome::Unanswered),
            Self::Place(wanted) => {
                of_access(&|access| access.place.as_ref().is_some_and(|place| wanted.overlaps(place)))
            }
            Self::Unit(unit) => of_access(&|access| access.unit == Some(*unit)),
            Self::Tag(name) => of_access(&|access| access.tags.iter().any(|tag| name.fits(tag))),
            Self::Channel(numbers) => numbers.contains(&facts.channel.number.into()),
            Self::Request(numbers) => of_request(&|request| numbers.contains(&request.number)),
            Self::Tap(tap) => match facts.subject {
                Subject::Piece(at) => at == *tap,
                Subject::Request(_) => *tap == Tap::FromClient,
            },
            Self::Function(name) => of_request(&|request| name.fits(&request.function)),
            Self::Text(words) => of_request(&|request| words.fits(&request.text)),
            Self::Answer(words) => {
                of_request(&|request| request.answer().is_some_and(|answer| words.fits(&answer.text)))
            }
            Self::Rule(name) => of_request(&|request| name.fits(&request.rule)),
            Self::Service(name) => name.fits(&facts.channel.service),
            Self::Person(name) => of_who(&|who| name.fits(&who.person)),
            Self::Target(name) => of_who(&|who| name.fits(&who.target)),
            Self::Zone(name) => of_who(&|who| name.fits(&who.zone)),
            Self::Session(name) => name.fits(facts.session),
        }
    }
}
