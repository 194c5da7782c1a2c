//! The question of who had access at a moment, and why.

use jiff::Timestamp;
use rusqlite::{Connection, Row, named_params};
use serde::{Deserialize, Serialize};

use super::{access, time};

/// What to look for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WhoQuestion {
    /// The moment.
    pub at: Timestamp,
    /// Also those who had none.
    pub denied: bool,
    /// From behind this ID on.
    pub after: Option<String>,
    /// At most so many.
    pub limit: u32,
}

/// Who had access, in the order of their IDs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Who {
    /// The moment that was asked for.
    pub at: Timestamp,
    /// Every change since then was written down; of what was before little or nothing is known. `None`: nothing is known yet.
    pub known_from: Option<Timestamp>,
    /// The people.
    pub people: Vec<HadAccess>,
}

/// How somebody's access stood at a moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HadAccess {
    /// Whose it is.
    pub corporate_id: String,
    /// Whether logins were accepted.
    pub granted: bool,
    /// Why: a reason constant.
    pub reason: String,
    /// The same for people, with the names of holds.
    pub why: Option<String>,
    /// Since when access was granted, or denied, without a break.
    pub since: Timestamp,
    /// Since when it was so for this reason.
    pub reason_since: Timestamp,
    /// Number of the audit row that says so. It may be past retention by now.
    pub seq: i64,
    /// The order that brought it about, if one is in the audit; without one it was a change in desired state, a limit, or time.
    pub order: Option<AccessOrder>,
}

/// An order that changed somebody's access.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessOrder {
    /// Number of its audit row.
    pub seq: i64,
    /// When it was given.
    pub at: Timestamp,
    /// Who gave it.
    pub actor: String,
    /// By which way in.
    pub source: String,
    /// What was ordered.
    pub action: String,
    /// Id of the request by which it was given, as long as its audit row is kept.
    pub request_id: Option<String>,
    /// The HR event that gave it, by its number, as long as its audit row is kept.
    pub event: Option<String>,
}

/// Answers the question in one snapshot: two searches of an index a person.
pub(super) fn who(conn: &Connection, question: &WhoQuestion) -> rusqlite::Result<Who> {
    let snapshot = conn.unchecked_transaction()?;
    let mut statement = snapshot.prepare_cached(
        "SELECT p.corporate_id, s.granted, s.state, s.why, s.since, s.from_at, s.seq, s.order_seq, s.order_at, \
         s.order_actor, s.order_source, s.order_action, a.request_id, a.event \
         FROM people p CROSS JOIN access_spans s ON s.person = p.id AND (s.from_at, s.seq) = \
         (SELECT from_at, seq FROM access_spans WHERE person = p.id AND from_at <= :at \
          ORDER BY from_at DESC, seq DESC LIMIT 1) \
         LEFT JOIN audit a ON a.seq = s.order_seq \
         WHERE p.corporate_key > :after AND (s.granted OR :denied) ORDER BY p.corporate_key LIMIT :limit",
    )?;
    let after = question.after.as_deref().unwrap_or_default().to_ascii_lowercase();
    let people = statement
        .query_map(
            named_params! {
                ":at": question.at.as_microsecond(),
                ":after": after,
                ":denied": question.denied,
                ":limit": question.limit,
            },
            read,
        )?
        .collect::<rusqlite::Result<_>>()?;
    Ok(Who {
        at: question.at,
        known_from: access::known_from(&snapshot)?,
        people,
    })
}

fn read(row: &Row<'_>) -> rusqlite::Result<HadAccess> {
    let state: String = row.get(2)?;
    let order = match row.get::<_, Option<i64>>(7)? {
        Some(seq) => Some(AccessOrder {
            seq,
            at: time::column(row, 8)?,
            actor: row.get(9)?,
            source: row.get(10)?,
            action: row.get(11)?,
            request_id: row.get(12)?,
            event: row.get(13)?,
        }),
        None => None,
    };
    Ok(HadAccess {
        corporate_id: row.get(0)?,
        granted: row.get(1)?,
        reason: state
            .split_once(": ")
            .map_or(state.as_str(), |(_, reason)| reason)
            .to_owned(),
        why: row.get(3)?,
        since: time::column(row, 4)?,
        reason_since: time::column(row, 5)?,
        seq: row.get(6)?,
        order,
    })
}
