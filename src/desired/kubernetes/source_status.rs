//! What is known of the watches, for `/readyz`, `doctor` and metrics.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use jiff::{SignedDuration, Timestamp};

use crate::{clock::SharedClock, desired::SourceHealth};

/// Kinds that have to be listed before anything is decided.
const WATCHES: usize = 3;

/// A watch that goes on where it broke says nothing until something changes. One that fails says so at each attempt, and
/// these are at most half a minute apart: after so long without a word it works.
const SILENCE: SignedDuration = SignedDuration::from_secs(90);

/// A watch that broke.
struct Failing {
    since: Timestamp,
    latest: Timestamp,
    error: String,
}

#[derive(Default)]
struct State {
    listed: BTreeSet<&'static str>,
    failing: BTreeMap<&'static str, Failing>,
    /// By kind and name: objects that this version cannot read.
    unreadable: BTreeMap<(&'static str, String), Arc<str>>,
    /// By kind: names of those in the list that is coming in.
    listing: BTreeMap<&'static str, BTreeSet<String>>,
}

impl Failing {
    fn fails_at(&self, now: Timestamp) -> bool {
        now.duration_since(self.latest).abs() < SILENCE
    }
}

/// What is known of the watches.
pub(super) struct SourceStatus {
    clock: SharedClock,
    state: Mutex<State>,
}

impl SourceStatus {
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
        let before = state.failing.get(kind).filter(|it| it.fails_at(now));
        let failing = Failing {
            since: before.map_or(now, |it| it.since),
            latest: now,
            error: error.to_owned(),
        };
        if state.failing.insert(kind, failing).is_none() {
            tracing::warn!(
                kind,
                error,
                "the watch broke and is begun again: what was known last is in force"
            );
        }
    }

    /// A list of a kind begins.
    pub fn listing(&self, kind: &'static str) {
        self.lock().listing.insert(kind, BTreeSet::new());
    }

    /// A list of a kind is complete: what was not in it is gone.
    pub fn listed(&self, kind: &'static str) {
        let mut state = self.lock();
        state.listed.insert(kind);
        let there = state.listing.remove(kind).unwrap_or_default();
        state
            .unreadable
            .retain(|(of, name), _| *of != kind || there.contains(name));
    }

    /// An object cannot be read.
    pub fn unreadable(&self, kind: &'static str, name: &str, error: &str) {
        let line = format!(
            "{kind} {name}: cannot be read: {error}. Until it can, a hold denies without an end, a user stays as it was known last, and one that is not known is denied. \
             Update the definitions and the operator together, then correct the object"
        );
        tracing::error!("{line}");
        let mut state = self.lock();
        if let Some(there) = state.listing.get_mut(kind) {
            there.insert(name.to_owned());
        }
        state.unreadable.insert((kind, name.to_owned()), line.into());
    }

    /// An object can be read, or is gone.
    pub fn readable(&self, kind: &'static str, name: &str) {
        let mut state = self.lock();
        if !state.unreadable.is_empty() {
            state.unreadable.remove(&(kind, name.to_owned()));
        }
    }

    pub fn health(&self) -> SourceHealth {
        let now = self.clock.now();
        let state = self.lock();
        let broken = || state.failing.iter().filter(|(_, failing)| failing.fails_at(now));
        let failing = broken().map(|(kind, failing)| format!("{kind}: cannot be watched: {}", failing.error).into());
        SourceHealth {
            synced: state.listed.len() >= WATCHES,
            unreadable_since: broken().map(|(_, failing)| failing.since).min(),
            problems: failing.chain(state.unreadable.values().cloned()).collect(),
            // The API server refuses them to the face of whoever edits.
            refused_edits: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;

    #[test]
    fn a_watch_that_says_nothing_for_long_goes_on_again() {
        let clock = ManualClock::at(Timestamp::UNIX_EPOCH);
        let source_status = SourceStatus::new(clock.clone());
        source_status.fails("VpnGateway", "refused");
        clock.advance(std::time::Duration::from_secs(60));
        source_status.fails("VpnGateway", "refused");
        clock.advance(std::time::Duration::from_secs(60));
        let health = source_status.health();
        assert_eq!(health.unreadable_since, Some(Timestamp::UNIX_EPOCH));
        assert_eq!(health.problems.len(), 1);
        clock.advance(std::time::Duration::from_secs(60));
        let health = source_status.health();
        assert!(health.unreadable_since.is_none() && health.problems.is_empty());
    }

    #[test]
    fn what_cannot_be_read_is_said_until_it_can_or_is_gone() {
        let source_status = SourceStatus::new(ManualClock::at(Timestamp::UNIX_EPOCH));
        let count = || source_status.health().problems.len();
        source_status.listing("VpnHold");
        source_status.unreadable("VpnHold", "a", "wrong");
        source_status.unreadable("VpnHold", "b", "wrong");
        source_status.listed("VpnHold");
        source_status.unreadable("VpnHold", "c", "wrong");
        source_status.unreadable("VpnUser", "a", "wrong");
        assert_eq!(count(), 4);
        source_status.readable("VpnHold", "c");
        source_status.listing("VpnHold");
        source_status.unreadable("VpnHold", "a", "wrong");
        assert_eq!(count(), 3, "nothing is gone before the list is complete");
        source_status.listed("VpnHold");
        assert_eq!(count(), 2);
    }
}
