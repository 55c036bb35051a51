//! From an authenticated person and a wish to a [`Grant`], or a refusal.
//!
//! The policy decides; this module only asks it with the facts of this very
//! connection. Outside, an unknown target and a forbidden one look alike; the
//! audit event says which it was.

use crate::audit::Kind;
use crate::authenticate::Authenticated;
use crate::office::Office;
use authz::{Ask, Grant, Policy, TargetId};
use std::sync::Arc;
use wire::Refusal;

/// What a technician asks for.
#[derive(Debug, Clone)]
pub struct Wish {
    /// The client's number of this request, for the answer.
    pub request: u32,
    /// The target's id as the client wrote it.
    pub target: String,
    /// Why, in the technician's words.
    pub reason: Option<String>,
    /// The plant's ticket for it.
    pub ticket: Option<String>,
}

/// A refusal in the two forms it takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotOpened {
    /// What the client is told.
    pub code: Refusal,
    /// More of it, where a person may know.
    pub text: String,
    /// What the audit event says.
    pub audit: String,
}

impl NotOpened {
    /// A refusal that is told as it is.
    pub fn plain(code: Refusal, text: impl Into<String>) -> Self {
        let text = text.into();
        Self { code, audit: text.clone(), text }
    }
}

/// Asks the applied policy whether this person may enter a session with that
/// target, and under which terms.
///
/// # Errors
/// [`NotOpened`]; the event is told by then.
pub fn authorize(office: &Office, who: &Authenticated, wish: &Wish) -> Result<Grant, NotOpened> {
    let asked = ask(office, who, wish, &office.policy.current());
    if let Err(refused) = &asked {
        let event = office.audit.event(Kind::SessionRefused).person(who.person()).source(who.source().ip());
        let event = event.what(&wish.target).why(&refused.audit);
        office.audit.tell(&event);
    }
    asked
}

fn ask(office: &Office, who: &Authenticated, wish: &Wish, policy: &Arc<Policy>) -> Result<Grant, NotOpened> {
    let Ok(target) = TargetId::parse(&wish.target) else {
        return Err(hidden("no target id"));
    };
    again(office, who, &target, policy).map_err(|refusal| match refusal {
        authz::Refusal::UnknownTarget | authz::Refusal::NotPermitted => hidden(&refusal.audit()),
        authz::Refusal::Disagreement { .. } | authz::Refusal::TooComplex { .. } => {
            office.audit.alarm().raise(&refusal.audit());
            NotOpened { code: Refusal::Policy, text: refusal.to_string(), audit: refusal.audit() }
        }
    })
}

/// The same question under another policy, for a session that lives.
///
/// # Errors
/// The policy's refusal.
pub fn again(
    office: &Office,
    who: &Authenticated,
    target: &TargetId,
    policy: &Policy,
) -> Result<Grant, authz::Refusal> {
    policy.grant(&Ask {
        person: who.person(),
        target,
        at: office.clock.wall(),
        source: who.source().ip(),
        assurance: who.assurance(),
    })
}

/// One answer for all that a stranger to the target must not tell apart.
fn hidden(audit: &str) -> NotOpened {
    NotOpened {
        code: Refusal::NoSuchTarget,
        text: Refusal::NoSuchTarget.sentence().to_owned(),
        audit: audit.to_owned(),
    }
}
