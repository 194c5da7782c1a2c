//! Traffic: rolled up by hour and day, totals an account, and the counters of the nodes that it was derived from.

use std::collections::HashMap;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::{Deserialize, Serialize};

use super::time;
use crate::{
    gateway::{Counters, NodeName, UsageDelta},
    model::access::{Period, Usage},
};

/// How long hours are kept.
pub(super) const HOUR_RETENTION_DAYS: i64 = 35;
/// How long the traffic of a day is kept, in days.
pub const DAY_RETENTION_DAYS: i64 = 400;
/// Most rows of each kind that one pruning step removes.
const PRUNE_STEP: u32 = 5_000;

/// Traffic in one hour or day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TrafficRow {
    /// Start of the hour or day, UTC.
    pub start: Timestamp,
    /// Bytes from the user.
    pub upload: u64,
    /// Bytes to the user.
    pub download: u64,
}

/// An account's totals. Each is clamped at 2^63-1.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Bytes from the user since the account was first seen.
    pub upload: u64,
    /// Bytes to the user since then.
    pub download: u64,
    /// What counts against quotas.
    pub usage: Usage,
}

/// What a poll of one node brought.
#[derive(Debug)]
pub(super) struct Poll {
    pub at: Timestamp,
    pub node: NodeName,
    pub deltas: Vec<UsageDelta>,
    pub changed: HashMap<String, (u64, u64)>,
    pub reset: bool,
}

struct Account {
    id: i64,
    upload: i64,
    download: i64,
    month: i64,
    month_start: Option<i64>,
}

/// Adds the deltas and keeps the counters, in the writer's transaction.
pub(super) fn account(conn: &Connection, poll: &Poll) -> rusqlite::Result<()> {
    for delta in &poll.deltas {
        add(conn, poll.at, delta)?;
    }
    keep_counters(conn, poll)
}

fn add(conn: &Connection, at: Timestamp, delta: &UsageDelta) -> rusqlite::Result<()> {
    let (upload, download) = (clamp(delta.upload), clamp(delta.download));
    let moved = upload.saturating_add(download);
    if moved == 0 {
        return Ok(());
    }
    let month_start = Period::Month.start(at).map(Timestamp::as_microsecond);
    let known = conn
        .prepare_cached("SELECT id, upload, download, month, month_start FROM accounts WHERE name = ?1")?
        .query_row([&delta.account], |row| {
            Ok(Account {
                id: row.get(0)?,
                upload: row.get(1)?,
                download: row.get(2)?,
                month: row.get(3)?,
                month_start: row.get(4)?,
            })
        })
        .optional()?;
    let counted = if delta.earlier { 0 } else { moved };
    let id = if let Some(known) = known {
        let month = match known.month_start.cmp(&month_start) {
            std::cmp::Ordering::Equal => known.month,
            std::cmp::Ordering::Less => 0,
            // The clock was ahead and was set back: the days know what this month had.
            std::cmp::Ordering::Greater => month_so_far(conn, known.id, at)?,
        };
        conn.prepare_cached(
            "UPDATE accounts SET upload = ?2, download = ?3, month = ?4, month_start = ?5 WHERE id = ?1",
        )?
        .execute(params![
            known.id,
            known.upload.saturating_add(upload),
            known.download.saturating_add(download),
            month.saturating_add(counted),
            month_start
        ])?;
        known.id
    } else {
        conn.prepare_cached(
            "INSERT INTO accounts (name, upload, download, month, month_start) VALUES (?1, ?2, ?3, ?4, ?5)",
        )?
        .insert(params![delta.account, upload, download, counted, month_start])?
    };
    if delta.earlier {
        return Ok(());
    }
    // The sum of two 64-bit integers that does not fit would turn into a floating-point number.
    conn.prepare_cached(
        "INSERT INTO traffic_hour (hour, account, upload, download) VALUES (?1, ?2, ?3, ?4) \
         ON CONFLICT (hour, account) DO UPDATE SET \
         upload = min(upload, 9223372036854775807 - excluded.upload) + excluded.upload, \
         download = min(download, 9223372036854775807 - excluded.download) + excluded.download",
    )?
    .execute(params![time::hour(at), id, upload, download])?;
    conn.prepare_cached(
        "INSERT INTO traffic_day (day, account, upload, download) VALUES (?1, ?2, ?3, ?4) \
         ON CONFLICT (day, account) DO UPDATE SET \
         upload = min(upload, 9223372036854775807 - excluded.upload) + excluded.upload, \
         download = min(download, 9223372036854775807 - excluded.download) + excluded.download",
    )?
    .execute(params![time::day(at), id, upload, download])?;
    Ok(())
}

