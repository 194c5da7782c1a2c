//! What the roster's mutex protects.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use jiff::Timestamp;

use super::{
    entry::{Key, Secrets},
    guard::Window,
    messages::AccessChange,
    register::Register,
    verdicts::Verdicts,
};
use crate::{
    auth::index::AuthIndex,
    model::{
        access::{Reason, Terms},
        guard::Budget,
        guard_limits::GuardLimits,
    },
};

/// What the roster's mutex protects.
pub(super) struct Tables {
    pub(super) register: Register,
    pub(super) secrets: Secrets,
    pub(super) index: Arc<AuthIndex>,
    /// Terms of everybody against whom nothing is declared: one for all of them.
    pub(super) unlimited: Arc<Terms>,
    pub(super) verdicts: Verdicts,
    pub(super) limits: GuardLimits,
    /// Who counts against which budget.
    pub(super) charged: BTreeMap<Budget, Window>,
    /// Whom orders denied lately. They count against no budget.
    pub(super) orders: Window,
    /// Sources of orders that came into force since they were asked for.
    pub(super) new_orders: Vec<Box<str>>,
    /// How access changed since that was asked for. A follower keeps none.
    pub(super) access_changes: Vec<AccessChange>,
    /// IDs of which a cause is held back.
    pub(super) held_back: BTreeSet<Key>,
    /// Names of lost holds that stay in force.
    pub(super) kept: BTreeSet<Box<str>>,
    /// Names of holds about which something was decided that is not reported yet.
    pub(super) changed_holds: BTreeSet<Box<str>>,
    /// IDs with causes on which the controller's word is missing, and since when.
    pub(super) undecided: BTreeMap<Key, Timestamp>,
    /// What changes when, if nothing but time passes.
    pub(super) wheel: BTreeSet<(Timestamp, Key)>,
    /// Users by effective reason.
    pub(super) counts: BTreeMap<Reason, usize>,
    /// The latest time at which anything was looked at.
    pub(super) horizon: Timestamp,
    /// See [`super::Roster::trust_deletions`].
    pub(super) deletions_are_explicit: bool,
}
