//! Keeps the running gateways in step with what is declared.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use kube::ResourceExt;
use tokio::sync::Notify;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub use super::declared::Environment;
use super::{
    core::Core,
    declared::{Refusal, Wanted, meter, names_secret, shared_tokens},
    plan::gateway_names,
};
use crate::{
    auth::{index::AuthIndex, listener::AuthEndpoint},
    clock::SharedClock,
    credentials::Sources,
    desired::DesiredError,
    fence::Fence,
    gateway::{
        Completions, Gateway, NodeName,
        hysteria::{self, HysteriaGateway, client::StatsError},
    },
    metrics::Metrics,
    model::{
        FINALIZER,
        condition::{Conditions, types},
        gateway::{DEFAULT_GATEWAY, VpnGateway, VpnGatewayStatus},
    },
};

/// How often a gateway that could not be started is tried again, and a deleted one asked whether users still refer to it.
const RETRY: Duration = Duration::from_secs(10);

/// How long a start waits for the nodes, and how often it looks whether they answered.
const FIRST_LOOK_TIMEOUT: Duration = Duration::from_secs(1);
const GLANCE: Duration = Duration::from_millis(5);

/// What a gateway is built with.
pub struct Dependencies {
    /// What the environment says.
    pub environment: Environment,
    /// Reads the secrets that gateways name.
    pub sources: Sources,
    /// The sessions that auth hands out.
    pub index: Arc<AuthIndex>,
    /// Told which node asks with which path secret.
    pub endpoint: Arc<AuthEndpoint>,
    /// Where gateways say that they learned something.
    pub completions: Completions,
    /// The clock.
    pub clock: SharedClock,
    /// No gateway is called while it is closed.
    pub fence: Fence,
    /// Numbers.
    pub metrics: Arc<Metrics>,
    /// Joins what is started.
    pub tasks: TaskTracker,
    /// Ends everything.
    pub cancel: CancellationToken,
}

struct Running {
    gateway: Arc<HysteriaGateway>,
    as_wanted: Wanted,
    cancel: CancellationToken,
}

/// The running gateways. Reading is lock-free.
pub struct Gateways {
    dependencies: Dependencies,
    snapshot: ArcSwap<HashMap<String, Arc<dyn Gateway>>>,
    running: Mutex<HashMap<String, Running>>,
    changed: Notify,
    /// Something of what is declared has to be tried again.
    incomplete: AtomicBool,
    /// A deleted gateway waits for its users to leave it.
    awaited: AtomicBool,
}

impl Gateways {
    /// No gateways yet.
    #[must_use]
    pub fn new(dependencies: Dependencies) -> Self {
        Self {
            dependencies,
            snapshot: ArcSwap::default(),
            running: Mutex::default(),
            changed: Notify::new(),
            incomplete: AtomicBool::new(false),
            awaited: AtomicBool::new(false),
        }
    }

