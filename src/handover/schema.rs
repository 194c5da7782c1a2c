//! What stands in `handover.db`.

use jiff::{SignedDuration, Timestamp};
use rusqlite::Connection;

use crate::store::{Schema, outbox_table};

/// "VPNO".
const APPLICATION_ID: i64 = 0x5650_4e4f;

/// How long a link is remembered after its end, in days: for as long it says what became of it, and a request that made it makes it
/// no second time.
const REMEMBERED_DAYS: i64 = 45;

/// How long a visit is remembered, in hours: longer than it is good for.
const VISIT_HOURS: i64 = 24;

/// Most rows of a table that one step of pruning removes.
const PRUNE_STEP: u32 = 500;

/// The schema.
pub(super) const SCHEMA: Schema = Schema {
    name: "the handed-over links",
    application_id: APPLICATION_ID,
    steps: &[FIRST],
    prune,
};

// Times are microseconds since 1970 (UTC). `key` is the corporate ID in small letters.
const FIRST: &str = concat!(
    "
CREATE TABLE handovers (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    -- Of the code, and of the request that made it, where it has a name.
    hash BLOB NOT NULL UNIQUE CHECK (length(hash) = 32),
    request BLOB UNIQUE CHECK (request IS NULL OR length(request) = 32),
    key TEXT NOT NULL,
    id TEXT NOT NULL,
    made_by TEXT NOT NULL,
    made_at INTEGER NOT NULL,
    valid_until INTEGER NOT NULL,
    uses INTEGER NOT NULL CHECK (uses > 0),
    used INTEGER NOT NULL DEFAULT 0 CHECK (used BETWEEN 0 AND uses),
    opened_at INTEGER,
    withdrawn_at INTEGER
) STRICT;
CREATE INDEX handovers_by_id ON handovers (key, number);
CREATE INDEX handovers_by_end ON handovers (valid_until);

-- Browsers that have opened a link, by the keyed hash of what its first page gave them: asking again uses nothing up.
CREATE TABLE visits (
    visit BLOB NOT NULL PRIMARY KEY CHECK (length(visit) = 32),
    handover INTEGER NOT NULL,
    at INTEGER NOT NULL,
    -- The row for the audit.
    unaudited INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX visits_by_handover ON visits (handover);
CREATE INDEX visits_by_time ON visits (at);
",
    outbox_table!()
);

fn prune(conn: &Connection, now: Timestamp) -> rusqlite::Result<()> {
    let before = |hours: i64| {
        now.checked_sub(SignedDuration::from_hours(hours))
            .unwrap_or(Timestamp::MIN)
    };
    for (sql, before) in [
        (
            "DELETE FROM visits WHERE visit IN (SELECT visit FROM visits WHERE at < ?1 LIMIT ?2)",
            before(VISIT_HOURS),
        ),
        (
            "DELETE FROM handovers WHERE number IN (SELECT number FROM handovers WHERE valid_until < ?1 LIMIT ?2)",
            before(24 * REMEMBERED_DAYS),
        ),
    ] {
        conn.prepare_cached(sql)?
            .execute((before.as_microsecond(), PRUNE_STEP))?;
    }
    Ok(())
}
