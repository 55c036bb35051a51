//! Facts: what Casbin is told about an operation beside its atom, as text,
//! and `holds`, which weighs a condition against them.
//!
//! `from=192.0.2.7 mfa=totp window:tue-night=open value=731 met:rate:5/s`,
//! joined by blanks. What is not among the facts is unknown. Never panics on
//! any text; a condition that can't be read never allows and always denies.

use crate::condition::{Condition, Predicate, Truth, lies_within, term};
use crate::names::WindowName;
use crate::value::Value;
use crate::verdict::{Assurance, Obligation};
use std::fmt;
use std::net::IpAddr;

/// What is true about one atom.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Facts<'a> {
    pub(crate) source: IpAddr,
    pub(crate) assurance: Assurance,
    /// Windows of which it is known.
    pub(crate) windows: Vec<(&'a WindowName, Truth)>,
    pub(crate) value: Option<Value>,
    pub(crate) met: Vec<&'a Obligation>,
}

impl fmt::Display for Facts<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let factor = match self.assurance {
            Assurance::CertificateAndTotp => "totp",
            Assurance::CertificateAndWebauthn => "webauthn",
        };
        write!(formatter, "from={} mfa={factor}", self.source)?;
        for (window, truth) in &self.windows {
            match truth {
                Truth::True => write!(formatter, " window:{window}=open")?,
                Truth::False => write!(formatter, " window:{window}=shut")?,
                Truth::Unknown => {}
            }
        }
        if let Some(value) = self.value {
            write!(formatter, " value={value}")?;
        }
        self.met.iter().try_for_each(|obligation| write!(formatter, " met:{}", term(obligation)))
    }
}

/// Casbin's `holds`: whether a rule of that condition and effect counts.
pub(crate) fn holds(facts: &str, condition: &str, effect: &str) -> bool {
    let parsed = Condition::parse(condition).ok();
    let truth = parsed.as_ref().map_or(Truth::Unknown, |condition| {
        condition.predicates.iter().map(|predicate| truth(facts, predicate)).fold(Truth::True, Truth::and)
    });
    match effect {
        "allow" => {
            let met = |obligation: &Obligation| told(facts, &format!("met:{}", term(obligation))).is_some();
            truth == Truth::True && parsed.is_some_and(|condition| condition.obligations.iter().all(met))
        }
        _ => truth != Truth::False,
    }
}

fn truth(facts: &str, predicate: &Predicate) -> Truth {
    match predicate {
        Predicate::Window(window) => match told(facts, &format!("window:{window}=")) {
            Some("open") => Truth::True,
            Some("shut") => Truth::False,
            Some(_) | None => Truth::Unknown,
        },
        Predicate::Webauthn => match told(facts, "mfa=") {
            Some("webauthn") => Truth::True,
            Some("totp") => Truth::False,
            Some(_) | None => Truth::Unknown,
        },
        Predicate::From(network) => told(facts, "from=")
            .and_then(|source| source.parse().ok())
            .map_or(Truth::Unknown, |source| Truth::of(lies_within(network, source))),
        Predicate::Value(bounds) => told(facts, "value=")
            .and_then(|value| value.parse().ok())
            .map_or(Truth::Unknown, |value| Truth::of(bounds.contain(value))),
    }
}

/// What follows `key` in the fact that begins with it; for a key without `=`
/// the fact has to end there.
fn told<'a>(facts: &'a str, key: &str) -> Option<&'a str> {
    facts
        .split(' ')
        .find_map(|fact| fact.strip_prefix(key).filter(|rest| key.ends_with('=') || rest.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const FACTS: &str =
        "from=192.0.2.7 mfa=totp window:day=open window:night=shut value=731 met:approval:lead";

    #[test]
    fn true_false_and_unknown_weigh_as_they_must() {
        for (condition, allows, denies) in [
            ("", true, true),
            ("window:day & value:0..900 & from:192.0.2.0/24", true, true),
            ("window:night", false, false),
            ("window:never-told", false, true),
            ("mfa:webauthn", false, false),
            ("window:never-told & mfa:webauthn", false, false),
            ("value:0..730", false, false),
            ("approval:lead", true, true),
            ("approval:lead-of-other", false, true),
            ("approval:le", false, true),
            ("hold:lead", false, true),
            ("not a condition", false, true),
        ] {
            assert_eq!(holds(FACTS, condition, "allow"), allows, "allow {condition}");
            assert_eq!(holds(FACTS, condition, "deny"), denies, "deny {condition}");
        }
        assert!(!holds("", "value:0..900", "allow"));
        assert!(holds("", "value:0..900", "deny"));
    }

    proptest! {
        #[test]
        fn no_text_panics(facts in "\\PC{0,40}", condition in "\\PC{0,40}", effect in "\\PC{0,8}") {
            holds(&facts, &condition, &effect);
        }
    }
}
