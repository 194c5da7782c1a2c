//! What a panel is called with next. Pure.
//!
//! A panel works on one call at a time, so one lane a panel decides which: blocks first, the oldest denial before the others; then
//! the list, when something waits for what it shows; then what somebody asked for; then the rest in the order in which it came.
//! Every account is compared with the one list of a cycle, and written only where something differs. Finding the next call looks
//! at no other account.

mod answers;
mod outcomes;
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
    estimate::Estimate,
    links::Reading,
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
        let gone = self.queues.delete(TOGETHER);
        if !gone.is_empty() {
            return Next::Call(Call::Delete(gone));
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

    /// The call that brings an account in line.
    fn write(&self, key: &Arc<str>, now: Timestamp) -> Option<Call> {
        self.accounts.get(key)?.write(key, self.seen.entry(key), now)
    }
}
