//! The policy in force, and how it changes.
//!
//! The gateway runs on the snapshot that was applied last, kept whole in the
//! state; the folder's content counts only when somebody applies it, but for
//! the very first start. `apply` checks the folder as a whole, stores the
//! snapshot, then swaps it in and tells the sessions; with any problem nothing
//! changes. Decisions themselves are taken by the `authz` crate.

mod checkout;
mod manifest;
mod preview;
#[cfg(test)]
mod races;
mod watching;

use crate::audit::{Audit, AuditError, Figure, Kind};
use crate::config::PolicySettings;
use crate::problem::Problem;
use crate::state::{PolicySnapshot, State, StateError};
use authz::{Files, Policy, PolicyHash, Problems};
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;

pub use manifest::{SealError, Sealed, seal};
pub use preview::{Fate, Preview, SessionEffect};
pub(crate) use watching::walk as watch_folder;

/// The author of the snapshot that the very first start applies.
pub const FIRST_START: &str = "first start";

/// A policy with the account of how it came into force.
#[derive(Debug, Clone)]
pub struct Applied {
    /// The checked policy.
    pub policy: Arc<Policy>,
    /// When it was applied.
    pub at: Timestamp,
    /// By whom.
    pub by: String,
}

/// Why a policy did not come into force; the old one stays.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// The folder is not a valid policy.
    #[error("{0}")]
    Invalid(Problems),
    /// The manifest does not fit, or is missing where one is demanded.
    #[error("{0}")]
    Manifest(Problem),
    /// The folder is not what was looked at before.
    #[error("the folder has changed since: it holds policy {found} now, not {expected}; look again")]
    Moved {
        /// What was to be applied.
        expected: String,
        /// What is there.
        found: String,
    },
    /// The stored snapshot is not a valid policy.
    #[error("the applied policy in the state can't be used: {0}")]
    Stored(Problems),
    /// The state failed.
    #[error(transparent)]
    State(#[from] StateError),
    /// The event could not be written.
    #[error(transparent)]
    Audit(#[from] AuditError),
}

/// What a `policy apply` did.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Changes {
    /// SHA-256 of the policy in force now, as hex.
    pub hash: String,
    /// SHA-256 of the one before.
    pub before: String,
    /// The commit, where the folder lies in a git checkout. Whether its files
    /// differ from the commit is not known.
    pub commit: Option<String>,
    /// Lines that are new, with their files.
    pub added: Vec<Line>,
    /// Lines that are gone.
    pub removed: Vec<Line>,
    /// Valid, and yet probably not meant.
    pub warnings: Vec<String>,
}

/// A line of a policy file that came or went.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct Line {
    /// The file's name in the folder.
    pub file: String,
    /// The line without surrounding space.
    pub text: String,
}

/// How the folder compares with what is in force.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(tag = "folder", rename_all = "snake_case")]
pub enum FolderState {
    /// The same content: nothing to apply.
    Applied,
    /// Valid and different: `policy apply` would bring it into force.
    Differs {
        /// SHA-256 of the folder, as hex.
        folder_hash: String,
    },
    /// Not valid: `policy apply` would refuse it.
    Invalid {
        /// All that is wrong, a line each.
        problems: Vec<String>,
    },
}

/// Holds the policy in force.
#[derive(Debug)]
pub struct PolicyHolder {
    settings: PolicySettings,
    state: Arc<dyn State>,
    audit: Arc<Audit>,
    current: watch::Sender<Arc<Applied>>,
    applying: Mutex<()>,
}

impl PolicyHolder {
    /// Takes the applied snapshot from the state; on the very first start the
    /// folder is applied, as an event.
    ///
    /// # Errors
    /// When neither gives a valid policy: a gateway without one doesn't start.
    pub fn open(
        settings: PolicySettings,
        state: Arc<dyn State>,
        audit: Arc<Audit>,
    ) -> Result<Self, PolicyError> {
        let applied = match state.current_policy()? {
            Some(snapshot) => from_snapshot(&snapshot)?,
            None => {
                let policy = read_folder(&settings)?;
                let commit = checkout::commit(&settings.dir);
                bring_into_force(&*state, &audit, policy, FIRST_START, commit.as_deref())?
            }
        };
        let (current, _) = watch::channel(Arc::new(applied));
        Ok(Self { settings, state, audit, current, applying: Mutex::new(()) })
    }

