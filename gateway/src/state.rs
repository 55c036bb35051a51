//! What the gateway must remember across restarts: people and their keys,
//! second factors and counted attempts, the session index, applied policies,
//! the highest time seen.
//!
//! Every method of [`State`] is one transaction: when it returns `Ok`, what it
//! did is on stable storage; when it returns an error, nothing of it happened.
//! Nothing here decides who may do what, and no value of an operation is ever
//! stored. Methods block; an async task calls them through `spawn_blocking`.

use crate::factor::Seed;
use crate::names::{Handle, SessionId, TargetId};
use jiff::Timestamp;
use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;
use wire::enrolment::InvitationId;
use zeroize::Zeroizing;

mod certificate;
mod invitation;
mod locks;
mod passkey;
mod sqlite;
mod vault;

pub use certificate::{
    AuthorityId, CertificateRecord, CertificateRow, NotASerial, Renewal, Revocation, Serial,
};
pub use invitation::{
    ConfirmedFactor, Enrolment, HeldFactors, Invitation, InvitationRecord, KnownInvitee, OpenInvitation,
};
pub use locks::{FREE_ATTEMPTS, Lock, PERMANENT_AFTER, lock_after};
pub use passkey::{
    Behind, Count, CredentialId, MOST_PASSKEYS, NewPasskey, PasskeyAcceptance, PasskeyRecord, PasskeyUse,
    RegisteredPasskey,
};
pub use sqlite::SqliteState;
pub use vault::{Place, Sealed, Vault};

/// The files of the state, `[state]` in the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateFiles {
    /// The database.
    pub database: PathBuf,
    /// The key that seals the secrets in it: better on another disk, never in
    /// the same copy.
    pub key: PathBuf,
}

#[cfg(test)]
impl StateFiles {
    /// Both in one folder, for tests.
    pub(crate) fn within(folder: &std::path::Path) -> Self {
        Self { database: folder.join("state.db"), key: folder.join("state.key") }
    }
}

/// Certificates that one person may have at once.
pub const MOST_CERTIFICATES: u32 = 16;

/// The gateway's memory.
pub trait State: Send + Sync + fmt::Debug {
    /// Binds a key to a handle; makes the person if the handle is new. The
    /// seed is stored only where the person has no factor yet.
    ///
    /// # Errors
    /// [`StateError::KeyTaken`] if the key belongs to anybody already,
    /// [`StateError::Disabled`] if the person is disabled.
    fn import_person(&self, import: &Import, now: Timestamp) -> Result<Imported, StateError>;
    /// The person whose key this is; disabled ones too.
    fn person_by_key(&self, key: &KeyHash) -> Result<Option<Person>, StateError>;
    /// The person of that handle with keys and lock.
    fn person(&self, handle: &Handle) -> Result<Option<PersonRecord>, StateError>;
    /// Everybody, by handle.
    fn persons(&self) -> Result<Vec<PersonRecord>, StateError>;
    /// Disables or enables a person.
    fn set_standing(&self, handle: &Handle, standing: Standing) -> Result<Change, StateError>;
    /// Forgets counted failures and any lock.
    fn unlock_person(&self, handle: &Handle) -> Result<Change, StateError>;
    /// Removes every second factor of a person, with the failures and the lock
    /// that they brought, and passes to the next [`FactorEpoch`].
    fn remove_factors(&self, handle: &Handle) -> Result<Change, StateError>;
    /// Gives a seed to a person who has no factor.
    ///
    /// # Errors
    /// [`StateError::FactorPresent`]; [`StateError::Disabled`].
    fn give_seed(&self, handle: &Handle, seed: &Seed, now: Timestamp) -> Result<(), StateError>;

