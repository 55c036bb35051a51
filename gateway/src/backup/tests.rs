//! Backups from a gateway's office to an empty host.

use super::journal::Journal;
use super::restore::{RestoreError, Restored, Wish, restore};
use super::*;
use crate::clock::Clock;
use crate::config::Config;
use crate::factor::Seed;
use crate::fixture::{Plant, noon};
use crate::names::Handle;
use crate::state::{Import, Invitation, KeyHash, SqliteState, State, StateFiles, StepUse};
use jiff::SignedDuration;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A gateway with one person, its backup, and a host that has nothing.
struct Loss {
    plant: Plant,
    host: TempDir,
}

impl Loss {
    fn new() -> Self {
        Self::of(Plant::new().with_authority())
    }

    fn of(plant: Plant) -> Self {
        let host = tempfile::tempdir().unwrap();
        let office = plant.office();
        let handle = Handle::parse("tech-1@vendor-a").unwrap();
        let import = Import { handle, key: KeyHash([1; 32]), seed: Seed::generate() };
        office.state.import_person(&import, noon()).unwrap();
        let invitation = Invitation {
            handle: Handle::parse("tech-2@vendor-b").unwrap(),
            stored: wire::enrolment::Secret::from_bytes([7; 32]).stored(),
            made: noon(),
            expires: noon() + SignedDuration::from_hours(24),
            by: "uid 0".to_owned(),
        };
        office.state.invite(&invitation).unwrap();
        let identity = Identity::generate();
        identity.write(&host.path().join("recovery.age")).unwrap();
        let archive = gather(&office).unwrap();
        std::fs::write(host.path().join("backup"), archive.close(&identity.recipients()).unwrap()).unwrap();
        Self { plant, host }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.host.path().join(name)
    }

    fn restore_to(&self, config: &str) -> Result<Restored, RestoreError> {
        let (from, identity, config) = (self.path("backup"), self.path("recovery.age"), self.path(config));
        restore(
            &Wish { from: &from, identity: &identity, config: &config, key: None },
            self.plant.clock.wall(),
        )
    }

    /// Everything on the host but for what was there first.
    fn left(&self) -> Vec<PathBuf> {
        fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    walk(&path, found);
                }
                found.push(path);
            }
        }
        let mut found = Vec::new();
        walk(self.host.path(), &mut found);
        found.retain(|path| *path != self.path("backup") && *path != self.path("recovery.age"));
        found.sort();
        found
    }
}

