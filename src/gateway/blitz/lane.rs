//! What a panel is called with next. Pure.
//!
//! A panel works on one call at a time, so one lane a panel decides which: blocks first, the oldest denial before the others; then
//! the list, when something waits for what it shows; then what somebody asked for; then the rest in the order in which it came.
//! Every account is compared with the one list of a cycle, and written only where something differs. Finding the next call looks
//! at no other account.

use std::{
    collections::{HashMap, HashSet},
    mem,
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use secrecy::SecretString;

use super::{
    call::Call,
    client::{Entry, PanelError},
    difference,
    estimate::Estimate,
    links::Reading,
    managed::{Drifted, Managed},
    proof::BLIND,
    queues::Queues,
    rest::Rest,
    seen::Seen,
};
use crate::{
    gateway::{Backlog, Moment, Observation, Target, Work},
    model::user::AccountPresence,
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

/// What happened to accounts that the operator had brought in line, and that somebody else changed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Drift {
    /// Accounts that are not there any more.
    pub(super) gone: usize,
    /// Accounts that are not as they were.
    pub(super) changed: usize,
}

/// What a list brought.
#[derive(Debug, Default)]
pub(super) struct Listed {
    /// Accounts about which something became known.
    pub(super) completed: HashSet<String>,
    pub(super) drift: Drift,
}

pub(super) struct Lane {
    /// As the panel is called in what waits for its word.
    panel: String,
    pace: Pace,
    accounts: HashMap<Arc<str>, Managed>,
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

impl Lane {
    pub(super) fn new(panel: &str, pace: Pace) -> Self {
        Self {
            panel: panel.to_owned(),
            pace,
            accounts: HashMap::new(),
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

    /// Whether the panel's server is asked and kicked as well, from now on.
    pub(super) fn ask_server(&mut self, asked: bool, now: Moment) {
        self.server = asked;
        let keys: Vec<Arc<str>> = self.ending.iter().cloned().collect();
        for key in keys {
            if let Some(managed) = self.accounts.get_mut(&key) {
                managed.ask_server(asked, now);
            }
            self.file(&key, now);
        }
    }

    /// Takes a target. Answers whether there may be something to do.
    pub(super) fn submit(&mut self, account: &str, target: &Target, now: Moment) -> bool {
        let key: Arc<str> = match self.accounts.get_key_value(account) {
            Some((_, managed)) if managed.target == *target => return false,
            Some((key, _)) => key.clone(),
            None => account.into(),
        };
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

    pub(super) fn forget(&mut self, account: &str) {
        if let Some((key, managed)) = self.accounts.remove_entry(account) {
            self.queues.take(&key, managed.filed);
            self.ending.remove(&key);
            if managed.is_let_go() {
                self.let_go.insert(key);
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
        if let Some(key) = self.queues.delete() {
            return Next::Call(Call::Delete(key.clone()));
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
        Next::Wait(due.unwrap_or(now.at))
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
        let keys: Vec<Arc<str>> = self.accounts.keys().cloned().collect();
        self.reading.forget();
        for key in keys {
            let Some(managed) = self.accounts.get_mut(&key) else {
                continue;
            };
            let before = managed.facts(&self.panel);
            match managed.listed(self.seen.entry(&key), begun, self.server, now) {
                Some(Drifted::Gone) => listed.drift.gone += 1,
                Some(Drifted::Changed) => listed.drift.changed += 1,
                None => {}
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

    /// A write that was begun at `begun` ended.
    pub(super) fn wrote(
        &mut self,
        call: &Call,
        begun: Instant,
        result: Result<(), PanelError>,
        now: Moment,
    ) -> HashSet<String> {
        let (Call::Block(key) | Call::Add(key, _) | Call::Change(key, _) | Call::Delete(key)) = call else {
            return HashSet::new();
        };
        match result {
            // Where there is no such account, it kicks whoever is there under this name, and nobody can log in.
            Ok(()) | Err(PanelError::NoSuchAccount) => self.done(call, key, begun, now),
            Err(error) => self.failed(key, error, now),
        }
        self.file(key, now);
        HashSet::from([key.to_string()])
    }

    fn done(&mut self, call: &Call, key: &Arc<str>, begun: Instant, now: Moment) {
        self.rest.over();
        let Some(managed) = self.accounts.get_mut(key) else {
            return;
        };
        managed.failing = None;
        managed.written = true;
        match call {
            Call::Block(_) => {
                if let Some(proof) = &mut managed.proof {
                    proof.blocked(begun, now);
                }
            }
            Call::Add(..) => managed.was_there = true,
            Call::Change(..) => {
                if let Some(proof) = &mut managed.proof {
                    proof.changed();
                }
            }
            Call::List | Call::Delete(_) | Call::Links(_) => {}
        }
        self.seen.wrote(call);
    }

    /// A call of one account failed. What is wrong with the panel as a whole rests the lane.
    fn failed(&mut self, key: &Arc<str>, error: PanelError, now: Moment) {
        let own = matches!(error, PanelError::Rejected { .. } | PanelError::Exists);
        if !own {
            self.unreachable(error, now);
            return;
        }
        if error == PanelError::Exists {
            // Somebody made it since the last list, or the answer to ours was lost: the next list says whose it is.
            self.seen.begun = None;
        }
        if let Some(managed) = self.accounts.get_mut(key) {
            managed.failed(error, now);
        }
    }

    /// The panel cannot be called, or its answer says nothing. What it was asked for may have been done: it is looked at again.
    pub(super) fn unreachable(&mut self, error: PanelError, now: Moment) {
        if error.may_be_done() {
            self.seen.begun = None;
        }
        self.rest.failed(error, now.at);
    }

    /// A look at the panel's server that was begun at `begun` shows so many devices of each account that has any. Answers the
    /// accounts about which something became known.
    pub(super) fn served(&mut self, online: &HashMap<String, u32>, begun: Instant, now: Moment) -> HashSet<String> {
        let shown = online.iter().filter(|(_, devices)| **devices > 0);
        let shown = shown.filter_map(|(name, _)| Some(self.accounts.get_key_value(&**name)?.0.clone()));
        let concerned: HashSet<Arc<str>> = shown.chain(self.ending.iter().cloned()).collect();
        let mut completed = HashSet::new();
        for key in concerned {
            let Some(managed) = self.accounts.get_mut(&key) else {
                continue;
            };
            let before = managed.facts(&self.panel);
            let devices = online.get(&*key).copied().unwrap_or(0);
            managed.served(devices, begun, self.seen.is_known(), now);
            if before != managed.facts(&self.panel) {
                completed.insert(key.to_string());
            }
            self.file(&key, now);
        }
        completed
    }

    /// Whether sessions of some account have to go.
    pub(super) fn ends_sessions(&self) -> bool {
        !self.ending.is_empty()
    }

    /// The accounts that are online although their sessions have to go, with their devices. Only those that are known to be the
    /// operator's.
    pub(super) fn ending(&self, online: &HashMap<String, u32>) -> HashMap<String, u32> {
        let ours = |name: &&Arc<str>| self.accounts.get(*name).is_some_and(|managed| managed.was_there);
        let there = |name: &Arc<str>| Some((name.to_string(), *online.get(&**name)?));
        let there = self.ending.iter().filter(ours).filter_map(there);
        there.filter(|(_, devices)| *devices > 0).collect()
    }

    /// The server acknowledged a kick of these accounts that was begun at `begun`. Answers the accounts about which something
    /// became known.
    pub(super) fn kicked(&mut self, accounts: &[String], begun: Instant, now: Moment) -> HashSet<String> {
        let mut completed = HashSet::new();
        for account in accounts {
            let Some(managed) = self.accounts.get_mut(&**account) else {
                continue;
            };
            let before = managed.facts(&self.panel);
            managed.kicked(begun, now);
            if before != managed.facts(&self.panel) {
                completed.insert(account.clone());
            }
        }
        completed
    }

    /// Whether an account that is listed, or was, is not the operator's: somebody else made it, or it was let go. One with the mark
    /// that nothing is wanted of yet may still be.
    pub(super) fn is_stranger(&self, account: &str) -> bool {
        if let Some(managed) = self.accounts.get(account) {
            return managed.is_stranger();
        }
        let entry = self.seen.entry(account);
        entry.is_some_and(|entry| self.let_go.contains(account) || !difference::is_marked(entry))
    }

    /// Every one of them.
    pub(super) fn strangers(&self) -> HashSet<&str> {
        let names = self.seen.entries.keys().map(String::as_str);
        names.filter(|name| self.is_stranger(name)).collect()
    }

    /// What the last list showed may not be so any more.
    pub(super) const fn look_again(&mut self) {
        self.seen.begun = None;
    }

    /// Whether people are let in with this account, as a list showed.
    pub(super) fn lets_in(&self, account: &str) -> bool {
        self.accounts.get(account).is_some_and(Managed::lets_in)
    }

    /// The password of an account, as it was listed.
    pub(super) fn password(&self, account: &str) -> Option<SecretString> {
        Some(self.seen.entry(account)?.password.clone())
    }

    /// Links were read. Those of an account that was gone by then, or in a form that is not `understood`, are read again with the
    /// next cycle. Answers the accounts that wait for them: all that are there, the first time.
    pub(super) fn read_links(&mut self, understood: bool, now: Moment) -> HashSet<String> {
        self.rest.over();
        let first = self.reading.ended(understood, self.pace.quiet, now.at);
        let there = self.accounts.iter().filter(|(_, managed)| first && managed.lets_in());
        there.map(|(name, _)| name.to_string()).collect()
    }

    /// The operator's accounts among those that are listed.
    pub(super) fn ours(&self, entries: &HashMap<String, Entry>) -> Vec<Arc<str>> {
        let ours = self.accounts.iter().filter(|(name, managed)| {
            let entry = entries.get(&***name);
            entry.is_some_and(|entry| managed.is_ours(entry))
        });
        ours.map(|(name, _)| name.clone()).collect()
    }

    /// What keeps the panel from being called.
    pub(super) fn error(&self) -> Option<String> {
        self.rest.error().map(ToString::to_string)
    }

    /// Whether only a person can mend what keeps the panel from being called.
    pub(super) fn is_refused(&self) -> bool {
        self.rest.error().is_some_and(|error| !error.is_retryable())
    }

    /// When the last list was begun, and how many devices it showed.
    pub(super) fn last_look(&self) -> Option<(Instant, u32)> {
        Some((self.looked?, self.seen.devices))
    }

    /// A call was answered as it should be, after this long.
    pub(super) fn took(&mut self, operation: &'static str, took: Duration) {
        self.estimate.made(operation, took);
    }

    /// What waits, and about how long it takes.
    pub(super) fn backlog(&self) -> Backlog {
        let backlog = self.queues.backlog();
        if self.rest.error().is_some() {
            return backlog;
        }
        let lists = usize::from(self.queues.wait_for_a_list());
        let calls = [
            ("block", backlog.of(Work::Block) * BLIND as usize),
            ("list", lists),
            ("delete", backlog.of(Work::Delete)),
            ("add", backlog.of(Work::Add)),
            ("change", backlog.of(Work::Change)),
        ];
        backlog.taking(self.estimate.all(&calls, self.pace.quiet))
    }

    pub(super) fn observe(&self, account: &str) -> Observation {
        let entry = self.seen.entry(account);
        if let Some(managed) = self.accounts.get(account) {
            return managed.observe(entry, self.seen.is_known(), &self.panel);
        }
        Observation {
            account: AccountPresence::Unknown,
            sessions: entry.map_or(0, |entry| entry.online),
            revocation: None,
            unprovable: Vec::new(),
            unusable: Vec::new(),
            obstacle: None,
            handed_over: Some(0),
            asked_to_leave: false,
        }
    }
}
