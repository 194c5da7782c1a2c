//! Rows of links and visits.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Row, params, types::Type};

use super::link::Handover;
use crate::model::corporate_id::CorporateId;

/// Most links of one person in a list.
const LISTED: u32 = 100;

const COLUMNS: &str = "number, id, made_by, made_at, valid_until, uses, used, opened_at, withdrawn_at";

fn handover(row: &Row<'_>) -> rusqlite::Result<Handover> {
    let id: String = row.get(1)?;
    let unreadable = |error| rusqlite::Error::FromSqlConversionFailure(1, Type::Text, Box::new(error));
    Ok(Handover {
        number: row.get(0)?,
        id: CorporateId::parse(&id).map_err(unreadable)?,
        made_by: row.get(2)?,
        made_at: moment(3, row.get(3)?)?,
        valid_until: moment(4, row.get(4)?)?,
        uses: row.get(5)?,
        used: row.get(6)?,
        opened_at: row.get::<_, Option<i64>>(7)?.map(|at| moment(7, at)).transpose()?,
        withdrawn_at: row.get::<_, Option<i64>>(8)?.map(|at| moment(8, at)).transpose()?,
    })
}

fn moment(column: usize, micros: i64) -> rusqlite::Result<Timestamp> {
    Timestamp::from_microsecond(micros)
        .map_err(|error| rusqlite::Error::FromSqlConversionFailure(column, Type::Integer, Box::new(error)))
}

/// Adds a link. Its number is that of the row.
pub(super) fn add(
    conn: &Connection,
    hash: &[u8; 32],
    request: Option<&[u8; 32]>,
    new: &Handover,
) -> rusqlite::Result<Handover> {
    conn.prepare_cached(
        "INSERT INTO handovers (hash, request, key, id, made_by, made_at, valid_until, uses) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?
    .execute(params![
        hash,
        request,
        new.id.key(),
        new.id.as_str(),
        new.made_by,
        new.made_at.as_microsecond(),
        new.valid_until.as_microsecond(),
        new.uses,
    ])?;
    Ok(Handover {
        number: conn.last_insert_rowid(),
        ..new.clone()
    })
}

pub(super) fn remove(conn: &Connection, number: i64) -> rusqlite::Result<()> {
    conn.prepare_cached("DELETE FROM handovers WHERE number = ?1")?
        .execute([number])
        .map(drop)
}

/// The link with a code of this hash. The hash is keyed: how long looking takes tells nothing of the codes that there are.
pub(super) fn of_code(conn: &Connection, hash: &[u8; 32]) -> rusqlite::Result<Option<Handover>> {
    one(conn, "hash = ?1", params![hash])
}

/// The link that this request made.
pub(super) fn of_request(conn: &Connection, request: &[u8; 32]) -> rusqlite::Result<Option<Handover>> {
    one(conn, "request = ?1", params![request])
}

/// The link of a person by its number.
pub(super) fn of_number(conn: &Connection, id: &CorporateId, number: i64) -> rusqlite::Result<Option<Handover>> {
    one(conn, "number = ?1 AND key = ?2", params![number, id.key()])
}

fn one(conn: &Connection, condition: &str, values: &[&dyn rusqlite::ToSql]) -> rusqlite::Result<Option<Handover>> {
    conn.prepare_cached(&format!("SELECT {COLUMNS} FROM handovers WHERE {condition}"))?
        .query_row(values, handover)
        .optional()
}

/// Links of a person whose time is not over and that nobody withdrew or used up, newest first.
pub(super) fn open(conn: &Connection, id: &CorporateId, now: Timestamp) -> rusqlite::Result<Vec<Handover>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM handovers WHERE key = ?1 AND valid_until > ?2 AND withdrawn_at IS NULL AND used < uses \
         ORDER BY number DESC LIMIT ?3"
    );
    conn.prepare_cached(&sql)?
        .query_map(params![id.key(), now.as_microsecond(), LISTED], handover)?
        .collect()
}

/// Counts one use.
pub(super) fn used(conn: &Connection, number: i64, now: Timestamp) -> rusqlite::Result<()> {
    conn.prepare_cached("UPDATE handovers SET used = used + 1, opened_at = ?2 WHERE number = ?1")?
        .execute(params![number, now.as_microsecond()])
        .map(drop)
}

/// Takes one use back, which was counted `at` a moment; before it the link was opened `before`.
pub(super) fn unused(conn: &Connection, number: i64, at: Timestamp, before: Option<Timestamp>) -> rusqlite::Result<()> {
    conn.prepare_cached(
        "UPDATE handovers SET used = used - 1, opened_at = CASE WHEN opened_at = ?2 THEN ?3 ELSE opened_at END \
         WHERE number = ?1",
    )?
    .execute(params![
        number,
        at.as_microsecond(),
        before.map(Timestamp::as_microsecond)
    ])
    .map(drop)
}

pub(super) fn withdrawn(conn: &Connection, number: i64, now: Timestamp) -> rusqlite::Result<()> {
    conn.prepare_cached("UPDATE handovers SET withdrawn_at = ?2 WHERE number = ?1")?
        .execute(params![number, now.as_microsecond()])
        .map(drop)
}

/// When a browser opened a link last, and the row for the audit.
pub(super) fn visit(conn: &Connection, visit: &[u8; 32]) -> rusqlite::Result<Option<(Timestamp, i64)>> {
    conn.prepare_cached("SELECT at, unaudited FROM visits WHERE visit = ?1")?
        .query_row(params![visit], |row| Ok((moment(0, row.get(0)?)?, row.get(1)?)))
        .optional()
}

pub(super) fn visited(
    conn: &Connection,
    visit: &[u8; 32],
    number: i64,
    now: Timestamp,
    unaudited: i64,
) -> rusqlite::Result<()> {
    conn.prepare_cached("INSERT OR REPLACE INTO visits (visit, handover, at, unaudited) VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![visit, number, now.as_microsecond(), unaudited])
        .map(drop)
}

/// Forgets the visit of which this row was to tell the audit.
pub(super) fn not_visited(conn: &Connection, number: i64, unaudited: i64) -> rusqlite::Result<()> {
    conn.prepare_cached("DELETE FROM visits WHERE handover = ?1 AND unaudited = ?2")?
        .execute([number, unaudited])
        .map(drop)
}

/// Removes everything of a person.
pub(super) fn forget(conn: &Connection, id: &CorporateId) -> rusqlite::Result<()> {
    for sql in [
        "DELETE FROM visits WHERE handover IN (SELECT number FROM handovers WHERE key = ?1)",
        "DELETE FROM handovers WHERE key = ?1",
    ] {
        conn.prepare_cached(sql)?.execute([id.key()])?;
    }
    Ok(())
}
