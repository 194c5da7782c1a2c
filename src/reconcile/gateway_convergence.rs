//! Keeps the running gateways in step with what is declared.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use kube::{ResourceExt, runtime::reflector::ObjectRef};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::{
    core::Core,
    gateway_report::{self, GatewayFacts, Users},
    gateways::Dependencies,
};
use crate::{
    desired::DesiredError,
    gateway::{
        declared::{Refusal, Wanted, names_secret},
        fleet::Replaced,
    },
    model::{
        FINALIZER,
        gateway::{DEFAULT_GATEWAY, VpnGateway, VpnGatewayStatus},
        separation::{Naming, Sharing},
        user::VpnUser,
    },
};

/// How often a gateway that could not be started is tried again, and a deleted one asked whether users still refer to it.
const RETRY: Duration = Duration::from_secs(10);

/// How often it is looked whether a status has to say something else.
const REPORTS: Duration = Duration::from_secs(1);

/// Pause between two looks through all users, for each of them: many times what looking at one takes.
const LOOK_EACH: Duration = Duration::from_micros(50);

/// How long the store may take to show what was written.
const LAG: Duration = Duration::from_secs(5);

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

/// Follows what is declared until `cancel`, after the first load (which calls [`converge`] itself). What is written waits until
/// logins are answered.
pub async fn run(ctx: Arc<Core>, cancel: CancellationToken) {
    let mut reporter = Reporter::default();
    let mut glance = tokio::time::interval(REPORTS);
    glance.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut tried = tokio::time::Instant::now();
    loop {
        let changed = tokio::select! {
            () = cancel.cancelled() => return,
            () = ctx.gateways.changed.notified() => true,
            () = ctx.gateways.moved.notified() => false,
            _ = glance.tick() => false,
        };
        if !ctx.roster.index().is_loaded() {
            continue;
        }
        // Looked at when the time is over: the first load finds what is incomplete while this waits.
        let again = tried.elapsed() >= RETRY && ctx.gateways.incomplete.load(Ordering::Relaxed);
        if changed || again || !reporter.has_begun() {
            reporter.standing = converge(&ctx).await;
            if !settle_finalizers(&ctx, &reporter.standing).await {
                ctx.gateways.incomplete.store(true, Ordering::Relaxed);
            }
            tried = tokio::time::Instant::now();
        }
        reporter.report(&ctx).await;
    }
}

/// A declared gateway, and who keeps it if it is being deleted.
pub struct Standing {
    gateway: Arc<VpnGateway>,
    users: Option<Users>,
}

impl Standing {
    /// It was deleted, and nobody refers to it any more.
    fn goes(&self) -> bool {
        self.users.as_ref().is_some_and(|users| users.count == 0)
    }
}

/// Starts, replaces and stops gateways until what runs is what is declared. A gateway or node that is declared in a way in which
/// it cannot run goes on as it was: its sessions have to be counted and cut all the same. Writes nothing.
pub async fn converge(ctx: &Core) -> Vec<Standing> {
    let gateways = &ctx.gateways;
    let Dependencies {
        environment, sources, ..
    } = &gateways.dependencies;
    let declared = ctx.declared_gateways.state();
    let mut wanted: HashMap<String, Wanted> = HashMap::new();
    let mut refused: BTreeMap<String, Refusal> = BTreeMap::new();
    // Before anybody is counted: who leaves meanwhile is looked at again.
    let leaving = declared.iter().any(|it| it.metadata.deletion_timestamp.is_some());
    gateways.awaited.store(leaving, Ordering::SeqCst);
    let is_none_declared = declared.is_empty();
    let standing = declared.into_iter().map(|gateway| {
        let gone = gateway.metadata.deletion_timestamp.is_some();
        let users = gone.then(|| users_of(ctx, &gateway.name_any()));
        Standing { gateway, users }
    });
    let standing: Vec<Standing> = standing.collect();
    for Standing { gateway, .. } in standing.iter().filter(|it| !it.goes()) {
        let name = gateway.name_any();
        match environment.resolve(sources, &name, &gateway.spec, false).await {
            Ok(ready) => drop(wanted.insert(name, ready)),
            Err(refusal) => drop(refused.insert(name, refusal)),
        }
    }
    if is_none_declared {
        match environment.own(sources).await {
            Ok(ready) => drop(wanted.insert(DEFAULT_GATEWAY.to_owned(), ready)),
            Err(refusal) => drop(refused.insert(DEFAULT_GATEWAY.to_owned(), refusal)),
        }
    }
    for (name, wanted) in &wanted {
        for counters in wanted.run.counters(name) {
            ctx.usage.prepare(&counters).await;
        }
    }
    let Replaced { changed, incomplete } = gateways.replace(&ctx.usage, wanted, refused);
    let incomplete = incomplete || leaving;
    gateways.incomplete.store(incomplete, Ordering::Relaxed);
    if !changed.is_empty() && ctx.roster.is_loaded() {
        for user in ctx.users.state() {
            let had = user.status.iter().flat_map(|status| &status.gateways);
            if user
                .spec
                .gateway_names()
                .iter()
                .chain(had.map(|state| &state.name))
                .any(|name| changed.contains(name))
            {
                ctx.queue.push(&user.name_any(), &ctx.namespace);
            }
        }
    }
    standing
}

