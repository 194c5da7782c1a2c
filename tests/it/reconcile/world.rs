//! The operator's core around a source in memory and node doubles: real roster, gateways, intake and reconciler.

use std::{
    collections::HashSet,
    sync::{Arc, MutexGuard},
    time::{Duration, Instant},
};

use kube::runtime::reflector::store;
use secrecy::{ExposeSecret as _, SecretBox};
use tokio::{sync::mpsc, task::JoinSet};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use vpn_operator::{
    auth::{index::Verdict, listener::AuthEndpoint},
    clock::SystemClock,
    config::PublicUrl,
    credentials::{MasterKey, Sources},
    desired::DesiredState,
    fence::Fence,
    gateway::{NodeName, declared::Environment},
    history::History,
    issue::{Derived, Issuer},
    metrics::Metrics,
    model::{
        corporate_id::CorporateId,
        gateway::VpnGatewayStatus,
        hold::{HoldPhase, VpnHoldSpec},
        user::{VpnUser, VpnUserSpec, VpnUserStatus},
    },
    reconcile::{
        access_record::AccessRecord,
        access_writer,
        backoff::Backoff,
        core::{Core, Queue},
        gateway_convergence,
        gateways::{self, Gateways},
        hold_work::HoldWork,
        holds,
        imported::{self, Imported},
        intake, runner, see_off,
        status_write_cache::StatusWriteCache,
        upkeep,
        usage::UsageBook,
    },
    roster::Roster,
};

use vpn_operator::verdicts::{GUARD_FILE, VerdictStore};

use crate::support::audit_keys;
use crate::support::desired::{MemorySource, Written};
use crate::support::hysteria_node::{Auth, HysteriaNode, Login, Refused, Session};

pub const STATS_SECRET: &str = "stats-secret";
const NAMESPACE: &str = "default";

/// A node that any operator here may ask.
pub async fn node() -> Arc<HysteriaNode> {
    HysteriaNode::start(STATS_SECRET, Duration::from_secs(30)).await
}

/// A folder for data, and a source with two nodes, `n1` and `n2`, of the gateway `default`.
pub async fn two_nodes() -> (tempfile::TempDir, Arc<Source>, [Arc<HysteriaNode>; 2]) {
    let (data, source) = (tempfile::tempdir().unwrap(), Arc::new(Source::default()));
    let (n1, n2) = (node().await, node().await);
    source.gateway("default", &[("n1", &n1), ("n2", &n2)]);
    (data, source, [n1, n2])
}

/// Whether a login at `n1` would be permitted.
pub fn is_in(operator: &Operator, id: &str) -> bool {
    matches!(operator.login("default", "n1", id, 1), Verdict::Granted(_))
}

/// Desired state in memory, as these scenarios speak of it. Outlives operators.
#[derive(Default)]
pub struct Source(Arc<MemorySource>);

