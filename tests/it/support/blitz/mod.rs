//! An in-process double of a Blitz panel with its Hysteria server and its auth service, as measured: one call after the other,
//! the kick before the write, and the faults that tests need.

mod panel;

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use axum::{
    Json,
    body::{Body, Bytes, to_bytes},
    extract::{ConnectInfo, Request, State},
    http::{Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub use panel::{Account, GB, Panel};

use self::panel::{Answer, Step, detail};
use super::{
    hysteria_node::{Auth, HysteriaNode, Login, Refused, Session},
    net::{Peer, Port},
};

/// The path under which the panel's API is published.
const ROOT: &str = "/rootpath/api/v1/users";

/// A call of the API, by what it is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Op {
    List,
    Get,
    Add,
    Patch,
    Delete,
    Reset,
    Uri,
    UriBulk,
    BulkAdd,
    BulkDelete,
}

impl Op {
    /// What the call takes on an idle machine with two cores, as measured.
    fn measured(self) -> Duration {
        Duration::from_millis(match self {
            Self::List => 785,
            Self::Get => 705,
            Self::Add => 1415,
            Self::Patch => 934,
            Self::Delete | Self::BulkDelete => 1646,
            Self::Reset => 1381,
            Self::Uri => 683,
            Self::UriBulk | Self::BulkAdd => 670,
        })
    }

    /// What it takes while the database is down.
    fn without_database(self) -> Duration {
        Duration::from_secs(match self {
            Self::List | Self::Get => 32,
            Self::Add => 64,
            Self::Patch => 70,
            Self::Uri | Self::UriBulk => 44,
            _ => 39,
        })
    }

    fn word(self) -> &'static str {
        match self {
            Self::List => "list",
            Self::Get => "get",
            Self::Add => "add",
            Self::Patch => "patch",
            Self::Uri | Self::UriBulk => "uri",
            _ => "delete",
        }
    }
}

/// One call, in the order in which the panel took them up.
#[derive(Debug, Clone)]
pub struct PanelCall {
    pub op: Op,
    /// The account in the path, or in the body of an add.
    pub name: String,
    pub body: Value,
    pub at: Instant,
}

/// What goes wrong with one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The connection breaks before anything is done.
    Dropped,
    /// It is done, and the connection breaks before the answer.
    AnswerLost,
    /// Killed in between: who had to be kicked is, nothing is written, and the connection breaks.
    HalfDone,
    /// It answers as if it had done it.
    DoesNothing,
    /// It is not done, and answered with this status and a text that quotes what was sent.
    Status(u16),
    /// It is never answered, and nothing is done.
    Hang,
    /// It is done, and half of the body is sent before the connection breaks.
    Truncated,
    /// It is done, and the body takes so long.
    SlowBody(Duration),
}

#[derive(Default)]
struct Behaviour {
    calls: Vec<PanelCall>,
    next: HashMap<Op, VecDeque<Fault>>,
    at: BTreeMap<usize, Fault>,
    /// Calls about these accounts are answered with this status and not done, so many more times.
    stumbles: HashMap<String, (u16, usize)>,
    /// Calls that are not answered and still wait.
    hanging: usize,
    /// Accounts that were to be made and were there already.
    conflicts: usize,
    /// What the measured times are multiplied with.
    pace: f64,
    database_down: bool,
    /// Time between the kick and the write, of the measured time of the whole.
    gap: f64,
}

struct Shared {
    panel: Mutex<Panel>,
    /// One process with blocking calls.
    turn: tokio::sync::Mutex<()>,
    behaviour: Mutex<Behaviour>,
    node: Arc<HysteriaNode>,
    http: reqwest::Client,
    stats_secret: String,
    token: String,
    origin: String,
    /// How long the auth service sleeps on a wrong password.
    penalty: Mutex<Duration>,
    auth_down: Mutex<bool>,
    auth_delay: Mutex<Duration>,
    /// Logins that the auth service was asked about.
    asked: AtomicUsize,
}

