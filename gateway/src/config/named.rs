//! Where a configuration says that its files are. Whether they are there, and
//! what is in them, is not asked: a backup is made of them, and a restore puts
//! them there.

use super::written::{self, Written};
use crate::problem::Problem;
use crate::state::StateFiles;
use crate::tls::{ExternalFiles, Files};
use std::path::{Path, PathBuf};

/// The paths of a configuration, resolved against its own folder.
#[derive(Debug, Clone)]
pub struct Named {
    /// The configuration itself.
    pub file: PathBuf,
    /// CA, CRL, certificate and key.
    pub tls: Files,
    /// `[policy] dir`.
    pub policy_dir: PathBuf,
    /// `[policy] manifest_key`.
    pub manifest_key: Option<PathBuf>,
    /// `[recording] dir`.
    pub recordings: PathBuf,
    /// `[recording] signing_key`.
    pub signing_key: PathBuf,
    /// The files among `[recording] recipients`; `None` for one that stands in
    /// the configuration itself.
    pub recipients: Vec<Option<PathBuf>>,
    /// The file of `[recording] recovery_recipient`.
    pub recovery_recipient: Option<PathBuf>,
    /// Database and key of the state.
    pub state: StateFiles,
    /// `[audit] file`.
    pub audit: PathBuf,
    /// `[ca] dir`.
    pub ca_dir: Option<PathBuf>,
    /// `[webauthn] cert` and `key`.
    pub page: Option<(PathBuf, PathBuf)>,
    /// `[log] dir`.
    pub log: Option<PathBuf>,
    /// `[admin] socket`.
    pub socket: PathBuf,
}

impl Named {
    /// Reads a configuration.
    ///
    /// # Errors
    /// Where it can't be read or is not one.
    pub fn read(file: &Path) -> Result<Self, Problem> {
        written::read(file).map(|written| Self::of(file, written))
    }

    /// The same of a text that would stand in that file.
    ///
    /// # Errors
    /// Where it is no configuration.
    pub fn parse(file: &Path, text: &str) -> Result<Self, Problem> {
        written::parse(file, text).map(|written| Self::of(file, written))
    }

    fn of(file: &Path, written: Written) -> Self {
        let folder = super::checks::parent(file);
        let path = |path: &PathBuf| folder.join(path);
        let recipient = |text: &String| (!text.starts_with("age1")).then(|| folder.join(text));
        let Written { tls, policy, recording, state, audit, log, admin, ca, webauthn, .. } = written;
        Self {
            file: file.to_owned(),
            tls: tls_files(folder, &tls),
            policy_dir: path(&policy.dir),
            manifest_key: policy.manifest_key.as_ref().map(path),
            recordings: path(&recording.dir),
            signing_key: path(&recording.signing_key),
            recipients: recording.recipients.iter().map(recipient).collect(),
            recovery_recipient: recipient(&recording.recovery_recipient),
            state: state_files(folder, &state),
            audit: path(&audit.file),
            page: webauthn.map(|page| (path(&page.cert), path(&page.key))),
            ca_dir: ca.map(|ca| path(&ca.dir)),
            log: log.dir.as_ref().map(path),
            socket: path(&admin.socket),
        }
    }
}

/// Both CA and CRL or neither; one alone is found by the checks.
pub(super) fn tls_files(folder: &Path, tls: &written::Tls) -> Files {
    let external = tls.ca.as_ref().zip(tls.crl.as_ref());
    let external = external.map(|(ca, crl)| ExternalFiles { ca: folder.join(ca), crl: folder.join(crl) });
    Files { external, cert: folder.join(&tls.cert), key: folder.join(&tls.key) }
}

/// Without a word about it the key lies beside the database.
pub(super) fn state_files(folder: &Path, state: &written::State) -> StateFiles {
    let database = folder.join(&state.database);
    let beside = || {
        let mut name = database.clone().into_os_string();
        name.push(".key");
        PathBuf::from(name)
    };
    let key = state.key.as_ref().map_or_else(beside, |key| folder.join(key));
    StateFiles { database, key }
}
