//! A gateway with a small auth and a small sink around it.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use jiff::Timestamp;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use vpn_operator::{
    clock::{Clock, SystemClock},
    fence::Fence,
    gateway::{
        Context, Counters, Doubt, Gateway, NodeName, RevocationProgress, Revoke, SessionLedger, Standing, Target,
        TargetAccess, UsageDelta, UsageSink,
        hysteria::{HysteriaGateway, client::StatsEndpoint, config::NodeConfig, ports::Ports},
    },
    model::session::{Epoch, SessionId},
};

use crate::support::hysteria_node::{Auth, HysteriaNode, Login, Session};

pub const SECRET: &str = "stats-secret";
pub const POLL: Duration = Duration::from_millis(400);

#[derive(Default)]
struct Person {
    allowed: bool,
    epoch: u64,
    slots: u32,
    last_yes: Option<Instant>,
}

/// A target of an account about which a gateway needs to know nothing.
pub fn target(access: TargetAccess, epoch: Epoch, revoke: Option<Revoke>) -> Target {
    Target {
        access,
        epoch,
        account: Arc::default(),
        revoke,
    }
}

/// One look that the ledger was told of: node, begin of the poll, who was online.
type Observed = (NodeName, Instant, HashMap<String, u32>);
/// Counters by id.
type ById = HashMap<String, (u64, u64)>;

/// An auth that hands out an id for every login and never takes one back.
#[derive(Default)]
pub struct SmallAuth {
    people: Mutex<HashMap<String, Person>>,
    pub observed: Mutex<Vec<Observed>>,
    pub removed: Mutex<Vec<NodeName>>,
    pub doubts: Mutex<HashMap<NodeName, Doubt>>,
    pub missed: Mutex<HashSet<(NodeName, String)>>,
}

impl SmallAuth {
    pub fn permit(&self, account: &str) -> Target {
        let mut people = self.people.lock().unwrap();
        let person = people.entry(account.to_owned()).or_default();
        person.allowed = true;
        target(TargetAccess::Granted, Epoch(person.epoch), None)
    }

    /// Raises the epoch; from the return on, the former sessions may not live.
    fn revoke(&self, account: &str, allowed: bool) -> Revoke {
        let mut people = self.people.lock().unwrap();
        let person = people.entry(account.to_owned()).or_default();
        let id = |slot| {
            SessionId {
                account,
                epoch: Epoch(person.epoch),
                slot,
            }
            .to_string()
        };
        let known = (0..person.slots).map(id).collect();
        *person = Person {
            allowed,
            epoch: person.epoch + 1,
            slots: 0,
            last_yes: person.last_yes,
        };
        Revoke {
            below: Epoch(person.epoch),
            denied_at: Timestamp::now(),
            known,
            left_out: Vec::new(),
        }
    }

    pub fn deny(&self, account: &str) -> Revoke {
        self.revoke(account, false)
    }

    pub fn rotate(&self, account: &str) -> Target {
        let revoke = self.revoke(account, true);
        target(TargetAccess::Granted, revoke.below, Some(revoke))
    }

    pub fn login(&self, login: &Login<'_>) -> Option<String> {
        let (account, password) = login.auth.split_once(':')?;
        let mut people = self.people.lock().unwrap();
        let person = people
            .get_mut(account)
            .filter(|person| person.allowed && password == "pw")?;
        let id = SessionId {
            account,
            epoch: Epoch(person.epoch),
            slot: person.slots,
        };
        person.slots += 1;
        person.last_yes = Some(Instant::now());
        Some(id.to_string())
    }
}

impl SessionLedger for SmallAuth {
    fn standing(&self, _: &NodeName, id: &str) -> Standing {
        let people = self.people.lock().unwrap();
        match SessionId::parse(id) {
            None => Standing::Foreign,
            Some(session) => match people.get(session.account) {
                Some(person) if person.allowed && person.epoch == session.epoch.0 => Standing::Permitted,
                _ => Standing::Revoked,
            },
        }
    }
    fn last_yes(&self, account: &str) -> Option<Instant> {
        self.people.lock().unwrap().get(account)?.last_yes
    }
    fn remaining(&self, _: &str) -> Option<u64> {
        None
    }

    fn logins_near_limits(&self) -> tokio::sync::watch::Receiver<u64> {
        tokio::sync::watch::channel(0).1
    }

    fn observed(&self, node: &NodeName, polled: Instant, online: &HashMap<String, u32>) {
        self.observed
            .lock()
            .unwrap()
            .push((node.clone(), polled, online.clone()));
    }
    fn doubt(&self, node: &NodeName) -> Option<Doubt> {
        self.doubts.lock().unwrap().get(node).cloned()
    }
    fn misses(&self, node: &NodeName, account: &str, _: Epoch) -> bool {
        let missed = self.missed.lock().unwrap();
        missed.contains(&(node.clone(), account.to_owned()))
    }
    fn strangers(&self, _: &NodeName, _: &HashSet<&str>) {}
    fn stranger(&self, _: &NodeName, _: &str, _: bool) {}
    fn bypassed(&self, _: &NodeName, _: bool) {}
    fn node_removed(&self, node: &NodeName) {
        self.removed.lock().unwrap().push(node.clone());
    }
}

/// A sink that keeps counters by the rule of the trait.
#[derive(Default)]
pub struct SmallSink {
    pub kept: Mutex<HashMap<NodeName, ById>>,
    pub totals: Mutex<HashMap<String, (u64, u64)>>,
    pub writes: Mutex<usize>,
}