/// Gives gateways their finalizers, and lets those go that nobody needs any more. Answers whether all of it was done.
async fn settle_finalizers(ctx: &Core, standing: &[Standing]) -> bool {
    let mut done = true;
    for it in standing {
        let (gateway, name) = (&it.gateway, it.gateway.name_any());
        if it.goes() {
            if let Err(error) = ctx.desired.remove_gateway_finalizer(&name).await {
                tracing::warn!(gateway = name, %error, "a deleted gateway could not be let go");
                done = false;
            }
            continue;
        }
        let has_finalizer = it.users.is_some() || gateway.finalizers().iter().any(|it| it == FINALIZER);
        if !has_finalizer && let Err(error) = ctx.desired.add_gateway_finalizer(gateway).await {
            tracing::warn!(gateway = name, %error, "a gateway could not be given its finalizer");
            done = false;
        }
    }
    done
}

fn users_of(ctx: &Core, gateway: &str) -> Users {
    let users = ctx.users.state();
    let refers = |user: &&Arc<VpnUser>| user.spec.gateway_names().iter().any(|name| name == gateway);
    let mut names: Vec<String> = users.iter().filter(refers).map(|user| user.name_any()).collect();
    let count = names.len();
    names.sort_unstable();
    names.truncate(Users::NAMED);
    Users { first: names, count }
}

/// Reports how the declared gateways are.
#[derive(Default)]
struct Reporter {
    standing: Vec<Standing>,
    /// By name: the last report, until the store has had time to show it.
    written: HashMap<String, Report>,
    begun: Option<Instant>,
    separation: Separation,
}

/// What is known of users who cannot be kept to the gateways that they name.
#[derive(Default)]
struct Separation {
    of: Arc<Sharing>,
    /// Not before then are the users looked through again.
    again: Option<Instant>,
}

impl Separation {
    /// Looks through the users, the more of them the more rarely, and only while gateways share a path secret and somebody changed.
    fn look(&mut self, ctx: &Core, now: Instant) {
        let gateways = &ctx.gateways;
        let sharing = gateways.sharing.load_full();
        let known = Arc::ptr_eq(&sharing, &self.of);
        let wait = self.again.is_some_and(|again| now < again);
        let moved = !sharing.is_empty() && !wait && gateways.users_moved.swap(false, Ordering::SeqCst);
        if known && !moved {
            return;
        }
        let mut naming = Naming::default();
        if !sharing.is_empty() {
            let state = ctx.users.state();
            let users = state.len();
            for user in state {
                naming.add(&user.name_any(), user.spec.gateway_names());
            }
            self.again = Some(now + LOOK_EACH * u32::try_from(users).unwrap_or(u32::MAX));
        }
        gateways.not_separated.store(Arc::new(sharing.not_enforced(&naming)));
        self.of = sharing;
    }
}

struct Report {
    uid: Option<String>,
    status: VpnGatewayStatus,
    at: Instant,
    failed: bool,
}

impl Reporter {
    const fn has_begun(&self) -> bool {
        self.begun.is_some()
    }

    async fn report(&mut self, ctx: &Core) {
        let now = ctx.clock.monotonic();
        let begun = *self.begun.get_or_insert(now);
        let present: HashSet<String> = self.standing.iter().map(|it| it.gateway.name_any()).collect();
        self.written.retain(|name, _| present.contains(name));
        let refused = ctx.gateways.refused();
        self.separation.look(ctx, now);
        let not_separated = ctx.gateways.not_separated.load();
        let guards = ctx.gateways.guards();
        for Standing { gateway, users } in self.standing.iter().filter(|it| !it.goes()) {
            let name = gateway.name_any();
            let written = self.written.get(&name).filter(|it| it.uid == gateway.metadata.uid);
            let age = written.map(|it| now.saturating_duration_since(it.at));
            if written.is_some_and(|it| it.failed) && age.is_some_and(|age| age < RETRY) {
                continue;
            }
            // As the source shows it now, also where somebody else wrote it. It lags behind what was written a moment ago.
            let shown = ctx.declared_gateways.get(&ObjectRef::from_obj(&**gateway));
            let shown = shown.and_then(|shown| shown.status.clone()).unwrap_or_default();
            let fresh = written.filter(|it| !it.failed && age.is_some_and(|age| age < LAG));
            let before = fresh.map_or(&shown, |it| &it.status);
            let running = ctx.gateways.get(&name);
            let nodes = running.as_ref().map(|running| running.health()).unwrap_or_default();
            let facts = GatewayFacts {
                refusal: refused.get(&name),
                users: users.as_ref(),
                nodes: &nodes,
                backlog: running.map(|running| running.backlog()).unwrap_or_default(),
                not_separated: not_separated.get(&name).map(String::as_str),
                guard: guards.iter().find(|it| it.gateway == name).map(|it| &it.state),
            };
            let status = gateway_report::status(gateway, before, &facts, ctx.clock.now());
            // A restart is no reason to write what would have waited.
            let age = age.unwrap_or_else(|| now.saturating_duration_since(begun));
            let may_wait = age < gateway_report::NUMBERS;
            if status == *before || (may_wait && gateway_report::differ_in_numbers_only(&status, before)) {
                continue;
            }
            let failed = match ctx.desired.report_gateway(gateway, status.clone()).await {
                // Gone in the meantime: its own event follows.
                Ok(()) | Err(DesiredError::NotFound { .. }) => false,
                Err(error) => {
                    tracing::warn!(gateway = name, %error, "the status of a gateway could not be reported");
                    true
                }
            };
            let uid = gateway.metadata.uid.clone();
            let at = now;
            self.written.insert(
                name,
                Report {
                    uid,
                    status,
                    at,
                    failed,
                },
            );
        }
    }
}
