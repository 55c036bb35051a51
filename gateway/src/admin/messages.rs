//! The JSON of the admin socket, for both of its ends.

use crate::ca::AuthorityStanding;
use crate::ends::Ending;
use crate::policy::{Changes, FolderState};
use crate::sessions::Counted;
use crate::state::{Change, FactorPresence, Lock, Standing};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// Why a request was not fulfilled.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Problems {
    /// One sentence each.
    pub problems: Vec<String>,
}

/// Maps a key to a handle.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImportRequest {
    /// The person's handle.
    pub handle: String,
    /// Whose key it is.
    pub key: ImportedKey,
}

/// What names the key of a person.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ImportedKey {
    /// A certificate, PEM, that would get through the door now.
    Certificate(String),
    /// The key's fingerprint: SHA-256 of its SubjectPublicKeyInfo (RFC 5280,
    /// 4.1.2.7), 64 hex digits. Whether a certificate with this key is good
    /// shows when it comes.
    Fingerprint(String),
}

/// What an import did.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ImportReply {
    /// The person's handle.
    pub handle: String,
    /// SHA-256 of the certificate's public key, as hex.
    pub key: String,
    /// For a new person: the second factor's address. Shown this once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub otpauth: Option<String>,
}

/// A person, as listed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PersonReport {
    /// The permanent handle.
    pub handle: String,
    /// Whether sign-in is open.
    pub standing: Standing,
    /// Whether a seed for codes is stored.
    pub factor: FactorPresence,
    /// The person's passkeys, the oldest first.
    pub passkeys: Vec<PasskeyReport>,
    /// Failures since the last success.
    pub failures: u32,
    /// The lock in force.
    #[serde(flatten)]
    pub lock: Lock,
    /// SHA-256 of each public key, as hex.
    pub keys: Vec<String>,
    /// When the handle was first imported.
    pub created: Timestamp,
    /// The last accepted second factor.
    pub last_sign_in: Option<Timestamp>,
    /// How many of the person's connections are signed in now.
    pub signed_in: usize,
}

/// A passkey as listings show it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PasskeyReport {
    /// What its owner calls it.
    pub name: String,
    /// The domain that it is bound to.
    pub rp_id: String,
    /// When it was registered.
    pub added: Timestamp,
    /// When it was last accepted.
    pub last_used: Option<Timestamp>,
}

/// What disabling or enabling did.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Disabled {
    /// The person's handle.
    pub handle: String,
    /// The standing now.
    pub standing: Standing,
    /// Whether it was different before.
    pub change: Change,
    /// Running sessions that were told to end.
    pub sessions_ended: usize,
}

/// What unlocking did.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Unlocked {
    /// The person's handle.
    pub handle: String,
    /// Whether anything was locked or counted.
    pub change: Change,
}

/// Removes a person's second factor.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResetRequest {
    /// What the person gets instead.
    pub replacement: Replacement,
}

/// What a person gets for a factor that was removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Replacement {
    /// A new seed for time-based codes, shown once.
    Totp,
    /// Nothing: the person has to be invited anew.
    None,
}

/// What resetting a factor did.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FactorReset {
    /// The person's handle.
    pub handle: String,
    /// Whether there was a factor to remove.
    pub change: Change,
    /// Running sessions that were told to end.
    pub sessions_ended: usize,
    /// The new factor's address. Shown this once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub otpauth: Option<String>,
}

/// Asks for a backup.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BackupRequest {
    /// The age recipients who can open it.
    pub recipients: Vec<String>,
}

/// A running session.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SessionReport {
    /// The session's id, as hex.
    pub id: String,
    /// Who.
    pub person: String,
    /// To which target.
    pub target: String,
    /// From where.
    pub source: IpAddr,
    /// Since when.
    pub started: Timestamp,
    /// Until when at most.
    pub expires: Timestamp,
    /// SHA-256 of the policy it runs under, as hex.
    pub policy: String,
    /// The recording mode.
    pub mode: String,
    /// What it has counted so far.
    #[serde(flatten)]
    pub counted: Counted,
}

/// All running sessions.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SessionList {
    /// Oldest first.
    pub sessions: Vec<SessionReport>,
}