#[test]
fn a_gateway_starts_from_its_backup_on_an_empty_host() {
    let loss = Loss::new();
    let restored = loss.restore_to("etc/gateway.toml").unwrap();
    assert_eq!((restored.people, restored.made), (1, noon()));
    let config = Config::load_at(&loss.path("etc/gateway.toml"), noon()).unwrap();
    for (written, mode) in [
        ("signing.key", 0o600),
        ("state/gateway.db", 0o600),
        ("state/gateway.db.key", 0o600),
        ("ca.pem", 0o644),
        ("issuing/authority-1.key", 0o600),
        ("issuing/authority-1.pem", 0o644),
    ] {
        let metadata = std::fs::metadata(loss.path("etc").join(written)).unwrap();
        assert_eq!(metadata.permissions().mode() & 0o777, mode, "{written}");
    }
    let office = crate::office::Office::open_with(config, loss.plant.clock.clone()).unwrap();
    assert_eq!(office.state.persons().unwrap().len(), 1);
    let before = loss.plant.office().policy.current().hash();
    assert_eq!(office.policy.current().hash(), before, "the applied policy");
    for name in ["issuing/authority-1.pem", "issuing/authority-1.key", "state/gateway.db.key"] {
        let (before, now) =
            (std::fs::read(loss.plant.path(name)), std::fs::read(loss.path("etc").join(name)));
        assert_eq!(before.unwrap(), now.unwrap(), "{name}");
    }
    let events = std::fs::read_to_string(loss.path("etc/state/audit.jsonl")).unwrap();
    assert_eq!(events.matches("\"restored\"").count(), 1, "{events}");
    drop(office);
    let config = Config::load_at(&loss.path("etc/gateway.toml"), noon()).unwrap();
    drop(crate::office::Office::open_with(config, loss.plant.clock.clone()).unwrap());
    let events = std::fs::read_to_string(loss.path("etc/state/audit.jsonl")).unwrap();
    assert_eq!(events.matches("\"restored\"").count(), 1, "told once");
    let left: Vec<_> =
        loss.left().into_iter().filter(|path| path.display().to_string().contains("restoring")).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_gateway_without_any_other_ca_is_put_back_as_well() {
    let loss = Loss::of(Plant::new().without_pki());
    loss.restore_to("etc/gateway.toml").unwrap();
    assert!(!loss.path("etc/ca.pem").exists() && !loss.path("etc/crl.pem").exists());
    let config = Config::load_at(&loss.path("etc/gateway.toml"), noon()).unwrap();
    let office = crate::office::Office::open_with(config, loss.plant.clock.clone()).unwrap();
    assert_eq!(office.ca.as_ref().unwrap().status().len(), 1);
    // Where the host's own configuration names a CA, one is missing.
    let named = std::fs::read_to_string(loss.path("etc/gateway.toml")).unwrap();
    let elsewhere = loss.path("elsewhere");
    std::fs::create_dir(&elsewhere).unwrap();
    let named = named.replace("[tls]\n", "[tls]\nca = \"ca.pem\"\ncrl = \"crl.pem\"\n");
    std::fs::write(elsewhere.join("gateway.toml"), named).unwrap();
    let refused = loss.restore_to("elsewhere/gateway.toml").unwrap_err();
    assert!(matches!(refused, RestoreError::Missing(Role::Authority)), "{refused}");
}

#[test]
fn what_counts_once_does_not_count_again_after_a_restore() {
    let loss = Loss::new();
    // Used at the gateway that was lost, after its backup was made.
    loss.plant.clock.advance(std::time::Duration::from_secs(600));
    let now = loss.plant.clock.wall();
    let step = |at: Timestamp| u64::try_from(at.as_second() / 30).unwrap();
    loss.restore_to("gateway.toml").unwrap();
    let files =
        StateFiles { database: loss.path("state/gateway.db"), key: loss.path("state/gateway.db.key") };
    let state = SqliteState::open(&files).unwrap();
    let person = state.person_by_key(&KeyHash([1; 32])).unwrap().unwrap().id;
    for earlier in [-600, -30, 0, 30] {
        let step = step(now + SignedDuration::from_secs(earlier));
        assert_eq!(state.accept_step(person, step, now).unwrap(), StepUse::AlreadyUsed, "{earlier} s");
    }
    assert!(state.open_invitations(now).unwrap().is_empty(), "one that was used since would be open again");
    let next = step(now + SignedDuration::from_secs(60));
    assert_eq!(state.accept_step(person, next, now).unwrap(), StepUse::Accepted);
}

#[test]
fn nothing_is_overwritten_and_nothing_else_is_written_then() {
    for there in ["gateway.db-wal", "gateway.db", "gateway.db.key"] {
        let loss = Loss::new();
        std::fs::create_dir(loss.path("state")).unwrap();
        std::fs::write(loss.path("state").join(there), "mine").unwrap();
        let refused = loss.restore_to("gateway.toml").unwrap_err();
        assert!(matches!(&refused, RestoreError::Occupied(paths) if paths.len() == 1), "{refused}");
        assert!(refused.to_string().contains(there), "{refused}");
        assert_eq!(loss.left(), [loss.path("state"), loss.path("state").join(there)]);
        assert_eq!(std::fs::read(loss.path("state").join(there)).unwrap(), b"mine");
    }
    let loss = Loss::new();
    loss.restore_to("gateway.toml").unwrap();
    assert!(matches!(loss.restore_to("gateway.toml"), Err(RestoreError::Occupied(_))), "a second time");
    Config::load_at(&loss.path("gateway.toml"), noon()).unwrap();
}

#[test]
fn a_restore_that_fails_on_the_way_leaves_nothing() {
    let loss = Loss::new();
    // The journal of this restore can't be told from any other's; a file that
    // appears between the look and the renames is what rename itself refuses.
    let (archive, config) = (opened(&loss), loss.path("gateway.toml"));
    let named = crate::config::Named::parse(&config, text_of(&archive)).unwrap();
    let (mut work, plan) = staged(&loss, &archive, &named);
    let last = work.journal.files.last().unwrap().place.clone();
    std::fs::write(&last, "somebody else's").unwrap();
    assert!(matches!(work.publish(), Err(RestoreError::File { path, .. }) if path == last));
    // As a crash leaves it: the next restore takes it back and begins anew.
    assert!(unfinished(&config).is_some());
    assert!(Config::load_at(&config, noon()).unwrap_err()[0].reason.contains("broke off"));
    let refused = loss.restore_to("gateway.toml").unwrap_err();
    assert!(matches!(&refused, RestoreError::Foreign(path) if *path == last), "{refused}");
    std::fs::remove_file(&last).unwrap();
    let again = loss.restore_to("gateway.toml").unwrap();
    assert_eq!(again.files.len(), plan);
    Config::load_at(&config, noon()).unwrap();
    work.journal = Journal::default();
}

#[test]
fn a_crash_at_any_point_is_taken_back_whole() {
    let loss = Loss::new();
    let (archive, config) = (opened(&loss), loss.path("gateway.toml"));
    let named = crate::config::Named::parse(&config, text_of(&archive)).unwrap();
    let (work, plan) = staged(&loss, &archive, &named);
    for renamed in 0..=plan {
        if let Some(placed) = work.journal.files.get(renamed) {
            std::fs::rename(&placed.staged, &placed.place).unwrap();
        }
        let journal = Journal::read(&config).unwrap().unwrap();
        if renamed == plan {
            journal.take_back(&config).unwrap();
        }
    }
    assert!(loss.left().is_empty(), "{:?}", loss.left());
    assert!(unfinished(&config).is_none());
    loss.restore_to("gateway.toml").unwrap();
}

fn opened(loss: &Loss) -> Archive {
    let identity = Identity::read(&loss.path("recovery.age")).unwrap();
    Archive::open(&std::fs::read(loss.path("backup")).unwrap(), &identity).unwrap()
}

fn text_of(archive: &Archive) -> &str {
    std::str::from_utf8(archive.get(&Role::Configuration).unwrap()).unwrap()
}

/// A restore up to the moment before the first file takes its name.
fn staged<'a>(
    loss: &'a Loss,
    archive: &Archive,
    named: &'a crate::config::Named,
) -> (restore::Work<'a>, usize) {
    let plan = restore::plan(archive, named).unwrap();
    let mut work = restore::Work { config: &named.file, journal: Journal::default() };
    let restoration = crate::state::Restoration { made: archive.made(), restored: loss.plant.clock.wall() };
    work.stage(named, &plan, &restoration).unwrap();
    (work, plan.len())
}

