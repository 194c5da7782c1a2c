//! What happened in another system before: taken over once, however often it is offered.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use super::{
    audit,
    entry::{AuditEntry, Stamped},
    redact,
    sealer::Sealer,
    time,
    traffic::{self, clamp},
};
use crate::{gateway::NodeName, model::access::Period};

/// Something of the past. The digest says what it is: of two with the same digest the first is taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Past {
    /// Something that somebody did.
    Event(ImportedEvent),
    /// Traffic of an account.
    Traffic(ImportedTraffic),
}

/// An audit row of another system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportedEvent {
    /// What it is.
    pub digest: [u8; 32],
    /// When it happened. Kept to the microsecond.
    pub at: Timestamp,
    /// What happened.
    pub entry: AuditEntry,
}

/// What an account moved in another system, which had it from the counter that the account has at a panel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportedTraffic {
    /// What it is.
    pub digest: [u8; 32],
    /// The account on the gateways.
    pub account: String,
    /// All bytes from the user, those of the days included.
    pub upload: u64,
    /// All bytes to the user.
    pub download: u64,
    /// Bytes from and to the user on single days, by a moment of the day.
    pub days: Vec<(Timestamp, u64, u64)>,
}

impl Past {
    /// What it is.
    #[must_use]
    pub const fn digest(&self) -> [u8; 32] {
        match self {
            Self::Event(event) => event.digest,
            Self::Traffic(traffic) => traffic.digest,
        }
    }

    pub(super) fn redacted(self) -> Self {
        match self {
            Self::Event(event) => Self::Event(ImportedEvent {
                at: time::truncate(event.at),
                entry: redact::entry(event.entry),
                ..event
            }),
            Self::Traffic(traffic) => Self::Traffic(traffic),
        }
    }
}

/// Takes over what was not taken over before, in the writer's transaction.
pub(super) fn take_over(conn: &Connection, sealer: &Sealer, past: &[Past]) -> rusqlite::Result<()> {
    let now = sealer.now();
    let mut fresh = Vec::new();
    let mut note = conn.prepare_cached("INSERT OR IGNORE INTO imported (digest) VALUES (?1)")?;
    for it in past {
        if note.execute([it.digest()])? == 0 {
            continue;
        }
        match it {
            Past::Event(event) => fresh.push(Stamped {
                at: event.at,
                entry: event.entry.clone(),
            }),
            Past::Traffic(traffic) if is_counted(conn, traffic)? => {}
            Past::Traffic(traffic) => {
                add(conn, traffic, now)?;
                // From here on the panel is counted, which shows what was moved in the account's whole life.
                let moved = (traffic.upload, traffic.download);
                traffic::keep_counter(conn, &NodeName::imported(), &traffic.account, moved)?;
            }
        }
    }
    if fresh.is_empty() {
        return Ok(());
    }
    audit::append(conn, sealer, &fresh)
}

/// How many of these were taken over.
pub(super) fn known(conn: &Connection, digests: &[[u8; 32]]) -> rusqlite::Result<u64> {
    let mut look = conn.prepare_cached("SELECT 1 FROM imported WHERE digest = ?1")?;
    let mut known = 0;
    for digest in digests {
        known += u64::from(look.exists([digest])?);
    }
    Ok(known)
}

/// Whether a panel's counter of the account was counted here already, with all of this in it.
fn is_counted(conn: &Connection, traffic: &ImportedTraffic) -> rusqlite::Result<bool> {
    let counters = traffic::counters_of(conn, &traffic.account)?;
    Ok(counters
        .iter()
        .any(|(up, down)| *up >= traffic.upload && *down >= traffic.download))
}

/// Adds what an account moved to what is known of it. What no day has counts for the account's life only.
fn add(conn: &Connection, traffic: &ImportedTraffic, now: Timestamp) -> rusqlite::Result<()> {
    let (start, end) = (Period::Month.start(now), Period::Month.end(now));
    let this_month = |at: &Timestamp| start.is_none_or(|start| *at >= start) && end.is_none_or(|end| *at < end);
    let of_month = traffic.days.iter().filter(|(at, ..)| this_month(at));
    let moved = of_month.fold(0u64, |sum, (_, up, down)| sum.saturating_add(*up).saturating_add(*down));
    let start = start.map(Timestamp::as_microsecond);
    let (upload, download, moved) = (clamp(traffic.upload), clamp(traffic.download), clamp(moved));
    let known = conn
        .prepare_cached("SELECT id, upload, download, month, month_start FROM accounts WHERE name = ?1")?
        .query_row([&traffic.account], |row| {
            let counts: (i64, i64, i64) = (row.get(1)?, row.get(2)?, row.get(3)?);
            Ok((row.get::<_, i64>(0)?, counts, row.get::<_, Option<i64>>(4)?))
        })
        .optional()?;
    let id = if let Some((id, (known_up, known_down, month), known_start)) = known {
        // A month that began later is another one: the clock was set back, and it stays as it was counted.
        let (month, start) = match known_start.cmp(&start) {
            std::cmp::Ordering::Less => (moved, start),
            std::cmp::Ordering::Equal => (month.saturating_add(moved), start),
            std::cmp::Ordering::Greater => (month, known_start),
        };
        conn.prepare_cached(
            "UPDATE accounts SET upload = ?2, download = ?3, month = ?4, month_start = ?5 WHERE id = ?1",
        )?
        .execute(params![
            id,
            known_up.saturating_add(upload),
            known_down.saturating_add(download),
            month,
            start
        ])?;
        id
    } else {
        conn.prepare_cached(
            "INSERT INTO accounts (name, upload, download, month, month_start) VALUES (?1, ?2, ?3, ?4, ?5)",
        )?
        .insert(params![traffic.account, upload, download, moved, start])?
    };
    let mut day = conn.prepare_cached(
        "INSERT INTO traffic_day (day, account, upload, download) VALUES (?1, ?2, ?3, ?4) \
         ON CONFLICT (day, account) DO UPDATE SET \
         upload = min(upload, 9223372036854775807 - excluded.upload) + excluded.upload, \
         download = min(download, 9223372036854775807 - excluded.download) + excluded.download",
    )?;
    for (at, upload, download) in &traffic.days {
        day.execute(params![time::day(*at), id, clamp(*upload), clamp(*download)])?;
    }
    Ok(())
}
