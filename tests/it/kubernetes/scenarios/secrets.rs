//! The Secret of a user is put back whatever becomes of it, and nobody is fought with.

use std::sync::Arc;

use k8s_openapi::api::core::v1::Secret;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use vpn_operator::{
    credentials::SecretLookup as _,
    desired::kubernetes::ReferencedSecrets,
    model::{secret_source::SecretKeyRef, user::VpnUser},
};

use crate::{
    end_to_end::operator::within,
    kubernetes::cluster::{Cluster, OPERATOR, UNTIL_TIMEOUT, name as user_name, secret_name},
    support::kube::{
        KubeDouble,
        faults::{Fault, When},
    },
};

const ANNA: &str = "AB123456";
const BORIS: &str = "CD123456";

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_does_to_it_is_undone() {
    let (cluster, operator) = Cluster::running().await;
    cluster.add(ANNA).await;
    let name = secret_name(ANNA);
    let before = cluster.object("secrets", &name).unwrap();
    let essence = |secret: &Value| {
        let meta = &secret["metadata"];
        json!([secret["data"], meta["ownerReferences"], meta["labels"]])
    };
    let damage = [
        json!({ "stringData": { "password": "of-somebody-else" } }),
        json!({ "data": { "hy2_url": null } }),
        json!({ "metadata": { "ownerReferences": null } }),
        json!({ "metadata": { "labels": null } }),
    ];
    for (done, patch) in damage.iter().enumerate() {
        let damaged = cluster.kubectl.merge::<Secret>(&name, patch.clone()).await.unwrap();
        assert_ne!(
            essence(&serde_json::to_value(&damaged).unwrap()),
            essence(&before),
            "{patch}"
        );
        let what = format!("it is restored after {patch}");
        cluster
            .until(&what, || {
                (essence(&cluster.object("secrets", &name)?) == essence(&before)).then_some(())
            })
            .await;
        repaired(&operator, done + 1).await;
    }
    cluster.kubectl.delete::<Secret>(&name).await.unwrap();
    cluster
        .until("it is made again", || {
            (essence(&cluster.object("secrets", &name)?) == essence(&before)).then_some(())
        })
        .await;
    repaired(&operator, damage.len() + 1).await;
    let event = cluster.event(ANNA, "SecretRestored").await;
    assert_eq!(event.type_.as_deref(), Some("Warning"));
    cluster
        .until("the repetitions are one series", || {
            let events = cluster.kube.versions("events");
            let counted = |count: usize| events.iter().any(|event| event["series"]["count"] == count);
            counted(damage.len() + 1).then_some(())
        })
        .await;
    let restored = cluster.events(ANNA).await;
    let restored = restored
        .iter()
        .filter(|event| event.reason.as_deref() == Some("SecretRestored"));
    assert_eq!(restored.count(), 1);
    cluster.check_for_leaks(&[&operator.text("/metrics").await, &operator.stop().await]);
}