#[test]
fn only_its_recipient_opens_it_and_only_a_whole_backup_is_one() {
    let loss = Loss::new();
    let other = loss.path("other.age");
    Identity::generate().write(&other).unwrap();
    let (from, config) = (loss.path("backup"), loss.path("gateway.toml"));
    let wish = Wish { from: &from, identity: &other, config: &config, key: None };
    assert!(matches!(restore(&wish, noon()), Err(RestoreError::Backup(BackupError::Envelope(_)))));
    let identity = Identity::read(&loss.path("recovery.age")).unwrap();
    let raw = std::fs::read(&from).unwrap();
    assert!(!raw.windows(9).any(|window| window == b"BEGIN PRI"), "a key lies open in it");
    for wrong in [b"".as_slice(), b"something else", b"gatehouse backup 1\n\x01", b"gatehouse backup 2\n"] {
        let envelope = recording::encrypt(wrong, &identity.recipients()).unwrap();
        assert!(matches!(Archive::open(&envelope, &identity), Err(BackupError::NotABackup)), "{wrong:?}");
    }
    let longer = [MAGIC, &postcard::to_stdvec(&opened(&loss)).unwrap(), b"x"].concat();
    let envelope = recording::encrypt(&longer, &identity.recipients()).unwrap();
    assert!(matches!(Archive::open(&envelope, &identity), Err(BackupError::NotABackup)));
    let item = || Item { role: Role::Authority, content: Vec::new() };
    let twice = Archive::new(noon(), vec![item(), item()]).close(&identity.recipients()).unwrap();
    assert!(matches!(Archive::open(&twice, &identity), Err(BackupError::NotABackup)));
}

