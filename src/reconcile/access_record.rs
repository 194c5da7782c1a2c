//! Changes of people's access that wait to be written to the history, in the order in which they came into force.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::roster::{AccessChange, Roster};

/// Changes that wait to be written. Collecting never waits for the disk.
#[derive(Debug, Default)]
pub struct AccessRecord {
    waiting: Mutex<Waiting>,
    pub(super) news: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    /// How everybody's access stood when the load was over.
    load: Option<Vec<AccessChange>>,
    /// What changed since.
    changes: Vec<AccessChange>,
}

impl AccessRecord {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes what changed. To be called after anything that may change access; from several threads in any order.
    pub(super) fn collect(&self, roster: &Roster) {
        // Taken while this is locked, so that two of them cannot change places.
        let mut waiting = self.lock();
        let changes = roster.take_access_changes();
        if changes.is_empty() {
            return;
        }
        waiting.changes.extend(changes);
        drop(waiting);
        self.news.notify_one();
    }

    /// The load is over: everybody is compared with what history knows.
    pub(super) fn loaded(&self, roster: &Roster) {
        let mut waiting = self.lock();
        waiting.load = Some(roster.access_in_force());
        waiting.changes.clear();
        drop(waiting);
        self.news.notify_one();
    }

    pub(super) fn take(&self) -> (Option<Vec<AccessChange>>, Vec<AccessChange>) {
        let mut waiting = self.lock();
        (waiting.load.take(), std::mem::take(&mut waiting.changes))
    }
}