impl Source {
    /// What was written so far.
    pub fn lock(&self) -> MutexGuard<'_, Written> {
        self.0.written()
    }

    /// Declares a user anew, or changes its spec.
    pub fn declare(&self, id: &str, edit: impl FnOnce(&mut VpnUserSpec)) {
        let present = self.user(id).map(|user| user.spec);
        let anew = || serde_json::from_value(serde_json::json!({ "corporateId": id })).unwrap();
        let mut spec = present.unwrap_or_else(anew);
        edit(&mut spec);
        self.0.put_user(&name(id), spec);
    }

    pub fn delete(&self, id: &str) {
        let _ = self.0.lose_user(&name(id));
    }

    /// The object is not there any more, whoever had a finalizer on it.
    pub fn forget_user(&self, id: &str) {
        self.0.forget_user(&name(id));
    }

    /// Takes over an object with its status.
    pub fn adopt(&self, user: VpnUser) {
        self.0.adopt(user);
    }

    pub fn hold(&self, name: &str, id: &str) {
        self.hold_until(name, id, None);
    }

    pub fn hold_until(&self, name: &str, id: &str, until: Option<jiff::Timestamp>) {
        self.hold_within(name, id, None, until);
    }

    pub fn hold_from(&self, name: &str, id: &str, from: jiff::Timestamp) {
        self.hold_within(name, id, Some(from), None);
    }

    fn hold_within(&self, name: &str, id: &str, from: Option<jiff::Timestamp>, until: Option<jiff::Timestamp>) {
        let spec = VpnHoldSpec {
            corporate_id: CorporateId::parse(id).unwrap(),
            source: "hr".to_owned(),
            reason: None,
            from,
            until,
        };
        self.0.put_hold(name, spec);
    }

    pub fn phase(&self, name: &str) -> Option<HoldPhase> {
        self.0.hold(name)?.status?.phase
    }

    /// The hold's document disappears.
    pub fn lose_hold(&self, name: &str) {
        let _ = self.0.lose_hold(name);
    }

    /// The document of a lost hold is there again.
    pub fn find_hold(&self, name: &str) {
        if let Some(hold) = self.0.hold(name) {
            self.0.put_hold(name, hold.spec);
        }
    }

    /// Somebody lifts the hold.
    pub fn lift(&self, name: &str) {
        self.0.forget_hold(name);
    }

    /// Declares a gateway with these nodes.
    pub fn gateway(&self, name: &str, nodes: &[(&str, &HysteriaNode)]) {
        let nodes: Vec<_> = nodes
            .iter()
            .map(|(node, double)| serde_json::json!({ "name": node, "address": "vpn.example.com", "statsUrl": double.stats_url() }))
            .collect();
        self.gateway_of(name, &serde_json::json!({ "nodes": nodes }));
    }

    pub fn gateway_of(&self, name: &str, hysteria: &serde_json::Value) {
        let spec = serde_json::from_value(serde_json::json!({ "hysteria": hysteria })).unwrap();
        self.0.put_gateway(name, spec);
    }

    pub fn user(&self, id: &str) -> Option<VpnUser> {
        self.0.user(&name(id))
    }

    pub fn delete_gateway(&self, name: &str) {
        let _ = self.0.lose_gateway(name);
    }

    pub fn has_gateway(&self, name: &str) -> bool {
        self.0.gateway(name).is_some()
    }

    pub fn gateway_status(&self, name: &str) -> VpnGatewayStatus {
        self.0.gateway(name).unwrap().status.unwrap_or_default()
    }

    pub fn status(&self, id: &str) -> VpnUserStatus {
        self.user(id).and_then(|user| user.status).unwrap_or_default()
    }

    /// Whether the status says that the gateways agree with the present declaration.
    pub fn is_ready(&self, id: &str) -> bool {
        let Some(user) = self.user(id) else { return false };
        let status = user.status.unwrap_or_default();
        Some(status.observed_generation) == user.metadata.generation
            && status
                .conditions
                .iter()
                .any(|it| it.type_ == "Ready" && it.status == "True")
    }
}

fn name(id: &str) -> String {
    CorporateId::parse(id).unwrap().object_name()
}

/// One process.
pub struct Operator {
    pub core: Arc<Core>,
    key: MasterKey,
    cancel: CancellationToken,
    tasks: JoinSet<()>,
    nodes: TaskTracker,
}

fn key() -> MasterKey {
    MasterKey::from_bytes(SecretBox::new(Box::new([7; 32])))
}

fn passwords_of(imported: &Arc<Imported>) -> vpn_operator::roster::Passwords {
    let imported = Arc::clone(imported);
    Arc::new(move |user| imported.password(user))
}

fn environment() -> Environment {
    Environment {
        spec: serde_json::from_value(serde_json::json!({ "hysteria": { "nodes": [] } })).unwrap(),
        known: Vec::new(),
        auth_token: "auth-token".into(),
        stats_secret: STATS_SECRET.into(),
        undeclared: false,
        poll_interval: Duration::from_millis(200),
    }
}