    /// The policy in force.
    pub fn current(&self) -> Arc<Policy> {
        Arc::clone(&self.current.borrow().policy)
    }

    /// The policy in force and how it came so.
    pub fn applied(&self) -> Arc<Applied> {
        Arc::clone(&self.current.borrow())
    }

    /// Hears of each policy that comes into force.
    pub fn subscribe(&self) -> watch::Receiver<Arc<Applied>> {
        self.current.subscribe()
    }

    /// The same for whoever was granted something under the policy of that
    /// hash: one that came into force since then is heard of at once. The
    /// policy comes along where it still is that one.
    pub fn subscribe_since(
        &self,
        granted: PolicyHash,
    ) -> (watch::Receiver<Arc<Applied>>, Option<Arc<Policy>>) {
        let mut receiver = self.subscribe();
        let applied = Arc::clone(&receiver.borrow_and_update().policy);
        if applied.hash() == granted {
            return (receiver, Some(applied));
        }
        receiver.mark_changed();
        (receiver, None)
    }

    /// Brings the folder's content into force. Blocks on the disk.
    ///
    /// # Errors
    /// With any problem the old policy stays; the refusal is an event.
    pub fn apply(&self, by: &str) -> Result<Changes, PolicyError> {
        self.apply_checked(by, |_| Ok(()))
    }

    /// The same, only if the folder holds the policy of that hash: what was
    /// shown is what is taken.
    ///
    /// # Errors
    /// [`PolicyError::Moved`] where the folder holds another one.
    pub fn apply_expected(&self, by: &str, expected: &str) -> Result<Changes, PolicyError> {
        self.apply_checked(by, |policy| {
            let found = policy.hash().to_string();
            if found == expected {
                return Ok(());
            }
            Err(PolicyError::Moved { expected: expected.chars().take(64).collect(), found })
        })
    }

    fn apply_checked(
        &self,
        by: &str,
        check: impl FnOnce(&Policy) -> Result<(), PolicyError>,
    ) -> Result<Changes, PolicyError> {
        let _one_at_a_time = self.applying.lock().unwrap_or_else(PoisonError::into_inner);
        let read = read_folder(&self.settings).and_then(|policy| check(&policy).map(|()| policy));
        let policy = read.inspect_err(|error| self.tell_refused(error, by))?;
        let commit = checkout::commit(&self.settings.dir);
        let before = self.current();
        let warnings = policy.warnings().iter().map(ToString::to_string).collect();
        let applied = bring_into_force(&*self.state, &self.audit, policy, by, commit.as_deref())?;
        let (added, removed) = differences(before.files(), applied.policy.files());
        let hash = applied.policy.hash().to_string();
        self.current.send_replace(Arc::new(applied));
        Ok(Changes { hash, before: before.hash().to_string(), commit, added, removed, warnings })
    }

    /// How the folder compares with what is in force. Blocks on the disk.
    pub fn folder(&self) -> FolderState {
        match read_folder(&self.settings) {
            Ok(policy) if policy.hash() == self.current().hash() => FolderState::Applied,
            Ok(policy) => FolderState::Differs { folder_hash: policy.hash().to_string() },
            Err(error) => {
                FolderState::Invalid { problems: error.to_string().lines().map(str::to_owned).collect() }
            }
        }
    }

    fn tell_refused(&self, error: &PolicyError, by: &str) {
        let event = self.audit.event(Kind::PolicyRefused).by(by).why(&error.to_string());
        // Nothing changes either way; a failing audit file has raised its alarm.
        self.audit.tell(&event);
    }
}

/// Checks a folder as `policy apply` would.
///
/// # Errors
/// All that is wrong with it.
pub fn read_folder(settings: &PolicySettings) -> Result<Policy, PolicyError> {
    let policy = Policy::load(&settings.dir).map_err(PolicyError::Invalid)?;
    manifest::check(&settings.dir, policy.files(), &settings.manifest).map_err(PolicyError::Manifest)?;
    Ok(policy)
}

