//! Nodes that fail, join and leave.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use secrecy::ExposeSecret;
use vpn_operator::{
    clock::{Clock, SystemClock},
    fence::Fence,
    gateway::{Credentials, Gateway, NodeName, hysteria::client::StatsClient},
};

use super::house::{House, SECRET, config, eventually, without_statistics};
use crate::support::hysteria_node::{HysteriaNode, Mode};

async fn node(secret: &str) -> Arc<HysteriaNode> {
    HysteriaNode::start(secret, Duration::from_secs(30)).await
}

#[tokio::test]
async fn a_wrong_secret_is_named_as_such_and_not_shown() {
    let x = node("another-secret").await;
    let house = House::with(vec![config("x", &x)]);
    let error = eventually(|| house.gateway_error()).await;
    assert!(error.contains("trafficStats.secret"), "{error}");
    assert!(!error.contains(SECRET) && !error.contains("another-secret"));
    assert!(
        house
            .calls
            .lock()
            .unwrap()
            .contains(&("default/x".to_owned(), "online", "unauthorized"))
    );
    house.stop().await;
}

#[tokio::test]
async fn every_way_to_fail_has_a_category_and_none_hangs_for_ever() {
    let x = node(SECRET).await;
    let client = StatsClient::new(config("x", &x).stats.as_ref().unwrap(), Fence::always_open()).unwrap();
    for (mode, category) in [
        (Mode::Error, "status"),
        (Mode::Garbage, "malformed"),
        (Mode::Hang, "timeout"),
    ] {
        x.set_mode("/online", mode);
        let started = Instant::now();
        let error = client.online().await.unwrap_err();
        assert_eq!(error.category(), category);
        assert!(error.is_retryable());
        assert!(started.elapsed() < Duration::from_secs(7));
    }
    x.set_mode("/online", Mode::Normal);
    assert!(client.online().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_node_that_joins_proves_and_one_that_leaves_is_forgotten() {
    let (x, y) = (node(SECRET).await, node(SECRET).await);
    let house = House::with(vec![config("x", &x)]);
    house.permit("corp_a");
    let mut on_x = house.connect(&x, "corp_a").await;
    let mut on_y = house.connect(&y, "corp_a").await;
    house.deny("corp_a");
    house.contained("corp_a").await;
    let mut moved = config("x", &x);
    moved.sni = Some("elsewhere.example.com".to_owned());
    house.gateway.update(vec![moved, config("y", &y)]).unwrap();
    house.contained("corp_a").await;
    assert!(on_x.send(1, 1).is_err() && on_y.send(1, 1).is_err());
    house.zero("corp_a").await;
    assert!(house.auth.removed.lock().unwrap().is_empty(), "x went on undisturbed");

    house.gateway.update(vec![config("y", &y)]).unwrap();
    assert_eq!(*house.auth.removed.lock().unwrap(), [NodeName::new("default", "x")]);
    let calls = x.calls().len();
    house.look_again("y").await;
    house.look_again("y").await;
    assert!(
        x.calls().len() <= calls + 2,
        "calls under way may still arrive, and no more"
    );
    assert_eq!(house.gateway.health().len(), 1);
    house.stop().await;
}

#[tokio::test]
async fn a_node_without_statistics_keeps_revocations_open_and_says_why() {
    let x = node(SECRET).await;
    let house = House::with(vec![config("x", &x), without_statistics("dark")]);
    house.permit("corp_a");
    house.deny("corp_a");
    eventually(|| (house.progress("corp_a").waiting_for == ["default/dark"]).then_some(())).await;
    let health = house.gateway.health();
    let dark = health
        .iter()
        .find(|node| node.node == NodeName::new("default", "dark"))
        .unwrap();
    assert!(dark.error.as_ref().unwrap().contains("statsUrl"));
    house.stop().await;
}

#[tokio::test]
async fn an_account_has_a_link_for_each_node() {
    let x = node(SECRET).await;
    let house = House::with(vec![config("x", &x), without_statistics("dark")]);
    let credentials = Credentials {
        username: "corp_a".to_owned(),
        password: "pw".into(),
    };
    let links = house.gateway.links(&credentials).known();
    let urls = links
        .iter()
        .map(|link| link.url(&credentials).expose_secret().to_owned());
    assert_eq!(
        urls.collect::<Vec<_>>(),
        [
            "hysteria2://corp_a:pw@vpn.example.com:443/#x",
            "hysteria2://corp_a:pw@vpn.example.com:443/#dark"
        ]
    );
    house.stop().await;
}

#[tokio::test]
async fn a_quiet_gateway_only_polls() {
    let x = node(SECRET).await;
    let house = House::with(vec![config("x", &x)]);
    house.permit("corp_a");
    let _session = house.connect(&x, "corp_a").await;
    let started = Instant::now();
    house.look_again("x").await;
    house.look_again("x").await;
    house.look_again("x").await;
    assert!(
        started.elapsed() > Duration::from_millis(700),
        "{:?}",
        started.elapsed()
    );
    assert!(x.kicked().is_empty());
    assert_eq!(house.gateway.observe("corp_a").sessions, 1);
    house.stop().await;
}

#[tokio::test]
async fn behind_a_closed_fence_no_call_begins() {
    let x = node(SECRET).await;
    let (keeper, fence) = Fence::closed(Arc::new(SystemClock));
    let client = StatsClient::new(config("x", &x).stats.as_ref().unwrap(), fence).unwrap();
    let soon = SystemClock.since_boot() + Duration::from_secs(600);
    keeper.open_until(soon);
    client.online().await.unwrap();
    client.kick(&["corp_a".to_owned()]).await.unwrap();
    let made = x.calls().len();
    drop(keeper);
    let refused = [
        client.online().await.unwrap_err(),
        client.traffic().await.unwrap_err(),
        client.kick(&["corp_b".to_owned()]).await.unwrap_err(),
    ];
    for error in refused {
        assert_eq!(error.category(), "fenced");
        assert!(error.is_retryable());
    }
    assert_eq!((made, x.calls().len()), (2, 2));
    assert_eq!(x.kicked(), ["corp_a"]);
}

#[tokio::test]
async fn a_denial_behind_a_closed_fence_is_carried_out_when_it_opens() {
    let x = node(SECRET).await;
    let (keeper, fence) = Fence::closed(Arc::new(SystemClock));
    let house = House::fenced(fence, vec![config("x", &x)]);
    house.permit("corp_a");
    let _session = house.connect(&x, "corp_a").await;
    house.deny("corp_a");
    // Long enough for every loop of the node to try: they take turns on this thread.
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert!(x.calls().is_empty() && house.calls.lock().unwrap().is_empty());
    assert_eq!(house.gateway_error(), None, "it says nothing about the node");
    assert_eq!(house.progress("corp_a").contained_at, None);
    keeper.open_until(SystemClock.since_boot() + Duration::from_secs(600));
    house.contained("corp_a").await;
    house.stop().await;
}
