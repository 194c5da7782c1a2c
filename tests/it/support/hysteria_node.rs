//! An in-process double of a Hysteria2 node: what [`vpn_operator::simulation`] knows of the contract (statistics API, kick set),
//! with HTTP auth, sessions that move bytes when told to, and the faults that tests need.

use std::{
    collections::{BTreeMap, HashMap},
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::{Duration, Instant},
};

use axum::{
    body::{Body, to_bytes},
    extract::{Request, State},
    http::StatusCode,
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};
pub use vpn_operator::simulation::node::Closed;
use vpn_operator::simulation::statistics::{SharedNode, router};

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
    /// It is acknowledged and does nothing: for a kick.
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

/// What the statistics API was asked, and how it is to behave.
#[derive(Default)]
struct Behaviour {
    modes: HashMap<String, Mode>,
    calls: Vec<ApiCall>,
    under_way: HashMap<String, usize>,
    most_under_way: HashMap<String, usize>,
}

/// A node. Dropping it ends the statistics API.
pub struct HysteriaNode {
    addr: SocketAddr,
    secret: String,
    idle_timeout: Duration,
    registration_delay: Mutex<Duration>,
    node: SharedNode,
    behaviour: Arc<Mutex<Behaviour>>,
    server: Mutex<Option<(watch::Sender<bool>, JoinHandle<()>)>>,
    /// Made when it is first needed: it reads the machine's certificates.
    http: OnceLock<reqwest::Client>,
}

#[derive(Clone)]
struct Api {
    behaviour: Arc<Mutex<Behaviour>>,
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
            node: SharedNode::default(),
            behaviour: Arc::default(),
            server: Mutex::default(),
            http: OnceLock::new(),
        });
        node.serve(listener);
        node
    }

    fn serve(&self, listener: TcpListener) {
        let (stop, down) = watch::channel(false);
        let api = Api {
            behaviour: self.behaviour.clone(),
            down: down.clone(),
        };
        let asked = middleware::from_fn_with_state(api, behave);
        let router = router(self.node.clone(), self.secret.clone().into()).layer(asked);
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
        self.node.lock().restart();
    }

    /// How one path of the API behaves from now on.
    pub fn set_mode(&self, path: &str, mode: Mode) {
        lock(&self.behaviour).modes.insert(path.to_owned(), mode);
    }

    /// Time between the answer of auth and the registration of the session.
    pub fn set_registration_delay(&self, delay: Duration) {
        *lock(&self.registration_delay) = delay;
    }

    /// Every call of the API so far.
    pub fn calls(&self) -> Vec<ApiCall> {
        lock(&self.behaviour).calls.clone()
    }

    /// Every id that was ever kicked, once for each call.
    pub fn kicked(&self) -> Vec<String> {
        self.calls().into_iter().flat_map(|call| call.ids).collect()
    }

    /// The most calls of a path that were ever under way at once.
    pub fn most_under_way(&self, path: &str) -> usize {
        lock(&self.behaviour).most_under_way.get(path).copied().unwrap_or(0)
    }

    /// Connections by id.
    pub fn online(&self) -> BTreeMap<String, u32> {
        self.node.lock().online(Instant::now())
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
        let key = self.node.lock().connect(id.clone(), addr);
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
        let mut node = self.node.node.lock();
        node.send(self.key, up, down, Instant::now())?;
        if up + down > 0 {
            // While the node is locked: a kick that comes now comes later.
            self.last_moved = Some(Timestamp::now());
        }
        Ok(())
    }

    /// A keepalive: moves nothing and takes no entry out of the kick set.
    pub fn keep_alive(&mut self) -> Result<(), Closed> {
        self.send(0, 0)
    }

    /// Says goodbye.
    pub fn close(self) {
        self.node.node.lock().close(self.key);
    }

    /// Is gone without a goodbye: it stays online for the idle timeout.
    pub fn vanish(self) {
        let until = Instant::now() + self.node.idle_timeout;
        self.node.node.lock().vanish(self.key, until);
    }
}

/// Counts a call for as long as it is under way.
struct UnderWay(Arc<Mutex<Behaviour>>, String);

impl Drop for UnderWay {
    fn drop(&mut self) {
        *lock(&self.0).under_way.entry(self.1.clone()).or_default() -= 1;
    }
}

async fn behave(State(mut api): State<Api>, request: Request, next: Next) -> Response {
    let path = request.uri().path().to_owned();
    let query = request.uri().query().unwrap_or_default().to_owned();
    let (head, body) = request.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap();
    let (mode, call, _guard) = {
        let mut behaviour = lock(&api.behaviour);
        let call = behaviour.calls.len();
        behaviour.calls.push(ApiCall {
            path: path.clone(),
            ids: Vec::new(),
            query,
            at: Instant::now(),
        });
        let under_way = behaviour.under_way.entry(path.clone()).or_default();
        *under_way += 1;
        let under_way = *under_way;
        let most = behaviour.most_under_way.entry(path.clone()).or_default();
        *most = under_way.max(*most);
        let mode = behaviour.modes.get(&path).copied().unwrap_or_default();
        (mode, call, UnderWay(api.behaviour.clone(), path))
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
    let answer = match mode {
        Mode::Ignored => StatusCode::OK.into_response(),
        _ => next.run(Request::from_parts(head, Body::from(body.clone()))).await,
    };
    lock(&api.behaviour).calls[call].ids = serde_json::from_slice(&body).unwrap_or_default();
    if mode == Mode::Backwards {
        halved(answer).await
    } else {
        answer
    }
}

/// The same counters, half as high.
async fn halved(answer: Response) -> Response {
    let bytes = to_bytes(answer.into_body(), usize::MAX).await.unwrap();
    let mut counters: BTreeMap<String, BTreeMap<String, u64>> = serde_json::from_slice(&bytes).unwrap();
    for value in counters.values_mut().flat_map(BTreeMap::values_mut) {
        *value /= 2;
    }
    axum::Json(counters).into_response()
}