/// A panel. Dropping it ends it; its Hysteria server lives on for as long as somebody has it.
pub struct BlitzPanel {
    shared: Arc<Shared>,
    port: Port,
    running: Mutex<Option<(CancellationToken, JoinHandle<()>)>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl BlitzPanel {
    /// Starts an empty panel that answers at once.
    pub async fn start(token: &str) -> Arc<Self> {
        Self::start_with_stats_secret(token, "").await
    }

    /// The same, whose server's statistics have a secret.
    pub async fn start_with_stats_secret(token: &str, stats_secret: &str) -> Arc<Self> {
        let port = Port::reserve().unwrap();
        let shared = Arc::new(Shared {
            panel: Mutex::new(Panel {
                today: jiff::Zoned::now().date(),
                ..Panel::default()
            }),
            turn: tokio::sync::Mutex::default(),
            behaviour: Mutex::default(),
            node: HysteriaNode::start(stats_secret, Duration::from_secs(30)).await,
            stats_secret: stats_secret.to_owned(),
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
            token: token.to_owned(),
            origin: format!("http://{}", port.address),
            penalty: Mutex::new(Duration::from_secs(5)),
            auth_down: Mutex::default(),
            auth_delay: Mutex::default(),
            asked: AtomicUsize::new(0),
        });
        let panel = Arc::new(Self {
            shared,
            port,
            running: Mutex::default(),
        });
        panel.come_up();
        panel
    }

    fn come_up(&self) {
        let all = CancellationToken::new();
        let listener = self.port.listen(all.clone()).unwrap();
        let router = axum::Router::new()
            .fallback(handle)
            .with_state(self.shared.clone())
            .into_make_service_with_connect_info::<Peer>();
        let stop = all.clone();
        let task = tokio::spawn(async move {
            axum::serve(listener, router)
                .with_graceful_shutdown(stop.cancelled_owned())
                .await
                .unwrap();
        });
        *lock(&self.running) = Some((all, task));
    }

    /// The process is killed: every call under way breaks.
    pub async fn take_down(&self) {
        let running = lock(&self.running).take();
        if let Some((all, task)) = running {
            all.cancel();
            task.await.unwrap();
        }
    }

    /// It is back on its address, with its database.
    pub fn bring_up(&self) {
        self.come_up();
    }

    /// Base URL of the panel with its root path, as `spec.blitz.url` has it.
    pub fn url(&self) -> String {
        format!("{}/rootpath", self.shared.origin)
    }

    /// Where the panel's auth service is asked.
    pub fn auth_url(&self) -> String {
        format!("{}/auth", self.shared.origin)
    }

    /// The Hysteria server of the panel. Its statistics have no secret unless one was given.
    pub fn node(&self) -> &Arc<HysteriaNode> {
        &self.shared.node
    }

    /// The database, to look at and to change as a person in the web UI does, or as a backup does.
    pub fn database(&self) -> MutexGuard<'_, Panel> {
        lock(&self.shared.panel)
    }

    /// An account as it is now.
    pub fn account(&self, name: &str) -> Option<Account> {
        self.database().accounts.get(name).cloned()
    }

    /// Calls take so many times what was measured: 0 for none, 1 for as measured.
    pub fn set_pace(&self, pace: f64) {
        lock(&self.shared.behaviour).pace = pace;
    }

    /// How much of a write's time is between its kick and its write.
    pub fn set_gap(&self, share: f64) {
        lock(&self.shared.behaviour).gap = share;
    }

    /// The database cannot be reached, or can be again. Calls take the measured time, times the pace.
    pub fn set_database_down(&self, down: bool) {
        lock(&self.shared.behaviour).database_down = down;
    }

    /// The auth service does not answer, or does again.
    pub fn set_auth_down(&self, down: bool) {
        *lock(&self.shared.auth_down) = down;
    }

    /// How long the auth service takes for a yes.
    pub fn set_auth_delay(&self, delay: Duration) {
        *lock(&self.shared.auth_delay) = delay;
    }

    /// How many logins the auth service was asked about.
    pub fn asked(&self) -> usize {
        self.shared.asked.load(Ordering::SeqCst)
    }

    /// How long the auth service sleeps on a wrong password.
    pub fn set_penalty(&self, penalty: Duration) {
        *lock(&self.shared.penalty) = penalty;
    }

    /// The next call of this kind goes wrong; several add up.
    pub fn fail_next(&self, op: Op, fault: Fault) {
        lock(&self.shared.behaviour)
            .next
            .entry(op)
            .or_default()
            .push_back(fault);
    }

    /// The call of this number goes wrong, counted from 0 over all calls.
    pub fn fail_call(&self, number: usize, fault: Fault) {
        lock(&self.shared.behaviour).at.insert(number, fault);
    }

    /// The next calls about an account are answered with this status, and not done.
    pub fn stumble(&self, name: &str, status: u16, times: usize) {
        lock(&self.shared.behaviour)
            .stumbles
            .insert(name.to_owned(), (status, times));
    }

    /// Nothing goes wrong any more that was to go wrong.
    pub fn mend(&self) {
        let mut behaviour = lock(&self.shared.behaviour);
        behaviour.next.clear();
        behaviour.at.clear();
        behaviour.stumbles.clear();
    }

