//! Of two processes one acts.

use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;
use serde_json::json;

use crate::{
    end_to_end::operator::{Operator, within},
    kubernetes::cluster::{Cluster, OPERATOR, UNTIL_TIMEOUT, user},
};

const ANNA: &str = "AB123456";

async fn probe(operator: &Operator, path: &str) -> u16 {
    reqwest::get(operator.url(path))
        .await
        .map_or(0, |answer| answer.status().as_u16())
}

/// Waits until a process waits for the lease: it lives, and is not ready.
async fn waits(operator: &Operator) {
    within(UNTIL_TIMEOUT, "it waits for the lease", async || {
        operator.log().contains("another process holds the lease").then_some(())
    })
    .await;
    assert_eq!(
        (probe(operator, "/livez").await, probe(operator, "/readyz").await),
        (200, 503)
    );
}

fn holder(cluster: &Cluster) -> String {
    let lease = cluster.object("leases", "vpn-operator").unwrap();
    lease["spec"]["holderIdentity"].as_str().unwrap_or_default().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_one_acts_and_hands_over_when_it_is_stopped() {
    let (mut cluster, first) = Cluster::running().await;
    let credential = cluster.add(ANNA).await;
    // The second under another name, so that its requests can be told apart.
    let config = cluster.house.path("kubeconfig-of-the-second");
    cluster.kube.kubeconfig("the-second", &config);
    cluster.house.set("KUBECONFIG", config.to_str().unwrap());
    let second = cluster.launch(&["--data", "second"]).await;
    waits(&second).await;
    cluster.edit(ANNA, json!({ "credentialGeneration": 2 })).await;
    cluster.current(ANNA).await;
    assert!(!first.login(&credential, "192.0.2.1:1").await);
    assert!(first.login(&cluster.credential(ANNA), "192.0.2.1:1").await);
    let calls = cluster.kube.recorder().of("the-second");
    assert!(
        calls.iter().all(|call| call.resource == "leases" && call.verb == "get"),
        "{calls:#?}"
    );
    let asked = tokio::time::timeout(Duration::from_millis(500), second.login(&credential, "192.0.2.1:1"));
    assert!(asked.await.is_err(), "it answers no node");

    let before = holder(&cluster);
    first.stop().await;
    assert_ne!(holder(&cluster), before);
    second.ready().await;
    let after = holder(&cluster);
    assert!(after != before && !after.is_empty());
    cluster.edit(ANNA, json!({ "active": false })).await;
    cluster.current(ANNA).await;
    assert!(!second.login(&cluster.credential(ANNA), "192.0.2.1:2").await);
    cluster
        .until("the second reported it", || {
            let writes = cluster.kube.recorder().changes("the-second");
            writes.iter().any(|call| call.subresource == "status").then_some(())
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_successor_takes_over_when_the_holder_was_killed() {
    let (cluster, first) = Cluster::running().await;
    cluster.add(ANNA).await;
    let second = cluster.launch(&["--data", "second"]).await;
    waits(&second).await;
    let before = holder(&cluster);
    first.kill();
    within(Duration::from_secs(60), "it takes over", async || {
        (probe(&second, "/readyz").await == 200).then_some(())
    })
    .await;
    assert_ne!(holder(&cluster), before);
    cluster.edit(ANNA, json!({ "active": false })).await;
    cluster.current(ANNA).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_loses_the_lease_ends_and_does_nothing_more() {
    let (cluster, mut operator) = Cluster::running().await;
    let credential = cluster.add(ANNA).await;
    let _session = operator
        .connect(&cluster.node, &credential, "192.0.2.1:1")
        .await
        .unwrap();
    cluster
        .kubectl
        .edit::<Lease>("vpn-operator", |lease| {
            let spec = lease.spec.as_mut().unwrap();
            spec.holder_identity = Some("somebody-else".to_owned());
        })
        .await
        .unwrap();
    let seen = cluster
        .until("it notices", || {
            operator.log().contains("has lost the lease").then_some(())
        })
        .await;
    let (kicks, polls) = (cluster.node.kicked().len(), cluster.node.calls().len());
    cluster.kube.recorder().clear();
    cluster
        .kubectl
        .merge::<vpn_operator::model::user::VpnUser>("ab123456", json!({ "spec": { "active": false } }))
        .await
        .unwrap();
    let status = operator.ended().await;
    assert_ne!(status.code(), Some(0), "{seen:?} {}", operator.log());
    assert_eq!(cluster.node.kicked().len(), kicks);
    // A poll may have been under way.
    assert!(cluster.node.calls().len() <= polls + 1);
    let writes: Vec<_> = cluster.kube.recorder().writes(OPERATOR);
    assert!(writes.iter().all(|call| !call.changed), "{writes:#?}");
    assert_eq!(holder(&cluster), "somebody-else");

    cluster.free_lease().await;
    let operator = cluster.start().await;
    cluster.becomes(ANNA, "Inactive").await;
    assert!(!operator.login(&credential, "192.0.2.1:2").await);
    cluster
        .until("the session is kicked", || {
            (cluster.node.kicked().len() > kicks).then_some(())
        })
        .await;
    let _ = user(ANNA, json!({}));
}
