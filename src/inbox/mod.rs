//! Events of the HR system: who sent them, what they say, which of them counts, and the inbox in which each is durable before it
//! is answered.
//!
//! Signatures, bodies and the order are pure. Nothing here decides about access or touches desired state; what an event comes to
//! is a use case.

pub mod event;
mod forget;
mod keys;
pub mod order;
mod row;
mod schema;
pub mod signature;
#[cfg(test)]
mod tests;

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, ToSql, params, params_from_iter};

use self::row::{COLUMNS, moment, stored};
pub use self::{
    forget::ForgottenEvents,
    row::{EventFilter, NewEvent, Outcome, State, StoredEvent, Waiting, takes_effect},
    schema::{RETENTION_DAYS, schema},
};
use crate::{
    clock::SharedClock,
    store::{Store, StoreError},
};

/// Name of the file in the data folder.
pub const INBOX_FILE: &str = "inbox.db";

/// What became of an event that arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Accepted {
    /// It is new, and durable.
    New(StoredEvent),
    /// It was there already.
    Again(StoredEvent),
}

/// The inbox. Cheap to clone. Every write is durable when it returns.
#[derive(Clone)]
pub struct Inbox {
    store: Store,
    /// Rises with every change.
    version: Arc<AtomicU64>,
}

impl Inbox {
    /// Opens the inbox. One that cannot be opened now answers errors, and is tried again.
    ///
    /// # Errors
    /// No thread can be started.
    pub fn open_or_retry(path: &Path, clock: SharedClock) -> Result<Self, StoreError> {
        Ok(Self {
            store: Store::open_or_retry(path, schema(), clock)?,
            version: Arc::default(),
        })
    }

    /// Rises with every event that is kept or changed by this process.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version.load(Ordering::Relaxed)
    }

    fn changed(&self) {
        self.version.fetch_add(1, Ordering::Relaxed);
    }

    /// The last error of the writer, while it lasts.
    #[must_use]
    pub fn last_error(&self) -> Option<StoreError> {
        self.store.last_error()
    }

    /// Keeps an event, unless it is there already: by the id that its sender gave it, or, where it gave none, by its body.
    ///
    /// One that comes with the id of another is kept as failed: the sender numbers its events wrongly, and which of them it meant
    /// to repeat is not known.
    ///
    /// # Errors
    /// Nothing was written.
    pub async fn accept(&self, event: NewEvent) -> Result<Accepted, StoreError> {
        let accepted = self.store.write(move |conn| accept(conn, &event)).await?;
        self.changed();
        Ok(accepted)
    }

    /// One event.
    ///
    /// # Errors
    /// The file cannot be read.
    pub async fn get(&self, id: i64) -> Result<Option<StoredEvent>, StoreError> {
        self.store.read(move |conn| get(conn, id)).await
    }

    /// Events that fit the filter, newest first.
    ///
    /// # Errors
    /// The file cannot be read.
    pub async fn list(&self, filter: EventFilter, limit: u32) -> Result<Vec<StoredEvent>, StoreError> {
        self.store.read(move |conn| list(conn, &filter, limit)).await
    }

    /// Events that are pending and due, the oldest first.
    ///
    /// # Errors
    /// The file cannot be read.
    pub async fn due(&self, now: Timestamp, limit: u32) -> Result<Vec<StoredEvent>, StoreError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM events WHERE state = 'pending' AND due_at <= ?1 ORDER BY due_at, id LIMIT ?2"
        );
        self.store
            .read(move |conn| {
                let mut query = conn.prepare_cached(&sql)?;
                query.query_map(params![now.as_microsecond(), limit], stored)?.collect()
            })
            .await
    }

    /// Events that the guard holds back, the oldest first.
    ///
    /// # Errors
    /// The file cannot be read.
    pub async fn held_back(&self, after: i64, limit: u32) -> Result<Vec<StoredEvent>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM events WHERE state = 'held_back' AND id > ?1 ORDER BY id LIMIT ?2");
        self.store
            .read(move |conn| {
                let mut query = conn.prepare_cached(&sql)?;
                query.query_map(params![after, limit], stored)?.collect()
            })
            .await
    }

    /// Keeps what became of an event; one that is final stays as it is, unless it is `again` that a person wants it carried out.
    /// Answers the event as it stands then.
    ///
    /// # Errors
    /// Nothing was written.
    pub async fn settle(&self, id: i64, outcome: Outcome, again: bool) -> Result<Option<StoredEvent>, StoreError> {
        let now = self.store.now();
        let settled = self
            .store
            .write(move |conn| settle(conn, id, &outcome, again, now))
            .await?;
        self.changed();
        Ok(settled)
    }

    /// When HR activated a person last, as far as events were carried out.
    ///
    /// # Errors
    /// The file cannot be read.
    pub async fn activated_at(&self, key: String) -> Result<Option<Timestamp>, StoreError> {
        self.store
            .read(move |conn| {
                conn.prepare_cached("SELECT at FROM activations WHERE corporate_key = ?1")?
                    .query_row([key], |row| moment(row, 0))
                    .optional()
                    .map(Option::flatten)
            })
            .await
    }

    /// Keeps that HR activated a person; an older time changes nothing.
    ///
    /// # Errors
    /// Nothing was written.
    pub async fn activate(&self, key: String, at: Timestamp) -> Result<(), StoreError> {
        self.store
            .write(move |conn| {
                conn.prepare_cached(
                    "INSERT INTO activations (corporate_key, at) VALUES (?1, ?2) \
                     ON CONFLICT DO UPDATE SET at = excluded.at WHERE excluded.at > at",
                )?
                .execute(params![key, at.as_microsecond()])
                .map(drop)
            })
            .await
    }

    /// How many events wait, and since when.
    ///
    /// # Errors
    /// The file cannot be read.
    pub async fn waiting(&self) -> Result<Waiting, StoreError> {
        let now = self.store.now();
        self.store.read(move |conn| waiting(conn, now)).await
    }
}

