//! What the store met, for whoever asks.

use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use crate::sqlite::Fault;

/// That the file cannot be written at present.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failing {
    /// Since when.
    pub since: Timestamp,
    /// Why, and what to do.
    pub why: String,
}

/// What is wrong with the guard's store.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StoreHealth {
    /// While nothing can be kept.
    pub failing: Option<Failing>,
    /// What could not be read, where it was moved to, until the process ends.
    pub found: Vec<String>,
}

impl StoreHealth {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.failing.is_none() && self.found.is_empty()
    }

    /// What is wrong, one line each.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let failing = self.failing.iter().map(|Failing { since, why }| {
            format!("what the guard decides is not kept since {since}, and would be judged anew after a crash: {why}")
        });
        failing.chain(self.found.iter().cloned()).collect()
    }
}

#[derive(Debug, Default)]
pub(super) struct Health(Mutex<StoreHealth>);

impl Health {
    fn lock(&self) -> MutexGuard<'_, StoreHealth> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn get(&self) -> StoreHealth {
        self.lock().clone()
    }

    /// Keeps what was found, which the log has already.
    pub(super) fn found(&self, lines: Vec<String>) {
        self.lock().found.extend(lines);
    }

    /// Writing failed.
    pub(super) fn failed(&self, fault: &Fault, now: Timestamp) {
        let why = fault.to_string();
        let mut health = self.lock();
        let before = health.failing.take();
        // Once a change, not once a failed attempt.
        if before.as_ref().is_none_or(|before| before.why != why) {
            tracing::error!(
                error = why,
                "what the guard decides cannot be kept; it goes on from memory"
            );
        }
        let since = before.map_or(now, |before| before.since);
        health.failing = Some(Failing { since, why });
    }

    /// Everything is written.
    pub(super) fn works(&self) {
        if self.lock().failing.take().is_some() {
            tracing::info!("what the guard decides is kept again");
        }
    }
}
