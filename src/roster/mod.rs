//! Everyone who is declared: facts about users and holds, joined by corporate ID, and the guard in front of the index.
//!
//! [`Roster`] takes every event of desired state synchronously, has the causes of denials judged, and fills [`AuthIndex`].
//! Nothing here waits for I/O, and nothing here calls a gateway: what must be revoked is returned to the caller, and what the
//! guard has to remember is handed out by [`Roster::take_guard_changes`].
//!
//! Uses the model, the clock, credentials, the gateway room's words and the auth index. Must never reach for a source of
//! desired state, history or the network.

mod apply;
mod causes;
mod conclude;
mod entry;
mod facts;
mod guard;
mod judge;
mod losses;
mod messages;
mod query;
mod records;
mod register;
mod reported;
mod spec_terms;
mod tables;
mod verdicts;

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use jiff::Timestamp;
use tokio::sync::watch;

pub(crate) use self::reported::usage as reported_usage;
use self::{
    entry::{Secrets, Touched},
    facts::HoldFacts,
    guard::Window,
    register::Register,
    tables::Tables,
    verdicts::Verdicts,
};
pub use self::{
    facts::account_of,
    messages::{
        AccessChange, Derivation, GuardReport, HoldVerdict, Input, Loss, Passwords, PendingDenial, Person, Several,
        Transition,
    },
    query::People,
};
use crate::{
    auth::{index::AuthIndex, words::Role},
    clock::SharedClock,
    credentials::MasterKey,
    model::{
        access::{Reason, Terms},
        corporate_id::CorporateId,
        guard::{Budget, GuardChange, GuardMemory, VerdictRecord},
        guard_limits::GuardLimits,
    },
};

/// Everyone who is declared. One for the process; every method is synchronous, answers from memory, and is safe from any
/// thread. When a method that changes something returns, auth decides by the change.
pub struct Roster {
    tables: Mutex<Tables>,
    index: Arc<AuthIndex>,
    clock: SharedClock,
    loaded: AtomicBool,
    changes: watch::Sender<u64>,
    guard_changes: watch::Sender<u64>,
}

impl Roster {
    /// An empty roster, whose index refuses everybody until [`Self::loaded`].
    pub fn new(key: MasterKey, passwords: Passwords, clock: SharedClock) -> Self {
        Self::with_derivation(Arc::new(key), passwords, clock)
    }

    /// As [`Self::new`], for a process that only answers logins.
    pub fn follower(key: MasterKey, passwords: Passwords, clock: SharedClock) -> Self {
        Self::with_role(Role::Follower, Arc::new(key), passwords, clock)
    }

    /// As [`Self::new`], with another derivation than that of a master key.
    pub fn with_derivation(derivation: Arc<dyn Derivation>, passwords: Passwords, clock: SharedClock) -> Self {
        Self::with_role(Role::Controller, derivation, passwords, clock)
    }

    /// As [`Self::with_derivation`], in either role.
    pub fn with_role(role: Role, derivation: Arc<dyn Derivation>, passwords: Passwords, clock: SharedClock) -> Self {
        let index = Arc::new(AuthIndex::new(clock.clone(), role));
        let tables = Tables {
            register: Register::new(role),
            secrets: Secrets {
                derivation,
                imported: passwords,
            },
            index: index.clone(),
            unlimited: Arc::new(Terms {
                active: true,
                ..Terms::default()
            }),
            verdicts: Verdicts::default(),
            limits: GuardLimits::default(),
            charged: BTreeMap::new(),
            orders: Window::default(),
            new_orders: Vec::new(),
            access_changes: Vec::new(),
            held_back: BTreeSet::new(),
            kept: BTreeSet::new(),
            changed_holds: BTreeSet::new(),
            undecided: BTreeMap::new(),
            wheel: BTreeSet::new(),
            counts: BTreeMap::new(),
            horizon: Timestamp::MIN,
            deletions_are_explicit: false,
        };
        Self {
            tables: Mutex::new(tables),
            index,
            clock,
            loaded: AtomicBool::new(false),
            changes: watch::Sender::new(0),
            guard_changes: watch::Sender::new(0),
        }
    }

    /// What logins are decided from, and the ledger for gateways.
    #[must_use]
    pub fn index(&self) -> Arc<AuthIndex> {
        self.index.clone()
    }

    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Whether the first full load is over.
    #[must_use]
    pub fn is_loaded(&self) -> bool {
        self.loaded.load(Ordering::Acquire)
    }

