//! The API server goes away, forgets, or holds what cannot be read.

use serde_json::json;
use vpn_operator::model::{FINALIZER, gateway::VpnGateway, hold::VpnHold, user::VpnUser};

use crate::{
    end_to_end::operator::{derived, within},
    kubernetes::cluster::{Cluster, OPERATOR, UNTIL_TIMEOUT, condition, finalizers, name, user},
    support::kube::faults::{Fault, When},
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
async fn what_changes_while_a_watch_is_begun_again_is_seen_to() {
    let (mut cluster, operator) = Cluster::running().await;
    let [anna, boris, carla] = [ANNA, BORIS, "EF123456"];
    for id in [anna, boris, carla] {
        cluster.add(id).await;
    }
    // As a list of thousands: it comes in pages, and what is done about one is done before the next one is there.
    cluster.kube.list_in_pages_of(2);
    for turn in 0..3 {
        let came: Vec<String> = (0..6).map(|number| format!("AA{turn}{number:05}")).collect();
        if turn == 2 {
            cluster.kube.stop();
            cluster.kube.restart().await;
        } else {
            cluster.kube.hold_watches();
        }
        for id in &came[..4] {
            cluster.apply(id, json!({})).await;
        }
        cluster
            .hold(&format!("helpdesk-lost-{}", name(&came[0])), &came[0])
            .await;
        let active = turn == 1;
        cluster.edit(anna, json!({ "active": active })).await;
        cluster.edit(boris, json!({ "owner": format!("Boris {turn}") })).await;
        if turn == 0 {
            cluster.kubectl.delete::<VpnUser>(&name(carla)).await.unwrap();
        }
        cluster.kube.compact();
        cluster.kube.cut_watches();
        cluster.kube.release();
        for id in &came[4..] {
            cluster.apply(id, json!({})).await;
        }
        cluster.becomes(&came[0], "Held").await;
        cluster.becomes(anna, if active { "Granted" } else { "Inactive" }).await;
        for id in came.iter().map(String::as_str).chain([anna, boris]) {
            let user = cluster.current(id).await;
            assert_eq!(finalizers(&user), [FINALIZER], "{id}");
            cluster
                .until("its Secret is there", || cluster.handed_out(id).map(drop))
                .await;
        }
        assert!(operator.login(&cluster.credential(&came[1]), "192.0.2.1:1").await);
        assert!(!operator.login(&cluster.credential(&came[0]), "192.0.2.1:2").await);
        cluster
            .until("the hold is reported", || {
                let hold = cluster.object("vpnholds", &format!("helpdesk-lost-{}", name(&came[0])))?;
                (hold["status"]["phase"] == "Live" && finalizers(&hold) == [FINALIZER]).then_some(())
            })
            .await;
        cluster.gone("vpnusers", &name(carla)).await;
    }
    assert!(operator.check("observed").await.is_empty());
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

#[tokio::test(flavor = "multi_thread")]
async fn an_api_server_that_takes_no_status_keeps_nobody_from_logging_in() {
    let cluster = Cluster::new().await;
    let operator = cluster.start().await;
    cluster.gateway("default", json!({})).await;
    let anna = cluster.add(ANNA).await;
    operator.stop().await;
    for number in 0..20 {
        let manifest = json!({
            "apiVersion": "vpn-operator.io/v1alpha1", "kind": "VpnGateway",
            "metadata": { "name": format!("gateway-{number}") },
            "spec": { "hysteria": { "nodes": [{ "name": "one", "address": format!("g{number}.example.com") }] } },
        });
        let manifest = manifest.to_string();
        cluster
            .kubectl
            .apply::<VpnGateway>("kubectl", &manifest, false)
            .await
            .unwrap();
    }
    for resource in ["vpngateways", "vpngateways/status"] {
        let writes = When::every().by(OPERATOR).verb("patch").resource(resource);
        cluster.kube.fault(writes, Fault::Hang);
    }
    let operator = cluster.start().await;
    assert!(operator.login(&anna, "192.0.2.1:1").await);
    cluster.kube.faults().clear();
    cluster
        .until("the statuses follow", || {
            let gateway = cluster.object("vpngateways", "gateway-19")?;
            (gateway["status"]["observedGeneration"] == 1).then_some(())
        })
        .await;
}
