//! Lets another process see what runs: one small state file per `connect`.
//!
//! What it is for: `gatehouse status`. A running process holds a lock on a file of its own beside its state, so a
//! process that died without a word is recognised by its lock being free, and what it left is removed. What it never
//! does: it holds nothing secret, and nothing is ever done because of it.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::sessions::Ledger;
use crate::{Problem, platform};

/// The largest state file that is read, in bytes.
const LARGEST: u64 = 1024 * 1024;

/// What runs, as it is written and listed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// The process.
    pub process: u32,
    /// The profile's file.
    pub profile: String,
    /// The gateway's address.
    pub gateway: String,
    /// Who is signed in.
    pub person: String,
    /// Since when.
    pub since: Timestamp,
    /// Where the services are.
    pub services: Vec<ServiceState>,
    /// The sessions that have not ended.
    pub sessions: Vec<SessionState>,
}

/// A service and its local address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceState {
    /// The target's id.
    pub target: String,
    /// The service's name.
    pub service: String,
    /// The local address.
    pub listen: String,
}

/// A session in figures.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionState {
    /// The session's id.
    pub session: String,
    /// The target's id.
    pub target: String,
    /// Channels that stand.
    pub channels: u32,
    /// Requests decided, if the gateway tells.
    pub operations: Option<u64>,
    /// Requests denied.
    pub denied: u64,
    /// The newest denial in words.
    pub last_denial: Option<String>,
    /// When it ends as far as is known.
    pub until: Timestamp,
}

impl SessionState {
    /// The live sessions of a ledger.
    #[must_use]
    pub fn of(ledger: &Ledger) -> Vec<Self> {
        ledger
            .live()
            .map(|(id, session)| Self {
                session: id.to_string(),
                target: session.target.clone(),
                channels: session.channels,
                operations: session.operations,
                denied: session.denied,
                last_denial: session.last_denial.clone(),
                until: session.end(),
            })
            .collect()
    }
}

/// Where states are kept: the user's runtime folder, or a folder beside the profile.
#[must_use]
pub fn folder(profile: &Path) -> PathBuf {
    let beside = || profile.parent().unwrap_or_else(|| Path::new("")).join(".gatehouse");
    platform::runtime_folder().unwrap_or_else(beside)
}

/// This process's own entry. Dropped, it is gone.
#[derive(Debug)]
pub struct Running {
    lock: Option<File>,
    lock_file: PathBuf,
    state_file: PathBuf,
    written: Option<State>,
}

impl Running {
    /// Makes an entry for this process.
    ///
    /// # Errors
    /// [`Problem::Io`]; the caller may go on without an entry.
    pub fn announce(folder: &Path, started: Timestamp) -> Result<Self, Problem> {
        let problem = |source| Problem::of_file(folder, source);
        platform::create_private_folder(folder).map_err(problem)?;
        let name = format!("connect-{}-{}", std::process::id(), started.as_nanosecond());
        let lock_file = folder.join(format!("{name}.lock"));
        // Locked before it has its name: whoever finds the name finds it locked.
        let nameless = folder.join(format!(".{name}.new"));
        let lock = new_file(&nameless).map_err(problem)?;
        lock.lock().and_then(|()| fs::rename(&nameless, &lock_file)).map_err(|error| {
            let _ = fs::remove_file(&nameless);
            problem(error)
        })?;
        let state_file = folder.join(format!("{name}.json"));
        Ok(Self { lock: Some(lock), lock_file, state_file, written: None })
    }

    /// Writes the state if it has changed: the old file is swapped for the new one as a whole.
    ///
    /// # Errors
    /// [`Problem::Io`].
    pub fn update(&mut self, state: State) -> Result<(), Problem> {
        if self.written.as_ref() == Some(&state) {
            return Ok(());
        }
        let text = crate::targets::harmless_json(&state)?;
        let beside = self.state_file.with_extension("json-new");
        let swapped = new_file(&beside)
            .and_then(|mut file| file.write_all(text.as_bytes()))
            .and_then(|()| fs::rename(&beside, &self.state_file));
        self.written = Some(state);
        swapped.map_err(|source| Problem::of_file(&self.state_file, source))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Whatever cannot be removed here is removed by the next who lists.
        let _ = fs::remove_file(&self.state_file);
        let _ = fs::remove_file(&self.lock_file);
        self.lock = None;
    }
}