    /// The running gateway of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Arc<dyn Gateway>> {
        self.snapshot.load().get(name).cloned()
    }

    /// Every running gateway.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<dyn Gateway>> {
        self.snapshot.load().values().cloned().collect()
    }

    /// A user is changed or gone: a deleted gateway may have waited for that.
    pub fn user_changed(&self) {
        if self.awaited.load(Ordering::SeqCst) {
            self.changed();
        }
    }

    /// A declared gateway is new, changed or gone.
    pub fn changed(&self) {
        self.changed.notify_one();
    }

    /// A Secret is new, changed or gone.
    pub fn secret_changed(&self, ctx: &Core, secret: &str) {
        if ctx
            .declared_gateways
            .state()
            .iter()
            .any(|gateway| names_secret(&gateway.spec, secret))
        {
            self.changed();
        }
    }

    /// Has every node say who is online, and waits for it for a bounded time: how many devices a person has is to be right
    /// from the first login on. A node that does not answer keeps nobody waiting longer than that.
    pub async fn look(&self, ctx: &Core) {
        let since = ctx.clock.monotonic();
        let gateways = self.all();
        for gateway in &gateways {
            gateway.look();
        }
        let index = ctx.roster.index();
        let seen = || {
            let mut nodes = gateways.iter().flat_map(|gateway| gateway.health());
            nodes.all(|node| !node.proves || node.error.is_some() || index.was_polled(&node.node, since))
        };
        let until = since + FIRST_LOOK_TIMEOUT;
        while !seen() && ctx.clock.monotonic() < until {
            tokio::time::sleep(GLANCE).await;
        }
    }

    /// Follows what is declared until `cancel`, after the first load (which calls [`Self::converge`] itself).
    pub async fn run(ctx: Arc<Core>, cancel: CancellationToken) {
        loop {
            tokio::select! {
                () = cancel.cancelled() => return,
                () = ctx.gateways.changed.notified() => {}
                // Looked at when the time is over: the first load finds what is incomplete while this waits.
                () = tokio::time::sleep(RETRY) => if !ctx.gateways.incomplete.load(Ordering::Relaxed) { continue },
            }
            if ctx.roster.is_loaded() {
                ctx.gateways.converge(&ctx).await;
            }
        }
    }

    /// Starts, replaces and stops gateways until what runs is what is declared, and reports. A gateway that is declared in
    /// a way in which it cannot run goes on as it was: its sessions have to be counted and cut all the same.
    pub async fn converge(&self, ctx: &Core) {
        let declared = ctx.declared_gateways.state();
        let mut wanted: HashMap<String, Wanted> = HashMap::new();
        let mut refused: HashMap<String, Refusal> = HashMap::new();
        let mut reports = Vec::new();
        let mut incomplete = false;
        // Before anybody is counted: who leaves meanwhile is looked at again.
        let leaving = declared.iter().any(|it| it.metadata.deletion_timestamp.is_some());
        self.awaited.store(leaving, Ordering::SeqCst);
        for gateway in &declared {
            let name = gateway.name_any();
            let gone = gateway.metadata.deletion_timestamp.is_some();
            let in_use = gone && users_of(ctx, &name) > 0;
            if gone && !in_use {
                if let Err(error) = ctx.desired.remove_gateway_finalizer(&name).await {
                    tracing::warn!(gateway = name, %error, "a deleted gateway could not be let go");
                    incomplete = true;
                }
                continue;
            }
            let has_finalizer = gone || gateway.finalizers().iter().any(|it| it == FINALIZER);
            if !has_finalizer && let Err(error) = ctx.desired.add_gateway_finalizer(gateway).await {
                tracing::warn!(gateway = name, %error, "a gateway could not be given its finalizer");
                incomplete = true;
            }
            incomplete |= in_use;
            reports.push((Arc::clone(gateway), in_use));
            match self
                .dependencies
                .environment
                .resolve(&self.dependencies.sources, &name, &gateway.spec, false)
                .await
            {
                Ok(ready) => drop(wanted.insert(name, ready)),
                Err(refusal) => drop(refused.insert(name, refusal)),
            }
        }
        if declared.is_empty() {
            match self.dependencies.environment.own(&self.dependencies.sources).await {
                Ok(ready) => drop(wanted.insert(DEFAULT_GATEWAY.to_owned(), ready)),
                Err(refusal) => drop(refused.insert(DEFAULT_GATEWAY.to_owned(), refusal)),
            }
        }
        for name in wanted.keys() {
            for node in wanted.get(name).into_iter().flat_map(|w| &w.nodes) {
                ctx.usage.prepare(&NodeName::new(name, &node.name)).await;
            }
        }
        let changed = self.replace(ctx, wanted, &mut refused);
        for (name, refusal) in &refused {
            tracing::warn!(
                gateway = name,
                reason = refusal.reason,
                "the gateway cannot run as declared: {}",
                refusal.message
            );
        }
        incomplete |= !refused.is_empty();
        for (gateway, in_use) in reports {
            incomplete |= !report(ctx, &gateway, refused.remove(&gateway.name_any()), in_use).await;
        }
        self.incomplete.store(incomplete, Ordering::Relaxed);
        if !changed.is_empty() && ctx.roster.is_loaded() {
            for user in ctx.users.state() {
                let had = user.status.iter().flat_map(|status| &status.gateways);
                if gateway_names(&user)
                    .iter()
                    .chain(had.map(|state| &state.name))
                    .any(|name| changed.contains(name))
                {
                    ctx.queue.push(&user.name_any(), &ctx.namespace);
                }
            }
        }
    }

    /// Makes what runs equal to `wanted`, and answers the names of gateways that changed. What is refused, already or here,
    /// stays as it is.
    fn replace(
        &self,
        ctx: &Core,
        wanted: HashMap<String, Wanted>,
        refused: &mut HashMap<String, Refusal>,
    ) -> Vec<String> {
        let mut changed = Vec::new();
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let gone: Vec<(String, Running)> = running
            .extract_if(|name, _| !wanted.contains_key(name) && !refused.contains_key(name))
            .collect();
        for (name, wanted) in wanted {
            let outcome = match running.get_mut(&name) {
                Some(present) if present.as_wanted.nodes == wanted.nodes => {
                    present.as_wanted = wanted;
                    continue;
                }
                Some(present) => {
                    let updated = present.gateway.update(wanted.nodes.clone());
                    updated.map(|()| present.as_wanted = wanted)
                }
                None => self.start(&name, wanted, ctx).map(|started| {
                    running.insert(name.clone(), started);
                }),
            };
            match outcome {
                Ok(()) => changed.push(name),
                Err(error) => {
                    let message = error.to_string();
                    let reason = "InvalidNode";
                    refused.insert(name, Refusal { reason, message });
                }
            }
        }
        let mut nodes = HashSet::new();
        let mut tokens = Vec::new();
        for (name, present) in running.iter() {
            let polled = present.as_wanted.nodes.iter().filter(|node| node.stats.is_some());
            nodes.extend(polled.map(|node| NodeName::new(name, &node.name)));
            tokens.extend(present.as_wanted.tokens.iter().cloned());
        }
        self.dependencies.index.expect_polls_of(&nodes);
        let tokens = shared_tokens(tokens);
        self.dependencies
            .endpoint
            .set_tokens(tokens.iter().map(|(name, token)| (token, name)));
        self.snapshot.store(Arc::new(
            running
                .iter()
                .map(|(name, running)| (name.clone(), Arc::clone(&running.gateway) as _))
                .collect(),
        ));
        // Nobody asks these any more: a gateway without a node has nothing left to prove, which is not a proof.
        for (name, gateway) in gone {
            if let Err(error) = gateway.gateway.update(Vec::new()) {
                tracing::warn!(gateway = name, %error, "a gateway that is gone could not be stopped in order");
            }
            gateway.cancel.cancel();
            changed.push(name);
        }
        changed
    }

    fn start(&self, name: &str, wanted: Wanted, ctx: &Core) -> Result<Running, StatsError> {
        let cancel = self.dependencies.cancel.child_token();
        let context = hysteria::Context {
            ledger: Arc::clone(&self.dependencies.index) as _,
            usage: Arc::clone(&ctx.usage) as _,
            completions: self.dependencies.completions.clone(),
            clock: Arc::clone(&self.dependencies.clock),
            fence: self.dependencies.fence.clone(),
            meter: meter(&self.dependencies.metrics),
            poll_interval: self.dependencies.environment.poll_interval,
            cancel: cancel.clone(),
            tasks: self.dependencies.tasks.clone(),
        };
        Ok(Running {
            gateway: HysteriaGateway::start(name, wanted.nodes.clone(), context)?,
            as_wanted: wanted,
            cancel,
        })
    }
}

