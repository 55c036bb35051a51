//! Puts a backup back on a host that has none of it, while no gateway runs.
//!
//! Nothing is ever overwritten: if anything stands where a file belongs, it is
//! named and nothing is done. Every file is first written beside its place and
//! synced; only when all are there do they take their names, each by a rename
//! that refuses to replace. What broke off is taken back, by itself or by the
//! next restore, and until then no gateway starts (`journal`).
//!
//! The state is made fit for the present before it takes its name: codes that
//! may have been used since the backup do not count again.

use super::journal::{Journal, Placed, sync_folder_of};
use super::places::{files, folders, place};
use super::{Archive, BackupError, Role};
use crate::config::Named;
use crate::problem::Problem;
use crate::state::{Restoration, SqliteState, StateError, StateFiles};
use jiff::Timestamp;
use recording::log::hash_of;
use recording::{DEFAULT_KEY_NAME, Identity, KeyError, PublicKey, SigningKey};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// What is to be put back, and where.
#[derive(Debug, Clone, Copy)]
pub struct Wish<'a> {
    /// The backup.
    pub from: &'a Path,
    /// The age identity that opens it.
    pub identity: &'a Path,
    /// The configuration; if it is there it says where everything belongs,
    /// otherwise the backup's own takes this place.
    pub config: &'a Path,
    /// The public key of the gateway that the backup has to be of.
    pub key: Option<&'a Path>,
}

/// What was put back.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Restored {
    /// When the backup was made.
    pub made: Timestamp,
    /// When it was put back.
    pub restored: Timestamp,
    /// The files that were written.
    pub files: Vec<PathBuf>,
    /// How many people the state knows.
    pub people: u64,
    /// The verifier key of the signing key: what auditors have must be this.
    pub signing_key: String,
}

/// Why nothing was put back.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// A file can't be read or written.
    #[error("{path}: {source}", path = .path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// Something stands where a file belongs.
    #[error("{}", occupied(.0))]
    Occupied(Vec<PathBuf>),
    /// What a restore that broke off had put there was changed since.
    #[error("{path} is not what the restore that broke off had written; look at it and move it away", path = .0.display())]
    Foreign(PathBuf),
    /// The configuration has no place for a file of the backup.
    #[error("the configuration has no place for {0}")]
    NoPlace(Role),
    /// The backup lacks what the configuration names.
    #[error("the backup does not hold {0}")]
    Missing(Role),
    /// The configuration that says where files belong can't be read.
    #[error("{0}")]
    Config(Problem),
    /// The identity, the public key or the signing key inside.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The backup is one of another gateway, or a forged one.
    #[error("the backup is not of the gateway whose key was given: it signs as {0}")]
    OtherGateway(String),
    /// The backup can't be opened.
    #[error(transparent)]
    Backup(#[from] BackupError),
    /// The state in it can't be used.
    #[error(transparent)]
    State(#[from] StateError),
}

fn occupied(paths: &[PathBuf]) -> String {
    let names: Vec<String> = paths.iter().map(|path| format!("  {}", path.display())).collect();
    format!("nothing is overwritten, and these are there already:\n{}", names.join("\n"))
}

/// Puts it back, whole or not at all. Blocks on the disk.
///
/// # Errors
/// [`RestoreError`]; nothing of it is left then.
pub fn restore(wish: &Wish<'_>, now: Timestamp) -> Result<Restored, RestoreError> {
    if let Some(broken_off) = Journal::read(wish.config)? {
        broken_off.take_back(wish.config)?;
    }
    let archive = open(wish)?;
    let signing_key = genuine(&archive, wish.key)?;
    let named = named(&archive, wish.config)?;
    let plan = plan(&archive, &named)?;
    let restoration = Restoration { made: archive.made(), restored: now };
    let mut work = Work { config: wish.config, journal: Journal::default() };
    match work.carry_out(&named, &plan, &restoration) {
        Ok(people) => Ok(Restored {
            made: restoration.made,
            restored: restoration.restored,
            files: plan.into_iter().map(|(_, path, _)| path).collect(),
            people,
            signing_key,
        }),
        Err(failed) => {
            work.journal.take_back(wish.config)?;
            Err(failed)
        }
    }
}

fn open(wish: &Wish<'_>) -> Result<Archive, RestoreError> {
    let envelope = super::gather::read(wish.from)?;
    Ok(Archive::open(&envelope, &Identity::read(wish.identity)?)?)
}

/// The verifier key of the signing key inside, which is the one expected.
fn genuine(archive: &Archive, expected: Option<&Path>) -> Result<String, RestoreError> {
    let pem = archive.get(&Role::SigningKey).ok_or(RestoreError::Missing(Role::SigningKey))?;
    let pem = std::str::from_utf8(pem).map_err(|_| KeyError::Private)?;
    let key = SigningKey::from_pem(pem, DEFAULT_KEY_NAME)?;
    match expected.map(PublicKey::read).transpose()? {
        Some(expected) if expected != *key.public() => {
            Err(RestoreError::OtherGateway(key.public().to_string()))
        }
        Some(_) | None => Ok(key.public().to_string()),
    }
}

/// The configuration that is there, or the backup's own.
fn named(archive: &Archive, config: &Path) -> Result<Named, RestoreError> {
    if std::fs::symlink_metadata(config).is_ok() {
        return Named::read(config).map_err(RestoreError::Config);
    }
    let text = archive.get(&Role::Configuration).ok_or(RestoreError::Missing(Role::Configuration))?;
    let text = std::str::from_utf8(text).map_err(|_| BackupError::NotABackup)?;
    Named::parse(config, text).map_err(RestoreError::Config)
}

pub(super) type Planned<'a> = (&'a Role, PathBuf, &'a [u8]);

/// Each file with its place; all of them free.
pub(super) fn plan<'a>(archive: &'a Archive, named: &Named) -> Result<Vec<Planned<'a>>, RestoreError> {
    let own = std::fs::symlink_metadata(&named.file).is_ok();
    for (role, _) in files(named) {
        if archive.get(&role).is_none() && !(own && role == Role::Configuration) {
            return Err(RestoreError::Missing(role));
        }
    }
    let mut plan: Vec<Planned<'_>> = Vec::new();
    let mut taken = Vec::new();
    for item in archive.items() {
        if own && item.role == Role::Configuration {
            continue;
        }
        let path = place(named, &item.role).ok_or_else(|| RestoreError::NoPlace(item.role.clone()))?;
        // One file may serve two keys of the configuration.
        match plan.iter().find(|(_, planned, _)| *planned == path) {
            Some((_, _, content)) if *content == item.content.as_slice() => continue,
            Some(_) => taken.push(path.clone()),
            None => {}
        }
        let beside = ["", "-wal", "-shm"].map(|suffix| {
            let mut name = path.clone().into_os_string();
            name.push(suffix);
            PathBuf::from(name)
        });
        taken.extend(beside.into_iter().filter(|path| std::fs::symlink_metadata(path).is_ok()));
        plan.push((&item.role, path, &item.content));
    }
    if taken.is_empty() { Ok(plan) } else { Err(RestoreError::Occupied(taken)) }
}

