//! Which key seals the secrets of this database.

use crate::state::{Place, Sealed, StateError, Vault};
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};
use std::path::Path;

/// Where the constant stands that tells this database's key from others.
const PROOF: Place = Place { column: "vault.proof", row: 1 };

/// The constant.
const PROVEN: &[u8] = b"this key seals this database";

/// Reads the key; makes it where neither key nor anything that it should open
/// is there.
///
/// # Errors
/// [`StateError::Key`]: without the right key the gateway does not start,
/// since it could neither open what is sealed nor add to it.
pub(super) fn vault(connection: &mut Connection, path: &Path) -> Result<Vault, StateError> {
    let refuse = |reason: String| StateError::Key { path: path.display().to_string(), reason };
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let read = Vault::read(path).map_err(refuse)?;
    let vault = match (read, proof(&transaction)?) {
        (Some(vault), Some(proof)) => {
            let opened = vault.open(PROOF, &proof).is_ok_and(|proven| proven.as_slice() == PROVEN);
            if !opened {
                return Err(refuse("is not the key of this database; bring back the one it had".to_owned()));
            }
            vault
        }
        (None, Some(_)) => {
            let reason = "is missing, and the secrets in the database do not open without it; \
                          bring it back, or restore a backup";
            return Err(refuse(reason.to_owned()));
        }
        (read, None) => {
            if holds_people(&transaction)? {
                let reason = "the database holds people and says nothing of a key; restore a backup of it";
                return Err(refuse(reason.to_owned()));
            }
            let vault = read.map_or_else(|| Vault::create(path), Ok).map_err(refuse)?;
            let proof = vault.seal(PROOF, PROVEN)?;
            transaction
                .execute("INSERT INTO vault (only, proof) VALUES (1, ?1)", params![proof.as_bytes()])?;
            vault
        }
    };
    transaction.commit()?;
    Ok(vault)
}

fn proof(transaction: &Transaction<'_>) -> Result<Option<Sealed>, StateError> {
    let row: Option<Vec<u8>> =
        transaction.query_row("SELECT proof FROM vault WHERE only = 1", [], |row| row.get(0)).optional()?;
    Ok(row.map(Sealed::from_bytes))
}

fn holds_people(transaction: &Transaction<'_>) -> Result<bool, StateError> {
    Ok(transaction.query_row("SELECT EXISTS (SELECT 1 FROM persons)", [], |row| row.get(0))?)
}

#[cfg(test)]
mod tests {
    use crate::factor::Seed;
    use crate::fixture::noon;
    use crate::names::Handle;
    use crate::state::{Attempt, Import, KeyHash, PersonId, SqliteState, State, StateError, StateFiles};
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;

    /// A database with two people, closed; their ids and the first one's seed.
    fn made(folder: &Path) -> (StateFiles, [PersonId; 2], Seed) {
        let files = StateFiles::within(folder);
        let state = SqliteState::open(&files).unwrap();
        let import = |handle: &str, number: u8| {
            let (handle, key, seed) =
                (Handle::parse(handle).unwrap(), KeyHash([number; 32]), Seed::generate());
            state.import_person(&Import { handle, key, seed: seed.clone() }, noon()).unwrap();
            (state.person_by_key(&key).unwrap().unwrap().id, seed)
        };
        let ((first, seed), (second, _)) = (import("tech-1@vendor-a", 1), import("tech-2@vendor-b", 2));
        (files, [first, second], seed)
    }

    fn refused(files: &StateFiles) -> String {
        let error = SqliteState::open(files).unwrap_err();
        assert!(matches!(error, StateError::Key { .. }), "{error}");
        error.to_string().replace(&files.key.display().to_string(), "KEY")
    }

    fn holds(haystack: &[u8], needle: &[u8]) -> bool {
        haystack.windows(needle.len()).any(|window| window == needle)
    }

