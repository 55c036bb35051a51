//! The state in one SQLite file, for a single gateway.
//!
//! Write-ahead log with `synchronous=FULL`: a commit is on stable storage when
//! it returns. Every transaction takes the write lock at its start, so that two
//! of them can't both read a counter before either writes it. The file has
//! mode 0600, and what is secret in it is sealed by a key that lies outside.

use super::{
    Attempt, AuthorityId, CertificateRecord, Change, ClockMark, Count, Enrolment, Failure, Import, Imported,
    Invitation, InvitationRecord, KeyHash, Lock, NewPasskey, OpenInvitation, PasskeyAcceptance,
    PasskeyRecord, PasskeyUse, Person, PersonId, PersonRecord, PolicySnapshot, PutBack, Renewal, Restoration,
    Revocation, Serial, SessionEnd, SessionHistory, SessionRow, Standing, State, StateError, StateFiles,
    StepUse, Vault,
};
use crate::factor::Seed;
use crate::names::{Handle, SessionId};
use jiff::Timestamp;
use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};
use rusqlite_migration::{M, Migrations};
use std::fs::OpenOptions;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use wire::enrolment::InvitationId;
use zeroize::Zeroizing;

mod attempts;
mod certificates;
mod index;
mod invitations;
mod passkeys;
mod people;
mod restoring;
mod unlocking;

const STEPS: &[M<'static>] = &[
    M::up(include_str!("sqlite/schema.sql")),
    M::up(include_str!("sqlite/schema-2.sql")),
    M::up(include_str!("sqlite/schema-3.sql")),
    M::up(include_str!("sqlite/schema-4.sql")),
    M::up(include_str!("sqlite/schema-5.sql")),
    M::up(include_str!("sqlite/schema-6.sql")),
];
const MIGRATIONS: Migrations<'static> = Migrations::from_slice(STEPS);

/// How long a transaction waits for another process's, such as a backup.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// The state in one SQLite file.
#[derive(Debug)]
pub struct SqliteState {
    path: PathBuf,
    connection: Mutex<Connection>,
    vault: Vault,
}

impl SqliteState {
    /// Opens the file, made with mode 0600 if it is not there, brings its
    /// tables up to date, and reads the key of its secrets, made with it.
    ///
    /// # Errors
    /// [`StateError::Open`] also for a file that others may read;
    /// [`StateError::Key`] for a key that is missing, another, or not private.
    pub fn open(files: &StateFiles) -> Result<Self, StateError> {
        let path = files.database.as_path();
        let refuse = |reason: String| StateError::Open { path: path.display().to_string(), reason };
        let made =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path);
        let file = made.map_err(|error| refuse(error.to_string()))?;
        let mode = file.metadata().map_err(|error| refuse(error.to_string()))?.permissions().mode();
        if mode & 0o077 != 0 {
            return Err(refuse(format!("others may read it (mode {:03o}); chmod 600 it", mode & 0o777)));
        }
        drop(file);
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(BUSY_TIMEOUT)?;
        connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "foreign_keys", true)?;
        MIGRATIONS.to_latest(&mut connection).map_err(|error| refuse(error.to_string()))?;
        let vault = unlocking::vault(&mut connection, &files.key)?;
        Ok(Self { path: path.to_owned(), connection: Mutex::new(connection), vault })
    }

    /// The database file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes what was put back from a backup fit for the present: no code that
    /// could have been used before `restored` counts any more. Leaves the
    /// database in one file, on stable storage.
    ///
    /// # Errors
    /// [`StateError`], also for a database that is damaged.
    pub fn put_back(self, restoration: &Restoration) -> Result<PutBack, StateError> {
        let put_back = self.transact(|transaction| restoring::put_back(transaction, restoration))?;
        let connection = self.connection.into_inner().unwrap_or_else(PoisonError::into_inner);
        connection.pragma_update_and_check(None, "journal_mode", "DELETE", |_| Ok(()))?;
        connection.close().map_err(|(_, error)| StateError::Database(error))?;
        Ok(put_back)
    }

    /// Runs one transaction that holds the write lock from its start. A
    /// failure on the way rolls all of it back.
    fn transact<T>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, StateError>,
    ) -> Result<T, StateError> {
        self.run(work, |transaction| transaction.commit())
    }

    /// Runs a transaction to see whether it can be done, and undoes it.
    fn rehearse(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<(), StateError>,
    ) -> Result<(), StateError> {
        self.run(work, |transaction| transaction.rollback())
    }

    fn run<T>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, StateError>,
        end: impl FnOnce(Transaction<'_>) -> rusqlite::Result<()>,
    ) -> Result<T, StateError> {
        // A panic inside a transaction rolls it back: the connection is usable.
        let mut connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let answer = work(&transaction)?;
        end(transaction)?;
        Ok(answer)
    }
}

