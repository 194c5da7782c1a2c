//! The statistics API of a node, as the server has it: `/online`, `/traffic`, `/kick` and `/dump/streams`.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use axum::{
    Json, Router,
    extract::{Query, Request, State},
    http::{HeaderValue, StatusCode, header::AUTHORIZATION},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use super::node::Node;

/// A node that its statistics API and its devices share.
#[derive(Debug, Clone, Default)]
pub struct SharedNode(Arc<Mutex<Node>>);

impl SharedNode {
    /// The node, for as long as what is answered is kept.
    pub fn lock(&self) -> MutexGuard<'_, Node> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The statistics API of a node. Who asks shows `secret` in `Authorization`, without a scheme; nobody has to when it is empty.
pub fn router(node: SharedNode, secret: SecretString) -> Router {
    Router::new()
        .route("/online", get(online))
        .route("/traffic", get(traffic))
        .route("/kick", post(kick))
        .route("/dump/streams", get(streams))
        .layer(middleware::from_fn_with_state(secret, authorize))
        .with_state(node)
}

async fn authorize(State(secret): State<SecretString>, request: Request, next: Next) -> Response {
    let presented = request.headers().get(AUTHORIZATION).map(HeaderValue::as_bytes);
    let secret = secret.expose_secret();
    if !secret.is_empty() && presented != Some(secret.as_bytes()) {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    next.run(request).await
}

async fn online(State(node): State<SharedNode>) -> Json<BTreeMap<String, u32>> {
    Json(node.lock().online(Instant::now()))
}

async fn traffic(State(node): State<SharedNode>, Query(query): Query<HashMap<String, String>>) -> Json<Value> {
    let mut node = node.lock();
    let counters: HashMap<&String, Value> = node
        .traffic()
        .iter()
        .map(|(id, counter)| (id, json!({ "tx": counter.tx, "rx": counter.rx })))
        .collect();
    let answer = json!(counters);
    if matches!(query.get("clear").map(String::as_str), Some("1" | "true")) {
        node.clear_traffic();
    }
    Json(answer)
}

async fn kick(State(node): State<SharedNode>, Json(ids): Json<Vec<String>>) -> StatusCode {
    node.lock().kick(ids);
    StatusCode::OK
}

async fn streams(State(node): State<SharedNode>) -> Json<Value> {
    let mut node = node.lock();
    let streams: Vec<Value> = node
        .connections(Instant::now())
        .map(|(number, connection)| {
            json!({
                "state": "estab", "auth": connection.id, "connection": number, "stream": 0,
                "req_addr": connection.addr, "tx": connection.moved.tx, "rx": connection.moved.rx,
            })
        })
        .collect();
    Json(json!({ "streams": streams }))
}