/// Event first, then the state: a policy that is in force has its event.
fn bring_into_force(
    state: &dyn State,
    audit: &Audit,
    policy: Policy,
    by: &str,
    commit: Option<&str>,
) -> Result<Applied, PolicyError> {
    let PolicyHash(hash) = policy.hash();
    let of_commit = commit.map(|commit| {
        format!(", folder checked out at commit {commit} (whether its files differ from it is not known)")
    });
    let what = format!("policy {}{}", policy.hash(), of_commit.unwrap_or_default());
    let event = audit.event(Kind::PolicyApplied).by(by).what(&what).figure(Figure::Policy(hash));
    audit.write(&event)?;
    let bytes = policy.files().to_snapshot_bytes();
    let snapshot = PolicySnapshot { hash, bytes, applied: event.at, by: by.to_owned() };
    state.apply_policy(&snapshot)?;
    Ok(Applied { policy: Arc::new(policy), at: event.at, by: by.to_owned() })
}

fn from_snapshot(snapshot: &PolicySnapshot) -> Result<Applied, PolicyError> {
    let files = Files::from_snapshot_bytes(&snapshot.bytes).map_err(PolicyError::Stored)?;
    let policy = Policy::from_files(&files).map_err(PolicyError::Stored)?;
    if policy.hash() != PolicyHash(snapshot.hash) {
        return Err(StateError::Corrupt("policy snapshot: its hash does not fit").into());
    }
    Ok(Applied { policy: Arc::new(policy), at: snapshot.applied, by: snapshot.by.clone() })
}

