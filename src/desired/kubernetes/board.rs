//! What is known of the watches, for `/readyz`, `doctor` and metrics.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use jiff::Timestamp;

use crate::{clock::SharedClock, desired::SourceHealth};

/// Kinds that have to be listed before anything is decided.
const WATCHES: usize = 3;

#[derive(Default)]
struct State {
    listed: BTreeSet<&'static str>,
    failing: BTreeMap<&'static str, (Timestamp, String)>,
    /// By kind and name: objects that this version cannot read.
    unreadable: BTreeMap<(&'static str, String), Arc<str>>,
}

/// What is known of the watches.
pub(super) struct Board {
    clock: SharedClock,
    state: Mutex<State>,
}

impl Board {
    pub fn new(clock: SharedClock) -> Arc<Self> {
        Arc::new(Self {
            clock,
            state: Mutex::default(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A watch delivered something.
    pub fn works(&self, kind: &'static str) {
        if self.lock().failing.remove(kind).is_some() {
            tracing::info!(kind, "watched again");
        }
    }

    /// A watch broke. It is tried again.
    pub fn fails(&self, kind: &'static str, error: &str) {
        let now = self.clock.now();
        let mut state = self.lock();
        let since = state.failing.get(kind).map_or(now, |(since, _)| *since);
        if state.failing.insert(kind, (since, error.to_owned())).is_none() {
            tracing::warn!(
                kind,
                error,
                "the watch broke and is begun again: what was known last is in force"
            );
        }
    }

    /// The first list of a kind is complete.
    pub fn listed(&self, kind: &'static str) {
        self.lock().listed.insert(kind);
    }

    /// An object cannot be read; `None` when it can again.
    pub fn unreadable(&self, kind: &'static str, name: &str, error: Option<String>) {
        let mut state = self.lock();
        let key = (kind, name.to_owned());
        match error {
            Some(error) => {
                let line = format!(
                    "{kind} {name}: cannot be read, what was known of it stays in force: {error}. Update the definitions, then correct the object"
                );
                tracing::error!("{line}");
                state.unreadable.insert(key, line.into());
            }
            None => drop(state.unreadable.remove(&key)),
        }
    }

    pub fn health(&self) -> SourceHealth {
        let state = self.lock();
        let failing = state
            .failing
            .iter()
            .map(|(kind, (_, error))| format!("{kind}: cannot be watched: {error}").into());
        SourceHealth {
            synced: state.listed.len() >= WATCHES,
            unreadable_since: state.failing.values().map(|(since, _)| *since).min(),
            problems: failing.chain(state.unreadable.values().cloned()).collect(),
        }
    }
}
