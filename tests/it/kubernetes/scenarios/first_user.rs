//! From `kubectl apply` to a login, and back; and what it costs in writes.

use serde_json::json;
use vpn_operator::model::{FINALIZER, user::VpnUser};

use crate::kubernetes::cluster::{Cluster, OPERATOR, condition, finalizers, name, secret_name};

const ANNA: &str = "AB123456";

#[tokio::test(flavor = "multi_thread")]
async fn a_user_is_applied_gets_in_and_is_deleted() {
    let (cluster, operator) = Cluster::running().await;
    let credential = cluster.add(ANNA).await;
    let user = cluster.user(ANNA).unwrap();
    assert_eq!(finalizers(&user), [FINALIZER]);
    assert_eq!(condition(&user, "Ready").unwrap()["status"], "True");
    assert_eq!(condition(&user, "Granted").unwrap()["status"], "True");
    assert_eq!(user["status"]["secretName"], secret_name(ANNA).as_str());
    assert_eq!(user["status"]["username"], "corp_ab123456");

    let secret = cluster.object("secrets", &secret_name(ANNA)).unwrap();
    let keys: Vec<&String> = secret["data"].as_object().unwrap().keys().collect();
    assert_eq!(keys, ["hy2_url", "password", "subscription_url", "username"]);
    let owner = &secret["metadata"]["ownerReferences"][0];
    assert_eq!(
        (&owner["kind"], &owner["uid"], &owner["controller"]),
        (&json!("VpnUser"), &user["metadata"]["uid"], &json!(true))
    );
    assert_eq!(
        secret["metadata"]["labels"]["app.kubernetes.io/managed-by"],
        "vpn-operator"
    );
    cluster.event(ANNA, "AccessGranted").await;

    let mut session = operator
        .connect(&cluster.node, &credential, "192.0.2.1:1")
        .await
        .unwrap();
    cluster.kubectl.delete::<VpnUser>(&name(ANNA)).await.unwrap();
    cluster
        .until("the session is kicked", || {
            cluster.node.kicked().contains(&session.id).then_some(())
        })
        .await;
    assert!(session.send(1, 1).is_err(), "not one more byte");
    cluster.gone("vpnusers", &name(ANNA)).await;
    cluster.gone("secrets", &secret_name(ANNA)).await;
    assert!(!operator.login(&credential, "192.0.2.1:2").await);
    cluster.event(ANNA, "RevocationContained").await;
    cluster.check_for_leaks(&[&operator.text("/metrics").await, &operator.stop().await]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_user_stays_until_the_node_has_answered() {
    let (cluster, operator) = Cluster::running().await;
    let credential = cluster.add(ANNA).await;
    let mut session = operator
        .connect(&cluster.node, &credential, "192.0.2.1:1")
        .await
        .unwrap();
    cluster.node.take_down().await;
    cluster.kubectl.delete::<VpnUser>(&name(ANNA)).await.unwrap();
    cluster.becomes(ANNA, "Deleted").await;
    assert!(!operator.login(&credential, "192.0.2.1:2").await);
    cluster
        .until("the status says whom it waits for", || {
            let waiting = cluster.user(ANNA)?["status"]["revocation"]["waitingFor"].clone();
            waiting.as_array().filter(|nodes| !nodes.is_empty()).map(drop)
        })
        .await;
    assert_eq!(finalizers(&cluster.user(ANNA).unwrap()), [FINALIZER]);
    assert!(session.send(1, 1).is_ok(), "nobody could tell the node");
    cluster.node.bring_up().await;
    cluster.gone("vpnusers", &name(ANNA)).await;
    assert!(session.send(1, 1).is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn four_writes_for_a_new_user_one_for_a_status_none_otherwise() {
    let (cluster, operator) = Cluster::running().await;
    cluster.rest().await;
    cluster.kube.recorder().clear();
    cluster.add(ANNA).await;
    cluster.event(ANNA, "AccessGranted").await;
    cluster.rest().await;
    let mut writes = cluster.writes();
    writes.sort_unstable();
    assert_eq!(writes.len(), 4, "{writes:#?}");
    assert!(writes[0].starts_with("create events"), "{writes:#?}");
    assert_eq!(
        writes[1..],
        [
            "create secrets ",
            "patch vpnusers ab123456",
            "patch vpnusers/status ab123456"
        ]
    );

    cluster.kube.recorder().clear();
    cluster.kube.compact();
    cluster.kube.cut_watches();
    cluster
        .until("everything was listed again", || {
            let calls = cluster.kube.recorder().of(OPERATOR);
            let listed = |resource: &str| {
                calls
                    .iter()
                    .any(|call| call.resource == resource && matches!(call.verb, "list" | "watch"))
            };
            ["vpnusers", "vpnholds", "vpngateways", "secrets"]
                .into_iter()
                .all(listed)
                .then_some(())
        })
        .await;
    cluster.rest().await;
    assert_eq!(cluster.writes(), [""; 0], "a quiet resync");

    cluster.kube.recorder().clear();
    operator.stop().await;
    let operator = cluster.start().await;
    cluster.rest().await;
    let versions = cluster.kube.versions("vpnusers");
    let statuses = versions
        .iter()
        .rev()
        .filter(|user| user["metadata"]["name"] == name(ANNA).as_str());
    let statuses: Vec<_> = statuses.map(|user| user["status"].to_string()).take(3).collect();
    assert_eq!(
        cluster.writes(),
        [""; 0],
        "a restart with everything right: {statuses:#?}"
    );

    cluster.kube.recorder().clear();
    cluster.edit(ANNA, json!({ "owner": "Anna" })).await;
    cluster.current(ANNA).await;
    cluster.rest().await;
    assert_eq!(cluster.writes(), ["patch vpnusers/status ab123456"], "a status alone");
    drop(operator);
}

#[tokio::test(flavor = "multi_thread")]
async fn polls_traffic_and_sessions_write_nothing() {
    let (cluster, operator) = Cluster::running().await;
    cluster
        .apply(ANNA, json!({ "traffic": { "limit": "100Mi", "period": "Month" } }))
        .await;
    cluster.current(ANNA).await;
    let credential = cluster.credential(ANNA);
    let mut session = operator
        .connect(&cluster.node, &credential, "192.0.2.1:1")
        .await
        .unwrap();
    session.send(0, 5 << 20).unwrap();
    cluster
        .until("the traffic is counted", || {
            (cluster.user(ANNA)?["status"]["traffic"]["used"] == "5Mi").then_some(())
        })
        .await;
    cluster.rest().await;
    cluster.kube.recorder().clear();
    let polls = || {
        cluster
            .node
            .calls()
            .iter()
            .filter(|call| call.path == "/traffic")
            .count()
    };
    let before = polls();
    for round in 0..8 {
        session.send(100, 1000).unwrap();
        let other = operator
            .connect(&cluster.node, &credential, &format!("192.0.2.{round}:9"))
            .await;
        let reached = before + 2 * (round + 1);
        cluster
            .until("two more polls", || (polls() > reached).then_some(()))
            .await;
        drop(other);
    }
    cluster.rest().await;
    assert_eq!(cluster.writes(), [""; 0]);
    session.send(0, 1 << 20).unwrap();
    cluster
        .until("the next coarse step", || {
            (cluster.user(ANNA)?["status"]["traffic"]["used"] == "6Mi").then_some(())
        })
        .await;
    cluster.rest().await;
    assert_eq!(cluster.writes(), ["patch vpnusers/status ab123456"]);
}
