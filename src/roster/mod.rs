//! Everyone who is declared: facts about users and holds, joined by corporate ID, and the guard in front of the index.
//!
//! [`Roster`] takes every event of desired state synchronously, lets the [`guard`] look at what would turn from Granted to
//! Denied, and fills [`AuthIndex`]. Nothing here waits for I/O, and nothing here calls a gateway: what must be revoked is
//! returned to the caller.
//!
//! Uses the model, the clock, credentials, the gateway room's words and the auth index. Must never reach for a source of
//! desired state, history or the network.

mod entry;
mod evaluate;
mod facts;
mod follow;
pub mod guard;
mod people;
mod register;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use jiff::Timestamp;
use secrecy::SecretString;
use tokio::sync::watch;

use self::{
    entry::{HoldState, Touched},
    evaluate::{Cause, State},
    facts::HoldFacts,
    guard::{GuardState, KeptHold, Recent},
    register::{Register, Secrets},
};
pub use self::{facts::account_of, people::People};
use crate::{
    auth::{index::AuthIndex, words::Role},
    clock::SharedClock,
    credentials::MasterKey,
    gateway::Revoke,
    model::{
        access::{Decision, Reason, Terms, Usage},
        corporate_id::CorporateId,
        hold::VpnHold,
        user::VpnUser,
    },
};

/// Something that a source, a poll or a person said.
pub enum Input {
    /// A user as it is now (new, changed, or a tombstone).
    User(Arc<VpnUser>),
    /// The user object of this name is gone for good (its finalizer was released).
    UserGone(String),
    /// A hold as it is now. A tombstone is a hold that disappeared, unless it carries [`crate::model::RELEASED`].
    Hold(Arc<VpnHold>),
    /// The hold object of this name is gone for good.
    HoldGone {
        /// Name of the `VpnHold`.
        name: String,
        /// Somebody lifted it on purpose.
        released: bool,
    },
    /// A password that is not derived was read.
    Password {
        /// Name of the `VpnUser`.
        user: String,
        /// Generation of the `VpnUser` that names the source it was read from. Of another version it says nothing.
        generation: i64,
        /// The password.
        password: SecretString,
    },
    /// Usage of an account. Bytes of a lifetime only grow: what says less was counted earlier, and is passed over.
    Usage {
        /// Account on the gateway.
        account: String,
        /// Bytes so far.
        usage: Usage,
    },
}

/// What a batch of inputs did to one account.
#[derive(Debug, Clone)]
pub struct Transition {
    /// Name of the `VpnUser`, to be reconciled.
    pub user: String,
    /// Account on the gateway.
    pub account: String,
    /// Set when sessions must end: a denial, a rotation. To be handed to the gateways at once.
    pub revoke: Option<Revoke>,
}

/// What is known of one person.
#[derive(Debug, Clone)]
pub struct Person {
    /// ID as declared.
    pub corporate_id: CorporateId,
    /// Name of the `VpnUser`; `None` if only holds exist.
    pub user: Option<String>,
    /// Account on the gateway.
    pub account: String,
    /// What auth does now.
    pub effective: Decision,
    /// What desired state says; differs from `effective` only while the guard holds a denial back.
    pub declared: Decision,
    /// Since when the guard holds a denial back.
    pub held_back_since: Option<Timestamp>,
    /// Names of the holds that are live.
    pub live_holds: Vec<String>,
    /// Generation of the `VpnUser` that this speaks of; 0 if there is none.
    pub generation: i64,
    /// Present epoch.
    pub epoch: crate::model::session::Epoch,
    /// Sessions that were handed out and are not known to be gone.
    pub sessions: u32,
}

/// What the guard holds back.
#[derive(Debug, Clone)]
pub struct GuardReport {
    /// Denials and lost holds that wait for a person.
    pub pending: Vec<PendingDenial>,
    /// Denials that a person rejected, of people whose objects are deleted for good: they keep access until somebody confirms.
    pub rejected: Vec<PendingDenial>,
    /// Denials let through in the last ten minutes.
    pub recent: usize,
    /// How many are let through in ten minutes at present.
    pub limit: usize,
}

