//! Invitations, and what an enrolment stores all at once.

use super::{FactorEpoch, FactorPresence, PasskeyRecord, PersonId, RegisteredPasskey, Standing};
use crate::factor::Seed;
use crate::names::Handle;
use crate::state::CertificateRow;
use jiff::Timestamp;
use std::fmt;
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
    /// What authenticators know them by, if they ever had a passkey.
    pub user_handle: Option<[u8; 16]>,
}

/// The second factors that an invited person has already. A token never
/// replaces one, of whatever kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldFactors {
    /// Whether there is a seed for codes.
    pub seed: FactorPresence,
    /// The passkeys of all relying parties.
    pub passkeys: Vec<PasskeyRecord>,
}

impl HeldFactors {
    /// Whether there is none at all.
    pub fn are_none(&self) -> bool {
        self.seed == FactorPresence::None && self.passkeys.is_empty()
    }

    /// Whether there is a passkey of this relying party; where there is no
    /// relying party, none can be of it.
    pub fn has_passkey_of(&self, relying_party: Option<&str>) -> bool {
        self.passkeys.iter().any(|passkey| Some(passkey.relying_party.as_str()) == relying_party)
    }
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

/// A second factor that was seen to work.
#[derive(Debug)]
pub enum ConfirmedFactor {
    /// New codes; the step of the code that confirmed them is used up.
    NewTotp {
        /// Their seed.
        seed: Seed,
        /// The step.
        step: u64,
    },
    /// A new passkey.
    NewPasskey {
        /// The passkey.
        passkey: RegisteredPasskey,
        /// What the authenticator was told to know the person by.
        user_handle: [u8; 16],
    },
    /// A code of the seed that the person has.
    KnownTotp {
        /// The epoch under which it was shown: one that was reset since then
        /// was not.
        factors: FactorEpoch,
        /// Whoever has a passkey of this relying party has to show that one.
        relying_party: Option<String>,
    },
    /// An assertion of a passkey that the person has.
    KnownPasskey {
        /// The epoch under which it was shown.
        factors: FactorEpoch,
        /// What the passkey is called.
        name: String,
    },
}

impl fmt::Display for ConfirmedFactor {
    /// For the event: which factor, and what it was bound or confirmed by.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NewTotp { .. } => formatter.write_str("codes set up under the invitation"),
            Self::NewPasskey { passkey, .. } => {
                write!(formatter, "passkey {} registered under the invitation", passkey.name)
            }
            Self::KnownTotp { .. } => formatter.write_str("confirmed by a code"),
            Self::KnownPasskey { name, .. } => write!(formatter, "confirmed by passkey {name}"),
        }
    }
}
