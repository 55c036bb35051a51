//! Conditions: what else must hold for a rule to count.
//!
//! Terms are joined by `&`. A predicate is true, false or unknown; an
//! obligation is something that someone still has to do and belongs to allow
//! rules only. What is unknown never allows and always denies.

use crate::hint::nearest;
use crate::names::{GroupName, WindowName};
use crate::problem::Slip;
use crate::value::Bounds;
use crate::verdict::Obligation;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::IpAddr;
use std::num::NonZeroU32;

/// Something that is true, false or unknown at the moment of an operation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Predicate {
    Window(WindowName),
    From(IpNet),
    Webauthn,
    Value(Bounds),
}

/// A parsed condition field.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Condition {
    pub(crate) predicates: Vec<Predicate>,
    pub(crate) obligations: Vec<Obligation>,
    pub(crate) opaque: Opaque,
}

/// Whether a rule says that it means bytes which nobody understands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Opaque {
    #[default]
    NotMentioned,
    Accepted,
}

/// Three-valued truth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Truth {
    False,
    Unknown,
    True,
}

impl Truth {
    pub(crate) fn of(known: bool) -> Self {
        if known { Self::True } else { Self::False }
    }

    /// False if any is, else unknown if any is.
    pub(crate) fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::False, _) | (_, Self::False) => Self::False,
            (Self::Unknown, _) | (_, Self::Unknown) => Self::Unknown,
            (Self::True, Self::True) => Self::True,
        }
    }
}

const WORDS: [&str; 9] =
    ["window", "from", "mfa", "value", "approval", "hold", "supervised", "rate", "opaque-accepted"];

/// The most operations per second that a rate can name.
const FASTEST: u32 = 100_000;

/// The most terms of one condition.
const TERMS: usize = 16;

impl Condition {
    /// Parses the text of a rule's condition field; empty is no condition.
    pub(crate) fn parse(text: &str) -> Result<Self, Slip> {
        let mut condition = Self::default();
        if text.is_empty() {
            return Ok(condition);
        }
        let mut at = 0_usize;
        for (index, part) in text.split('&').enumerate() {
            let blanks = part.len().saturating_sub(part.trim_start().len());
            let start = at.saturating_add(blanks);
            if index == TERMS {
                return Err(Slip::at(start, format!("more than {TERMS} terms")));
            }
            condition.take(part.trim()).map_err(|slip| slip.shift(start))?;
            at = at.saturating_add(part.len()).saturating_add(1);
        }
        Ok(condition)
    }

    fn take(&mut self, term: &str) -> Result<(), Slip> {
        let (word, argument) = term.split_once(':').unwrap_or((term, ""));
        let place = word.len().saturating_add(1);
        match word {
            "" => Err(Slip::at(0, "a term is missing beside &")),
            "opaque-accepted" if term == word => self.accept_opaque(),
            "window" => self.predicate(Predicate::Window(name(place, argument, WindowName::parse)?)),
            "from" => self.predicate(Predicate::From(network(place, argument)?)),
            "mfa" if argument == "webauthn" => self.predicate(Predicate::Webauthn),
            "mfa" => Err(Slip::at(place.min(term.len()), "the only factor to ask for is mfa:webauthn")),
            "value" => {
                let bounds = Bounds::parse(argument).map_err(|slip| slip.shift(place))?;
                self.predicate(Predicate::Value(bounds))
            }
            "approval" => self.obligation(Obligation::Approval(name(place, argument, GroupName::parse)?)),
            "hold" => self.obligation(Obligation::Hold(name(place, argument, GroupName::parse)?)),
            "supervised" => self.obligation(Obligation::Supervised(name(place, argument, GroupName::parse)?)),
            "rate" => self.obligation(Obligation::Rate(rate(place, argument)?)),
            _ => Err(Slip::at(0, format!("unknown condition {word:?}")).hint(nearest(word, WORDS))),
        }
    }

    fn accept_opaque(&mut self) -> Result<(), Slip> {
        match self.opaque {
            Opaque::Accepted => Err(Slip::at(0, "said twice")),
            Opaque::NotMentioned => {
                self.opaque = Opaque::Accepted;
                Ok(())
            }
        }
    }

    fn predicate(&mut self, predicate: Predicate) -> Result<(), Slip> {
        let second_value = predicate.is_value() && self.predicates.iter().any(Predicate::is_value);
        if self.predicates.contains(&predicate) || second_value {
            return Err(Slip::at(0, "said twice"));
        }
        self.predicates.push(predicate);
        Ok(())
    }

    fn obligation(&mut self, obligation: Obligation) -> Result<(), Slip> {
        let is_rate = |one: &Obligation| matches!(one, Obligation::Rate(_));
        let second_rate = is_rate(&obligation) && self.obligations.iter().any(is_rate);
        if self.obligations.contains(&obligation) || second_rate {
            return Err(Slip::at(0, "said twice"));
        }
        self.obligations.push(obligation);
        Ok(())
    }

    /// Whether it compares values.
    pub(crate) fn has_value(&self) -> bool {
        self.predicates.iter().any(Predicate::is_value)
    }
}

