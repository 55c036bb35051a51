//! The terms of a grant: all that judging needs, and nothing that could dial.

use crate::files::PolicyHash;
use crate::names::{Handle, TargetId};
use crate::verdict::{Circumstances, Obligation, Reason, Refused, RuleId, Verdict};
use dissect::{Denial, Operation};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::num::NonZeroU32;

/// What one person may do on one target, compiled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    person: Handle,
    target: TargetId,
    policy: PolicyHash,
    granted: Timestamp,
    expires: Timestamp,
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

impl Terms {
    /// Judges one operation.
    pub fn judge(&self, operation: &Operation, _circumstances: &Circumstances) -> Verdict {
        Verdict::Deny(Refused {
            rule: None,
            reason: Reason::NoRule { action: operation.protocol.to_string() },
            denial: Denial::Function,
        })
    }

    /// The person.
    pub fn person(&self) -> &Handle {
        &self.person
    }

    /// The target.
    pub fn target(&self) -> &TargetId {
        &self.target
    }

    /// The policy that they come from.
    pub fn policy(&self) -> PolicyHash {
        self.policy
    }

    /// From when they hold.
    pub fn granted(&self) -> Timestamp {
        self.granted
    }

    /// Until when they hold.
    pub fn expires(&self) -> Timestamp {
        self.expires
    }

    /// The strictest pace of all rules, operations per second.
    /// [`Verdict::Needs`] with [`Obligation::Rate`] says which operation it is for.
    pub fn rate(&self) -> Option<NonZeroU32> {
        let obligations: &[Obligation] = &[];
        obligations.iter().find_map(|obligation| match obligation {
            Obligation::Rate(rate) => Some(*rate),
            Obligation::Approval(_) | Obligation::Hold(_) | Obligation::Supervised(_) => None,
        })
    }

    /// The rules, for people.
    pub fn describe(&self) -> Vec<String> {
        vec![RuleId::GRANT.to_string()]
    }

    /// Canonical bytes: a version byte, then postcard.
    pub fn to_bytes(&self) -> Vec<u8> {
        postcard::to_stdvec(self).unwrap_or_default()
    }

    /// Terms from [`Terms::to_bytes`].
    ///
    /// # Errors
    /// [`TermsError`], never a panic.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, TermsError> {
        postcard::from_bytes(bytes).map_err(|error| TermsError::Malformed(error.to_string()))
    }
}
