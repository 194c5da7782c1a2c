//! The Secret of a user is put back whatever becomes of it, and nobody is fought with.

use k8s_openapi::api::core::v1::Secret;
use serde_json::{Value, json};

use crate::{
    end_to_end::operator::within,
    kubernetes::cluster::{Cluster, UNTIL_TIMEOUT, secret_name},
};

const ANNA: &str = "AB123456";

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
    cluster
        .kubectl
        .merge::<Secret>(&secret_name(ANNA), patch)
        .await
        .unwrap();
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
async fn labels_and_keys_of_others_are_left_alone() {
    let (cluster, _operator) = Cluster::running().await;
    cluster.add(ANNA).await;
    cluster.rest().await;
    cluster.kube.recorder().clear();
    let patch = json!({
        "metadata": { "labels": { "team": "sales" }, "annotations": { "synced": "yes" } }, "stringData": { "note": "mine" },
    });
    cluster
        .kubectl
        .merge::<Secret>(&secret_name(ANNA), patch)
        .await
        .unwrap();
    cluster.rest().await;
    assert_eq!(cluster.writes(), [""; 0]);
    cluster.edit(ANNA, json!({ "credentialGeneration": 2 })).await;
    cluster.current(ANNA).await;
    let secret = cluster.object("secrets", &secret_name(ANNA)).unwrap();
    assert_eq!(secret["metadata"]["labels"]["team"], "sales");
    assert_eq!(cluster.handed_out(ANNA).unwrap()["note"], "mine");
}
