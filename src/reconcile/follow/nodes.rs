//! The nodes that ask a replica: their tokens, and who is online on them.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use kube::ResourceExt as _;
use tokio::sync::Notify;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::Follower;
use crate::{
    auth::{index::AuthIndex, listener::AuthEndpoint},
    clock::SharedClock,
    credentials::Sources,
    gateway::{
        NodeHealth, NodeName, SessionLedger as _,
        blitz::PANEL,
        hysteria::{
            client::{StatsEndpoint, StatsError},
            watch::{self, NodeWatch},
        },
    },
    metrics::Metrics,
    model::{
        gateway::{DEFAULT_GATEWAY, VpnGateway, VpnGatewaySpec},
        user::{AccountPresence, VpnUser},
    },
    reconcile::{
        askers::{Answered, Asks, answered},
        auth_guard::{self, AuthGuard, note_ambiguous},
        declared::{Environment, Refusal, Wanted, meter, names_secret},
        plan::gateway_names,
    },
    roster::account_of,
};

/// How often a gateway that cannot be used is tried again.
const RETRY: Duration = Duration::from_secs(5);

/// What this works with.
pub struct Dependencies {
    /// What the environment says.
    pub environment: Environment,
    /// Reads the secrets that gateways name.
    pub sources: Sources,
    /// Told who is online.
    pub index: Arc<AuthIndex>,
    /// Told which node asks with which path secret.
    pub endpoint: Arc<AuthEndpoint>,
    /// The clock.
    pub clock: SharedClock,
    /// Numbers.
    pub metrics: Arc<Metrics>,
    /// Joins what is started.
    pub tasks: TaskTracker,
    /// Ends everything.
    pub cancel: CancellationToken,
}

/// A gateway as it is answered and looked at.
struct Running {
    as_wanted: Wanted,
    watches: HashMap<NodeName, (StatsEndpoint, NodeWatch)>,
}

/// The nodes that ask.
pub struct Nodes {
    dependencies: Dependencies,
    declared: Mutex<BTreeMap<String, Arc<VpnGatewaySpec>>>,
    running: Mutex<HashMap<String, Running>>,
    changed: Notify,
    /// Something of what is declared has to be tried again.
    incomplete: AtomicBool,
    /// Some node could be told by its token once.
    known: AtomicBool,
    /// Panels whose servers cannot be answered, and what is said of each.
    unanswered: ArcSwap<BTreeMap<String, String>>,
}

impl Nodes {
    /// No nodes yet.
    #[must_use]
    pub fn new(dependencies: Dependencies) -> Self {
        Self {
            dependencies,
            declared: Mutex::default(),
            running: Mutex::default(),
            changed: Notify::new(),
            incomplete: AtomicBool::new(false),
            known: AtomicBool::new(false),
            unanswered: ArcSwap::default(),
        }
    }

    fn declared(&self) -> MutexGuard<'_, BTreeMap<String, Arc<VpnGatewaySpec>>> {
        self.declared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn running(&self) -> MutexGuard<'_, HashMap<String, Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a gateway as it is now.
    pub fn declare(&self, gateway: &VpnGateway) {
        let spec = Arc::new(gateway.spec.clone());
        let before = self.declared().insert(gateway.name_any(), Arc::clone(&spec));
        if before != Some(spec) {
            self.changed.notify_one();
        }
    }

    /// There is no gateway of this name any more.
    pub fn gone(&self, name: &str) {
        self.declared().remove(name);
        self.changed.notify_one();
    }

    /// A Secret is new, changed or gone.
    pub fn secret_changed(&self, secret: &str) {
        if self.declared().values().any(|spec| names_secret(spec, secret)) {
            self.changed.notify_one();
        }
    }

    /// Asks for another [`Self::converge`]: what changed during the first one was not acted on.
    pub fn again(&self) {
        self.changed.notify_one();
    }

    /// Whether nodes can be told by their tokens. Once so, always so.
    #[must_use]
    pub fn are_known(&self) -> bool {
        self.known.load(Ordering::Acquire)
    }

    /// What the last look at each node showed.
    #[must_use]
    pub fn health(&self) -> Vec<NodeHealth> {
        let running = self.running();
        let watches = running.values().flat_map(|running| running.watches.values());
        let mut health: Vec<_> = watches.map(|(_, watch)| watch.health()).collect();
        health.sort_unstable_by(|a, b| a.node.cmp(&b.node));
        health
    }

    /// How the auth guard of each panel is, by what this replica was asked.
    #[must_use]
    pub fn guards(&self) -> Vec<AuthGuard> {
        auth_guard::guards(&self.dependencies.endpoint, &self.unanswered.load(), false)
    }

    /// The status of a user says of its account on each gateway whether it is the operator's: the controller's word.
    pub(super) fn reported(&self, user: &VpnUser) {
        let account = account_of(user);
        let status = user.status.iter().flat_map(|status| &status.gateways);
        let is_foreign = |name: &str| {
            let mut foreign = status.clone().filter(|state| state.account == AccountPresence::Foreign);
            foreign.any(|state| state.name == name)
        };
        for gateway in gateway_names(user) {
            let panel = NodeName::new(&gateway, PANEL);
            self.dependencies.index.stranger(&panel, &account, is_foreign(&gateway));
        }
    }

    /// Has every node looked at now.
    pub fn look_now(&self) {
        for (_, watch) in self.running().values().flat_map(|running| running.watches.values()) {
            watch.look();
        }
    }