    /// Takes what was said, in one batch, updates the index, and answers what changed. Before [`Self::loaded`] inputs are
    /// only collected.
    pub fn apply(&self, inputs: Vec<Input>) -> Vec<Transition> {
        let mut tables = self.tables();
        let mut touched = Touched::new();
        for input in inputs {
            tables.take(input, &mut touched);
        }
        if !self.is_loaded() {
            return Vec::new();
        }
        let transitions = tables.evaluate(touched, self.now(), false);
        self.announce(tables, transitions)
    }

    /// [`Self::judge_load`] and [`Self::open`] in one step.
    pub fn loaded(&self) -> Vec<Transition> {
        let transitions = self.judge_load();
        self.open();
        transitions
    }

    /// From now on logins are answered.
    pub fn open(&self) {
        self.index.set_loaded();
    }

    /// The first full load of every kind is over. Inputs before this one are collected and judged together against the access
    /// that statuses record. The index knows everybody from now on, so that nodes can tell it who is online, and answers
    /// nobody before [`Self::open`].
    pub fn judge_load(&self) -> Vec<Transition> {
        let mut tables = self.tables();
        if self.is_loaded() {
            return Vec::new();
        }
        let now = self.now();
        tables.adopt();
        tables.resurrect_holds();
        let everyone: Touched = tables.register.ids.keys().cloned().collect();
        let transitions = tables.evaluate(everyone, now, true);
        tables.taken_over(now);
        self.loaded.store(true, Ordering::Release);
        self.announce(tables, transitions)
    }

    /// Lets time pass: to be called at [`Self::next_deadline`], and about every second. Work in proportion to what time changes; after the clock was set
    /// back everybody is looked at once.
    pub fn tick(&self) -> Vec<Transition> {
        if !self.is_loaded() {
            return Vec::new();
        }
        let mut tables = self.tables();
        let now = self.now();
        let due = tables.take_due(now);
        let transitions = tables.evaluate(due, now, false);
        self.announce(tables, transitions)
    }

    /// When time alone changes something next. [`Self::tick`] is due then, and about every second all the same: the wall clock
    /// may be set, and the machine may sleep.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        self.tables().wheel.first().map(|(at, _)| *at)
    }

    /// Lets pending denials and losses of holds through: those named, or all. Where deletions are trusted, those of deleted
    /// users also when they were rejected before: nothing else could ever end them.
    pub fn confirm(&self, ids: Option<&[CorporateId]>) -> Vec<Transition> {
        if !self.is_loaded() {
            return Vec::new();
        }
        let mut tables = self.tables();
        let now = self.now();
        let pending = tables.pending(ids);
        tables.confirm(&pending, now);
        let transitions = tables.evaluate(pending, now, false);
        self.announce(tables, transitions)
    }

    /// Rejects pending denials and losses of holds, those named, or all: the people keep their access until their objects
    /// change again, and the holds stay in force until they are lifted. A deletion in a cluster is final: who is deleted keeps
    /// access until [`Self::confirm`].
    pub fn cancel(&self, ids: Option<&[CorporateId]>) -> Vec<Transition> {
        if !self.is_loaded() {
            return Vec::new();
        }
        let mut tables = self.tables();
        let now = self.now();
        let pending = tables.pending(ids);
        tables.reject(&pending, now);
        let transitions = tables.evaluate(pending, now, false);
        self.announce(tables, transitions)
    }

    /// What the guard has to remember and was not handed out yet, in order, and the number of the latest change (see
    /// [`Self::guard_changes`]). Kept and given to [`Self::restore`], it lets the next process judge as this one did.
    pub fn take_guard_changes(&self) -> (u64, Vec<GuardChange>) {
        self.tables().verdicts.take()
    }

    /// Sets how much the guard lets through. To be called before [`Self::judge_load`].
    pub fn set_limits(&self, limits: GuardLimits) {
        self.tables().limits = limits;
    }

    /// A tombstone means that somebody deleted the object, as in Kubernetes, and not that it can no longer be found: all of a
    /// few may be deleted at once. How many may in ten minutes is limited all the same.
    pub fn trust_deletions(&self) {
        self.tables().deletions_are_explicit = true;
    }

    /// Continues where the guard of a former process stopped. To be called before the first [`Self::judge_load`].
    pub fn restore(&self, memory: GuardMemory) {
        let mut tables = self.tables();
        for charge in &memory.charges {
            let window = tables.charged.entry(charge.budget).or_default();
            window.charge(&charge.who, charge.at);
        }
        tables.verdicts.restore(memory);
    }

    /// Names of holds whose tombstones may be forgotten: their loss took effect, or they were lifted on purpose.
    #[must_use]
    pub fn lost_holds_confirmed(&self) -> Vec<String> {
        self.tables()
            .register
            .forgettable
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    /// Sources of the orders that came into force since the last call, so that they can be counted.
    pub fn take_orders(&self) -> Vec<Box<str>> {
        std::mem::take(&mut self.tables().new_orders)
    }

    /// Every change of anybody's access since the last call, in the order in which they came into force. Nothing is kept in a
    /// process that only answers logins, and nothing of the first load ([`Self::access_in_force`] has that).
    pub fn take_access_changes(&self) -> Vec<AccessChange> {
        std::mem::take(&mut self.tables().access_changes)
    }

    /// Names of the holds of which the guard decided something since the last call, so that it can be reported.
    pub fn take_changed_holds(&self) -> Vec<String> {
        let changed = std::mem::take(&mut self.tables().changed_holds);
        changed.into_iter().map(Into::into).collect()
    }

    /// The most people who may lose access within the guard's window out of `population`; `None` when that is not limited.
    #[must_use]
    pub fn allowed(&self, budget: Budget, population: usize) -> Option<usize> {
        self.tables().limits.allowed(budget, population)
    }

    /// How many users there are for each effective reason.
    #[must_use]
    pub fn counts(&self) -> Vec<(Reason, usize)> {
        self.tables()
            .counts
            .iter()
            .map(|(reason, count)| (*reason, *count))
            .collect()
    }

    /// Counts batches that changed something. For bounded waits of the API: subscribe, look at the person, wait, look again.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Number of the latest change that the guard has to remember, so that it can be kept at once.
    pub fn guard_changes(&self) -> watch::Receiver<u64> {
        self.guard_changes.subscribe()
    }

    fn announce(&self, mut tables: MutexGuard<'_, Tables>, transitions: Vec<Transition>) -> Vec<Transition> {
        if let Some(number) = tables.verdicts.close() {
            self.guard_changes.send_replace(number);
        }
        drop(tables);
        if !transitions.is_empty() {
            self.changes.send_modify(|count| *count += 1);
        }
        transitions
    }
}