impl Predicate {
    pub(crate) fn is_value(&self) -> bool {
        match self {
            Self::Value(_) => true,
            Self::Window(_) | Self::From(_) | Self::Webauthn => false,
        }
    }
}

impl fmt::Display for Predicate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Window(window) => write!(formatter, "window:{window}"),
            Self::From(network) => write!(formatter, "from:{network}"),
            Self::Webauthn => formatter.write_str("mfa:webauthn"),
            Self::Value(bounds) => write!(formatter, "value:{bounds}"),
        }
    }
}

/// The term as a condition has it.
pub(crate) fn term(obligation: &Obligation) -> String {
    match obligation {
        Obligation::Approval(group) => format!("approval:{group}"),
        Obligation::Hold(group) => format!("hold:{group}"),
        Obligation::Supervised(group) => format!("supervised:{group}"),
        Obligation::Rate(rate) => format!("rate:{rate}/s"),
    }
}

/// Whether an address lies within a network; IPv4 within IPv6 is IPv4.
pub(crate) fn lies_within(network: &IpNet, source: IpAddr) -> bool {
    network.contains(&source.to_canonical())
}

fn name<T>(at: usize, text: &str, parse: fn(&str) -> Result<T, crate::names::NameError>) -> Result<T, Slip> {
    parse(text).map_err(|error| Slip::at(at, error.to_string()))
}

fn network(at: usize, text: &str) -> Result<IpNet, Slip> {
    let network: IpNet = match (text.parse::<IpNet>(), text.parse::<IpAddr>()) {
        (Ok(network), _) => network,
        (Err(_), Ok(address)) => address.into(),
        (Err(_), Err(_)) => return Err(Slip::at(at, "expected a network such as 192.0.2.0/24")),
    };
    if network.trunc() != network {
        return Err(Slip::at(at, "the network has bits beyond its prefix")
            .hint(format!("did you mean {}?", network.trunc())));
    }
    Ok(network)
}

fn rate(at: usize, text: &str) -> Result<NonZeroU32, Slip> {
    text.strip_suffix("/s")
        .filter(|number| number.bytes().all(|byte| byte.is_ascii_digit()))
        .and_then(|number| number.parse::<NonZeroU32>().ok())
        .filter(|number| number.get() <= FASTEST)
        .ok_or_else(|| Slip::at(at, format!("expected N/s, N from 1 to {FASTEST}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_term_is_known() {
        let text = "window:tue-night & from:192.0.2.0/24&from:2001:db8::/32 & mfa:webauthn & value:0..900 \
                    & approval:shift-lead & hold:shift-lead & supervised:shift-lead & rate:5/s & opaque-accepted";
        let condition = Condition::parse(text).unwrap();
        assert_eq!((condition.predicates.len(), condition.obligations.len()), (5, 4));
        assert_eq!(condition.opaque, Opaque::Accepted);
        assert_eq!(Condition::parse("").unwrap(), Condition::default());
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        for (text, at, told) in [
            ("windwo:x", 0, "unknown condition \"windwo\""),
            ("mfa:totp", 4, "the only factor"),
            ("mfa", 3, "the only factor"),
            ("mfa:webauthn & ", 15, "a term is missing"),
            ("mfa:webauthn & value:9..1", 21, "backwards"),
            ("mfa:webauthn & mfa:webauthn", 15, "said twice"),
            ("value:0..1 & value:0..2", 13, "said twice"),
            ("rate:1/s & rate:2/s", 11, "said twice"),
            ("from:192.0.2.7/24", 5, "bits beyond"),
            ("from:nowhere", 5, "expected a network"),
            ("rate:0/s", 5, "expected N/s"),
            ("rate:+5/s", 5, "expected N/s"),
            ("approval:Shift", 9, "can't be part of a group"),
            ("approval:", 9, "can't be empty"),
            ("opaque-accepted:yes", 0, "unknown condition"),
            ("*", 0, "unknown condition"),
        ] {
            let slip = Condition::parse(text).expect_err(text);
            assert!(slip.offset == at && slip.message.contains(told), "{text}: {slip:?}");
        }
        assert!(Condition::parse(&["from:192.0.2.1"; 17].join("&")).is_err());
    }

    #[test]
    fn unknown_is_weaker_than_false() {
        assert_eq!(Truth::Unknown.and(Truth::False), Truth::False);
        assert_eq!(Truth::True.and(Truth::Unknown), Truth::Unknown);
        assert_eq!(Truth::True.and(Truth::True), Truth::True);
    }

    #[test]
    fn a_mapped_address_is_its_ipv4_self() {
        let network = "192.0.2.0/24".parse().unwrap();
        assert!(lies_within(&network, "::ffff:192.0.2.7".parse().unwrap()));
        assert!(!lies_within(&network, "::ffff:192.0.3.7".parse().unwrap()));
        assert!(!lies_within(&network, "2001:db8::1".parse().unwrap()));
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,40}") {
            let _ = Condition::parse(&text);
        }

        #[test]
        fn terms_read_as_written(text in "(window:[a-z]{1,5}|from:10\\.0\\.0\\.0/8|mfa:webauthn|value:0\\.\\.[1-9]{1,4})") {
            prop_assert_eq!(Condition::parse(&text).unwrap().predicates[0].to_string(), text);
        }
    }
}
