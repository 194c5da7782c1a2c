//! The audit: who did what to whom, append-only.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, ToSql, named_params, params, params_from_iter};
use serde::{Deserialize, Serialize};

use super::{
    access,
    chain::{self, Sealed},
    entry::{AuditEntry, Stamped},
    time,
};

/// How long audit rows are kept, in days.
pub const RETENTION_DAYS: i64 = 400;
/// Most rows that one pruning step looks at.
const PRUNE_STEP: u32 = 2_000;

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

/// Appends rows to the chain. Its head is read here, inside the writer's transaction.
pub(super) fn append<'a>(conn: &Connection, entries: impl IntoIterator<Item = &'a Stamped>) -> rusqlite::Result<()> {
    let mut head = chain::head(conn)?;
    let mut insert = conn.prepare_cached(
        "INSERT INTO audit (seq, at, actor, source, action, corporate_id, corporate_key, state_before, state_after, \
         reason, request_id, hash) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
    )?;
    for stamped in entries {
        let Stamped { at, entry } = stamped;
        let key = entry.corporate_id.as_deref().map(str::to_ascii_lowercase);
        let texts = [
            Some(entry.actor.as_str()),
            Some(entry.source.as_str()),
            Some(entry.action.as_str()),
            entry.corporate_id.as_deref(),
            key.as_deref(),
            entry.before.as_deref(),
            entry.after.as_deref(),
            entry.reason.as_deref(),
            entry.request_id.as_deref(),
        ];
        let (seq, at) = (head.seq + 1, at.as_microsecond());
        let hash = Sealed { seq, at, texts }.seal(&head.hash);
        let mut values: Vec<&dyn ToSql> = vec![&seq, &at];
        values.extend(texts.iter().map(|text| text as &dyn ToSql));
        values.push(&hash);
        insert.execute(values.as_slice())?;
        head = chain::Head { seq, hash };
        access::follow(conn, seq, stamped)?;
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

fn row(row: &Row<'_>) -> rusqlite::Result<AuditRow> {
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
        },
    })
}

/// Removes the oldest rows that are past retention, a bounded number a call, and moves the checkpoint to the last of them.
pub(super) fn prune(conn: &Connection, now: Timestamp) -> rusqlite::Result<()> {
    let through: Option<i64> = conn
        .prepare_cached(
            "WITH oldest AS (SELECT seq, at FROM audit ORDER BY seq LIMIT :step) \
             SELECT max(seq) FROM oldest WHERE seq < coalesce((SELECT min(seq) FROM oldest WHERE at >= :cutoff), seq + 1)",
        )?
        .query_row(
            named_params! { ":step": PRUNE_STEP, ":cutoff": time::days_before(now, RETENTION_DAYS).as_microsecond() },
            |row| row.get(0),
        )
        .optional()?
        .flatten();
    let Some(through) = through else { return Ok(()) };
    conn.prepare_cached(
        "UPDATE audit_checkpoint SET (through, hash, at) = (SELECT seq, hash, ?2 FROM audit WHERE seq = ?1)",
    )?
    .execute(params![through, now.as_microsecond()])?;
    conn.prepare_cached("DELETE FROM audit WHERE seq <= ?1")?
        .execute([through])?;
    Ok(())
}
