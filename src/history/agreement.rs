//! Whether what is kept about who had access when is what the audit rows say that it is taken from.

use std::hash::{BuildHasher as _, RandomState};

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::{
    access::{DENIED, GRANTED},
    chain::{Stored, frame},
    entry::IMPORT,
    finding::Finding,
    order::Order,
    time::RETENTION_DAYS,
};

const MICROSECONDS_A_DAY: i64 = 86_400_000_000;

/// An audit row that something is taken from.
#[derive(Debug, Clone, Copy)]
struct Noted {
    seq: i64,
    at: i64,
    /// Of what it says, under a key of this walk.
    says: u64,
}

/// What a walk notes of the rows it meets: no texts, and nothing of other rows.
#[derive(Default)]
pub(super) struct Agreement {
    access: Vec<Noted>,
    orders: Vec<Noted>,
    latest: i64,
    hasher: RandomState,
    /// For the bytes that are hashed.
    room: Vec<u8>,
}

/// A stretch of time as it is kept.
struct Span {
    id: String,
    key: String,
    person: i64,
    from_at: i64,
    seq: i64,
    until_at: Option<i64>,
    since: i64,
    granted: bool,
    state: String,
    why: Option<String>,
    order: Option<KeptOrder>,
}

/// An order as it is kept beside a person or a stretch.
struct KeptOrder {
    seq: i64,
    at: i64,
    actor: String,
    source: String,
    action: String,
}

impl Agreement {
    /// For a walk along other rows, to be [joined](Self::join).
    pub(super) fn of_other_rows(&self) -> Self {
        Self {
            hasher: self.hasher.clone(),
            ..Self::default()
        }
    }

    /// Adds what was noted of the rows behind.
    pub(super) fn join(&mut self, next: Self) {
        self.access.extend(next.access);
        self.orders.extend(next.orders);
        self.latest = self.latest.max(next.latest);
    }

    /// Notes what a row says, in the order of the rows.
    pub(super) fn note(&mut self, row: &Stored<'_>) {
        self.latest = self.latest.max(row.content.at);
        let (Some(action), Some(key)) = (row.text(2), row.text(4)) else {
            return;
        };
        let noted = |says| Noted {
            seq: row.content.seq,
            at: row.content.at,
            says,
        };
        let granted = action == GRANTED.as_bytes();
        let mut room = std::mem::take(&mut self.room);
        if granted || action == DENIED.as_bytes() {
            let state = row.text(6).unwrap_or(plain(granted));
            let says = self.says(&mut room, [Some(key), Some(plain(granted)), Some(state), row.text(7)]);
            self.access.push(noted(says));
        } else if row.text(1) != Some(IMPORT.as_bytes())
            && std::str::from_utf8(action).is_ok_and(|it| Order::of(it).is_some())
        {
            let says = self.says(&mut room, [Some(key), row.text(0), row.text(1), Some(action)]);
            self.orders.push(noted(says));
        }
        self.room = room;
    }

    /// Of what a row says. The parts are hashed as one piece: that takes half the time that each for itself does.
    fn says(&self, room: &mut Vec<u8>, parts: [Option<&[u8]>; 4]) -> u64 {
        room.clear();
        for part in parts {
            frame(part, room);
        }
        self.hasher.hash_one(room)
    }

