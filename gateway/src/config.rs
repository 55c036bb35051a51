//! The gateway's configuration: what the file says, and what is true.
//!
//! `Written` (private) mirrors `gateway.toml` key by key and refuses
//! unknown ones. [`Config`] is what comes of it: paths resolved against the
//! file's own folder, certificates and CRL parsed and in time, keys read and
//! readable by nobody else, recipients parsed, durations within bounds. All
//! that is wrong is found in one go, before anything is bound or written, and
//! each [`Problem`] names file, key, reason and way out.
//!
//! Loading never writes, never binds and never asks the network.

mod checks;
mod enrolment;
mod named;
mod units;
mod webauthn;
mod written;

pub use named::Named;

use crate::ca::CaSettings;
use crate::clock::{Clock, SystemClock};
use crate::ends::End;
use crate::problem::Problem;
use crate::quic::Windows;
use crate::sessions::Bounds;
use crate::state::StateFiles;
use crate::tls::Files;
pub use enrolment::{EnrolmentSettings, Reachable};
use jiff::Timestamp;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
pub(crate) use units::span;

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
    /// The state's database and the key that seals its secrets.
    pub state: StateFiles,
    /// Where events go.
    pub audit: AuditSettings,
    /// Where the site log goes.
    pub log: LogSettings,
    /// The administrator's socket.
    pub admin: AdminSettings,
    /// The gateway's own authority, if it has one.
    pub ca: Option<CaSettings>,
    /// Where people enrol, if they do.
    pub enrolment: Option<EnrolmentSettings>,
    /// Passkeys; without it there are none.
    pub webauthn: Option<WebauthnSettings>,
    /// Every bound.
    pub limits: Limits,
    /// How long what the files hold lasts.
    pub ends: Vec<End>,
}

/// `[webauthn]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebauthnSettings {
    /// The TCP address of the page.
    pub listen: SocketAddr,
    /// The page's certificate and what leads to its CA, PEM.
    pub cert: PathBuf,
    /// Its private key, PEM, readable by nobody else.
    pub key: PathBuf,
    /// The domain that passkeys are bound to, for ever.
    pub relying_party: String,
    /// Where browsers reach the page.
    pub origin: crate::passkey::Origin,
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
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Manifest {
    /// A folder without one is refused.
    Required,
    /// A folder without one that this key signed is refused.
    Signed(recording::PublicKey),
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
    /// How much must stay free on the recordings' file system.
    pub space: SpaceSettings,
    /// The least strict mode: a target's looser one is raised to it.
    pub mode: Option<authz::Mode>,
}

/// Free space on the recordings' file system, in bytes; each is at most the
/// one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpaceSettings {
    /// Below it people are told.
    pub warn_below: u64,
    /// Below it no new session begins.
    pub reserve: u64,
    /// Below it running sessions are ended.
    pub cut_below: u64,
}

/// `[audit]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditSettings {
    /// The file of events, one JSON object a line.
    pub file: PathBuf,
    /// A syslog collector for alarms, over UDP.
    pub syslog: Option<SocketAddr>,
}