impl State for SqliteState {
    fn import_person(&self, import: &Import, now: Timestamp) -> Result<Imported, StateError> {
        self.transact(|transaction| people::import(transaction, &self.vault, import, now))
    }

    fn person_by_key(&self, key: &KeyHash) -> Result<Option<Person>, StateError> {
        self.transact(|transaction| people::by_key(transaction, key))
    }

    fn person(&self, handle: &Handle) -> Result<Option<PersonRecord>, StateError> {
        self.transact(|transaction| people::record(transaction, handle))
    }

    fn persons(&self) -> Result<Vec<PersonRecord>, StateError> {
        self.transact(people::all)
    }

    fn set_standing(&self, handle: &Handle, standing: Standing) -> Result<Change, StateError> {
        self.transact(|transaction| people::set_standing(transaction, handle, standing))
    }

    fn unlock_person(&self, handle: &Handle) -> Result<Change, StateError> {
        self.transact(|transaction| attempts::unlock(transaction, handle))
    }

    fn remove_factors(&self, handle: &Handle) -> Result<Change, StateError> {
        self.transact(|transaction| people::remove_factors(transaction, handle))
    }

    fn give_seed(&self, handle: &Handle, seed: &Seed, now: Timestamp) -> Result<(), StateError> {
        self.transact(|transaction| people::give_seed(transaction, &self.vault, handle, seed, now))
    }

    fn invite(&self, invitation: &Invitation) -> Result<(), StateError> {
        self.transact(|transaction| invitations::invite(transaction, invitation))
    }

    fn withdraw_invitation(&self, handle: &Handle, now: Timestamp) -> Result<Change, StateError> {
        self.transact(|transaction| invitations::withdraw(transaction, handle, now))
    }

    fn open_invitations(&self, now: Timestamp) -> Result<Vec<InvitationRecord>, StateError> {
        self.transact(|transaction| invitations::all_open(transaction, now))
    }

    fn invitation(&self, id: InvitationId, now: Timestamp) -> Result<Option<OpenInvitation>, StateError> {
        self.transact(|transaction| invitations::open(transaction, id, now))
    }

    fn may_enrol(&self, enrolment: &Enrolment, now: Timestamp) -> Result<(), StateError> {
        self.rehearse(|transaction| invitations::enrol(transaction, &self.vault, enrolment, now).map(drop))
    }

    fn enrol(&self, enrolment: &Enrolment, now: Timestamp) -> Result<Handle, StateError> {
        self.transact(|transaction| invitations::enrol(transaction, &self.vault, enrolment, now))
    }

    fn renewable(&self, renewal: &Renewal, now: Timestamp) -> Result<(), StateError> {
        self.transact(|transaction| certificates::renewable(transaction, renewal, now).map(drop))
    }

    fn renew(&self, renewal: &Renewal, now: Timestamp) -> Result<(), StateError> {
        self.transact(|transaction| certificates::renew(transaction, renewal, now))
    }

    fn certificates(&self, after: Timestamp) -> Result<Vec<CertificateRecord>, StateError> {
        self.transact(|transaction| certificates::all(transaction, after))
    }

    fn revoke_certificate(
        &self,
        serial: Serial,
        now: Timestamp,
    ) -> Result<Option<CertificateRecord>, StateError> {
        self.transact(|transaction| certificates::revoke(transaction, serial, now))
    }

    fn revocations(&self, authority: AuthorityId, now: Timestamp) -> Result<Vec<Revocation>, StateError> {
        self.transact(|transaction| certificates::revocations(transaction, authority, now))
    }

    fn authority_needed_until(&self, authority: AuthorityId) -> Result<Option<Timestamp>, StateError> {
        self.transact(|transaction| certificates::needed_until(transaction, authority))
    }

