//! A replica that only answers logins: the watches feed the roster, nodes are looked at, and nothing is ever written.
//!
//! It shares the roster, the reading of passwords and what gateways are to run as with the reconciler, and keeps no object of
//! which the roster has taken the facts. It ends no session, counts no traffic and reports nothing: that is the controller's
//! work, whose word it finds in the statuses (see [`crate::roster`]). Must never write desired state or call a node for
//! anything but who is online.

pub mod intake;
pub mod nodes;

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use kube::ResourceExt as _;
use tokio_util::sync::CancellationToken;

use self::nodes::Nodes;
use super::imported::{Imported, Reader};
use crate::{
    desired::DesiredState,
    metrics::Metrics,
    model::user::VpnUser,
    roster::{Input, Roster},
};

/// How often gauges are set.
const GAUGES: Duration = Duration::from_secs(1);

/// What the parts of a replica share.
pub struct Follower {
    /// Where desired state lives. Only watched.
    pub desired: Arc<dyn DesiredState>,
    /// Who may log in.
    pub roster: Arc<Roster>,
    /// Passwords that are not derived.
    pub imported: Arc<Imported>,
    /// The nodes that ask.
    pub nodes: Nodes,
    /// Numbers for whoever is on call.
    pub metrics: Arc<Metrics>,
    /// Users whose password is read, by name.
    importing: Mutex<HashMap<String, Arc<VpnUser>>>,
    /// Each of them was read once, or could not be. Once so, always so.
    imported_once: AtomicBool,
}

impl Follower {
    /// A replica that knows nothing yet.
    pub fn new(
        desired: Arc<dyn DesiredState>,
        roster: Arc<Roster>,
        imported: Arc<Imported>,
        nodes: Nodes,
        metrics: Arc<Metrics>,
    ) -> Arc<Self> {
        let follower = Arc::new(Self {
            desired,
            roster,
            imported,
            nodes,
            metrics,
            importing: Mutex::default(),
            imported_once: AtomicBool::new(false),
        });
        let asked = Arc::downgrade(&follower);
        follower.roster.index().inquiry().ask_with(move || {
            if let Some(follower) = asked.upgrade() {
                follower.nodes.look_now();
            }
        });
        follower
    }

    /// Whether logins are answered rightly: everything was listed once, the nodes can be told by their tokens, and the
    /// passwords that are not derived were read. One that cannot be read keeps nobody waiting.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.roster.is_loaded() && self.nodes.are_known() && self.passwords_are_read()
    }

    /// Whether every password that is not derived was read once, or could not be. Once so, always so.
    #[must_use]
    pub fn passwords_are_read(&self) -> bool {
        if self.imported_once.load(Ordering::Acquire) {
            return true;
        }
        let tried =
            |user: &Arc<VpnUser>| self.imported.password(user).is_some() || self.imported.failure(user).is_some();
        let over = self.roster.is_loaded() && self.importing().values().all(tried);
        if over {
            self.imported_once.store(true, Ordering::Release);
        }
        over
    }

    /// A Secret is new, changed or gone.
    pub fn secret_changed(&self, secret: &str) {
        self.nodes.secret_changed(secret);
        self.imported.secret_changed(secret);
    }

    fn importing(&self) -> MutexGuard<'_, HashMap<String, Arc<VpnUser>>> {
        self.importing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps the users whose password has to be read.
    fn remember(&self, user: &Arc<VpnUser>) {
        if user.spec.credentials_from.is_some() {
            self.importing().insert(user.name_any(), Arc::clone(user));
            self.imported.touched(user);
        } else {
            self.forget(&user.name_any());
        }
    }

    fn forget(&self, name: &str) {
        self.importing().remove(name);
    }

    /// Nobody has to be told of transitions here: the index answers by them already.
    fn apply(&self, inputs: Vec<Input>) {
        drop(self.roster.apply(inputs));
    }
}

impl Reader for Follower {
    fn user(&self, name: &str) -> Option<Arc<VpnUser>> {
        self.importing().get(name).cloned()
    }

    fn was_read(&self, _: &str, password: Input, _: bool) {
        self.apply(vec![password]);
    }

    fn failure_changed(&self, _: &str) {}

    fn imported(&self) -> &Imported {
        &self.imported
    }
}

/// Sets gauges until `cancel`.
pub async fn gauges(ctx: Arc<Follower>, cancel: CancellationToken) {
    let mut tick = tokio::time::interval(GAUGES);
    loop {
        tokio::select! {
            () = cancel.cancelled() => return,
            _ = tick.tick() => {}
        }
        let guard = ctx.roster.guard(0);
        ctx.metrics.users(&ctx.roster.counts());
        ctx.metrics.guard(&guard.budgets);
        let source = ctx.desired.health();
        let refused = source.refused_edits.len();
        ctx.metrics
            .source(source.problems.len(), refused, source.unreadable_since);
        let guards = ctx.nodes.guards();
        ctx.metrics
            .auth_guards(guards.iter().map(|it| (&*it.gateway, it.state.is_fine())));
        for node in ctx.nodes.health() {
            ctx.metrics
                .node_up(&node.node.0, node.error.is_none() && node.polled_at.is_some());
        }
    }
}
