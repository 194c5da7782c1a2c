//! What a panel is called with next. Pure.
//!
//! A panel works on one call at a time, so one lane a panel decides which: blocks first, the oldest denial before the others; then
//! the list, when something waits for what it shows; then what somebody asked for; then the rest in the order in which it came.
//! Every account is compared with the one list of a cycle, and written only where something differs. Finding the next call looks
//! at no other account.

mod answers;
mod server;

use std::{
    collections::{HashMap, HashSet},
    mem,
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::Timestamp;

use super::{
    call::{Call, TOGETHER},
    client::{Entry, PanelError},
    difference,
    estimate::Estimate,
    links::Reading,
    listed::{Drifted, Listed},
    managed::Managed,
    queues::Queues,
    rest::Rest,
    seen::Seen,
};
use crate::{
    gateway::{Moment, Target, TargetAccess},
    model::session::Epoch,
};

/// What to do now.
#[derive(Debug)]
pub(super) enum Next {
    /// Make this call, and say how it ended.
    Call(Call),
    /// There is nothing to do until then, or until a target is handed over.
    Wait(Instant),
}

/// How often the panel is asked who is there.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    /// While nothing is to be proved.
    pub(super) quiet: Duration,
    /// While a revocation waits for what is shown.
    pub(super) watchful: Duration,
}

pub(super) struct Lane {
    /// As the panel is called in what waits for its word.
    panel: String,
    pace: Pace,
    accounts: HashMap<Arc<str>, Managed>,
    /// Accounts of people who are gone, which were deleted since the start of this process.
    deleted: HashSet<Arc<str>>,
    seen: Seen,
    numbered: u64,
    queues: Queues,
    estimate: Estimate,
    reading: Reading,
    /// When the last list that was answered was begun.
    looked: Option<Instant>,
    rest: Rest,
    /// The panel's server is asked and kicked as well.
    server: bool,
    /// Accounts whose sessions have to go.
    ending: HashSet<Arc<str>>,
    /// Accounts that were let go as they are.
    let_go: HashSet<Arc<str>>,
}

/// What is wanted of an account that nobody wants any more.
fn gone() -> Target {
    Target {
        access: TargetAccess::Absent,
        epoch: Epoch::default(),
        account: Arc::default(),
        revoke: None,
    }
}

impl Lane {
    pub(super) fn new(panel: &str, pace: Pace) -> Self {
        Self {
            panel: panel.to_owned(),
            pace,
            accounts: HashMap::new(),
            deleted: HashSet::new(),
            seen: Seen::default(),
            numbered: 0,
            queues: Queues::default(),
            estimate: Estimate::default(),
            reading: Reading::default(),
            looked: None,
            rest: Rest::default(),
            server: false,
            ending: HashSet::new(),
            let_go: HashSet::new(),
        }
    }

    /// Takes a target. Answers whether there may be something to do.
    pub(super) fn submit(&mut self, account: &str, target: &Target, now: Moment) -> bool {
        let key: Arc<str> = match self.accounts.get_key_value(account) {
            Some((_, managed)) if managed.target == *target => return false,
            Some((key, _)) => key.clone(),
            None => account.into(),
        };
        self.deleted.remove(account);
        self.numbered += 1;
        let number = self.numbered;
        if target.revoke.is_some() {
            // A denial does not wait for what others ran into.
            self.rest.interrupt();
        }
        let managed = self.accounts.entry(key.clone());
        let managed = managed.or_insert_with(|| Managed::new(target.clone(), number));
        managed.submit(target, self.seen.entry(account), self.seen.is_known(), self.server, now);
        self.let_go.remove(account);
        self.file(&key, now);
        true
    }

    /// Somebody waits for this account.
    pub(super) fn ask(&mut self, account: &str, now: Moment) -> bool {
        let Some((key, managed)) = self.accounts.get_key_value(account) else {
            return false;
        };
        let (key, first) = (key.clone(), !managed.asked);
        if let Some(managed) = self.accounts.get_mut(&key) {
            managed.asked = true;
        }
        if first {
            self.file(&key, now);
        }
        first
    }

    /// Nothing more is wanted of an account. One that was deleted is deleted again if it comes back with an older backup.
    pub(super) fn forget(&mut self, account: &str) {
        if let Some((key, managed)) = self.accounts.remove_entry(account) {
            self.queues.take(&key, managed.filed);
            self.ending.remove(&key);
            if managed.is_let_go() {
                self.let_go.insert(key.clone());
            }
            if managed.is_deleted() {
                self.deleted.insert(key);
            }
        }
    }

