//! Who had access when: one row for each stretch of time in which a person's access stood the same, kept in the transaction
//! that appends the audit rows it is taken from.
//!
//! The audit is the proof; this is how it is asked. Retention of the audit does not touch the stretch that is still under way,
//! so that somebody who was let in before the oldest row that is kept is still known, and why.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, named_params, params};

use super::{
    entry::{IMPORT, Stamped},
    order::Order,
    time,
};

/// Action of a row that says that somebody has access from then on.
pub const GRANTED: &str = "access.granted";
/// Action of a row that says that somebody has none.
pub const DENIED: &str = "access.denied";
/// `after` of whoever is declared no more.
pub const GONE: &str = "Denied: Deleted";

/// Most rows that one pruning step removes.
const PRUNE_STEP: u32 = 2_000;

/// How long after a change the audit row of its order may come: a denial is in force before it is written down.
const BEHIND_MICROSECONDS: i64 = 30_000_000;

pub(super) const TABLES: &str = "
CREATE TABLE people (
    id INTEGER PRIMARY KEY,
    corporate_key TEXT NOT NULL UNIQUE,
    corporate_id TEXT NOT NULL,
    -- The last order that no change of access followed yet.
    order_seq INTEGER,
    order_at INTEGER,
    order_grants INTEGER,
    order_actor TEXT,
    order_source TEXT,
    order_action TEXT
) STRICT;

