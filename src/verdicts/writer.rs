//! The one thread that writes. Whatever waits goes into one transaction, so that it shares one flush of the disk.

use std::{
    sync::{Arc, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::watch;

use super::{Shared, database::Database, pending::Pending};
use crate::clock::SharedClock;

/// Pause after a first failure; it doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// Longest pause between two attempts.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// How often old charges are removed, in a transaction that writes anyway.
const PRUNE_EVERY: Duration = Duration::from_secs(60);

pub(super) struct Writer {
    database: Database,
    shared: Arc<Shared>,
    clock: SharedClock,
    kept: watch::Sender<u64>,
    // Real time: it paces the work and is never kept.
    next_prune: Option<Instant>,
}

impl Writer {
    pub(super) const fn new(
        database: Database,
        shared: Arc<Shared>,
        clock: SharedClock,
        kept: watch::Sender<u64>,
    ) -> Self {
        Self {
            database,
            shared,
            clock,
            kept,
            next_prune: None,
        }
    }

    /// Writes until the store is dropped, and then what is left, if it can be.
    pub(super) fn run(mut self, troubled: bool) {
        let mut pause = troubled.then_some(FIRST_PAUSE);
        loop {
            let (mut batch, closing) = self.shared.next(pause);
            if self.write(&mut batch, pause.is_some()) {
                pause = None;
            } else {
                let left = {
                    let mut inbox = self.shared.inbox();
                    inbox.pending.put_back(batch);
                    inbox.pending.len()
                };
                if closing {
                    if left > 0 {
                        tracing::error!(changes = left, "what the guard decided last could not be kept");
                    }
                    return;
                }
                pause = Some(pause.map_or(FIRST_PAUSE, |pause| (pause * 2).min(LONGEST_PAUSE)));
            }
            for wanted in std::mem::take(&mut self.shared.inbox().copies) {
                // Who waited may have given up.
                let _ = wanted.done.send(self.database.copy(&wanted.target));
            }
            // What was handed over before the store was dropped is in this batch.
            if closing {
                return;
            }
        }
    }

    /// Says whether everything that was handed over until then is durable.
    fn write(&mut self, batch: &mut Pending, troubled: bool) -> bool {
        if !batch.is_empty() || troubled {
            let now = self.clock.now();
            let prune = self.prune_is_due();
            #[cfg(test)]
            if let Some(most) = self.shared.inbox().most_pages {
                self.database.limit_pages(most);
            }
            let outcome = self.database.write(batch, now, prune);
            self.shared.health.found(self.database.take_found());
            if let Err(fault) = outcome {
                self.shared.health.failed(&fault, now);
                return false;
            }
            self.shared.health.works();
        }
        self.kept.send_if_modified(|kept| {
            let rises = batch.seq() > *kept;
            *kept = batch.seq().max(*kept);
            rises
        });
        true
    }

    fn prune_is_due(&mut self) -> bool {
        let now = self.clock.monotonic();
        let due = self.next_prune.is_none_or(|next| next <= now);
        if due {
            self.next_prune = Some(now + PRUNE_EVERY);
        }
        due
    }
}

impl Shared {
    /// What waits, once something does, and whether it is the last; in trouble after a pause.
    fn next(&self, pause: Option<Duration>) -> (Pending, bool) {
        let inbox = self.inbox();
        let mut inbox = match pause {
            None => self.wake.wait_while(inbox, |inbox| !inbox.fresh && !inbox.closing),
            Some(pause) => {
                let waited = self.wake.wait_timeout_while(inbox, pause, |inbox| !inbox.closing);
                waited
                    .map(|(inbox, _)| inbox)
                    .map_err(|poisoned| PoisonError::new(poisoned.into_inner().0))
            }
        }
        .unwrap_or_else(PoisonError::into_inner);
        inbox.fresh = false;
        (inbox.pending.take(), inbox.closing)
    }
}
