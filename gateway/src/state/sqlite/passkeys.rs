//! Passkeys: their counters grow with the success that used them.

use super::{attempts, bytes, people, time};
use crate::state::{
    Behind, Count, CredentialId, Lock, MOST_PASSKEYS, NewPasskey, PasskeyAcceptance, PasskeyRecord,
    PasskeyUse, PersonId, Place, Sealed, Standing, StateError, Vault, lock_after,
};
use jiff::Timestamp;
use rusqlite::{OptionalExtension, Row, Transaction, params};

/// Where the key of invented credential ids belongs.
const DECOYS: Place = Place { column: "decoys.key", row: 1 };

pub(super) fn of(transaction: &Transaction<'_>, person: PersonId) -> Result<Vec<PasskeyRecord>, StateError> {
    let mut query = transaction.prepare(
        "SELECT credential, name, relying_party, public, counter, added, last_used FROM passkeys
         WHERE person = ?1 ORDER BY added, name",
    )?;
    let rows = query.query_map(params![person.0], columns)?.collect::<Result<Vec<_>, _>>()?;
    rows.into_iter().map(record).collect()
}

pub(super) fn add(transaction: &Transaction<'_>, new: &NewPasskey, now: Timestamp) -> Result<(), StateError> {
    let passkey = &new.passkey;
    let owner = people::by_id(transaction, new.person)?;
    match owner.standing {
        Standing::Enabled if owner.factors == new.factors => {}
        Standing::Enabled => return Err(StateError::FactorsReset),
        Standing::Disabled => return Err(StateError::Disabled(owner.handle)),
    }
    let there = of(transaction, new.person)?;
    // Two registrations may have been asked for while there was none.
    let has_one = there.iter().any(|other| other.relying_party == passkey.relying_party);
    if has_one && new.behind == Behind::NoPasskey {
        return Err(StateError::PasskeyPresent);
    }
    if there.len() >= MOST_PASSKEYS {
        return Err(StateError::TooManyPasskeys);
    }
    if there.iter().any(|held| held.name == passkey.name) {
        return Err(StateError::PasskeyNameTaken(passkey.name.clone()));
    }
    let known = transaction
        .query_row(
            "SELECT 1 FROM passkeys WHERE relying_party = ?1 AND credential = ?2",
            params![passkey.relying_party, passkey.credential.0],
            |_| Ok(()),
        )
        .optional()?;
    if known.is_some() {
        return Err(StateError::PasskeyKnown);
    }
    transaction.execute(
        "INSERT INTO passkeys (relying_party, credential, person, name, public, counter, added)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        params![
            passkey.relying_party,
            passkey.credential.0,
            new.person.0,
            passkey.name,
            passkey.public,
            passkey.counter,
            now.as_millisecond()
        ],
    )?;
    Ok(())
}

/// Counts an attempt of somebody whose passkey is about to be judged.
pub(super) fn count(
    transaction: &Transaction<'_>,
    person: PersonId,
    now: Timestamp,
) -> Result<Count, StateError> {
    let counted = attempts::counted(transaction, person)?;
    match counted.lock.at(now) {
        Lock::None => {}
        lock @ (Lock::Until(_) | Lock::Permanent) => return Ok(Count::Locked(lock)),
    }
    let failures = counted.failures.saturating_add(1);
    attempts::store(transaction, person, failures, lock_after(failures, now))?;
    Ok(Count::Counted)
}

/// Stores the grown counter and the success together.
pub(super) fn accept(
    transaction: &Transaction<'_>,
    used: &PasskeyUse,
    now: Timestamp,
) -> Result<PasskeyAcceptance, StateError> {
    let stored: Option<(String, u32)> = transaction
        .query_row(
            "SELECT name, counter FROM passkeys
             WHERE relying_party = ?1 AND credential = ?2 AND person = ?3",
            params![used.relying_party, used.credential.0, used.person.0],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .optional()?;
    let Some((name, stored)) = stored else { return Ok(PasskeyAcceptance::Gone) };
    // An authenticator that doesn't count says 0 for ever (WebAuthn level 3,
    // 6.1.1); one that did once must go on.
    if (used.counter, stored) != (0, 0) && used.counter <= stored {
        return Ok(PasskeyAcceptance::CounterBack { name, stored });
    }
    transaction.execute(
        "UPDATE passkeys SET counter = ?1, public = ?2, last_used = ?3
         WHERE relying_party = ?4 AND credential = ?5",
        params![used.counter, used.public, now.as_millisecond(), used.relying_party, used.credential.0],
    )?;
    attempts::succeeded(transaction, used.person, now)?;
    Ok(PasskeyAcceptance::Accepted { name })
}

/// The random bytes that authenticators know the person by, if they were
/// drawn.
pub(super) fn known_handle(
    transaction: &Transaction<'_>,
    person: PersonId,
) -> Result<Option<[u8; 16]>, StateError> {
    let query = "SELECT handle FROM user_handles WHERE person = ?1";
    let stored = transaction.query_row(query, params![person.0], |row| row.get(0)).optional()?;
    stored.map(|stored| bytes(stored, "user handle")).transpose()
}

pub(super) fn user_handle(
    transaction: &Transaction<'_>,
    person: PersonId,
    fresh: [u8; 16],
) -> Result<[u8; 16], StateError> {
    transaction.execute(
        "INSERT OR IGNORE INTO user_handles (person, handle) VALUES (?1, ?2)",
        params![person.0, fresh],
    )?;
    known_handle(transaction, person)?.ok_or(StateError::Corrupt("user handle"))
}

pub(super) fn decoy_key(
    transaction: &Transaction<'_>,
    vault: &Vault,
    fresh: [u8; 32],
) -> Result<[u8; 32], StateError> {
    let query = "SELECT sealing, key FROM decoys WHERE only = 1";
    let there: Option<(i64, Vec<u8>)> =
        transaction.query_row(query, [], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    match there {
        Some((people::SEALED, sealed)) => {
            let opened = vault.open(DECOYS, &Sealed::from_bytes(sealed))?;
            bytes(opened.to_vec(), "key of invented ids")
        }
        Some(_) => Err(StateError::Corrupt("sealing version")),
        None => {
            let sealed = vault.seal(DECOYS, &fresh)?;
            let insert = "INSERT INTO decoys (only, sealing, key) VALUES (1, ?1, ?2)";
            transaction.execute(insert, params![people::SEALED, sealed.as_bytes()])?;
            Ok(fresh)
        }
    }
}

type Columns = (Vec<u8>, String, String, String, u32, i64, Option<i64>);

fn columns(row: &Row<'_>) -> rusqlite::Result<Columns> {
    Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?, row.get(6)?))
}

fn record(
    (credential, name, relying_party, public, counter, added, last_used): Columns,
) -> Result<PasskeyRecord, StateError> {
    Ok(PasskeyRecord {
        credential: CredentialId(credential),
        name,
        relying_party,
        public,
        counter,
        added: time(added)?,
        last_used: last_used.map(time).transpose()?,
    })
}