async fn repaired(operator: &crate::end_to_end::operator::Operator, times: usize) {
    within(UNTIL_TIMEOUT, "it is counted", async || {
        let counted = operator.metric("vpn_operator_drift_repaired_total").await;
        (counted.to_string() == times.to_string()).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_that_was_done_while_the_operator_was_away_is_undone_too() {
    let (cluster, operator) = Cluster::running().await;
    let credential = cluster.add(ANNA).await;
    operator.stop().await;
    let patch = json!({ "stringData": { "password": "of-somebody-else" } });
    cluster.merge_secret(ANNA, patch).await;
    let _operator = cluster.start().await;
    cluster
        .until("it is restored", || {
            (cluster.credential(ANNA) == credential).then_some(())
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_renews_it_and_is_no_drift() {
    let (cluster, operator) = Cluster::running().await;
    let old = cluster.add(ANNA).await;
    let link = cluster.handed_out(ANNA).unwrap()["subscription_url"].clone();
    cluster.rest().await;
    cluster.kube.recorder().clear();
    cluster.edit(ANNA, json!({ "credentialGeneration": 2 })).await;
    cluster.current(ANNA).await;
    let new = cluster.credential(ANNA);
    assert_ne!(new, old);
    assert!(operator.login(&new, "192.0.2.1:1").await);
    assert!(!operator.login(&old, "192.0.2.1:2").await);
    assert_eq!(cluster.handed_out(ANNA).unwrap()["subscription_url"], link);
    cluster.edit(ANNA, json!({ "subscriptionGeneration": 2 })).await;
    cluster.current(ANNA).await;
    assert_ne!(cluster.handed_out(ANNA).unwrap()["subscription_url"], link);
    assert_eq!(cluster.credential(ANNA), new);
    cluster.rest().await;
    let writes = cluster.writes();
    let to_the_secret = writes.iter().filter(|write| write.contains(" secrets "));
    assert_eq!(to_the_secret.count(), 2, "{writes:#?}");
    assert_eq!(
        operator.metric("vpn_operator_drift_repaired_total").await.to_string(),
        "0"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn labels_of_others_are_left_alone_and_keys_of_others_are_taken_out() {
    let (cluster, _operator) = Cluster::running().await;
    cluster.add(ANNA).await;
    cluster.rest().await;
    cluster.kube.recorder().clear();
    let patch = json!({ "metadata": { "labels": { "team": "sales" }, "annotations": { "synced": "yes" } } });
    cluster.merge_secret(ANNA, patch).await;
    cluster.rest().await;
    assert_eq!(cluster.writes(), [""; 0]);
    let before = cluster.handed_out(ANNA).unwrap();
    let patch = json!({ "stringData": { "note": "mine" } });
    cluster.merge_secret(ANNA, patch).await;
    cluster
        .until("it has the same content again", || {
            (cluster.handed_out(ANNA)? == before).then_some(())
        })
        .await;
    cluster.edit(ANNA, json!({ "credentialGeneration": 2 })).await;
    cluster.current(ANNA).await;
    let secret = cluster.object("secrets", &secret_name(ANNA)).unwrap();
    assert_eq!(secret["metadata"]["labels"]["team"], "sales");
    assert_eq!(secret["metadata"]["annotations"]["synced"], "yes");
}

/// Of these Secrets nothing is touched, whatever becomes of the user.
#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_is_somebody_elses_is_never_taken_over() {
    let (cluster, operator) = Cluster::running().await;
    let name = secret_name(ANNA);
    let label = json!({ "app.kubernetes.io/managed-by": "vpn-operator" });
    // Something that lives, or the collector would take what it owns.
    let owner = cluster.object("leases", "vpn-operator").unwrap();
    let owner = json!([{
        "apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "name": "vpn-operator", "uid": owner["metadata"]["uid"],
        "controller": true,
    }]);
    for metadata in [
        json!({}),
        json!({ "labels": label }),
        json!({ "ownerReferences": owner }),
    ] {
        let mut strangers = json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": "Opaque", "stringData": { "a": "b" },
        });
        strangers["metadata"]["name"] = json!(name);
        cluster.kubectl.create::<Secret>(&strangers.to_string()).await.unwrap();
        let essence = |secret: &Value| {
            let meta = &secret["metadata"];
            json!([secret["data"], meta["ownerReferences"], meta["labels"], meta["uid"]])
        };
        let before = essence(&cluster.object("secrets", &name).unwrap());
        cluster.apply(ANNA, json!({})).await;
        let message = cluster.stalled(ANNA, "SecretConflict").await;
        assert!(message.contains("delete or rename it"), "{message}");
        assert_eq!(essence(&cluster.object("secrets", &name).unwrap()), before);
        cluster.kubectl.delete::<VpnUser>(&user_name(ANNA)).await.unwrap();
        cluster.gone("vpnusers", &user_name(ANNA)).await;
        cluster.rest().await;
        assert_eq!(essence(&cluster.object("secrets", &name).unwrap()), before);
        cluster.kubectl.delete::<Secret>(&name).await.unwrap();
        cluster.gone("secrets", &name).await;
    }
    cluster.check_for_leaks(&[&operator.stop().await]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_a_stranger_makes_at_the_very_moment_is_not_taken_over() {
    let (cluster, _operator) = Cluster::running().await;
    let name = secret_name(ANNA);
    let strangers = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": { "name": name, "namespace": "default", "uid": "s-1" },
        "type": "Opaque", "data": { "a": "Yg==" },
    });
    // Between the look that finds nothing and the write.
    let (put, object) = (cluster.kube.writer(), strangers.clone());
    let stored = name.clone();
    let beside = Fault::Beside(Arc::new(move || put("secrets", &stored, object.clone())));
    cluster
        .kube
        .fault(When::request(1).by(OPERATOR).verb("create").resource("secrets"), beside);
    cluster.apply(ANNA, json!({})).await;
    cluster.stalled(ANNA, "SecretConflict").await;
    assert_eq!(
        cluster.handed_out(ANNA).unwrap().into_iter().collect::<Vec<_>>(),
        [("a".to_owned(), "b".to_owned())]
    );
    assert!(cluster.object("secrets", &name).unwrap()["metadata"]["ownerReferences"].is_null());

    // Between the look that finds the user's own and the write.
    let (put, stored, object) = (cluster.kube.writer(), secret_name(BORIS), strangers);
    cluster.add(BORIS).await;
    let beside = Fault::Beside(Arc::new(move || {
        let mut object = object.clone();
        object["metadata"]["name"] = json!(stored);
        put("secrets", &stored, object);
    }));
    cluster
        .kube
        .fault(When::request(1).by(OPERATOR).verb("patch").resource("secrets"), beside);
    cluster.edit(BORIS, json!({ "credentialGeneration": 2 })).await;
    cluster.stalled(BORIS, "SecretConflict").await;
    let there = cluster.object("secrets", &secret_name(BORIS)).unwrap();
    assert_eq!(
        (&there["data"], &there["metadata"]["labels"]),
        (&json!({ "a": "Yg==" }), &Value::Null)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_was_restored_before_its_user_is_the_users_again() {
    let (cluster, operator) = Cluster::running().await;
    let credential = cluster.add(ANNA).await;
    let backup = cluster.object("secrets", &secret_name(ANNA)).unwrap();
    cluster.kubectl.delete::<VpnUser>(&user_name(ANNA)).await.unwrap();
    cluster.gone("secrets", &secret_name(ANNA)).await;
    // As a backup has it: with the owner of then, and as tools keep it that leave owners out.
    for owner in [backup["metadata"]["ownerReferences"].clone(), Value::Null] {
        let mut restored = json!({
            "apiVersion": "v1", "kind": "Secret", "type": "Opaque", "data": backup["data"],
            "metadata": { "name": secret_name(ANNA), "labels": backup["metadata"]["labels"] },
        });
        if !owner.is_null() {
            restored["metadata"]["ownerReferences"] = owner;
        }
        cluster.kubectl.create::<Secret>(&restored.to_string()).await.unwrap();
        cluster.apply(ANNA, json!({})).await;
        let user = cluster.current(ANNA).await;
        cluster
            .until("it is the user's", || {
                let secret = cluster.object("secrets", &secret_name(ANNA))?;
                let owners = secret["metadata"]["ownerReferences"].as_array()?.clone();
                (owners.len() == 1 && owners[0]["uid"] == user["metadata"]["uid"]).then_some(())
            })
            .await;
        assert_eq!(cluster.credential(ANNA), credential);
        cluster.kubectl.delete::<VpnUser>(&user_name(ANNA)).await.unwrap();
        cluster.gone("secrets", &secret_name(ANNA)).await;
    }
    cluster.check_for_leaks(&[&operator.stop().await]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_without_its_owner_goes_with_the_user_all_the_same() {
    let (cluster, operator) = Cluster::running().await;
    cluster.add(ANNA).await;
    // Nobody notices before the user goes.
    operator.stop().await;
    let patch = json!({ "metadata": { "ownerReferences": null } });
    cluster.merge_secret(ANNA, patch).await;
    cluster.kubectl.delete::<VpnUser>(&user_name(ANNA)).await.unwrap();
    cluster.free_lease().await;
    let _operator = cluster.start().await;
    cluster.gone("vpnusers", &user_name(ANNA)).await;
    cluster.gone("secrets", &secret_name(ANNA)).await;
}

#[tokio::test]
async fn a_secret_without_the_named_key_is_read_once_a_version() {
    let kube = KubeDouble::start().await;
    let secrets = ReferencedSecrets::new(&kube.client("reader"), "default");
    let end = CancellationToken::new();
    let watching = tokio::spawn(Arc::clone(&secrets).run(|_| {}, end.clone()));
    let manifest = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "node" }, "stringData": { "other": "x" },
    });
    kube.kubectl().create::<Secret>(&manifest.to_string()).await.unwrap();
    let key = SecretKeyRef {
        name: "node".to_owned(),
        key: "token".to_owned(),
    };
    within(UNTIL_TIMEOUT, "it is seen", async || {
        let why = secrets.lookup(&key).await.unwrap_err();
        why.contains("no such key").then_some(())
    })
    .await;
    let reads = || {
        let calls = kube.recorder().of("reader");
        calls.iter().filter(|call| call.verb == "get").count()
    };
    for _ in 0..5 {
        assert!(secrets.lookup(&key).await.unwrap_err().contains("no such key"));
    }
    assert_eq!(reads(), 1);
    let patch = json!({ "stringData": { "token": "a-token" } });
    kube.kubectl().merge::<Secret>("node", patch).await.unwrap();
    within(UNTIL_TIMEOUT, "the key is there", async || {
        secrets.lookup(&key).await.ok().map(drop)
    })
    .await;
    assert_eq!(reads(), 2);
    end.cancel();
    watching.await.unwrap();
}
