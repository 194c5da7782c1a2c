//! A node as auth knows it: when it was polled, and what it showed.

use std::{
    sync::{Arc, Mutex},
    time::Instant,
};

use super::{account::Account, slots::NodeClock};
use crate::{gateway::NodeName, model::session::Epoch};

/// A node that asks, or is polled.
pub struct Node {
    pub(super) clock: Arc<NodeClock>,
    pub(super) last_poll: Mutex<LastPoll>,
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
        }
    }

    /// Name of the node.
    #[must_use]
    pub fn name(&self) -> &NodeName {
        &self.clock.name
    }
}