#[test]
fn a_backup_of_another_gateway_is_told_apart_by_its_signing_key() {
    let loss = Loss::new();
    let key = loss.path("signing.pub");
    let other = recording::SigningKey::generate("gatehouse").unwrap();
    std::fs::write(&key, format!("{}\n", other.public())).unwrap();
    let (from, identity, config) =
        (loss.path("backup"), loss.path("recovery.age"), loss.path("gateway.toml"));
    let wish = Wish { from: &from, identity: &identity, config: &config, key: Some(&key) };
    let refused = restore(&wish, noon()).unwrap_err();
    assert!(matches!(refused, RestoreError::OtherGateway(_)), "{refused}");
    assert_eq!(loss.left(), std::slice::from_ref(&key));
    let own = recording::SigningKey::read(&loss.plant.path("signing.key")).unwrap();
    std::fs::write(&key, format!("{}\n", own.public())).unwrap();
    assert_eq!(restore(&wish, noon()).unwrap().signing_key, own.public().to_string());
}

#[test]
fn every_file_that_a_configuration_names_is_in_its_backup() {
    let loss = Loss::new();
    let (archive, config) = (opened(&loss), loss.path("gateway.toml"));
    let more = "[webauthn]\nlisten = \"127.0.0.1:0\"\ncert = \"page.pem\"\nkey = \"page.key\"\n\
                rp_id = \"gw.plant.example\"\norigin = \"https://gw.plant.example\"\n";
    let text = format!("{}{more}", text_of(&archive));
    let named = crate::config::Named::parse(&config, &text).unwrap();
    let roles: Vec<Role> = places::files(&named).into_iter().map(|(role, _)| role).collect();
    assert!(roles.contains(&Role::PageCertificate) && roles.contains(&Role::PageKey), "{roles:?}");
    let missing = restore::plan(&archive, &named).unwrap_err();
    assert!(matches!(&missing, RestoreError::Missing(Role::PageCertificate)), "{missing}");
    // Whatever ends like a file in the configuration has a role.
    let named: Vec<PathBuf> = places::files(&named).into_iter().map(|(_, path)| path).collect();
    for (_, value) in text.lines().filter_map(|line| line.split_once(" = ")) {
        let value = value.trim_matches(['"', '[', ']', '\\']);
        let is_file = [".pem", ".key", ".pub", ".db"].iter().any(|ending| value.ends_with(ending));
        assert!(!is_file || named.contains(&loss.path(value)), "{value} is not in a backup");
    }
}

#[test]
fn a_name_out_of_a_backup_never_leads_out_of_the_policy_folder() {
    let loss = Loss::new();
    let config = loss.path("gateway.toml");
    let archive = opened(&loss);
    let named = crate::config::Named::parse(&config, text_of(&archive)).unwrap();
    for name in ["../gateway.db", "/etc/passwd", "", "MANIFEST/../x", "policy.csv/x"] {
        assert_eq!(places::place(&named, &Role::Policy(name.to_owned())), None, "{name}");
    }
    assert!(places::place(&named, &Role::Recipients(7)).is_none());
    assert!(places::place(&named, &Role::Policy("policy.csv".to_owned())).is_some());
}
