//! The running gateways, and what they are built with.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use arc_swap::ArcSwap;
use tokio::sync::Notify;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    auth_guard::{AuthGuard, AuthGuards},
    usage::UsageBook,
};
use crate::{
    auth::{index::AuthIndex, listener::AuthEndpoint},
    clock::SharedClock,
    credentials::Sources,
    fence::Fence,
    gateway::{
        Completions, Context, Credentials, Link,
        declared::{Environment, Refusal, Wanted},
        fleet::{Fleet, Replaced},
        meter::meter,
        running::{self, Acting},
    },
    issue::Linking,
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

/// The running gateways. Reading is lock-free.
pub struct Gateways {
    pub(super) dependencies: Dependencies,
    fleet: Fleet<dyn Acting>,
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
    /// The auth guards of panels.
    guards: AuthGuards,
}

impl Gateways {
    /// No gateways yet.
    #[must_use]
    pub fn new(dependencies: Dependencies) -> Self {
        Self {
            dependencies,
            fleet: Fleet::default(),
            changed: Notify::new(),
            incomplete: AtomicBool::new(false),
            awaited: AtomicBool::new(false),
            sharing: ArcSwap::default(),
            users_moved: AtomicBool::new(false),
            moved: Notify::new(),
            not_separated: ArcSwap::default(),
            guards: AuthGuards::default(),
        }
    }

    /// The running gateway of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Arc<dyn Acting>> {
        self.fleet.get(name)
    }

    /// Every running gateway.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<dyn Acting>> {
        self.fleet.all()
    }

    /// Why the gateway of this name does not run as it is declared, if it does not as a whole.
    #[must_use]
    pub fn refusal(&self, name: &str) -> Option<String> {
        self.refused().get(name).map(|refusal| refusal.message.clone())
    }

    /// The gateways that do not run as they are declared as a whole, and why.
    #[must_use]
    pub fn refusals(&self) -> Vec<(String, String)> {
        let refused = self.refused();
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
        self.guards.all(&self.dependencies.endpoint, self.dependencies.alone)
    }

    pub(super) fn refused(&self) -> Arc<BTreeMap<String, Refusal>> {
        self.fleet.refused()
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

    /// Makes what runs equal to `wanted`. What is refused, already or here, stays as it is.
    pub(super) fn replace(
        &self,
        usage: &Arc<UsageBook>,
        wanted: HashMap<String, Wanted>,
        refused: BTreeMap<String, Refusal>,
    ) -> Replaced {
        let start = |name: &str, wanted: &running::Wanted| running::start(name, wanted, self.context(usage));
        self.fleet.replace(wanted, refused, start, |asking| {
            let Dependencies { index, endpoint, .. } = &self.dependencies;
            index.expect_polls_of(&asking.polled);
            index.declare_alike(&asking.alike);
            self.guards.answer(endpoint, &asking);
            // The same is not kept anew.
            if **self.sharing.load() != asking.sharing {
                self.sharing.store(Arc::new(asking.sharing));
            }
        })
    }

    fn context(&self, usage: &Arc<UsageBook>) -> Context {
        let dependencies = &self.dependencies;
        Context {
            ledger: Arc::clone(&dependencies.index) as _,
            usage: Arc::clone(usage) as _,
            completions: dependencies.completions.clone(),
            clock: Arc::clone(&dependencies.clock),
            fence: dependencies.fence.clone(),
            meter: meter(&dependencies.metrics),
            poll_interval: dependencies.environment.poll_interval,
            cancel: dependencies.cancel.clone(),
            tasks: dependencies.tasks.clone(),
        }
    }
}

impl Linking for Gateways {
    fn links(&self, gateway: &str, credentials: &Credentials) -> Vec<Link> {
        self.get(gateway)
            .map(|gateway| gateway.links(credentials).known())
            .unwrap_or_default()
    }
}
