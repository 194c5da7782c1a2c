//! A node as auth knows it: when it was polled, and what it showed.

use std::{
    collections::HashSet,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use super::{account::Account, slots::NodeClock};
use crate::{
    gateway::{Doubt, NodeName},
    model::session::Epoch,
};

/// A node that asks, or is polled.
pub struct Node {
    pub(super) clock: Arc<NodeClock>,
    pub(super) last_poll: Mutex<LastPoll>,
    doubt: Mutex<Option<Doubt>>,
    /// The node that is declared with the same address.
    alike: Mutex<Option<NodeName>>,
    /// Of a panel: its accounts that are not the operator's.
    pub(super) strangers: Strangers,
    /// Of a panel: it let devices in that nobody asked about here.
    bypassed: AtomicBool,
}

/// Accounts that are not the operator's. Reading takes no lock.
#[derive(Default)]
pub(super) struct Strangers(papaya::HashSet<Box<str>>);

impl Strangers {
    pub(super) fn contain(&self, account: &str) -> bool {
        self.0.pin().contains(account)
    }

    pub(super) fn set(&self, account: &str, is_one: bool) {
        let names = self.0.pin();
        if is_one {
            names.insert(account.into());
        } else {
            names.remove(account);
        }
    }

    /// These, and no others.
    pub(super) fn replace(&self, these: &HashSet<&str>) {
        let names = self.0.pin();
        names.retain(|name| these.contains(&**name));
        for name in these.iter().filter(|name| !names.contains(**name)) {
            names.insert((*name).into());
        }
    }
}

/// What a node showed in its last poll.
#[derive(Default)]
pub(super) struct LastPoll {
    pub(super) poll: u32,
    pub(super) sessions: Vec<(Arc<Account>, Epoch, u32)>,
}

impl Node {
    pub(super) fn new(name: NodeName, origin: Instant) -> Self {
        Self {
            clock: Arc::new(NodeClock::new(name, origin)),
            last_poll: Mutex::default(),
            doubt: Mutex::default(),
            alike: Mutex::default(),
            strangers: Strangers::default(),
            bypassed: AtomicBool::new(false),
        }
    }

    pub(super) fn set_bypassed(&self, bypassed: bool) {
        self.bypassed.store(bypassed, Ordering::Relaxed);
    }

    pub(super) fn is_bypassed(&self) -> bool {
        self.bypassed.load(Ordering::Relaxed)
    }

    fn lock_doubt(&self) -> MutexGuard<'_, Option<Doubt>> {
        self.doubt.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn doubt(&self) -> Option<Doubt> {
        let alike = self.alike.lock().unwrap_or_else(PoisonError::into_inner).clone();
        alike.map(Doubt::SameAddress).or_else(|| self.lock_doubt().clone())
    }

    pub(super) fn set_alike(&self, other: Option<NodeName>) {
        *self.alike.lock().unwrap_or_else(PoisonError::into_inner) = other;
    }

    pub(super) fn set_doubt(&self, doubt: Option<Doubt>) {
        *self.lock_doubt() = doubt;
    }

    /// The other node is gone, and with it the cause.
    pub(super) fn no_longer_doubted_for(&self, other: &NodeName) {
        self.lock_doubt().take_if(|doubt| doubt.other() == other);
    }

    /// Name of the node.
    #[must_use]
    pub fn name(&self) -> &NodeName {
        &self.clock.name
    }
}