/// `[log]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogSettings {
    /// The folder of the site log.
    pub dir: PathBuf,
    /// A folder, elsewhere if possible, that gets its signed heads.
    pub witness: Option<PathBuf>,
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
    /// When a person has to show the second factor again.
    pub presence: session::PresenceLimits,
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
        if let Some(problem) = crate::backup::unfinished(path) {
            return Err(vec![problem]);
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ends::Ending;
    use crate::fixture::{Plant, Purpose, noon};
    use jiff::SignedDuration;
    use std::os::unix::fs::PermissionsExt;

    /// The one problem that a changed plant has, as a person reads it.
    fn problem(spoil: impl FnOnce(&Plant)) -> String {
        let plant = Plant::new();
        spoil(&plant);
        let problems = plant.config().expect_err("the configuration passed");
        let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
        assert_eq!(lines.len(), 1, "{lines:#?}");
        let line = lines.first().unwrap();
        assert!(!line.contains('\n'), "{line}");
        line.replace(&plant.path("").display().to_string(), "")
    }

    #[test]
    fn a_whole_configuration_passes_with_its_defaults() {
        let plant = Plant::new();
        let config = plant.config().unwrap();
        assert_eq!(config.recording.recipients.len(), 2);
        let space = SpaceSettings { warn_below: 2 << 20, reserve: 1 << 20, cut_below: 1 << 18 };
        assert_eq!(config.recording.space, space);
        assert_eq!(config.limits.sessions, 3);
        assert_eq!(config.limits.idle_timeout, Duration::from_secs(30));
        let (minute, presence) = (Duration::from_secs(60), config.limits.presence);
        let defaults =
            session::PresenceLimits { idle: 15 * minute, absolute: 480 * minute, answer: 2 * minute };
        assert_eq!(presence, defaults);
        assert_eq!(config.admin.uids, [rustix::process::getuid().as_raw()]);
        assert_eq!(config.policy.manifest, Manifest::Optional);
        let (database, key) = (plant.path("state/gateway.db"), plant.path("state/gateway.db.key"));
        assert!(!database.exists() && !key.exists(), "loading writes nothing");
        assert_eq!(config.state, StateFiles { database, key });
    }

    #[test]
    fn mistakes_in_the_file_are_told_with_line_or_key() {
        let typo = problem(|plant| plant.configure("listen =", "lisen ="));
        assert!(typo.starts_with("gateway.toml: line 2: unknown field `lisen`"), "{typo}");
        let missing = problem(|plant| plant.configure("cert = \"gateway.pem\"", ""));
        assert!(missing.contains("missing field `cert`"), "{missing}");
        let listen = problem(|plant| plant.configure("127.0.0.1:0", "127.0.0.1"));
        assert_eq!(listen, "gateway.toml: listen: \"127.0.0.1\" is no address; write ADDRESS:PORT");
        let unit = problem(|plant| plant.configure("1 MiB", "1000"));
        assert!(unit.starts_with("gateway.toml: [recording] reserve: \"1000\" has no unit"), "{unit}");
        let zero = problem(|plant| plant.configure("sessions = 3", "sessions = 0"));
        assert_eq!(zero, "gateway.toml: [limits] sessions: 0 is outside of 1 to 10000");
        let long = problem(|plant| plant.configure("\"1 s\"", "\"1 h\""));
        assert!(long.starts_with("gateway.toml: [limits] drain_deadline: \"1 h\" is outside of"), "{long}");
        let cut = problem(|plant| plant.configure("reserve =", "cut_below = \"2 MiB\"\nreserve ="));
        assert_eq!(cut, "gateway.toml: [recording] cut_below: is above reserve; write at most 1048576 B");
        let warn = problem(|plant| plant.configure("reserve =", "warn_below = \"1 KiB\"\nreserve ="));
        assert_eq!(warn, "gateway.toml: [recording] warn_below: is below reserve; write at least 1048576 B");
        let one = problem(|plant| plant.configure("[audit]", "key = \"state/gateway.db\"\n[audit]"));
        assert_eq!(one, "gateway.toml: [state] key: is the database itself; name another file");
        let mode = problem(|plant| plant.configure("reserve =", "mode = \"fast\"\nreserve ="));
        assert!(mode.contains("unknown variant `fast`"), "{mode}");
    }

    #[test]
    fn a_plant_without_any_pki_passes_with_an_authority_of_its_own() {
        let plant = Plant::new().without_pki();
        let config = plant.config().unwrap();
        assert_eq!(config.tls.external, None);
        let whats: Vec<_> = config.ends.iter().map(|end| end.what).collect();
        assert_eq!(whats, [Ending::GatewayCertificate], "its authority is made at the first start");
        drop(plant.office());
        let ends = plant.config().unwrap().ends;
        assert_eq!(ends.last().unwrap().what, Ending::IssuingAuthority);
    }

    #[test]
    fn somebody_has_to_issue_certificates_and_a_ca_has_its_list() {
        let both = "ca = \"ca.pem\"\ncrl = \"crl.pem\"\n";
        let neither = problem(|plant| plant.configure(both, ""));
        assert_eq!(
            neither,
            "gateway.toml: [tls] ca: nobody could sign in: there is neither [tls] ca nor [ca]; name the CA of the \
             technicians' certificates and its CRL, or add [ca] with dir = FOLDER"
        );
        for issuing in [Plant::new(), Plant::new().with_authority()] {
            for (kept, missing) in [("ca", "crl"), ("crl", "ca")] {
                let line = format!("{missing} = \"{missing}.pem\"\n");
                issuing.configure(&line, "");
                let problems = issuing.config().unwrap_err();
                assert_eq!(problems.len(), 1, "{problems:?}");
                let told = problems[0].to_string();
                assert!(
                    told.contains(&format!("[tls] {missing}: is missing beside [tls] {kept}; ")),
                    "{told}"
                );
                issuing.configure("[tls]\n", &format!("[tls]\n{line}"));
            }
        }
    }

    #[test]
    fn missing_files_and_folders_are_named_with_their_key() {
        for (file, key) in [
            ("ca.pem", "[tls] ca"),
            ("crl.pem", "[tls] crl"),
            ("gateway.pem", "[tls] cert"),
            ("gateway.key", "[tls] key"),
            ("auditor.pub", "[recording] recipients"),
            ("recovery.pub", "[recording] recovery_recipient"),
            ("signing.key", "[recording] signing_key"),
        ] {
            let line = problem(|plant| std::fs::remove_file(plant.path(file)).unwrap());
            assert!(line.starts_with(&format!("{file}: {key}: ")), "{line}");
        }
        for (folder, key) in [("policies", "[policy] dir"), ("recordings", "[recording] dir")] {
            let line = problem(|plant| std::fs::remove_dir_all(plant.path(folder)).unwrap());
            assert!(line.starts_with(&format!("{folder}: {key}: ")) && line.contains("; mkdir "), "{line}");
        }
    }

    #[test]
    fn secrets_that_others_may_read_are_refused() {
        for (file, key) in [
            ("gateway.key", "[tls] key"),
            ("signing.key", "[recording] signing_key"),
            ("state/gateway.db.key", "[state] key"),
        ] {
            let line = problem(|plant| {
                if !plant.path(file).exists() {
                    plant.write_secret(file, "");
                }
                std::fs::set_permissions(plant.path(file), std::fs::Permissions::from_mode(0o640)).unwrap();
            });
            assert!(line.starts_with(&format!("{file}: {key}: ")), "{line}");
            assert!(line.contains("640") && line.contains("chmod 600"), "{line}");
        }
    }

    #[test]
    fn an_identity_named_as_recipient_is_refused_and_not_repeated() {
        let secret = recording::Identity::generate().to_text();
        let line = problem(|plant| plant.write("auditor.pub", &secret));
        assert!(line.contains("name the public file") && !line.contains("AGE-SECRET-KEY"), "{line}");
    }

    #[test]
    fn certificates_and_lists_out_of_time_are_named() {
        let expired = problem(|plant| {
            let old = plant.issue(2, Purpose::Server, 1);
            plant.write("gateway.pem", &old.certificate);
            plant.write_secret("gateway.key", &old.key);
            plant.advance_days(2);
        });
        assert!(
            expired.starts_with("gateway.pem: [tls] cert: expired on 2026-03-11T12:00:00Z; renew"),
            "{expired}"
        );
        let lapsed = problem(|plant| plant.write_crl(&[], noon() - SignedDuration::from_hours(48), 1));
        assert!(lapsed.starts_with("crl.pem: [tls] crl: lapsed on 2026-03-09T12:00:00Z; issue"), "{lapsed}");
        let ahead = problem(|plant| plant.write_crl(&[], noon() + SignedDuration::from_hours(1), 1));
        assert!(ahead.starts_with("crl.pem: [tls] crl: is from the future"), "{ahead}");
    }

    #[test]
    fn files_that_do_not_belong_together_are_named() {
        let other = crate::fixture::authority();
        let foreign = problem(|plant| plant.write("crl.pem", &crate::fixture::crl(&other, &[], noon(), 30)));
        assert!(foreign.starts_with("crl.pem: [tls] crl: is not signed by the CA"), "{foreign}");
        let key = problem(|plant| plant.write_secret("gateway.key", &plant.issue(5, Purpose::Server, 9).key));
        assert!(key.starts_with("gateway.key: [tls] key: does not belong to gateway.pem"), "{key}");
        let leaf = problem(|plant| plant.write("ca.pem", &plant.issue(6, Purpose::Server, 9).certificate));
        assert!(leaf.starts_with("ca.pem: [tls] ca: ") && leaf.contains("is not a CA certificate"), "{leaf}");
    }

    #[test]
    fn everything_wrong_is_told_at_once() {
        let plant = Plant::new();
        plant.configure("127.0.0.1:0", "nowhere");
        plant.configure("sessions = 3", "sessions = 0");
        std::fs::remove_file(plant.path("ca.pem")).unwrap();
        std::fs::remove_dir_all(plant.path("recordings")).unwrap();
        assert_eq!(plant.config().unwrap_err().len(), 4);
    }

    #[test]
    fn a_looser_target_is_raised_to_the_demanded_mode() {
        let plant = Plant::new();
        plant.configure("reserve =", "mode = \"default\"\nreserve =");
        let settings = plant.config().unwrap().recording;
        assert_eq!(settings.mode_for(authz::Mode::Ordered), authz::Mode::Default);
        assert_eq!(settings.mode_for(authz::Mode::Durable), authz::Mode::Durable);
    }
}
