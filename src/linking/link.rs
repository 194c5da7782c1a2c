//! Links, and the requests that may become one.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Row, params, types::Type};

use crate::model::corporate_id::CorporateId;

/// A Telegram account that is linked to a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// The account.
    pub account: i64,
    /// The person.
    pub id: CorporateId,
    /// The chat in which it was linked.
    pub chat: i64,
    /// Language that was chosen.
    pub language: Option<String>,
    /// When they were linked.
    pub linked_at: Timestamp,
}

/// Somebody said which corporate ID is theirs, and has to prove it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Who.
    pub account: i64,
    /// The ID that they said.
    pub id: CorporateId,
    /// In which chat.
    pub chat: i64,
    /// In which language.
    pub language: String,
    /// When.
    pub at: Timestamp,
}

const LINK: &str = "account, id, chat, language, linked_at";

fn link(row: &Row<'_>) -> rusqlite::Result<Link> {
    Ok(Link {
        account: row.get(0)?,
        id: corporate_id(row, 1)?,
        chat: row.get(2)?,
        language: row.get(3)?,
        linked_at: moment(row, 4)?,
    })
}

pub(super) fn corporate_id(row: &Row<'_>, at: usize) -> rusqlite::Result<CorporateId> {
    let text: String = row.get(at)?;
    CorporateId::parse(&text).map_err(|error| rusqlite::Error::FromSqlConversionFailure(at, Type::Text, error.into()))
}

pub(super) fn moment(row: &Row<'_>, at: usize) -> rusqlite::Result<Timestamp> {
    let micros: i64 = row.get(at)?;
    Timestamp::from_microsecond(micros)
        .map_err(|error| rusqlite::Error::FromSqlConversionFailure(at, Type::Integer, error.into()))
}

pub(super) fn optional_moment(row: &Row<'_>, at: usize) -> rusqlite::Result<Option<Timestamp>> {
    match row.get::<_, Option<i64>>(at)? {
        Some(_) => moment(row, at).map(Some),
        None => Ok(None),
    }
}

pub(super) fn of_account(conn: &Connection, account: i64) -> rusqlite::Result<Option<Link>> {
    let sql = format!("SELECT {LINK} FROM links WHERE account = ?1");
    conn.prepare_cached(&sql)?.query_row([account], link).optional()
}

pub(super) fn of_person(conn: &Connection, id: &CorporateId) -> rusqlite::Result<Option<Link>> {
    let sql = format!("SELECT {LINK} FROM links WHERE key = ?1");
    conn.prepare_cached(&sql)?.query_row([id.key()], link).optional()
}

/// Every link, in the order of the accounts.
pub(super) fn all(conn: &Connection) -> rusqlite::Result<Vec<Link>> {
    let sql = format!("SELECT {LINK} FROM links ORDER BY account");
    conn.prepare_cached(&sql)?.query_map([], link)?.collect()
}

/// Writes a link in the place of whatever the account and the person were linked to.
pub(super) fn put(conn: &Connection, link: &Link) -> rusqlite::Result<()> {
    conn.prepare_cached("DELETE FROM links WHERE account = ?1 OR key = ?2")?
        .execute(params![link.account, link.id.key()])?;
    conn.prepare_cached(
        "INSERT INTO links (account, key, id, chat, language, linked_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?
    .execute(params![
        link.account,
        link.id.key(),
        link.id.as_str(),
        link.chat,
        link.language,
        link.linked_at.as_microsecond(),
    ])
    .map(drop)
}

/// What a person sees when they link is nothing to tell them afterwards.
pub(super) fn saw(conn: &Connection, account: i64, granted: bool) -> rusqlite::Result<()> {
    conn.prepare_cached("UPDATE links SET granted = ?2, was_granted = ?2 WHERE account = ?1")?
        .execute(params![account, granted])
        .map(drop)
}

pub(super) fn remove(conn: &Connection, account: i64) -> rusqlite::Result<()> {
    conn.prepare_cached("DELETE FROM links WHERE account = ?1")?
        .execute([account])
        .map(drop)
}

pub(super) fn set_language(conn: &Connection, account: i64, language: &str) -> rusqlite::Result<bool> {
    let changed = conn
        .prepare_cached("UPDATE links SET language = ?2 WHERE account = ?1")?
        .execute(params![account, language])?;
    // What waits to be told is told in the language that was chosen last.
    conn.prepare_cached("UPDATE notices SET language = ?2 WHERE account = ?1 AND outcome IS NULL")?
        .execute(params![account, language])?;
    Ok(changed > 0)
}

const REQUEST: &str = "account, id, chat, language, at";

fn request(row: &Row<'_>) -> rusqlite::Result<Request> {
    Ok(Request {
        account: row.get(0)?,
        id: corporate_id(row, 1)?,
        chat: row.get(2)?,
        language: row.get(3)?,
        at: moment(row, 4)?,
    })
}

/// What an account said last, if that is not older than `since`.
pub(super) fn request_of(conn: &Connection, account: i64, since: Timestamp) -> rusqlite::Result<Option<Request>> {
    let sql = format!("SELECT {REQUEST} FROM requests WHERE account = ?1 AND at >= ?2");
    let values = params![account, since.as_microsecond()];
    conn.prepare_cached(&sql)?.query_row(values, request).optional()
}

/// The chat that asked first for an ID, of those that asked since then and did not ask for another one later.
pub(super) fn first_chat(conn: &Connection, id: &CorporateId, since: Timestamp) -> rusqlite::Result<Option<i64>> {
    let sql = "SELECT chat FROM requests WHERE key = ?1 AND at >= ?2 ORDER BY at, account LIMIT 1";
    let values = params![id.key(), since.as_microsecond()];
    conn.prepare_cached(sql)?.query_row(values, |row| row.get(0)).optional()
}

/// Keeps what an account said. Who says the same again has said it since the first time.
pub(super) fn put_request(conn: &Connection, request: &Request, since: Timestamp) -> rusqlite::Result<()> {
    conn.prepare_cached(
        "INSERT INTO requests (account, key, id, chat, language, at) VALUES (?1, ?2, ?3, ?4, ?5, ?6) \
         ON CONFLICT (account) DO UPDATE SET \
           at = CASE WHEN key = excluded.key AND chat = excluded.chat AND at >= ?7 THEN at ELSE excluded.at END, \
           key = excluded.key, id = excluded.id, chat = excluded.chat, language = excluded.language",
    )?
    .execute(params![
        request.account,
        request.id.key(),
        request.id.as_str(),
        request.chat,
        request.language,
        request.at.as_microsecond(),
        since.as_microsecond(),
    ])
    .map(drop)
}

pub(super) fn drop_request(conn: &Connection, account: i64) -> rusqlite::Result<()> {
    conn.prepare_cached("DELETE FROM requests WHERE account = ?1")?
        .execute([account])
        .map(drop)
}