    /// How many calls wait that will never be answered.
    pub fn hanging(&self) -> usize {
        lock(&self.shared.behaviour).hanging
    }

    /// How often an account was to be made that was there already.
    pub fn conflicts(&self) -> usize {
        lock(&self.shared.behaviour).conflicts
    }

    /// Every call so far.
    pub fn calls(&self) -> Vec<PanelCall> {
        lock(&self.shared.behaviour).calls.clone()
    }

    /// How many calls of a kind there were.
    pub fn count(&self, op: Op) -> usize {
        lock(&self.shared.behaviour)
            .calls
            .iter()
            .filter(|it| it.op == op)
            .count()
    }

    /// A device logs in with the panel's own auth service.
    pub async fn connect(&self, credential: &str, addr: &str) -> Result<Session, Refused> {
        let answer = |login: &Login<'_>| self.database().lets_in(login.auth).then(|| name_of(login.auth));
        self.shared.node.connect(Auth::Answer(&answer), credential, addr).await
    }

    /// A device logs in at a server whose `auth.http.url` is this.
    pub async fn connect_through(&self, url: &str, credential: &str, addr: &str) -> Result<Session, Refused> {
        self.shared.node.connect(Auth::Url(url), credential, addr).await
    }

    /// What the panel's scheduler does: collects traffic, then blocks who is over a limit.
    pub async fn run_scheduler(&self) {
        let _turn = self.shared.turn.lock().await;
        if self.shared.collect().await {
            self.database().enforce();
        }
    }
}

impl Drop for BlitzPanel {
    fn drop(&mut self) {
        if let Some((all, task)) = lock(&self.running).take() {
            all.cancel();
            task.abort();
        }
    }
}

fn name_of(credential: &str) -> String {
    credential.split(':').next().unwrap_or_default().to_owned()
}

impl Shared {
    async fn online(&self) -> Option<BTreeMap<String, u32>> {
        let url = format!("{}/online", self.node.stats_url());
        let asked = self.http.get(url).header(header::AUTHORIZATION, &self.stats_secret);
        asked.send().await.ok()?.json().await.ok()
    }

    async fn kick(&self, names: &[String]) -> bool {
        let url = format!("{}/kick", self.node.stats_url());
        let kick = self.http.post(url).header(header::AUTHORIZATION, &self.stats_secret);
        let sent = kick.json(names).send().await;
        sent.is_ok_and(|answer| answer.status().is_success())
    }

    /// Takes the server's counters over, which are zero after that.
    async fn collect(&self) -> bool {
        let url = format!("{}/traffic?clear=1", self.node.stats_url());
        let asked = self.http.get(url).header(header::AUTHORIZATION, &self.stats_secret);
        let Ok(answer) = asked.send().await else {
            return false;
        };
        let Ok(moved) = answer.json::<HashMap<String, HashMap<String, u64>>>().await else {
            return false;
        };
        let Some(online) = self.online().await else {
            return false;
        };
        let of = |it: &HashMap<String, u64>, key: &str| it.get(key).copied().unwrap_or(0);
        let moved = moved
            .iter()
            .map(|(id, it)| (id.clone(), (of(it, "tx"), of(it, "rx"))))
            .collect();
        lock(&self.panel).collect(&moved, &online);
        true
    }
}

/// What a path and a method ask for.
fn route(origin: &str, method: &Method, path: &str) -> Result<(Op, String), Box<Response>> {
    let path = path
        .strip_prefix("/rootpath")
        .map_or_else(|| path.to_owned(), ToOwned::to_owned);
    let not_found = || Box::new((StatusCode::NOT_FOUND, Json(json!({ "detail": "Not Found" }))).into_response());
    let wrong = || {
        let detail = Json(json!({ "detail": "Method Not Allowed" }));
        Box::new((StatusCode::METHOD_NOT_ALLOWED, detail).into_response())
    };
    let moved = |to: &str| {
        let to = format!("{origin}{ROOT}{to}");
        Box::new((StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, to)]).into_response())
    };
    let rest = path.strip_prefix("/api/v1/users").ok_or_else(not_found)?;
    let (op, name) = match (method.as_str(), rest) {
        (_, "") => return Err(moved("/")),
        ("GET", "/") => (Op::List, ""),
        ("POST", "/") => (Op::Add, ""),
        ("POST", "/bulk/") => (Op::BulkAdd, ""),
        ("POST", "/bulk-delete") => (Op::BulkDelete, ""),
        ("POST", "/uri/bulk") => (Op::UriBulk, ""),
        (method, rest) => {
            let rest = rest.strip_prefix('/').ok_or_else(not_found)?;
            match (method, rest.split_once('/')) {
                (_, Some((name, ""))) => return Err(moved(&format!("/{name}"))),
                ("GET", Some((name, "uri"))) => (Op::Uri, name),
                ("GET", Some((name, "reset"))) => (Op::Reset, name),
                (_, Some(_)) => return Err(not_found()),
                ("GET", None) => (Op::Get, rest),
                ("PATCH", None) => (Op::Patch, rest),
                ("DELETE", None) => (Op::Delete, rest),
                (_, None) => return Err(wrong()),
            }
        }
    };
    let name = percent_encoding::percent_decode_str(name)
        .decode_utf8_lossy()
        .into_owned();
    Ok((op, name))
}

