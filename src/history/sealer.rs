//! What every writer of the audit shares: the keys, the clock, and when retention is due.

use std::{
    fmt,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use jiff::Timestamp;

use crate::{clock::SharedClock, credentials::AuditKeys};

/// How often rows past retention are looked for.
const PRUNE_EVERY: Duration = Duration::from_secs(60);

/// Shared by everybody who writes to the audit.
pub(super) struct Sealer {
    pub keys: AuditKeys,
    clock: SharedClock,
    next_prune: Mutex<Option<Instant>>,
}

impl Sealer {
    pub(super) fn new(keys: AuditKeys, clock: SharedClock) -> Self {
        Self {
            keys,
            clock,
            next_prune: Mutex::default(),
        }
    }

    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Whether retention is to be looked after now; after a yes not for a minute.
    pub(super) fn prune_is_due(&self) -> bool {
        let now = self.clock.monotonic();
        let mut next = self.next_prune.lock().unwrap_or_else(PoisonError::into_inner);
        let due = next.is_none_or(|next| next <= now);
        if due {
            *next = Some(now + PRUNE_EVERY);
        }
        due
    }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealer")
            .field("keys", &self.keys)
            .finish_non_exhaustive()
    }
}
