//! Audit entries, and bounded waits for what is observed.

use std::time::Duration;

use serde_json::Value;

use super::{Caller, Dependencies, Result, Why, canonical};
use crate::{history::AuditEntry, model::corporate_id::CorporateId};

/// First and longest pause between two looks at memory while something is awaited that announces itself nowhere.
const SHORTEST: Duration = Duration::from_millis(1);
/// See [`SHORTEST`].
const LONGEST: Duration = Duration::from_millis(10);

/// Changes of the roster that are followed at once; afterwards a wait only looks now and then.
const EAGER: u32 = 32;

/// Longest that something in force waits for a disk.
const DISK_TIMEOUT: Duration = Duration::from_secs(2);

/// How long an answer about somebody waits for the guard's store.
const ANSWER_TIMEOUT: Duration = Duration::from_millis(500);

impl Caller {
    /// An audit entry of this caller.
    pub(super) fn entry(&self, action: &str, id: Option<&CorporateId>) -> AuditEntry {
        AuditEntry {
            actor: self.actor.clone(),
            source: self.source.clone(),
            action: action.to_owned(),
            corporate_id: id.map(|id| canonical(id).into()),
            request_id: self.request_id.clone(),
            address: self.address.clone(),
            event: self.event.clone(),
            ..AuditEntry::default()
        }
    }
}

impl Why {
    /// `after` of an audit row, with what of the order could not be taken as it came.
    pub(super) fn after(&self, mut after: Value) -> String {
        if let (Value::Object(fields), false) = (&mut after, self.remarks.is_empty()) {
            fields.insert("remarks".to_owned(), self.remarks.clone().into());
        }
        json(&after)
    }
}

/// Short JSON for `before` and `after`.
pub(super) fn json(value: &Value) -> String {
    value.to_string()
}

impl Dependencies {
    /// Writes the audit row that must stand before access is given. Nothing may have been changed yet.
    pub(super) async fn audit_before(&self, entry: AuditEntry) -> Result<()> {
        self.audit_all_before(vec![entry]).await
    }

    /// As [`Self::audit_before`], for several people at once.
    pub(super) async fn audit_all_before(&self, entries: Vec<AuditEntry>) -> Result<()> {
        if let Some(error) = self.journal.last_error() {
            return Err(error.into());
        }
        Ok(self.journal.audit(entries).await?)
    }

    /// Says in the audit that what was announced did not happen.
    pub(super) async fn audit_failure(&self, mut entry: AuditEntry, error: &(dyn std::error::Error + Sync)) {
        entry.action.push_str(".failed");
        entry.reason = Some(error.to_string());
        if let Err(error) = self.journal.audit(vec![entry]).await {
            tracing::warn!(%error, "a failure could not be written to the audit");
        }
    }

    /// Writes audit rows of a denial that is in force, and gives up waiting for a stuck disk.
    pub(super) async fn audit_denial(&self, entry: AuditEntry) {
        self.audit_denials(vec![entry]).await;
    }

    /// As [`Self::audit_denial`], for several people at once.
    pub(super) async fn audit_denials(&self, entries: Vec<AuditEntry>) {
        let written = tokio::time::timeout(DISK_TIMEOUT, self.journal.audit_denial(entries)).await;
        if written.is_err() {
            tracing::warn!("history did not take a row of the audit in time; what it speaks of does not wait for it");
        }
    }

    /// Waits, for a bounded time, until what the guard knows would outlive a crash. Says whether it would.
    pub(super) async fn guard_kept(&self) -> bool {
        let kept = tokio::time::timeout(DISK_TIMEOUT, self.people.guard_kept()).await;
        if kept.is_err() {
            tracing::warn!("what the guard knows is in force, and would not outlive a crash yet");
        }
        kept.is_ok()
    }

    /// Waits a moment, so that an answer which is about to be given speaks of nothing that a crash could undo.
    pub(super) async fn answerable(&self) {
        // A store that cannot be written is told by readiness and an alert, and holds no answer up for long.
        let _ = tokio::time::timeout(ANSWER_TIMEOUT, self.people.guard_kept()).await;
    }

    /// Waits until `look` answers something, at most `wait`. Looks after every change of the roster, and besides every few
    /// milliseconds, because objects and gateways announce themselves elsewhere.
    pub(super) async fn until<T>(&self, wait: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
        let mut changes = self.people.changes();
        let deadline = tokio::time::Instant::now() + wait;
        let mut pause = SHORTEST;
        let mut woken = 0;
        loop {
            if let Some(found) = look() {
                return Some(found);
            }
            if tokio::time::Instant::now() >= deadline {
                return None;
            }
            // Many changes of other people must not turn many waits into spinning.
            let listens = woken < EAGER;
            let announced = tokio::select! {
                changed = changes.changed(), if listens => changed.is_ok(),
                () = tokio::time::sleep(pause) => false,
            };
            if announced {
                woken += 1;
                pause = SHORTEST;
            } else {
                pause = (pause * 2).min(LONGEST);
            }
        }
    }
}