fn month_so_far(conn: &Connection, account: i64, at: Timestamp) -> rusqlite::Result<i64> {
    let (Some(start), Some(end)) = (Period::Month.start(at), Period::Month.end(at)) else {
        return Ok(0);
    };
    let mut statement =
        conn.prepare_cached("SELECT upload, download FROM traffic_day WHERE day = ?1 AND account = ?2")?;
    let mut sum = 0i64;
    for day in time::day(start)..time::day(end) {
        let moved = statement
            .query_row([day, account], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)))
            .optional()?;
        let (upload, download) = moved.unwrap_or_default();
        sum = sum.saturating_add(upload).saturating_add(download);
    }
    Ok(sum)
}

fn keep_counters(conn: &Connection, poll: &Poll) -> rusqlite::Result<()> {
    if poll.changed.is_empty() && !poll.reset {
        return Ok(());
    }
    let node = node_id(conn, &poll.node)?;
    if poll.reset {
        conn.prepare_cached("DELETE FROM counters WHERE node = ?1")?
            .execute([node])?;
    }
    for (id, moved) in &poll.changed {
        put_counter(conn, node, id, *moved)?;
    }
    Ok(())
}

/// Keeps one counter of a node.
pub(super) fn keep_counter(conn: &Connection, node: &NodeName, id: &str, moved: (u64, u64)) -> rusqlite::Result<()> {
    let node = node_id(conn, node)?;
    put_counter(conn, node, id, moved)
}

fn put_counter(conn: &Connection, node: i64, id: &str, (tx, rx): (u64, u64)) -> rusqlite::Result<()> {
    let mut keep = conn.prepare_cached(
        "INSERT INTO counters (node, id, tx, rx) VALUES (?1, ?2, ?3, ?4) \
         ON CONFLICT (node, id) DO UPDATE SET tx = excluded.tx, rx = excluded.rx",
    )?;
    keep.execute(params![node, id, tx.cast_signed(), rx.cast_signed()])?;
    Ok(())
}

fn node_id(conn: &Connection, node: &NodeName) -> rusqlite::Result<i64> {
    let name = node.0.as_ref();
    let known: Option<i64> = conn
        .prepare_cached("SELECT id FROM nodes WHERE name = ?1")?
        .query_row([name], |row| row.get(0))
        .optional()?;
    match known {
        Some(node) => Ok(node),
        None => conn
            .prepare_cached("INSERT INTO nodes (name) VALUES (?1)")?
            .insert([name]),
    }
}

/// Counters of one id, of every node that has it.
pub(super) fn counters_of(conn: &Connection, id: &str) -> rusqlite::Result<Vec<(u64, u64)>> {
    conn.prepare_cached("SELECT tx, rx FROM nodes JOIN counters ON counters.node = nodes.id AND counters.id = ?1")?
        .query_map([id], |row| {
            let (tx, rx): (i64, i64) = (row.get(0)?, row.get(1)?);
            Ok((tx.cast_unsigned(), rx.cast_unsigned()))
        })?
        .collect()
}

/// Counters of a node as last kept.
pub(super) fn counters(conn: &Connection, node: &NodeName) -> rusqlite::Result<Counters> {
    let ids = conn
        .prepare_cached("SELECT id, tx, rx FROM counters WHERE node = (SELECT id FROM nodes WHERE name = ?1)")?
        .query_map([node.0.as_ref()], |row| {
            let (tx, rx): (i64, i64) = (row.get(1)?, row.get(2)?);
            Ok((row.get(0)?, (tx.cast_unsigned(), rx.cast_unsigned())))
        })?
        .collect::<rusqlite::Result<_>>()?;
    Ok(Counters { ids })
}

