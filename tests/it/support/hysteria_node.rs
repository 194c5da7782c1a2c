//! An in-process double of a Hysteria2 node: the statistics API as the server has it, the kick set included, HTTP auth,
//! and sessions that move bytes when told to.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::{Duration, Instant},
};

use axum::{
    Json, Router,
    extract::{Query, Request, State},
    http::{StatusCode, header::AUTHORIZATION},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};

/// How the statistics API behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// As it should.
    #[default]
    Normal,
    /// It takes the request and never answers.
    Hang,
    /// It answers 500.
    Error,
    /// It answers 200 and no JSON.
    Garbage,
    /// It answers after so long.
    Slow(Duration),
    /// Counters are half of what they were.
    Backwards,
    /// A kick is acknowledged and does nothing.
    Ignored,
}

/// One call of the statistics API.
#[derive(Debug, Clone)]
pub struct ApiCall {
    /// `/online`, `/traffic`, `/kick`, `/dump/streams`.
    pub path: String,
    /// Ids of a kick.
    pub ids: Vec<String>,
    /// Query of the request.
    pub query: String,
    /// When it came.
    pub at: Instant,
}

/// What a client sends to HTTP auth, as the server passes it on.
#[derive(Debug, Clone)]
pub struct Login<'a> {
    /// `ip:port` of the client.
    pub addr: &'a str,
    /// What the client sent.
    pub auth: &'a str,
}

/// Who is asked about a login.
pub enum Auth<'a> {
    /// An HTTP auth endpoint.
    Url(&'a str),
    /// A function that answers the id, or `None` for a refusal.
    Answer(&'a (dyn Fn(&Login<'_>) -> Option<String> + Sync)),
}

/// Auth said no.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused;

/// The connection is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Closed;

#[derive(Debug, Clone)]
struct Connection {
    id: String,
    addr: String,
    /// The client is gone without a goodbye; the connection ends by itself then.
    ends: Option<Instant>,
    tx: u64,
    rx: u64,
}

#[derive(Default)]
struct Inner {
    next: u64,
    connections: BTreeMap<u64, Connection>,
    traffic: HashMap<String, (u64, u64)>,
    kick_set: BTreeSet<String>,
    modes: HashMap<String, Mode>,
    calls: Vec<ApiCall>,
    under_way: HashMap<String, usize>,
    most_under_way: HashMap<String, usize>,
}

impl Inner {
    fn expire(&mut self) {
        let now = Instant::now();
        self.connections
            .retain(|_, connection| connection.ends.is_none_or(|ends| ends > now));
    }

    fn online(&mut self) -> BTreeMap<String, u32> {
        self.expire();
        let mut online = BTreeMap::new();
        for connection in self.connections.values() {
            *online.entry(connection.id.clone()).or_default() += 1;
        }
        online
    }
}

/// A node. Dropping it ends the statistics API.
pub struct HysteriaNode {
    addr: SocketAddr,
    secret: String,
    idle_timeout: Duration,
    registration_delay: Mutex<Duration>,
    inner: Arc<Mutex<Inner>>,
    server: Mutex<Option<(watch::Sender<bool>, JoinHandle<()>)>>,
    /// Made when it is first needed: it reads the machine's certificates.
    http: OnceLock<reqwest::Client>,
}

#[derive(Clone)]
struct Api {
    secret: String,
    inner: Arc<Mutex<Inner>>,
    /// Turns true when the API goes down: calls that hang are dropped.
    down: watch::Receiver<bool>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl HysteriaNode {
    /// Starts a node on a free port. Connections that end without a goodbye stay online for `idle_timeout` (30 s in a
    /// real server).
    pub async fn start(secret: &str, idle_timeout: Duration) -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let node = Arc::new(Self {
            addr: listener.local_addr().unwrap(),
            secret: secret.to_owned(),
            idle_timeout,
            registration_delay: Mutex::default(),
            inner: Arc::default(),
            server: Mutex::default(),
            http: OnceLock::new(),
        });
        node.serve(listener);
        node
    }

    fn serve(&self, listener: TcpListener) {
        let (stop, down) = watch::channel(false);
        let api = Api {
            secret: self.secret.clone(),
            inner: self.inner.clone(),
            down: down.clone(),
        };
        let router = Router::new()
            .route("/online", get(online))
            .route("/traffic", get(traffic))
            .route("/kick", post(kick))
            .route("/dump/streams", get(streams))
            .layer(middleware::from_fn_with_state(api.clone(), behave))
            .with_state(api);
        let stopped = async move {
            let mut down = down;
            let _ = down.wait_for(|down| *down).await;
        };
        let task = tokio::spawn(async move {
            axum::serve(listener, router)
                .with_graceful_shutdown(stopped)
                .await
                .unwrap();
        });
        *lock(&self.server) = Some((stop, task));
    }