    /// Stores an invitation; an older one of the same person ends with that.
    ///
    /// # Errors
    /// [`StateError::Disabled`].
    fn invite(&self, invitation: &Invitation) -> Result<(), StateError>;
    /// Ends a person's open invitation.
    fn withdraw_invitation(&self, handle: &Handle, now: Timestamp) -> Result<Change, StateError>;
    /// The open invitations, oldest first. Those that have run out by `now`
    /// end with this look.
    fn open_invitations(&self, now: Timestamp) -> Result<Vec<InvitationRecord>, StateError>;
    /// The invitation of that name, if it is open at `now`.
    fn invitation(&self, id: InvitationId, now: Timestamp) -> Result<Option<OpenInvitation>, StateError>;
    /// Whether [`State::enrol`] would do it now.
    ///
    /// # Errors
    /// As [`State::enrol`].
    fn may_enrol(&self, enrolment: &Enrolment, now: Timestamp) -> Result<(), StateError>;
    /// Uses an invitation up and stores person, key, factor and certificate
    /// with it. Of many at once exactly one succeeds.
    ///
    /// # Errors
    /// [`StateError::InvitationOver`], [`StateError::KeyTaken`],
    /// [`StateError::PasskeyKnown`] and [`StateError::Disabled`]; then the
    /// invitation is as it was.
    fn enrol(&self, enrolment: &Enrolment, now: Timestamp) -> Result<Handle, StateError>;

    /// Whether [`State::renew`] would do it now.
    ///
    /// # Errors
    /// As [`State::renew`].
    fn renewable(&self, renewal: &Renewal, now: Timestamp) -> Result<(), StateError>;
    /// Stores a further certificate of a person who has a good one of ours.
    ///
    /// # Errors
    /// [`StateError::ForeignCertificate`], [`StateError::TooManyCertificates`],
    /// [`StateError::KeyTaken`] and [`StateError::Disabled`].
    fn renew(&self, renewal: &Renewal, now: Timestamp) -> Result<(), StateError>;
    /// The certificates that end after that moment, by person.
    fn certificates(&self, after: Timestamp) -> Result<Vec<CertificateRecord>, StateError>;
    /// Revokes a certificate; `None` if none has this serial.
    fn revoke_certificate(
        &self,
        serial: Serial,
        now: Timestamp,
    ) -> Result<Option<CertificateRecord>, StateError>;
    /// What an authority's list has to name at `now`.
    fn revocations(&self, authority: AuthorityId, now: Timestamp) -> Result<Vec<Revocation>, StateError>;
    /// The last moment of the last certificate that an authority issued.
    fn authority_needed_until(&self, authority: AuthorityId) -> Result<Option<Timestamp>, StateError>;
    /// A number for a new list of an authority, greater than all before.
    fn next_list_number(&self, authority: AuthorityId) -> Result<u64, StateError>;

    /// Counts an attempt at the second factor and hands out what is needed to
    /// judge it. It counts as failed until [`State::accept_step`] says
    /// otherwise, so that no crash and no race gives a free guess.
    fn begin_attempt(&self, person: PersonId, now: Timestamp) -> Result<Attempt, StateError>;
    /// Uses up a TOTP step: only a larger one than ever before is accepted, and
    /// that resets the failures. Durable before it returns.
    fn accept_step(&self, person: PersonId, step: u64, now: Timestamp) -> Result<StepUse, StateError>;
    /// Notes why the attempt failed, and tells the lock that follows. A code of
    /// a nearby step is the clock's fault and gives the counted attempt back.
    fn record_failure(&self, person: PersonId, failure: Failure, now: Timestamp) -> Result<Lock, StateError>;

