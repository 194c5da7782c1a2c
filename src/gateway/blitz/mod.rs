//! A Blitz panel, which keeps the accounts itself.
//!
//! The panel works on one call at a time, and every call costs most of a second, so one task a panel makes all of them
//! (`calls`), in the order that `lane` finds. What one account needs is in `managed`, what has to change of it in
//! `difference`, how far its revocation is in `proof`; all of these are pure. Beside the lane sessions are ended at the panel's own server
//! (`kicks`), and the auth guard is told what it has to know (`guard`). It must never take a list that is not one for "nobody is there",
//! change an account that the operator did not make, repeat what the panel says about an error, or hold a lock while it waits for the panel.

mod bypass;
mod call;
mod calls;
pub mod client;
pub mod config;
mod difference;
mod estimate;
mod guard;
mod health;
mod kicks;
mod lane;
mod links;
mod listed;
mod managed;
mod proof;
mod queues;
mod rest;
mod seen;
mod usage;

use std::{
    panic::AssertUnwindSafe,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures::FutureExt as _;
use tokio::{sync::Notify, time::sleep};
use tokio_util::sync::CancellationToken;

use self::{
    bypass::Bypass,
    client::{PanelClient, PanelError},
    config::PanelConfig,
    kicks::ServerHealth,
    lane::{Lane, Pace},
    links::Template,
};
use super::{
    Backlog, Context, Credentials, Gateway, Links, NodeHealth, NodeName, Observation, Target,
    hysteria::client::StatsClient,
};

/// Name of the panel among the nodes of its gateway.
pub const PANEL: &str = "panel";
/// How often a panel is asked who is there while a revocation waits for it.
const WATCHFUL: Duration = Duration::from_secs(2);
/// How long the loop rests after it failed.
const AFTER_FAILURE: Duration = Duration::from_secs(5);

struct Shared {
    name: NodeName,
    context: Context,
    lane: Mutex<Lane>,
    client: Mutex<PanelClient>,
    template: Mutex<Option<Template>>,
    wake: Notify,
    as_wanted: Mutex<PanelConfig>,
    /// Client of the statistics API of the panel's server.
    stats: Mutex<Option<StatsClient>>,
    server: Mutex<ServerHealth>,
    /// Sessions are to be ended at the server.
    kick_wanted: Notify,
    guarded: AtomicBool,
    bypass: Mutex<Bypass>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A panel.
pub struct BlitzGateway {
    gateway: String,
    shared: Arc<Shared>,
    cancel: CancellationToken,
}

impl BlitzGateway {
    /// Starts the lane of a panel. To be called within a tokio runtime.
    ///
    /// # Errors
    /// A client cannot be made: a secret that no header can carry, or certificates that cannot be read.
    pub fn start(gateway: &str, config: &PanelConfig, context: Context) -> Result<Arc<Self>, PanelError> {
        let name = NodeName::new(gateway, PANEL);
        let pace = Pace {
            quiet: context.poll_interval,
            watchful: WATCHFUL.min(context.poll_interval),
        };
        let cancel = context.cancel.child_token();
        let mut lane = Lane::new(&name.0, pace);
        lane.ask_server(config.stats.is_some(), context.now());
        let shared = Arc::new(Shared {
            client: Mutex::new(PanelClient::new(&config.panel, context.fence.clone())?),
            stats: Mutex::new(stats_client(config, &context)?),
            lane: Mutex::new(lane),
            template: Mutex::default(),
            wake: Notify::new(),
            as_wanted: Mutex::new(config.clone()),
            server: Mutex::default(),
            kick_wanted: Notify::new(),
            guarded: AtomicBool::new(config.guarded),
            bypass: Mutex::default(),
            name,
            context,
        });
        // A panel that is never called again would deny nobody any more.
        let (lane, kicks) = (shared.clone(), shared.clone());
        shared.spawn(&cancel, move || {
            let lane = lane.clone();
            async move { lane.work().await }
        });
        shared.spawn(&cancel, move || {
            let kicks = kicks.clone();
            async move { kicks.kicks().await }
        });
        Ok(Arc::new(Self {
            gateway: gateway.to_owned(),
            shared,
            cancel,
        }))
    }

    /// The panel and its server are asked at other addresses or with other secrets from the next call on.
    ///
    /// # Errors
    /// As [`Self::start`]; then nothing was changed.
    pub fn update(&self, config: &PanelConfig) -> Result<(), PanelError> {
        let shared = &self.shared;
        let client = PanelClient::new(&config.panel, shared.context.fence.clone())?;
        let stats = stats_client(config, &shared.context)?;
        let before = std::mem::replace(&mut *lock(&shared.as_wanted), config.clone());
        *lock(&shared.client) = client;
        if before.stats != config.stats {
            *lock(&shared.stats) = stats;
            *lock(&shared.server) = ServerHealth::default();
            shared.lane().ask_server(config.stats.is_some(), shared.context.now());
        }
        if before.guarded != config.guarded {
            shared.guarded.store(config.guarded, Ordering::Relaxed);
            *lock(&shared.bypass) = Bypass::default();
            shared.context.ledger.bypassed(&shared.name, false);
        }
        shared.lane().look_again();
        shared.wake.notify_one();
        shared.kick_wanted.notify_one();
        Ok(())
    }

    /// Ends the lane. The call under way is abandoned.
    pub fn stop(&self) {
        self.cancel.cancel();
    }
}

fn stats_client(config: &PanelConfig, context: &Context) -> Result<Option<StatsClient>, PanelError> {
    let stats = config.stats.as_ref();
    let client = stats.map(|stats| StatsClient::new(stats, context.fence.clone()));
    Ok(client.transpose()?)
}

impl Shared {
    fn lane(&self) -> MutexGuard<'_, Lane> {
        lock(&self.lane)
    }

    /// Runs a loop until `cancel`; again, if it fails.
    fn spawn<F: Future<Output = ()> + Send>(
        self: &Arc<Self>,
        cancel: &CancellationToken,
        work: impl Fn() -> F + Send + Sync + 'static,
    ) {
        let (panel, stopped) = (self.name.clone(), cancel.clone());
        self.context.tasks.spawn(async move {
            let loops = async {
                loop {
                    if AssertUnwindSafe(work()).catch_unwind().await.is_err() {
                        tracing::error!(%panel, "the work on a panel failed and begins anew: report this");
                    }
                    sleep(AFTER_FAILURE).await;
                }
            };
            let _: Option<()> = stopped.run_until_cancelled(loops).await;
        });
    }
}

impl Gateway for BlitzGateway {
    fn name(&self) -> &str {
        &self.gateway
    }

    fn kind(&self) -> &'static str {
        "blitz"
    }

    fn submit(&self, account: &str, target: Target) {
        if self.shared.lane().submit(account, &target, self.shared.context.now()) {
            self.shared.tell_stranger(account);
            self.shared.wake.notify_one();
            if !target.grants_only() {
                self.shared.kick_wanted.notify_one();
            }
        }
    }

    fn look(&self) {
        self.shared.lane().look_again();
        self.shared.wake.notify_one();
    }

    fn observe(&self, account: &str) -> Observation {
        self.shared.lane().observe(account)
    }

    fn forget(&self, account: &str) {
        self.shared.lane().forget(account);
        self.shared.tell_stranger(account);
    }

    fn links(&self, credentials: &Credentials) -> Links {
        let mut lane = self.shared.lane();
        let known = lock(&self.shared.template).clone();
        if let Some(template) = known.filter(|_| lane.lets_in(&credentials.username)) {
            return Links::Known(template.links());
        }
        if lane.ask(&credentials.username, self.shared.context.now()) {
            self.shared.wake.notify_one();
        }
        Links::Pending
    }

    fn unusable(&self) -> Vec<String> {
        Vec::new()
    }

    fn health(&self) -> Vec<NodeHealth> {
        vec![self.shared.health()]
    }

    fn backlog(&self) -> Backlog {
        self.shared.lane().backlog()
    }
}