/// Lines that came and lines that went, without comments and blank lines.
fn differences(before: &Files, after: &Files) -> (Vec<Line>, Vec<Line>) {
    let mut balance: BTreeMap<Line, i64> = BTreeMap::new();
    for (files, weight) in [(before, -1), (after, 1)] {
        for (name, content) in files.iter() {
            for line in String::from_utf8_lossy(content).lines().map(str::trim) {
                if !line.is_empty() && !line.starts_with('#') {
                    let line = Line { file: name.to_owned(), text: line.to_owned() };
                    *balance.entry(line).or_default() += weight;
                }
            }
        }
    }
    let (added, removed): (Vec<_>, Vec<_>) =
        balance.into_iter().filter(|(_, weight)| *weight != 0).partition(|(_, weight)| *weight > 0);
    let lines = |list: Vec<(Line, i64)>| list.into_iter().map(|(line, _)| line).collect();
    (lines(added), lines(removed))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::Alarm;
    use crate::config::Manifest;
    use crate::fixture::Plant;
    use aws_lc_rs::digest::{SHA256, digest};

    const MORE: &str = "p, role:press-service, *, modbus:read, , allow\np, role:drives, *, modbus:read, , allow\n\
        g, person:tech-1@vendor-a, role:press-service\ng, person:tech-2@vendor-b, role:drives\n";
    const BROKEN: &str = "p, only two\n";

    fn seal(plant: &Plant) {
        let mut names: Vec<_> =
            std::fs::read_dir(plant.path("policies")).unwrap().map(|e| e.unwrap().path()).collect();
        names.sort();
        let line = |path: &std::path::PathBuf| {
            let sum = hex::encode(digest(&SHA256, &std::fs::read(path).unwrap()));
            format!("{sum}  {}\n", path.file_name().unwrap().to_string_lossy())
        };
        let text: String = names.iter().filter(|path| !path.ends_with("MANIFEST")).map(line).collect();
        plant.write("policies/MANIFEST", &text);
    }

    #[test]
    fn the_folder_counts_on_the_first_start_and_then_only_when_applied() {
        let plant = Plant::new();
        let first = plant.office().policy.current().hash();
        assert_eq!(plant.office().policy.applied().by, FIRST_START);
        plant.write_policy(MORE);
        let office = plant.office();
        assert_eq!(office.policy.current().hash(), first, "a restart applies nothing");
        assert!(matches!(office.policy.folder(), FolderState::Differs { .. }));
        let heard = office.policy.subscribe();
        let changes = office.policy.apply("uid 0").unwrap();
        assert_eq!(changes.before, first.to_string());
        let line = |text: &str| Line { file: "policy.csv".to_owned(), text: text.to_owned() };
        let added = vec![
            line("g, person:tech-2@vendor-b, role:drives"),
            line("p, role:drives, *, modbus:read, , allow"),
        ];
        assert_eq!((changes.added, changes.removed), (added, vec![]));
        assert!(heard.has_changed().unwrap());
        assert_eq!(office.policy.folder(), FolderState::Applied);
        let in_force = office.policy.current().hash();
        drop((office, heard));
        assert_eq!(plant.office().policy.current().hash(), in_force);
    }

    #[test]
    fn with_any_problem_the_old_policy_stays_and_the_refusal_is_an_event() {
        let plant = Plant::new();
        let office = plant.office();
        let before = office.policy.current().hash();
        let heard = office.policy.subscribe();
        plant.write_policy(BROKEN);
        assert!(matches!(office.policy.apply("uid 0"), Err(PolicyError::Invalid(_))));
        assert!(matches!(office.policy.folder(), FolderState::Invalid { .. }));
        std::fs::remove_dir_all(plant.path("policies")).unwrap();
        assert!(matches!(office.policy.apply("uid 0"), Err(PolicyError::Invalid(_))));
        assert_eq!(office.policy.current().hash(), before);
        assert!(!heard.has_changed().unwrap());
        let refused =
            plant.audit_lines().into_iter().filter(|line| line["event"] == "policy_refused").count();
        assert_eq!(refused, 2);
    }

    #[test]
    fn a_gateway_without_a_valid_first_policy_does_not_start() {
        let plant = Plant::new();
        plant.write_policy(BROKEN);
        let opened = crate::office::Office::open_with(plant.config().unwrap(), plant.clock.clone());
        assert!(matches!(opened, Err(crate::office::OfficeError::Policy(PolicyError::Invalid(_)))));
    }

    #[test]
    fn a_stored_snapshot_that_was_changed_does_not_start_a_gateway() {
        let plant = Plant::new();
        let office = plant.office();
        let state = Arc::clone(&office.state);
        let stored = state.current_policy().unwrap().unwrap();
        let mut bytes = office.policy.current().files().to_snapshot_bytes();
        let at = bytes.windows(4).rposition(|window| window == b"read").unwrap();
        bytes.splice(at..at + 4, *b"*   ");
        // One gateway at a time has the site log.
        drop(office);
        for (bytes, hash) in
            [(bytes, stored.hash), (stored.bytes.clone(), [0; 32]), (Vec::new(), stored.hash)]
        {
            state.apply_policy(&PolicySnapshot { bytes, hash, ..stored.clone() }).unwrap();
            let opened = crate::office::Office::open_with(plant.config().unwrap(), plant.clock.clone());
            assert!(matches!(opened, Err(crate::office::OfficeError::Policy(_))));
        }
    }

    #[test]
    fn a_manifest_must_match_and_can_be_demanded() {
        let plant = Plant::new();
        let settings = |manifest| PolicySettings { dir: plant.path("policies"), manifest };
        assert!(read_folder(&settings(Manifest::Optional)).is_ok());
        let missing = read_folder(&settings(Manifest::Required)).unwrap_err().to_string();
        assert!(missing.contains("there is no MANIFEST"), "{missing}");
        seal(&plant);
        assert!(read_folder(&settings(Manifest::Required)).is_ok());
        plant.write_policy(MORE);
        let changed = read_folder(&settings(Manifest::Optional)).unwrap_err().to_string();
        assert!(changed.contains("policy.csv does not match its sum"), "{changed}");
        seal(&plant);
        assert!(read_folder(&settings(Manifest::Required)).is_ok());
        plant.write("policies/MANIFEST", "");
        let unlisted = read_folder(&settings(Manifest::Optional)).unwrap_err().to_string();
        assert!(unlisted.contains("is not listed"), "{unlisted}");
    }

    #[test]
    fn what_can_not_be_accounted_for_is_not_applied() {
        let plant = Plant::new();
        let office = plant.office();
        let before = office.policy.current().hash();
        let full = Audit::open(std::path::Path::new("/dev/full"), Alarm::to_log(), plant.clock.clone(), None)
            .unwrap();
        let settings = PolicySettings { dir: plant.path("policies"), manifest: Manifest::Optional };
        let holder = PolicyHolder::open(settings, Arc::clone(&office.state), Arc::new(full)).unwrap();
        plant.write_policy(MORE);
        assert!(matches!(holder.apply("uid 0"), Err(PolicyError::Audit(_))));
        assert_eq!(holder.current().hash(), before);
        assert_eq!(
            office.state.current_policy().unwrap().map(|stored| PolicyHash(stored.hash)),
            Some(before)
        );
    }
}
