//! An event as it stands in the inbox.

use std::fmt::Write as _;

use jiff::Timestamp;
use rusqlite::Row;

use super::signature::Scheme;

/// What became of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// It is not carried out yet: it takes effect later, or something was in the way.
    Pending,
    /// It is carried out, or counts for nothing because a newer one says otherwise.
    Processed,
    /// The guard holds it back until a person decides.
    HeldBack,
    /// It cannot be carried out as it is.
    Failed,
    /// A person decided that it is not to be carried out.
    Discarded,
}

impl State {
    /// Every state.
    pub const ALL: [Self; 5] = [
        Self::Pending,
        Self::Processed,
        Self::HeldBack,
        Self::Failed,
        Self::Discarded,
    ];

    /// The constant that stands in rows, answers and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Processed => "processed",
            Self::HeldBack => "held_back",
            Self::Failed => "failed",
            Self::Discarded => "discarded",
        }
    }

    /// The state of this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == name)
    }

    /// Whether nothing more will become of it by itself or by a person's word, except a replay.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Processed | Self::Discarded)
    }
}

/// An event that was received and has to be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEvent {
    /// When it arrived.
    pub received_at: Timestamp,
    /// How it was signed.
    pub scheme: Scheme,
    /// The id that its sender gave it.
    pub webhook_id: Option<String>,
    /// SHA-256 of the body as it was sent.
    pub digest: [u8; 32],
    /// The body as it was sent.
    pub body: Vec<u8>,
    /// The text in the body, where that is not the body itself.
    pub text: Option<String>,
    /// `event_type`, as far as it could be read.
    pub event_type: Option<String>,
    /// `corporate_id`, as far as it could be read.
    pub corporate_id: Option<String>,
    /// The event's own time.
    pub said_at: Option<Timestamp>,
    /// The moment by which it is ordered.
    pub ordered_at: Option<Timestamp>,
    /// Id of the request that brought it.
    pub request_id: Option<String>,
    /// Why it cannot be carried out, if that is known already.
    pub failure: Option<String>,
    /// When it takes effect, if nothing is to be done about it before.
    pub later: Option<Timestamp>,
}

impl NewEvent {
    /// The event as it stands in the inbox once it is kept: what reading the row would answer.
    pub(super) fn as_stored(
        &self,
        id: i64,
        state: State,
        reason: Option<String>,
        due_at: Option<Timestamp>,
    ) -> StoredEvent {
        let text = self.text.as_deref();
        StoredEvent {
            id,
            received_at: as_kept(self.received_at),
            scheme: self.scheme,
            webhook_id: self.webhook_id.clone(),
            digest: hex(&self.digest),
            text: text.or_else(|| std::str::from_utf8(&self.body).ok()).map(str::to_owned),
            event_type: self.event_type.clone(),
            corporate_id: self.corporate_id.clone(),
            said_at: self.said_at.map(as_kept),
            ordered_at: self.ordered_at.map(as_kept),
            request_id: self.request_id.clone(),
            state,
            reason,
            hold: None,
            attempts: 0,
            due_at: due_at.map(as_kept),
            scheduled: self.later.is_some(),
            changed_at: as_kept(self.received_at),
        }
    }
}

/// A moment as it is read back.
fn as_kept(at: Timestamp) -> Timestamp {
    Timestamp::from_microsecond(at.as_microsecond()).unwrap_or(at)
}

/// What is said of an event that takes effect later.
#[must_use]
pub fn takes_effect(at: Timestamp) -> String {
    format!("it takes effect at {at}")
}

/// An event in the inbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEvent {
    /// Its number.
    pub id: i64,
    /// When it arrived.
    pub received_at: Timestamp,
    /// How it was signed.
    pub scheme: Scheme,
    /// The id that its sender gave it.
    pub webhook_id: Option<String>,
    /// SHA-256 of the body as it was sent, in hex.
    pub digest: String,
    /// The text in the body; `None` once it is past retention, or when it is no text.
    pub text: Option<String>,
    /// `event_type`, as far as it could be read.
    pub event_type: Option<String>,
    /// `corporate_id`, as far as it could be read.
    pub corporate_id: Option<String>,
    /// The event's own time.
    pub said_at: Option<Timestamp>,
    /// The moment by which it is ordered.
    pub ordered_at: Option<Timestamp>,
    /// Id of the request that brought it.
    pub request_id: Option<String>,
    /// What became of it.
    pub state: State,
    /// Why, for people.
    pub reason: Option<String>,
    /// The hold that it placed, or that does its work.
    pub hold: Option<String>,
    /// How often it was tried.
    pub attempts: i64,
    /// When it is tried next, while it is pending.
    pub due_at: Option<Timestamp>,
    /// That moment was said by HR: nothing is in the way, it takes effect then.
    pub scheduled: bool,
    /// When it came into the state in which it is.
    pub changed_at: Timestamp,
}

