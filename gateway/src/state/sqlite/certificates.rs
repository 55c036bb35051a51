//! Certificates of the gateway's own authorities, and their revocations.

use super::{bytes, handle, people, time};
use crate::state::{
    AuthorityId, CertificateRecord, CertificateRow, KeyHash, MOST_CERTIFICATES, PersonId, Renewal,
    Revocation, Serial, Standing, StateError,
};
use jiff::Timestamp;
use rusqlite::{OptionalExtension, Row, Transaction, params};

const RECORD: &str = "SELECT c.serial, c.authority, c.spki_sha256, c.issued, c.expires, p.handle, c.revoked
                      FROM certificates c JOIN persons p ON p.id = c.person";

pub(super) fn add(
    transaction: &Transaction<'_>,
    person: PersonId,
    row: &CertificateRow,
) -> Result<(), StateError> {
    transaction.execute(
        "INSERT INTO certificates (serial, authority, person, spki_sha256, issued, expires)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        params![
            row.serial.0,
            row.authority.0,
            person.0,
            row.key.0,
            row.issued.as_millisecond(),
            row.expires.as_millisecond()
        ],
    )?;
    Ok(())
}

/// Whether it can be done, and for which person.
pub(super) fn renewable(
    transaction: &Transaction<'_>,
    renewal: &Renewal,
    now: Timestamp,
) -> Result<PersonId, StateError> {
    let person = people::by_handle(transaction, &renewal.person)?
        .ok_or_else(|| StateError::NoSuchPerson(renewal.person.clone()))?;
    match person.standing {
        Standing::Enabled => {}
        Standing::Disabled => return Err(StateError::Disabled(renewal.person.clone())),
    }
    let good = "SELECT EXISTS (SELECT 1 FROM certificates WHERE serial = ?1 AND spki_sha256 = ?2
                AND person = ?3 AND revoked IS NULL AND expires > ?4)";
    let shown = params![renewal.serial.0, renewal.key.0, person.id.0, now.as_millisecond()];
    if !transaction.query_row(good, shown, |row| row.get::<_, bool>(0))? {
        return Err(StateError::ForeignCertificate);
    }
    let count = "SELECT count(*) FROM certificates WHERE person = ?1 AND revoked IS NULL AND expires > ?2";
    let count: u32 =
        transaction.query_row(count, params![person.id.0, now.as_millisecond()], |row| row.get(0))?;
    if count >= MOST_CERTIFICATES {
        return Err(StateError::TooManyCertificates);
    }
    match people::by_key(transaction, &renewal.certificate.key)? {
        Some(owner) if owner.id != person.id => Err(StateError::KeyTaken { owner: owner.handle }),
        Some(_) | None => Ok(person.id),
    }
}

pub(super) fn renew(
    transaction: &Transaction<'_>,
    renewal: &Renewal,
    now: Timestamp,
) -> Result<(), StateError> {
    let person = renewable(transaction, renewal, now)?;
    if people::by_key(transaction, &renewal.certificate.key)?.is_none() {
        people::add_key(transaction, person, &renewal.certificate.key, now)?;
    }
    add(transaction, person, &renewal.certificate)
}

pub(super) fn all(
    transaction: &Transaction<'_>,
    after: Timestamp,
) -> Result<Vec<CertificateRecord>, StateError> {
    let mut query = transaction
        .prepare(&format!("{RECORD} WHERE c.expires > ?1 ORDER BY p.handle, c.issued, c.serial"))?;
    let rows = query.query_map(params![after.as_millisecond()], columns)?.collect::<Result<Vec<_>, _>>()?;
    rows.into_iter().map(record).collect()
}

pub(super) fn revoke(
    transaction: &Transaction<'_>,
    serial: Serial,
    now: Timestamp,
) -> Result<Option<CertificateRecord>, StateError> {
    transaction.execute(
        "UPDATE certificates SET revoked = ?1 WHERE serial = ?2 AND revoked IS NULL",
        params![now.as_millisecond(), serial.0],
    )?;
    let query = format!("{RECORD} WHERE c.serial = ?1");
    transaction.query_row(&query, params![serial.0], columns).optional()?.map(record).transpose()
}

/// Those whose certificate has not run out by itself: others need no entry
/// (RFC 5280, 3.3).
pub(super) fn revocations(
    transaction: &Transaction<'_>,
    authority: AuthorityId,
    now: Timestamp,
) -> Result<Vec<Revocation>, StateError> {
    let mut query = transaction.prepare(
        "SELECT serial, revoked FROM certificates
         WHERE authority = ?1 AND revoked IS NOT NULL AND expires > ?2 ORDER BY revoked, serial",
    )?;
    let rows =
        query.query_map(params![authority.0, now.as_millisecond()], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let rows = rows.collect::<Result<Vec<(Vec<u8>, i64)>, _>>()?;
    let entry = |(serial, at)| Ok(Revocation { serial: Serial(bytes(serial, "serial")?), at: time(at)? });
    rows.into_iter().map(entry).collect()
}

/// The last moment of the last certificate that an authority issued.
pub(super) fn needed_until(
    transaction: &Transaction<'_>,
    authority: AuthorityId,
) -> Result<Option<Timestamp>, StateError> {
    let query = "SELECT max(expires) FROM certificates WHERE authority = ?1";
    let last: Option<i64> = transaction.query_row(query, params![authority.0], |row| row.get(0))?;
    last.map(time).transpose()
}

/// A number that no list of this authority had before.
pub(super) fn next_list(transaction: &Transaction<'_>, authority: AuthorityId) -> Result<u64, StateError> {
    let number: i64 = transaction.query_row(
        "INSERT INTO revocation_lists (authority, number) VALUES (?1, 1)
         ON CONFLICT (authority) DO UPDATE SET number = number + 1 RETURNING number",
        params![authority.0],
        |row| row.get(0),
    )?;
    u64::try_from(number).map_err(|_| StateError::Corrupt("list number"))
}

type Columns = (Vec<u8>, Vec<u8>, Vec<u8>, i64, i64, String, Option<i64>);

fn columns(row: &Row<'_>) -> rusqlite::Result<Columns> {
    Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?, row.get(6)?))
}

fn record(columns: Columns) -> Result<CertificateRecord, StateError> {
    let (serial, authority, key, issued, expires, name, revoked) = columns;
    let row = CertificateRow {
        serial: Serial(bytes(serial, "serial")?),
        authority: AuthorityId(bytes(authority, "authority")?),
        key: KeyHash(bytes(key, "key hash")?),
        issued: time(issued)?,
        expires: time(expires)?,
    };
    Ok(CertificateRecord { row, person: handle(&name)?, revoked: revoked.map(time).transpose()? })
}