impl Operator {
    /// Starts on this source, and waits until desired state is loaded. `data` outlives operators.
    pub async fn start(source: &Arc<Source>, data: &std::path::Path) -> Self {
        Self::start_within(source, data, Fence::always_open()).await
    }

    /// As [`Self::start`], for a process that may act while this fence is open.
    pub async fn start_within(source: &Arc<Source>, data: &std::path::Path, fence: Fence) -> Self {
        let history = open_when_free(&data.join("history.db")).await;
        Self::start_with(source, data, history, fence, intake::TICK).await
    }

    /// As [`Self::start`], with another pause between two looks at the clock.
    pub async fn start_ticking(source: &Arc<Source>, data: &std::path::Path, tick: Duration) -> Self {
        let history = open_when_free(&data.join("history.db")).await;
        Self::start_with(source, data, history, Fence::always_open(), tick).await
    }

    /// As [`Self::start`], whether the history can be opened or not.
    pub async fn start_over(source: &Arc<Source>, data: &std::path::Path) -> Self {
        let history = History::open_or_retry(&data.join("history.db"), audit_keys(), Arc::new(SystemClock)).unwrap();
        Self::start_with(source, data, history, Fence::always_open(), intake::TICK).await
    }

    async fn start_with(
        source: &Arc<Source>,
        data: &std::path::Path,
        history: History,
        fence: Fence,
        tick: Duration,
    ) -> Self {
        let clock = Arc::new(SystemClock);
        let key = key();
        let metrics = Arc::new(Metrics::new());
        let sources = Sources::local(&data.join("secrets"));
        let (imported, to_import) = Imported::new(sources.clone(), key.clone());
        let passwords = passwords_of(&imported);
        let roster = Arc::new(Roster::new(key.clone(), Arc::clone(&passwords), clock.clone()));
        let clock_of_store: vpn_operator::clock::SharedClock = clock.clone();
        let (verdicts, memory) = VerdictStore::open(
            &data.join(GUARD_FILE),
            clock_of_store,
            jiff::SignedDuration::from_mins(10),
        );
        roster.restore(memory);
        let endpoint = AuthEndpoint::new(roster.index(), Arc::clone(&metrics));
        let usage = UsageBook::open(history.clone(), clock.clone()).await;
        let _ = roster.apply(usage.inputs());
        let cancel = CancellationToken::new();
        let nodes = TaskTracker::new();
        let (completions, completed) = mpsc::unbounded_channel();
        let (queue, queued) = mpsc::unbounded_channel();
        let (hold_work, touched_holds) = HoldWork::new();
        let (users, user_writer) = store();
        let (held, hold_writer) = store();
        let (declared_gateways, gateway_writer) = store();
        let gateways = Arc::new(Gateways::new(gateways::Dependencies {
            environment: environment(),
            sources,
            index: roster.index(),
            endpoint,
            completions,
            clock: clock.clone(),
            fence: Fence::always_open(),
            alone: true,
            metrics: Arc::clone(&metrics),
            tasks: nodes.clone(),
            cancel: cancel.clone(),
        }));
        let keys = Arc::new(Derived::new(key.clone(), passwords));
        let core = Arc::new(Core {
            issuer: Issuer::new(
                keys,
                Arc::clone(&gateways) as _,
                PublicUrl::parse("https://vpn.example.com").unwrap(),
            ),
            desired: Arc::clone(&source.0) as Arc<dyn DesiredState>,
            roster: Arc::clone(&roster),
            gateways,
            history,
            usage: Arc::clone(&usage),
            clock,
            metrics,
            users,
            holds: held,
            declared_gateways,
            queue: Queue(queue),
            imported,
            hold_work,
            access_record: AccessRecord::default(),
            linked: Arc::default(),
            orders: Arc::default(),
            backoff: Backoff::default(),
            verdicts: Arc::new(verdicts),
            namespace: NAMESPACE.to_owned(),
            source: "folder",
            fence,
            unobserved: vpn_operator::reconcile::overdue::Unobserved::default(),
            status_writes: StatusWriteCache::default(),
            cluster_outputs: None,
        });
        core.follow_usage();
        core.answer_inquiries();
        let writers = intake::Writers {
            users: user_writer,
            holds: hold_writer,
            gateways: gateway_writer,
        };
        let ctx = || Arc::clone(&core);
        let mut tasks = JoinSet::new();
        tasks.spawn(intake::run(source.0.watch(), writers, ctx(), tick, cancel.clone()));
        tasks.spawn(access_writer::run(ctx(), cancel.clone()));
        tasks.spawn(runner::run(ctx(), queued, cancel.clone()));
        tasks.spawn(holds::run(ctx(), touched_holds, cancel.clone()));
        tasks.spawn(gateway_convergence::run(ctx(), cancel.clone()));
        tasks.spawn(imported::run(ctx(), to_import, cancel.clone()));
        tasks.spawn(usage.run(cancel.clone()));
        tasks.spawn(upkeep::completions(ctx(), completed, cancel.clone()));
        tasks.spawn(upkeep::keep_guard(ctx(), cancel.clone()));
        tasks.spawn(see_off::resume(ctx(), cancel.clone()));
        let loaded = roster.index().wait_loaded().await;
        let () = loaded;
        Self {
            core,
            key,
            cancel,
            tasks,
            nodes,
        }
    }