    /// Base URL of the statistics API.
    pub fn stats_url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// The statistics API refuses connections from now on; sessions live on.
    pub async fn take_down(&self) {
        let server = lock(&self.server).take();
        if let Some((stop, task)) = server {
            stop.send_replace(true);
            task.await.unwrap();
        }
    }

    /// The statistics API is back on its address.
    pub async fn bring_up(&self) {
        self.serve(TcpListener::bind(self.addr).await.unwrap());
    }

    /// The server is restarted: connections, counters and kick set are gone.
    pub fn restart(&self) {
        let mut inner = lock(&self.inner);
        inner.connections.clear();
        inner.traffic.clear();
        inner.kick_set.clear();
    }

    /// How one path of the API behaves from now on.
    pub fn set_mode(&self, path: &str, mode: Mode) {
        lock(&self.inner).modes.insert(path.to_owned(), mode);
    }

    /// Time between the answer of auth and the registration of the session.
    pub fn set_registration_delay(&self, delay: Duration) {
        *lock(&self.registration_delay) = delay;
    }

    /// Every call of the API so far.
    pub fn calls(&self) -> Vec<ApiCall> {
        lock(&self.inner).calls.clone()
    }

    /// Every id that was ever kicked, once for each call.
    pub fn kicked(&self) -> Vec<String> {
        self.calls().into_iter().flat_map(|call| call.ids).collect()
    }

    /// The most calls of a path that were ever under way at once.
    pub fn most_under_way(&self, path: &str) -> usize {
        lock(&self.inner).most_under_way.get(path).copied().unwrap_or(0)
    }

    /// Connections by id.
    pub fn online(&self) -> BTreeMap<String, u32> {
        lock(&self.inner).online()
    }

    /// A client connects: auth is asked, and the session registered when it says yes.
    pub async fn connect(self: &Arc<Self>, auth: Auth<'_>, credential: &str, addr: &str) -> Result<Session, Refused> {
        let id = match auth {
            Auth::Answer(answer) => answer(&Login { addr, auth: credential }),
            Auth::Url(url) => self.ask(url, credential, addr).await,
        };
        let id = id.ok_or(Refused)?;
        let delay = *lock(&self.registration_delay);
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        Ok(self.register(id, addr))
    }

    /// A session is there, whoever let it in.
    pub fn register(self: &Arc<Self>, id: String, addr: &str) -> Session {
        let mut inner = lock(&self.inner);
        inner.next += 1;
        let key = inner.next;
        let connection = Connection {
            id: id.clone(),
            addr: addr.to_owned(),
            ends: None,
            tx: 0,
            rx: 0,
        };
        inner.connections.insert(key, connection);
        drop(inner);
        Session {
            node: self.clone(),
            key,
            id,
            last_moved: None,
        }
    }

    async fn ask(&self, url: &str, credential: &str, addr: &str) -> Option<String> {
        let request = json!({ "addr": addr, "auth": credential, "tx": 0 });
        let answer = self
            .http
            .get_or_init(|| reqwest::Client::builder().no_proxy().build().unwrap())
            .post(url)
            .timeout(Duration::from_secs(10))
            .json(&request)
            .send()
            .await
            .ok()?;
        if answer.status() != StatusCode::OK {
            return None;
        }
        let answer: Value = answer.json().await.ok()?;
        (answer["ok"] == Value::Bool(true)).then(|| answer["id"].as_str().unwrap_or_default().to_owned())
    }
}

impl Drop for HysteriaNode {
    fn drop(&mut self) {
        if let Some((stop, task)) = lock(&self.server).take() {
            stop.send_replace(true);
            task.abort();
        }
    }
}

/// A client's connection. Dropping it leaves it open and silent.
pub struct Session {
    node: Arc<HysteriaNode>,
    key: u64,
    /// Id that auth chose.
    pub id: String,
    /// When a byte last passed.
    pub last_moved: Option<Timestamp>,
}

