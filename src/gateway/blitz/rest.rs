//! How long a panel is left alone that failed as a whole. Pure.

use std::time::{Duration, Instant};

use super::client::PanelError;
use crate::gateway::retry::Backoff;

/// Whether the panel is left alone, and why.
pub(super) struct Rest {
    /// Not before then is it called again.
    until: Option<(PanelError, Instant)>,
    backoff: Backoff,
}

impl Default for Rest {
    fn default() -> Self {
        Self {
            until: None,
            backoff: Backoff::new(Duration::from_millis(500), Duration::from_secs(10)),
        }
    }
}

impl Rest {
    /// When the panel may be called again; nothing when it may be called now.
    pub(super) fn until(&self, now: Instant) -> Option<Instant> {
        let (_, until) = self.until.as_ref()?;
        (*until > now).then_some(*until)
    }

    /// The panel cannot be called, or its answer says nothing.
    pub(super) fn failed(&mut self, error: PanelError, now: Instant) {
        let wait = if error.is_retryable() {
            self.backoff.wait()
        } else {
            self.backoff.longest()
        };
        self.until = Some((error, now + wait));
    }

    /// The panel did what it was asked for.
    pub(super) fn over(&mut self) {
        self.until = None;
        self.backoff.reset();
    }

    /// It may be called at once, unless only a person can mend what is wrong.
    pub(super) fn interrupt(&mut self) {
        self.until.take_if(|(error, _)| error.is_retryable());
    }

    /// What keeps the panel from being called.
    pub(super) fn error(&self) -> Option<&PanelError> {
        self.until.as_ref().map(|(error, _)| error)
    }
}
