//! Rows of IDs and of what was done with them.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Row, named_params, params, types::Type};

use super::{
    entry::{By, Change, Entry, Owner, TelegramLink, whole},
    status::Status,
};
use crate::model::corporate_id::CorporateId;

const COLUMNS: &str = "id, status, owner, email, department, issued_at, updated_at";

/// What is looked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Search {
    /// IDs that begin with this, whatever the case.
    pub prefix: Option<String>,
    /// IDs with this text in owner, mail address or department, whatever the case.
    pub text: Option<String>,
    /// IDs with this status.
    pub status: Option<Status>,
}

pub(super) fn get(conn: &Connection, id: &CorporateId) -> rusqlite::Result<Option<Entry>> {
    let sql = format!("SELECT {COLUMNS} FROM ids WHERE key = ?1");
    conn.prepare_cached(&sql)?.query_row([id.key()], entry).optional()
}

pub(super) fn by_request(conn: &Connection, request_key: &str) -> rusqlite::Result<Option<Entry>> {
    let sql = format!("SELECT {COLUMNS} FROM ids WHERE request_key = ?1");
    conn.prepare_cached(&sql)?.query_row([request_key], entry).optional()
}

/// IDs in their order, from behind `after` on.
pub(super) fn search(conn: &Connection, search: &Search, after: &str, limit: u32) -> rusqlite::Result<Vec<Entry>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM ids
         WHERE key > :after AND key >= :prefix AND key < :prefix || '~'
           AND (:status IS NULL OR status = :status) AND (:text IS NULL OR instr(folded, :text) > 0)
         ORDER BY key LIMIT :limit"
    );
    let mut statement = conn.prepare_cached(&sql)?;
    let found = statement.query_map(
        named_params! {
            ":after": after,
            ":prefix": search.prefix.as_deref().unwrap_or_default().to_ascii_lowercase(),
            ":status": search.status.map(Status::as_str),
            ":text": search.text.as_deref().map(str::to_lowercase),
            ":limit": limit,
        },
        entry,
    )?;
    found.collect()
}

/// Adds an ID that is not there; `false` where it is, or where another has the key of the request.
pub(super) fn insert(conn: &Connection, entry: &Entry, request_key: Option<&str>) -> rusqlite::Result<bool> {
    let sql = "INSERT INTO ids (key, id, status, owner, email, department, folded, issued_at, updated_at, request_key)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) ON CONFLICT DO NOTHING";
    let inserted = conn.prepare_cached(sql)?.execute(params![
        entry.id.key(),
        entry.id.as_str(),
        entry.status.as_str(),
        entry.owner.owner,
        entry.owner.email,
        entry.owner.department,
        entry.owner.folded(),
        entry.issued_at.map(Timestamp::as_millisecond),
        entry.updated_at.as_millisecond(),
        request_key,
    ])?;
    Ok(inserted == 1)
}

/// Writes what may change of an ID that is there.
pub(super) fn update(conn: &Connection, entry: &Entry) -> rusqlite::Result<()> {
    let sql = "UPDATE ids SET status = ?2, owner = ?3, email = ?4, department = ?5, folded = ?6, updated_at = ?7 WHERE key = ?1";
    conn.prepare_cached(sql)?
        .execute(params![
            entry.id.key(),
            entry.status.as_str(),
            entry.owner.owner,
            entry.owner.email,
            entry.owner.department,
            entry.owner.folded(),
            entry.updated_at.as_millisecond(),
        ])
        .map(drop)
}

/// What was done, for the history of an ID.
pub(super) struct Done<'a> {
    pub id: &'a CorporateId,
    pub at: Timestamp,
    pub action: &'a str,
    pub by: &'a By,
    pub before: Option<Status>,
    pub after: Option<Status>,
    /// The former service did it.
    pub former: bool,
}

pub(super) fn note(conn: &Connection, done: &Done<'_>) -> rusqlite::Result<()> {
    let sql =
        "INSERT INTO changes (key, at, action, actor, source, status_before, status_after, reason, request_id, former)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
    conn.prepare_cached(sql)?
        .execute(params![
            done.id.key(),
            done.at.as_millisecond(),
            done.action,
            done.by.actor,
            done.by.source,
            done.before.map(Status::as_str),
            done.after.map(Status::as_str),
            done.by.reason,
            done.by.request_id,
            done.former,
        ])
        .map(drop)
}

/// Whether nobody did anything with an ID since it was taken over.
pub(super) fn is_untouched(conn: &Connection, id: &CorporateId) -> rusqlite::Result<bool> {
    let sql = "SELECT NOT EXISTS (SELECT 1 FROM changes WHERE key = ?1 AND NOT former)";
    conn.prepare_cached(sql)?.query_row([id.key()], |row| row.get(0))
}

