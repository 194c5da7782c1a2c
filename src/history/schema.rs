//! The schema, one step a version.

use super::{access, traffic};
use crate::store::Schema;

/// What stands in the file. It is marked with "VPNO".
pub(super) const SCHEMA: Schema = Schema {
    name: "history",
    application_id: 0x5650_4e4f,
    steps: &[FIRST, LEFT_OUT, DELETED, IMPORTED, ACCESS, SEALED, FORGETTING, OWN],
    // The audit, and what goes with it, is pruned by whoever can seal where it begins.
    prune: traffic::prune,
};

// Times are microseconds since 1970 (UTC), except `hour` and `day`, which count hours and days since then.
// Totals are clamped at 2^63-1. The counters of nodes use all 64 bits and are stored as their two's complement.
const FIRST: &str = "
CREATE TABLE meta (
    key TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE audit (
    seq INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    actor TEXT NOT NULL,
    source TEXT NOT NULL,
    action TEXT NOT NULL,
    corporate_id TEXT,
    corporate_key TEXT,
    state_before TEXT,
    state_after TEXT,
    reason TEXT,
    request_id TEXT,
    hash BLOB NOT NULL CHECK (length(hash) = 32)
) STRICT;
CREATE INDEX audit_by_person ON audit (corporate_key, seq) WHERE corporate_key IS NOT NULL;

-- The last row that retention removed, and its hash: where the chain begins.
CREATE TABLE audit_checkpoint (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    through INTEGER NOT NULL,
    hash BLOB NOT NULL CHECK (length(hash) = 32),
    at INTEGER NOT NULL
) STRICT;
INSERT INTO audit_checkpoint VALUES (1, 0, zeroblob(32), 0);

CREATE TRIGGER audit_append_only BEFORE INSERT ON audit
WHEN NEW.seq <> coalesce((SELECT max(seq) FROM audit), (SELECT through FROM audit_checkpoint)) + 1
BEGIN SELECT RAISE(ABORT, 'audit rows are numbered without gaps'); END;
CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit
BEGIN SELECT RAISE(ABORT, 'audit rows are never changed'); END;
CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit
WHEN OLD.seq > (SELECT through FROM audit_checkpoint)
BEGIN SELECT RAISE(ABORT, 'audit rows are removed by retention alone'); END;
CREATE TRIGGER audit_checkpoint_one BEFORE INSERT ON audit_checkpoint
BEGIN SELECT RAISE(ABORT, 'there is one audit checkpoint'); END;
CREATE TRIGGER audit_checkpoint_stays BEFORE DELETE ON audit_checkpoint
BEGIN SELECT RAISE(ABORT, 'the audit checkpoint stays'); END;
CREATE TRIGGER audit_checkpoint_rises BEFORE UPDATE ON audit_checkpoint
WHEN NEW.through <= OLD.through
BEGIN SELECT RAISE(ABORT, 'the audit checkpoint only rises'); END;

CREATE TABLE revocations (
    account TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    corporate_id TEXT NOT NULL,
    corporate_key TEXT NOT NULL,
    reason TEXT NOT NULL,
    denied_at INTEGER NOT NULL,
    contained_at INTEGER,
    sessions_zero_at INTEGER,
    PRIMARY KEY (account, epoch)
) STRICT, WITHOUT ROWID;
CREATE INDEX revocations_by_person ON revocations (corporate_key, denied_at);
CREATE INDEX revocations_by_time ON revocations (denied_at);

CREATE TABLE accounts (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    upload INTEGER NOT NULL,
    download INTEGER NOT NULL,
    month INTEGER NOT NULL,
    month_start INTEGER
) STRICT;

-- Time first: what is written now lies together, and so does what retention removes.
CREATE TABLE traffic_hour (
    hour INTEGER NOT NULL,
    account INTEGER NOT NULL REFERENCES accounts (id),
    upload INTEGER NOT NULL,
    download INTEGER NOT NULL,
    PRIMARY KEY (hour, account)
) STRICT, WITHOUT ROWID;
CREATE TABLE traffic_day (
    day INTEGER NOT NULL,
    account INTEGER NOT NULL REFERENCES accounts (id),
    upload INTEGER NOT NULL,
    download INTEGER NOT NULL,
    PRIMARY KEY (day, account)
) STRICT, WITHOUT ROWID;

CREATE TABLE nodes (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
) STRICT;
CREATE TABLE counters (
    node INTEGER NOT NULL REFERENCES nodes (id),
    id TEXT NOT NULL,
    tx INTEGER NOT NULL,
    rx INTEGER NOT NULL,
    PRIMARY KEY (node, id)
) STRICT, WITHOUT ROWID;
";

// Names of nodes with spaces between them; and when `contained_at` was last taken back.
const LEFT_OUT: &str = "
ALTER TABLE revocations ADD COLUMN left_out TEXT NOT NULL DEFAULT '';
ALTER TABLE revocations ADD COLUMN withdrawn_at INTEGER;
";

// When the object of the person was deleted; and those of whom it is not known when the last session was gone.
const DELETED: &str = "
ALTER TABLE revocations ADD COLUMN deleted_at INTEGER;
CREATE INDEX revocations_unseen ON revocations (deleted_at) WHERE deleted_at IS NOT NULL AND sessions_zero_at IS NULL;
";

// What was taken over from another system, by the digest of what it is: once, however often it is offered.
const IMPORTED: &str = "
CREATE TABLE imported (
    digest BLOB NOT NULL PRIMARY KEY CHECK (length(digest) = 32)
) STRICT, WITHOUT ROWID;
";

// Who had access when. It begins with the next load of the operator: of what was before, only the audit tells.
const ACCESS: &str = access::TABLES;
// Rows are sealed with a key from here on, and say from where and by which HR event; earlier ones keep their form. A revocation
// names the audit row that has its present state.
const SEALED: &str = "
ALTER TABLE audit ADD COLUMN address TEXT;
ALTER TABLE audit ADD COLUMN event TEXT;
ALTER TABLE audit ADD COLUMN salt BLOB;
ALTER TABLE audit ADD COLUMN key_id TEXT;
ALTER TABLE audit ADD COLUMN seal BLOB;
CREATE TRIGGER audit_sealed BEFORE INSERT ON audit
WHEN NEW.seal IS NULL OR NEW.key_id IS NULL OR NEW.salt IS NULL
BEGIN SELECT RAISE(ABORT, 'audit rows are sealed'); END;
-- What the audit says of itself: few rows among many.
CREATE INDEX audit_of_itself ON audit (seq)
WHERE action IN ('audit.broken', 'audit.acknowledged', 'audit.published');

ALTER TABLE audit_checkpoint ADD COLUMN key_id TEXT;
ALTER TABLE audit_checkpoint ADD COLUMN seal BLOB;
DROP TRIGGER audit_checkpoint_rises;
CREATE TRIGGER audit_checkpoint_rises BEFORE UPDATE ON audit_checkpoint
WHEN NEW.through < OLD.through OR (NEW.through = OLD.through AND (NEW.hash <> OLD.hash OR NEW.seal IS NULL))
BEGIN SELECT RAISE(ABORT, 'the audit checkpoint only rises'); END;

ALTER TABLE revocations ADD COLUMN sealed_by INTEGER;
CREATE INDEX revocations_by_seal ON revocations (sealed_by);
DROP INDEX revocations_by_time;
";

// What may be personal can be taken out of a row; nothing can be put in its place. And orders to forget somebody that are not
// carried out everywhere yet.
const FORGETTING: &str = "
DROP TRIGGER audit_no_update;
CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit
WHEN NEW.seq IS NOT OLD.seq OR NEW.at IS NOT OLD.at OR NEW.source IS NOT OLD.source OR NEW.action IS NOT OLD.action
OR NEW.corporate_id IS NOT OLD.corporate_id OR NEW.corporate_key IS NOT OLD.corporate_key OR NEW.event IS NOT OLD.event
OR NEW.key_id IS NOT OLD.key_id OR NEW.hash IS NOT OLD.hash OR NEW.seal IS NOT OLD.seal
OR NEW.actor NOT IN (OLD.actor, '') OR NEW.salt IS NOT NULL OR NEW.reason IS NOT NULL OR NEW.address IS NOT NULL
OR NEW.request_id IS NOT NULL OR (NEW.state_before IS NOT NULL AND NEW.state_before IS NOT OLD.state_before)
OR (NEW.state_after IS NOT NULL AND NEW.state_after IS NOT OLD.state_after)
BEGIN SELECT RAISE(ABORT, 'audit rows are never changed'); END;
CREATE INDEX audit_forgotten ON audit (seq) WHERE action = 'audit.forgotten';
CREATE TABLE forgetting (
    corporate_key TEXT NOT NULL PRIMARY KEY,
    at INTEGER NOT NULL,
    entry TEXT NOT NULL
) STRICT, WITHOUT ROWID;
";

// What people did by their own address.
const OWN: &str = "
CREATE INDEX audit_own ON audit (corporate_key, action, seq) WHERE source = 'subscription';
";