fn accept(conn: &Connection, event: &NewEvent) -> rusqlite::Result<Accepted> {
    let mut failure = event.failure.clone();
    let known = match &event.webhook_id {
        None => one(conn, "digest = ?1 ORDER BY id LIMIT 1", &[&event.digest])?,
        Some(id) => {
            let same = one(conn, "webhook_id = ?1 AND digest = ?2 LIMIT 1", &[id, &event.digest])?;
            if same.is_none()
                && let Some(other) = one(conn, "webhook_id = ?1 ORDER BY id LIMIT 1", &[id])?
            {
                failure = Some(format!(
                    "webhook-id: event {} came with the same id and another body: give every event an id of its own",
                    other.id
                ));
            }
            same
        }
    };
    if let Some(known) = known {
        return Ok(Accepted::Again(known));
    }
    let (state, due) = match failure {
        Some(_) => (State::Failed, None),
        None => (State::Pending, Some(event.later.unwrap_or(event.received_at))),
    };
    let reason = failure.or_else(|| event.later.map(takes_effect));
    let micros = |at: Option<Timestamp>| at.map(Timestamp::as_microsecond);
    conn.prepare_cached(
        "INSERT INTO events (received_at, scheme, webhook_id, digest, body, text, event_type, corporate_id, corporate_key, said_at, \
         ordered_at, request_id, state, reason, due_at, scheduled, changed_at) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?1)",
    )?
    .execute(params![
        event.received_at.as_microsecond(),
        event.scheme.as_str(),
        event.webhook_id,
        event.digest,
        event.body,
        event.text,
        event.event_type,
        event.corporate_id,
        event.corporate_id.as_deref().map(str::to_ascii_lowercase),
        micros(event.said_at),
        micros(event.ordered_at),
        event.request_id,
        state.as_str(),
        reason,
        micros(due),
        event.later.is_some(),
    ])?;
    Ok(Accepted::New(event.as_stored(
        conn.last_insert_rowid(),
        state,
        reason,
        due,
    )))
}

