//! The double behaves as the contract says a node does.

use std::{sync::Arc, time::Duration};

use axum::{Json, Router, routing::post};
use serde_json::{Value, json};

use super::house::{SECRET, config, eventually};
use crate::support::hysteria_node::{Auth, HysteriaNode, Login, Refused};
use vpn_operator::{fence::Fence, gateway::hysteria::client::StatsClient};

async fn node() -> Arc<HysteriaNode> {
    HysteriaNode::start(SECRET, Duration::from_millis(100)).await
}

fn client(node: &HysteriaNode) -> StatsClient {
    StatsClient::new(config("x", node).stats.as_ref().unwrap(), Fence::always_open()).unwrap()
}

#[tokio::test]
async fn an_entry_of_the_kick_set_closes_one_connection_at_its_first_byte() {
    let node = node().await;
    let client = client(&node);
    let mut devices = [(); 3].map(|()| node.register("corp_a".to_owned(), "192.0.2.1:1"));
    client.kick(&["corp_a".to_owned()]).await.unwrap();
    devices[0].keep_alive().unwrap();
    assert_eq!(client.online().await.unwrap()["corp_a"], 3);
    assert!(devices[0].send(1, 1).is_err());
    assert!(devices[1].send(1, 1).is_ok(), "the entry was consumed");
    assert_eq!(client.online().await.unwrap()["corp_a"], 2);
    // An entry for somebody who is offline breaks the next good connection.
    client.kick(&["corp_b".to_owned()]).await.unwrap();
    assert!(node.register("corp_b".to_owned(), "192.0.2.1:1").send(1, 1).is_err());
}

#[tokio::test]
async fn who_said_goodbye_is_gone_and_who_did_not_stays_for_the_idle_timeout() {
    let node = node().await;
    node.register("a".to_owned(), "192.0.2.1:1").close();
    assert!(node.online().is_empty());
    node.register("b".to_owned(), "192.0.2.1:1").vanish();
    assert_eq!(node.online()["b"], 1);
    eventually(|| node.online().is_empty().then_some(())).await;
}

#[tokio::test]
async fn traffic_has_only_who_moved_and_clear_zeroes() {
    let node = node().await;
    let client = client(&node);
    let _silent = node.register("a".to_owned(), "192.0.2.1:1");
    node.register("b".to_owned(), "192.0.2.1:1").send(3, 40).unwrap();
    assert_eq!(client.traffic().await.unwrap(), [("b".to_owned(), (3, 40))].into());
    let http = reqwest::Client::new();
    let get = |path: &str| {
        http.get(format!("{}{path}", node.stats_url()))
            .header("Authorization", SECRET)
            .send()
    };
    let cleared: Value = get("/traffic?clear=1").await.unwrap().json().await.unwrap();
    assert_eq!(cleared, json!({ "b": { "tx": 3, "rx": 40 } }));
    assert!(client.traffic().await.unwrap().is_empty());
    let streams: Value = get("/dump/streams").await.unwrap().json().await.unwrap();
    assert_eq!(streams["streams"].as_array().unwrap().len(), 2);
    let refused = http
        .get(format!("{}/online", node.stats_url()))
        .bearer_auth(SECRET)
        .send();
    assert_eq!(refused.await.unwrap().status(), 401, "the secret has no scheme");
}

#[tokio::test]
async fn a_login_is_really_posted_to_the_auth_endpoint() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/auth/token", listener.local_addr().unwrap());
    let answer = |Json(body): Json<Value>| async move {
        let known = body == json!({ "addr": "192.0.2.1:1", "auth": "corp_a:pw", "tx": 0 });
        Json(json!({ "ok": known, "id": "corp_a.0.0" }))
    };
    let router = Router::new().route("/auth/token", post(answer));
    let server = tokio::spawn(async move { axum::serve(listener, router).await });
    let node = node().await;
    let session = node
        .connect(Auth::Url(&url), "corp_a:pw", "192.0.2.1:1")
        .await
        .ok()
        .unwrap();
    assert_eq!(session.id, "corp_a.0.0");
    assert_eq!(
        node.connect(Auth::Url(&url), "corp_a:no", "192.0.2.1:1").await.err(),
        Some(Refused)
    );
    let asked = |login: &Login<'_>| (login.addr == "192.0.2.7:1").then(|| "corp_b.0.0".to_owned());
    assert_eq!(
        node.connect(Auth::Answer(&asked), "x", "192.0.2.1:1").await.err(),
        Some(Refused)
    );
    assert!(node.connect(Auth::Answer(&asked), "x", "192.0.2.7:1").await.is_ok());
    server.abort();
}