impl Session {
    /// Moves bytes up and down. The first after a kick closes the connection instead.
    pub fn send(&mut self, up: u64, down: u64) -> Result<(), Closed> {
        let mut inner = lock(&self.node.inner);
        inner.expire();
        if !inner.connections.contains_key(&self.key) {
            return Err(Closed);
        }
        if up + down == 0 {
            return Ok(());
        }
        if inner.kick_set.remove(&self.id) {
            inner.connections.remove(&self.key);
            return Err(Closed);
        }
        if let Some(connection) = inner.connections.get_mut(&self.key) {
            connection.tx += up;
            connection.rx += down;
        }
        let counter = inner.traffic.entry(self.id.clone()).or_default();
        counter.0 += up;
        counter.1 += down;
        self.last_moved = Some(Timestamp::now());
        Ok(())
    }

    /// A keepalive: moves nothing and takes no entry out of the kick set.
    pub fn keep_alive(&mut self) -> Result<(), Closed> {
        self.send(0, 0)
    }

    /// Says goodbye.
    pub fn close(self) {
        lock(&self.node.inner).connections.remove(&self.key);
    }

    /// Is gone without a goodbye: it stays online for the idle timeout.
    pub fn vanish(self) {
        let ends = Some(Instant::now() + self.node.idle_timeout);
        if let Some(connection) = lock(&self.node.inner).connections.get_mut(&self.key) {
            connection.ends = ends;
        }
    }
}

/// Counts a call for as long as it is under way.
struct UnderWay(Arc<Mutex<Inner>>, String);

impl Drop for UnderWay {
    fn drop(&mut self) {
        *lock(&self.0).under_way.entry(self.1.clone()).or_default() -= 1;
    }
}

async fn behave(State(mut api): State<Api>, request: Request, next: Next) -> Response {
    let path = request.uri().path().to_owned();
    let presented = request
        .headers()
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok());
    if !api.secret.is_empty() && presented != Some(api.secret.as_str()) {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let (mode, _guard) = {
        let mut inner = lock(&api.inner);
        inner.calls.push(ApiCall {
            path: path.clone(),
            ids: Vec::new(),
            query: request.uri().query().unwrap_or_default().to_owned(),
            at: Instant::now(),
        });
        let under_way = inner.under_way.entry(path.clone()).or_default();
        *under_way += 1;
        let under_way = *under_way;
        let most = inner.most_under_way.entry(path.clone()).or_default();
        *most = under_way.max(*most);
        let mode = inner.modes.get(&path).copied().unwrap_or_default();
        (mode, UnderWay(api.inner.clone(), path))
    };
    match mode {
        Mode::Normal | Mode::Backwards | Mode::Ignored => {}
        Mode::Hang => {
            let _ = api.down.wait_for(|down| *down).await;
            return StatusCode::SERVICE_UNAVAILABLE.into_response();
        }
        Mode::Error => return StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        Mode::Garbage => return "<html>not what you think</html>".into_response(),
        Mode::Slow(delay) => tokio::time::sleep(delay).await,
    }
    next.run(request).await
}

async fn online(State(api): State<Api>) -> Json<BTreeMap<String, u32>> {
    Json(lock(&api.inner).online())
}

async fn traffic(State(api): State<Api>, Query(query): Query<HashMap<String, String>>) -> Json<Value> {
    let mut inner = lock(&api.inner);
    let divisor = match inner.modes.get("/traffic") {
        Some(Mode::Backwards) => 2,
        _ => 1,
    };
    let counters: HashMap<&String, Value> = inner
        .traffic
        .iter()
        .map(|(id, (tx, rx))| (id, json!({ "tx": tx / divisor, "rx": rx / divisor })))
        .collect();
    let answer = json!(counters);
    if matches!(query.get("clear").map(String::as_str), Some("1" | "true")) {
        inner.traffic.clear();
    }
    Json(answer)
}

async fn kick(State(api): State<Api>, Json(ids): Json<Vec<String>>) -> StatusCode {
    let mut inner = lock(&api.inner);
    if inner.modes.get("/kick") != Some(&Mode::Ignored) {
        inner.kick_set.extend(ids.iter().cloned());
    }
    if let Some(call) = inner
        .calls
        .iter_mut()
        .rev()
        .find(|call| call.path == "/kick" && call.ids.is_empty())
    {
        call.ids = ids;
    }
    StatusCode::OK
}

async fn streams(State(api): State<Api>) -> Json<Value> {
    let mut inner = lock(&api.inner);
    inner.expire();
    let streams: Vec<Value> = inner
        .connections
        .iter()
        .map(|(key, connection)| {
            json!({
                "state": "estab", "auth": connection.id, "connection": key, "stream": 0,
                "req_addr": connection.addr, "tx": connection.tx, "rx": connection.rx,
            })
        })
        .collect();
    Json(json!({ "streams": streams }))
}
