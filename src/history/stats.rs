//! What there is to say about the size of the database.

use rusqlite::Connection;
use serde::Serialize;

use super::chain;
use crate::store::Sizes;

/// Sizes, for `doctor` and metrics.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Stats {
    /// Bytes of the database file.
    pub file_bytes: u64,
    /// Bytes of its write-ahead log.
    pub wal_bytes: u64,
    /// Audit rows.
    pub audit_rows: u64,
    /// Number of the last audit row.
    pub audit_head: i64,
    /// Hash of the last audit row. Noted elsewhere, it proves later that no row up to it was changed or cut off.
    pub audit_head_hash: String,
    /// Revocations.
    pub revocation_rows: u64,
    /// Accounts that ever moved a byte.
    pub account_rows: u64,
    /// Hours of traffic.
    pub traffic_hour_rows: u64,
    /// Days of traffic.
    pub traffic_day_rows: u64,
    /// Counters of nodes.
    pub counter_rows: u64,
    /// Audit entries that wait for the database to be writable.
    pub spooled_entries: u64,
}

/// Counts everything. Walks through every table once.
pub(super) fn stats(conn: &Connection, sizes: Sizes, spooled: usize) -> rusqlite::Result<Stats> {
    let count = |table: &str| {
        conn.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get::<_, i64>(0))
            .map(|count| u64::try_from(count).unwrap_or(0))
    };
    let head = chain::head(conn)?;
    Ok(Stats {
        file_bytes: sizes.file,
        wal_bytes: sizes.log,
        audit_rows: count("audit")?,
        audit_head: head.seq,
        audit_head_hash: chain::hex(&head.hash),
        revocation_rows: count("revocations")?,
        account_rows: count("accounts")?,
        traffic_hour_rows: count("traffic_hour")?,
        traffic_day_rows: count("traffic_day")?,
        counter_rows: count("counters")?,
        spooled_entries: u64::try_from(spooled).unwrap_or(u64::MAX),
    })
}
