//! The status is right at every moment, for `kubectl wait` and for deployment tools.

use std::collections::HashMap;

use futures::{StreamExt, TryStreamExt};
use kube::api::{WatchEvent, WatchParams};
use serde_json::{Value, json};
use vpn_operator::model::user::VpnUser;

use crate::{
    kubernetes::cluster::{Cluster, name},
    support::kube::kstatus::{Kstatus, kstatus},
};

const ANNA: &str = "AB123456";

#[tokio::test(flavor = "multi_thread")]
async fn a_new_object_is_in_progress_before_anybody_looked_at_it() {
    let cluster = Cluster::new().await;
    let user = cluster.apply(ANNA, json!({})).await;
    assert_eq!(user.status.as_ref().unwrap().observed_generation, -1);
    assert_eq!(kstatus(&serde_json::to_value(&user).unwrap()), Kstatus::InProgress);
    let gateway = cluster.gateway("default", json!({})).await;
    assert_eq!(kstatus(&serde_json::to_value(&gateway).unwrap()), Kstatus::InProgress);
    let _operator = cluster.start().await;
    cluster.current(ANNA).await;
    cluster
        .kubectl
        .wait_status::<vpn_operator::model::gateway::VpnGateway>("default", Kstatus::Current)
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_who_watches_ever_sees_current_before_auth_does_it() {
    let (cluster, operator) = Cluster::running().await;
    let first = cluster.add(ANNA).await;
    let mut session = operator.connect(&cluster.node, &first, "192.0.2.1:1").await.unwrap();
    let version = cluster.kube.version().to_string();
    let api = cluster.kubectl.api::<VpnUser>();
    let fields = format!("metadata.name={}", name(ANNA));
    let mut seen = api
        .watch(&WatchParams::default().fields(&fields), &version)
        .await
        .unwrap()
        .boxed();
    let edits = [
        (json!({ "active": false }), false, true),
        (json!({ "active": true }), true, true),
        (json!({ "credentialGeneration": 2 }), true, false),
        (json!({ "validUntil": "2020-01-01T00:00:00Z" }), false, false),
        (json!({ "validUntil": null, "owner": "Anna" }), true, false),
        (json!({ "validFrom": "2999-01-01T00:00:00Z" }), false, false),
        (json!({ "validFrom": null }), true, false),
    ];
    for (edit, granted, first_password) in edits {
        let generation = cluster.edit(ANNA, edit.clone()).await.metadata.generation.unwrap();
        let mut edited = false;
        loop {
            let event = seen.try_next().await.unwrap().expect("the watch goes on");
            let (WatchEvent::Added(user) | WatchEvent::Modified(user)) = event else {
                continue;
            };
            let user = serde_json::to_value(&user).unwrap();
            if user["metadata"]["generation"] != generation {
                continue;
            }
            let state = kstatus(&user);
            assert!(
                edited || state == Kstatus::InProgress,
                "{edit}: right after the edit: {user}"
            );
            edited = true;
            if state == Kstatus::Current {
                assert_eq!(user["status"]["access"] == "Granted", granted, "{user}");
                let admitted = operator.login(&first, "192.0.2.1:2").await;
                assert_eq!(admitted, granted && first_password, "{edit}: {user}");
                let contained = user["status"]["revocation"]["containedAt"].is_string();
                assert!(granted || contained, "{user}");
                break;
            }
        }
    }
    assert!(session.send(1, 1).is_err());
    check_every_version(&cluster.kube.versions("vpnusers"));
}

#[tokio::test(flavor = "multi_thread")]
async fn edits_in_quick_succession_are_never_mixed_up() {
    let (cluster, operator) = Cluster::running().await;
    let credential = cluster.add(ANNA).await;
    for round in 0..12 {
        cluster
            .edit(ANNA, json!({ "active": round % 2 == 1, "owner": format!("{round}") }))
            .await;
    }
    cluster.current(ANNA).await;
    assert!(operator.login(&credential, "192.0.2.1:1").await);
    cluster.edit(ANNA, json!({ "active": false })).await;
    cluster.current(ANNA).await;
    assert!(!operator.login(&credential, "192.0.2.1:2").await);
    check_every_version(&cluster.kube.versions("vpnusers"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transition_time_moves_only_with_its_status() {
    let (cluster, _operator) = Cluster::running().await;
    cluster.add(ANNA).await;
    let begun = cluster.user(ANNA).unwrap()["metadata"]["creationTimestamp"].clone();
    let mut written = 0;
    cluster
        .until("later seconds were reported", || {
            let second = jiff::Timestamp::now().as_second();
            let begun: jiff::Timestamp = begun.as_str().unwrap().parse().unwrap();
            (second > begun.as_second() + 1).then_some(())
        })
        .await;
    for (edit, reason) in [
        (json!({ "owner": "Anna" }), "Granted"),
        (json!({ "active": false }), "Inactive"),
        (
            json!({ "active": true, "validUntil": "2020-01-01T00:00:00Z" }),
            "Expired",
        ),
        (json!({ "validUntil": null }), "Granted"),
    ] {
        cluster.edit(ANNA, edit).await;
        cluster.current(ANNA).await;
        cluster.becomes(ANNA, reason).await;
        written += 1;
    }
    assert_eq!(written, 4);
    check_every_version(&cluster.kube.versions("vpnusers"));
    let user = cluster.user(ANNA).unwrap();
    let ready = crate::kubernetes::cluster::condition(&user, "Granted").unwrap();
    assert_ne!(ready["lastTransitionTime"], begun, "it flipped since");
}

/// Holds for each version of each user: it is not `Current` unless its status speaks of its spec, and the time of a
/// condition moves only when its status flips.
pub fn check_every_version(versions: &[Value]) {
    let mut before: HashMap<String, HashMap<String, Value>> = HashMap::new();
    assert!(versions.len() > 3, "something was looked at");
    for user in versions {
        let (spec, status) = (&user["spec"], &user["status"]);
        if kstatus(user) == Kstatus::Current && spec["active"] == false {
            assert_eq!(status["access"], "Denied", "{user}");
        }
        if kstatus(user) == Kstatus::Current {
            assert_eq!(status["observedGeneration"], user["metadata"]["generation"], "{user}");
            assert_eq!(
                status["credentialGeneration"],
                spec.get("credentialGeneration").cloned().unwrap_or(json!(1)),
                "{user}"
            );
        }
        let known = before.entry(user["metadata"]["uid"].to_string()).or_default();
        let mut now = HashMap::new();
        for condition in status["conditions"].as_array().into_iter().flatten() {
            let kind = condition["type"].as_str().unwrap().to_owned();
            if let Some(old) = known.get(&kind)
                && old["lastTransitionTime"] != condition["lastTransitionTime"]
            {
                assert_ne!(old["status"], condition["status"], "{old} and then {user}");
            }
            now.insert(kind, condition.clone());
        }
        *known = now;
    }
}