    #[test]
    fn no_seed_is_in_the_database_or_its_log() {
        let folder = tempfile::tempdir().unwrap();
        let (files, [first, _], seed) = made(folder.path());
        let (state, mut looked_at) = (SqliteState::open(&files).unwrap(), 0);
        state.begin_attempt(first, noon()).unwrap();
        for name in ["state.db", "state.db-wal"] {
            let bytes = std::fs::read(folder.path().join(name)).unwrap();
            looked_at += usize::from(holds(&bytes, b"tech-1@vendor-a"));
            assert!(!holds(&bytes, seed.expose()), "{name} holds the seed");
            assert!(!holds(&bytes, hex::encode(seed.expose()).as_bytes()), "{name} holds the seed");
        }
        assert!(looked_at > 0, "the search finds nothing at all");
        let Attempt::Open { seed: opened, .. } = state.begin_attempt(first, noon()).unwrap() else {
            panic!("no factor")
        };
        assert_eq!(opened.expose(), seed.expose());
    }

    #[test]
    fn a_seed_that_was_moved_to_another_person_does_not_open() {
        let folder = tempfile::tempdir().unwrap();
        let (files, [first, second], _) = made(folder.path());
        let raw = rusqlite::Connection::open(&files.database).unwrap();
        let moved =
            "UPDATE factors SET seed = (SELECT seed FROM factors WHERE person = ?1) WHERE person = ?2";
        assert_eq!(raw.execute(moved, [first.0, second.0]).unwrap(), 1);
        drop(raw);
        let state = SqliteState::open(&files).unwrap();
        assert!(matches!(state.begin_attempt(first, noon()), Ok(Attempt::Open { .. })));
        let refused = state.begin_attempt(second, noon()).unwrap_err();
        assert!(matches!(refused, StateError::Sealed(place) if place.row == second.0), "{refused}");
    }

    #[test]
    fn an_unsealed_seed_is_not_taken() {
        let folder = tempfile::tempdir().unwrap();
        let (files, [first, _], seed) = made(folder.path());
        let raw = rusqlite::Connection::open(&files.database).unwrap();
        let put = "UPDATE factors SET sealing = 0, seed = ?1 WHERE person = ?2";
        raw.execute(put, rusqlite::params![seed.expose(), first.0]).unwrap();
        drop(raw);
        let state = SqliteState::open(&files).unwrap();
        assert!(matches!(state.begin_attempt(first, noon()), Err(StateError::Corrupt(_))));
    }

    #[test]
    fn a_key_that_is_missing_another_or_readable_stops_the_start() {
        let folder = tempfile::tempdir().unwrap();
        let (files, ..) = made(folder.path());
        let aside = folder.path().join("aside");
        std::fs::rename(&files.key, &aside).unwrap();
        let missing = refused(&files);
        assert!(missing.starts_with("state key KEY: is missing, and the secrets"), "{missing}");
        assert!(!files.key.exists(), "a new key would open nothing");
        let elsewhere = tempfile::tempdir().unwrap();
        let other = StateFiles::within(elsewhere.path());
        drop(SqliteState::open(&other).unwrap());
        std::fs::rename(&other.key, &files.key).unwrap();
        assert_eq!(
            refused(&files),
            "state key KEY: is not the key of this database; bring back the one it had"
        );
        std::fs::rename(&aside, &files.key).unwrap();
        std::fs::set_permissions(&files.key, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert_eq!(refused(&files), "state key KEY: others may read it (mode 640); chmod 600 it");
        std::fs::set_permissions(&files.key, std::fs::Permissions::from_mode(0o600)).unwrap();
        SqliteState::open(&files).unwrap();
    }

    #[test]
    fn people_without_a_word_about_the_key_are_not_adopted() {
        let folder = tempfile::tempdir().unwrap();
        let (files, ..) = made(folder.path());
        rusqlite::Connection::open(&files.database).unwrap().execute("DELETE FROM vault", []).unwrap();
        assert!(refused(&files).contains("holds people and says nothing of a key"));
    }

    #[test]
    fn a_key_made_by_a_start_that_broke_off_is_used_by_the_next() {
        let folder = tempfile::tempdir().unwrap();
        let files = StateFiles::within(folder.path());
        drop(crate::state::Vault::create(&files.key).unwrap());
        let before = std::fs::read(&files.key).unwrap();
        SqliteState::open(&files).unwrap();
        assert_eq!(std::fs::read(&files.key).unwrap(), before);
    }
}