async fn handle(State(shared): State<Arc<Shared>>, ConnectInfo(peer): ConnectInfo<Peer>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let Ok(body) = to_bytes(body, usize::MAX).await else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    if head.uri.path() == "/auth" {
        return auth(&shared, &body).await;
    }
    let (op, name) = match route(&shared.origin, &head.method, head.uri.path()) {
        Ok(asked) => asked,
        Err(answer) => return *answer,
    };
    match head.headers.get(header::AUTHORIZATION).map(|it| it.to_str()) {
        None => return json_of(detail(StatusCode::UNAUTHORIZED, "Unauthorized.")),
        Some(Ok(token)) if token == shared.token => {}
        Some(_) => return json_of(detail(StatusCode::UNAUTHORIZED, "Invalid API token.")),
    }
    let body: Value = match serde_json::from_slice(&body) {
        Ok(body) => body,
        Err(_) if body.is_empty() => Value::Null,
        Err(_) => {
            let wrong = json!({ "detail": [{ "type": "json_invalid", "loc": ["body", 12], "msg": "JSON decode error", "input": {} }] });
            return json_of((StatusCode::UNPROCESSABLE_ENTITY, wrong));
        }
    };
    // A client that goes away does not end what the process is at.
    let working = tokio::spawn(work(shared.clone(), op, name, body));
    match working.await {
        Ok(Outcome::Answer(answer)) => json_of(answer),
        Ok(Outcome::Slow(answer, delay)) => slow(answer, delay),
        Ok(Outcome::Half(answer)) => half(answer, peer),
        Ok(Outcome::Hang) => {
            let _hanging = Hanging::begin(&shared);
            std::future::pending().await
        }
        Ok(Outcome::Broken) | Err(_) => {
            peer.cut();
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// Counts a call for as long as it hangs.
struct Hanging(Arc<Shared>);

impl Hanging {
    fn begin(shared: &Arc<Shared>) -> Self {
        lock(&shared.behaviour).hanging += 1;
        Self(shared.clone())
    }
}

impl Drop for Hanging {
    fn drop(&mut self) {
        lock(&self.0.behaviour).hanging -= 1;
    }
}

enum Outcome {
    Answer(Answer),
    Slow(Answer, Duration),
    Half(Answer),
    Broken,
    Hang,
}

async fn work(shared: Arc<Shared>, op: Op, name: String, body: Value) -> Outcome {
    let _turn = shared.turn.lock().await;
    let (fault, took, gap) = {
        let mut behaviour = lock(&shared.behaviour);
        let number = behaviour.calls.len();
        let named = body["username"].as_str().filter(|_| op == Op::Add);
        behaviour.calls.push(PanelCall {
            op,
            name: named.unwrap_or(&name).to_owned(),
            body: body.clone(),
            at: Instant::now(),
        });
        let queued = behaviour.next.get_mut(&op).and_then(VecDeque::pop_front);
        let stumbled = match behaviour.stumbles.get_mut(named.unwrap_or(&name)) {
            Some((status, times)) if *times > 0 => {
                *times -= 1;
                Some(Fault::Status(*status))
            }
            _ => None,
        };
        let fault = behaviour.at.remove(&number).or(queued).or(stumbled);
        let took = if behaviour.database_down {
            op.without_database()
        } else {
            op.measured()
        };
        (fault, took.mul_f64(behaviour.pace), behaviour.gap)
    };
    match fault {
        Some(Fault::Dropped) => return Outcome::Broken,
        Some(Fault::Hang) => return Outcome::Hang,
        Some(Fault::Status(code)) => {
            let code = StatusCode::from_u16(code).unwrap();
            return Outcome::Answer(detail(code, format!("An unexpected error occurred: {body}")));
        }
        _ => {}
    }
    if lock(&shared.behaviour).database_down {
        tokio::time::sleep(took).await;
        return Outcome::Answer(panel::database_down(op.word(), &name, &body));
    }
    tokio::time::sleep(took.mul_f64(1.0 - gap)).await;
    let Some(answer) = perform(&shared, op, &name, &body, fault, took.mul_f64(gap)).await else {
        return Outcome::Broken;
    };
    match fault {
        Some(Fault::AnswerLost) => Outcome::Broken,
        Some(Fault::Truncated) => Outcome::Half(answer),
        Some(Fault::SlowBody(delay)) => Outcome::Slow(answer, delay),
        _ => Outcome::Answer(answer),
    }
}

/// Does what is asked. `None`: the process is killed on the way.
async fn perform(
    shared: &Shared,
    op: Op,
    name: &str,
    body: &Value,
    fault: Option<Fault>,
    gap: Duration,
) -> Option<Answer> {
    let online = match op {
        Op::List => shared.online().await.unwrap_or_default(),
        _ => BTreeMap::new(),
    };
    let step = {
        let mut panel = lock(&shared.panel);
        match op {
            Op::List => Step::Answer(panel.list(&online)),
            Op::Get => Step::Answer(panel.get(name)),
            Op::Uri => Step::Answer(panel.uri(name)),
            Op::UriBulk => Step::Answer(panel.uri_bulk(body)),
            Op::Add => panel.add(body),
            Op::Patch => panel.patch(name, body),
            Op::Delete => panel.delete(name),
            Op::Reset => panel.reset(name),
            Op::BulkAdd => Panel::bulk_add(body),
            Op::BulkDelete => panel.bulk_delete(body),
        }
    };
    if op == Op::Add && matches!(&step, Step::Answer((StatusCode::CONFLICT, _))) {
        lock(&shared.behaviour).conflicts += 1;
    }
    let (kick, write, answer) = match step {
        Step::Answer(answer) => return Some(answer),
        Step::Write { kick, write, answer } => (kick, write, answer),
    };
    if fault == Some(Fault::DoesNothing) {
        return Some(answer);
    }
    if let Some(first) = kick.first()
        && !(shared.kick(&kick).await && shared.collect().await)
    {
        return Some(panel::kick_failed(first));
    }
    tokio::time::sleep(gap).await;
    if fault == Some(Fault::HalfDone) {
        return None;
    }
    lock(&shared.panel).apply(&write);
    Some(answer)
}

/// The panel's auth service: a process of its own, which answers the name it was asked with.
async fn auth(shared: &Shared, body: &[u8]) -> Response {
    shared.asked.fetch_add(1, Ordering::SeqCst);
    if *lock(&shared.auth_down) {
        return std::future::pending().await;
    }
    let asked: Value = serde_json::from_slice(body).unwrap_or_default();
    let credential = asked["auth"].as_str().unwrap_or_default();
    let let_in = lock(&shared.panel).lets_in(credential);
    if !let_in {
        let penalty = *lock(&shared.penalty);
        tokio::time::sleep(penalty).await;
        return Json(json!({ "ok": false, "id": "" })).into_response();
    }
    let delay = *lock(&shared.auth_delay);
    tokio::time::sleep(delay).await;
    Json(json!({ "ok": true, "id": name_of(credential) })).into_response()
}

fn json_of((status, body): Answer) -> Response {
    (status, Json(body)).into_response()
}

/// The head at once, the body in two halves with a pause between them.
fn slow((status, body): Answer, delay: Duration) -> Response {
    let text = body.to_string();
    let mut first = Bytes::from(text);
    let second = first.split_off(first.len() / 2);
    let chunks = futures::stream::unfold(Some((false, first, second)), move |state| async move {
        let (begun, first, second) = state?;
        if !begun {
            return Some((Ok::<_, std::io::Error>(first), Some((true, Bytes::new(), second))));
        }
        tokio::time::sleep(delay).await;
        Some((Ok(second), None))
    });
    (
        status,
        [(header::CONTENT_TYPE, "application/json")],
        Body::from_stream(chunks),
    )
        .into_response()
}

/// Half of the body, then a broken connection.
fn half((status, body): Answer, peer: Peer) -> Response {
    let mut first = Bytes::from(body.to_string());
    let length = first.len().to_string();
    first.truncate(first.len() / 2);
    let chunks = futures::stream::unfold(Some(first), move |state| {
        let peer = peer.clone();
        async move {
            if let Some(first) = state {
                return Some((Ok::<_, std::io::Error>(first), None));
            }
            // What was written is sent before the connection ends.
            tokio::task::yield_now().await;
            peer.cut();
            std::future::pending().await
        }
    });
    let headers = [
        (header::CONTENT_TYPE, "application/json".to_owned()),
        (header::CONTENT_LENGTH, length),
    ];
    (status, headers, Body::from_stream(chunks)).into_response()
}