/// One thing that the guard holds back.
#[derive(Debug, Clone)]
pub struct PendingDenial {
    /// Whom it concerns.
    pub corporate_id: CorporateId,
    /// Why the person would be denied (or, for a lost hold, its name).
    pub cause: String,
    /// Since when.
    pub since: Timestamp,
}

/// Passwords that are not derived: those of users with `spec.credentialsFrom`. `None`: not known (yet), so that nobody can
/// log in to the account; saying the user again asks again, and [`Input::Password`] tells it. Must answer from memory.
pub type Passwords = Arc<dyn Fn(&VpnUser) -> Option<SecretString> + Send + Sync>;

/// What is derived from the master key.
pub trait Derivation: Send + Sync + 'static {
    /// See [`MasterKey::password`].
    fn password(&self, id: &CorporateId, generation: i64) -> SecretString;
}

impl Derivation for MasterKey {
    fn password(&self, id: &CorporateId, generation: i64) -> SecretString {
        Self::password(self, id, generation)
    }
}

/// Everyone who is declared. One for the process; every method is synchronous, answers from memory, and is safe from any
/// thread. When a method that changes something returns, auth decides by the change.
pub struct Roster {
    state: Mutex<State>,
    index: Arc<AuthIndex>,
    clock: SharedClock,
    loaded: AtomicBool,
    /// Before the load: lost holds that were kept in force by the process before.
    restored_holds: Mutex<Vec<KeptHold>>,
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
        let state = State {
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
            denials: Recent::default(),
            losses: Recent::default(),
            held_back: BTreeSet::new(),
            kept: BTreeSet::new(),
            restored: HashMap::new(),
            wheel: BTreeSet::new(),
            counts: BTreeMap::new(),
            horizon: Timestamp::MIN,
            guard_changed: false,
            deletions_are_explicit: false,
        };
        Self {
            state: Mutex::new(state),
            index,
            clock,
            loaded: AtomicBool::new(false),
            restored_holds: Mutex::default(),
            changes: watch::Sender::new(0),
            guard_changes: watch::Sender::new(0),
        }
    }

    /// What logins are decided from, and the ledger for gateways.
    #[must_use]
    pub fn index(&self) -> Arc<AuthIndex> {
        self.index.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
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
        let mut state = self.state();
        let mut touched = Touched::new();
        for input in inputs {
            state.take(input, &mut touched);
        }
        if !self.is_loaded() {
            return Vec::new();
        }
        let transitions = state.evaluate(touched, self.now(), &Cause::Change);
        self.announce(state, transitions)
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
        let mut state = self.state();
        if self.is_loaded() {
            return Vec::new();
        }
        for kept in std::mem::take(&mut *self.restored_holds.lock().unwrap_or_else(PoisonError::into_inner)) {
            if state.register.keep_hold(&kept) {
                state.kept.insert(kept.name.into());
            }
        }
        let everyone = state.register.ids.keys().cloned().collect();
        let transitions = state.evaluate(everyone, self.now(), &Cause::Load);
        state.restored = HashMap::new();
        state.guard_changed = true;
        self.loaded.store(true, Ordering::Release);
        self.announce(state, transitions)
    }

    /// Lets time pass: to be called about every second. Work in proportion to what time changes; after the clock was set
    /// back everybody is looked at once.
    pub fn tick(&self) -> Vec<Transition> {
        if !self.is_loaded() {
            return Vec::new();
        }
        let mut state = self.state();
        let now = self.now();
        let due = state.take_due(now);
        let transitions = state.evaluate(due, now, &Cause::Change);
        self.announce(state, transitions)
    }

    /// Lets pending denials and losses of holds through: those named, or all. Where deletions are trusted, those of deleted
    /// users also when they were rejected before: nothing else could ever end them.
    pub fn confirm(&self, ids: Option<&[CorporateId]>) -> Vec<Transition> {
        if !self.is_loaded() {
            return Vec::new();
        }
        let mut state = self.state();
        let pending = state.pending(ids);
        for name in state.kept.clone() {
            let key = state.register.holds.get(&name).cloned();
            if let Some(key) = key.filter(|key| pending.contains(key))
                && state.kept_since(&name).is_some_and(|(_, cancelled)| !cancelled)
            {
                state.kept.remove(&name);
                state.register.lift(&key, &name);
            }
        }
        state.guard_changed |= !pending.is_empty();
        let transitions = state.evaluate(pending.clone(), self.now(), &Cause::Confirmed(&pending));
        self.announce(state, transitions)
    }

    /// Rejects pending denials and losses of holds, those named, or all: the people keep their access until their objects
    /// change again, and the holds stay in force until they are lifted. A deletion in a cluster is final: who is deleted keeps
    /// access until [`Self::confirm`].
    pub fn cancel(&self, ids: Option<&[CorporateId]>) -> Vec<Transition> {
        if !self.is_loaded() {
            return Vec::new();
        }
        let mut state = self.state();
        let pending = state.pending(ids);
        for key in &pending {
            let Some(entry) = state.register.ids.get_mut(key) else {
                continue;
            };
            for held_back in entry.users.iter_mut().filter_map(|user| user.held_back.as_mut()) {
                held_back.cancelled = true;
            }
            for hold in &mut entry.holds {
                if let HoldState::Kept { cancelled, .. } = &mut hold.state {
                    *cancelled = true;
                }
            }
        }
        state.guard_changed |= !pending.is_empty();
        let transitions = state.evaluate(pending, self.now(), &Cause::Change);
        self.announce(state, transitions)
    }

    /// What has to be given to [`Self::restore`] after a restart.
    #[must_use]
    pub fn guard_state(&self) -> GuardState {
        self.state().guard_state()
    }

    /// A tombstone means that somebody deleted the object, as in Kubernetes, and not that it can no longer be found: all of a
    /// few may be deleted at once. How many may in ten minutes is limited all the same.
    pub fn trust_deletions(&self) {
        self.state().deletions_are_explicit = true;
    }

    /// Continues what the guard held back before a restart. To be called before the first [`Self::loaded`].
    pub fn restore(&self, saved: GuardState) {
        let mut state = self.state();
        state.denials = saved.denials.into();
        state.losses = saved.lost_holds.into();
        state.restored = saved.held_back.into_iter().map(|it| (it.user.clone(), it)).collect();
        *self.restored_holds.lock().unwrap_or_else(PoisonError::into_inner) = saved.kept_holds;
    }

    /// Names of holds whose tombstones may be forgotten: their loss took effect, or they were lifted on purpose.
    #[must_use]
    pub fn lost_holds_confirmed(&self) -> Vec<String> {
        self.state()
            .register
            .forgettable
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    /// How many users there are for each effective reason.
    #[must_use]
    pub fn counts(&self) -> Vec<(Reason, usize)> {
        self.state()
            .counts
            .iter()
            .map(|(reason, count)| (*reason, *count))
            .collect()
    }

    /// Counts batches that changed something. For bounded waits of the API: subscribe, look at the person, wait, look again.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Counts changes of [`Self::guard_state`], so that it can be saved when it changed.
    pub fn guard_changes(&self) -> watch::Receiver<u64> {
        self.guard_changes.subscribe()
    }

    fn announce(&self, mut state: MutexGuard<'_, State>, transitions: Vec<Transition>) -> Vec<Transition> {
        let guard_changed = std::mem::take(&mut state.guard_changed);
        drop(state);
        if !transitions.is_empty() {
            self.changes.send_modify(|count| *count += 1);
        }
        if guard_changed {
            self.guard_changes.send_modify(|count| *count += 1);
        }
        transitions
    }
}

impl State {
    fn take(&mut self, input: Input, touched: &mut Touched) {
        match input {
            Input::User(user) => {
                self.register.put_user(&user, &self.secrets, touched);
                self.heed(&user);
            }
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

    /// A lost hold that appears again, or is lifted, is no longer kept by the guard.
    fn look_at_kept(&mut self, name: &str) {
        if self.kept.contains(name) && self.kept_since(name).is_none() {
            self.kept.remove(name);
            self.guard_changed = true;
        }
    }
}
