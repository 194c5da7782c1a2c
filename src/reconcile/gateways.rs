//! The running gateways: which there are, and how one is started, replaced and stopped.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use arc_swap::ArcSwap;
use secrecy::ExposeSecret;
use tokio::sync::Notify;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub use super::declared::Environment;
use super::{
    askers::{Answered, Asks, answered},
    auth_guard::{self, AuthGuard, note_ambiguous},
    declared::{Refusal, Wanted, alike, meter},
    usage::UsageBook,
};
use crate::{
    auth::{index::AuthIndex, listener::AuthEndpoint},
    clock::SharedClock,
    credentials::Sources,
    fence::Fence,
    gateway::{
        Completions, Context, Gateway,
        running::{self, StartError},
    },
    metrics::Metrics,
    model::separation::Sharing,
};

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
    /// No other process answers logins.
    pub alone: bool,
    /// Joins what is started.
    pub tasks: TaskTracker,
    /// Ends everything.
    pub cancel: CancellationToken,
}

struct Running {
    gateway: Arc<dyn running::Running>,
    as_wanted: Wanted,
    cancel: CancellationToken,
}

/// The running gateways. Reading is lock-free.
pub struct Gateways {
    pub(super) dependencies: Dependencies,
    snapshot: ArcSwap<HashMap<String, Arc<dyn Gateway>>>,
    running: Mutex<HashMap<String, Running>>,
    refused: ArcSwap<BTreeMap<String, Refusal>>,
    pub(super) changed: Notify,
    /// Something of what is declared has to be tried again.
    pub(super) incomplete: AtomicBool,
    /// A deleted gateway waits for its users to leave it.
    pub(super) awaited: AtomicBool,
    /// Which of the running gateways share a path secret.
    pub(super) sharing: ArcSwap<Sharing>,
    /// A user came, changed or went since it was looked whom that concerns.
    pub(super) users_moved: AtomicBool,
    /// That is of interest just now.
    pub(super) moved: Notify,
    /// Gateways to which users cannot be kept, and what is said of each.
    pub(super) not_separated: ArcSwap<BTreeMap<String, String>>,
    /// Panels whose servers cannot be answered, and what is said of each.
    unanswered: ArcSwap<BTreeMap<String, String>>,
}

