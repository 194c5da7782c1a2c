//! What the writer last met, for whoever asks.

use std::sync::{
    Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use jiff::Timestamp;

use super::error::StoreError;

#[derive(Debug, Default)]
struct State {
    /// Since when, and why.
    error: Option<(Timestamp, StoreError)>,
    closed: bool,
    found: Vec<String>,
}

/// Shared by the writer and everybody who asks.
#[derive(Debug)]
pub(super) struct Health {
    /// Name of the store.
    name: &'static str,
    state: Mutex<State>,
    commits: AtomicU64,
}

impl Health {
    pub(super) fn of(name: &'static str) -> Self {
        Self {
            name,
            state: Mutex::default(),
            commits: AtomicU64::new(0),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writing failed; `closed` says that the file is not open, so that nothing can be read either.
    pub(super) fn failed(&self, error: StoreError, closed: bool, now: Timestamp) {
        let mut state = self.state();
        let before = state.error.take();
        let is_same = |(_, before): &(Timestamp, StoreError)| before.to_string() == error.to_string();
        // Once a change, not once a failed attempt.
        if !before.as_ref().is_some_and(is_same) {
            tracing::error!(%error, "{} cannot be written; access decisions go on without it", self.name);
        }
        let since = before.map_or(now, |(since, _)| since);
        (state.error, state.closed) = (Some((since, error)), closed);
    }

    /// The file is open, so that it can be read; whether it can be written is not known yet.
    pub(super) fn opened(&self) {
        self.state().closed = false;
    }

    /// Writing works.
    pub(super) fn works(&self) {
        let mut state = self.state();
        if state.error.take().is_some() {
            tracing::info!("{} is written again", self.name);
        }
        state.closed = false;
    }

    /// Something was wrong with the file, and this became of it.
    pub(super) fn found(&self, line: String) {
        tracing::error!("{line}");
        self.state().found.push(line);
    }

    /// What was found wrong with the file since it was opened.
    pub(super) fn all_found(&self) -> Vec<String> {
        self.state().found.clone()
    }

    pub(super) fn committed(&self) {
        self.commits.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn commits(&self) -> u64 {
        self.commits.load(Ordering::Relaxed)
    }

    /// The last error and since when it lasts, while it does.
    pub(super) fn failing(&self) -> Option<(Timestamp, StoreError)> {
        self.state().error.clone()
    }

    /// The last error, while it lasts.
    pub(super) fn last_error(&self) -> Option<StoreError> {
        self.failing().map(|(_, error)| error)
    }

    /// Why nothing can be read.
    pub(super) fn closed(&self) -> Option<StoreError> {
        let state = self.state();
        state.error.clone().map(|(_, error)| error).filter(|_| state.closed)
    }
}
