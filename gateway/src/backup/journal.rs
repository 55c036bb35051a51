//! What a restore is about to put where, written down before it begins.
//!
//! A file beside the configuration. While it is there no gateway starts, and
//! the next restore takes back what this one left; a restore that ends well or
//! gives up by itself removes it. Nothing is ever taken back that is not, byte
//! for byte, what the restore wrote.

use super::restore::RestoreError;
use crate::problem::Problem;
use recording::log::hash_of;
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// The longest journal, in bytes: a restore has some twenty files.
const LONGEST: u64 = 1 << 20;

/// A file that is being put back.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Placed {
    /// Where it waits until all are there.
    pub(super) staged: PathBuf,
    /// Where it belongs.
    pub(super) place: PathBuf,
    /// SHA-256 of its content as hex, once that is final.
    pub(super) hash: Option<String>,
}

/// All that a restore makes.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Journal {
    pub(super) files: Vec<Placed>,
    /// Folders that it made, outer ones first.
    pub(super) folders: Vec<PathBuf>,
}

/// The problem of a configuration whose restore broke off.
pub fn unfinished(config: &Path) -> Option<Problem> {
    let path = path_of(config);
    std::fs::symlink_metadata(&path).is_ok().then(|| {
        Problem::new(&path, "a restore of this gateway broke off").hint("run `restore` again: it begins anew")
    })
}

fn path_of(config: &Path) -> PathBuf {
    let mut name = config.as_os_str().to_owned();
    name.push(".restoring");
    name.into()
}

impl Journal {
    /// Writes it as a whole, on stable storage before this returns.
    pub(super) fn write(&self, config: &Path) -> io::Result<()> {
        let path = path_of(config);
        let mut beside = path.clone().into_os_string();
        beside.push(".new");
        let text = serde_json::to_vec_pretty(self).map_err(io::Error::other)?;
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
        file.write_all(&text)?;
        file.sync_all()?;
        std::fs::rename(&beside, &path)?;
        sync_folder_of(&path)
    }

    /// The journal of a restore that broke off, if there is one.
    pub(super) fn read(config: &Path) -> Result<Option<Self>, RestoreError> {
        let path = path_of(config);
        let failed = |source| RestoreError::File { path: path.clone(), source };
        match std::fs::metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error)),
            Ok(metadata) if metadata.len() > LONGEST => {
                return Err(failed(io::Error::other("is too long for what it should be")));
            }
            Ok(_) => {}
        }
        let text = std::fs::read(&path).map_err(failed)?;
        serde_json::from_slice(&text).map(Some).map_err(|error| failed(error.into()))
    }

    /// Takes back all that the restore made, then the journal itself.
    ///
    /// # Errors
    /// Where something else stands in a place by now: then nothing more is
    /// taken back, and the journal stays.
    pub(super) fn take_back(&self, config: &Path) -> Result<(), RestoreError> {
        for Placed { staged, place, hash } in &self.files {
            remove(staged)?;
            for suffix in ["-wal", "-shm", "-journal"] {
                let mut beside = staged.clone().into_os_string();
                beside.push(suffix);
                remove(Path::new(&beside))?;
            }
            let Some(hash) = hash else { continue };
            match std::fs::read(place) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(source) => return Err(RestoreError::File { path: place.clone(), source }),
                Ok(content) if hex::encode(hash_of(&content)) == *hash => remove(place)?,
                Ok(_) => return Err(RestoreError::Foreign(place.clone())),
            }
        }
        for folder in self.folders.iter().rev() {
            // One that somebody put something into stays.
            let _ = std::fs::remove_dir(folder);
        }
        remove(&path_of(config))?;
        sync_folder_of(config).map_err(|source| RestoreError::File { path: config.to_owned(), source })
    }

    /// All is in its place: only the journal goes.
    pub(super) fn close(config: &Path) -> Result<(), RestoreError> {
        remove(&path_of(config))?;
        sync_folder_of(config).map_err(|source| RestoreError::File { path: config.to_owned(), source })
    }
}

fn remove(path: &Path) -> Result<(), RestoreError> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(RestoreError::File { path: path.to_owned(), source: error })
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Makes what happened to a file's name durable.
pub(super) fn sync_folder_of(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    match File::open(folder.unwrap_or_else(|| Path::new("."))) {
        Ok(folder) => folder.sync_all(),
        // A folder that is gone with all that was in it.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}
