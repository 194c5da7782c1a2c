//! The operator's core around a source in memory and node doubles: real roster, gateways, intake and reconciler.

use std::{
    collections::{BTreeMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use futures::StreamExt as _;
use kube::{Resource, ResourceExt as _, runtime::reflector::store};
use secrecy::{ExposeSecret as _, SecretBox};
use tokio::{sync::mpsc, task::JoinSet};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use vpn_operator::{
    auth::{index::Verdict, listener::AuthEndpoint},
    clock::SystemClock,
    config::PublicUrl,
    credentials::{MasterKey, Sources},
    desired::{
        DesiredError, DesiredState, Event, FieldManager, HoldNotes, Result, SourceHealth, UserPatch, Version, Watches,
    },
    fence::Fence,
    gateway::{NodeName, declared::Environment},
    history::History,
    issue::{Derived, Issuer},
    metrics::Metrics,
    model::{
        FINALIZER,
        corporate_id::CorporateId,
        gateway::{VpnGateway, VpnGatewayStatus},
        hold::{HoldPhase, VpnHold, VpnHoldSpec, VpnHoldStatus},
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

/// Objects of one kind, as an API server has them.
struct Shelf<K> {
    objects: BTreeMap<String, K>,
    watcher: Option<mpsc::UnboundedSender<Event<K>>>,
}

impl<K> Default for Shelf<K> {
    fn default() -> Self {
        Self {
            objects: BTreeMap::new(),
            watcher: None,
        }
    }
}

impl<K: Resource<DynamicType = ()> + Clone + Send + 'static> Shelf<K> {
    fn tell(&self, event: Event<K>) {
        if let Some(watcher) = &self.watcher {
            let _ = watcher.send(event);
        }
    }

    fn put(&mut self, object: K) {
        self.objects.insert(object.name_any(), object.clone());
        self.tell(Event::Apply(object));
    }

    fn change(&mut self, name: &str, spec: bool, edit: impl FnOnce(&mut K)) -> Result<K> {
        let Some(object) = self.objects.get_mut(name) else {
            return Err(DesiredError::NotFound {
                kind: "object",
                name: name.to_owned(),
            });
        };
        edit(object);
        if spec {
            *object.meta_mut().generation.get_or_insert(0) += 1;
        }
        let object = object.clone();
        self.tell(Event::Apply(object.clone()));
        Ok(object)
    }

    fn bury(&mut self, name: &str) {
        let now = serde_json::from_value(serde_json::json!(jiff::Timestamp::now())).unwrap();
        let _ = self.change(name, true, |object| object.meta_mut().deletion_timestamp = now);
    }

    fn remove(&mut self, name: &str) {
        if let Some(object) = self.objects.remove(name) {
            self.tell(Event::Delete(object));
        }
    }

    fn watch(&mut self) -> vpn_operator::desired::Events<K> {
        let (sender, receiver) = mpsc::unbounded_channel();
        let _ = sender.send(Event::Init);
        for object in self.objects.values() {
            let _ = sender.send(Event::InitApply(object.clone()));
        }
        let _ = sender.send(Event::InitDone);
        self.watcher = Some(sender);
        futures::stream::unfold(receiver, |mut receiver| async {
            receiver.recv().await.map(|event| (event, receiver))
        })
        .boxed()
    }
}

#[derive(Default)]
pub struct Objects {
    users: Shelf<VpnUser>,
    holds: Shelf<VpnHold>,
    gateways: Shelf<VpnGateway>,
    uids: u64,
    /// Statuses that were written: of users, of anything else.
    pub writes: (usize, usize),
    /// Every status of a user that was ever written.
    pub reported: Vec<(String, VpnUserStatus)>,
    /// Holds that were let go.
    pub forgotten: Vec<String>,
    /// Somebody else's finalizer keeps holds that are let go.
    pub keeps_holds: bool,
}

/// Desired state in memory. Outlives operators.
#[derive(Default)]
pub struct Source(Mutex<Objects>);

impl Source {
    pub fn lock(&self) -> MutexGuard<'_, Objects> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Declares a user anew, or changes its spec.
    pub fn declare(&self, id: &str, edit: impl FnOnce(&mut VpnUserSpec)) {
        let mut objects = self.lock();
        let id = CorporateId::parse(id).unwrap();
        let name = id.object_name();
        if let Some(present) = objects.users.objects.get(&name) {
            let mut spec = present.spec.clone();
            edit(&mut spec);
            let _ = objects.users.change(&name, true, |user| {
                user.spec = spec;
                user.metadata.deletion_timestamp = None;
            });
            return;
        }
        let mut user: VpnUser = serde_json::from_value(serde_json::json!({
            "apiVersion": "vpn-operator.io/v1alpha1", "kind": "VpnUser", "metadata": { "name": name },
            "spec": { "corporateId": id },
        }))
        .unwrap();
        edit(&mut user.spec);
        objects.uids += 1;
        let uid = format!("uid-{}", objects.uids);
        born(&mut user, uid);
        objects.users.put(user);
    }

    pub fn delete(&self, id: &str) {
        self.lock().users.bury(&CorporateId::parse(id).unwrap().object_name());
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
        let mut objects = self.lock();
        let mut hold = VpnHold::new(name, spec);
        objects.uids += 1;
        let uid = format!("uid-{}", objects.uids);
        born(&mut hold, uid);
        objects.holds.put(hold);
    }

    pub fn phase(&self, name: &str) -> Option<HoldPhase> {
        self.lock().holds.objects.get(name)?.status.as_ref()?.phase
    }

    /// The hold's document disappears.
    pub fn lose_hold(&self, name: &str) {
        self.lock().holds.bury(name);
    }

    /// The document of a lost hold is there again.
    pub fn find_hold(&self, name: &str) {
        let _ = self
            .lock()
            .holds
            .change(name, true, |hold| hold.metadata.deletion_timestamp = None);
    }

    /// Somebody lifts the hold.
    pub fn lift(&self, name: &str) {
        self.lock().holds.remove(name);
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
        let mut gateway: VpnGateway = serde_json::from_value(serde_json::json!({
            "apiVersion": "vpn-operator.io/v1alpha1", "kind": "VpnGateway", "metadata": { "name": name },
            "spec": { "hysteria": hysteria },
        }))
        .unwrap();
        let mut objects = self.lock();
        if objects.gateways.objects.contains_key(name) {
            let spec = gateway.spec;
            let _ = objects.gateways.change(name, true, |gateway| gateway.spec = spec);
            return;
        }
        objects.uids += 1;
        let uid = format!("uid-{}", objects.uids);
        born(&mut gateway, uid);
        objects.gateways.put(gateway);
    }

    pub fn user(&self, id: &str) -> Option<VpnUser> {
        let name = CorporateId::parse(id).unwrap().object_name();
        self.lock().users.objects.get(&name).cloned()
    }

    pub fn delete_gateway(&self, name: &str) {
        self.lock().gateways.bury(name);
    }

    pub fn has_gateway(&self, name: &str) -> bool {
        self.lock().gateways.objects.contains_key(name)
    }

    pub fn gateway_status(&self, name: &str) -> VpnGatewayStatus {
        self.lock().gateways.objects[name].status.clone().unwrap_or_default()
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

fn born<K: Resource>(object: &mut K, uid: String) {
    let meta = object.meta_mut();
    meta.namespace = Some(NAMESPACE.to_owned());
    meta.uid = Some(uid);
    meta.generation = Some(1);
    meta.creation_timestamp = serde_json::from_value(serde_json::json!(jiff::Timestamp::now())).unwrap();
    meta.finalizers = Some(vec![FINALIZER.to_owned()]);
}

#[async_trait]
impl DesiredState for Source {
    fn watch(&self) -> Watches {
        let mut objects = self.lock();
        Watches {
            users: objects.users.watch(),
            holds: objects.holds.watch(),
            gateways: objects.gateways.watch(),
        }
    }
    fn health(&self) -> SourceHealth {
        SourceHealth::default()
    }
    async fn get_user(&self, name: &str) -> Result<Option<VpnUser>> {
        Ok(self.lock().users.objects.get(name).cloned())
    }
    async fn create_user(&self, _: &str, _: VpnUserSpec, _: FieldManager) -> Result<VpnUser> {
        Err(DesiredError::Unavailable("not here".to_owned()))
    }
    async fn patch_user(&self, _: &str, _: UserPatch, _: FieldManager) -> Result<VpnUser> {
        Err(DesiredError::Unavailable("not here".to_owned()))
    }
    async fn delete_user(&self, _: &str, _: FieldManager) -> Result<()> {
        Err(DesiredError::Unavailable("not here".to_owned()))
    }
    async fn create_hold(&self, _: &str, _: VpnHoldSpec, _: HoldNotes<'_>, _: FieldManager) -> Result<VpnHold> {
        Err(DesiredError::Unavailable("not here".to_owned()))
    }
    async fn lift_hold(&self, _: &str, _: FieldManager) -> Result<()> {
        Err(DesiredError::Unavailable("not here".to_owned()))
    }
    async fn report_user(&self, user: &VpnUser, status: VpnUserStatus) -> Result<Version> {
        let mut objects = self.lock();
        objects.writes.0 += 1;
        objects.reported.push((user.name_any(), status.clone()));
        objects
            .users
            .change(&user.name_any(), false, |user| user.status = Some(status))
            .map(|user| Version::of(&user))
    }
    async fn report_hold(&self, hold: &VpnHold, status: VpnHoldStatus) -> Result<()> {
        let mut objects = self.lock();
        objects.writes.1 += 1;
        objects
            .holds
            .change(&hold.name_any(), false, |hold| hold.status = Some(status))
            .map(drop)
    }
    async fn report_gateway(&self, gateway: &VpnGateway, status: VpnGatewayStatus) -> Result<()> {
        let mut objects = self.lock();
        objects.writes.1 += 1;
        objects
            .gateways
            .change(&gateway.name_any(), false, |gateway| gateway.status = Some(status))
            .map(drop)
    }
    async fn add_user_finalizer(&self, _: &VpnUser) -> Result<()> {
        Ok(())
    }
    async fn add_hold_finalizer(&self, _: &VpnHold) -> Result<()> {
        Ok(())
    }
    async fn add_gateway_finalizer(&self, _: &VpnGateway) -> Result<()> {
        Ok(())
    }
    async fn delete_gateway(&self, _: &str) -> Result<()> {
        Err(DesiredError::Unavailable("not here".to_owned()))
    }
    async fn remove_user_finalizer(&self, name: &str) -> Result<()> {
        self.lock().users.remove(name);
        Ok(())
    }
    async fn remove_hold_finalizer(&self, name: &str) -> Result<()> {
        let mut objects = self.lock();
        objects.forgotten.push(name.to_owned());
        if !objects.keeps_holds {
            objects.holds.remove(name);
        }
        Ok(())
    }
    async fn remove_gateway_finalizer(&self, name: &str) -> Result<()> {
        self.lock().gateways.remove(name);
        Ok(())
    }
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
            desired: Arc::clone(source) as Arc<dyn DesiredState>,
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
        tasks.spawn(intake::run(source.watch(), writers, ctx(), tick, cancel.clone()));
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

impl Objects {
    /// The object is not there any more, whoever had a finalizer on it.
    pub fn forget_user(&mut self, id: &str) {
        self.users.remove(&CorporateId::parse(id).unwrap().object_name());
    }

    /// Takes over an object with its status.
    pub fn adopt(&mut self, user: VpnUser) {
        self.users.put(user);
    }
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
