//! Revocations: when a person was refused, contained, and gone.

use jiff::Timestamp;
use rusqlite::{Connection, params};
use serde::{Deserialize, Serialize};

use super::time;

/// How long rows are kept.
pub(super) const RETENTION_DAYS: i64 = 400;
/// Most rows that one pruning step removes.
const PRUNE_STEP: u32 = 2_000;

/// A person's revocation as stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RevocationRow {
    /// Whom it concerned.
    pub corporate_id: String,
    /// Account on the gateway.
    pub account: String,
    /// Sessions of epochs below this one had to go.
    pub epoch: i64,
    /// Why: a reason constant, or `Rotated`.
    pub reason: String,
    /// Auth refused from then on.
    pub denied_at: Timestamp,
    /// No session could pass another byte from then on.
    pub contained_at: Option<Timestamp>,
    /// No session was left from then on.
    pub sessions_zero_at: Option<Timestamp>,
}

/// Inserts the revocation of an account's epoch, or fills in times that were missing. Times that are set are never moved.
pub(super) fn record(conn: &Connection, row: &RevocationRow) -> rusqlite::Result<()> {
    conn.prepare_cached(
        "INSERT INTO revocations (account, epoch, corporate_id, corporate_key, reason, denied_at, contained_at, \
         sessions_zero_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) \
         ON CONFLICT (account, epoch) DO UPDATE SET \
         contained_at = coalesce(contained_at, excluded.contained_at), \
         sessions_zero_at = coalesce(sessions_zero_at, excluded.sessions_zero_at) \
         WHERE (contained_at IS NULL AND excluded.contained_at IS NOT NULL) \
         OR (sessions_zero_at IS NULL AND excluded.sessions_zero_at IS NOT NULL)",
    )?
    .execute(params![
        row.account,
        row.epoch,
        row.corporate_id,
        row.corporate_id.to_ascii_lowercase(),
        row.reason,
        row.denied_at.as_microsecond(),
        row.contained_at.map(Timestamp::as_microsecond),
        row.sessions_zero_at.map(Timestamp::as_microsecond),
    ])?;
    Ok(())
}

/// Revocations of a person, newest first.
pub(super) fn of_person(conn: &Connection, corporate_id: &str, limit: u32) -> rusqlite::Result<Vec<RevocationRow>> {
    conn.prepare_cached(
        "SELECT corporate_id, account, epoch, reason, denied_at, contained_at, sessions_zero_at FROM revocations \
         WHERE corporate_key = ?1 ORDER BY denied_at DESC, epoch DESC LIMIT ?2",
    )?
    .query_map(params![corporate_id.to_ascii_lowercase(), limit], |row| {
        Ok(RevocationRow {
            corporate_id: row.get(0)?,
            account: row.get(1)?,
            epoch: row.get(2)?,
            reason: row.get(3)?,
            denied_at: time::column(row, 4)?,
            contained_at: time::optional_column(row, 5)?,
            sessions_zero_at: time::optional_column(row, 6)?,
        })
    })?
    .collect()
}

/// Removes rows that are past retention, a bounded number a call.
pub(super) fn prune(conn: &Connection, now: Timestamp) -> rusqlite::Result<()> {
    conn.prepare_cached(
        "DELETE FROM revocations WHERE (account, epoch) IN \
         (SELECT account, epoch FROM revocations WHERE denied_at < ?1 ORDER BY denied_at LIMIT ?2)",
    )?
    .execute(params![
        time::days_before(now, RETENTION_DAYS).as_microsecond(),
        PRUNE_STEP
    ])?;
    Ok(())
}
