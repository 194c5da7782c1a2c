//! Revocations: when a person was refused, contained, and gone.

use jiff::Timestamp;
use rusqlite::{Connection, Row, params};
use serde::{Deserialize, Serialize};

use super::{
    appender::Appender,
    entry::{Stamped, of_operator},
    time,
};

/// Columns in the order in which [`read`] expects them.
const COLUMNS: &str = "corporate_id, account, epoch, reason, denied_at, contained_at, sessions_zero_at, left_out, \
                       withdrawn_at, deleted_at";

/// Action of the audit row that has the state of a revocation.
pub(super) const ACTION: &str = "revocation";

/// Between the names of nodes, none of which can have it.
const SEPARATOR: &str = " ";

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
    /// Nodes that were taken out of their gateway before their word was there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<String>,
    /// When `contained_at` was last taken back because it was not true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub withdrawn_at: Option<Timestamp>,
    /// When the object of the person was deleted, if nothing but this record is left of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deleted_at: Option<Timestamp>,
}

/// Inserts the revocation of an account's epoch, or fills in what was missing. Times that are set are moved only when they were
/// taken back since. What changes it adds a row to the audit with all of its state.
pub(super) fn record(appender: &mut Appender<'_>, row: &RevocationRow, now: Timestamp) -> rusqlite::Result<()> {
    let conn = appender.conn;
    let changed = conn
        .prepare_cached(
            "INSERT INTO revocations (account, epoch, corporate_id, corporate_key, reason, denied_at, contained_at, \
         sessions_zero_at, left_out, withdrawn_at, deleted_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) \
         ON CONFLICT (account, epoch) DO UPDATE SET \
         contained_at = CASE WHEN excluded.withdrawn_at > coalesce(withdrawn_at, 0) THEN excluded.contained_at \
         ELSE coalesce(contained_at, excluded.contained_at) END, \
         sessions_zero_at = CASE WHEN excluded.withdrawn_at > coalesce(withdrawn_at, 0) THEN excluded.sessions_zero_at \
         ELSE coalesce(sessions_zero_at, excluded.sessions_zero_at) END, \
         left_out = excluded.left_out, withdrawn_at = coalesce(excluded.withdrawn_at, withdrawn_at), \
         deleted_at = coalesce(excluded.deleted_at, deleted_at) \
         WHERE (contained_at IS NULL AND excluded.contained_at IS NOT NULL) \
         OR (sessions_zero_at IS NULL AND excluded.sessions_zero_at IS NOT NULL) \
         OR left_out <> excluded.left_out OR excluded.withdrawn_at > coalesce(withdrawn_at, 0) \
         OR excluded.deleted_at <> coalesce(deleted_at, 0)",
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
            row.left_out.join(SEPARATOR),
            row.withdrawn_at.map(Timestamp::as_microsecond),
            row.deleted_at.map(Timestamp::as_microsecond),
        ])?;
    if changed == 0 {
        return Ok(());
    }
    let stored = conn
        .prepare_cached(&format!(
            "SELECT {COLUMNS} FROM revocations WHERE account = ?1 AND epoch = ?2"
        ))?
        .query_row(params![row.account, row.epoch], read)?;
    seal(appender, &stored, now)
}

/// Revocations that no audit row speaks of yet are taken in as they are.
pub(super) fn take_in(appender: &mut Appender<'_>, now: Timestamp) -> rusqlite::Result<()> {
    let found: Vec<RevocationRow> = appender
        .conn
        .prepare_cached(&format!(
            "SELECT {COLUMNS} FROM revocations WHERE sealed_by IS NULL ORDER BY denied_at, account, epoch"
        ))?
        .query_map([], read)?
        .collect::<rusqlite::Result<_>>()?;
    for row in found {
        seal(appender, &row, now)?;
    }
    Ok(())
}

/// Adds the audit row of a state, and has the revocation name it.
fn seal(appender: &mut Appender<'_>, row: &RevocationRow, now: Timestamp) -> rusqlite::Result<()> {
    let mut entry = of_operator(ACTION);
    entry.corporate_id = Some(row.corporate_id.clone());
    entry.after = Some(state(row));
    entry.reason = Some(row.reason.clone());
    let seq = appender.push(&Stamped { at: now, entry })?;
    appender
        .conn
        .prepare_cached("UPDATE revocations SET sealed_by = ?3 WHERE account = ?1 AND epoch = ?2")?
        .execute(params![row.account, row.epoch, seq])?;
    Ok(())
}

/// The state of a revocation, as its audit row has it.
pub(super) fn state(row: &RevocationRow) -> String {
    // Nothing in it can fail.
    serde_json::to_string(row).unwrap_or_default()
}

/// Every revocation with the number of the audit row that has its state, in that order.
pub(super) fn each_with_seal(
    conn: &Connection,
    mut each: impl FnMut(RevocationRow, Option<i64>, Option<String>),
) -> rusqlite::Result<()> {
    let mut statement = conn.prepare(&format!(
        "SELECT {COLUMNS}, sealed_by, corporate_key FROM revocations ORDER BY sealed_by, account, epoch"
    ))?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        each(read(row)?, row.get(10)?, row.get(11)?);
    }
    Ok(())
}

/// Revocations of a person, newest first.
pub(super) fn of_person(conn: &Connection, corporate_id: &str, limit: u32) -> rusqlite::Result<Vec<RevocationRow>> {
    conn.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM revocations \
         WHERE corporate_key = ?1 ORDER BY denied_at DESC, epoch DESC LIMIT ?2",
    ))?
    .query_map(params![corporate_id.to_ascii_lowercase(), limit], read)?
    .collect()
}

/// Revocations of people who were deleted since `since`, of whom it is not known when the last session was gone: latest first.
pub(super) fn unseen(conn: &Connection, since: Timestamp, limit: u32) -> rusqlite::Result<Vec<RevocationRow>> {
    conn.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM revocations \
         WHERE deleted_at >= ?1 AND deleted_at IS NOT NULL AND sessions_zero_at IS NULL \
         ORDER BY deleted_at DESC LIMIT ?2",
    ))?
    .query_map(params![since.as_microsecond(), limit], read)?
    .collect()
}

fn read(row: &Row<'_>) -> rusqlite::Result<RevocationRow> {
    Ok(RevocationRow {
        corporate_id: row.get(0)?,
        account: row.get(1)?,
        epoch: row.get(2)?,
        reason: row.get(3)?,
        denied_at: time::column(row, 4)?,
        contained_at: time::optional_column(row, 5)?,
        sessions_zero_at: time::optional_column(row, 6)?,
        left_out: names(&row.get::<_, String>(7)?),
        withdrawn_at: time::optional_column(row, 8)?,
        deleted_at: time::optional_column(row, 9)?,
    })
}

fn names(joined: &str) -> Vec<String> {
    joined
        .split(SEPARATOR)
        .filter(|name| !name.is_empty())
        .map(Into::into)
        .collect()
}