fn new_file(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    platform::private_file(options.write(true).create(true).truncate(true)).open(path)
}

/// What runs now, oldest first. Entries of processes that died are removed.
///
/// # Errors
/// [`Problem::Io`] if the folder can't be read; one that is not there has no entries.
pub fn list(folder: &Path) -> Result<Vec<State>, Problem> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Problem::of_file(folder, error)),
    };
    let mut states = Vec::new();
    for entry in entries {
        let lock_file = entry.map_err(|source| Problem::of_file(folder, source))?.path();
        if lock_file.extension().is_some_and(|ending| ending == "lock") {
            states.extend(state_of(&lock_file)?);
        }
    }
    states.sort_by_key(|state| state.since);
    Ok(states)
}

/// The state beside a lock that is held; nothing for one that is free, which is removed with its state.
fn state_of(lock_file: &Path) -> Result<Option<State>, Problem> {
    let state_file = lock_file.with_extension("json");
    let lock = match File::open(lock_file) {
        Ok(lock) => lock,
        // It ended between our listing and our look.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Problem::of_file(lock_file, error)),
    };
    match lock.try_lock_shared() {
        Ok(()) => {
            let _ = fs::remove_file(&state_file);
            let _ = fs::remove_file(state_file.with_extension("json-new"));
            let _ = fs::remove_file(lock_file);
            Ok(None)
        }
        Err(TryLockError::WouldBlock) => Ok(read_state(&state_file)),
        Err(TryLockError::Error(source)) => Err(Problem::of_file(lock_file, source)),
    }
}

/// A state that is not there yet, or that another version wrote, is none.
fn read_state(file: &Path) -> Option<State> {
    let small = fs::metadata(file).ok()?.len() <= LARGEST;
    let text = small.then(|| fs::read(file).ok()).flatten()?;
    serde_json::from_slice(&text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(person: &str) -> State {
        State {
            process: std::process::id(),
            profile: "profile.toml".into(),
            gateway: "127.0.0.1:4433".into(),
            person: person.into(),
            since: Timestamp::UNIX_EPOCH,
            services: Vec::new(),
            sessions: Vec::new(),
        }
    }

    fn announced(folder: &Path) -> Running {
        let mut running = Running::announce(folder, Timestamp::now()).unwrap();
        running.update(state("operator-1")).unwrap();
        running
    }

    #[test]
    fn what_runs_is_listed_and_what_has_ended_is_not() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("run");
        assert_eq!(list(&folder).unwrap(), []);
        let mut running = announced(&folder);
        assert_eq!(list(&folder).unwrap(), [state("operator-1")]);
        running.update(state("tech-1@vendor-a")).unwrap();
        assert_eq!(list(&folder).unwrap(), [state("tech-1@vendor-a")]);
        drop(running);
        assert_eq!(list(&folder).unwrap(), []);
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
    }

    #[test]
    fn what_a_dead_process_left_is_recognised_and_removed() {
        let place = tempfile::tempdir().unwrap();
        let mut dead = announced(place.path());
        // The kernel frees a lock when its holder dies; the files stay.
        dead.lock = None;
        let (lock_file, state_file) = (dead.lock_file.clone(), dead.state_file.clone());
        std::mem::forget(dead);
        assert!(lock_file.exists() && state_file.exists());
        let alive = announced(place.path());
        assert_eq!(list(place.path()).unwrap().len(), 1);
        assert!(!lock_file.exists() && !state_file.exists());
        assert!(alive.state_file.exists());
    }

    #[test]
    fn a_damaged_state_is_none() {
        let place = tempfile::tempdir().unwrap();
        let running = announced(place.path());
        fs::write(&running.state_file, "{\"process\":").unwrap();
        assert_eq!(list(place.path()).unwrap(), []);
    }
}
