//! The gateway's configuration: what the file says, and what is true.
//!
//! [`config::written`](self) mirrors `gateway.toml` key by key and refuses
//! unknown ones. [`Config`] is what comes of it: paths resolved against the
//! file's own folder, certificates and CRL parsed and in time, keys read and
//! readable by nobody else, recipients parsed, durations within bounds. All
//! that is wrong is found in one go, before anything is bound or written, and
//! each [`Problem`] names file, key, reason and way out.
//!
//! Loading never writes, never binds and never asks the network.

mod checks;
mod units;
mod written;

use crate::clock::{Clock, SystemClock};
use crate::problem::Problem;
use crate::sessions::Bounds;
use crate::tls::{Files, Windows};
use jiff::Timestamp;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// A configuration that passed every check.
#[derive(Debug)]
pub struct Config {
    /// The file it was read from.
    pub file: PathBuf,
    /// The UDP address for QUIC.
    pub listen: SocketAddr,
    /// CA, CRL, certificate and key.
    pub tls: Files,
    /// Where the policy comes from.
    pub policy: PolicySettings,
    /// Where recordings go, and for whom.
    pub recording: RecordingSettings,
    /// The state's database file.
    pub database: PathBuf,
    /// Where events go.
    pub audit: AuditSettings,
    /// The administrator's socket.
    pub admin: AdminSettings,
    /// Every bound.
    pub limits: Limits,
}

/// `[policy]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicySettings {
    /// The folder that `policy apply` reads.
    pub dir: PathBuf,
    /// Whether a folder without a manifest is refused.
    pub manifest: Manifest,
}

/// Whether a policy folder must carry its manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manifest {
    /// A folder without one is refused.
    Required,
    /// One that is there must match.
    Optional,
}

/// `[recording]`.
#[derive(Debug)]
pub struct RecordingSettings {
    /// The folder for recordings.
    pub dir: PathBuf,
    /// The key that signs checkpoints.
    pub signing_key: Arc<recording::SigningKey>,
    /// Everybody who can read recordings: auditors, then the recovery one.
    pub recipients: Vec<recording::Recipient>,
    /// Bytes that stay free on the recordings' file system: below it no new
    /// session begins.
    pub reserve: u64,
    /// The least strict mode: a target's looser one is raised to it.
    pub mode: Option<authz::Mode>,
}

/// `[audit]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditSettings {
    /// The file of events, one JSON object a line.
    pub file: PathBuf,
    /// A syslog collector for alarms, over UDP.
    pub syslog: Option<SocketAddr>,
}

/// `[admin]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdminSettings {
    /// The Unix socket.
    pub socket: PathBuf,
    /// The users who may speak on it.
    pub uids: Vec<u32>,
}

/// `[limits]`: each has a default and a range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Connections of everybody, signed in or not.
    pub connections: u32,
    /// Connections of one source address.
    pub connections_per_address: u32,
    /// From the connection to the accepted second factor.
    pub sign_in_deadline: Duration,
    /// From the first packet to the end of the handshake.
    pub handshake_deadline: Duration,
    /// Sessions of everybody.
    pub sessions: u32,
    /// Sessions of one person.
    pub sessions_per_person: u32,
    /// A connection that hears nothing for so long is given up.
    pub idle_timeout: Duration,
    /// How often a quiet connection is kept alive.
    pub keep_alive: Duration,
    /// How long a stopping gateway waits for its sessions.
    pub drain_deadline: Duration,
}

impl Config {
    /// Reads the file and checks all that it names, now.
    ///
    /// # Errors
    /// Everything that is wrong, in the order of the file; never empty.
    pub fn load(path: &Path) -> Result<Self, Vec<Problem>> {
        Self::load_at(path, SystemClock::new().wall())
    }

    /// The same with the time given: certificates and CRL are judged by it.
    ///
    /// # Errors
    /// Everything that is wrong, in the order of the file; never empty.
    pub fn load_at(path: &Path, now: Timestamp) -> Result<Self, Vec<Problem>> {
        let written = written::read(path).map_err(|problem| vec![problem])?;
        checks::check(path, written, now)
    }
}

impl Limits {
    /// The registry's bounds.
    pub fn bounds(&self) -> Bounds {
        Bounds { sessions: self.sessions, sessions_per_person: self.sessions_per_person }
    }

    /// The endpoint's timers.
    pub fn windows(&self) -> Windows {
        Windows { idle_timeout: self.idle_timeout, keep_alive: self.keep_alive, incoming: self.connections }
    }
}

impl RecordingSettings {
    /// The mode for a target: its own, or the stricter one demanded here.
    pub fn mode_for(&self, target: authz::Mode) -> authz::Mode {
        match self.mode {
            Some(least) if strictness(least) > strictness(target) => least,
            Some(_) | None => target,
        }
    }
}

fn strictness(mode: authz::Mode) -> u8 {
    match mode {
        authz::Mode::Ordered => 0,
        authz::Mode::Default => 1,
        authz::Mode::Durable => 2,
    }
}
