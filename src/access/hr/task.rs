//! One event as it is carried out.

use jiff::Timestamp;

use super::SOURCE;
use crate::{
    access::Caller,
    desired::FieldManager,
    history::AuditEntry,
    inbox::{StoredEvent, event::HrEvent},
    model::corporate_id::CorporateId,
};

/// Bytes of an event's digest that stand in the names of holds, as hex digits.
const DIGEST_DIGITS: usize = 8;

/// What is carried out.
pub(super) struct Task {
    /// Number of the event.
    pub event: i64,
    /// The beginning of its digest, which tells its holds from those of others.
    pub digest: String,
    /// Whom it is about.
    pub id: CorporateId,
    /// The moment by which it is ordered.
    pub at: Timestamp,
    /// Why, for people.
    pub reason: Option<String>,
    /// How often it was tried before.
    pub attempts: i64,
    /// When this attempt began.
    pub now: Timestamp,
    /// In whose name.
    pub caller: Caller,
}

impl Task {
    pub(super) fn of(stored: &StoredEvent, event: &HrEvent, at: Timestamp, now: Timestamp) -> Self {
        let actor = match &event.by {
            Some(by) => format!("{by} (HR event {})", stored.id),
            None => format!("HR event {}", stored.id),
        };
        Self {
            event: stored.id,
            digest: stored.digest.chars().take(DIGEST_DIGITS).collect(),
            id: event.corporate_id.clone(),
            at,
            reason: event.reason.clone(),
            attempts: stored.attempts,
            now,
            caller: Caller {
                actor,
                source: SOURCE.to_owned(),
                address: None,
                request_id: stored.request_id.clone(),
                event: Some(stored.id.to_string()),
                manager: FieldManager::Hr,
            },
        }
    }

    /// An audit entry about this event.
    pub(super) fn entry(&self, action: &str) -> AuditEntry {
        let mut entry = self.caller.entry(action, Some(&self.id));
        entry.reason.clone_from(&self.reason);
        entry
    }
}