fn users_of(ctx: &Core, gateway: &str) -> usize {
    ctx.users
        .state()
        .iter()
        .filter(|user| gateway_names(user).iter().any(|name| name == gateway))
        .count()
}

/// Answers whether the status says how it is.
async fn report(ctx: &Core, gateway: &VpnGateway, refusal: Option<Refusal>, in_use: bool) -> bool {
    let mut status = gateway.status.clone().unwrap_or_default();
    let generation = gateway.metadata.generation.unwrap_or_default();
    status.observed_generation = generation;
    let mut conditions = Conditions::new(&mut status.conditions, generation, ctx.clock.now());
    let stalled = match &refusal {
        Some(refusal) => Some((refusal.reason, refusal.message.clone())),
        None if in_use => Some((
            "InUse",
            "users still refer to this gateway: take it out of their spec.gateways, then it goes".to_owned(),
        )),
        None => None,
    };
    if let Some((reason, message)) = stalled {
        conditions.set(types::READY, refusal.is_none(), reason, message.clone());
        conditions.set(types::STALLED, true, reason, message);
    } else {
        conditions.set(types::READY, true, "Running", "the operator asks and answers its nodes");
        status.conditions.retain(|condition| condition.type_ != types::STALLED);
    }
    publish(ctx, gateway, status).await
}

async fn publish(ctx: &Core, gateway: &VpnGateway, status: VpnGatewayStatus) -> bool {
    if gateway.status.as_ref() == Some(&status) {
        return true;
    }
    let name = gateway.name_any();
    match ctx.desired.report_gateway(gateway, status).await {
        // Gone in the meantime: its own event follows.
        Ok(()) | Err(DesiredError::NotFound { .. }) => true,
        Err(error) => {
            tracing::warn!(gateway = name, %error, "the status of a gateway could not be reported");
            false
        }
    }
}