    /// The process ends at once: nothing that is under way is finished.
    pub async fn kill(mut self) {
        self.tasks.abort_all();
        self.cancel.cancel();
        self.nodes.close();
        self.nodes.wait().await;
        while self.tasks.join_next().await.is_some() {}
    }

    /// What auth says to a login through a node.
    pub fn login(&self, gateway: &str, node: &str, id: &str, generation: i64) -> Verdict {
        let id = CorporateId::parse(id).unwrap();
        let index = self.core.roster.index();
        let node = index.node(&NodeName::new(gateway, node));
        let password = self.key.password(&id, generation);
        index.login(&node, &format!("{}:{}", id.account(), password.expose_secret()))
    }

    /// A client of a person connects to a node.
    pub async fn connect(
        &self,
        double: &Arc<HysteriaNode>,
        (gateway, node): (&str, &str),
        id: &str,
        address: &str,
    ) -> Result<Session, Refused> {
        let answer = |_: &Login<'_>| match self.login(gateway, node, id, 1) {
            Verdict::Granted(session) => Some(session.id().to_string()),
            _ => None,
        };
        double.connect(Auth::Answer(&answer), "", address).await
    }
}

/// Waits until it is so.
pub async fn until(what: &str, mut so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !so() {
        assert!(Instant::now() < deadline, "it did not happen in time: {what}");
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
}

/// Waits until nothing was written for a while, which is longer than several polls take.
pub async fn settled(source: &Source) {
    let mut seen = (source.lock().writes, Instant::now());
    let deadline = Instant::now() + Duration::from_secs(30);
    while seen.1.elapsed() < Duration::from_millis(700) {
        assert!(Instant::now() < deadline, "statuses never come to rest");
        tokio::time::sleep(Duration::from_millis(10)).await;
        let writes = source.lock().writes;
        if writes != seen.0 {
            seen = (writes, Instant::now());
        }
    }
}

/// Names of the nodes that a revocation waits for.
pub fn waiting(source: &Source, id: &str) -> HashSet<String> {
    source
        .status(id)
        .revocation
        .into_iter()
        .flat_map(|revocation| revocation.waiting_for)
        .collect()
}

/// Opens the database as soon as what a process before spawned does not hold it any more.
pub async fn open_when_free(path: &std::path::Path) -> History {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        match History::open(path, audit_keys(), Arc::new(SystemClock)) {
            Ok(history) => return history,
            Err(error) => assert!(Instant::now() < deadline, "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