/// Totals of every account that ever moved a byte.
pub(super) fn all_totals(conn: &Connection) -> rusqlite::Result<HashMap<String, Totals>> {
    conn.prepare_cached("SELECT upload, download, month, month_start, name FROM accounts")?
        .query_map([], |row| Ok((row.get(4)?, totals_of(row)?)))?
        .collect()
}

/// Totals of one account; nothing for one that never moved a byte.
pub(super) fn totals(conn: &Connection, account: &str) -> rusqlite::Result<Totals> {
    let found = conn
        .prepare_cached("SELECT upload, download, month, month_start FROM accounts WHERE name = ?1")?
        .query_row([account], totals_of)
        .optional()?;
    Ok(found.unwrap_or_default())
}

fn totals_of(row: &Row<'_>) -> rusqlite::Result<Totals> {
    let (upload, download): (i64, i64) = (row.get(0)?, row.get(1)?);
    Ok(Totals {
        upload: unsigned(upload),
        download: unsigned(download),
        usage: Usage {
            lifetime: unsigned(upload.saturating_add(download)),
            month: unsigned(row.get(2)?),
            month_start: time::optional_column(row, 3)?,
        },
    })
}

/// Hours or days in which an account moved something, newest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Hour,
    Day,
}

pub(super) fn rows(
    conn: &Connection,
    account: &str,
    now: Timestamp,
    step: Step,
    count: u32,
) -> rusqlite::Result<Vec<TrafficRow>> {
    let id: Option<i64> = conn
        .prepare_cached("SELECT id FROM accounts WHERE name = ?1")?
        .query_row([account], |row| row.get(0))
        .optional()?;
    let Some(id) = id else { return Ok(Vec::new()) };
    let (last, kept, sql, start): (_, _, _, fn(i64) -> Option<Timestamp>) = match step {
        Step::Hour => (
            time::hour(now),
            HOUR_RETENTION_DAYS * 24,
            "SELECT upload, download FROM traffic_hour WHERE hour = ?1 AND account = ?2",
            time::hour_start,
        ),
        Step::Day => (
            time::day(now),
            DAY_RETENTION_DAYS,
            "SELECT upload, download FROM traffic_day WHERE day = ?1 AND account = ?2",
            time::day_start,
        ),
    };
    let mut statement = conn.prepare_cached(sql)?;
    let mut found = Vec::new();
    // The tables are sorted by time: a look-up for each step touches fewer pages than a walk through everybody's rows.
    for at in (last - i64::from(count).min(kept) + 1..=last).rev() {
        let moved = statement
            .query_row([at, id], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)))
            .optional()?;
        if let (Some((upload, download)), Some(start)) = (moved, start(at)) {
            found.push(TrafficRow {
                start,
                upload: unsigned(upload),
                download: unsigned(download),
            });
        }
    }
    Ok(found)
}

/// Removes rows that are past retention, a bounded number a call.
pub(super) fn prune(conn: &Connection, now: Timestamp) -> rusqlite::Result<()> {
    conn.prepare_cached(
        "DELETE FROM traffic_hour WHERE (hour, account) IN \
         (SELECT hour, account FROM traffic_hour WHERE hour < ?1 ORDER BY hour LIMIT ?2)",
    )?
    .execute(params![
        time::hour(time::days_before(now, HOUR_RETENTION_DAYS)),
        PRUNE_STEP
    ])?;
    conn.prepare_cached(
        "DELETE FROM traffic_day WHERE (day, account) IN \
         (SELECT day, account FROM traffic_day WHERE day < ?1 ORDER BY day LIMIT ?2)",
    )?
    .execute(params![
        time::day(time::days_before(now, DAY_RETENTION_DAYS)),
        PRUNE_STEP
    ])?;
    Ok(())
}

pub(super) fn clamp(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

/// Never negative as stored.
fn unsigned(bytes: i64) -> u64 {
    u64::try_from(bytes).unwrap_or(0)
}
