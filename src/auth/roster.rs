//! Everyone who is declared: facts about users and holds, joined by corporate ID, and the guard in front of the index.

use std::sync::Arc;

use jiff::Timestamp;

use crate::{
    credentials::MasterKey,
    gateway::Cut,
    model::{
        access::{Decision, Usage},
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
    /// A hold as it is now (a tombstone is a hold that disappeared).
    Hold(Arc<VpnHold>),
    /// The hold object of this name is gone for good; `released` says that somebody lifted it on purpose.
    HoldGone(String),
    /// Usage of an account.
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
    pub cut: Option<Cut>,
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

/// See [`Roster`]: what becomes of password sources that are not derived.
pub type Passwords = Arc<dyn Fn(&VpnUser) -> Option<secrecy::SecretString> + Send + Sync>;

/// Everyone who is declared. One for the process; every method is synchronous.
pub struct Roster {}

impl Roster {
    /// Takes what was said, in one batch, updates the index, and answers what changed.
    pub fn apply(&self, inputs: Vec<Input>) -> Vec<Transition> {
        let _ = inputs;
        todo!()
    }

    /// The first full load of every kind is over: from now on logins are answered. Inputs before this one are collected
    /// and judged together against the access that statuses record.
    pub fn loaded(&self) -> Vec<Transition> {
        todo!()
    }

    /// Lets time pass: to be called about every second.
    pub fn tick(&self) -> Vec<Transition> {
        todo!()
    }

    /// One person, by ID.
    #[must_use]
    pub fn person(&self, id: &CorporateId) -> Option<Person> {
        let _ = id;
        todo!()
    }

    /// What the guard holds back.
    #[must_use]
    pub fn guard(&self) -> GuardReport {
        todo!()
    }

    /// Lets pending denials through: those named, or all.
    pub fn confirm(&self, ids: Option<&[CorporateId]>) -> Vec<Transition> {
        let _ = ids;
        todo!()
    }

    /// Rejects pending denials: the people keep their access until their objects change again.
    pub fn cancel(&self, ids: Option<&[CorporateId]>) -> Vec<Transition> {
        let _ = ids;
        todo!()
    }

    /// Waits until something about this person changes, or the timeout passes. For bounded waits of the API.
    pub fn changes(&self) -> tokio::sync::watch::Receiver<u64> {
        todo!()
    }

    /// Replaces the key (at start).
    pub fn new(key: MasterKey, passwords: Passwords, clock: crate::clock::SharedClock) -> Self {
        let _ = (key, passwords, clock);
        todo!()
    }
}