/// A restore under way, with what it made so far.
pub(super) struct Work<'a> {
    pub(super) config: &'a Path,
    pub(super) journal: Journal,
}

impl Work<'_> {
    fn carry_out(
        &mut self,
        named: &Named,
        plan: &[Planned<'_>],
        restoration: &Restoration,
    ) -> Result<u64, RestoreError> {
        let people = self.stage(named, plan, restoration)?;
        self.publish()?;
        Journal::close(self.config)?;
        Ok(people)
    }

    /// Writes every file beside its place.
    pub(super) fn stage(
        &mut self,
        named: &Named,
        plan: &[Planned<'_>],
        restoration: &Restoration,
    ) -> Result<u64, RestoreError> {
        self.make_folder(super::places::parent(self.config))?;
        self.journal.files = plan
            .iter()
            .map(|(_, path, _)| Placed { staged: staged(path), place: path.clone(), hash: None })
            .collect();
        self.note()?;
        for folder in folders(named) {
            self.make_folder(&folder)?;
        }
        for (role, path, content) in plan {
            write(&staged(path), content, if role.is_secret() { 0o600 } else { 0o644 })?;
        }
        let files = StateFiles { database: staged(&named.state.database), key: staged(&named.state.key) };
        let people = SqliteState::open(&files)?.put_back(restoration)?.people;
        for placed in &mut self.journal.files {
            let failed = |source| RestoreError::File { path: placed.staged.clone(), source };
            File::open(&placed.staged).and_then(|file| file.sync_all()).map_err(failed)?;
            let content = super::gather::read(&placed.staged)?;
            placed.hash = Some(hex::encode(hash_of(&content)));
        }
        self.note()?;
        Ok(people)
    }

    /// Gives every file its name.
    pub(super) fn publish(&self) -> Result<(), RestoreError> {
        for placed in &self.journal.files {
            let failed = |source| RestoreError::File { path: placed.place.clone(), source };
            let renamed = renameat_with(CWD, &placed.staged, CWD, &placed.place, RenameFlags::NOREPLACE);
            renamed.map_err(|error| failed(error.into()))?;
            sync_folder_of(&placed.place).map_err(failed)?;
        }
        Ok(())
    }

    /// Makes a folder with those that lead to it, private ones.
    fn make_folder(&mut self, folder: &Path) -> Result<(), RestoreError> {
        let missing: Vec<&Path> = folder.ancestors().take_while(|folder| !folder.exists()).collect();
        for folder in missing.into_iter().rev().filter(|folder| !folder.as_os_str().is_empty()) {
            let made = DirBuilder::new().mode(0o700).create(folder);
            made.map_err(|source| RestoreError::File { path: folder.to_owned(), source })?;
            self.journal.folders.push(folder.to_owned());
        }
        Ok(())
    }

    fn note(&self) -> Result<(), RestoreError> {
        let written = self.journal.write(self.config);
        written.map_err(|source| RestoreError::File { path: self.config.to_owned(), source })
    }
}

/// Where a file waits until all are there.
fn staged(path: &Path) -> PathBuf {
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(".restoring");
    path.with_file_name(name)
}

fn write(path: &Path, content: &[u8], mode: u32) -> Result<(), RestoreError> {
    let failed = |source| RestoreError::File { path: path.to_owned(), source };
    let made = OpenOptions::new().write(true).create_new(true).mode(mode).open(path);
    let mut file = made.map_err(failed)?;
    file.write_all(content).and_then(|()| file.sync_all()).map_err(failed)
}
