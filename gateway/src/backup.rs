//! Backups: all that makes this gateway itself, in one encrypted file.
//!
//! A backup holds the configuration and the files that it names, the policy in
//! force, a consistent copy of the state's database with the key that seals
//! it, the signing key, and the gateway's own authority if it has one. It does not hold recordings and the site log:
//! these are large, sealed already, only ever grow, and are copied as files.
//!
//! Order: [`gather()`] at the running gateway -> [`Archive::close`] to the
//! recipients that an administrator names -> [`restore`](restore::restore)
//! offline, on a host that has none of it.
//!
//! Whoever opens a backup has every secret of the gateway. age does not say who
//! made it: a genuine one is known by the signing key inside.

mod gather;
mod journal;
mod places;
pub mod restore;
#[cfg(test)]
mod tests;

use jiff::Timestamp;
use recording::{EnvelopeError, Identity, Recipient};
use serde::{Deserialize, Serialize};
use std::fmt;
use zeroize::{Zeroize, Zeroizing};

pub use gather::gather;
pub use journal::unfinished;

/// What a backup begins with; the number is that of its form.
const MAGIC: &[u8] = b"gatehouse backup 1\n";

/// The longest backup, in bytes.
pub const LONGEST: u64 = 1 << 30;

/// What one file of a backup is, whatever it is called on a host.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Role {
    /// `gateway.toml` itself.
    Configuration,
    /// `[tls] ca`.
    Authority,
    /// `[tls] crl`.
    RevocationList,
    /// `[tls] cert`.
    Certificate,
    /// `[tls] key`.
    CertificateKey,
    /// `[policy] manifest_key`.
    ManifestKey,
    /// A file in `[policy] dir`, as it was applied.
    Policy(String),
    /// `[recording] signing_key`.
    SigningKey,
    /// A file that `[recording] recipients` names, by its place in the list.
    Recipients(u16),
    /// The file that `[recording] recovery_recipient` names.
    RecoveryRecipient,
    /// `[state] database`.
    Database,
    /// `[state] key`.
    StateKey,
    /// The certificate of an authority in `[ca] dir`, by its number.
    IssuingCertificate(u32),
    /// Its key.
    IssuingKey(u32),
    /// `[webauthn] cert`.
    PageCertificate,
    /// `[webauthn] key`.
    PageKey,
}

impl Role {
    /// Whether nobody but the file's owner may read it.
    fn is_secret(&self) -> bool {
        match self {
            Self::CertificateKey
            | Self::SigningKey
            | Self::Database
            | Self::StateKey
            | Self::IssuingKey(_)
            | Self::PageKey => true,
            Self::Configuration
            | Self::Authority
            | Self::RevocationList
            | Self::Certificate
            | Self::ManifestKey
            | Self::Policy(_)
            | Self::Recipients(_)
            | Self::RecoveryRecipient
            | Self::IssuingCertificate(_)
            | Self::PageCertificate => false,
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Configuration => formatter.write_str("the configuration"),
            Self::Authority => formatter.write_str("[tls] ca"),
            Self::RevocationList => formatter.write_str("[tls] crl"),
            Self::Certificate => formatter.write_str("[tls] cert"),
            Self::CertificateKey => formatter.write_str("[tls] key"),
            Self::ManifestKey => formatter.write_str("[policy] manifest_key"),
            Self::Policy(name) => write!(formatter, "{} in [policy] dir", crate::audit::harmless(name)),
            Self::SigningKey => formatter.write_str("[recording] signing_key"),
            Self::Recipients(number) => write!(formatter, "[recording] recipients, number {number}"),
            Self::RecoveryRecipient => formatter.write_str("[recording] recovery_recipient"),
            Self::Database => formatter.write_str("[state] database"),
            Self::StateKey => formatter.write_str("[state] key"),
            Self::IssuingCertificate(number) => write!(formatter, "authority {number} in [ca] dir"),
            Self::PageCertificate => formatter.write_str("[webauthn] cert"),
            Self::PageKey => formatter.write_str("[webauthn] key"),
            Self::IssuingKey(number) => write!(formatter, "the key of authority {number} in [ca] dir"),
        }
    }
}

