//! Looking at a node without touching it: who is online, and nothing else.

use std::{
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use futures::FutureExt as _;
use tokio::{sync::Notify, time::sleep};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{
    client::{StatsClient, StatsEndpoint, StatsError},
    node::{BACKOFF, wait},
    state::{Online, Operation},
};
use crate::{
    clock::SharedClock,
    fence::Fence,
    gateway::{Call, Meter, NodeHealth, NodeName, SessionLedger, retry::Backoff},
    model::gateway::Reachable,
};

/// What a look needs.
#[derive(Clone)]
pub struct Context {
    /// Told who is online.
    pub ledger: Arc<dyn SessionLedger>,
    /// The clock.
    pub clock: SharedClock,
    /// Told of every call to a node.
    pub meter: Meter,
    /// Pause between two looks.
    pub poll_interval: std::time::Duration,
    /// Ends the task.
    pub cancel: CancellationToken,
    /// The task is joined here.
    pub tasks: tokio_util::task::TaskTracker,
}

/// A node that is looked at until this is dropped. Nothing waits for it.
pub struct NodeWatch {
    health: Arc<Mutex<NodeHealth>>,
    look_wanted: Arc<Notify>,
    _end: DropGuard,
}

impl NodeWatch {
    /// Starts looking. To be called within a tokio runtime.
    ///
    /// # Errors
    /// A client cannot be made: a secret that no header can carry, or no CA certificates on this machine.
    pub fn start(name: NodeName, endpoint: &StatsEndpoint, context: &Context) -> Result<Self, StatsError> {
        let end = context.cancel.child_token();
        let health = Arc::new(Mutex::new(NodeHealth {
            node: name.clone(),
            polled_at: None,
            error: None,
            sessions: 0,
            proves: true,
            reachable: Reachable::Unknown,
            faulty: false,
            undeclared: false,
        }));
        let look_wanted = Arc::new(Notify::new());
        let looker = Looker {
            look_wanted: Arc::clone(&look_wanted),
            // Looking is no act, and as many may look as want to.
            client: StatsClient::new(endpoint, Fence::always_open())?,
            name,
            health: Arc::clone(&health),
            end: end.clone(),
            context: context.clone(),
        };
        context.tasks.spawn(looker.run());
        Ok(Self {
            health,
            look_wanted,
            _end: end.drop_guard(),
        })
    }

    /// Has the node looked at now, or as soon as the look under way has ended.
    pub fn look(&self) {
        self.look_wanted.notify_one();
    }

    /// What the last look showed.
    #[must_use]
    pub fn health(&self) -> NodeHealth {
        lock(&self.health).clone()
    }
}

struct Looker {
    name: NodeName,
    client: StatsClient,
    health: Arc<Mutex<NodeHealth>>,
    look_wanted: Arc<Notify>,
    end: CancellationToken,
    context: Context,
}

impl Looker {
    async fn run(self) {
        let mut backoff = Backoff::new(BACKOFF.0, BACKOFF.1);
        let looks = async {
            loop {
                let look = AssertUnwindSafe(self.look(&mut backoff)).catch_unwind().await;
                let pause = look.unwrap_or_else(|_| {
                    tracing::error!(node = %self.name, "a look at a node failed and is begun anew: report this");
                    BACKOFF.1
                });
                tokio::select! {
                    () = sleep(pause) => {}
                    () = self.look_wanted.notified() => {}
                }
            }
        };
        let _: Option<()> = self.end.run_until_cancelled(looks).await;
    }

    /// Takes a look, and answers how long to wait for the next.
    async fn look(&self, backoff: &mut Backoff) -> std::time::Duration {
        let (begun, since) = (self.context.clock.monotonic(), Instant::now());
        let answer = self.client.online().await;
        (self.context.meter)(&Call {
            node: &self.name,
            operation: Operation::Online.as_str(),
            outcome: answer.as_ref().err().map_or("ok", StatsError::category),
            took: since.elapsed(),
        });
        match answer {
            Ok(online) => {
                backoff.reset();
                // Whoever replaces this watch speaks for the node from now on.
                if !self.end.is_cancelled() {
                    self.context.ledger.observed(&self.name, begun, &online);
                }
                // Last: who reads that the node was asked may rely on what it answered.
                self.note(None, Online::count(&online).sessions());
                self.context.poll_interval
            }
            Err(error) => {
                self.note(Some(error.to_string()), 0);
                wait(backoff, &error)
            }
        }
    }

    fn note(&self, error: Option<String>, sessions: u32) {
        let mut health = lock(&self.health);
        match (&health.error, &error) {
            (None, Some(error)) => {
                tracing::warn!(node = %self.name, error, "a node does not answer as it should");
            }
            (Some(_), None) => tracing::info!(node = %self.name, "the node answers again"),
            _ => {}
        }
        if error.is_none() {
            health.polled_at = Some(self.context.clock.now());
            health.sessions = sessions;
        }
        health.reachable = if error.is_none() {
            Reachable::True
        } else {
            Reachable::False
        };
        health.error = error;
    }
}

fn lock(health: &Mutex<NodeHealth>) -> MutexGuard<'_, NodeHealth> {
    health.lock().unwrap_or_else(PoisonError::into_inner)
}