    /// Puts an account where its next call is found.
    fn file(&mut self, key: &Arc<str>, now: Moment) {
        let Some(managed) = self.accounts.get_mut(key) else {
            return;
        };
        self.queues.take(key, managed.filed);
        managed.filed = managed.place(self.seen.entry(key), self.seen.is_known(), now);
        self.queues.put(key, managed.filed);
        if managed.ends_sessions() {
            self.ending.insert(key.clone());
        } else {
            self.ending.remove(key);
        }
    }

    /// What to do now.
    pub(super) fn next(&mut self, now: Moment) -> Next {
        if let Some(until) = self.rest.until(now.at) {
            return Next::Wait(until);
        }
        while let Some((_, key)) = self.queues.again().filter(|(until, _)| *until <= now.at).cloned() {
            self.file(&key, now);
        }
        if let Some(key) = self.queues.block() {
            return Next::Call(Call::Block(key.clone()));
        }
        let pace = if self.queues.wait_for_a_list() {
            self.pace.watchful
        } else {
            self.pace.quiet
        };
        let due = self.seen.begun.map(|begun| begun + pace);
        if due.is_none_or(|due| due <= now.at) {
            return Next::Call(Call::List);
        }
        if let Some(call) = self.delete() {
            return Next::Call(call);
        }
        if let Some(witness) = self.reading.due(now.at) {
            return Next::Call(Call::Links(witness.clone()));
        }
        while let Some(key) = self.queues.write().cloned() {
            if let Some(call) = self.write(&key, now.utc) {
                return Next::Call(call);
            }
            if let Some(managed) = self.accounts.get_mut(&key) {
                self.queues.take(&key, mem::take(&mut managed.filed));
            }
        }
        let again = self.queues.again().map(|(until, _)| *until);
        Next::Wait(due.into_iter().chain(again).min().unwrap_or(now.at))
    }

    /// The call that deletes those that are to be deleted: all at once, but for those with which that failed.
    fn delete(&self) -> Option<Call> {
        let failed = |key: &&Arc<str>| {
            self.accounts
                .get(&***key)
                .is_some_and(|managed| managed.failing.is_some())
        };
        let mut together: Vec<Arc<str>> = self
            .queues
            .deletes()
            .filter(|key| !failed(key))
            .take(TOGETHER)
            .cloned()
            .collect();
        if together.is_empty() {
            together.extend(self.queues.deletes().next().cloned());
        }
        (!together.is_empty()).then_some(Call::Delete(together))
    }

    /// The call that brings an account in line.
    fn write(&self, key: &Arc<str>, now: Timestamp) -> Option<Call> {
        self.accounts.get(key)?.write(key, self.seen.entry(key), now)
    }

    /// A list was answered that was begun at `begun`.
    pub(super) fn listed(&mut self, begun: Instant, entries: HashMap<String, Entry>, now: Moment) -> Listed {
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
    pub(super) fn wrote(
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
    pub(super) fn unreachable(&mut self, error: PanelError, now: Moment) -> bool {
        let first = self.rest.error().is_none();
        if error.may_be_done() {
            self.seen.begun = None;
        }
        self.rest.failed(error, now.at);
        first
    }

    /// What the last list showed may not be so any more.
    pub(super) const fn look_again(&mut self) {
        self.seen.begun = None;
    }

    /// Links were read. Those of an account that was gone by then, or in a form that is not `understood`, are read again with the
    /// next cycle. Answers the accounts that wait for them: all that are there, the first time.
    pub(super) fn read_links(&mut self, understood: bool, now: Moment) -> HashSet<String> {
        self.rest.over();
        let first = self.reading.ended(understood, self.pace.quiet, now.at);
        let there = self.accounts.iter().filter(|(_, managed)| first && managed.lets_in());
        there.map(|(name, _)| name.to_string()).collect()
    }

    /// Links could not be read. They are tried again with the next cycle, so that nothing else waits behind them.
    pub(super) fn read_no_links(&mut self, error: &PanelError, now: Moment) {
        self.reading.ended(false, self.pace.quiet, now.at);
        if !error.may_be_of_one() {
            self.unreachable(error.clone(), now);
        }
    }

    /// A call was answered as it should be, after this long.
    pub(super) fn took(&mut self, operation: &'static str, took: Duration) {
        self.estimate.made(operation, took);
    }
}