-- From when until when somebody's access stood so; without an end it still does. Times of one person never go back, whatever
-- the clock did.
CREATE TABLE access_spans (
    person INTEGER NOT NULL REFERENCES people (id),
    from_at INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    until_at INTEGER,
    -- Since when access was granted, or denied, for whatever reasons.
    since INTEGER NOT NULL,
    granted INTEGER NOT NULL,
    state TEXT NOT NULL,
    why TEXT,
    order_seq INTEGER,
    order_at INTEGER,
    order_actor TEXT,
    order_source TEXT,
    order_action TEXT,
    PRIMARY KEY (person, from_at, seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX access_spans_over ON access_spans (until_at) WHERE until_at IS NOT NULL;
CREATE INDEX access_spans_left ON access_spans (from_at) WHERE until_at IS NULL AND state = 'Denied: Deleted';
";

/// The stretch that is under way, by person.
struct Present {
    person: i64,
    from_at: i64,
    seq: i64,
    since: i64,
    granted: bool,
    state: String,
    why: Option<String>,
    ordered: bool,
}

fn present(conn: &Connection, key: &str) -> rusqlite::Result<Option<Present>> {
    conn.prepare_cached(
        "SELECT s.person, s.from_at, s.seq, s.since, s.granted, s.state, s.why, s.order_seq IS NOT NULL \
         FROM people p JOIN access_spans s ON s.person = p.id WHERE p.corporate_key = ?1 \
         ORDER BY s.from_at DESC, s.seq DESC LIMIT 1",
    )?
    .query_row([key], |row| {
        Ok(Present {
            person: row.get(0)?,
            from_at: row.get(1)?,
            seq: row.get(2)?,
            since: row.get(3)?,
            granted: row.get(4)?,
            state: row.get(5)?,
            why: row.get(6)?,
            ordered: row.get(7)?,
        })
    })
    .optional()
}

/// Whether an `access.*` row says something that is not known.
pub(super) fn is_news(conn: &Connection, row: &Stamped) -> rusqlite::Result<bool> {
    let entry = &row.entry;
    let Some(id) = &entry.corporate_id else {
        return Ok(false);
    };
    let present = present(conn, &id.to_ascii_lowercase())?;
    Ok(present.is_none_or(|it| Some(&it.state) != entry.after.as_ref() || it.why != entry.reason))
}

/// Takes from an audit row that was just appended what it says about who has access, or who ordered that.
pub(super) fn follow(conn: &Connection, seq: i64, row: &Stamped) -> rusqlite::Result<()> {
    let entry = &row.entry;
    let Some(id) = &entry.corporate_id else { return Ok(()) };
    match entry.action.as_str() {
        GRANTED => change(conn, seq, id, true, row),
        DENIED => change(conn, seq, id, false, row),
        action => match Order::of(action) {
            Some(order) if entry.source != IMPORT => note_order(conn, seq, id, order.grants(), row),
            _ => Ok(()),
        },
    }
}

/// Whether an order may have brought this about: time, traffic and Git are nobody's order in the audit.
fn may_be_ordered(granted: bool, state: &str) -> bool {
    granted || matches!(state, "Denied: Held" | "Denied: Inactive")
}

/// Says of an `access.*` row by which request or HR event the order was given that it follows, where that is known already: of
/// a denial, which is in force before its order is written down, it is known to the order alone.
pub(super) fn correlated(conn: &Connection, row: &Stamped) -> rusqlite::Result<Option<Stamped>> {
    let entry = &row.entry;
    let granted = entry.action == GRANTED;
    let Some(id) = &entry.corporate_id else { return Ok(None) };
    if !may_be_ordered(granted, entry.after.as_deref().unwrap_or_default()) {
        return Ok(None);
    }
    let known = conn
        .prepare_cached(
            "SELECT a.request_id, a.event FROM people p JOIN audit a ON a.seq = p.order_seq \
             WHERE p.corporate_key = ?1 AND p.order_grants = ?2",
        )?
        .query_row(params![id.to_ascii_lowercase(), granted], |row| {
            Ok((row.get::<_, Option<String>>(0)?, row.get::<_, Option<String>>(1)?))
        })
        .optional()?;
    Ok(known.map(|(request, event)| {
        let mut row = row.clone();
        row.entry.request_id = row.entry.request_id.or(request);
        row.entry.event = row.entry.event.or(event);
        row
    }))
}

fn change(conn: &Connection, seq: i64, id: &str, granted: bool, row: &Stamped) -> rusqlite::Result<()> {
    let key = id.to_ascii_lowercase();
    let before = present(conn, &key)?;
    let state = row
        .entry
        .after
        .clone()
        .unwrap_or_else(|| if granted { "Granted" } else { "Denied" }.to_owned());
    let at = row.at.as_microsecond();
    let at = before.as_ref().map_or(at, |before| at.max(before.from_at));
    if let Some(before) = &before {
        conn.prepare_cached("UPDATE access_spans SET until_at = ?4 WHERE person = ?1 AND from_at = ?2 AND seq = ?3")?
            .execute(params![before.person, before.from_at, before.seq, at])?;
    }
    let person = match &before {
        Some(before) => before.person,
        None => person(conn, &key, id)?,
    };
    let same = before.as_ref().filter(|before| before.granted == granted);
    let ordered = may_be_ordered(granted, &state);
    conn.prepare_cached(
        "INSERT INTO access_spans (person, from_at, seq, since, granted, state, why, order_seq, order_at, order_actor, \
         order_source, order_action) \
         SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, o.order_seq, o.order_at, o.order_actor, o.order_source, o.order_action \
         FROM (SELECT 1) LEFT JOIN people o ON o.id = ?1 AND o.order_grants = ?5 AND ?8",
    )?
    .execute(params![
        person,
        at,
        seq,
        same.map_or(at, |before| before.since),
        granted,
        state,
        row.entry.reason,
        ordered
    ])?;
    conn.prepare_cached(
        "UPDATE people SET order_seq = NULL, order_grants = NULL WHERE id = ?1 AND order_seq IS NOT NULL",
    )?
    .execute([person])?;
    Ok(())
}

fn person(conn: &Connection, key: &str, id: &str) -> rusqlite::Result<i64> {
    let known = conn
        .prepare_cached("SELECT id FROM people WHERE corporate_key = ?1")?
        .query_row([key], |row| row.get(0))
        .optional()?;
    match known {
        Some(known) => Ok(known),
        None => conn
            .prepare_cached("INSERT INTO people (corporate_key, corporate_id) VALUES (?1, ?2)")?
            .insert([key, id]),
    }
}

/// An order stands with the change that follows it, or with the one that it was written down behind.
fn note_order(conn: &Connection, seq: i64, id: &str, grants: bool, row: &Stamped) -> rusqlite::Result<()> {
    let (key, at, entry) = (id.to_ascii_lowercase(), row.at.as_microsecond(), &row.entry);
    let behind = present(conn, &key)?.filter(|it| {
        let fits = may_be_ordered(grants, &it.state);
        let soon = (it.from_at - BEHIND_MICROSECONDS..=it.from_at + BEHIND_MICROSECONDS).contains(&at);
        it.granted == grants && fits && soon && !it.ordered
    });
    if let Some(it) = behind {
        conn.prepare_cached(
            "UPDATE access_spans SET order_seq = ?4, order_at = ?5, order_actor = ?6, order_source = ?7, \
             order_action = ?8 WHERE person = ?1 AND from_at = ?2 AND seq = ?3",
        )?
        .execute(params![
            it.person,
            it.from_at,
            it.seq,
            seq,
            at,
            entry.actor,
            entry.source,
            entry.action
        ])?;
        return Ok(());
    }
    let person = person(conn, &key, id)?;
    conn.prepare_cached(
        "UPDATE people SET order_seq = ?2, order_at = ?3, order_grants = ?4, order_actor = ?5, order_source = ?6, \
         order_action = ?7 WHERE id = ?1",
    )?
    .execute(params![
        person,
        seq,
        at,
        grants,
        entry.actor,
        entry.source,
        entry.action
    ])?;
    Ok(())
}

/// How the access of everybody who is not known to be gone stands, as last written: ID, state and why, by key.
pub(super) fn known(conn: &Connection) -> rusqlite::Result<Vec<KnownAccess>> {
    conn.prepare(
        "SELECT p.corporate_id, s.state, s.why FROM people p JOIN access_spans s ON s.person = p.id \
         WHERE s.until_at IS NULL AND s.state <> 'Denied: Deleted'",
    )?
    .query_map([], |row| {
        Ok(KnownAccess {
            corporate_id: row.get(0)?,
            state: row.get(1)?,
            why: row.get(2)?,
        })
    })?
    .collect()
}

/// How somebody's access stood when it was last written down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownAccess {
    /// Whose it is.
    pub corporate_id: String,
    /// `after` of the row.
    pub state: String,
    /// Its reason.
    pub why: Option<String>,
}

/// Notes that from now on every change is written down; what was noted before stays.
pub(super) fn complete_from(conn: &Connection, now: Timestamp) -> rusqlite::Result<()> {
    conn.execute(
        "INSERT OR IGNORE INTO meta (key, value) VALUES ('access_complete_from', ?1)",
        [now.as_microsecond().to_string()],
    )?;
    Ok(())
}

/// From when on it is known who had access; `None` before the first load.
pub(super) fn known_from(conn: &Connection) -> rusqlite::Result<Option<Timestamp>> {
    let noted: Option<String> = conn
        .prepare_cached("SELECT value FROM meta WHERE key = 'access_complete_from'")?
        .query_row([], |row| row.get(0))
        .optional()?;
    let noted = noted
        .and_then(|text| text.parse().ok())
        .and_then(|at| Timestamp::from_microsecond(at).ok());
    // What ended before the oldest stretch that is kept is gone.
    let pruned: Option<i64> = conn
        .prepare_cached("SELECT value FROM meta WHERE key = 'access_pruned_until'")?
        .query_row([], |row| row.get::<_, String>(0))
        .optional()?
        .and_then(|text| text.parse().ok());
    let pruned = pruned.and_then(|at| Timestamp::from_microsecond(at).ok());
    Ok(noted.max(pruned.filter(|_| noted.is_some())))
}

/// Removes what ended before the time that is kept, a bounded number a call.
pub(super) fn prune(conn: &Connection, now: Timestamp) -> rusqlite::Result<()> {
    let cutoff = time::days_before(now, time::RETENTION_DAYS).as_microsecond();
    let over = conn
        .prepare_cached(
            "DELETE FROM access_spans WHERE (person, from_at, seq) IN (SELECT person, from_at, seq FROM access_spans \
             WHERE until_at < :cutoff AND until_at IS NOT NULL ORDER BY until_at LIMIT :step)",
        )?
        .execute(named_params! { ":cutoff": cutoff, ":step": PRUNE_STEP })?;
    let left: Vec<i64> = conn
        .prepare_cached(
            "SELECT person FROM access_spans WHERE from_at < :cutoff AND until_at IS NULL AND state = 'Denied: Deleted' \
             LIMIT :step",
        )?
        .query_map(named_params! { ":cutoff": cutoff, ":step": PRUNE_STEP }, |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    for person in &left {
        conn.prepare_cached("DELETE FROM access_spans WHERE person = ?1")?
            .execute([person])?;
        conn.prepare_cached("DELETE FROM people WHERE id = ?1")?
            .execute([person])?;
    }
    if over > 0 || !left.is_empty() {
        conn.execute(
            "INSERT INTO meta (key, value) VALUES ('access_pruned_until', ?1) \
             ON CONFLICT (key) DO UPDATE SET value = excluded.value",
            [cutoff.to_string()],
        )?;
    }
    Ok(())
}
