//! What an annotation asks for.

use serde_json::json;
use vpn_operator::model::user::VpnUser;

use crate::kubernetes::cluster::{Cluster, condition, name};

const ANNA: &str = "AB123456";
const PAUSE: &str = "vpn-operator.io/pause";

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_keeps_the_secret_as_it_is_but_never_a_denial_away() {
    let (cluster, operator) = Cluster::running().await;
    let credential = cluster.add(ANNA).await;
    cluster.annotate(ANNA, PAUSE, Some("true")).await;
    cluster
        .until("it is shown", || {
            condition(&cluster.user(ANNA)?, "Paused").filter(|it| it["status"] == "True")
        })
        .await;
    cluster.current(ANNA).await;
    let patch = json!({ "stringData": { "password": "for-a-while" } });
    cluster.merge_secret(ANNA, patch).await;
    cluster
        .until("it is not Current", || {
            let ready = condition(&cluster.user(ANNA)?, "Ready")?;
            (ready["reason"] == "Paused").then_some(())
        })
        .await;
    cluster.rest().await;
    assert_eq!(cluster.handed_out(ANNA).unwrap()["password"], "for-a-while");

    let mut session = operator
        .connect(&cluster.node, &credential, "192.0.2.1:1")
        .await
        .unwrap();
    cluster.edit(ANNA, json!({ "active": false })).await;
    let denied = cluster.becomes(ANNA, "Inactive").await;
    assert!(condition(&denied, "Paused").is_some());
    assert!(!operator.login(&credential, "192.0.2.1:2").await);
    cluster
        .until("the session is kicked", || {
            cluster.node.kicked().contains(&session.id).then_some(())
        })
        .await;
    assert!(session.send(1, 1).is_err());

    cluster.edit(ANNA, json!({ "active": true })).await;
    cluster.annotate(ANNA, PAUSE, None).await;
    let user = cluster.current(ANNA).await;
    assert_eq!(condition(&user, "Paused"), None);
    assert_eq!(cluster.credential(ANNA), credential);
}

#[tokio::test(flavor = "multi_thread")]
async fn asked_for_a_reconcile_it_says_when_that_is_done() {
    let (cluster, _operator) = Cluster::running().await;
    cluster.add(ANNA).await;
    cluster.rest().await;
    cluster.kube.recorder().clear();
    for asked in ["2026-01-01T00:00:00Z", "again"] {
        cluster
            .annotate(ANNA, "vpn-operator.io/reconcile-now", Some(asked))
            .await;
        cluster
            .until("it is answered", || {
                (cluster.user(ANNA)?["status"]["lastHandledReconcileAt"] == asked).then_some(())
            })
            .await;
    }
    cluster.rest().await;
    assert_eq!(cluster.writes().len(), 2, "{:?}", cluster.writes());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_is_let_go_although_its_node_is_gone_for_good() {
    let (cluster, operator) = Cluster::running().await;
    let credential = cluster.add(ANNA).await;
    let _session = operator
        .connect(&cluster.node, &credential, "192.0.2.1:1")
        .await
        .unwrap();
    cluster.node.take_down().await;
    cluster.kubectl.delete::<VpnUser>(&name(ANNA)).await.unwrap();
    cluster.becomes(ANNA, "Deleted").await;
    cluster.rest().await;
    assert!(cluster.user(ANNA).is_some());
    cluster.annotate(ANNA, "vpn-operator.io/let-go", Some("true")).await;
    cluster.gone("vpnusers", &name(ANNA)).await;
    assert!(!operator.login(&credential, "192.0.2.1:2").await);
}
