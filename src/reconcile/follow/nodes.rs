//! The nodes that ask a replica: their tokens, and who is online on them.

use std::{
    collections::{BTreeMap, HashSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

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
        declared::{Environment, names_secret},
        fleet::Fleet,
        hysteria::watch,
        meter::meter,
        watched::WatchedNodes,
    },
    metrics::Metrics,
    model::{
        gateway::{DEFAULT_GATEWAY, VpnGateway, VpnGatewaySpec},
        user::{AccountPresence, VpnUser},
    },
    reconcile::auth_guard::{AuthGuard, AuthGuards},
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

/// The nodes that ask.
pub struct Nodes {
    dependencies: Dependencies,
    declared: Mutex<BTreeMap<String, Arc<VpnGatewaySpec>>>,
    fleet: Fleet<WatchedNodes>,
    polled: Mutex<HashSet<NodeName>>,
    changed: Notify,
    /// Something of what is declared has to be tried again.
    incomplete: AtomicBool,
    /// Some node could be told by its token once.
    known: AtomicBool,
    /// The auth guards of panels.
    guards: AuthGuards,
}

impl Nodes {
    /// No nodes yet.
    #[must_use]
    pub fn new(dependencies: Dependencies) -> Self {
        Self {
            dependencies,
            declared: Mutex::default(),
            fleet: Fleet::default(),
            polled: Mutex::default(),
            changed: Notify::new(),
            incomplete: AtomicBool::new(false),
            known: AtomicBool::new(false),
            guards: AuthGuards::default(),
        }
    }

    fn declared(&self) -> MutexGuard<'_, BTreeMap<String, Arc<VpnGatewaySpec>>> {
        self.declared.lock().unwrap_or_else(PoisonError::into_inner)
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
        let watched = self.fleet.all();
        let mut health: Vec<_> = watched.iter().flat_map(|nodes| nodes.health()).collect();
        health.sort_unstable_by(|a, b| a.node.cmp(&b.node));
        health
    }

    /// How the auth guard of each panel is, by what this replica was asked.
    #[must_use]
    pub fn guards(&self) -> Vec<AuthGuard> {
        self.guards.all(&self.dependencies.endpoint, false)
    }

    /// The status of a user says of its account on each gateway whether it is the operator's: the controller's word.
    pub(super) fn reported(&self, user: &VpnUser) {
        let account = account_of(user);
        let status = user.status.iter().flat_map(|status| &status.gateways);
        let is_foreign = |name: &str| {
            let mut foreign = status.clone().filter(|state| state.account == AccountPresence::Foreign);
            foreign.any(|state| state.name == name)
        };
        for gateway in user.spec.gateway_names() {
            let panel = NodeName::new(&gateway, PANEL);
            self.dependencies.index.stranger(&panel, &account, is_foreign(&gateway));
        }
    }

    /// Has every node looked at now.
    pub fn look_now(&self) {
        for nodes in self.fleet.all() {
            nodes.look();
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
        let (mut wanted, mut refused) = (Vec::new(), BTreeMap::new());
        let mut take = |name: &str, resolved| match resolved {
            Ok(ready) => wanted.push((name.to_owned(), ready)),
            Err(refusal) => drop(refused.insert(name.to_owned(), refusal)),
        };
        for (name, spec) in &declared {
            take(name, environment.resolve(sources, name, spec, false).await);
        }
        if declared.is_empty() {
            take(DEFAULT_GATEWAY, environment.own(sources).await);
        }
        let mut told = false;
        let start = |name: &str, wanted: &_| WatchedNodes::start(name, wanted, self.context());
        let replaced = self.fleet.replace(wanted, refused, start, |asking| {
            let Dependencies { index, endpoint, .. } = &self.dependencies;
            index.expect_polls_of(&asking.polled);
            self.guards.answer(endpoint, &asking);
            told = !asking.askers.is_empty();
            let mut polled = self.polled.lock().unwrap_or_else(PoisonError::into_inner);
            for left in polled.difference(&asking.polled) {
                self.dependencies.metrics.node_removed(&left.0);
            }
            *polled = asking.polled;
        });
        self.incomplete.store(replaced.incomplete, Ordering::Relaxed);
        if told || !replaced.incomplete {
            self.known.store(true, Ordering::Release);
        }
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