    /// The person's passkeys of all relying parties, the oldest first.
    fn passkeys(&self, person: PersonId) -> Result<Vec<PasskeyRecord>, StateError>;
    /// Keeps a passkey that was just registered.
    ///
    /// # Errors
    /// [`StateError::TooManyPasskeys`], [`StateError::PasskeyNameTaken`],
    /// [`StateError::PasskeyKnown`] if anybody has it already;
    /// [`StateError::Disabled`]; [`StateError::FactorsReset`] or
    /// [`StateError::PasskeyPresent`] if that came in between.
    fn add_passkey(&self, new: &NewPasskey, now: Timestamp) -> Result<(), StateError>;
    /// Whether [`State::add_passkey`] would do it now.
    ///
    /// # Errors
    /// As [`State::add_passkey`].
    fn may_add_passkey(&self, new: &NewPasskey, now: Timestamp) -> Result<(), StateError>;
    /// Counts an attempt with a passkey, like [`State::begin_attempt`]: it is a
    /// failure until [`State::accept_passkey`] says otherwise.
    fn count_attempt(&self, person: PersonId, now: Timestamp) -> Result<Count, StateError>;
    /// Uses up an assertion: its counter must be larger than ever before; the
    /// new one is stored with the success. Durable before it returns.
    fn accept_passkey(&self, used: &PasskeyUse, now: Timestamp) -> Result<PasskeyAcceptance, StateError>;
    /// The random bytes that authenticators know the person by; `fresh` if
    /// there are none yet.
    fn user_handle(&self, person: PersonId, fresh: [u8; 16]) -> Result<[u8; 16], StateError>;
    /// The key of invented credential ids, which must not change with a
    /// restart; `fresh` if there is none yet.
    fn decoy_key(&self, fresh: [u8; 32]) -> Result<[u8; 32], StateError>;

    /// Enters a session into the index before anything is dialled for it.
    fn session_started(&self, row: &SessionRow) -> Result<(), StateError>;
    /// Completes a session's row.
    fn session_ended(&self, id: SessionId, end: &SessionEnd) -> Result<(), StateError>;
    /// All sessions without an end, the oldest first.
    fn interrupted(&self) -> Result<Vec<SessionId>, StateError>;
    /// Marks all sessions without an end as interrupted, at start; tells which.
    fn close_interrupted(&self, now: Timestamp) -> Result<Vec<SessionId>, StateError>;
    /// The newest sessions first, at most `limit`.
    fn sessions(&self, limit: u32) -> Result<Vec<SessionHistory>, StateError>;

    /// Stores a policy snapshot and makes it the current one.
    fn apply_policy(&self, snapshot: &PolicySnapshot) -> Result<(), StateError>;
    /// The snapshot that was applied last.
    fn current_policy(&self) -> Result<Option<PolicySnapshot>, StateError>;

    /// A consistent copy of all of it, whoever writes meanwhile, in the form
    /// in which it is put back.
    fn copy(&self) -> Result<Zeroizing<Vec<u8>>, StateError>;
    /// That this state was put back from a backup, until it was told.
    fn untold_restoration(&self) -> Result<Option<Restoration>, StateError>;
    /// It is an event now.
    fn restoration_told(&self) -> Result<(), StateError>;

    /// The stored clock mark, `None` on the first start.
    fn clock_mark(&self) -> Result<Option<ClockMark>, StateError>;
    /// Stores the clock mark.
    fn store_clock_mark(&self, mark: &ClockMark) -> Result<(), StateError>;
}

/// A person's number in the state, never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PersonId(i64);

/// SHA-256 of a certificate's SubjectPublicKeyInfo (RFC 5280, 4.1.2.7), DER.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyHash(pub [u8; 32]);

impl KeyHash {
    /// The hash of a SubjectPublicKeyInfo in DER.
    pub fn of(subject_public_key_info: &[u8]) -> Self {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, subject_public_key_info);
        let mut hash = [0; 32];
        hash.iter_mut().zip(digest.as_ref()).for_each(|(to, from)| *to = *from);
        Self(hash)
    }
}

impl fmt::Display for KeyHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&hex::encode(self.0))
    }
}

/// A text that is no fingerprint of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a key's fingerprint is 64 hex digits: SHA-256 of its SubjectPublicKeyInfo")]
pub struct NotAKeyHash;

