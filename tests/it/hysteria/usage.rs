//! Traffic is counted once.

use std::{sync::Arc, time::Duration};

use super::house::{House, SECRET, config, eventually};
use crate::support::hysteria_node::{HysteriaNode, Mode};

async fn node() -> Arc<HysteriaNode> {
    HysteriaNode::start(SECRET, Duration::from_secs(30)).await
}

fn total(house: &House, account: &str) -> (u64, u64) {
    house
        .sink
        .totals
        .lock()
        .unwrap()
        .get(account)
        .copied()
        .unwrap_or_default()
}

#[tokio::test]
async fn devices_and_nodes_are_summed_and_a_quiet_node_is_not_written() {
    let (x, y) = (node().await, node().await);
    let house = House::with(vec![config("x", &x), config("y", &y)]);
    house.permit("corp_a");
    for node in [&x, &y] {
        for mut session in house.connect_many(node, "corp_a", 2).await {
            session.send(3, 40).unwrap();
        }
    }
    eventually(|| (total(&house, "corp_a") == (12, 160)).then_some(())).await;
    let writes = *house.sink.writes.lock().unwrap();
    let reads = || {
        house
            .calls
            .lock()
            .unwrap()
            .iter()
            .filter(|call| call.1 == "traffic")
            .count()
    };
    let before = reads();
    eventually(|| (reads() >= before + 4).then_some(())).await;
    assert_eq!(*house.sink.writes.lock().unwrap(), writes);
    assert!(
        x.calls().iter().all(|call| call.query.is_empty()),
        "counters are never zeroed"
    );
    house.stop().await;
}

#[tokio::test]
async fn a_restart_of_the_operator_counts_nothing_twice_and_loses_nothing() {
    let x = node().await;
    let house = House::with(vec![config("x", &x)]);
    house.permit("corp_a");
    let mut session = house.connect(&x, "corp_a").await;
    session.send(10, 100).unwrap();
    eventually(|| (total(&house, "corp_a") == (10, 100)).then_some(())).await;
    let (auth, sink) = (house.auth.clone(), house.sink.clone());
    house.stop().await;
    session.send(1, 1).unwrap();
    let house = House::around(auth, sink, vec![config("x", &x)]);
    eventually(|| (total(&house, "corp_a") == (11, 101)).then_some(())).await;
    house.stop().await;
}

#[tokio::test]
async fn a_restart_of_the_node_begins_anew() {
    let x = node().await;
    let house = House::with(vec![config("x", &x)]);
    house.permit("corp_a");
    house.connect(&x, "corp_a").await.send(10, 100).unwrap();
    eventually(|| (total(&house, "corp_a") == (10, 100)).then_some(())).await;
    x.restart();
    house.connect(&x, "corp_a").await.send(7, 7).unwrap();
    eventually(|| (total(&house, "corp_a") == (17, 107)).then_some(())).await;
    house.stop().await;
}

#[tokio::test]
async fn what_cannot_be_read_counts_nothing_and_is_named() {
    let x = node().await;
    let house = House::with(vec![config("x", &x)]);
    house.permit("corp_a");
    let mut session = house.connect(&x, "corp_a").await;
    session.send(10, 100).unwrap();
    eventually(|| (total(&house, "corp_a") == (10, 100)).then_some(())).await;
    x.set_mode("/traffic", Mode::Garbage);
    session.send(1, 1).unwrap();
    let error = eventually(|| house.gateway_error()).await;
    assert!(error.contains("/traffic") && !error.contains("html"), "{error}");
    assert_eq!(total(&house, "corp_a"), (10, 100));
    x.set_mode("/traffic", Mode::Normal);
    eventually(|| (total(&house, "corp_a") == (11, 101)).then_some(())).await;
    house.stop().await;
}

#[tokio::test]
async fn counters_that_run_backwards_mean_a_restart() {
    let x = node().await;
    let house = House::with(vec![config("x", &x)]);
    house.permit("corp_a");
    house.connect(&x, "corp_a").await.send(10, 100).unwrap();
    eventually(|| (total(&house, "corp_a") == (10, 100)).then_some(())).await;
    x.set_mode("/traffic", Mode::Backwards);
    eventually(|| (total(&house, "corp_a") == (15, 150)).then_some(())).await;
    house.stop().await;
}
