//! A panel and the gateway that has it.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    time::{Duration, Instant},
};

use jiff::{SignedDuration, Timestamp};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use vpn_operator::{
    clock::{Clock, SharedClock, SystemClock},
    fence::Fence,
    gateway::{
        Account, Context, Credentials, Gateway, Link, Links, Observation, Revoke, SessionLedger, Target, TargetAccess,
        blitz::{BlitzGateway, client::PanelEndpoint, config::PanelConfig},
        hysteria::client::StatsEndpoint,
    },
    model::session::Epoch,
};

use crate::{
    hysteria::house::{SmallAuth, SmallSink},
    support::{
        blitz::{BlitzPanel, Op, PanelCall},
        hysteria_node::Session,
    },
};

pub const TOKEN: &str = "panel-token-7f3a";
pub const ADDRESS: &str = "192.0.2.1:1000";
pub const POLL: Duration = Duration::from_millis(150);

/// The password that the operator has for an account.
pub fn password(account: &str) -> String {
    format!("pw-{account}-1")
}

pub fn account(name: &str) -> Account {
    Account {
        password: Some(password(name).into()),
        ..Account::default()
    }
}

/// The panel's API alone.
pub fn config(panel: &BlitzPanel) -> PanelConfig {
    PanelConfig {
        panel: PanelEndpoint {
            url: panel.url().parse().unwrap(),
            token: TOKEN.into(),
            ca_bundle: None,
        },
        stats: None,
        guarded: false,
    }
}

/// And the statistics API of its server.
pub fn config_with_stats(panel: &BlitzPanel) -> PanelConfig {
    PanelConfig {
        stats: Some(StatsEndpoint {
            url: panel.node().stats_url().parse().unwrap(),
            secret: "".into(),
        }),
        ..config(panel)
    }
}

/// The machine's clock, whose wall clock somebody steps.
#[derive(Default)]
pub struct Stepped(AtomicI64);

impl Stepped {
    pub fn step(&self, seconds: i64) {
        self.0.fetch_add(seconds, Ordering::SeqCst);
    }
}

impl Clock for Stepped {
    fn now(&self) -> Timestamp {
        Timestamp::now() + SignedDuration::from_secs(self.0.load(Ordering::SeqCst))
    }
    fn monotonic(&self) -> Instant {
        SystemClock.monotonic()
    }
    fn since_boot(&self) -> Duration {
        SystemClock.since_boot()
    }
}

pub struct House {
    pub clock: Arc<Stepped>,
    pub panel: Arc<BlitzPanel>,
    pub gateway: Arc<BlitzGateway>,
    pub sink: Arc<SmallSink>,
    _completions: UnboundedReceiver<HashSet<String>>,
    epochs: Mutex<BTreeMap<String, u64>>,
    cancel: CancellationToken,
    tasks: TaskTracker,
}

impl House {
    pub async fn new() -> Self {
        Self::at(BlitzPanel::start(TOKEN).await, Arc::default())
    }

    /// A process that begins at a panel.
    pub fn at(panel: Arc<BlitzPanel>, sink: Arc<SmallSink>) -> Self {
        let (config, clock) = (config(&panel), Arc::new(Stepped::default()));
        let auth = Arc::new(SmallAuth::default());
        Self {
            clock: clock.clone(),
            ..Self::with(panel, sink, &config, auth, clock)
        }
    }

    /// The same, with more than the panel's API, and a clock that nobody steps.
    pub fn with(
        panel: Arc<BlitzPanel>,
        sink: Arc<SmallSink>,
        config: &PanelConfig,
        ledger: Arc<dyn SessionLedger>,
        clock: SharedClock,
    ) -> Self {
        let (sender, completions) = tokio::sync::mpsc::unbounded_channel();
        let context = Context {
            ledger,
            usage: sink.clone(),
            completions: sender,
            clock,
            fence: Fence::always_open(),
            meter: Arc::new(|_| {}),
            poll_interval: POLL,
            cancel: CancellationToken::new(),
            tasks: TaskTracker::new(),
        };
        let (cancel, tasks) = (context.cancel.clone(), context.tasks.clone());
        let gateway = BlitzGateway::start("default", config, context).unwrap();
        Self {
            clock: Arc::default(),
            panel,
            gateway,
            sink,
            _completions: completions,
            epochs: Mutex::default(),
            cancel,
            tasks,
        }
    }

    /// The process ends, wherever it is.
    pub async fn stop(self) -> Arc<BlitzPanel> {
        self.cancel.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        self.panel
    }