/// One file of a backup.
#[derive(Serialize, Deserialize)]
pub struct Item {
    /// What it is.
    pub role: Role,
    /// Its content, often secret: erased when dropped.
    pub content: Vec<u8>,
}

impl Drop for Item {
    fn drop(&mut self) {
        self.content.zeroize();
    }
}

impl fmt::Debug for Item {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {} bytes", self.role, self.content.len())
    }
}

/// All that makes a gateway.
#[derive(Debug, Serialize, Deserialize)]
pub struct Archive {
    /// When it was made, milliseconds since 1970-01-01T00:00Z.
    made: i64,
    /// The version of the program that made it.
    software: String,
    /// Its files, each role once.
    items: Vec<Item>,
}

/// Why there is no backup, or nothing can be made of one.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// A file that belongs into it can't be read.
    #[error("{0}")]
    Unreadable(crate::problem::Problem),
    /// The state can't be copied.
    #[error(transparent)]
    State(#[from] crate::state::StateError),
    /// It is longer than any backup may be.
    #[error("it is longer than {LONGEST} bytes; let older policies go, or copy the database by itself")]
    TooLong,
    /// It could not be encrypted or decrypted.
    #[error(transparent)]
    Envelope(#[from] EnvelopeError),
    /// What was encrypted is no backup of a gateway.
    #[error("it holds no backup of a Gatehouse gateway, or one of another version")]
    NotABackup,
}

impl From<crate::problem::Problem> for BackupError {
    fn from(problem: crate::problem::Problem) -> Self {
        Self::Unreadable(problem)
    }
}

impl Archive {
    /// An archive of these files.
    pub fn new(made: Timestamp, items: Vec<Item>) -> Self {
        Self { made: made.as_millisecond(), software: env!("CARGO_PKG_VERSION").to_owned(), items }
    }

    /// When it was made.
    pub fn made(&self) -> Timestamp {
        Timestamp::from_millisecond(self.made).unwrap_or(Timestamp::UNIX_EPOCH)
    }

    /// Its files.
    pub fn items(&self) -> &[Item] {
        &self.items
    }

    /// The file of that role.
    pub fn get(&self, role: &Role) -> Option<&[u8]> {
        self.items.iter().find(|item| item.role == *role).map(|item| item.content.as_slice())
    }

    /// Encrypts it to the recipients.
    ///
    /// # Errors
    /// [`BackupError::TooLong`], and without recipients.
    pub fn close(&self, recipients: &[Recipient]) -> Result<Vec<u8>, BackupError> {
        let content = postcard::to_extend(self, MAGIC.to_vec()).map_err(|_| BackupError::NotABackup)?;
        let content = Zeroizing::new(content);
        if u64::try_from(content.len()).unwrap_or(u64::MAX) > LONGEST {
            return Err(BackupError::TooLong);
        }
        Ok(recording::encrypt(&content, recipients)?)
    }

    /// Opens one.
    ///
    /// # Errors
    /// [`BackupError::NotABackup`] also for one with a role twice or with
    /// anything behind its end.
    pub fn open(envelope: &[u8], identity: &Identity) -> Result<Self, BackupError> {
        let content = recording::decrypt(envelope, identity, LONGEST)?;
        let coded = content.strip_prefix(MAGIC).ok_or(BackupError::NotABackup)?;
        let (archive, rest): (Self, &[u8]) =
            postcard::take_from_bytes(coded).map_err(|_| BackupError::NotABackup)?;
        let mut roles: Vec<&Role> = archive.items.iter().map(|item| &item.role).collect();
        roles.sort();
        let twice = roles.windows(2).any(|pair| matches!(pair, [one, next] if one == next));
        if twice || !rest.is_empty() {
            return Err(BackupError::NotABackup);
        }
        Ok(archive)
    }
}