    fn next_list_number(&self, authority: AuthorityId) -> Result<u64, StateError> {
        self.transact(|transaction| certificates::next_list(transaction, authority))
    }

    fn begin_attempt(&self, person: PersonId, now: Timestamp) -> Result<Attempt, StateError> {
        self.transact(|transaction| attempts::begin(transaction, &self.vault, person, now))
    }

    fn accept_step(&self, person: PersonId, step: u64, now: Timestamp) -> Result<StepUse, StateError> {
        self.transact(|transaction| attempts::accept_step(transaction, person, step, now))
    }

    fn record_failure(&self, person: PersonId, failure: Failure, now: Timestamp) -> Result<Lock, StateError> {
        self.transact(|transaction| attempts::record_failure(transaction, person, failure, now))
    }

    fn passkeys(&self, person: PersonId) -> Result<Vec<PasskeyRecord>, StateError> {
        self.transact(|transaction| passkeys::of(transaction, person))
    }

    fn add_passkey(&self, new: &NewPasskey, now: Timestamp) -> Result<(), StateError> {
        self.transact(|transaction| passkeys::add(transaction, new, now))
    }

    fn may_add_passkey(&self, new: &NewPasskey, now: Timestamp) -> Result<(), StateError> {
        self.rehearse(|transaction| passkeys::add(transaction, new, now))
    }

    fn count_attempt(&self, person: PersonId, now: Timestamp) -> Result<Count, StateError> {
        self.transact(|transaction| passkeys::count(transaction, person, now))
    }

    fn accept_passkey(&self, used: &PasskeyUse, now: Timestamp) -> Result<PasskeyAcceptance, StateError> {
        self.transact(|transaction| passkeys::accept(transaction, used, now))
    }

    fn user_handle(&self, person: PersonId, fresh: [u8; 16]) -> Result<[u8; 16], StateError> {
        self.transact(|transaction| passkeys::user_handle(transaction, person, fresh))
    }

    fn decoy_key(&self, fresh: [u8; 32]) -> Result<[u8; 32], StateError> {
        self.transact(|transaction| passkeys::decoy_key(transaction, &self.vault, fresh))
    }

    fn session_started(&self, row: &SessionRow) -> Result<(), StateError> {
        self.transact(|transaction| index::started(transaction, row))
    }

    fn session_ended(&self, id: SessionId, end: &SessionEnd) -> Result<(), StateError> {
        self.transact(|transaction| index::ended(transaction, id, end))
    }

    fn interrupted(&self) -> Result<Vec<SessionId>, StateError> {
        self.transact(index::interrupted)
    }

    fn close_interrupted(&self, now: Timestamp) -> Result<Vec<SessionId>, StateError> {
        self.transact(|transaction| index::close_interrupted(transaction, now))
    }

    fn sessions(&self, limit: u32) -> Result<Vec<SessionHistory>, StateError> {
        self.transact(|transaction| index::newest(transaction, limit))
    }

    fn apply_policy(&self, snapshot: &PolicySnapshot) -> Result<(), StateError> {
        self.transact(|transaction| index::apply_policy(transaction, snapshot))
    }

    fn current_policy(&self) -> Result<Option<PolicySnapshot>, StateError> {
        self.transact(index::current_policy)
    }

    fn copy(&self) -> Result<Zeroizing<Vec<u8>>, StateError> {
        restoring::copy(&self.path)
    }

    fn untold_restoration(&self) -> Result<Option<Restoration>, StateError> {
        self.transact(restoring::untold)
    }

    fn restoration_told(&self) -> Result<(), StateError> {
        self.transact(restoring::told)
    }

    fn clock_mark(&self) -> Result<Option<ClockMark>, StateError> {
        self.transact(index::clock_mark)
    }

    fn store_clock_mark(&self, mark: &ClockMark) -> Result<(), StateError> {
        self.transact(|transaction| index::store_clock_mark(transaction, mark))
    }
}

/// Milliseconds since 1970 as a time.
fn time(milliseconds: i64) -> Result<Timestamp, StateError> {
    Timestamp::from_millisecond(milliseconds).map_err(|_| StateError::Corrupt("time"))
}

fn handle(text: &str) -> Result<Handle, StateError> {
    Handle::parse(text).map_err(|_| StateError::Corrupt("handle"))
}

