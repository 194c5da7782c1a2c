//! What calls came to.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::{Duration, Instant},
};

use super::{Lane, gone};
use crate::gateway::{
    Moment,
    blitz::{
        call::Call,
        client::{Entry, PanelError},
        difference,
        listed::{Drifted, Listed},
        seen::Seen,
    },
};

impl Lane {
    /// A list was answered that was begun at `begun`.
    pub(in crate::gateway::blitz) fn listed(
        &mut self,
        begun: Instant,
        entries: HashMap<String, Entry>,
        now: Moment,
    ) -> Listed {
        let mut listed = Listed::default();
        self.rest.over();
        let first = self.looked.replace(begun).is_none();
        self.seen = Seen::new(begun, entries);
        for account in self.returned() {
            listed.drift.add(Drifted::Returned);
            self.submit(&account, &gone(), now);
        }
        let keys: Vec<Arc<str>> = self.accounts.keys().cloned().collect();
        self.reading.forget();
        for key in keys {
            let Some(managed) = self.accounts.get_mut(&key) else {
                continue;
            };
            let before = managed.facts(&self.panel);
            if let Some(drifted) = managed.listed(self.seen.entry(&key), begun, self.server, now) {
                listed.drift.add(drifted);
            }
            if managed.lets_in() {
                self.reading.offer(&key);
            }
            if first || before != managed.facts(&self.panel) {
                listed.completed.insert(key.to_string());
            }
            self.file(&key, now);
        }
        listed
    }

    /// Accounts that were deleted, and are there again with the operator's mark.
    fn returned(&self) -> Vec<Arc<str>> {
        let entry = |name: &&Arc<str>| self.seen.entry(name);
        let marked = |name: &&Arc<str>| entry(name).is_some_and(difference::is_marked);
        self.deleted.iter().filter(marked).cloned().collect()
    }

    /// A write that was begun at `begun` ended.
    pub(in crate::gateway::blitz) fn wrote(
        &mut self,
        call: &Call,
        begun: Instant,
        result: Result<(), PanelError>,
        now: Moment,
    ) -> HashSet<String> {
        match result {
            // Where there is no such account, it kicks whoever is there under this name, and nobody can log in.
            Ok(()) | Err(PanelError::NoSuchAccount) => self.done(call, begun, now),
            Err(error) => self.failed(call.accounts(), &error, now),
        }
        for key in call.accounts() {
            self.file(key, now);
        }
        call.accounts().iter().map(ToString::to_string).collect()
    }

    fn done(&mut self, call: &Call, begun: Instant, now: Moment) {
        self.rest.over();
        for key in call.accounts() {
            if let Some(managed) = self.accounts.get_mut(key) {
                managed.wrote(call, begun, now);
            }
        }
        self.seen.wrote(call);
    }

    /// A call about accounts failed. What may be wrong with the panel as a whole rests the lane.
    fn failed(&mut self, keys: &[Arc<str>], error: &PanelError, now: Moment) {
        for key in keys {
            if let Some(managed) = self.accounts.get_mut(key) {
                managed.failed(error.clone(), now);
            }
        }
        match error {
            PanelError::Rejected { .. } => {}
            // Somebody made it since the last list, or the answer to ours was lost: the next list says whose it is.
            PanelError::Exists => self.seen.begun = None,
            _ => drop(self.unreachable(error.clone(), now)),
        }
    }

    /// The panel cannot be called, or its answer says nothing. What it was asked for may have been done: it is looked at again.
    /// Answers whether this is news.
    pub(in crate::gateway::blitz) fn unreachable(&mut self, error: PanelError, now: Moment) -> bool {
        let first = self.rest.error().is_none();
        if error.may_be_done() {
            self.seen.begun = None;
        }
        self.rest.failed(error, now.at);
        first
    }

    /// What the last list showed may not be so any more.
    pub(in crate::gateway::blitz) const fn look_again(&mut self) {
        self.seen.begun = None;
    }

    /// Links were read. Those of an account that was gone by then, or in a form that is not `understood`, are read again with the
    /// next cycle. Answers the accounts that wait for them: all that are there, the first time.
    pub(in crate::gateway::blitz) fn read_links(&mut self, understood: bool, now: Moment) -> HashSet<String> {
        self.rest.over();
        let first = self.reading.ended(understood, self.pace.quiet, now.at);
        let there = self.accounts.iter().filter(|(_, managed)| first && managed.lets_in());
        there.map(|(name, _)| name.to_string()).collect()
    }

    /// Links could not be read. They are tried again with the next cycle, so that nothing else waits behind them.
    pub(in crate::gateway::blitz) fn read_no_links(&mut self, error: &PanelError, now: Moment) {
        self.reading.ended(false, self.pace.quiet, now.at);
        if !error.may_be_of_one() {
            self.unreachable(error.clone(), now);
        }
    }

    /// A call was answered as it should be, after this long.
    pub(in crate::gateway::blitz) fn took(&mut self, operation: &'static str, took: Duration) {
        self.estimate.made(operation, took);
    }
}