impl UsageSink for SmallSink {
    fn baseline(&self, node: &NodeName) -> Option<Counters> {
        Some(Counters {
            ids: self.kept.lock().unwrap().get(node).cloned().unwrap_or_default(),
        })
    }
    fn account(&self, node: &NodeName, deltas: Vec<UsageDelta>, changed: ById, reset: bool) {
        let mut kept = self.kept.lock().unwrap();
        let kept = kept.entry(node.clone()).or_default();
        if reset {
            kept.clear();
        }
        kept.extend(changed);
        let mut totals = self.totals.lock().unwrap();
        for delta in deltas {
            let total = totals.entry(delta.account).or_default();
            total.0 += delta.upload;
            total.1 += delta.download;
        }
        *self.writes.lock().unwrap() += 1;
    }
}

pub fn config(name: &str, node: &HysteriaNode) -> NodeConfig {
    NodeConfig {
        stats: Some(StatsEndpoint {
            url: node.stats_url().parse().unwrap(),
            secret: SECRET.into(),
        }),
        ..without_statistics(name)
    }
}

/// A node without a statistics API.
pub fn without_statistics(name: &str) -> NodeConfig {
    NodeConfig {
        name: name.to_owned(),
        address: "vpn.example.com".to_owned(),
        ports: Ports::parse("443").unwrap(),
        sni: None,
        pin_sha256: None,
        insecure: false,
        certificate: None,
        obfs: None,
        stats: None,
        fault: None,
        undeclared: false,
    }
}

/// Calls of nodes: node, operation, outcome.
pub type Calls = Arc<Mutex<Vec<(String, &'static str, &'static str)>>>;

pub struct House {
    pub auth: Arc<SmallAuth>,
    pub sink: Arc<SmallSink>,
    pub gateway: Arc<HysteriaGateway>,
    pub completions: UnboundedReceiver<HashSet<String>>,
    pub calls: Calls,
    cancel: CancellationToken,
    tasks: TaskTracker,
}

impl House {
    pub fn with(nodes: Vec<NodeConfig>) -> Self {
        Self::around(Arc::default(), Arc::default(), nodes)
    }

    pub fn fenced(fence: Fence, nodes: Vec<NodeConfig>) -> Self {
        Self::build(Arc::default(), Arc::default(), fence, nodes)
    }

    pub fn around(auth: Arc<SmallAuth>, sink: Arc<SmallSink>, nodes: Vec<NodeConfig>) -> Self {
        Self::build(auth, sink, Fence::always_open(), nodes)
    }

    fn build(auth: Arc<SmallAuth>, sink: Arc<SmallSink>, fence: Fence, nodes: Vec<NodeConfig>) -> Self {
        let (sender, completions) = tokio::sync::mpsc::unbounded_channel();
        let calls = Calls::default();
        let meter = calls.clone();
        let context = Context {
            ledger: auth.clone(),
            usage: sink.clone(),
            completions: sender,
            clock: Arc::new(SystemClock),
            fence,
            meter: Arc::new(move |call| {
                let call = (call.node.to_string(), call.operation, call.outcome);
                meter.lock().unwrap().push(call);
            }),
            poll_interval: POLL,
            cancel: CancellationToken::new(),
            tasks: TaskTracker::new(),
        };
        let (cancel, tasks) = (context.cancel.clone(), context.tasks.clone());
        let gateway = HysteriaGateway::start("default", nodes, context).unwrap();
        Self {
            auth,
            sink,
            gateway,
            completions,
            calls,
            cancel,
            tasks,
        }
    }

    pub fn permit(&self, account: &str) {
        self.gateway.submit(account, self.auth.permit(account));
    }

    pub fn deny(&self, account: &str) {
        let revoke = self.auth.deny(account);
        self.gateway
            .submit(account, target(TargetAccess::Denied, revoke.below, Some(revoke)));
    }

    pub async fn connect(&self, node: &Arc<HysteriaNode>, account: &str) -> Session {
        let auth = self.auth.clone();
        let answer = move |login: &Login<'_>| auth.login(login);
        node.connect(Auth::Answer(&answer), &format!("{account}:pw"), "192.0.2.1:1000")
            .await
            .unwrap()
    }

    pub async fn connect_many(&self, node: &Arc<HysteriaNode>, account: &str, count: usize) -> Vec<Session> {
        let mut sessions = Vec::new();
        for _ in 0..count {
            sessions.push(self.connect(node, account).await);
        }
        sessions
    }

    pub fn gateway_error(&self) -> Option<String> {
        self.gateway.health().into_iter().find_map(|node| node.error)
    }

    pub fn progress(&self, account: &str) -> RevocationProgress {
        self.gateway.observe(account).revocation.unwrap()
    }

    pub async fn contained(&self, account: &str) -> Timestamp {
        eventually(|| self.progress(account).contained_at).await
    }

    pub async fn zero(&self, account: &str) -> Timestamp {
        eventually(|| self.progress(account).sessions_zero_at).await
    }

    /// Waits until each node was looked at once more, from a look begun after this call.
    pub async fn look_again(&self, node: &str) {
        let now = SystemClock.monotonic();
        let name = NodeName::new("default", node);
        eventually(|| {
            let observed = self.auth.observed.lock().unwrap();
            observed
                .iter()
                .any(|(node, polled, _)| *node == name && *polled > now)
                .then_some(())
        })
        .await;
    }

    pub async fn stop(self) {
        self.cancel.cancel();
        self.tasks.close();
        tokio::time::timeout(Duration::from_secs(5), self.tasks.wait())
            .await
            .expect("every task ends");
    }
}

/// Waits until there is an answer.
pub async fn eventually<T>(mut answer: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(15);
    loop {
        if let Some(answer) = answer() {
            return answer;
        }
        assert!(Instant::now() < deadline, "it did not happen in time");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
