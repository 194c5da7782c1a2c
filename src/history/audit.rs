//! The audit: who did what to whom, append-only.

use jiff::Timestamp;
use rusqlite::{Connection, Row, ToSql, params_from_iter};
use serde::{Deserialize, Serialize};

use super::{
    access,
    appender::Appender,
    chain, changeover,
    entry::{AuditEntry, Stamped},
    retention,
    revocations::{self, RevocationRow},
    sealer::Sealer,
    time,
};

/// An audit row as stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditRow {
    /// Number of the row, rising without gaps.
    pub seq: i64,
    /// When, UTC, to the microsecond.
    pub at: Timestamp,
    /// The entry.
    #[serde(flatten)]
    pub entry: AuditEntry,
}

/// Which rows to read. Newest first.
#[derive(Debug, Clone, Default)]
pub struct Page {
    /// At most so many rows.
    pub limit: u32,
    /// Only rows with a lower number.
    pub before: Option<i64>,
}

/// Which audit rows to look for; what is absent does not matter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// Whom it concerns, in any case.
    pub corporate_id: Option<String>,
    /// Exactly this actor.
    pub actor: Option<String>,
    /// Exactly this action.
    pub action: Option<String>,
    /// From this moment on.
    pub since: Option<Timestamp>,
    /// Before this moment.
    pub until: Option<Timestamp>,
}

/// Appends rows to the chain, and now and then removes what is past retention. The end of the chain is read here, inside the
/// writer's transaction.
pub(super) fn append<'a>(
    conn: &Connection,
    sealer: &Sealer,
    entries: impl IntoIterator<Item = &'a Stamped>,
) -> rusqlite::Result<()> {
    let mut appender = changeover::begin(conn, sealer)?;
    for stamped in entries {
        let seq = appender.push(stamped)?;
        access::follow(conn, seq, stamped)?;
    }
    prune(&appender, sealer)
}

/// Inserts or completes a revocation, with a row of the audit that has its new state.
pub(super) fn record(conn: &Connection, sealer: &Sealer, row: &RevocationRow) -> rusqlite::Result<()> {
    let mut appender = changeover::begin(conn, sealer)?;
    revocations::record(&mut appender, row, sealer.now())?;
    prune(&appender, sealer)
}

fn prune(appender: &Appender<'_>, sealer: &Sealer) -> rusqlite::Result<()> {
    if sealer.prune_is_due() {
        retention::prune(appender, sealer.now())?;
        access::prune(appender.conn, sealer.now())?;
    }
    Ok(())
}

/// Rows that fit the filter, newest first.
pub(super) fn search(conn: &Connection, filter: &AuditFilter, page: &Page) -> rusqlite::Result<Vec<AuditRow>> {
    let key = filter.corporate_id.as_deref().map(str::to_ascii_lowercase);
    let (since, until) = (
        filter.since.map(Timestamp::as_microsecond),
        filter.until.map(Timestamp::as_microsecond),
    );
    // Conditions that are not asked for are left out, so that the planner can use the index on persons.
    let conditions: [(&str, Option<&dyn ToSql>); 6] = [
        ("corporate_key = ?", key.as_ref().map(|v| v as _)),
        ("actor = ?", filter.actor.as_ref().map(|v| v as _)),
        ("action = ?", filter.action.as_ref().map(|v| v as _)),
        ("at >= ?", since.as_ref().map(|v| v as _)),
        ("at < ?", until.as_ref().map(|v| v as _)),
        ("seq < ?", page.before.as_ref().map(|v| v as _)),
    ];
    let mut sql = format!("SELECT {} FROM audit WHERE 1", chain::COLUMNS);
    let mut values: Vec<&dyn ToSql> = Vec::with_capacity(conditions.len() + 1);
    for (condition, value) in conditions {
        if let Some(value) = value {
            sql.push_str(" AND ");
            sql.push_str(condition);
            values.push(value);
        }
    }
    sql.push_str(" ORDER BY seq DESC LIMIT ?");
    values.push(&page.limit);
    conn.prepare_cached(&sql)?
        .query_map(params_from_iter(values), row)?
        .collect()
}

/// Reads the columns of [`chain::COLUMNS`].
pub(super) fn row(row: &Row<'_>) -> rusqlite::Result<AuditRow> {
    Ok(AuditRow {
        seq: row.get(0)?,
        at: time::column(row, 1)?,
        entry: AuditEntry {
            actor: row.get(2)?,
            source: row.get(3)?,
            action: row.get(4)?,
            corporate_id: row.get(5)?,
            before: row.get(7)?,
            after: row.get(8)?,
            reason: row.get(9)?,
            request_id: row.get(10)?,
            address: row.get(11)?,
            event: row.get(12)?,
        },
    })
}