impl FromStr for KeyHash {
    type Err = NotAKeyHash;

    fn from_str(text: &str) -> Result<Self, NotAKeyHash> {
        let mut hash = [0; 32];
        hex::decode_to_slice(text, &mut hash).map_err(|_| NotAKeyHash)?;
        Ok(Self(hash))
    }
}

impl fmt::Debug for KeyHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "KeyHash({self})")
    }
}

/// Whether a person may sign in at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Standing {
    /// May sign in.
    Enabled,
    /// May not, until enabled again.
    Disabled,
}

/// A person as the data path knows one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// The number that other rows refer to.
    pub id: PersonId,
    /// The permanent handle.
    pub handle: Handle,
    /// Whether sign-in is open to this person.
    pub standing: Standing,
    /// Which of the person's factors count.
    pub factors: FactorEpoch,
}

/// Counts the removals of a person's second factors. What was proven in one
/// epoch is worth nothing in the next.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FactorEpoch(i64);

/// A person as an administrator sees one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PersonRecord {
    /// Number, handle, standing.
    pub person: Person,
    /// When the handle was first imported.
    pub created: Timestamp,
    /// The keys that are mapped to the handle.
    pub keys: Vec<KeyHash>,
    /// Whether a seed for codes is stored.
    pub factor: FactorPresence,
    /// The person's passkeys, the oldest first.
    pub passkeys: Vec<PasskeyRecord>,
    /// Failed attempts since the last success.
    pub failures: u32,
    /// The lock in force.
    pub lock: Lock,
    /// The last successful second factor.
    pub last_sign_in: Option<Timestamp>,
}

/// Whether a person has a seed for codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FactorPresence {
    /// A TOTP seed is stored.
    Totp,
    /// None is stored.
    None,
}

/// What `import_person` binds together.
#[derive(Debug)]
pub struct Import {
    /// The handle, new or known.
    pub handle: Handle,
    /// The certificate's key.
    pub key: KeyHash,
    /// The seed for a person who has none yet.
    pub seed: Seed,
}

/// What an import changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Imported {
    /// A new person with a new factor: show the seed once.
    NewPerson,
    /// One more key for a known person, whose factor stays as it is.
    KeyAdded,
}

/// Whether an administrator's change did anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Change {
    /// It is different now.
    Made,
    /// It was so before.
    None,
}

/// The answer to `begin_attempt`.
#[derive(Debug)]
pub enum Attempt {
    /// Counted; judge the code against this seed.
    Open {
        /// The person's seed.
        seed: Seed,
        /// The largest step used so far.
        last_step: Option<u64>,
        /// Attempts since the last success, this one included.
        failures: u32,
    },
    /// Not counted, not to be judged.
    Locked(Lock),
    /// The person has no factor.
    NoFactor,
}

/// The answer to `accept_step`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepUse {
    /// This step was free and is used up now.
    Accepted,
    /// This step or a later one was used before.
    AlreadyUsed,
}

/// Why an attempt failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// A wrong, malformed or replayed code.
    Wrong,
    /// The right code of another nearby step: a clock is off.
    OtherStep,
}

/// A session's row when it starts.
#[derive(Debug, Clone)]
pub struct SessionRow {
    /// The session's random id.
    pub id: SessionId,
    /// Who.
    pub person: Handle,
    /// To which target.
    pub target: TargetId,
    /// From where.
    pub source: IpAddr,
    /// When it started.
    pub started: Timestamp,
    /// SHA-256 of the policy it was granted under.
    pub policy: [u8; 32],
    /// The recording's file name within the recordings folder.
    pub recording: String,
}

/// How a session ended.
#[derive(Debug, Clone)]
pub struct SessionEnd {
    /// When.
    pub ended: Timestamp,
    /// The reason in plain words.
    pub reason: String,
    /// Operations decided.
    pub operations: u64,
    /// Operations denied.
    pub denied: u64,
}

