//! Hysteria2 nodes that ask the operator whom to let in.
//!
//! The accounts themselves live in the auth index, so granting needs no call to a node. What this room does is to end
//! sessions and to prove it ([`revocation`], pure), to count traffic ([`usage`], pure), and to write links and server
//! configurations. One task a node (`node.rs`) makes every call to it; a cut is put straight into the state that these
//! tasks share, so there is no queue in which a denial could wait. It must never kick an id that the ledger permits or
//! does not know, never zero a node's counters, and never hold a lock while it waits for a node.

pub mod acl;
pub mod client;
pub mod config;
pub mod links;
mod node;
pub(crate) mod pace;
pub mod ports;
mod proof;
pub mod render;
pub mod revocation;
mod state;
pub mod usage;
pub mod watch;

pub use node::WITHOUT_EFFECT;

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use self::{client::StatsError, config::NodeConfig, node::Worker, state::State};
use super::{
    Backlog, Context, Credentials, Gateway, Link, Links, Moment, NodeHealth, NodeName, Observation, PATIENCE, Target,
    Work, server::Server,
};

/// What the gateway and its node tasks share.
struct Shared {
    context: Context,
    state: Mutex<State>,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Moment {
        self.context.now()
    }
}

/// A node that has not answered for so long is silent. Others stand before it in what people are given.
const SILENT_AFTER: Duration = Duration::from_secs(180);

struct Member {
    name: NodeName,
    config: Arc<NodeConfig>,
    /// As clients reach it.
    server: Arc<Server>,
    /// `None` for a node without a statistics API.
    worker: Option<Arc<Worker>>,
}

/// A set of Hysteria2 nodes.
///
/// What is known at once after [`Gateway::submit`] (that a granted account is present, say) is not announced as a completion:
/// observe after submitting.
pub struct HysteriaGateway {
    name: String,
    shared: Arc<Shared>,
    members: Mutex<Vec<Member>>,
}

impl HysteriaGateway {
    /// Starts polling the nodes. To be called within a tokio runtime.
    ///
    /// # Errors
    /// A client cannot be made: a secret that no header can carry, or no CA certificates on this machine.
    pub fn start(name: &str, nodes: Vec<NodeConfig>, context: Context) -> Result<Arc<Self>, StatsError> {
        let gateway = Self {
            name: name.to_owned(),
            shared: Arc::new(Shared {
                context,
                state: Mutex::default(),
            }),
            members: Mutex::default(),
        };
        gateway.update(nodes)?;
        Ok(Arc::new(gateway))
    }

    /// Replaces the nodes. Those whose statistics API stays the same go on undisturbed; a node that joins, or that has
    /// moved, has to prove every revocation that is still watched.
    ///
    /// # Errors
    /// As [`Self::start`]; then nothing was changed.
    pub fn update(&self, nodes: Vec<NodeConfig>) -> Result<(), StatsError> {
        let mut members = self.members();
        let mut next = Vec::with_capacity(nodes.len());
        for config in nodes {
            let name = NodeName::new(&self.name, &config.name);
            let same = members
                .iter()
                .find(|member| member.name == name && member.config.stats == config.stats);
            let worker = match (same, &config.stats) {
                (Some(member), _) => member.worker.clone(),
                (None, Some(endpoint)) => Some(Worker::new(name.clone(), endpoint, self.shared.clone())?),
                (None, None) => None,
            };
            let kept = same.is_some();
            let server = links::server(&config);
            // The very same while nothing changes, so that what was made of it is found again.
            let before = members
                .iter()
                .find(|member| member.name == name && member.server == server);
            let server = before.map_or(server, |member| Arc::clone(&member.server));
            let config = Arc::new(config);
            let member = Member {
                name,
                config,
                server,
                worker,
            };
            next.push((kept, member));
        }
        let is_kept = |name: &NodeName| next.iter().any(|(kept, member)| *kept && member.name == *name);
        let mut completed = HashSet::new();
        {
            // At once: without the nodes that left, and before those that join, there may be none that has to prove anything.
            let mut state = self.shared.state();
            let now = self.shared.now();
            for old in members.iter().filter(|old| !is_kept(&old.name)) {
                if let Some(worker) = &old.worker {
                    worker.stop();
                }
                completed.extend(state.remove_node(&old.name, now));
            }
            for (_, new) in next.iter().filter(|(kept, _)| !kept) {
                completed.extend(state.add_node(&new.name, new.worker.is_some(), now));
            }
        }
        for old in members.iter().filter(|old| !is_kept(&old.name)) {
            self.shared.context.ledger.node_removed(&old.name);
        }
        for (_, new) in next.iter().filter(|(kept, _)| !kept) {
            if let Some(worker) = &new.worker {
                worker.spawn();
            }
        }
        *members = next.into_iter().map(|(_, member)| member).collect();
        {
            let mut state = self.shared.state();
            for member in members.iter() {
                state.describe(&member.name, member.config.fault.clone(), member.config.undeclared);
            }
        }
        self.shared.context.complete(completed);
        Ok(())
    }

    /// Ends the tasks.
    pub fn stop(&self) {
        self.shared.context.cancel.cancel();
    }

    fn members(&self) -> MutexGuard<'_, Vec<Member>> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Gateway for HysteriaGateway {
    fn name(&self) -> &str {
        &self.name
    }

    fn kind(&self) -> &'static str {
        "hysteria"
    }

    fn submit(&self, account: &str, target: Target) {
        if self.shared.state().submit(account, &target, self.shared.now()) {
            for worker in self.members().iter().filter_map(|member| member.worker.as_ref()) {
                worker.wake();
            }
        }
    }

    fn look(&self) {
        for worker in self.members().iter().filter_map(|member| member.worker.as_ref()) {
            worker.look();
        }
    }

    fn observe(&self, account: &str) -> Observation {
        self.shared.state().observe(account)
    }

    fn forget(&self, account: &str) {
        self.shared.state().forget(account);
    }

    fn links(&self, _: &Credentials) -> Links {
        let members = self.members();
        let usable = members.iter().filter(|member| member.config.has_link());
        let usable: Vec<_> = usable
            .map(|member| (member.name.clone(), Arc::clone(&member.server)))
            .collect();
        drop(members);
        let now = self.shared.context.clock.monotonic();
        let silent: Vec<bool> = {
            let state = self.shared.state();
            let silent = usable.iter().map(|(name, _)| state.silent(name, now, SILENT_AFTER));
            silent.collect()
        };
        let links = usable.into_iter().zip(silent).map(|((_, server), silent)| Link {
            silent,
            ..Link::new(server)
        });
        Links::Known(links.collect())
    }

    fn unusable(&self) -> Vec<String> {
        self.shared.state().unusable()
    }

    fn health(&self) -> Vec<NodeHealth> {
        let context = &self.shared.context;
        let now = context.clock.monotonic();
        // Where polls are quick, one that is under way has the time that an answer may take.
        let patience = (context.poll_interval * PATIENCE).max(context.poll_interval + client::CALL_TIMEOUT);
        self.shared.state().health(now, patience)
    }

    fn backlog(&self) -> Backlog {
        Backlog::NONE.with(Work::Prove, self.shared.state().revocations.unproved())
    }
}
