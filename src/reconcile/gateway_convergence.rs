//! Keeps the running gateways in step with what is declared.

use std::{
    collections::HashMap,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use kube::ResourceExt;
use tokio_util::sync::CancellationToken;

use super::{
    core::Core,
    declared::{Refusal, Wanted, names_secret},
    gateways::Dependencies,
    plan::gateway_names,
};
use crate::{
    desired::DesiredError,
    gateway::NodeName,
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

/// A Secret is new, changed or gone.
pub fn secret_changed(ctx: &Core, secret: &str) {
    if ctx
        .declared_gateways
        .state()
        .iter()
        .any(|gateway| names_secret(&gateway.spec, secret))
    {
        ctx.gateways.changed();
    }
}

/// Has every node say who is online, and waits for it for a bounded time: how many devices a person has is to be right
/// from the first login on. A node that does not answer keeps nobody waiting longer than that.
pub async fn look(ctx: &Core) {
    let since = ctx.clock.monotonic();
    let gateways = ctx.gateways.all();
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

/// Follows what is declared until `cancel`, after the first load (which calls [`converge`] itself).
pub async fn run(ctx: Arc<Core>, cancel: CancellationToken) {
    loop {
        tokio::select! {
            () = cancel.cancelled() => return,
            () = ctx.gateways.changed.notified() => {}
            // Looked at when the time is over: the first load finds what is incomplete while this waits.
            () = tokio::time::sleep(RETRY) => if !ctx.gateways.incomplete.load(Ordering::Relaxed) { continue },
        }
        if ctx.roster.is_loaded() {
            converge(&ctx).await;
        }
    }
}

/// Starts, replaces and stops gateways until what runs is what is declared, and reports. A gateway that is declared in
/// a way in which it cannot run goes on as it was: its sessions have to be counted and cut all the same.
pub async fn converge(ctx: &Core) {
    let gateways = &ctx.gateways;
    let Dependencies {
        environment, sources, ..
    } = &gateways.dependencies;
    let declared = ctx.declared_gateways.state();
    let mut wanted: HashMap<String, Wanted> = HashMap::new();
    let mut refused: HashMap<String, Refusal> = HashMap::new();
    let mut reports = Vec::new();
    let mut incomplete = false;
    // Nothing is written before logins are answered: an API server that is slow to take a status must not keep anybody out.
    // Whoever opens has gateways converge once more.
    let opened = ctx.roster.is_loaded();
    // Before anybody is counted: who leaves meanwhile is looked at again.
    let leaving = declared.iter().any(|it| it.metadata.deletion_timestamp.is_some());
    gateways.awaited.store(leaving, Ordering::SeqCst);
    for gateway in &declared {
        let name = gateway.name_any();
        let gone = gateway.metadata.deletion_timestamp.is_some();
        let in_use = gone && users_of(ctx, &name) > 0;
        if gone && !in_use {
            if opened && let Err(error) = ctx.desired.remove_gateway_finalizer(&name).await {
                tracing::warn!(gateway = name, %error, "a deleted gateway could not be let go");
                incomplete = true;
            }
            continue;
        }
        let has_finalizer = gone || gateway.finalizers().iter().any(|it| it == FINALIZER);
        if opened
            && !has_finalizer
            && let Err(error) = ctx.desired.add_gateway_finalizer(gateway).await
        {
            tracing::warn!(gateway = name, %error, "a gateway could not be given its finalizer");
            incomplete = true;
        }
        incomplete |= in_use;
        if opened {
            reports.push((Arc::clone(gateway), in_use));
        }
        match environment.resolve(sources, &name, &gateway.spec, false).await {
            Ok(ready) => drop(wanted.insert(name, ready)),
            Err(refusal) => drop(refused.insert(name, refusal)),
        }
    }
    if declared.is_empty() {
        match environment.own(sources).await {
            Ok(ready) => drop(wanted.insert(DEFAULT_GATEWAY.to_owned(), ready)),
            Err(refusal) => drop(refused.insert(DEFAULT_GATEWAY.to_owned(), refusal)),
        }
    }
    for name in wanted.keys() {
        for node in wanted.get(name).into_iter().flat_map(|w| &w.nodes) {
            ctx.usage.prepare(&NodeName::new(name, &node.name)).await;
        }
    }
    let changed = gateways.replace(&ctx.usage, wanted, &mut refused);
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
    gateways.incomplete.store(incomplete, Ordering::Relaxed);
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