/// What a kill did.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Killed {
    /// The session's id, as hex.
    pub id: String,
    /// Whose it was.
    pub person: String,
    /// To which target.
    pub target: String,
}

/// Applies the folder, if it holds what was looked at.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApplyRequest {
    /// SHA-256 of the folder's policy, as the preview had it.
    pub hash: String,
}

/// What an apply did.
pub type Applied = Changes;

/// The policy in force, beside the folder.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PolicyReport {
    /// SHA-256 of the policy in force, as hex.
    pub hash: String,
    /// When it was applied.
    pub applied: Timestamp,
    /// By whom.
    pub by: String,
    /// How the folder compares.
    #[serde(flatten)]
    pub folder: FolderState,
}

/// The clock.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ClockReport {
    /// Whether sign-ins may go on.
    #[serde(flatten)]
    pub standing: crate::clock::Standing,
}

/// Invites a person.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InviteRequest {
    /// How long the invitation stands, in seconds.
    pub expires_in_s: u64,
}

/// A new invitation. It is shown this once.
#[derive(Clone, Serialize, Deserialize)]
pub struct Invited {
    /// The person's handle.
    pub handle: String,
    /// The token, for that person only.
    pub token: String,
    /// Where they enrol.
    pub address: String,
    /// SHA-256 of the public key by which their client knows the gateway, as hex.
    pub fingerprint: String,
    /// Until when the token is good.
    pub expires: Timestamp,
}

impl std::fmt::Debug for Invited {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Invited").field("handle", &self.handle).finish_non_exhaustive()
    }
}

/// What withdrawing did.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Withdrawn {
    /// The person's handle.
    pub handle: String,
    /// Whether an invitation was open.
    pub change: Change,
}

/// An open invitation.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct InvitationReport {
    /// The person's handle.
    pub handle: String,
    /// When it was made.
    pub made: Timestamp,
    /// Until when it stands.
    pub expires: Timestamp,
    /// The administrator who made it.
    pub by: String,
}

/// The gateway's own authorities, and what ends by itself.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CaReport {
    /// Oldest first; the last one issues.
    pub authorities: Vec<AuthorityReport>,
    /// Certificates that are good now.
    pub certificates: usize,
    /// How long everything lasts that the gateway depends on.
    pub ends: Vec<EndReport>,
    /// What of it ends soon or has ended, in words.
    pub warnings: Vec<String>,
}

/// The end of something.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct EndReport {
    /// What ends.
    pub what: Ending,
    /// Its last moment.
    pub ends: Timestamp,
}

/// One authority.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AuthorityReport {
    /// Its number in the folder.
    pub number: u32,
    /// Its name.
    pub name: String,
    /// SHA-256 of its certificate, as hex.
    pub fingerprint: String,
    /// Whether it issues, is still trusted, or no longer.
    pub standing: AuthorityStanding,
    /// The last moment of its own certificate.
    pub expires: Timestamp,
    /// The revocation list in use, if it is trusted.
    pub list: Option<ListReport>,
}

/// A revocation list in use.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ListReport {
    /// Its number.
    pub number: u64,
    /// When it was signed.
    pub made: Timestamp,
    /// When it lapses; a new one is signed well before.
    pub lapses: Timestamp,
    /// How many certificates it names.
    pub revoked: usize,
}

/// The revocation lists in use.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Crl {
    /// PEM, one list for each authority that is trusted.
    pub crl: String,
    /// These authorities, PEM.
    pub authorities: String,
}

/// A certificate that the gateway issued.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CertificateReport {
    /// Its serial number, as hex.
    pub serial: String,
    /// Whose.
    pub person: String,
    /// SHA-256 of its public key, as hex.
    pub key: String,
    /// When it was issued.
    pub issued: Timestamp,
    /// Its last moment.
    pub expires: Timestamp,
    /// When it was revoked.
    pub revoked: Option<Timestamp>,
}

/// What a revocation did.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Revoked {
    /// The certificate.
    #[serde(flatten)]
    pub certificate: CertificateReport,
    /// Running sessions that were told to end.
    pub sessions_ended: usize,
}