    fn epoch(&self, name: &str, raise: bool) -> Epoch {
        let mut epochs = self.epochs.lock().unwrap();
        let epoch = epochs.entry(name.to_owned()).or_default();
        *epoch += u64::from(raise);
        Epoch(*epoch)
    }

    pub fn submit(&self, name: &str, access: TargetAccess, account: Account, revoke: bool) {
        let epoch = self.epoch(name, revoke);
        let revoke = revoke.then(|| Revoke {
            below: epoch,
            denied_at: Timestamp::now(),
            known: Vec::new(),
            left_out: Vec::new(),
        });
        let target = Target {
            access,
            epoch,
            account: Arc::new(account),
            revoke,
        };
        self.gateway.submit(name, target);
    }

    pub fn grant(&self, name: &str) {
        self.submit(name, TargetAccess::Granted, account(name), false);
    }

    pub fn deny(&self, name: &str) {
        self.submit(name, TargetAccess::Denied, account(name), true);
    }

    pub fn observe(&self, name: &str) -> Observation {
        self.gateway.observe(name)
    }

    /// Links, when they are known.
    pub fn links(&self, name: &str) -> Option<Vec<Link>> {
        let credentials = Credentials {
            username: name.to_owned(),
            password: password(name).into(),
        };
        match self.gateway.links(&credentials) {
            Links::Known(links) => Some(links),
            Links::Pending => None,
        }
    }

    pub fn is_contained(&self, name: &str) -> bool {
        let revocation = self.observe(name).revocation;
        revocation.is_some_and(|it| it.contained_at.is_some())
    }

    pub fn is_zero(&self, name: &str) -> bool {
        let revocation = self.observe(name).revocation;
        revocation.is_some_and(|it| it.sessions_zero_at.is_some())
    }

    pub async fn connect(&self, name: &str) -> Session {
        let credential = format!("{name}:{}", password(name));
        self.panel.connect(&credential, ADDRESS).await.unwrap()
    }

    /// Waits until so many more lists were answered, all begun after this call.
    pub async fn lists(&self, more: usize) {
        let before = self.panel.count(Op::List);
        // One may be under way.
        eventually(
            &format!(
                "lists: {before} {more} {:?}",
                self.panel
                    .calls()
                    .iter()
                    .rev()
                    .take(5)
                    .map(|c| (c.op, c.at.elapsed()))
                    .collect::<Vec<_>>()
            ),
            || self.panel.count(Op::List) > before + more,
        )
        .await;
    }

    /// Calls that are no list.
    pub fn writes(&self) -> Vec<PanelCall> {
        let mut calls = self.panel.calls();
        calls.retain(|call| !matches!(call.op, Op::List | Op::UriBulk));
        calls
    }

    /// How many calls there were, by kind.
    pub fn counts(&self) -> HashMap<Op, usize> {
        let mut counts = HashMap::new();
        for call in self.panel.calls() {
            *counts.entry(call.op).or_default() += 1;
        }
        counts
    }
}

pub async fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !is_so() {
        assert!(Instant::now() < deadline, "never: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A device that moves a byte every few milliseconds, and logs in again when it is cut. Ends when it is refused.
pub struct Busy {
    task: tokio::task::JoinHandle<()>,
    leaves: Arc<AtomicBool>,
}

impl Busy {
    pub fn begin(panel: &Arc<BlitzPanel>, name: &str, first: Session) -> Self {
        Self::through(panel, None, &format!("{name}:{}", password(name)), first)
    }

    /// At a server whose `auth.http.url` is this.
    pub fn through(panel: &Arc<BlitzPanel>, url: Option<&str>, credential: &str, first: Session) -> Self {
        let (panel, url, credential) = (panel.clone(), url.map(ToOwned::to_owned), credential.to_owned());
        let leaves = Arc::new(AtomicBool::default());
        let leave = leaves.clone();
        let task = tokio::spawn(async move {
            let mut session = first;
            loop {
                if leave.load(Ordering::SeqCst) {
                    return session.close();
                }
                if session.send(10, 10).is_err() {
                    let again = match &url {
                        Some(url) => panel.connect_through(url, &credential, ADDRESS).await,
                        None => panel.connect(&credential, ADDRESS).await,
                    };
                    match again {
                        Ok(again) => session = again,
                        Err(_) => return,
                    }
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        });
        Self { task, leaves }
    }

    /// Says goodbye.
    pub fn leave(&self) {
        self.leaves.store(true, Ordering::SeqCst);
    }

    /// It was cut and refused.
    pub fn is_out(&self) -> bool {
        self.task.is_finished()
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.task.abort();
    }
}
