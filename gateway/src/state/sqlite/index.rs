//! The session index, applied policies, the clock mark.

use super::{bytes, handle, time};
use crate::names::{SessionId, TargetId};
use crate::state::{
    ClockMark, PolicySnapshot, SessionEnd, SessionHistory, SessionRow, StateError, Suspension,
};
use jiff::Timestamp;
use rusqlite::{OptionalExtension, Row, Transaction, params};

/// The end of a session that a crash or power loss cut short.
const INTERRUPTED: &str = "interrupted: the gateway stopped while it ran";

pub(super) fn started(transaction: &Transaction<'_>, row: &SessionRow) -> Result<(), StateError> {
    transaction.execute(
        "INSERT INTO sessions (id, person, target, source, started, policy, recording)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        params![
            row.id.to_bytes(),
            row.person.as_str(),
            row.target.as_str(),
            row.source.to_string(),
            row.started.as_millisecond(),
            row.policy,
            row.recording,
        ],
    )?;
    Ok(())
}

pub(super) fn ended(
    transaction: &Transaction<'_>,
    id: SessionId,
    end: &SessionEnd,
) -> Result<(), StateError> {
    transaction.execute(
        "UPDATE sessions SET ended = ?1, reason = ?2, operations = ?3, denied = ?4
         WHERE id = ?5 AND ended IS NULL",
        params![
            end.ended.as_millisecond(),
            end.reason,
            count(end.operations),
            count(end.denied),
            id.to_bytes()
        ],
    )?;
    Ok(())
}

pub(super) fn interrupted(transaction: &Transaction<'_>) -> Result<Vec<SessionId>, StateError> {
    let mut query = transaction.prepare("SELECT id FROM sessions WHERE ended IS NULL ORDER BY started")?;
    let open = query.query_map([], |row| row.get(0))?.collect::<Result<Vec<Vec<u8>>, _>>()?;
    open.into_iter().map(|blob| bytes(blob, "session id").map(SessionId::from_bytes)).collect()
}

pub(super) fn close_interrupted(
    transaction: &Transaction<'_>,
    now: Timestamp,
) -> Result<Vec<SessionId>, StateError> {
    let open = interrupted(transaction)?;
    transaction.execute(
        "UPDATE sessions SET ended = ?1, reason = ?2 WHERE ended IS NULL",
        params![now.as_millisecond(), INTERRUPTED],
    )?;
    Ok(open)
}

pub(super) fn newest(transaction: &Transaction<'_>, limit: u32) -> Result<Vec<SessionHistory>, StateError> {
    let mut query = transaction.prepare(
        "SELECT id, person, target, source, started, policy, recording, ended, reason, operations, denied
         FROM sessions ORDER BY started DESC, id LIMIT ?1",
    )?;
    let mut rows = query.query(params![limit])?;
    let mut list = Vec::new();
    while let Some(row) = rows.next()? {
        list.push(history(row)?);
    }
    Ok(list)
}

fn history(row: &Row<'_>) -> Result<SessionHistory, StateError> {
    let end = match row.get::<_, Option<i64>>(7)? {
        None => None,
        Some(ended) => Some(SessionEnd {
            ended: time(ended)?,
            reason: row.get::<_, Option<String>>(8)?.unwrap_or_default(),
            operations: u64::try_from(row.get::<_, i64>(9)?).map_err(|_| StateError::Corrupt("count"))?,
            denied: u64::try_from(row.get::<_, i64>(10)?).map_err(|_| StateError::Corrupt("count"))?,
        }),
    };
    let row = SessionRow {
        id: SessionId::from_bytes(bytes(row.get(0)?, "session id")?),
        person: handle(&row.get::<_, String>(1)?)?,
        target: TargetId::parse(&row.get::<_, String>(2)?).map_err(|_| StateError::Corrupt("target"))?,
        source: row.get::<_, String>(3)?.parse().map_err(|_| StateError::Corrupt("address"))?,
        started: time(row.get(4)?)?,
        policy: bytes(row.get(5)?, "policy hash")?,
        recording: row.get(6)?,
    };
    Ok(SessionHistory { row, end })
}

pub(super) fn apply_policy(
    transaction: &Transaction<'_>,
    snapshot: &PolicySnapshot,
) -> Result<(), StateError> {
    transaction.execute(
        "INSERT INTO policies (hash, bytes, applied, by_whom) VALUES (?1, ?2, ?3, ?4)",
        params![snapshot.hash, snapshot.bytes, snapshot.applied.as_millisecond(), snapshot.by],
    )?;
    Ok(())
}

pub(super) fn current_policy(transaction: &Transaction<'_>) -> Result<Option<PolicySnapshot>, StateError> {
    let query = "SELECT hash, bytes, applied, by_whom FROM policies ORDER BY number DESC LIMIT 1";
    let row: Option<(Vec<u8>, Vec<u8>, i64, String)> = transaction
        .query_row(query, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))
        .optional()?;
    let Some((hash, content, applied, by)) = row else { return Ok(None) };
    Ok(Some(PolicySnapshot {
        hash: bytes(hash, "policy hash")?,
        bytes: content,
        applied: time(applied)?,
        by,
    }))
}

pub(super) fn clock_mark(transaction: &Transaction<'_>) -> Result<Option<ClockMark>, StateError> {
    let query = "SELECT highest, stepped_at, step_seconds FROM clock WHERE only = 1";
    let row: Option<(i64, Option<i64>, Option<i64>)> =
        transaction.query_row(query, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).optional()?;
    let Some((highest, stepped_at, step_seconds)) = row else { return Ok(None) };
    let suspension = match (stepped_at, step_seconds) {
        (Some(since), Some(step_seconds)) => Some(Suspension { since: time(since)?, step_seconds }),
        (None, None) => None,
        (Some(_), None) | (None, Some(_)) => return Err(StateError::Corrupt("clock mark")),
    };
    Ok(Some(ClockMark { highest: time(highest)?, suspension }))
}

pub(super) fn store_clock_mark(transaction: &Transaction<'_>, mark: &ClockMark) -> Result<(), StateError> {
    transaction.execute(
        "INSERT OR REPLACE INTO clock (only, highest, stepped_at, step_seconds) VALUES (1, ?1, ?2, ?3)",
        params![
            mark.highest.as_millisecond(),
            mark.suspension.as_ref().map(|step| step.since.as_millisecond()),
            mark.suspension.as_ref().map(|step| step.step_seconds),
        ],
    )?;
    Ok(())
}

/// SQLite's integers end where a session's counters never come.
fn count(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
