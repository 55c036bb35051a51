//! `gateway.toml` key by key, as somebody wrote it.

use crate::problem::Problem;
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// The largest configuration file that is read, in bytes.
const LONGEST_FILE: u64 = 256 * 1024;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Written {
    pub(super) listen: String,
    pub(super) tls: Tls,
    pub(super) policy: Policy,
    pub(super) recording: Recording,
    pub(super) state: State,
    pub(super) audit: Audit,
    #[serde(default)]
    pub(super) log: Log,
    pub(super) admin: Admin,
    pub(super) ca: Option<Ca>,
    pub(super) enrolment: Option<Enrolment>,
    pub(super) webauthn: Option<Webauthn>,
    #[serde(default)]
    pub(super) limits: Limits,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Tls {
    pub(super) ca: Option<PathBuf>,
    pub(super) crl: Option<PathBuf>,
    pub(super) cert: PathBuf,
    pub(super) key: PathBuf,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Policy {
    pub(super) dir: PathBuf,
    #[serde(default)]
    pub(super) require_manifest: bool,
    pub(super) manifest_key: Option<PathBuf>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Recording {
    pub(super) dir: PathBuf,
    pub(super) signing_key: PathBuf,
    pub(super) recipients: Vec<String>,
    pub(super) recovery_recipient: String,
    pub(super) warn_below: Option<String>,
    pub(super) reserve: Option<String>,
    pub(super) cut_below: Option<String>,
    pub(super) mode: Option<authz::Mode>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct State {
    pub(super) database: PathBuf,
    pub(super) key: Option<PathBuf>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Audit {
    pub(super) file: PathBuf,
    pub(super) syslog: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Log {
    pub(super) dir: Option<PathBuf>,
    pub(super) witness: Option<PathBuf>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Admin {
    pub(super) socket: PathBuf,
    pub(super) uids: Option<Vec<u32>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Ca {
    pub(super) dir: PathBuf,
    pub(super) certificate_lifetime: Option<String>,
    pub(super) crl_lifetime: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Enrolment {
    pub(super) listen: String,
    pub(super) address: Option<String>,
    pub(super) gateway: Option<String>,
    pub(super) server_name: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Webauthn {
    pub(super) listen: String,
    pub(super) cert: PathBuf,
    pub(super) key: PathBuf,
    pub(super) rp_id: String,
    pub(super) origin: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Limits {
    pub(super) connections: Option<u32>,
    pub(super) connections_per_address: Option<u32>,
    pub(super) sign_in_deadline: Option<String>,
    pub(super) handshake_deadline: Option<String>,
    pub(super) sessions: Option<u32>,
    pub(super) sessions_per_person: Option<u32>,
    pub(super) idle_timeout: Option<String>,
    pub(super) keep_alive: Option<String>,
    pub(super) drain_deadline: Option<String>,
    pub(super) factor_again_after_idle: Option<String>,
    pub(super) factor_again_after: Option<String>,
    pub(super) factor_again_within: Option<String>,
}

/// Reads the file; a mistake in it is told with its line.
pub(super) fn read(path: &Path) -> Result<Written, Problem> {
    let unreadable = |error: std::io::Error| {
        Problem::new(path, error.to_string()).hint("name the configuration with --config FILE")
    };
    let length = std::fs::metadata(path).map_err(unreadable)?.len();
    if length > LONGEST_FILE {
        return Err(Problem::new(path, format!("is longer than {LONGEST_FILE} bytes")));
    }
    parse(path, &std::fs::read_to_string(path).map_err(unreadable)?)
}

/// The same of a text that stands, or would stand, in that file.
pub(super) fn parse(path: &Path, text: &str) -> Result<Written, Problem> {
    toml::from_str(text).map_err(|error| {
        let problem = Problem::new(path, error.message().replace('\n', ", "));
        match error.span().and_then(|span| text.get(..span.start)) {
            Some(before) => problem.key(&format!("line {}", before.matches('\n').count().saturating_add(1))),
            None => problem,
        }
    })
}
