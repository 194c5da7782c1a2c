//! Small loops beside the reconciler: what gateways learned, the guard's memory, and gauges.

use std::{collections::HashSet, sync::Arc, time::Duration};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::core::Core;
use crate::{
    gateway::{NodeName, Work},
    metrics::Metrics,
};

/// Accounts about which gateways learned something.
pub type Learned = mpsc::UnboundedReceiver<HashSet<String>>;

/// How often gauges are set.
const GAUGES: Duration = Duration::from_secs(1);

/// Queues the users whose accounts a gateway learned something about, until `cancel`.
pub async fn completions(ctx: Arc<Core>, mut learned: Learned, cancel: CancellationToken) {
    loop {
        let accounts = tokio::select! {
            () = cancel.cancelled() => return,
            accounts = learned.recv() => accounts,
        };
        let Some(accounts) = accounts else { return };
        for account in accounts {
            if let Some(user) = ctx.roster.person_by_account(&account).and_then(|person| person.user) {
                ctx.queue.push(&user, &ctx.namespace);
            }
        }
    }
}

/// Hands what the guard has to remember to its store, until `cancel`.
pub async fn keep_guard(ctx: Arc<Core>, cancel: CancellationToken) {
    let mut changes = ctx.roster.guard_changes();
    loop {
        tokio::select! {
            () = cancel.cancelled() => {}
            changed = changes.changed() => if changed.is_err() { return },
        }
        // What changed last is kept also when the end was told at the same moment.
        let (number, batch) = ctx.roster.take_guard_changes();
        if !batch.is_empty() {
            ctx.verdicts.write(number, batch);
        }
        if cancel.is_cancelled() {
            return;
        }
    }
}

/// Sets gauges until `cancel`.
pub async fn gauges(ctx: Arc<Core>, cancel: CancellationToken) {
    let mut tick = tokio::time::interval(GAUGES);
    let mut shown = Shown::default();
    loop {
        tokio::select! {
            () = cancel.cancelled() => return,
            _ = tick.tick() => {}
        }
        let guard = ctx.roster.guard(0);
        ctx.metrics.users(&ctx.roster.counts());
        ctx.metrics.guard(&guard.budgets);
        ctx.metrics.orders_recent(guard.orders);
        ctx.metrics.guard_store_failing(ctx.verdicts.health().failing.is_some());
        let source = ctx.desired.health();
        let refused = source.refused_edits.len();
        ctx.metrics
            .source(source.problems.len(), refused, source.unreadable_since);
        ctx.metrics.leading(ctx.fence.is_open());
        ctx.metrics.history_failing(ctx.history.last_error().is_some());
        let audit = ctx.history.audit_state();
        ctx.metrics.audit(audit.findings.is_empty(), audit.published);
        ctx.metrics.queue_depth(ctx.backoff.len());
        let guards = ctx.gateways.guards();
        ctx.metrics
            .auth_guards(guards.iter().map(|it| (&*it.gateway, it.state.is_fine())));
        shown.gateways(&ctx);
    }
}

/// Which gateways and nodes the gauges speak of: those that are gone are not to be shown as they were last.
#[derive(Default)]
struct Shown {
    gateways: HashSet<String>,
    nodes: HashSet<NodeName>,
}

impl Shown {
    fn gateways(&mut self, ctx: &Core) {
        let mut now = Self::default();
        for gateway in ctx.gateways.all() {
            let backlog = gateway.backlog();
            let waiting = backlog.kinds().map(|(work, accounts)| (work.as_str(), accounts));
            ctx.metrics.gateway_backlog(gateway.name(), waiting, backlog.left());
            now.gateways.insert(gateway.name().to_owned());
            for node in gateway.health() {
                let up = node.error.is_none() && node.polled_at.is_some();
                ctx.metrics.node_up(&node.node.0, up);
                now.nodes.insert(node.node);
            }
        }
        self.forget_others(&now, &ctx.metrics);
        *self = now;
    }

    fn forget_others(&self, now: &Self, metrics: &Metrics) {
        for gone in self.gateways.difference(&now.gateways) {
            metrics.gateway_removed(gone, Work::ALL.map(Work::as_str));
        }
        for gone in self.nodes.difference(&now.nodes) {
            metrics.node_removed(&gone.0);
        }
    }
}
