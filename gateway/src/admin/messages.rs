//! The JSON of the admin socket, for both of its ends.

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

/// Maps a certificate to a handle.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImportRequest {
    /// The person's handle.
    pub handle: String,
    /// The certificate, PEM.
    pub certificate: String,
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
    /// Whether a second factor is stored.
    pub factor: FactorPresence,
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
