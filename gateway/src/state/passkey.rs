//! What the state knows of passkeys: whose they are, how far their counters
//! have come. What they are worth is judged elsewhere.

use super::{FactorEpoch, Lock, PersonId};
use jiff::Timestamp;
use std::fmt;

/// The most passkeys that one person may have: a laptop, a phone, two keys.
pub const MOST_PASSKEYS: usize = 4;

/// An authenticator's id of a credential, 1 to 1023 bytes (WebAuthn level 3,
/// section 4).
#[derive(Clone, PartialEq, Eq)]
pub struct CredentialId(pub Vec<u8>);

impl fmt::Debug for CredentialId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "CredentialId({})", hex::encode(&self.0))
    }
}

/// A passkey as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PasskeyRecord {
    /// The authenticator's id of it.
    pub credential: CredentialId,
    /// What its owner calls it; unique for the person.
    pub name: String,
    /// The relying party's id (a domain) under which it was registered.
    pub relying_party: String,
    /// Public key and properties, JSON of the library that judges it.
    pub public: String,
    /// The largest signature counter that was accepted; 0 for authenticators
    /// that don't count.
    pub counter: u32,
    /// When it was registered.
    pub added: Timestamp,
    /// When it was last accepted.
    pub last_used: Option<Timestamp>,
}

/// A registered passkey and who gets it.
#[derive(Debug, Clone)]
pub struct NewPasskey {
    /// Whose it is.
    pub person: PersonId,
    /// The epoch of the factors under which it was registered.
    pub factors: FactorEpoch,
    /// What it rests on.
    pub behind: Behind,
    /// The passkey itself.
    pub passkey: RegisteredPasskey,
}

/// What stands behind the registration of a passkey.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Behind {
    /// A code or a token: it has to be the person's first of its relying party
    /// (SP 800-63B-4, 4.1.2).
    NoPasskey,
    /// A passkey that the person used.
    Passkey,
}

/// A passkey that was just registered, by whomever.
#[derive(Debug, Clone)]
pub struct RegisteredPasskey {
    /// The authenticator's id of it.
    pub credential: CredentialId,
    /// What its owner calls it.
    pub name: String,
    /// The relying party's id.
    pub relying_party: String,
    /// Public key and properties.
    pub public: String,
    /// Its signature counter.
    pub counter: u32,
}

/// An assertion whose signature, challenge, origin and user verification hold.
#[derive(Debug, Clone)]
pub struct PasskeyUse {
    /// Whose passkey it has to be.
    pub person: PersonId,
    /// Under which relying party.
    pub relying_party: String,
    /// Which one.
    pub credential: CredentialId,
    /// The signature counter of the assertion.
    pub counter: u32,
    /// Public key and properties as they are after the assertion.
    pub public: String,
}

/// Whether an attempt at a second factor may be judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Count {
    /// It is counted as a failure until it is accepted.
    Counted,
    /// It is not, and must not be judged.
    Locked(Lock),
}

/// Whether an assertion was the next one of its passkey.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum PasskeyAcceptance {
    /// It was; the counter is stored, failures are forgotten.
    Accepted {
        /// What the passkey is called.
        name: String,
    },
    /// Its counter did not grow: the authenticator was copied, or an assertion
    /// is played again.
    CounterBack {
        /// What the passkey is called.
        name: String,
        /// The counter that was accepted before.
        stored: u32,
    },
    /// The person has no such passkey any more.
    Gone,
}
