//! Invitations and the one transaction that enrols.

use super::{certificates, handle, passkeys, people, time};
use crate::names::Handle;
use crate::state::{
    Behind, Change, ConfirmedFactor, Enrolment, FactorPresence, HeldFactors, Invitation, InvitationRecord,
    KnownInvitee, NewPasskey, OpenInvitation, Person, Standing, StateError, Vault,
};
use jiff::Timestamp;
use rusqlite::{OptionalExtension, Transaction, params};
use wire::enrolment::{InvitationId, StoredSecret};

/// An older open invitation of the same person is withdrawn with it.
pub(super) fn invite(transaction: &Transaction<'_>, invitation: &Invitation) -> Result<(), StateError> {
    let known = people::by_handle(transaction, &invitation.handle)?;
    if known.is_some_and(|person| person.standing == Standing::Disabled) {
        return Err(StateError::Disabled(invitation.handle.clone()));
    }
    end_expired(transaction, invitation.made)?;
    withdraw(transaction, &invitation.handle, invitation.made)?;
    transaction.execute(
        "INSERT INTO invitations (id, handle, stored, made, expires, by_whom) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        params![
            invitation.stored.invitation().0,
            invitation.handle.as_str(),
            invitation.stored.to_bytes(),
            invitation.made.as_millisecond(),
            invitation.expires.as_millisecond(),
            invitation.by
        ],
    )?;
    Ok(())
}

pub(super) fn withdraw(
    transaction: &Transaction<'_>,
    name: &Handle,
    now: Timestamp,
) -> Result<Change, StateError> {
    let ended = transaction.execute(
        "UPDATE invitations SET ended = ?1, outcome = 'withdrawn' WHERE handle = ?2 AND ended IS NULL",
        params![now.as_millisecond(), name.as_str()],
    )?;
    Ok(if ended == 0 { Change::None } else { Change::Made })
}

/// What has run out stays so, whatever the clock says later.
fn end_expired(transaction: &Transaction<'_>, now: Timestamp) -> Result<(), StateError> {
    transaction.execute(
        "UPDATE invitations SET ended = expires, outcome = 'expired' WHERE ended IS NULL AND expires <= ?1",
        params![now.as_millisecond()],
    )?;
    Ok(())
}

pub(super) fn all_open(
    transaction: &Transaction<'_>,
    now: Timestamp,
) -> Result<Vec<InvitationRecord>, StateError> {
    end_expired(transaction, now)?;
    let mut query = transaction.prepare(
        "SELECT handle, made, expires, by_whom FROM invitations WHERE ended IS NULL ORDER BY made, handle",
    )?;
    type Columns = (String, i64, i64, String);
    let rows = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))?;
    let rows = rows.collect::<Result<Vec<Columns>, _>>()?;
    let record = |(name, made, expires, by): Columns| {
        Ok(InvitationRecord { handle: handle(&name)?, made: time(made)?, expires: time(expires)?, by })
    };
    rows.into_iter().map(record).collect()
}

pub(super) fn open(
    transaction: &Transaction<'_>,
    id: InvitationId,
    now: Timestamp,
) -> Result<Option<OpenInvitation>, StateError> {
    end_expired(transaction, now)?;
    let query = "SELECT handle, stored, expires FROM invitations WHERE id = ?1 AND ended IS NULL";
    let row: Option<(String, Vec<u8>, i64)> = transaction
        .query_row(query, params![id.0], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()?;
    let Some((name, stored, expires)) = row else { return Ok(None) };
    let name = handle(&name)?;
    let known = match people::by_handle(transaction, &name)? {
        Some(person) => Some(invitee(transaction, &person)?),
        None => None,
    };
    let stored = StoredSecret::from_bytes(super::bytes(stored, "invitation")?);
    Ok(Some(OpenInvitation { id, handle: name, stored, expires: time(expires)?, known }))
}

fn invitee(transaction: &Transaction<'_>, person: &Person) -> Result<KnownInvitee, StateError> {
    let seed = people::factor(transaction, person.id)?;
    let passkeys = passkeys::of(transaction, person.id)?;
    Ok(KnownInvitee {
        id: person.id,
        standing: person.standing,
        held: HeldFactors { seed, passkeys },
        factors: person.factors,
        user_handle: passkeys::known_handle(transaction, person.id)?,
    })
}

/// Uses the invitation up and stores person, key, factor and certificate, or
/// does nothing of it.
pub(super) fn enrol(
    transaction: &Transaction<'_>,
    vault: &Vault,
    enrolment: &Enrolment,
    now: Timestamp,
) -> Result<Handle, StateError> {
    let over = || StateError::InvitationOver;
    let invitation = open(transaction, enrolment.invitation, now)?.ok_or_else(over)?;
    if let Some(owner) = people::by_key(transaction, &enrolment.certificate.key)? {
        return Err(StateError::KeyTaken { owner: owner.handle });
    }
    let person = match invitation.known {
        Some(KnownInvitee { standing: Standing::Disabled, .. }) => {
            return Err(StateError::Disabled(invitation.handle));
        }
        Some(known) => known,
        None => {
            people::create(transaction, &invitation.handle, now)?;
            let made = people::by_handle(transaction, &invitation.handle)?;
            invitee(transaction, &made.ok_or(StateError::Corrupt("new person"))?)?
        }
    };
    take_factor(transaction, vault, &person, &enrolment.factor, now)?;
    people::add_key(transaction, person.id, &enrolment.certificate.key, now)?;
    certificates::add(transaction, person.id, &enrolment.certificate)?;
    let ended = transaction.execute(
        "UPDATE invitations SET ended = ?1, outcome = 'used' WHERE id = ?2 AND ended IS NULL",
        params![now.as_millisecond(), enrolment.invitation.0],
    )?;
    if ended == 1 { Ok(invitation.handle) } else { Err(over()) }
}

/// Stores a new factor, or sees that a known one still counts.
fn take_factor(
    transaction: &Transaction<'_>,
    vault: &Vault,
    person: &KnownInvitee,
    factor: &ConfirmedFactor,
    now: Timestamp,
) -> Result<(), StateError> {
    // It was reset, or another one was made, while this one was asked for.
    let over = || Err(StateError::InvitationOver);
    match factor {
        ConfirmedFactor::NewTotp { seed, step } if person.held.are_none() => {
            people::store_seed(transaction, vault, person.id, seed, now)?;
            people::use_up_step(transaction, person.id, *step)
        }
        ConfirmedFactor::NewPasskey { passkey, user_handle } if person.held.are_none() => {
            if passkeys::user_handle(transaction, person.id, *user_handle)? != *user_handle {
                return over();
            }
            let (factors, passkey) = (person.factors, passkey.clone());
            let behind = Behind::NoPasskey;
            passkeys::add(transaction, &NewPasskey { person: person.id, factors, behind, passkey }, now)
        }
        ConfirmedFactor::NewTotp { .. } | ConfirmedFactor::NewPasskey { .. } => over(),
        ConfirmedFactor::KnownTotp { factors, relying_party } => {
            let there = *factors == person.factors && person.held.seed == FactorPresence::Totp;
            let suffices = !person.held.has_passkey_of(relying_party.as_deref());
            if there && suffices { Ok(()) } else { over() }
        }
        ConfirmedFactor::KnownPasskey { factors, name: _ } => {
            let there = *factors == person.factors && !person.held.passkeys.is_empty();
            if there { Ok(()) } else { over() }
        }
    }
}
