//! Rows of counts: one an ID, one an account.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, params};

use super::{
    limits::{Count, Limits},
    link::optional_moment,
};
use crate::model::corporate_id::CorporateId;

/// Of what is counted.
#[derive(Debug, Clone)]
pub(super) struct Subject(String);

impl Subject {
    pub(super) fn person(id: &CorporateId) -> Self {
        Self(format!("id:{}", id.key()))
    }

    pub(super) fn account(account: i64) -> Self {
        Self(format!("account:{account}"))
    }
}

/// The count as it is at this moment.
pub(super) fn get(conn: &Connection, subject: &Subject, now: Timestamp, limits: &Limits) -> rusqlite::Result<Count> {
    let sql = "SELECT failures, failed_at, locked_until, requests, requests_since FROM counts WHERE subject = ?1";
    let kept = conn
        .prepare_cached(sql)?
        .query_row([&subject.0], |row| {
            Ok(Count {
                failures: row.get(0)?,
                failed_at: optional_moment(row, 1)?,
                locked_until: optional_moment(row, 2)?,
                requests: row.get(3)?,
                requests_since: optional_moment(row, 4)?,
            })
        })
        .optional()?;
    Ok(kept.unwrap_or_default().at(now, limits))
}

pub(super) fn put(conn: &Connection, subject: &Subject, count: &Count, limits: &Limits) -> rusqlite::Result<()> {
    let micros = |at: Option<Timestamp>| at.map(Timestamp::as_microsecond);
    conn.prepare_cached(
        "INSERT INTO counts (subject, failures, failed_at, locked_until, requests, requests_since, over_at) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) \
         ON CONFLICT (subject) DO UPDATE SET failures = excluded.failures, failed_at = excluded.failed_at, \
           locked_until = excluded.locked_until, requests = excluded.requests, requests_since = excluded.requests_since, \
           over_at = excluded.over_at",
    )?
    .execute(params![
        subject.0,
        count.failures,
        micros(count.failed_at),
        micros(count.locked_until),
        count.requests,
        micros(count.requests_since),
        count.over_at(limits).as_microsecond(),
    ])
    .map(drop)
}

pub(super) fn forget(conn: &Connection, subject: &Subject) -> rusqlite::Result<()> {
    conn.prepare_cached("DELETE FROM counts WHERE subject = ?1")?
        .execute([&subject.0])
        .map(drop)
}
