//! The words in which a judgement is told: verdict, reason, obligation.

use crate::names::{GroupName, TagName, WindowName};
use dissect::Denial;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::IpAddr;
use std::num::NonZeroU32;

/// What is true at the moment of an operation, beyond the operation itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Circumstances {
    /// The gateway's time.
    pub now: Timestamp,
    /// Where the technician's connection comes from.
    pub source: IpAddr,
    /// How the person signed in.
    pub assurance: Assurance,
}

/// With which factors a person signed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Assurance {
    /// Two things owned: a key in a file and a code generator.
    CertificateAndTotp,
    /// A key in a file and an authenticator that verified its user.
    CertificateAndWebauthn,
}

impl Assurance {
    /// The assurance of which `Display` gives these words.
    pub fn from_words(words: &str) -> Option<Self> {
        [Self::CertificateAndTotp, Self::CertificateAndWebauthn]
            .into_iter()
            .find(|one| one.to_string() == words)
    }
}

impl fmt::Display for Assurance {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::CertificateAndTotp => "certificate and code",
            Self::CertificateAndWebauthn => "certificate and security key",
        })
    }
}

/// The judgement on one operation.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Verdict {
    /// It may go.
    Allow {
        /// The rule that allows its first atom.
        rule: RuleId,
    },
    /// It must not go.
    Deny(Refused),
    /// It may go once all of these are met; whoever can't meet one refuses.
    Needs {
        /// The rule that demands the first of them.
        rule: RuleId,
        /// What is demanded, without repetition, never empty.
        obligations: Vec<Obligation>,
    },
}

/// Why an operation must not go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The rule that denies, or that would have allowed but for the reason.
    pub rule: Option<RuleId>,
    /// Why, for people.
    pub reason: Reason,
    /// Which of a protocol's refusals says it best.
    pub denial: Denial,
}

/// A rule by its line in `policy.csv`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RuleId {
    /// The line, from 1; 0 is [`RuleId::GRANT`].
    pub line: u32,
}

impl RuleId {
    /// What every grant carries: housekeeping and identify.
    pub const GRANT: Self = Self { line: 0 };
}

impl fmt::Display for RuleId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::GRANT {
            formatter.write_str("comes with the grant")
        } else {
            write!(formatter, "policy.csv:{}", self.line)
        }
    }
}

/// Why an operation is denied, in plain words through `Display`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// Nothing allows it.
    NoRule {
        /// The atom, as an action.
        action: String,
    },
    /// A rule denies it.
    Denied {
        /// The atom, as an action.
        action: String,
    },
    /// A rule denies it unless something is known that is not.
    DeniedUnknown {
        /// The atom, as an action.
        action: String,
        /// What is not known.
        unknown: Unknown,
    },
    /// The only rules for it want something that is not known.
    Unknown {
        /// What is not known.
        unknown: Unknown,
    },
    /// The value is out of bounds.
    Value {
        /// The value as the device would read it.
        value: String,
        /// The bounds as the rule has them.
        bounds: String,
    },
    /// The window is shut.
    Window {
        /// Its name.
        window: WindowName,
    },
    /// The technician's address is not within the rule's.
    Source {
        /// The rule's network.
        network: String,
    },
    /// The rule wants a security key.
    Factor,
    /// The request names no address although its class has them.
    NoAddress {
        /// The class, as an action.
        action: String,
    },
    /// More elements than are judged one by one, where rules differ between
    /// them.
    TooManyElements {
        /// The access, as an action.
        action: String,
    },
    /// The function is not known, so its effect is not.
    UnknownFunction {
        /// The protocol's name of it.
        function: String,
    },
    /// The grant is over.
    Expired,
    /// The request touches nothing that could be judged.
    Nothing,
}

/// Something that a condition wanted to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unknown {
    /// The value: masked, half of a 32-bit one, not a number, or missing.
    Value {
        /// The tag whose value it would be, if any.
        tag: Option<TagName>,
    },
    /// Whether the window is open, beyond the times the grant was made for.
    Window {
        /// Its name.
        window: WindowName,
    },
}

impl fmt::Display for Unknown {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value { tag: None } => formatter.write_str("the new value can't be known"),
            Self::Value { tag: Some(tag) } => write!(formatter, "the new value of {tag} can't be known"),
            Self::Window { window } => write!(formatter, "it is not known whether window {window} is open"),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoRule { action } => write!(formatter, "no rule allows {action}"),
            Self::Denied { action } => write!(formatter, "a rule denies {action}"),
            Self::DeniedUnknown { action, unknown } => {
                write!(formatter, "a rule denies {action}: {unknown}")
            }
            Self::Unknown { unknown } => write!(formatter, "{unknown}"),
            Self::Value { value, bounds } => write!(formatter, "value {value} is not in {bounds}"),
            Self::Window { window } => write!(formatter, "window {window} is not open"),
            Self::Source { network } => write!(formatter, "only allowed from {network}"),
            Self::Factor => formatter.write_str("needs a sign-in with a security key"),
            Self::NoAddress { action } => write!(formatter, "{action} names no address that could be judged"),
            Self::TooManyElements { action } => {
                write!(formatter, "{action} has more elements than rules about some of them are judged for")
            }
            Self::UnknownFunction { function } => {
                write!(formatter, "what {function} does is not known, so it is never allowed")
            }
            Self::Expired => formatter.write_str("the grant is over"),
            Self::Nothing => formatter.write_str("the request touches nothing that could be judged"),
        }
    }
}

/// Something that has to happen before an operation may go.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Obligation {
    /// Someone of the group approved the session.
    Approval(GroupName),
    /// Someone of the group releases this very operation.
    Hold(GroupName),
    /// Someone of the group watches.
    Supervised(GroupName),
    /// No more than so many operations per second.
    Rate(NonZeroU32),
}

impl fmt::Display for Obligation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Approval(group) => write!(formatter, "approval by {group}"),
            Self::Hold(group) => write!(formatter, "release by {group}"),
            Self::Supervised(group) => write!(formatter, "supervision by {group}"),
            Self::Rate(rate) => write!(formatter, "pacing at {rate}/s"),
        }
    }
}

impl Obligation {
    /// The words with which a gateway refuses that can't meet it.
    pub fn unmet(&self) -> String {
        format!("needs {self}, which this gateway cannot take yet")
    }
}
