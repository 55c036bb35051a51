//! From what is written to what is true, collecting every problem.

use super::named::{state_files, tls_files};
use super::units::{count, duration, size};
use super::written::{self, Written};
use super::{
    AdminSettings, AuditSettings, Config, Limits, LogSettings, Manifest, PolicySettings, RecordingSettings,
    SpaceSettings,
};
use crate::ends::End;
use crate::problem::Problem;
use crate::state::StateFiles;
use crate::tls::{Files, Papers};
use jiff::Timestamp;
use recording::{PublicKey, Recipient, SigningKey};
use rustix::fs::{Access, access};
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// The longest path of a Unix socket that every kernel takes, in bytes.
const LONGEST_SOCKET_PATH: usize = 100;

/// Free space kept where nothing is configured.
const DEFAULT_RESERVE: u64 = 1 << 30;

const SECOND: Duration = Duration::from_secs(1);

pub(super) fn check(file: &Path, written: Written, now: Timestamp) -> Result<Config, Vec<Problem>> {
    let mut checks = Checks { file, folder: parent(file), now, problems: Vec::new(), ends: Vec::new() };
    let listen = checks.address("listen", &written.listen);
    let tls = checks.tls(&written.tls, written.ca.as_ref());
    let policy = checks.policy(written.policy);
    let recording = checks.recording(written.recording);
    let state = checks.state(&written.state);
    let audit = checks.audit(written.audit);
    let log = checks.log(written.log, &audit, recording.as_ref());
    let admin = checks.admin(written.admin);
    let ca = checks.ca(written.ca);
    let enrolment = checks.enrolment(written.enrolment, ca.as_ref(), listen, &tls);
    let webauthn = written.webauthn.and_then(|webauthn| checks.webauthn(webauthn));
    let limits = checks.limits(written.limits);
    let (Some(listen), Some(policy), Some(recording), true) =
        (listen, policy, recording, checks.problems.is_empty())
    else {
        return Err(checks.problems);
    };
    let file = file.to_owned();
    Ok(Config {
        file,
        listen,
        tls,
        policy,
        recording,
        state,
        audit,
        log,
        admin,
        ca,
        enrolment,
        webauthn,
        limits,
        ends: checks.ends,
    })
}

pub(super) struct Checks<'a> {
    pub(super) file: &'a Path,
    folder: &'a Path,
    pub(super) now: Timestamp,
    pub(super) problems: Vec<Problem>,
    pub(super) ends: Vec<End>,
}

