//! Stops a process between any two of its steps: what passes the gate may be stopped at, until the process is killed.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, Method, StatusCode, Uri},
    response::{IntoResponse as _, Response},
};

/// What passes, and the how-manieth of its kind since the gate was armed.
type Step = (String, usize);

#[derive(Default)]
struct Steps {
    armed: bool,
    /// What passed since the gate was armed, by kind.
    passed: HashMap<String, usize>,
    /// At what somebody was stopped before.
    known: HashSet<Step>,
    stopped: Option<String>,
}

#[derive(Default)]
struct Inner {
    steps: Mutex<Steps>,
    /// Requests that the server behind has not answered.
    open: AtomicUsize,
}

#[derive(Clone, Default)]
pub struct Gate(Arc<Inner>);

impl Gate {
    /// Stops whoever comes to a step at which nobody was stopped before, and lets everybody else pass. Steps that a process does
    /// side by side may come in any order: each is stopped at once.
    pub fn arm(&self) {
        let mut steps = self.0.steps.lock().unwrap();
        steps.armed = true;
        steps.passed.clear();
        steps.stopped = None;
    }

    /// Lets everybody pass.
    pub fn disarm(&self) {
        let mut steps = self.0.steps.lock().unwrap();
        steps.armed = false;
        steps.stopped = None;
    }

    /// What was stopped since [`Self::arm`].
    pub fn stopped(&self) -> Option<String> {
        self.0.steps.lock().unwrap().stopped.clone()
    }

    fn stops(&self, what: &str) -> bool {
        let mut steps = self.0.steps.lock().unwrap();
        if !steps.armed {
            return false;
        }
        // Everybody is stopped at the same steps, whatever their number.
        let kind: String = what.chars().filter(|c| !c.is_ascii_digit()).collect();
        let passed = steps.passed.entry(kind.clone()).or_default();
        *passed += 1;
        let step = (kind, *passed);
        let new = steps.known.insert(step);
        if new {
            steps.armed = false;
            steps.stopped = Some(what.to_owned());
        }
        new
    }

    /// Ends when it may pass; never for the one that is stopped.
    pub async fn pass(&self, what: &str) {
        if self.stops(what) {
            std::future::pending::<()>().await;
        }
    }

    /// Whether the server behind has answered whatever reached it. Who asked may be dead by then; the server goes on all the same.
    pub fn is_idle(&self) -> bool {
        self.0.open.load(Ordering::SeqCst) == 0
    }

    /// A way to an HTTP server on which every request and every answer passes the gate, but for those that only wait for news.
    /// Answers its URL.
    pub async fn before(&self, url: String) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let way = Way {
            gate: self.clone(),
            url,
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
        };
        let router = Router::new().fallback(carry).with_state(way);
        tokio::spawn(async move { axum::serve(listener, router).await });
        format!("http://{address}")
    }
}

#[derive(Clone)]
struct Way {
    gate: Gate,
    url: String,
    http: reqwest::Client,
}

async fn carry(State(way): State<Way>, method: Method, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let what = format!("{method} {}", uri.path());
    let counts = what != "GET /telegram/notices";
    if counts {
        way.gate.pass(&what).await;
    }
    let mut headers = headers;
    headers.remove("host");
    let request = way
        .http
        .request(method, format!("{}{uri}", way.url))
        .headers(headers)
        .body(body);
    let gate = way.gate.clone();
    // Who waits for news may wait long.
    let counted = usize::from(counts);
    gate.0.open.fetch_add(counted, Ordering::SeqCst);
    // A task of its own: what was asked stays asked when who asked is killed, and the end of it can be waited for.
    let asked = tokio::spawn(async move {
        let answered = async {
            let answer = request.send().await.ok()?;
            let (status, headers) = (answer.status(), answer.headers().clone());
            Some((status, headers, answer.bytes().await.unwrap_or_default()))
        };
        let answered = answered.await;
        gate.0.open.fetch_sub(counted, Ordering::SeqCst);
        answered
    });
    let Ok(Some((status, mut headers, body))) = asked.await else {
        return StatusCode::BAD_GATEWAY.into_response();
    };
    headers.remove("transfer-encoding");
    headers.remove("content-length");
    if counts {
        way.gate.pass(&what).await;
    }
    (status, headers, body).into_response()
}
