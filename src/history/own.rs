//! What people do by the address that they were given: few rows among many, looked for again and again.

use rusqlite::Connection;

use super::{
    audit::{self, AuditRow},
    chain,
};

/// Source of what is done by the address of a subscription, or of a link that leads to it.
pub const OWN_SOURCE: &str = "subscription";

/// Rows of one person, by the key of the corporate ID, with this action, newest first. Reads no others.
pub(super) fn rows(conn: &Connection, key: &str, action: &str, limit: u32) -> rusqlite::Result<Vec<AuditRow>> {
    conn.prepare_cached(&query())?
        .query_map((key, action, limit), audit::row)?
        .collect()
}

/// The source stands in the text, as it stands in the index: SQLite takes no index for what it knows only when it runs.
pub(super) fn query() -> String {
    format!(
        "SELECT {} FROM audit WHERE source = '{OWN_SOURCE}' AND corporate_key = ?1 AND action = ?2 ORDER BY seq DESC LIMIT ?3",
        chain::COLUMNS
    )
}
