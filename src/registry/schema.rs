//! What stands in `registry.db`.

use crate::store::Schema;

/// "VPNR".
const APPLICATION_ID: i64 = 0x5650_4e52;

/// The schema. Nothing of it is ever pruned: an ID that was issued is not issued again, also in twenty years.
pub(super) const SCHEMA: Schema = Schema {
    name: "the registry of corporate IDs",
    application_id: APPLICATION_ID,
    steps: &[FIRST],
    prune: |_, _| Ok(()),
};

// Times are milliseconds since 1970 (UTC). Personal data stands in `ids.owner`, `email`, `department` and `folded` (what a search
// looks in), and nowhere else.
const FIRST: &str = "
CREATE TABLE ids (
    key TEXT NOT NULL PRIMARY KEY,
    id TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('issued', 'active', 'revoked', 'archived')),
    owner TEXT,
    email TEXT,
    department TEXT,
    folded TEXT NOT NULL,
    issued_at INTEGER,
    updated_at INTEGER NOT NULL,
    request_key TEXT UNIQUE
) STRICT, WITHOUT ROWID;
CREATE TRIGGER ids_stay BEFORE DELETE ON ids
BEGIN SELECT RAISE(ABORT, 'an ID that was issued stays in the registry'); END;
CREATE TRIGGER ids_keep_their_name BEFORE UPDATE OF key ON ids
BEGIN SELECT RAISE(ABORT, 'an ID that was issued stays in the registry'); END;
CREATE TRIGGER ids_stay_archived BEFORE UPDATE OF status ON ids WHEN OLD.status = 'archived' AND NEW.status <> 'archived'
BEGIN SELECT RAISE(ABORT, 'an archived ID stays archived'); END;

CREATE TABLE changes (
    number INTEGER PRIMARY KEY,
    key TEXT NOT NULL,
    at INTEGER NOT NULL,
    action TEXT NOT NULL,
    actor TEXT NOT NULL,
    source TEXT NOT NULL,
    status_before TEXT,
    status_after TEXT,
    reason TEXT,
    request_id TEXT,
    -- Whether the former service made the change.
    former INTEGER NOT NULL
) STRICT;
CREATE INDEX changes_by_id ON changes (key, number);

CREATE TABLE telegram (
    telegram_id INTEGER PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,
    id TEXT NOT NULL,
    linked_at INTEGER
) STRICT;

-- Lines of the former service's registry that were taken over, by their digest.
CREATE TABLE taken_over (
    digest BLOB NOT NULL PRIMARY KEY CHECK (length(digest) = 32)
) STRICT, WITHOUT ROWID;
";
