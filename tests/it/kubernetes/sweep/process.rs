//! One process of the operator: the product's own wiring on a runtime of its own, which ends as a process does.

use std::{
    collections::{HashMap, HashSet},
    ffi::OsString,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use clap::Parser;
use kube::runtime::reflector::ObjectRef;
use tokio::{
    runtime::{Builder, Handle, Runtime},
    sync::oneshot,
};
use tokio_util::sync::CancellationToken;
use vpn_operator::{
    access::UseCases,
    auth::index::Verdict,
    cli::run::{Cluster, Tasks, WireInputs, Wired, wire},
    clock::SystemClock,
    cluster::client::bounded,
    config::{Config, Settings},
    fence::Fence,
    history::History,
    metrics::Metrics,
    reconcile::core::Core,
};

use super::oracle::{Way, Word, key, object, ways, word};

/// Who the operator is for the API server.
pub const OPERATOR: &str = "operator";
/// How long the API server may take until it begins to answer.
const ANSWER: Duration = Duration::from_secs(3);
/// How often the oracle asks.
const ASK: Duration = Duration::from_millis(20);
/// How long a disappearance may wait for its companions: a second by contract, and more on a busy machine.
const VANISHING: Duration = Duration::from_secs(4);

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What the oracle knows and found.
#[derive(Default)]
pub struct Findings {
    /// Which process it is about, counted from 1: one that was ended may still look around for a moment.
    pub process: usize,
    /// Ways that were denied before the process started, and of whose person nobody changed anything since.
    pub denied_before: HashSet<Way>,
    /// The guard may hold a denial back until a person confirms it.
    pub guarded: bool,
    pub broken: Vec<String>,
}

impl Findings {
    fn was_denied_before(&self, process: usize, way: &Way) -> bool {
        self.process == process && self.denied_before.contains(way)
    }
}

/// Where a process runs while it does.
#[derive(Clone, Default)]
pub struct Machine {
    runtime: Arc<Mutex<Option<Runtime>>>,
    pub findings: Arc<Mutex<Findings>>,
}

impl Machine {
    /// The process ends at once.
    pub fn crash(&self) {
        if let Some(runtime) = lock(&self.runtime).take() {
            runtime.shutdown_background();
        }
    }

    pub fn is_down(&self) -> bool {
        lock(&self.runtime).is_none()
    }

    pub fn findings(&self) -> MutexGuard<'_, Findings> {
        lock(&self.findings)
    }
}

/// A running process.
pub struct Process {
    pub core: Arc<Core>,
    pub use_cases: UseCases,
    pub handle: Handle,
}

impl Process {
    /// Starts; `None` if the process did not live that long. `data` outlives processes.
    pub async fn start(machine: &Machine, url: &str, data: &Path) -> Option<Self> {
        free(&data.join(vpn_operator::config::HISTORY_FILE)).await;
        let runtime = Builder::new_multi_thread()
            // One, so that the oracle never looks while an event is half taken in.
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let handle = runtime.handle().clone();
        let (sender, started) = oneshot::channel();
        let (config, url, findings) = (config(data), url.to_owned(), Arc::clone(&machine.findings));
        let process = lock(&findings).process;
        *lock(&machine.runtime) = Some(runtime);
        handle.spawn(async move {
            let mut tasks = Tasks::new();
            let wired = wire(&config, &key(), &inputs(&url), tasks.core_token()).await.unwrap();
            let Wired { core, use_cases, .. } = &wired;
            let (core, use_cases) = (Arc::clone(core), use_cases.clone());
            tokio::spawn(ask(Arc::clone(&core), process, Arc::clone(&findings)));
            wired.start(&mut tasks);
            // Nobody waits for it any more if it was killed meanwhile.
            let _ = sender.send((core, use_cases));
            let ended = tasks.until(CancellationToken::new(), std::future::pending()).await;
            lock(&findings).broken.push(format!("a task ended: {ended:?}"));
        });
        let (core, use_cases) = started.await.ok()?;
        Some(Self {
            core,
            use_cases,
            handle,
        })
    }
}

/// Waits until what is left of the process before has let go of the database.
async fn free(path: &Path) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while let Err(error) = History::open(path, crate::support::audit_keys(), Arc::new(SystemClock)) {
        assert!(Instant::now() < deadline, "{error}");
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
}

fn inputs(url: &str) -> WireInputs {
    let mut access = kube::Config::new(url.parse().unwrap());
    // The machine's certificates take longer to read than all the rest.
    access.root_cert = Some(Vec::new());
    access.auth_info.token = Some(OPERATOR.to_owned().into());
    WireInputs {
        cluster: Some(Cluster {
            client: bounded(access, ANSWER).unwrap(),
            namespace: "default".to_owned(),
            instance: "vpn-operator-0".to_owned(),
            lease: "vpn-operator".to_owned(),
        }),
        fence: Fence::always_open(),
        metrics: Arc::new(Metrics::new()),
        clock: Arc::new(SystemClock),
        process: Arc::new(Vec::new),
        closing: CancellationToken::new(),
    }
}

#[derive(Parser)]
struct Command {
    #[command(flatten)]
    settings: Settings,
}

fn environment(name: &str) -> Option<OsString> {
    (name == "HYSTERIA_AUTH_TOKEN").then(|| "auth-token".into())
}

fn config(data: &Path) -> Config {
    let flags = [
        "vpn-operator",
        "--desired",
        "kubernetes",
        "--hysteria-poll-interval",
        "100ms",
        "--data",
    ];
    let flags = flags.into_iter().map(Into::into).chain([data.as_os_str().to_owned()]);
    Config::load(Command::try_parse_from(flags).unwrap().settings, &environment).unwrap()
}

/// Asks auth all the time for everybody who must not be let in: by what the process has been told, and by what was declared
/// before it started.
async fn ask(core: Arc<Core>, process: usize, findings: Arc<Mutex<Findings>>) {
    let index = core.roster.index();
    index.wait_loaded().await;
    let mut vanished: HashMap<Way, Instant> = HashMap::new();
    loop {
        // One after the other: the stores before the question, and nothing else runs in between.
        let holds = core.holds.state();
        let held_back = lock(&findings).guarded && core.roster.guard(0).pending.total > 0;
        for way in ways() {
            let user = core.users.get(&ObjectRef::new(&object(way.id)).within("default"));
            let now = jiff::Timestamp::now();
            let told = word(&way, user.as_deref(), holds.iter().map(|hold| &**hold), now);
            let since = (told == Word::Vanished).then(|| *vanished.entry(way).or_insert_with(Instant::now));
            if since.is_none() {
                vanished.remove(&way);
            }
            let told_no = told == Word::Denies || since.is_some_and(|since| since.elapsed() > VANISHING);
            let before = lock(&findings).was_denied_before(process, &way);
            if (before || (told_no && !held_back))
                && let Verdict::Granted(session) = way.login(&index)
            {
                let why = if before {
                    "denied before the start"
                } else {
                    "denied as the process knows"
                };
                let person = core.roster.person_by_user(&object(way.id));
                // Somebody may have changed the declaration while auth was asked.
                if told_no || lock(&findings).was_denied_before(process, &way) {
                    lock(&findings).broken.push(format!(
                        "{way:?} was let in as {}, {why}: {user:?} {person:?}",
                        session.id()
                    ));
                }
            }
        }
        tokio::time::sleep(ASK).await;
    }
}
