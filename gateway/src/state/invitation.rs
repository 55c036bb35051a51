//! Invitations, and what an enrolment stores all at once.

use super::{FactorEpoch, PersonId, Standing};
use crate::factor::Seed;
use crate::names::Handle;
use crate::state::CertificateRow;
use jiff::Timestamp;
use wire::enrolment::{InvitationId, StoredSecret};

/// A new invitation.
#[derive(Debug, Clone)]
pub struct Invitation {
    /// Who is invited; new or known.
    pub handle: Handle,
    /// What is kept of its secret.
    pub stored: StoredSecret,
    /// When it was made.
    pub made: Timestamp,
    /// Until when it can be used.
    pub expires: Timestamp,
    /// The administrator who made it.
    pub by: String,
}

/// An open invitation as an administrator sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvitationRecord {
    /// Who is invited.
    pub handle: Handle,
    /// When it was made.
    pub made: Timestamp,
    /// Until when it can be used.
    pub expires: Timestamp,
    /// The administrator who made it.
    pub by: String,
}

/// An open invitation as the enrolment endpoint needs it.
#[derive(Debug, Clone)]
pub struct OpenInvitation {
    /// Its name.
    pub id: InvitationId,
    /// Who is invited.
    pub handle: Handle,
    /// What a proof is judged by.
    pub stored: StoredSecret,
    /// Until when it can be used.
    pub expires: Timestamp,
    /// The person, if the handle is known already.
    pub known: Option<KnownInvitee>,
}

/// A person who gets one more key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownInvitee {
    /// The person.
    pub id: PersonId,
    /// Whether they may sign in at all.
    pub standing: Standing,
    /// The factors that they have,
    pub held: HeldFactors,
    /// and the epoch of these.
    pub factors: FactorEpoch,
}

/// The second factors that an invited person has already. A token never
/// replaces one, of whatever kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeldFactors {
    /// None at all.
    None,
    /// A seed, and perhaps passkeys.
    Totp,
    /// Passkeys and no seed.
    PasskeysAlone,
}

/// What an enrolment binds together, in one transaction.
#[derive(Debug)]
pub struct Enrolment {
    /// The invitation that it uses up.
    pub invitation: InvitationId,
    /// The second factor that was confirmed.
    pub factor: ConfirmedFactor,
    /// The certificate that was issued for the new key.
    pub certificate: CertificateRow,
}

/// A second factor of which a code was seen.
#[derive(Debug)]
pub enum ConfirmedFactor {
    /// A new one; the step of the code that confirmed it is used up.
    NewTotp {
        /// Its seed.
        seed: Seed,
        /// The step.
        step: u64,
    },
    /// The one that the person has.
    Known {
        /// The epoch under which it was shown: one that was reset since then
        /// was not.
        factors: FactorEpoch,
    },
}
