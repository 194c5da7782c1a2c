//! What the writer last met, for whoever asks.

use std::sync::{
    Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use super::error::StoreError;

#[derive(Debug, Default)]
struct State {
    error: Option<StoreError>,
    closed: bool,
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
    pub(super) fn failed(&self, error: StoreError, closed: bool) {
        let mut state = self.state();
        // Once a change, not once a failed attempt.
        if state.error.as_ref().map(ToString::to_string) != Some(error.to_string()) {
            tracing::error!(%error, "{} cannot be written; access decisions go on without it", self.name);
        }
        *state = State {
            error: Some(error),
            closed,
        };
    }

    /// Writing works.
    pub(super) fn works(&self) {
        let mut state = self.state();
        if state.error.is_some() {
            tracing::info!("{} is written again", self.name);
            *state = State::default();
        }
    }

    pub(super) fn committed(&self) {
        self.commits.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn commits(&self) -> u64 {
        self.commits.load(Ordering::Relaxed)
    }

    /// The last error, while it lasts.
    pub(super) fn last_error(&self) -> Option<StoreError> {
        self.state().error.clone()
    }

    /// Why nothing can be read.
    pub(super) fn closed(&self) -> Option<StoreError> {
        let state = self.state();
        state.error.clone().filter(|_| state.closed)
    }
}