/// What was done with an ID, newest first.
pub(super) fn changes(conn: &Connection, id: &CorporateId, limit: u32) -> rusqlite::Result<Vec<Change>> {
    let sql = "SELECT number, at, action, actor, source, reason, request_id, status_before, status_after
               FROM changes WHERE key = ?1 ORDER BY at DESC, number DESC LIMIT ?2";
    let mut statement = conn.prepare_cached(sql)?;
    let rows = statement.query_map(params![id.key(), limit], |row| {
        Ok(Change {
            number: row.get(0)?,
            at: moment(row, 1)?,
            action: row.get(2)?,
            by: By {
                actor: row.get(3)?,
                source: row.get(4)?,
                reason: row.get(5)?,
                request_id: row.get(6)?,
            },
            before: optional_status(row, 7)?,
            after: optional_status(row, 8)?,
        })
    })?;
    rows.collect()
}

/// The Telegram account of an ID.
pub(super) fn telegram(conn: &Connection, id: &CorporateId) -> rusqlite::Result<Option<TelegramLink>> {
    let sql = "SELECT id, telegram_id, linked_at FROM telegram WHERE key = ?1";
    conn.prepare_cached(sql)?
        .query_row([id.key()], telegram_link)
        .optional()
}

/// Every Telegram account that is there.
pub(super) fn telegram_links(conn: &Connection) -> rusqlite::Result<Vec<TelegramLink>> {
    let sql = "SELECT id, telegram_id, linked_at FROM telegram ORDER BY telegram_id";
    conn.prepare_cached(sql)?.query_map([], telegram_link)?.collect()
}

fn telegram_link(row: &Row<'_>) -> rusqlite::Result<TelegramLink> {
    Ok(TelegramLink {
        id: id_of(row, 0)?,
        telegram_id: row.get(1)?,
        linked_at: row.get::<_, Option<i64>>(2)?.map(|at| parse(2, at)).transpose()?,
    })
}

/// Links an account to an ID; `false` where either has another one.
pub(super) fn link(conn: &Connection, link: &TelegramLink) -> rusqlite::Result<bool> {
    let sql = "INSERT INTO telegram (telegram_id, key, id, linked_at) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING";
    let linked = conn.prepare_cached(sql)?.execute(params![
        link.telegram_id,
        link.id.key(),
        link.id.as_str(),
        link.linked_at.map(|at| whole(at).as_millisecond()),
    ])?;
    Ok(linked == 1)
}

/// Remembers a line that was taken over; `false` if it was before.
pub(super) fn take_over(conn: &Connection, digest: &[u8; 32]) -> rusqlite::Result<bool> {
    let sql = "INSERT INTO taken_over (digest) VALUES (?1) ON CONFLICT DO NOTHING";
    Ok(conn.prepare_cached(sql)?.execute([digest.as_slice()])? == 1)
}

fn entry(row: &Row<'_>) -> rusqlite::Result<Entry> {
    Ok(Entry {
        id: id_of(row, 0)?,
        status: optional_status(row, 1)?.ok_or_else(|| unreadable(1, "no status"))?,
        owner: Owner {
            owner: row.get(2)?,
            email: row.get(3)?,
            department: row.get(4)?,
        },
        issued_at: row.get::<_, Option<i64>>(5)?.map(|at| parse(5, at)).transpose()?,
        updated_at: moment(row, 6)?,
    })
}

fn id_of(row: &Row<'_>, at: usize) -> rusqlite::Result<CorporateId> {
    CorporateId::parse(&row.get::<_, String>(at)?)
        .map_err(|error| rusqlite::Error::FromSqlConversionFailure(at, Type::Text, Box::new(error)))
}

fn optional_status(row: &Row<'_>, at: usize) -> rusqlite::Result<Option<Status>> {
    let word: Option<String> = row.get(at)?;
    let status = |word: String| Status::parse(&word).ok_or_else(|| unreadable(at, "an unknown status"));
    word.map(status).transpose()
}

fn moment(row: &Row<'_>, at: usize) -> rusqlite::Result<Timestamp> {
    parse(at, row.get(at)?)
}

fn parse(at: usize, ms: i64) -> rusqlite::Result<Timestamp> {
    Timestamp::from_millisecond(ms)
        .map_err(|error| rusqlite::Error::FromSqlConversionFailure(at, Type::Integer, Box::new(error)))
}

fn unreadable(at: usize, what: &'static str) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(at, Type::Text, what.into())
}
