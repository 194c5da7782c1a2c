//! Reading the audit from its beginning on, in bites.

use jiff::Timestamp;
use rusqlite::{Connection, ToSql, params_from_iter};

use super::{
    History, HistoryError,
    audit::{self, AuditFilter, AuditRow},
    chain,
};

/// A part of the audit, oldest rows first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bite {
    /// The rows that fit.
    pub rows: Vec<AuditRow>,
    /// Up to which number was looked: from there the next question goes on, also when nothing fitted.
    pub through: i64,
    /// Number of the first row that is still there: those before it are past retention.
    pub first: i64,
    /// Number of the last row.
    pub last: i64,
}

fn after(conn: &Connection, filter: &AuditFilter, seq: i64, limit: u32) -> rusqlite::Result<Bite> {
    let snapshot = conn.unchecked_transaction()?;
    let conn = &*snapshot;
    let (first, last) = (chain::checkpoint(conn)?.head.seq + 1, chain::head(conn)?.seq);
    let key = filter.corporate_id.as_deref().map(str::to_ascii_lowercase);
    let (since, until) = (
        filter.since.map(Timestamp::as_microsecond),
        filter.until.map(Timestamp::as_microsecond),
    );
    let conditions: [(&str, Option<&dyn ToSql>); 5] = [
        ("corporate_key = ?", key.as_ref().map(|v| v as _)),
        ("actor = ?", filter.actor.as_ref().map(|v| v as _)),
        ("action = ?", filter.action.as_ref().map(|v| v as _)),
        ("at >= ?", since.as_ref().map(|v| v as _)),
        ("at < ?", until.as_ref().map(|v| v as _)),
    ];
    let mut sql = format!("SELECT {} FROM audit WHERE seq > ? AND seq <= ?", chain::COLUMNS);
    let mut values: Vec<&dyn ToSql> = vec![&seq, &last];
    for (condition, value) in conditions {
        if let Some(value) = value {
            sql.push_str(" AND ");
            sql.push_str(condition);
            values.push(value);
        }
    }
    sql.push_str(" ORDER BY seq LIMIT ?");
    values.push(&limit);
    let mut statement = conn.prepare_cached(&sql)?;
    let rows: Vec<AuditRow> = statement
        .query_map(params_from_iter(values), audit::row)?
        .collect::<rusqlite::Result<_>>()?;
    let full = rows.len() >= usize::try_from(limit).unwrap_or(usize::MAX);
    let through = rows.last().filter(|_| full).map_or(last, |row| row.seq);
    Ok(Bite {
        rows,
        through: through.max(seq),
        first,
        last,
    })
}

impl History {
    /// Audit rows behind a number that fit a filter, oldest first, at most `limit`.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn audit_after(&self, filter: AuditFilter, seq: i64, limit: u32) -> Result<Bite, HistoryError> {
        self.store.read(move |conn| after(conn, &filter, seq, limit)).await
    }
}