impl Checks<'_> {
    pub(super) fn address(&mut self, key: &str, text: &str) -> Option<SocketAddr> {
        let parsed = text.parse::<SocketAddr>();
        parsed.map_err(|_| self.wrong(key, format!("{text:?} is no address"), "write ADDRESS:PORT")).ok()
    }

    /// Somebody has to issue the certificates of people: the CA of these files,
    /// the gateway itself, or both. A CA without its list could revoke nothing.
    fn tls(&mut self, tls: &written::Tls, ca: Option<&written::Ca>) -> Files {
        let alone = "write both: without its list nothing that a CA issued could be revoked";
        match (&tls.ca, &tls.crl) {
            (Some(_), None) => self.wrong("[tls] crl", "is missing beside [tls] ca", alone),
            (None, Some(_)) => self.wrong("[tls] ca", "is missing beside [tls] crl", alone),
            (None, None) if ca.is_none() => {
                let hint =
                    "name the CA of the technicians' certificates and its CRL, or add [ca] with dir = FOLDER";
                self.wrong("[tls] ca", "nobody could sign in: there is neither [tls] ca nor [ca]", hint);
            }
            (Some(_), Some(_)) | (None, None) => {}
        }
        let files = tls_files(self.folder, tls);
        match Papers::read(&files, self.now) {
            Ok(papers) => self.ends.extend(papers.ends()),
            Err(problems) => self.problems.extend(problems),
        }
        files
    }

    fn policy(&mut self, policy: written::Policy) -> Option<PolicySettings> {
        let dir = self.path(&policy.dir);
        self.folder_there(&dir, "[policy] dir", Access::READ_OK);
        let manifest = match (policy.manifest_key, policy.require_manifest) {
            (Some(key), _) => {
                let key = self.path(&key);
                let read = PublicKey::read(&key).map_err(|error| {
                    let hint = "`policy seal --sign KEY` prints the line that belongs into it";
                    let problem =
                        Problem::new(&key, error.to_string()).key("[policy] manifest_key").hint(hint);
                    self.problems.push(problem);
                });
                Manifest::Signed(read.ok()?)
            }
            (None, true) => Manifest::Required,
            (None, false) => Manifest::Optional,
        };
        Some(PolicySettings { dir, manifest })
    }

    fn recording(&mut self, recording: written::Recording) -> Option<RecordingSettings> {
        let dir = self.path(&recording.dir);
        self.folder_there(&dir, "[recording] dir", Access::READ_OK | Access::WRITE_OK);
        let key_path = self.path(&recording.signing_key);
        let signing_key = SigningKey::read(&key_path).map_err(|error| {
            self.problems.push(Problem::new(&key_path, error.to_string()).key("[recording] signing_key"));
        });
        let space = self.space(&recording);
        if recording.recipients.is_empty() {
            let reason = "names nobody: no auditor could read a recording";
            self.wrong("[recording] recipients", reason, "name at least one auditor's public key");
        }
        let mut recipients = Vec::new();
        for text in &recording.recipients {
            self.recipient("[recording] recipients", text, &mut recipients);
        }
        self.recipient("[recording] recovery_recipient", &recording.recovery_recipient, &mut recipients);
        let signing_key = Arc::new(signing_key.ok()?);
        Some(RecordingSettings { dir, signing_key, recipients, space, mode: recording.mode })
    }

    /// People are told at twice the reserve and sessions end at a quarter of
    /// it, where nothing else is written.
    fn space(&mut self, recording: &written::Recording) -> SpaceSettings {
        let mut bytes = |key: &str, text: &Option<String>, default: u64| {
            let size = text.as_ref().map_or(Ok(default), |text| size(text));
            self.limit(&format!("[recording] {key}"), size)
        };
        let reserve = bytes("reserve", &recording.reserve, DEFAULT_RESERVE);
        let warn_below = bytes("warn_below", &recording.warn_below, reserve.saturating_mul(2));
        let cut_below = bytes("cut_below", &recording.cut_below, reserve / 4);
        // A size that could not be read is zero here and has been told.
        if warn_below < reserve && warn_below > 0 {
            let hint = format!("write at least {reserve} B");
            self.wrong("[recording] warn_below", "is below reserve", &hint);
        }
        if cut_below > reserve && reserve > 0 {
            let hint = format!("write at most {reserve} B");
            self.wrong("[recording] cut_below", "is above reserve", &hint);
        }
        SpaceSettings { warn_below, reserve, cut_below }
    }

    /// An `age1...` recipient, or a file with one a line and `#` comments.
    fn recipient(&mut self, key: &str, text: &str, recipients: &mut Vec<Recipient>) {
        if text.starts_with("age1") {
            match text.parse() {
                Ok(recipient) => recipients.push(recipient),
                Err(error) => {
                    self.wrong(key, format!("{error}"), "write a native X25519 recipient (age1...)")
                }
            }
            return;
        }
        let path = self.path(Path::new(text));
        let content = match std::fs::read_to_string(&path) {
            Ok(content) => content,
            Err(error) => return self.problems.push(Problem::new(&path, error.to_string()).key(key)),
        };
        let lines = content.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        let before = recipients.len();
        for line in lines {
            match line.parse() {
                Ok(recipient) => recipients.push(recipient),
                // The line may be a secret identity by mistake: it is not repeated.
                Err(_) => {
                    let problem = Problem::new(&path, "holds a line that is no age recipient").key(key);
                    return self
                        .problems
                        .push(problem.hint("name the public file (age1...), not the identity"));
                }
            }
        }
        if recipients.len() == before {
            self.problems.push(Problem::new(&path, "holds no age recipient").key(key));
        }
    }

    fn state(&mut self, state: &written::State) -> StateFiles {
        let StateFiles { database, key } = state_files(self.folder, state);
        self.file_place(&database, "[state] database");
        if key == database {
            self.wrong("[state] key", "is the database itself", "name another file");
        } else if std::fs::symlink_metadata(&key).is_err() {
            self.folder_there(parent(&key), "[state] key", Access::WRITE_OK);
        }
        for (file, name) in [(&database, "[state] database"), (&key, "[state] key")] {
            self.problems.extend(crate::tls::private(file, name).err());
        }
        StateFiles { database, key }
    }

    fn audit(&mut self, audit: written::Audit) -> AuditSettings {
        let file = self.path(&audit.file);
        self.file_place(&file, "[audit] file");
        let syslog = audit.syslog.and_then(|text| {
            let parsed = text.parse::<SocketAddr>();
            let wrong = |_| {
                self.wrong(
                    "[audit] syslog",
                    format!("{text:?} is no address"),
                    "write ADDRESS:PORT of a UDP collector",
                );
            };
            parsed.map_err(wrong).ok()
        });
        AuditSettings { file, syslog }
    }

    /// Without a word about it the site log lies beside the audit file: there
    /// is no gateway without one.
    fn log(
        &mut self,
        log: written::Log,
        audit: &AuditSettings,
        recording: Option<&RecordingSettings>,
    ) -> LogSettings {
        let dir = match &log.dir {
            Some(dir) => {
                let dir = self.path(dir);
                self.folder_there(&dir, "[log] dir", Access::READ_OK | Access::WRITE_OK);
                dir
            }
            None => parent(&audit.file).to_owned(),
        };
        let file = dir.join(recording::log::LOG_FILE);
        if std::fs::metadata(&file).is_ok() {
            self.file_place(&file, "[log] dir");
        }
        // A witness that is not mounted now must not stop the plant; what it
        // misses raises an alarm. One in our own folders is none.
        let witness = log.witness.map(|folder| self.path(&folder));
        if let Some(folder) = &witness {
            let own = [Some(&dir), recording.map(|recording| &recording.dir)];
            if own.into_iter().flatten().any(|own| own == folder) {
                let hint = "name a folder on another machine or medium";
                self.wrong("[log] witness", "is a folder that the gateway itself keeps", hint);
            }
        }
        LogSettings { dir, witness }
    }

    fn admin(&mut self, admin: written::Admin) -> AdminSettings {
        let (socket, key) = (self.path(&admin.socket), "[admin] socket");
        if socket.as_os_str().len() > LONGEST_SOCKET_PATH {
            let reason = format!("{} is longer than {LONGEST_SOCKET_PATH} bytes", socket.display());
            self.wrong(key, reason, "choose a shorter path");
        }
        if std::fs::symlink_metadata(&socket).is_ok_and(|metadata| !metadata.file_type().is_socket()) {
            let problem = Problem::new(&socket, "is there already and is no socket").key(key);
            self.problems.push(problem.hint("remove it or choose another path"));
        }
        self.folder_there(parent(&socket), key, Access::WRITE_OK);
        let own = || vec![rustix::process::getuid().as_raw()];
        let uids = admin.uids.unwrap_or_else(own);
        if uids.is_empty() {
            self.wrong(
                "[admin] uids",
                "names nobody",
                "name a user's number, or leave the key out for your own",
            );
        }
        AdminSettings { socket, uids }
    }

    fn limits(&mut self, limits: written::Limits) -> Limits {
        let mut number = |key: &str, value: Option<u32>, default: u32, most: u32| {
            self.limit(&format!("[limits] {key}"), count(value.unwrap_or(default), 1..=most))
        };
        let connections = number("connections", limits.connections, 256, 100_000);
        let connections_per_address =
            number("connections_per_address", limits.connections_per_address, 32, 100_000);
        let sessions = number("sessions", limits.sessions, 64, 10_000);
        let sessions_per_person = number("sessions_per_person", limits.sessions_per_person, 8, 10_000);
        let mut span = |key: &str, value: Option<String>, default: Duration, most: u64| {
            let range = SECOND..=Duration::from_secs(most);
            self.limit(&format!("[limits] {key}"), value.map_or(Ok(default), |text| duration(&text, range)))
        };
        let sign_in_deadline = span("sign_in_deadline", limits.sign_in_deadline, 120 * SECOND, 600);
        let handshake_deadline = span("handshake_deadline", limits.handshake_deadline, 10 * SECOND, 60);
        let idle_timeout = span("idle_timeout", limits.idle_timeout, 30 * SECOND, 600);
        let keep_alive = span("keep_alive", limits.keep_alive, 5 * SECOND, 300);
        let drain_deadline = span("drain_deadline", limits.drain_deadline, 10 * SECOND, 600);
        let day = 24 * 60 * 60;
        let presence = session::PresenceLimits {
            idle: span("factor_again_after_idle", limits.factor_again_after_idle, 15 * 60 * SECOND, day),
            absolute: span("factor_again_after", limits.factor_again_after, 8 * 60 * 60 * SECOND, day),
            answer: span("factor_again_within", limits.factor_again_within, 120 * SECOND, 600),
        };
        if keep_alive >= idle_timeout {
            let reason = format!("{keep_alive:?} is not shorter than idle_timeout ({idle_timeout:?})");
            self.wrong("[limits] keep_alive", reason, "choose a third of idle_timeout or less");
        }
        Limits {
            connections,
            connections_per_address,
            sign_in_deadline,
            handshake_deadline,
            sessions,
            sessions_per_person,
            idle_timeout,
            keep_alive,
            drain_deadline,
            presence,
        }
    }

    /// The value, or a problem and the type's zero, which nothing uses: a
    /// configuration with a problem is not returned.
    pub(super) fn limit<T: Default>(&mut self, key: &str, value: Result<T, String>) -> T {
        value.unwrap_or_else(|reason| {
            self.problems.push(Problem::new(self.file, reason).key(key));
            T::default()
        })
    }

    /// A file that is written to: it, or its folder if it is not there yet.
    fn file_place(&mut self, path: &Path, key: &str) {
        match std::fs::metadata(path) {
            Ok(metadata) if !metadata.is_file() => {
                self.problems.push(Problem::new(path, "is no ordinary file").key(key));
            }
            Ok(_) => {
                if let Err(error) = access(path, Access::READ_OK | Access::WRITE_OK) {
                    self.problems.push(Problem::new(path, std::io::Error::from(error).to_string()).key(key));
                }
            }
            Err(_) => self.folder_there(parent(path), key, Access::WRITE_OK),
        }
    }

    pub(super) fn folder_there(&mut self, path: &Path, key: &str, rights: Access) {
        match std::fs::metadata(path) {
            Err(error) => {
                let problem = Problem::new(path, error.to_string()).key(key);
                self.problems.push(problem.hint(format!("mkdir {}", path.display())));
            }
            Ok(metadata) if !metadata.is_dir() => {
                self.problems.push(Problem::new(path, "is no folder").key(key));
            }
            Ok(metadata) => {
                if let Err(error) = access(path, rights | Access::EXEC_OK) {
                    self.problems.push(Problem::new(path, std::io::Error::from(error).to_string()).key(key));
                } else if metadata.permissions().mode() & 0o1002 == 0o0002 {
                    let problem = Problem::new(path, "everybody may write into this folder").key(key);
                    self.problems.push(problem.hint(format!("chmod o-w {}", path.display())));
                }
            }
        }
    }

    pub(super) fn wrong(&mut self, key: &str, reason: impl Into<String>, hint: &str) {
        self.problems.push(Problem::new(self.file, reason).key(key).hint(hint));
    }

    pub(super) fn path(&self, path: &Path) -> PathBuf {
        self.folder.join(path)
    }
}

pub(super) fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        Some(_) | None => Path::new("."),
    }
}