/// What became of an event, to be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The state.
    pub state: State,
    /// Why, for people.
    pub reason: Option<String>,
    /// The hold that it placed, or that does its work.
    pub hold: Option<String>,
    /// When to try again. [`State::Pending`] only.
    pub due_at: Option<Timestamp>,
    /// That moment was said by HR: nothing is in the way, it takes effect then.
    pub scheduled: bool,
}

/// Which events to read; what is absent does not matter. Newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// Only those in one of these states; all when empty.
    pub states: Vec<State>,
    /// Only those about this person, in any case.
    pub corporate_id: Option<String>,
    /// Only those of this type.
    pub event_type: Option<String>,
    /// Only those with a lower number.
    pub before: Option<i64>,
}

/// How many events wait.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Waiting {
    /// [`State::Pending`], those that take effect later included.
    pub pending: u64,
    /// [`State::HeldBack`].
    pub held_back: u64,
    /// [`State::Failed`].
    pub failed: u64,
    /// Since when the oldest waits that is pending and was to be carried out by now.
    pub oldest_due: Option<Timestamp>,
    /// When the next one is to be tried.
    pub next_due: Option<Timestamp>,
}

impl Waiting {
    /// How many wait in each state in which one waits.
    #[must_use]
    pub const fn counts(&self) -> [(&'static str, u64); 3] {
        [
            (State::Pending.as_str(), self.pending),
            (State::HeldBack.as_str(), self.held_back),
            (State::Failed.as_str(), self.failed),
        ]
    }
}

/// Columns of [`StoredEvent`].
pub(super) const COLUMNS: &str = "id, received_at, scheme, webhook_id, digest, coalesce(text, body), event_type, corporate_id, said_at, \
                                  ordered_at, request_id, state, reason, hold, attempts, due_at, scheduled, changed_at";

pub(super) fn stored(row: &Row<'_>) -> rusqlite::Result<StoredEvent> {
    let wrong = |at: usize| rusqlite::Error::IntegralValueOutOfRange(at, 0);
    let digest: Vec<u8> = row.get(4)?;
    let text = row.get_ref(5)?;
    let bytes = text.as_bytes_or_null()?;
    Ok(StoredEvent {
        id: row.get(0)?,
        received_at: moment(row, 1)?.ok_or_else(|| wrong(1))?,
        scheme: Scheme::parse(row.get_ref(2)?.as_str()?).ok_or_else(|| wrong(2))?,
        webhook_id: row.get(3)?,
        digest: hex(&digest),
        text: bytes
            .and_then(|bytes| std::str::from_utf8(bytes).ok())
            .map(str::to_owned),
        event_type: row.get(6)?,
        corporate_id: row.get(7)?,
        said_at: moment(row, 8)?,
        ordered_at: moment(row, 9)?,
        request_id: row.get(10)?,
        state: State::parse(row.get_ref(11)?.as_str()?).ok_or_else(|| wrong(11))?,
        reason: row.get(12)?,
        hold: row.get(13)?,
        attempts: row.get(14)?,
        due_at: moment(row, 15)?,
        scheduled: row.get(16)?,
        changed_at: moment(row, 17)?.ok_or_else(|| wrong(17))?,
    })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut digits, byte| {
        // A text takes everything that is written to it.
        let _ = write!(digits, "{byte:02x}");
        digits
    })
}

/// A moment as it is kept: microseconds.
pub(super) fn moment(row: &Row<'_>, at: usize) -> rusqlite::Result<Option<Timestamp>> {
    let micros: Option<i64> = row.get(at)?;
    micros
        .map(|micros| {
            Timestamp::from_microsecond(micros).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(at, micros))
        })
        .transpose()
}
