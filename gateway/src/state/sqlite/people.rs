//! Persons and their keys.

use super::{attempts, bytes, handle, passkeys, time};
use crate::factor::Seed;
use crate::names::Handle;
use crate::state::{
    Change, FactorEpoch, FactorPresence, Import, Imported, KeyHash, Person, PersonId, PersonRecord, Place,
    Standing, StateError, Vault,
};
use jiff::Timestamp;
use rusqlite::{OptionalExtension, Row, Transaction, params};

/// `factors.sealing` of a seed that the vault sealed. Nothing else is opened.
pub(super) const SEALED: i64 = 1;

/// Where a person's seed belongs.
pub(super) fn seed_of(person: PersonId) -> Place {
    Place { column: "factors.seed", row: person.0 }
}

pub(super) fn import(
    transaction: &Transaction<'_>,
    vault: &Vault,
    import: &Import,
    now: Timestamp,
) -> Result<Imported, StateError> {
    if let Some(owner) = by_key(transaction, &import.key)? {
        return Err(StateError::KeyTaken { owner: owner.handle });
    }
    let known = by_handle(transaction, &import.handle)?;
    if known.as_ref().is_some_and(|person| person.standing == Standing::Disabled) {
        return Err(StateError::Disabled(import.handle.clone()));
    }
    let (id, imported) = match known {
        Some(person) => (person.id, Imported::KeyAdded),
        None => {
            let id = create(transaction, &import.handle, now)?;
            store_seed(transaction, vault, id, &import.seed, now)?;
            (id, Imported::NewPerson)
        }
    };
    add_key(transaction, id, &import.key, now)?;
    Ok(imported)
}

/// A person without keys and factor.
pub(super) fn create(
    transaction: &Transaction<'_>,
    name: &Handle,
    now: Timestamp,
) -> Result<PersonId, StateError> {
    transaction.execute(
        "INSERT INTO persons (handle, created) VALUES (?1, ?2)",
        params![name.as_str(), now.as_millisecond()],
    )?;
    let id = transaction.last_insert_rowid();
    transaction.execute("INSERT INTO attempts (person) VALUES (?1)", params![id])?;
    Ok(PersonId(id))
}

pub(super) fn add_key(
    transaction: &Transaction<'_>,
    person: PersonId,
    key: &KeyHash,
    now: Timestamp,
) -> Result<(), StateError> {
    transaction.execute(
        "INSERT INTO keys (spki_sha256, person, added) VALUES (?1, ?2, ?3)",
        params![key.0, person.0, now.as_millisecond()],
    )?;
    Ok(())
}

/// The code of this step confirmed a new factor; it is good for nothing more.
pub(super) fn use_up_step(
    transaction: &Transaction<'_>,
    person: PersonId,
    step: u64,
) -> Result<(), StateError> {
    let step = i64::try_from(step).map_err(|_| StateError::Corrupt("step"))?;
    transaction.execute(
        "UPDATE attempts SET last_step = max(?1, coalesce(last_step, 0)) WHERE person = ?2",
        params![step, person.0],
    )?;
    Ok(())
}

pub(super) fn factor(transaction: &Transaction<'_>, person: PersonId) -> Result<FactorPresence, StateError> {
    let query = "SELECT EXISTS (SELECT 1 FROM factors WHERE person = ?1)";
    let has_seed: bool = transaction.query_row(query, params![person.0], |row| row.get(0))?;
    Ok(if has_seed { FactorPresence::Totp } else { FactorPresence::None })
}

pub(super) fn store_seed(
    transaction: &Transaction<'_>,
    vault: &Vault,
    person: PersonId,
    seed: &Seed,
    now: Timestamp,
) -> Result<(), StateError> {
    let sealed = vault.seal(seed_of(person), seed.expose())?;
    transaction.execute(
        "INSERT INTO factors (person, sealing, seed, added) VALUES (?1, ?2, ?3, ?4)",
        params![person.0, SEALED, sealed.as_bytes(), now.as_millisecond()],
    )?;
    Ok(())
}

/// Removes every second factor with the failures and the lock that they
/// brought. The largest step used stays: no step ever counts twice.
pub(super) fn remove_factors(transaction: &Transaction<'_>, name: &Handle) -> Result<Change, StateError> {
    let person = by_handle(transaction, name)?.ok_or_else(|| StateError::NoSuchPerson(name.clone()))?;
    let codes = transaction.execute("DELETE FROM factors WHERE person = ?1", params![person.id.0])?;
    let passkeys = transaction.execute("DELETE FROM passkeys WHERE person = ?1", params![person.id.0])?;
    if codes == 0 && passkeys == 0 {
        return Ok(Change::None);
    }
    let passed = "UPDATE persons SET factor_epoch = factor_epoch + 1 WHERE id = ?1";
    transaction.execute(passed, params![person.id.0])?;
    attempts::forget(transaction, person.id)?;
    Ok(Change::Made)
}

