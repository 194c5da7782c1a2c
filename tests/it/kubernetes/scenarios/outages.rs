//! The API server goes away, forgets, or holds what cannot be read.

use serde_json::json;
use vpn_operator::model::hold::VpnHold;

use crate::{
    end_to_end::operator::{derived, within},
    kubernetes::cluster::{Cluster, UNTIL_TIMEOUT, condition, name, user},
};

const ANNA: &str = "AB123456";
const BORIS: &str = "CD123456";

#[tokio::test(flavor = "multi_thread")]
async fn logins_go_on_while_the_api_server_is_away() {
    let (mut cluster, operator) = Cluster::running().await;
    let anna = cluster.add(ANNA).await;
    let boris = cluster.add(BORIS).await;
    let mut session = operator.connect(&cluster.node, &anna, "192.0.2.1:1").await.unwrap();
    cluster.kube.stop();
    within(UNTIL_TIMEOUT, "it is noticed", async || {
        (!operator.check("desired-state").await.is_empty()).then_some(())
    })
    .await;
    assert!(operator.login(&anna, "192.0.2.1:2").await);
    assert!(operator.login(&boris, "192.0.2.1:3").await);
    let (status, answer) = operator.post(&format!("/user/{ANNA}/deactivate"), json!({})).await;
    assert!(status >= 500, "{answer}");
    assert!(operator.login(&anna, "192.0.2.1:4").await);

    cluster.kube.restart().await;
    cluster.hold("helpdesk-lost-ab123456", ANNA).await;
    cluster.becomes(ANNA, "Held").await;
    assert!(!operator.login(&anna, "192.0.2.1:5").await);
    cluster
        .until("the session is kicked", || {
            cluster.node.kicked().contains(&session.id).then_some(())
        })
        .await;
    assert!(session.send(1, 1).is_err());
    assert!(operator.login(&boris, "192.0.2.1:6").await);
    // A watch that goes on says nothing until something changes.
    cluster.gateway("default", json!({})).await;
    within(UNTIL_TIMEOUT, "it is well again", async || {
        operator.check("desired-state").await.is_empty().then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_changed_while_watches_were_broken_is_seen() {
    let (cluster, operator) = Cluster::running().await;
    let anna = cluster.add(ANNA).await;
    let boris = cluster.add(BORIS).await;
    cluster.hold("helpdesk-lost-cd123456", BORIS).await;
    cluster.becomes(BORIS, "Held").await;
    // Nothing of what follows is seen until the watches begin anew.
    cluster.kube.hold_watches();
    cluster.edit(ANNA, json!({ "active": false })).await;
    cluster
        .kubectl
        .delete::<VpnHold>("helpdesk-lost-cd123456")
        .await
        .unwrap();
    cluster.apply("EF123456", json!({})).await;
    assert!(operator.login(&anna, "192.0.2.1:1").await, "or the test shows nothing");
    cluster.kube.compact();
    cluster.kube.cut_watches();
    cluster.kube.release();
    cluster.becomes(ANNA, "Inactive").await;
    cluster.becomes(BORIS, "Granted").await;
    cluster.current("EF123456").await;
    assert!(!operator.login(&anna, "192.0.2.1:2").await);
    assert!(operator.login(&boris, "192.0.2.1:3").await);
    assert!(operator.login(&derived("EF123456"), "192.0.2.1:4").await);
    cluster.gone("vpnholds", "helpdesk-lost-cd123456").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_cannot_be_read_stands_in_nobodys_way() {
    let (cluster, operator) = Cluster::running().await;
    let anna = cluster.add(ANNA).await;
    let good = cluster.user(ANNA).unwrap();
    let mut bad = good.clone();
    bad["spec"]["traffic"] = json!({ "limit": { "of": "a later version" }, "period": "Fortnight" });
    cluster.kube.put("vpnusers", "default", &name(ANNA), bad);
    within(UNTIL_TIMEOUT, "it is shown", async || {
        let shown = operator.check("documents").await;
        shown
            .iter()
            .any(|line| line.contains("VpnUser ab123456") && line.contains("cannot be read"))
            .then_some(())
    })
    .await;
    assert!(
        operator.login(&anna, "192.0.2.1:1").await,
        "what was known of it stays in force"
    );
    cluster.add(BORIS).await;
    assert!(operator.login(&derived(BORIS), "192.0.2.1:2").await);
    cluster.hold("helpdesk-lost-ab123456", ANNA).await;
    operator.becomes(ANNA, "Held").await;
    assert!(
        !operator.login(&anna, "192.0.2.1:3").await,
        "a hold counts all the same"
    );
    cluster
        .kubectl
        .delete::<VpnHold>("helpdesk-lost-ab123456")
        .await
        .unwrap();
    operator.becomes(ANNA, "Granted").await;

    let operator = cluster.crash(operator).await;
    assert!(
        operator.login(&derived(BORIS), "192.0.2.1:4").await,
        "the others are there after a start"
    );
    assert_eq!(operator.check("documents").await.len(), 1);
    let mut healed = cluster.user(ANNA).unwrap();
    healed["spec"] = user(ANNA, json!({ "active": true, "credentialGeneration": 1 }))["spec"].clone();
    cluster.kube.put("vpnusers", "default", &name(ANNA), healed);
    within(UNTIL_TIMEOUT, "it is well again", async || {
        operator.check("documents").await.is_empty().then_some(())
    })
    .await;
    within(UNTIL_TIMEOUT, "and lets in", async || {
        operator.login(&anna, "192.0.2.1:5").await.then_some(())
    })
    .await;
    let user = cluster.current(ANNA).await;
    assert_eq!(condition(&user, "Granted").unwrap()["status"], "True");
}
