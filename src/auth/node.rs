//! A node as auth knows it: when it was polled, and what it showed.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
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
        }
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
