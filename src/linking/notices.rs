//! What is to be told: each once, and none that would mislead.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rusqlite::{Connection, Row, params, types::Type};
use serde::{Deserialize, Serialize};

use super::link::moment;

/// What a notice is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum What {
    /// Access was granted for the first time.
    Granted,
    /// Access is denied from now on.
    Suspended {
        /// Why: the word of a reason.
        reason: String,
    },
    /// Access is there again.
    Restored,
    /// Access ends soon.
    Expiring {
        /// When.
        valid_until: Timestamp,
        /// In how many days.
        days: u32,
    },
    /// Much of the traffic is used.
    Quota {
        /// How much.
        percent: u32,
        /// When the count begins anew.
        resets_at: Option<Timestamp>,
    },
    /// The person was linked to another account.
    Replaced,
    /// The link was taken away.
    Unlinked,
    /// The guard holds denials back.
    HeldBack {
        /// How many people.
        people: usize,
        /// Some of their IDs.
        some: Vec<String>,
    },
}

impl What {
    /// The word for it.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Granted => "granted",
            Self::Suspended { .. } => "suspended",
            Self::Restored => "restored",
            Self::Expiring { .. } => "expiring",
            Self::Quota { .. } => "quota",
            Self::Replaced => "replaced",
            Self::Unlinked => "unlinked",
            Self::HeldBack { .. } => "held_back",
        }
    }
}

/// Something that has to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// Its number.
    pub id: i64,
    /// Whom to tell; `None` for the admins.
    pub account: Option<i64>,
    /// In which chat.
    pub chat: Option<i64>,
    /// In which language.
    pub language: Option<String>,
    /// What.
    pub what: What,
    /// When it came about.
    pub at: Timestamp,
    /// Telling it later than this would mislead.
    pub until: Timestamp,
}

/// What became of a notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It was told.
    Told,
    /// Nobody can be told there.
    Blocked,
    /// It was too late to tell it.
    Late,
}

impl Outcome {
    /// The word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Told => "told",
            Self::Blocked => "blocked",
            Self::Late => "late",
        }
    }
}

/// A notice that is to be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct New {
    /// What it is about, so that it is made once.
    pub name: String,
    /// Whom to tell; `None` for the admins.
    pub account: Option<i64>,
    /// In which chat.
    pub chat: Option<i64>,
    /// In which language.
    pub language: Option<String>,
    /// What.
    pub what: What,
    /// When it came about.
    pub at: Timestamp,
    /// Nobody is told before.
    pub due_at: Timestamp,
    /// Telling it later than this would mislead.
    pub until: Timestamp,
}

/// Keeps a notice, unless it was kept before. Answers whether it is new.
pub(super) fn put(conn: &Connection, new: &New) -> rusqlite::Result<bool> {
    let what =
        serde_json::to_string(&new.what).map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
    let made = conn
        .prepare_cached(
            "INSERT INTO notices (name, account, chat, language, kind, what, at, due_at, until) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT (name) DO NOTHING",
        )?
        .execute(params![
            new.name,
            new.account,
            new.chat,
            new.language,
            new.what.word(),
            what,
            new.at.as_microsecond(),
            new.due_at.as_microsecond(),
            new.until.as_microsecond(),
        ])?;
    Ok(made == 1)
}

/// Takes back what nobody has heard of yet. Answers whether there was one.
pub(super) fn take_back(conn: &Connection, account: i64, kind: &str) -> rusqlite::Result<bool> {
    let taken = conn
        .prepare_cached("DELETE FROM notices WHERE account = ?1 AND kind = ?2 AND outcome IS NULL AND handed_out = 0")?
        .execute(params![account, kind])?;
    Ok(taken > 0)
}

/// Takes back everything that an account was not told yet about a person it is not linked to any more.
pub(super) fn drop_waiting(conn: &Connection, account: i64) -> rusqlite::Result<()> {
    conn.prepare_cached(
        "UPDATE notices SET outcome = 'late' WHERE account = ?1 AND outcome IS NULL AND kind NOT IN ('replaced', 'unlinked')",
    )?
    .execute([account])
    .map(drop)
}

/// Takes back what the admins were not told yet.
pub(super) fn drop_held_back(conn: &Connection) -> rusqlite::Result<bool> {
    let dropped = conn
        .prepare_cached("UPDATE notices SET outcome = 'late' WHERE kind = 'held_back' AND outcome IS NULL")?
        .execute([])?;
    Ok(dropped > 0)
}

/// Whether anything is to be told now; and when something will be, if not.
pub(super) fn next_due(conn: &Connection, now: Timestamp) -> rusqlite::Result<Option<Timestamp>> {
    let sql = "SELECT min(due_at) FROM notices WHERE outcome IS NULL AND until > ?1";
    let due: Option<i64> = conn
        .prepare_cached(sql)?
        .query_row([now.as_microsecond()], |row| row.get(0))?;
    Ok(due.and_then(|micros| Timestamp::from_microsecond(micros).ok()))
}

/// What is to be told now, oldest first; from then on it counts as heard of. What came too late is done.
pub(super) fn hand_out(conn: &Connection, now: Timestamp, limit: u32) -> rusqlite::Result<Vec<Notice>> {
    let micros = now.as_microsecond();
    conn.prepare_cached("UPDATE notices SET outcome = 'late' WHERE outcome IS NULL AND until <= ?1")?
        .execute([micros])?;
    conn.prepare_cached(
        "UPDATE notices SET handed_out = 1 WHERE id IN \
         (SELECT id FROM notices WHERE outcome IS NULL AND due_at <= ?1 ORDER BY id LIMIT ?2)",
    )?
    .execute(params![micros, limit])?;
    let mut query = conn.prepare_cached(
        "SELECT id, account, chat, language, what, at, until FROM notices \
         WHERE outcome IS NULL AND due_at <= ?1 AND handed_out = 1 ORDER BY id LIMIT ?2",
    )?;
    query.query_map(params![micros, limit], notice)?.collect()
}

fn notice(row: &Row<'_>) -> rusqlite::Result<Notice> {
    let what: String = row.get(4)?;
    Ok(Notice {
        id: row.get(0)?,
        account: row.get(1)?,
        chat: row.get(2)?,
        language: row.get(3)?,
        what: serde_json::from_str(&what)
            .map_err(|error| rusqlite::Error::FromSqlConversionFailure(4, Type::Text, error.into()))?,
        at: moment(row, 5)?,
        until: moment(row, 6)?,
    })
}

/// Keeps what became of a notice; what was kept first stays.
pub(super) fn done(conn: &Connection, id: i64, outcome: Outcome) -> rusqlite::Result<bool> {
    let changed = conn
        .prepare_cached("UPDATE notices SET outcome = ?2 WHERE id = ?1 AND outcome IS NULL")?
        .execute(params![id, outcome.word()])?;
    Ok(changed > 0)
}

/// How many wait to be told, by kind.
pub(super) fn waiting(conn: &Connection, now: Timestamp) -> rusqlite::Result<BTreeMap<String, i64>> {
    let sql = "SELECT kind, count(*) FROM notices WHERE outcome IS NULL AND until > ?1 GROUP BY kind";
    let mut query = conn.prepare_cached(sql)?;
    let rows = query.query_map([now.as_microsecond()], |row| Ok((row.get(0)?, row.get(1)?)))?;
    rows.collect()
}