pub(super) fn give_seed(
    transaction: &Transaction<'_>,
    vault: &Vault,
    name: &Handle,
    seed: &Seed,
    now: Timestamp,
) -> Result<(), StateError> {
    let person = by_handle(transaction, name)?.ok_or_else(|| StateError::NoSuchPerson(name.clone()))?;
    match person.standing {
        Standing::Enabled => {}
        Standing::Disabled => return Err(StateError::Disabled(name.clone())),
    }
    if has_factor(transaction, person.id)? {
        return Err(StateError::FactorPresent(name.clone()));
    }
    store_seed(transaction, vault, person.id, seed, now)
}

pub(super) fn has_factor(transaction: &Transaction<'_>, person: PersonId) -> Result<bool, StateError> {
    let query = "SELECT EXISTS (SELECT 1 FROM factors WHERE person = ?1
                                UNION ALL SELECT 1 FROM passkeys WHERE person = ?1)";
    Ok(transaction.query_row(query, params![person.0], |row| row.get(0))?)
}

pub(super) fn by_key(transaction: &Transaction<'_>, key: &KeyHash) -> Result<Option<Person>, StateError> {
    let query =
        "SELECT p.id, p.handle, p.disabled, p.factor_epoch FROM persons p JOIN keys k ON k.person = p.id
                 WHERE k.spki_sha256 = ?1";
    transaction.query_row(query, params![key.0], columns).optional()?.map(person).transpose()
}

pub(super) fn by_handle(transaction: &Transaction<'_>, name: &Handle) -> Result<Option<Person>, StateError> {
    let query = "SELECT id, handle, disabled, factor_epoch FROM persons WHERE handle = ?1";
    transaction.query_row(query, params![name.as_str()], columns).optional()?.map(person).transpose()
}

pub(super) fn by_id(transaction: &Transaction<'_>, id: PersonId) -> Result<Person, StateError> {
    let query = "SELECT id, handle, disabled, factor_epoch FROM persons WHERE id = ?1";
    person(transaction.query_row(query, params![id.0], columns)?)
}

pub(super) fn record(
    transaction: &Transaction<'_>,
    name: &Handle,
) -> Result<Option<PersonRecord>, StateError> {
    let Some(person) = by_handle(transaction, name)? else { return Ok(None) };
    complete(transaction, person).map(Some)
}

pub(super) fn all(transaction: &Transaction<'_>) -> Result<Vec<PersonRecord>, StateError> {
    let mut query =
        transaction.prepare("SELECT id, handle, disabled, factor_epoch FROM persons ORDER BY handle")?;
    let rows = query.query_map([], columns)?.collect::<Result<Vec<_>, _>>()?;
    rows.into_iter().map(|row| complete(transaction, person(row)?)).collect()
}

pub(super) fn set_standing(
    transaction: &Transaction<'_>,
    name: &Handle,
    standing: Standing,
) -> Result<Change, StateError> {
    let person = by_handle(transaction, name)?.ok_or_else(|| StateError::NoSuchPerson(name.clone()))?;
    if person.standing == standing {
        return Ok(Change::None);
    }
    let disabled = match standing {
        Standing::Enabled => 0,
        Standing::Disabled => 1,
    };
    transaction.execute("UPDATE persons SET disabled = ?1 WHERE id = ?2", params![disabled, person.id.0])?;
    Ok(Change::Made)
}

fn complete(transaction: &Transaction<'_>, person: Person) -> Result<PersonRecord, StateError> {
    let created =
        transaction.query_row("SELECT created FROM persons WHERE id = ?1", params![person.id.0], |row| {
            row.get::<_, i64>(0)
        })?;
    let mut query = transaction.prepare("SELECT spki_sha256 FROM keys WHERE person = ?1 ORDER BY added")?;
    let keys =
        query.query_map(params![person.id.0], |row| row.get(0))?.collect::<Result<Vec<Vec<u8>>, _>>()?;
    let keys = keys.into_iter().map(|blob| bytes(blob, "key hash").map(KeyHash)).collect::<Result<_, _>>()?;
    let factor = factor(transaction, person.id)?;
    let counted = attempts::counted(transaction, person.id)?;
    Ok(PersonRecord {
        created: time(created)?,
        keys,
        factor,
        passkeys: passkeys::of(transaction, person.id)?,
        failures: counted.failures,
        lock: counted.lock,
        last_sign_in: counted.last_sign_in,
        person,
    })
}

fn columns(row: &Row<'_>) -> rusqlite::Result<(i64, String, i64, i64)> {
    Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
}

fn person((id, name, disabled, epoch): (i64, String, i64, i64)) -> Result<Person, StateError> {
    let standing = if disabled == 0 { Standing::Enabled } else { Standing::Disabled };
    Ok(Person { id: PersonId(id), handle: handle(&name)?, standing, factors: FactorEpoch(epoch) })
}