fn one(conn: &Connection, condition: &str, values: &[&dyn ToSql]) -> rusqlite::Result<Option<StoredEvent>> {
    conn.prepare_cached(&format!("SELECT {COLUMNS} FROM events WHERE {condition}"))?
        .query_row(values, stored)
        .optional()
}

fn get(conn: &Connection, id: i64) -> rusqlite::Result<Option<StoredEvent>> {
    one(conn, "id = ?1", &[&id])
}

fn list(conn: &Connection, filter: &EventFilter, limit: u32) -> rusqlite::Result<Vec<StoredEvent>> {
    let key = filter.corporate_id.as_deref().map(str::to_ascii_lowercase);
    // Words of this program alone.
    let states: Vec<String> = filter
        .states
        .iter()
        .map(|state| format!("'{}'", state.as_str()))
        .collect();
    let mut sql = format!("SELECT {COLUMNS} FROM events WHERE 1");
    let mut values: Vec<&dyn ToSql> = Vec::new();
    if !states.is_empty() {
        sql.extend([" AND state IN (", &states.join(","), ")"]);
    }
    let conditions: [(&str, Option<&dyn ToSql>); 3] = [
        (" AND corporate_key = ?", key.as_ref().map(|value| value as _)),
        (
            " AND event_type = ?",
            filter.event_type.as_ref().map(|value| value as _),
        ),
        (" AND id < ?", filter.before.as_ref().map(|value| value as _)),
    ];
    for (condition, value) in conditions {
        if let Some(value) = value {
            sql.push_str(condition);
            values.push(value);
        }
    }
    sql.push_str(" ORDER BY id DESC LIMIT ?");
    values.push(&limit);
    conn.prepare_cached(&sql)?
        .query_map(params_from_iter(values), stored)?
        .collect()
}

fn settle(
    conn: &Connection,
    id: i64,
    outcome: &Outcome,
    again: bool,
    now: Timestamp,
) -> rusqlite::Result<Option<StoredEvent>> {
    conn.prepare_cached(
        "UPDATE events SET attempts = attempts + 1, changed_at = iif(state = ?2, changed_at, ?6), state = ?2, reason = ?3, \
         hold = coalesce(?4, hold), due_at = ?5, scheduled = ?8 \
         WHERE id = ?1 AND (state NOT IN ('processed', 'discarded') OR (?7 AND state = 'discarded'))",
    )?
    .execute(params![
        id,
        outcome.state.as_str(),
        outcome.reason,
        outcome.hold,
        outcome.due_at.map(Timestamp::as_microsecond),
        now.as_microsecond(),
        again,
        outcome.scheduled,
    ])?;
    get(conn, id)
}

fn waiting(conn: &Connection, now: Timestamp) -> rusqlite::Result<Waiting> {
    let mut waiting = Waiting::default();
    let mut query = conn.prepare_cached(
        "SELECT state, count(*) FROM events WHERE state IN ('pending', 'held_back', 'failed') GROUP BY state",
    )?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        let count = row.get::<_, i64>(1)?.unsigned_abs();
        match State::parse(row.get_ref(0)?.as_str()?) {
            Some(State::Pending) => waiting.pending = count,
            Some(State::HeldBack) => waiting.held_back = count,
            Some(State::Failed) => waiting.failed = count,
            _ => {}
        }
    }
    // What takes effect later waits for its time alone; what is tried again waits since it came.
    waiting.oldest_due = conn
        .prepare_cached(
            "SELECT min(iif(scheduled, due_at, received_at)) FROM events \
             WHERE state = 'pending' AND (NOT scheduled OR due_at <= ?1)",
        )?
        .query_row([now.as_microsecond()], |row| moment(row, 0))?;
    waiting.next_due = conn
        .prepare_cached("SELECT min(due_at) FROM events WHERE state = 'pending'")?
        .query_row([], |row| moment(row, 0))?;
    Ok(waiting)
}
