//! Watches the policy folder and tells what it finds; changes nothing.
//!
//! A look costs a listing of file facts. Only when these have changed, and
//! have then stayed the same for one more look, is the folder read and
//! checked: a folder that is being copied is not told about half way.

use super::{FolderState, PolicyHolder};
use crate::audit::{Audit, Kind};
use crate::office::Office;
use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// What earlier looks have seen.
#[derive(Debug, Default)]
pub(crate) struct FolderWatch {
    /// As it was told about last.
    told: Option<Facts>,
    /// As the look before saw it.
    seen: Option<Facts>,
}

/// What tells a changed folder from the same one: per file its device, inode,
/// size and times.
type Facts = BTreeMap<String, [i64; 6]>;

/// Looks at the folder until told to stop.
pub(crate) async fn walk(office: Arc<Office>, stop: CancellationToken) {
    let mut watch = FolderWatch::default();
    let mut tick = tokio::time::interval(LOOK_EVERY);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = tick.tick() => {}
        }
        let shared = Arc::clone(&office);
        // A large policy takes seconds to check; nothing waits for it.
        let looked = tokio::task::spawn_blocking(move || {
            watch.look(&shared.policy, &shared.audit);
            watch
        });
        watch = looked.await.unwrap_or_default();
    }
}

impl FolderWatch {
    /// One look.
    pub(crate) fn look(&mut self, policy: &PolicyHolder, audit: &Audit) {
        let facts = facts(&policy.settings.dir);
        let settled = self.seen.as_ref() == Some(&facts);
        let first = self.told.is_none() && self.seen.is_none();
        self.seen = Some(facts.clone());
        if self.told.as_ref() == Some(&facts) || !(settled || first) {
            return;
        }
        self.told = Some(facts);
        tell(&policy.folder(), audit, if first { Telling::First } else { Telling::Later });
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Telling {
    /// The gateway has just started: sameness is no news.
    First,
    Later,
}

fn tell(state: &FolderState, audit: &Audit, telling: Telling) {
    let event = audit.event(Kind::PolicyFolder);
    let event = match state {
        FolderState::Applied if telling == Telling::First => return,
        FolderState::Applied => event.what("the folder changed: it has the content that is in force"),
        FolderState::Differs { folder_hash } => {
            tracing::info!("the policy folder changed: valid, not applied yet ({folder_hash})");
            event.what(&format!("the folder changed: valid, not applied yet; policy {folder_hash}"))
        }
        FolderState::Invalid { problems } => {
            let first = problems.first().map_or("", String::as_str);
            let more = match problems.len() {
                0 | 1 => String::new(),
                count => format!(" (and {} more)", count.saturating_sub(1)),
            };
            audit.alarm().raise(&format!(
                "the policy folder changed and is invalid: {first}{more}; what is in force stays"
            ));
            event.what("the folder changed: invalid").why(&format!("{first}{more}"))
        }
    };
    audit.tell(&event);
}

/// Facts of the files that a policy is made of. A folder that can't be looked
/// at has none, which is a change as well.
fn facts(folder: &Path) -> Facts {
    let names = authz::Files::KNOWN.into_iter().chain([super::manifest::NAME]);
    let fact = |name: &str| {
        let metadata = std::fs::metadata(folder.join(name)).ok()?;
        let number = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        Some([
            number(metadata.dev()),
            number(metadata.ino()),
            number(metadata.len()),
            metadata.mtime(),
            metadata.mtime_nsec(),
            metadata.ctime_nsec(),
        ])
    };
    names.filter_map(|name| Some((name.to_owned(), fact(name)?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Plant;

    fn told(plant: &Plant) -> Vec<String> {
        let lines = plant.audit_lines();
        let folder = lines.iter().filter(|line| line["event"] == "policy_folder");
        folder.map(|line| line["what"].as_str().unwrap_or_default().to_owned()).collect()
    }

    #[test]
    fn a_changed_folder_is_told_once_it_has_settled_and_nothing_is_applied() {
        let plant = Plant::new();
        let office = plant.office();
        let before = office.policy.current().hash();
        let mut watch = FolderWatch::default();
        let mut look = || watch.look(&office.policy, &office.audit);
        look();
        look();
        assert_eq!(told(&plant), Vec::<String>::new(), "the folder is what is in force");
        plant.write_policy("p, *, *, modbus:read, , allow\n");
        look();
        assert_eq!(told(&plant).len(), 0, "it may be half written");
        look();
        look();
        assert_eq!(told(&plant).len(), 1);
        assert!(
            told(&plant)[0].starts_with("the folder changed: valid, not applied yet; policy "),
            "{:?}",
            told(&plant)
        );
        plant.write_policy("p, only two\n");
        look();
        look();
        look();
        assert_eq!(told(&plant)[1..], ["the folder changed: invalid"]);
        let lines = plant.audit_lines();
        let why = lines.iter().rfind(|line| line["event"] == "policy_folder").unwrap()["why"].to_string();
        assert!(why.contains("policy.csv:1:1: "), "{why}");
        std::fs::remove_dir_all(plant.path("policies")).unwrap();
        look();
        look();
        assert_eq!(told(&plant).len(), 3);
        assert_eq!(office.policy.current().hash(), before);
    }
}