    /// Compares what is kept with what was noted; rows up to `through` are gone, and speak for nothing any more. Answers how many
    /// stretches there are, and what does not fit, in the order of the rows.
    pub(super) fn compare(&self, conn: &Connection, through: i64) -> rusqlite::Result<(u64, Vec<Finding>)> {
        let mut said = vec![false; self.access.len()];
        let (mut spans, mut found) = (0, Vec::new());
        let mut before: Option<Span> = None;
        let mut statement = conn.prepare(
            "SELECT p.corporate_id, p.corporate_key, s.person, s.from_at, s.seq, s.until_at, s.since, s.granted, s.state, s.why, \
             s.order_seq, s.order_at, s.order_actor, s.order_source, s.order_action \
             FROM access_spans s JOIN people p ON p.id = s.person ORDER BY s.person, s.from_at, s.seq",
        )?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let span = Span::read(row)?;
            spans += 1;
            let previous = before.take();
            let last_of = previous.as_ref().filter(|it| it.person != span.person);
            found.extend(last_of.and_then(Span::must_not_end));
            let previous = previous.filter(|it| it.person == span.person);
            let mut wrong = self.wrong(&span, previous.as_ref(), through, &mut said);
            if wrong.is_none()
                && let Some(order) = &span.order
                && !self.is_said(conn, order, &span.key, through)?
            {
                wrong = Some("its order is not what an audit row says");
            }
            found.extend(wrong.map(|wrong| span.differs(wrong)));
            before = Some(span);
        }
        found.extend(before.as_ref().and_then(Span::must_not_end));
        found.extend(self.left_out(&said));
        found.sort_by_key(|(seq, _)| *seq);
        Ok((spans, found.into_iter().map(|(_, finding)| finding).collect()))
    }

    /// What of a stretch is not as the rows say.
    fn wrong(&self, span: &Span, previous: Option<&Span>, through: i64, said: &mut [bool]) -> Option<&'static str> {
        if let Some(previous) = previous {
            if previous.until_at != Some(span.from_at) {
                return Some("it does not begin where the one before ends");
            }
            let since = if previous.granted == span.granted {
                previous.since
            } else {
                span.from_at
            };
            if span.since != since {
                return Some("access did not begin or end then");
            }
        } else if span.since > span.from_at {
            return Some("access did not begin or end then");
        }
        // Its row is past retention, and nothing is left that vouches for it.
        if span.seq <= through {
            return None;
        }
        let Ok(at) = self.access.binary_search_by_key(&span.seq, |it| it.seq) else {
            return Some("no audit row says so");
        };
        let noted = self.access.get(at)?;
        let (key, state) = (span.key.as_bytes(), span.state.as_bytes());
        let why = span.why.as_deref().map(str::as_bytes);
        let parts = [Some(key), Some(plain(span.granted)), Some(state), why];
        if noted.says != self.says(&mut Vec::new(), parts) {
            return Some("its audit row says something else");
        }
        // While the clock was set back, a person's times stand still.
        let stands_still = span.from_at > noted.at && previous.is_none_or(|it| it.from_at == span.from_at);
        if span.from_at != noted.at && !stands_still {
            return Some("its audit row names another moment");
        }
        if let Some(said) = said.get_mut(at) {
            *said = true;
        }
        None
    }

    /// Whether an audit row says that this was ordered.
    fn is_said(&self, conn: &Connection, order: &KeptOrder, key: &str, through: i64) -> rusqlite::Result<bool> {
        if order.seq <= through {
            return Ok(true);
        }
        if let Ok(at) = self.orders.binary_search_by_key(&order.seq, |it| it.seq) {
            let (actor, source) = (Some(order.actor.as_bytes()), Some(order.source.as_bytes()));
            let parts = [Some(key.as_bytes()), actor, source, Some(order.action.as_bytes())];
            let says = self.says(&mut Vec::new(), parts);
            return Ok(self
                .orders
                .get(at)
                .is_some_and(|it| it.says == says && it.at == order.at));
        }
        // Earlier versions took more actions for orders.
        conn.prepare_cached(
            "SELECT corporate_key = ?2 AND at = ?3 AND actor = ?4 AND source = ?5 AND action = ?6 FROM audit WHERE seq = ?1",
        )?
        .query_row(
            params![order.seq, key, order.at, order.actor, order.source, order.action],
            |row| row.get::<_, Option<bool>>(0),
        )
        .optional()
        .map(|said| said.flatten() == Some(true))
    }

    /// Rows of which nothing is kept, although they are not past retention.
    fn left_out(&self, said: &[bool]) -> impl Iterator<Item = (i64, Finding)> {
        let cutoff = self
            .latest
            .saturating_sub(RETENTION_DAYS.saturating_mul(MICROSECONDS_A_DAY));
        let noted = self.access.iter().zip(said.iter().copied());
        let left_out = noted.filter(move |(row, said)| !said && row.at >= cutoff);
        left_out.map(|(row, _)| {
            let seq = row.seq;
            let what = format!(
                "who had access when is not as audit row {seq} says: nothing, or something else, is kept of it"
            );
            (seq, Finding::new(Some(seq), what, &[]))
        })
    }
}

/// Access in a word.
fn plain(granted: bool) -> &'static [u8] {
    if granted { b"Granted" } else { b"Denied" }
}

impl Span {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        let order = match row.get::<_, Option<i64>>(10)? {
            Some(seq) => Some(KeptOrder {
                seq,
                at: row.get(11)?,
                actor: row.get(12)?,
                source: row.get(13)?,
                action: row.get(14)?,
            }),
            None => None,
        };
        Ok(Self {
            id: row.get(0)?,
            key: row.get(1)?,
            person: row.get(2)?,
            from_at: row.get(3)?,
            seq: row.get(4)?,
            until_at: row.get(5)?,
            since: row.get(6)?,
            granted: row.get(7)?,
            state: row.get(8)?,
            why: row.get(9)?,
            order,
        })
    }

    /// What is wrong with it, with the number of its row.
    fn differs(&self, how: &str) -> (i64, Finding) {
        let from =
            Timestamp::from_microsecond(self.from_at).map_or_else(|_| self.from_at.to_string(), |at| at.to_string());
        let what = format!(
            "who had access when: the stretch of {} from {from} on ({}, audit row {}) was changed: {how}",
            self.id, self.state, self.seq
        );
        let of = format!("{:?} {} {}", self.until_at, self.since, self.granted);
        (self.seq, Finding::new(Some(self.seq), what, &[of.as_bytes()]))
    }

    /// That the last stretch of somebody ends.
    fn must_not_end(&self) -> Option<(i64, Finding)> {
        self.until_at.map(|_| self.differs("it ends, and none follows"))
    }
}
