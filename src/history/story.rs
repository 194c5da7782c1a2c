//! Everything that is kept about one person.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{Timestamp, tz::TimeZone};
use rusqlite::{Connection, OptionalExtension};
use serde::Serialize;

use super::{
    access,
    audit::{self, AuditFilter, AuditRow, Page},
    revocations::{self, RevocationRow},
    time,
    traffic::DAY_RETENTION_DAYS,
};

/// Most audit rows of one person that are told, the latest.
const ROWS: u32 = 10_000;

/// Most revocations.
const REVOCATIONS: u32 = 1_000;

/// Everything that is kept about one person, oldest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Story {
    /// Who it is, as asked.
    pub corporate_id: String,
    /// Every change of access since then was written down.
    pub known_from: Option<Timestamp>,
    /// Audit rows.
    pub rows: Vec<AuditRow>,
    /// There are older rows than those.
    pub cut: bool,
    /// Revocations, with their three times.
    pub revocations: Vec<RevocationRow>,
    /// Traffic by month (UTC).
    pub traffic: Vec<MonthTraffic>,
}

/// Traffic of one account in one month.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MonthTraffic {
    /// The month, UTC: `2026-03`.
    pub month: String,
    /// Account on the gateways.
    pub account: String,
    /// Bytes from the user.
    pub upload: u64,
    /// Bytes to the user.
    pub download: u64,
}

/// Tells it, in one snapshot. `account` is the one that the ID has without further ado; those of revocations come on top.
pub(super) fn story(conn: &Connection, corporate_id: &str, account: &str, now: Timestamp) -> rusqlite::Result<Story> {
    let snapshot = conn.unchecked_transaction()?;
    let filter = AuditFilter {
        corporate_id: Some(corporate_id.to_owned()),
        ..AuditFilter::default()
    };
    let page = Page {
        limit: ROWS + 1,
        before: None,
    };
    let mut rows = audit::search(&snapshot, &filter, &page)?;
    let cut = rows.len() > ROWS as usize;
    rows.truncate(ROWS as usize);
    rows.reverse();
    let mut revocations = revocations::of_person(&snapshot, corporate_id, REVOCATIONS)?;
    revocations.reverse();
    let mut accounts: BTreeSet<&str> = revocations.iter().map(|row| row.account.as_str()).collect();
    accounts.insert(account);
    let mut traffic = Vec::new();
    for account in accounts {
        traffic.extend(months(&snapshot, account, now)?);
    }
    Ok(Story {
        corporate_id: corporate_id.to_owned(),
        known_from: access::known_from(&snapshot)?,
        rows,
        cut,
        revocations,
        traffic,
    })
}

/// One search of an index a day: the days of everybody lie together.
fn months(conn: &Connection, account: &str, now: Timestamp) -> rusqlite::Result<Vec<MonthTraffic>> {
    let id: Option<i64> = conn
        .prepare_cached("SELECT id FROM accounts WHERE name = ?1")?
        .query_row([account], |row| row.get(0))
        .optional()?;
    let Some(id) = id else { return Ok(Vec::new()) };
    let mut of_day = conn.prepare_cached("SELECT upload, download FROM traffic_day WHERE day = ?1 AND account = ?2")?;
    let mut months: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    let today = time::day(now);
    for day in today - DAY_RETENTION_DAYS..=today {
        let moved: Option<(i64, i64)> = of_day
            .query_row([day, id], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        let (Some((upload, download)), Some(start)) = (moved, time::day_start(day)) else {
            continue;
        };
        let month = start.to_zoned(TimeZone::UTC).strftime("%Y-%m").to_string();
        let sum = months.entry(month).or_default();
        sum.0 = sum.0.saturating_add(u64::try_from(upload).unwrap_or(0));
        sum.1 = sum.1.saturating_add(u64::try_from(download).unwrap_or(0));
    }
    let told = |(month, (upload, download))| MonthTraffic {
        month,
        account: account.to_owned(),
        upload,
        download,
    };
    Ok(months.into_iter().map(told).collect())
}
