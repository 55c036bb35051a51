//! Second factors: counted attempts, locks, used steps.

use super::{people, time};
use crate::factor::Seed;
use crate::names::Handle;
use crate::state::{
    Attempt, Change, Failure, Lock, PersonId, Sealed, StateError, StepUse, Vault, lock_after,
};
use jiff::Timestamp;
use rusqlite::{OptionalExtension, Transaction, params};

/// A person's row of `attempts`.
pub(super) struct Counted {
    pub(super) last_step: Option<u64>,
    pub(super) failures: u32,
    pub(super) lock: Lock,
    pub(super) last_sign_in: Option<Timestamp>,
}

pub(super) fn counted(transaction: &Transaction<'_>, person: PersonId) -> Result<Counted, StateError> {
    let query = "SELECT last_step, failures, locked_until, locked_for_ever, last_sign_in
                 FROM attempts WHERE person = ?1";
    type Columns = (Option<i64>, i64, Option<i64>, i64, Option<i64>);
    let row: Option<Columns> = transaction
        .query_row(query, params![person.0], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?))
        })
        .optional()?;
    let (last_step, failures, until, for_ever, last_sign_in) =
        row.ok_or(StateError::Corrupt("attempts row"))?;
    let lock = match until {
        _ if for_ever != 0 => Lock::Permanent,
        Some(until) => Lock::Until(time(until)?),
        None => Lock::None,
    };
    Ok(Counted {
        last_step: last_step.map(u64::try_from).transpose().map_err(|_| StateError::Corrupt("step"))?,
        failures: u32::try_from(failures).map_err(|_| StateError::Corrupt("failure count"))?,
        lock,
        last_sign_in: last_sign_in.map(time).transpose()?,
    })
}

pub(super) fn begin(
    transaction: &Transaction<'_>,
    vault: &Vault,
    person: PersonId,
    now: Timestamp,
) -> Result<Attempt, StateError> {
    let Some(seed) = seed(transaction, vault, person)? else { return Ok(Attempt::NoFactor) };
    let counted = counted(transaction, person)?;
    match counted.lock.at(now) {
        Lock::None => {}
        lock @ (Lock::Until(_) | Lock::Permanent) => return Ok(Attempt::Locked(lock)),
    }
    let failures = counted.failures.saturating_add(1);
    store(transaction, person, failures, lock_after(failures, now))?;
    Ok(Attempt::Open { seed, last_step: counted.last_step, failures })
}

pub(super) fn accept_step(
    transaction: &Transaction<'_>,
    person: PersonId,
    step: u64,
    now: Timestamp,
) -> Result<StepUse, StateError> {
    let counted = counted(transaction, person)?;
    if counted.last_step.is_some_and(|last| step <= last) {
        return Ok(StepUse::AlreadyUsed);
    }
    let step = i64::try_from(step).map_err(|_| StateError::Corrupt("step"))?;
    transaction.execute("UPDATE attempts SET last_step = ?1 WHERE person = ?2", params![step, person.0])?;
    succeeded(transaction, person, now)?;
    Ok(StepUse::Accepted)
}

/// A second factor was accepted: failures are forgotten.
pub(super) fn succeeded(
    transaction: &Transaction<'_>,
    person: PersonId,
    now: Timestamp,
) -> Result<(), StateError> {
    transaction.execute(
        "UPDATE attempts SET last_sign_in = ?1 WHERE person = ?2",
        params![now.as_millisecond(), person.0],
    )?;
    forget(transaction, person)
}

pub(super) fn record_failure(
    transaction: &Transaction<'_>,
    person: PersonId,
    failure: Failure,
    now: Timestamp,
) -> Result<Lock, StateError> {
    let counted = counted(transaction, person)?;
    match failure {
        // Counted already, before the code was judged.
        Failure::Wrong => Ok(counted.lock.at(now)),
        Failure::OtherStep => {
            let failures = counted.failures.saturating_sub(1);
            store(transaction, person, failures, Lock::None)?;
            Ok(Lock::None)
        }
    }
}

pub(super) fn unlock(transaction: &Transaction<'_>, name: &Handle) -> Result<Change, StateError> {
    let person =
        people::by_handle(transaction, name)?.ok_or_else(|| StateError::NoSuchPerson(name.clone()))?;
    let counted = counted(transaction, person.id)?;
    if counted.failures == 0 && counted.lock == Lock::None {
        return Ok(Change::None);
    }
    forget(transaction, person.id)?;
    Ok(Change::Made)
}

/// Forgets failures and lock.
pub(super) fn forget(transaction: &Transaction<'_>, person: PersonId) -> Result<(), StateError> {
    store(transaction, person, 0, Lock::None)
}

pub(super) fn store(
    transaction: &Transaction<'_>,
    person: PersonId,
    failures: u32,
    lock: Lock,
) -> Result<(), StateError> {
    let (until, for_ever) = match lock {
        Lock::None => (None, 0),
        Lock::Until(until) => (Some(until.as_millisecond()), 0),
        Lock::Permanent => (None, 1),
    };
    transaction.execute(
        "UPDATE attempts SET failures = ?1, locked_until = ?2, locked_for_ever = ?3 WHERE person = ?4",
        params![failures, until, for_ever, person.0],
    )?;
    Ok(())
}

fn seed(transaction: &Transaction<'_>, vault: &Vault, person: PersonId) -> Result<Option<Seed>, StateError> {
    let query = "SELECT sealing, seed FROM factors WHERE person = ?1";
    let row: Option<(i64, Vec<u8>)> =
        transaction.query_row(query, params![person.0], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    match row {
        None => Ok(None),
        Some((people::SEALED, sealed)) => {
            let mut seed = vault.open(people::seed_of(person), &Sealed::from_bytes(sealed))?;
            Seed::from_bytes(std::mem::take(&mut *seed)).map(Some).ok_or(StateError::Corrupt("seed length"))
        }
        Some(_) => Err(StateError::Corrupt("sealing version")),
    }
}
