//! What stands in the file of the inbox.

use jiff::{SignedDuration, Timestamp};
use rusqlite::Connection;

use crate::store::Schema;

/// How long the body of an event is kept, in days. What tells a copy of it, and what became of it, is kept for ever.
pub const RETENTION_DAYS: i64 = 400;

/// Most rows that one step of pruning looks at.
const PRUNE_STEP: u32 = 200;

const STEPS: &[&str] = &["
CREATE TABLE events (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    received_at INTEGER NOT NULL,
    scheme TEXT NOT NULL,
    webhook_id TEXT,
    digest BLOB NOT NULL,
    body BLOB,
    text TEXT,
    event_type TEXT,
    corporate_id TEXT,
    corporate_key TEXT,
    said_at INTEGER,
    ordered_at INTEGER,
    request_id TEXT,
    state TEXT NOT NULL,
    reason TEXT,
    hold TEXT,
    attempts INTEGER NOT NULL DEFAULT 0,
    due_at INTEGER,
    scheduled INTEGER NOT NULL DEFAULT 0,
    changed_at INTEGER NOT NULL
) STRICT;
CREATE INDEX events_by_digest ON events (digest);
CREATE INDEX events_by_webhook_id ON events (webhook_id) WHERE webhook_id IS NOT NULL;
CREATE INDEX events_by_person ON events (corporate_key, id);
CREATE INDEX events_open ON events (state, due_at) WHERE state IN ('pending', 'held_back', 'failed');
CREATE INDEX events_with_body ON events (received_at) WHERE body IS NOT NULL;
CREATE TABLE activations (corporate_key TEXT PRIMARY KEY, at INTEGER NOT NULL) STRICT, WITHOUT ROWID;
"];

/// The schema of the inbox.
#[must_use]
pub fn schema() -> Schema {
    Schema {
        name: "the inbox of HR events",
        application_id: 0x5650_4e49,
        steps: STEPS,
        prune,
    }
}

fn prune(conn: &Connection, now: Timestamp) -> rusqlite::Result<()> {
    let age = SignedDuration::from_hours(24 * RETENTION_DAYS);
    let cutoff = now.checked_sub(age).unwrap_or(Timestamp::MIN).as_microsecond();
    conn.prepare_cached(
        "UPDATE events SET body = NULL, text = NULL, reason = NULL WHERE id IN \
         (SELECT id FROM events WHERE body IS NOT NULL AND received_at < ?1 AND state IN ('processed', 'discarded') LIMIT ?2)",
    )?
    .execute((cutoff, PRUNE_STEP))
    .map(drop)
}