impl Tables {
    fn take(&mut self, input: Input, touched: &mut Touched) {
        match input {
            Input::User(user) => self.register.put_user(&user, &self.secrets, touched),
            Input::UserGone(name) => self.register.user_gone(&name, touched),
            Input::Hold(hold) => {
                let facts = HoldFacts::of(&hold);
                let name = facts.name.clone();
                self.register.put_hold(facts, touched);
                self.look_at_kept(&name);
            }
            Input::HoldGone { name, released } => {
                self.register.hold_gone(&name, released, touched);
                self.look_at_kept(&name);
            }
            Input::Password {
                user,
                generation,
                password,
            } => self.register.set_password(&user, generation, &password, touched),
            Input::Usage { account, usage } => self.register.set_usage(&account, usage, touched),
        }
    }

    /// Uids of every object that is there.
    fn uids(&self) -> HashSet<Box<str>> {
        let entries = self.register.ids.values();
        let uids = entries.flat_map(|entry| {
            let users = entry.users.iter().map(|user| &user.facts.uid);
            users.chain(entry.holds.iter().map(|hold| &hold.facts.uid))
        });
        uids.cloned().collect()
    }

    /// Takes over what was decided about objects that have another uid now.
    fn adopt(&mut self) {
        if self.verdicts.is_empty() {
            return;
        }
        let present = self.uids();
        let ids = &self.register.ids;
        let now_called = |record: &VerdictRecord| {
            let entry = ids.get(record.corporate_id.key())?;
            if matches!(record.budget, Budget::Declared | Budget::Usage) {
                let user = entry.users.iter().find(|user| *user.facts.name == *record.name)?;
                Some(user.facts.uid.clone())
            } else {
                let hold = entry.holds.iter().find(|hold| *hold.facts.name == *record.name)?;
                Some(hold.facts.uid.clone())
            }
        };
        self.verdicts.adopt(|uid| present.contains(uid), now_called);
    }

    /// The load is over: what was remembered of objects that are there has been taken over.
    fn taken_over(&mut self, now: Timestamp) {
        if self.verdicts.remember_nothing() {
            return;
        }
        if !self.verdicts.is_empty() {
            let present = self.uids();
            self.verdicts.taken_over(now, |uid| present.contains(uid));
        }
    }
}
