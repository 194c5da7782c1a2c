//! What stands in `linking.db`.

use jiff::{SignedDuration, Timestamp};
use rusqlite::Connection;

use crate::store::{Schema, outbox_table};

/// "VPNT".
const APPLICATION_ID: i64 = 0x5650_4e54;

/// How long a notice is remembered after it was told, or became too late, in days: longer than anything could make it again.
const REMEMBERED_DAYS: i64 = 45;

/// Most rows of a table that one step of pruning removes.
const PRUNE_STEP: u32 = 500;

/// The schema.
pub(super) const SCHEMA: Schema = Schema {
    name: "the links to Telegram accounts",
    application_id: APPLICATION_ID,
    steps: &[FIRST, SECOND],
    prune,
};

// Times are microseconds since 1970 (UTC). `key` is the corporate ID in small letters.
const FIRST: &str = concat!(
    "
CREATE TABLE links (
    account INTEGER PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,
    id TEXT NOT NULL,
    chat INTEGER NOT NULL,
    language TEXT,
    linked_at INTEGER NOT NULL,
    -- Of what the person was told, or saw, last: access (null before anybody looked), whether there ever was any, how much traffic
    -- was used, and which end was near.
    granted INTEGER,
    was_granted INTEGER NOT NULL DEFAULT 0,
    quota TEXT,
    expiring TEXT
) STRICT;

-- Who asked for a code last, in which chat.
CREATE TABLE requests (
    account INTEGER PRIMARY KEY,
    key TEXT NOT NULL,
    id TEXT NOT NULL,
    chat INTEGER NOT NULL,
    language TEXT NOT NULL,
    at INTEGER NOT NULL
) STRICT;
CREATE INDEX requests_by_id ON requests (key, at);
CREATE INDEX requests_by_time ON requests (at);

-- Codes that are good, by their keyed hash. One that was given out by a person has no account, and no chat before one asked.
CREATE TABLE codes (
    number INTEGER PRIMARY KEY,
    key TEXT NOT NULL,
    account INTEGER UNIQUE,
    chat INTEGER,
    hash BLOB NOT NULL CHECK (length(hash) = 32),
    issued_at INTEGER NOT NULL,
    valid_until INTEGER NOT NULL
) STRICT;
CREATE INDEX codes_by_id ON codes (key);
CREATE INDEX codes_by_end ON codes (valid_until);

-- Counts by `id:KEY` and `account:NUMBER`.
CREATE TABLE counts (
    subject TEXT NOT NULL PRIMARY KEY,
    failures INTEGER NOT NULL,
    failed_at INTEGER,
    locked_until INTEGER,
    requests INTEGER NOT NULL,
    requests_since INTEGER,
    over_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX counts_by_end ON counts (over_at);

CREATE TABLE notices (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    -- What it is about, so that it is made once.
    name TEXT NOT NULL UNIQUE,
    account INTEGER,
    chat INTEGER,
    language TEXT,
    kind TEXT NOT NULL,
    what TEXT NOT NULL,
    at INTEGER NOT NULL,
    due_at INTEGER NOT NULL,
    until INTEGER NOT NULL,
    handed_out INTEGER NOT NULL DEFAULT 0,
    outcome TEXT
) STRICT;
CREATE INDEX notices_open ON notices (due_at) WHERE outcome IS NULL;
CREATE INDEX notices_by_account ON notices (account);
CREATE INDEX notices_by_end ON notices (until);
",
    // In files of the first versions it may give a number again that nobody speaks of any more.
    outbox_table!(),
    "
-- Links of the former service that were taken over, or could not be, by their digest: so that none comes back that is gone.
CREATE TABLE taken_over (
    digest BLOB NOT NULL PRIMARY KEY CHECK (length(digest) = 32)
) STRICT, WITHOUT ROWID;

-- When this file was last looked after.
CREATE TABLE alive (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    at INTEGER NOT NULL
) STRICT;
"
);

const SECOND: &str = "
-- Requests for a code to give out, by their keyed hash: asked again, they get the same code, also when it was used.
CREATE TABLE given_out (
    request BLOB NOT NULL PRIMARY KEY CHECK (length(request) = 32),
    key TEXT NOT NULL,
    valid_until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX given_out_by_id ON given_out (key);
CREATE INDEX given_out_by_end ON given_out (valid_until);
";

fn prune(conn: &Connection, now: Timestamp) -> rusqlite::Result<()> {
    let remembered = now
        .checked_sub(SignedDuration::from_hours(24 * REMEMBERED_DAYS))
        .unwrap_or(Timestamp::MIN);
    let day = now
        .checked_sub(SignedDuration::from_hours(24))
        .unwrap_or(Timestamp::MIN);
    for (sql, before) in [
        (
            "DELETE FROM counts WHERE subject IN (SELECT subject FROM counts WHERE over_at < ?1 LIMIT ?2)",
            now,
        ),
        (
            "DELETE FROM codes WHERE number IN (SELECT number FROM codes WHERE valid_until < ?1 LIMIT ?2)",
            now,
        ),
        (
            "DELETE FROM requests WHERE account IN (SELECT account FROM requests WHERE at < ?1 LIMIT ?2)",
            day,
        ),
        (
            "DELETE FROM given_out WHERE request IN (SELECT request FROM given_out WHERE valid_until < ?1 LIMIT ?2)",
            remembered,
        ),
        (
            "DELETE FROM notices WHERE id IN (SELECT id FROM notices WHERE until < ?1 LIMIT ?2)",
            remembered,
        ),
    ] {
        conn.prepare_cached(sql)?
            .execute((before.as_microsecond(), PRUNE_STEP))?;
    }
    Ok(())
}
