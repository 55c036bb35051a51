//! From a question to a grant.

use crate::files::PolicyHash;
use crate::inventory::Target;
use crate::names::{Handle, TargetId};
use crate::policy::Policy;
use crate::terms::Terms;
use crate::verdict::Assurance;
use jiff::Timestamp;
use std::net::IpAddr;
use std::sync::Arc;

/// Who asks for which target, when, from where.
#[derive(Debug, Clone)]
pub struct Ask<'a> {
    /// The person, known by certificate and factor.
    pub person: &'a Handle,
    /// The target.
    pub target: &'a TargetId,
    /// The gateway's time.
    pub at: Timestamp,
    /// Where the connection comes from.
    pub source: IpAddr,
    /// How the person signed in.
    pub assurance: Assurance,
}

/// A permission with its terms. Only [`Policy::grant`] makes one.
#[derive(Debug, Clone)]
pub struct Grant {
    target: Target,
    terms: Arc<Terms>,
}

impl Grant {
    /// Who may.
    pub fn person(&self) -> &Handle {
        self.terms.person()
    }

    /// Where.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// What.
    pub fn terms(&self) -> &Arc<Terms> {
        &self.terms
    }

    /// Under which policy.
    pub fn policy(&self) -> PolicyHash {
        self.terms.policy()
    }

    /// Until when.
    pub fn expires(&self) -> Timestamp {
        self.terms.expires()
    }
}

/// Why there is no grant. `Display` is the same for every kind that could
/// tell a stranger what exists; [`Refusal::audit`] tells all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No such target.
    #[error("not permitted")]
    UnknownTarget,
    /// No rule lets the person do anything there.
    #[error("not permitted")]
    NotPermitted,
    /// The compiled grant and Casbin differ: nothing is granted.
    #[error("the policy could not be judged")]
    Disagreement {
        /// On what, and how.
        detail: String,
    },
    /// More rules than a grant can hold.
    #[error("the policy could not be judged")]
    TooComplex {
        /// What is over which bound.
        detail: String,
    },
}

impl Refusal {
    /// The whole reason, for the audit event only.
    pub fn audit(&self) -> String {
        match self {
            Self::UnknownTarget => "unknown target".to_owned(),
            Self::NotPermitted => "no rule allows this person anything on this target".to_owned(),
            Self::Disagreement { detail } => format!("compiled grant and Casbin disagree: {detail}"),
            Self::TooComplex { detail } => format!("too complex: {detail}"),
        }
    }
}

impl Policy {
    /// Asks for a grant.
    ///
    /// # Errors
    /// [`Refusal`], for whatever is not permitted or not certain.
    pub fn grant(&self, ask: &Ask<'_>) -> Result<Grant, Refusal> {
        self.inventory().target(ask.target).ok_or(Refusal::UnknownTarget)?;
        Err(Refusal::NotPermitted)
    }
}