fn bytes<const N: usize>(blob: Vec<u8>, what: &'static str) -> Result<[u8; N], StateError> {
    blob.try_into().map_err(|_| StateError::Corrupt(what))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::noon;
    use crate::names::TargetId;
    use crate::state::{FactorPresence, PERMANENT_AFTER, Suspension};
    use jiff::SignedDuration;

    struct Desk {
        folder: tempfile::TempDir,
        state: SqliteState,
    }

    impl Desk {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let state = SqliteState::open(&StateFiles::within(folder.path())).unwrap();
            Self { folder, state }
        }

        /// Closes the file and opens it again, as a restart does.
        fn restart(self) -> Self {
            let Self { folder, state } = self;
            drop(state);
            let state = SqliteState::open(&StateFiles::within(folder.path())).unwrap();
            Self { folder, state }
        }

        fn import(&self, handle: &str, key: u8) -> Result<Imported, StateError> {
            let handle = Handle::parse(handle).unwrap();
            self.state
                .import_person(&Import { handle, key: KeyHash([key; 32]), seed: Seed::generate() }, noon())
        }

        fn id(&self, key: u8) -> PersonId {
            self.state.person_by_key(&KeyHash([key; 32])).unwrap().unwrap().id
        }
    }

    fn tech() -> Handle {
        Handle::parse("tech-1@vendor-a").unwrap()
    }

    #[test]
    fn a_key_is_mapped_once_and_for_ever() {
        let desk = Desk::new();
        assert_eq!(desk.import("tech-1@vendor-a", 1).unwrap(), Imported::NewPerson);
        let taken = desk.import("tech-2@vendor-b", 1);
        assert!(matches!(taken, Err(StateError::KeyTaken { owner }) if owner == tech()));
        assert!(matches!(desk.import("tech-1@vendor-a", 1), Err(StateError::KeyTaken { .. })));
        assert_eq!(desk.state.persons().unwrap().len(), 1, "a refused import leaves nobody behind");
        assert_eq!(desk.import("tech-1@vendor-a", 2).unwrap(), Imported::KeyAdded);
        let desk = desk.restart();
        assert_eq!(desk.id(1), desk.id(2));
        assert!(desk.state.person_by_key(&KeyHash([3; 32])).unwrap().is_none());
        let record = desk.state.person(&tech()).unwrap().unwrap();
        assert_eq!((record.keys.len(), record.factor), (2, FactorPresence::Totp));
    }

    #[test]
    fn one_more_key_keeps_the_factor() {
        let desk = Desk::new();
        desk.import("tech-1@vendor-a", 1).unwrap();
        let seed = |desk: &Desk| match desk.state.begin_attempt(desk.id(1), noon()).unwrap() {
            Attempt::Open { seed, .. } => seed.expose().to_vec(),
            other @ (Attempt::Locked(_) | Attempt::NoFactor) => panic!("{other:?}"),
        };
        let before = seed(&desk);
        desk.import("tech-1@vendor-a", 2).unwrap();
        assert_eq!(seed(&desk), before);
    }

    #[test]
    fn a_removed_factor_opens_nothing_and_a_new_one_is_given_once() {
        let desk = Desk::new();
        desk.import("tech-1@vendor-a", 1).unwrap();
        let id = desk.id(1);
        for _ in 0..9 {
            desk.state.begin_attempt(id, noon()).unwrap();
        }
        desk.state.accept_step(id, 1000, noon()).unwrap();
        desk.state.begin_attempt(id, noon()).unwrap();
        let before = desk.state.person_by_key(&KeyHash([1; 32])).unwrap().unwrap();
        let taken = desk.state.give_seed(&tech(), &Seed::generate(), noon());
        assert!(matches!(taken, Err(StateError::FactorPresent(_))), "{taken:?}");
        assert_eq!(desk.state.remove_factors(&tech()).unwrap(), Change::Made);
        assert_eq!(desk.state.remove_factors(&tech()).unwrap(), Change::None);
        let desk = desk.restart();
        assert!(matches!(desk.state.begin_attempt(id, noon()).unwrap(), Attempt::NoFactor));
        let record = desk.state.person(&tech()).unwrap().unwrap();
        assert_eq!((record.factor, record.failures, record.lock), (FactorPresence::None, 0, Lock::None));
        assert_ne!(record.person.factors, before.factors, "what was proven before is told apart");
        let seed = Seed::generate();
        desk.state.give_seed(&tech(), &seed, noon()).unwrap();
        let Attempt::Open { seed: given, last_step, .. } = desk.state.begin_attempt(id, noon()).unwrap()
        else {
            panic!("no factor")
        };
        assert_eq!((given.expose(), last_step), (seed.expose(), Some(1000)), "no step counts twice");
        let nobody = Handle::parse("nobody").unwrap();
        assert!(matches!(desk.state.remove_factors(&nobody), Err(StateError::NoSuchPerson(_))));
        assert!(matches!(desk.state.give_seed(&nobody, &seed, noon()), Err(StateError::NoSuchPerson(_))));
        desk.state.remove_factors(&tech()).unwrap();
        desk.state.set_standing(&tech(), Standing::Disabled).unwrap();
        assert!(matches!(desk.state.give_seed(&tech(), &seed, noon()), Err(StateError::Disabled(_))));
    }

    #[test]
    fn a_disabled_person_is_known_and_gets_no_new_key() {
        let desk = Desk::new();
        desk.import("tech-1@vendor-a", 1).unwrap();
        assert_eq!(desk.state.set_standing(&tech(), Standing::Disabled).unwrap(), Change::Made);
        assert_eq!(desk.state.set_standing(&tech(), Standing::Disabled).unwrap(), Change::None);
        let desk = desk.restart();
        let person = desk.state.person_by_key(&KeyHash([1; 32])).unwrap().unwrap();
        assert_eq!(person.standing, Standing::Disabled);
        assert!(matches!(desk.import("tech-1@vendor-a", 2), Err(StateError::Disabled(_))));
        let nobody = Handle::parse("nobody").unwrap();
        assert!(matches!(
            desk.state.set_standing(&nobody, Standing::Enabled),
            Err(StateError::NoSuchPerson(_))
        ));
    }

    #[test]
    fn attempts_count_before_they_are_judged_and_outlive_a_restart() {
        let mut desk = Desk::new();
        desk.import("tech-1@vendor-a", 1).unwrap();
        // Nobody reports a failure: beginning alone counts.
        for expected in 1..=5 {
            let attempt = desk.state.begin_attempt(desk.id(1), noon()).unwrap();
            assert!(matches!(attempt, Attempt::Open { failures, .. } if failures == expected), "{attempt:?}");
            desk = desk.restart();
        }
        let until = noon() + SignedDuration::from_secs(30);
        let attempt = desk.state.begin_attempt(desk.id(1), noon()).unwrap();
        assert!(matches!(attempt, Attempt::Locked(lock) if lock == Lock::Until(until)), "{attempt:?}");
        assert_eq!(desk.state.unlock_person(&tech()).unwrap(), Change::Made);
        assert_eq!(desk.state.unlock_person(&tech()).unwrap(), Change::None);
        assert!(matches!(
            desk.state.begin_attempt(desk.id(1), noon()).unwrap(),
            Attempt::Open { failures: 1, .. }
        ));
    }

    #[test]
    fn only_a_hundred_failures_lock_for_ever() {
        let desk = Desk::new();
        desk.import("tech-1@vendor-a", 1).unwrap();
        let mut now = noon();
        let mut judged = 0;
        loop {
            match desk.state.begin_attempt(desk.id(1), now).unwrap() {
                Attempt::Open { .. } => judged += 1,
                Attempt::Locked(Lock::Until(until)) => now = until,
                Attempt::Locked(Lock::Permanent) => break,
                other @ (Attempt::Locked(Lock::None) | Attempt::NoFactor) => panic!("{other:?}"),
            }
        }
        assert_eq!(judged, PERMANENT_AFTER);
        desk.state.unlock_person(&tech()).unwrap();
        assert!(matches!(desk.state.begin_attempt(desk.id(1), now).unwrap(), Attempt::Open { .. }));
    }

    #[test]
    fn one_persons_failures_are_nobody_elses() {
        let desk = Desk::new();
        desk.import("tech-1@vendor-a", 1).unwrap();
        desk.import("tech-2@vendor-b", 2).unwrap();
        for _ in 0..10 {
            desk.state.begin_attempt(desk.id(1), noon()).unwrap();
        }
        assert!(matches!(
            desk.state.begin_attempt(desk.id(2), noon()).unwrap(),
            Attempt::Open { failures: 1, .. }
        ));
    }

    #[test]
    fn sessions_that_a_crash_cut_short_are_closed_at_the_next_start() {
        let desk = Desk::new();
        let row = |number: u8| SessionRow {
            id: SessionId::from_bytes([number; 16]),
            person: tech(),
            target: TargetId::parse("press-line/plc7").unwrap(),
            source: [192, 0, 2, 1].into(),
            started: noon() + SignedDuration::from_secs(number.into()),
            policy: [7; 32],
            recording: format!("{number}.ghr"),
        };
        let end = SessionEnd { ended: noon(), reason: "killed".to_owned(), operations: 12, denied: 3 };
        desk.state.session_started(&row(1)).unwrap();
        desk.state.session_started(&row(2)).unwrap();
        desk.state.session_ended(row(1).id, &end).unwrap();
        assert!(desk.state.session_started(&row(1)).is_err(), "an id is used once");
        let desk = desk.restart();
        assert_eq!(desk.state.interrupted().unwrap(), [row(2).id]);
        assert_eq!(desk.state.close_interrupted(noon()).unwrap(), [row(2).id]);
        assert!(desk.state.interrupted().unwrap().is_empty());
        assert!(desk.state.close_interrupted(noon()).unwrap().is_empty());
        let list = desk.state.sessions(10).unwrap();
        let reasons: Vec<_> =
            list.iter().map(|entry| entry.end.as_ref().map(|end| end.reason.as_str())).collect();
        assert_eq!(reasons, [Some("interrupted: the gateway stopped while it ran"), Some("killed")]);
        let first = list.last().unwrap();
        assert_eq!(
            (first.row.target.as_str(), first.end.as_ref().map(|end| end.denied)),
            ("press-line/plc7", Some(3))
        );
    }

    #[test]
    fn policy_and_clock_mark_outlive_a_restart() {
        let desk = Desk::new();
        assert_eq!((desk.state.current_policy().unwrap(), desk.state.clock_mark().unwrap()), (None, None));
        let snapshot = |byte: u8| PolicySnapshot {
            hash: [byte; 32],
            bytes: vec![byte; 1000],
            applied: noon(),
            by: "uid 0".to_owned(),
        };
        desk.state.apply_policy(&snapshot(1)).unwrap();
        desk.state.apply_policy(&snapshot(2)).unwrap();
        let suspension = Some(Suspension { since: noon(), step_seconds: -600 });
        let mark = ClockMark { highest: noon(), suspension };
        desk.state.store_clock_mark(&mark).unwrap();
        let desk = desk.restart();
        assert_eq!(desk.state.current_policy().unwrap(), Some(snapshot(2)));
        assert_eq!(desk.state.clock_mark().unwrap(), Some(mark));
    }

    #[test]
    fn the_file_holds_seeds_so_only_its_owner_may_read_it() {
        let desk = Desk::new();
        let path = desk.folder.path().join("state.db");
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&path), 0o600);
        desk.import("tech-1@vendor-a", 1).unwrap();
        assert_eq!(mode(&desk.folder.path().join("state.db-wal")), 0o600);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        let refused = SqliteState::open(&StateFiles::within(desk.folder.path())).unwrap_err().to_string();
        assert!(refused.contains("others may read it (mode 644)"), "{refused}");
    }

    #[test]
    fn a_commit_is_durable() {
        let desk = Desk::new();
        let connection = desk.state.connection.lock().unwrap();
        let setting = |name: &str| -> String {
            connection
                .query_row(&format!("PRAGMA {name}"), [], |row| row.get::<_, rusqlite::types::Value>(0))
                .map(|value| format!("{value:?}"))
                .unwrap()
        };
        assert_eq!(setting("journal_mode"), "Text(\"wal\")");
        assert_eq!(setting("synchronous"), "Integer(2)");
        assert_eq!(setting("foreign_keys"), "Integer(1)");
    }

    #[test]
    fn a_file_that_is_no_database_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.db");
        std::fs::write(&path, "not a database, whatever it is called, and long enough to be looked at")
            .unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        assert!(SqliteState::open(&StateFiles::within(folder.path())).is_err());
    }
}