    /// Follows what is declared until `cancel`, after the first load (which calls [`Self::converge`] itself).
    pub async fn run(ctx: Arc<Follower>, cancel: CancellationToken) {
        let nodes = &ctx.nodes;
        loop {
            tokio::select! {
                () = cancel.cancelled() => return,
                () = nodes.changed.notified() => {}
                () = tokio::time::sleep(RETRY), if nodes.incomplete.load(Ordering::Relaxed) => {}
            }
            if ctx.roster.is_loaded() {
                nodes.converge().await;
            }
        }
    }

    /// Makes what is answered and looked at equal to what is declared. A gateway that is declared in a way in which it cannot be
    /// used goes on as it was.
    pub async fn converge(&self) {
        let declared = self.declared().clone();
        let Dependencies {
            environment, sources, ..
        } = &self.dependencies;
        let mut wanted = Vec::new();
        for (name, spec) in &declared {
            wanted.push((name.clone(), environment.resolve(sources, name, spec, false).await));
        }
        if declared.is_empty() {
            wanted.push((DEFAULT_GATEWAY.to_owned(), environment.own(sources).await));
        }
        let refused = self.replace(wanted);
        self.incomplete.store(refused, Ordering::Relaxed);
        if !refused || self.running().values().any(|it| !it.as_wanted.asks.is_empty()) {
            self.known.store(true, Ordering::Release);
        }
    }

    /// Answers whether something cannot be used.
    fn replace(&self, wanted: Vec<(String, Result<Wanted, Refusal>)>) -> bool {
        let mut running = self.running();
        let mut refused = false;
        let names: HashSet<String> = wanted.iter().map(|(name, _)| name.clone()).collect();
        let before: HashSet<NodeName> = running.values().flat_map(|it| it.watches.keys().cloned()).collect();
        running.retain(|name, _| names.contains(name));
        for (name, wanted) in wanted {
            let mut present = running.remove(&name);
            let looked = wanted.and_then(|mut wanted| {
                if let Some(present) = &present {
                    wanted.go_on(&name, &present.as_wanted);
                }
                for (node, fault) in wanted.run.faults() {
                    refused = true;
                    let known = present.as_ref().map(|present| &present.as_wanted);
                    if known.is_some_and(|known| known.run.faults().any(|it| it == (node, fault))) {
                        continue;
                    }
                    tracing::warn!(
                        gateway = name,
                        node,
                        goes_on_as_before = fault.goes_on,
                        "a node cannot be answered as it is declared: {}",
                        fault.why
                    );
                }
                self.look(&name, wanted, &mut present).map_err(|error| Refusal {
                    reason: "InvalidNode",
                    message: error.to_string(),
                })
            });
            if let Err(refusal) = looked {
                refused = true;
                tracing::warn!(
                    gateway = name,
                    reason = refusal.reason,
                    "the gateway cannot be answered as declared: {}",
                    refusal.message
                );
            }
            running.extend(present.map(|present| (name, present)));
        }
        let polled: HashSet<NodeName> = running.values().flat_map(|it| it.watches.keys().cloned()).collect();
        for left in before.difference(&polled) {
            self.dependencies.index.node_removed(left);
            self.dependencies.metrics.node_removed(&left.0);
        }
        self.dependencies.index.expect_polls_of(&polled);
        let asks = running.values().flat_map(|it| it.as_wanted.asks.iter().cloned());
        let Answered { askers, ambiguous } = answered(asks.collect());
        self.dependencies
            .endpoint
            .set_tokens(askers.iter().map(Asks::as_answered));
        note_ambiguous(&self.unanswered.swap(Arc::new(ambiguous.clone())), &ambiguous);
        refused
    }

    /// Looks at the nodes of a gateway. Those whose statistics API stays the same are looked at on. After an error everything is as
    /// it was.
    fn look(&self, name: &str, wanted: Wanted, present: &mut Option<Running>) -> Result<(), StatsError> {
        let mut fresh = HashMap::new();
        for node in wanted.run.nodes() {
            let Some(endpoint) = &node.stats else { continue };
            let node = NodeName::new(name, &node.name);
            let same = present.as_ref().and_then(|present| present.watches.get(&node));
            if same.is_some_and(|(at, _)| at == endpoint) {
                continue;
            }
            let watch = NodeWatch::start(node.clone(), endpoint, &self.context())?;
            fresh.insert(node, (endpoint.clone(), watch));
        }
        let mut watches = present.take().map(|present| present.watches).unwrap_or_default();
        watches.retain(|node, (at, _)| {
            let declared = wanted
                .run
                .nodes()
                .iter()
                .find(|it| NodeName::new(name, &it.name) == *node);
            declared.is_some_and(|declared| declared.stats.as_ref() == Some(at))
        });
        watches.extend(fresh);
        *present = Some(Running {
            as_wanted: wanted,
            watches,
        });
        Ok(())
    }

    fn context(&self) -> watch::Context {
        watch::Context {
            ledger: Arc::clone(&self.dependencies.index) as _,
            clock: Arc::clone(&self.dependencies.clock),
            meter: meter(&self.dependencies.metrics),
            poll_interval: self.dependencies.environment.poll_interval,
            cancel: self.dependencies.cancel.clone(),
            tasks: self.dependencies.tasks.clone(),
        }
    }
}