impl Gateways {
    /// No gateways yet.
    #[must_use]
    pub fn new(dependencies: Dependencies) -> Self {
        Self {
            dependencies,
            snapshot: ArcSwap::default(),
            running: Mutex::default(),
            refused: ArcSwap::default(),
            changed: Notify::new(),
            incomplete: AtomicBool::new(false),
            awaited: AtomicBool::new(false),
            sharing: ArcSwap::default(),
            users_moved: AtomicBool::new(false),
            moved: Notify::new(),
            not_separated: ArcSwap::default(),
            unanswered: ArcSwap::default(),
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

    /// Why the gateway of this name does not run as it is declared, if it does not as a whole.
    #[must_use]
    pub fn refusal(&self, name: &str) -> Option<String> {
        self.refused.load().get(name).map(|refusal| refusal.message.clone())
    }

    /// The gateways that do not run as they are declared as a whole, and why.
    #[must_use]
    pub fn refusals(&self) -> Vec<(String, String)> {
        let refused = self.refused.load();
        let told = refused
            .iter()
            .map(|(name, refusal)| (name.clone(), refusal.message.clone()));
        told.collect()
    }

    /// The gateways to which users cannot be kept who name them alone, and what is to be said of each.
    #[must_use]
    pub fn not_separated(&self) -> Vec<(String, String)> {
        let told = self.not_separated.load();
        told.iter().map(|(name, why)| (name.clone(), why.clone())).collect()
    }

    /// How the auth guard of each panel is.
    #[must_use]
    pub fn guards(&self) -> Vec<AuthGuard> {
        auth_guard::guards(
            &self.dependencies.endpoint,
            &self.unanswered.load(),
            self.dependencies.alone,
        )
    }

    pub(super) fn refused(&self) -> Arc<BTreeMap<String, Refusal>> {
        self.refused.load_full()
    }

    /// A user is changed or gone: a deleted gateway may have waited for that, and who names which gateway may be another.
    pub fn user_changed(&self) {
        self.users_moved.store(true, Ordering::SeqCst);
        if !self.sharing.load().is_empty() {
            self.moved.notify_one();
        }
        if self.awaited.load(Ordering::SeqCst) {
            self.changed();
        }
    }

    /// A declared gateway is new, changed or gone.
    pub fn changed(&self) {
        self.changed.notify_one();
    }

    /// Makes what runs equal to `wanted`, and answers the names of gateways that changed, and whether something cannot run as
    /// it is declared. What is refused, already or here, stays as it is.
    pub(super) fn replace(
        &self,
        usage: &Arc<UsageBook>,
        wanted: HashMap<String, Wanted>,
        mut refused: BTreeMap<String, Refusal>,
    ) -> (Vec<String>, bool) {
        let mut changed = Vec::new();
        let mut faulty = false;
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let gone: Vec<(String, Running)> = running
            .extract_if(|name, _| !wanted.contains_key(name) && !refused.contains_key(name))
            .collect();
        for (name, mut wanted) in wanted {
            if let Some(present) = running.get(&name) {
                wanted.go_on(&name, &present.as_wanted);
            }
            let known = running.get(&name).map(|present| &present.as_wanted);
            for (node, fault) in wanted.run.faults() {
                let told = known.is_some_and(|known| known.run.faults().any(|it| it == (node, fault)));
                if !told {
                    tracing::warn!(
                        gateway = name,
                        node,
                        goes_on_as_before = fault.goes_on,
                        "a node cannot be run as it is declared: {}",
                        fault.why
                    );
                }
                faulty = true;
            }
            if let Some(present) = running
                .get_mut(&name)
                .filter(|present| present.as_wanted.run == wanted.run)
            {
                present.as_wanted = wanted;
                continue;
            }
            let mut present = running.remove(&name);
            match self.bring_about(&name, wanted, &mut present, usage) {
                Ok(()) => changed.push(name.clone()),
                Err(error) => {
                    let (reason, message) = (error.reason(), error.to_string());
                    refused.insert(name.clone(), Refusal { reason, message });
                }
            }
            running.extend(present.map(|present| (name, present)));
        }
        let mut nodes = HashSet::new();
        let mut asks = Vec::new();
        for (name, present) in running.iter() {
            nodes.extend(present.as_wanted.run.polled(name).map(|(node, _)| node));
            asks.extend(present.as_wanted.asks.iter().cloned());
        }
        self.dependencies.index.expect_polls_of(&nodes);
        let addresses = running
            .iter()
            .flat_map(|(name, present)| present.as_wanted.run.polled(name));
        self.dependencies.index.declare_alike(&alike(addresses));
        self.note_sharing(&asks);
        let Answered { askers, ambiguous } = answered(asks);
        self.dependencies
            .endpoint
            .set_tokens(askers.iter().map(Asks::as_answered));
        note_ambiguous(&self.unanswered.swap(Arc::new(ambiguous.clone())), &ambiguous);
        self.snapshot.store(Arc::new(
            running
                .iter()
                .map(|(name, running)| (name.clone(), Arc::clone(&running.gateway) as _))
                .collect(),
        ));
        for (name, gateway) in gone {
            gateway.gateway.leave();
            gateway.cancel.cancel();
            changed.push(name);
        }
        let known = self.refused.load();
        for (name, refusal) in &refused {
            if known.get(name) != Some(refusal) {
                tracing::warn!(
                    gateway = name,
                    reason = refusal.reason,
                    "the gateway cannot run as declared: {}",
                    refusal.message
                );
                changed.push(name.clone());
            }
        }
        changed.extend(known.keys().filter(|name| !refused.contains_key(*name)).cloned());
        let incomplete = !refused.is_empty() || faulty;
        self.refused.store(Arc::new(refused));
        (changed, incomplete)
    }

    /// Keeps which gateways share a path secret; the same is not kept anew.
    fn note_sharing(&self, asks: &[Asks]) {
        let nodes = asks.iter().filter(|it| it.upstream.is_none());
        let sharing = Sharing::of(nodes.map(|it| (it.node.gateway(), it.token.expose_secret())));
        if **self.sharing.load() != sharing {
            self.sharing.store(Arc::new(sharing));
        }
    }

    /// Runs a gateway as is wanted: the present one goes on, or makes room for one of another kind. After an error the present one
    /// is as it was.
    fn bring_about(
        &self,
        name: &str,
        wanted: Wanted,
        present: &mut Option<Running>,
        usage: &Arc<UsageBook>,
    ) -> Result<(), StartError> {
        if let Some(present) = present
            && present.gateway.update(&wanted.run)?
        {
            present.as_wanted = wanted;
            return Ok(());
        }
        let started = self.start(name, wanted, usage)?;
        if let Some(former) = present.replace(started) {
            former.gateway.leave();
            former.cancel.cancel();
        }
        Ok(())
    }

    fn start(&self, name: &str, wanted: Wanted, usage: &Arc<UsageBook>) -> Result<Running, StartError> {
        let cancel = self.dependencies.cancel.child_token();
        let context = Context {
            ledger: Arc::clone(&self.dependencies.index) as _,
            usage: Arc::clone(usage) as _,
            completions: self.dependencies.completions.clone(),
            clock: Arc::clone(&self.dependencies.clock),
            fence: self.dependencies.fence.clone(),
            meter: meter(&self.dependencies.metrics),
            poll_interval: self.dependencies.environment.poll_interval,
            cancel: cancel.clone(),
            tasks: self.dependencies.tasks.clone(),
        };
        Ok(Running {
            gateway: running::start(name, &wanted.run, context)?,
            as_wanted: wanted,
            cancel,
        })
    }
}