/// A row of the session index.
#[derive(Debug, Clone)]
pub struct SessionHistory {
    /// How it started.
    pub row: SessionRow,
    /// How it ended; `None` while it runs.
    pub end: Option<SessionEnd>,
}

/// A whole policy folder as it was applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicySnapshot {
    /// SHA-256 over file names and contents.
    pub hash: [u8; 32],
    /// The folder's files in one piece.
    pub bytes: Vec<u8>,
    /// When it was applied.
    pub applied: Timestamp,
    /// By whom: an administrator's name or `first start`.
    pub by: String,
}

/// A backup that was put back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Restoration {
    /// When the backup was made.
    pub made: Timestamp,
    /// When it was put back.
    pub restored: Timestamp,
}

/// What is in a state that was put back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PutBack {
    /// How many people it knows.
    pub people: u64,
}

/// What is stored about the clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClockMark {
    /// The highest wall time that was trusted.
    pub highest: Timestamp,
    /// The step that nobody has accepted yet.
    pub suspension: Option<Suspension>,
}

/// A step of the clock that suspends sign-ins.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Suspension {
    /// Wall time right after the step.
    pub since: Timestamp,
    /// How far it went, in seconds; negative is back.
    pub step_seconds: i64,
}

/// Why the state could not answer.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The file can't be opened or prepared.
    #[error("state database {path}: {reason}")]
    Open {
        /// The database file.
        path: String,
        /// What failed.
        reason: String,
    },
    /// The key of the sealed secrets can't be had.
    #[error("state key {path}: {reason}")]
    Key {
        /// The key file.
        path: String,
        /// What is wrong, and what to do.
        reason: String,
    },
    /// A secret can't be sealed: nothing was stored.
    #[error("{0} can't be sealed: the cryptographic library failed")]
    Sealing(Place),
    /// A stored secret does not open.
    #[error("{0} does not open: it was altered, moved here, or sealed with another key")]
    Sealed(Place),
    /// The database failed. Nothing of the transaction happened.
    #[error("state database: {0}")]
    Database(#[from] rusqlite::Error),
    /// A stored value can't be what it should be.
    #[error("state database holds an impossible {0}")]
    Corrupt(&'static str),
    /// The key is mapped already.
    #[error("this key belongs to {owner} already; a key is mapped once and for ever")]
    KeyTaken {
        /// Whose it is.
        owner: Handle,
    },
    /// No such handle.
    #[error("there is no person {0}")]
    NoSuchPerson(Handle),
    /// A disabled person gets no new key and no new factor.
    #[error("{0} is disabled; enable the person first")]
    Disabled(Handle),
    /// A factor is never replaced silently.
    #[error("{0} has a second factor; `user reset-factor` removes it")]
    FactorPresent(Handle),
    /// What another authority issued is that authority's to renew.
    #[error("this certificate is not a good one of this gateway's own authority: who issued it renews it")]
    ForeignCertificate,
    /// A bound, so that nobody fills the revocation list.
    #[error("{most} certificates of this person are good already", most = MOST_CERTIFICATES)]
    TooManyCertificates,
    /// The invitation is not open (any more).
    #[error("the invitation was used, withdrawn or has run out")]
    InvitationOver,
    /// Nobody has more than [`MOST_PASSKEYS`].
    #[error("nobody can have more than {MOST_PASSKEYS} passkeys; have one removed first")]
    TooManyPasskeys,
    /// The person has one of that name.
    #[error("there is a passkey named {0} already; choose another name")]
    PasskeyNameTaken(String),
    /// What the person was signed in with is gone.
    #[error("the second factors were reset meanwhile; sign in anew")]
    FactorsReset,
    /// Who has a passkey adds another under that one alone.
    #[error("you have a passkey: sign in with it to add another")]
    PasskeyPresent,
    /// The authenticator's credential is registered already.
    #[error("this passkey is registered already")]
    PasskeyKnown,
}
