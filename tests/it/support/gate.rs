//! Stops a process between any two of its steps: what passes the gate may be stopped at, until the process is killed.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, Method, StatusCode, Uri},
    response::{IntoResponse as _, Response},
};

#[derive(Default)]
struct Inner {
    passed: AtomicUsize,
    /// At which passing it stops, from 1 on; 0 for none.
    stop_at: AtomicUsize,
    /// How what passes must end to be counted.
    counted: Mutex<String>,
    stopped: Mutex<Option<String>>,
}

#[derive(Clone, Default)]
pub struct Gate(Arc<Inner>);

impl Gate {
    /// Stops whoever passes as the `number`th from now on, and lets everybody else pass; nobody is stopped for 0.
    pub fn stop_at(&self, number: usize) {
        self.stop_at_this("", number);
    }

    /// As [`Self::stop_at`], where only those are counted whose name ends like this.
    pub fn stop_at_this(&self, what: &str, number: usize) {
        self.0.stop_at.store(0, Ordering::SeqCst);
        what.clone_into(&mut self.0.counted.lock().unwrap());
        self.0.passed.store(0, Ordering::SeqCst);
        *self.0.stopped.lock().unwrap() = None;
        self.0.stop_at.store(number, Ordering::SeqCst);
    }

    /// What was stopped since [`Self::stop_at`].
    pub fn stopped(&self) -> Option<String> {
        self.0.stopped.lock().unwrap().clone()
    }

    /// Ends when it may pass; never for the one that is stopped.
    pub async fn pass(&self, what: &str) {
        if !what.ends_with(self.0.counted.lock().unwrap().as_str()) {
            return;
        }
        let number = self.0.passed.fetch_add(1, Ordering::SeqCst) + 1;
        if number == self.0.stop_at.load(Ordering::SeqCst) {
            *self.0.stopped.lock().unwrap() = Some(what.to_owned());
            std::future::pending::<()>().await;
        }
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
    let Ok(answer) = request.send().await else {
        return StatusCode::BAD_GATEWAY.into_response();
    };
    let (status, mut headers) = (answer.status(), answer.headers().clone());
    headers.remove("transfer-encoding");
    headers.remove("content-length");
    let body = answer.bytes().await.unwrap_or_default();
    if counts {
        way.gate.pass(&what).await;
    }
    (status, headers, body).into_response()
}
