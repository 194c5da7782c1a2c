//! Gateways whose nodes are looked at, and nothing else: what a process runs that answers logins and does not act.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{
    NodeHealth, NodeName,
    hysteria::{
        client::StatsEndpoint,
        watch::{Context, NodeWatch},
    },
    running::{Running, StartError, Wanted},
};

/// The nodes of one gateway, of whatever kind, looked at and nothing else.
pub struct WatchedNodes {
    gateway: String,
    context: Context,
    watches: Mutex<Watches>,
}

type Watches = HashMap<NodeName, (StatsEndpoint, NodeWatch)>;

impl WatchedNodes {
    /// Starts looking. To be called within a tokio runtime.
    ///
    /// # Errors
    /// As [`NodeWatch::start`].
    pub fn start(gateway: &str, wanted: &Wanted, context: Context) -> Result<Arc<Self>, StartError> {
        let watched = Self {
            gateway: gateway.to_owned(),
            context,
            watches: Mutex::default(),
        };
        watched.update(wanted)?;
        Ok(Arc::new(watched))
    }

    fn watches(&self) -> MutexGuard<'_, Watches> {
        self.watches.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has every node looked at now.
    pub fn look(&self) {
        for (_, watch) in self.watches().values() {
            watch.look();
        }
    }

    /// What the last look at each node showed.
    #[must_use]
    pub fn health(&self) -> Vec<NodeHealth> {
        self.watches().values().map(|(_, watch)| watch.health()).collect()
    }
}

impl Running for WatchedNodes {
    /// Nodes whose statistics API stays the same are looked at on.
    fn update(&self, wanted: &Wanted) -> Result<bool, StartError> {
        let mut watches = self.watches();
        let same = |node: &NodeName, endpoint: &StatsEndpoint| watches.get(node).is_some_and(|(at, _)| at == endpoint);
        let mut fresh = Watches::new();
        for (node, endpoint) in wanted.polled(&self.gateway).filter(|(node, at)| !same(node, at)) {
            let watch = NodeWatch::start(node.clone(), endpoint, &self.context)?;
            fresh.insert(node, (endpoint.clone(), watch));
        }
        let polled: HashMap<NodeName, &StatsEndpoint> = wanted.polled(&self.gateway).collect();
        let left: Vec<NodeName> = watches
            .keys()
            .filter(|node| !polled.contains_key(*node))
            .cloned()
            .collect();
        watches.retain(|node, (at, _)| polled.get(node).is_some_and(|endpoint| *endpoint == at));
        watches.extend(fresh);
        for node in left {
            self.context.ledger.node_removed(&node);
        }
        Ok(true)
    }

    fn leave(&self) {
        for (node, _) in self.watches().drain() {
            self.context.ledger.node_removed(&node);
        }
    }
}
