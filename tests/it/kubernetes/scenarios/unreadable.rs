//! Objects that this version cannot read: a newer version of the definitions may hold what it does not understand.

use kube::{
    Api,
    api::{ApiResource, DeleteParams, DynamicObject},
};
use serde_json::json;
use vpn_operator::model::hold::VpnHold;

use crate::{
    end_to_end::operator::{Operator, derived, within},
    kubernetes::cluster::{Cluster, OPERATOR, UNTIL_TIMEOUT, finalizers, name, user},
};

const ANNA: &str = "AB123456";
const BORIS: &str = "CD123456";
const CARL: &str = "EF123456";
const HOLD: &str = "helpdesk-lost-ab123456";

/// Makes a hold unreadable: whom it is about, and more.
fn spoil_hold(cluster: &Cluster, hold: &str) {
    let mut object = cluster.object("vpnholds", hold).unwrap();
    object["spec"]["corporateId"] = json!({ "of": "a later version" });
    cluster.kube.put("vpnholds", "default", hold, object);
}

/// An unreadable hold of which nobody knew before.
fn put_hold(cluster: &Cluster, hold: &str) {
    let object = json!({
        "apiVersion": "vpn-operator.io/v1alpha1", "kind": "VpnHold",
        "metadata": {
            "name": hold, "namespace": "default", "uid": format!("uid-of-{hold}"), "generation": 1,
            "creationTimestamp": "2026-01-01T00:00:00Z",
        },
        "spec": { "corporateId": ["a", "list"], "source": ["helpdesk"] },
    });
    cluster.kube.put("vpnholds", "default", hold, object);
}

fn spoil_user(cluster: &Cluster, id: &str) {
    let mut object = cluster.user(id).unwrap();
    object["spec"]["traffic"] = json!({ "limit": { "of": "a later version" } });
    cluster.kube.put("vpnusers", "default", &name(id), object);
}

/// Has everything listed anew by these users of the API server.
async fn relist(cluster: &Cluster, users: &[&str]) {
    let lists = |user: &str, resource: &str| {
        let is = |call: &crate::support::kube::recorder::Call| {
            call.user == user && call.verb == "list" && call.resource == resource && call.code == 200
        };
        cluster.kube.recorder().count(is)
    };
    let all = || {
        users
            .iter()
            .flat_map(|user| ["vpnusers", "vpnholds"].map(|kind| lists(user, kind)))
    };
    let before: Vec<usize> = all().collect();
    // The version that each watch saw last is older than what is forgotten.
    cluster.kube.hold_watches();
    let object =
        json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "others", "namespace": "default" } });
    cluster.kube.put("secrets", "default", "others", object);
    cluster.kube.compact();
    cluster.kube.cut_watches();
    cluster.kube.release();
    cluster
        .until("everything is listed anew", || {
            all().zip(&before).all(|(now, before)| now > *before).then_some(())
        })
        .await;
}

/// Waits until each listener says so many objects that it cannot read.
async fn unreadable(listeners: &[&Operator], count: usize) {
    for listener in listeners {
        let what = format!("{count} objects cannot be read");
        within(UNTIL_TIMEOUT, &what, async || {
            let said = listener.check("documents").await;
            let lines = said.iter().filter(|line| line.contains("cannot be read")).count();
            (lines == count).then_some(())
        })
        .await;
    }
}

async fn login(listeners: &[&Operator], id: &str, wanted: bool) {
    for listener in listeners {
        let what = format!("{id} may log in: {wanted}");
        within(UNTIL_TIMEOUT, &what, async || {
            (listener.login(&derived(id), "192.0.2.1:1").await == wanted).then_some(())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hold_that_cannot_be_read_denies_until_somebody_lifts_it() {
    let (cluster, controller) = Cluster::running().await;
    let replica = cluster.replica("replica").await;
    for id in [ANNA, BORIS, CARL] {
        cluster.add(id).await;
    }
    // Of the second one nothing but what was known before tells the person.
    cluster.hold(HOLD, ANNA).await;
    cluster.hold("laptop", BORIS).await;
    for (hold, id) in [(HOLD, ANNA), ("laptop", BORIS)] {
        cluster.becomes(id, "Held").await;
        cluster
            .until("the hold has its finalizer", || {
                (finalizers(&cluster.object("vpnholds", hold)?).len() == 1).then_some(())
            })
            .await;
        spoil_hold(&cluster, hold);
    }
    put_hold(&cluster, "helpdesk-lost-ef123456");
    let listeners = [&controller, &replica];
    unreadable(&listeners, 3).await;
    login(&listeners, CARL, false).await;
    relist(&cluster, &[OPERATOR, "replica"]).await;
    unreadable(&listeners, 3).await;
    for id in [ANNA, BORIS, CARL] {
        for listener in listeners {
            assert!(
                !listener.login(&derived(id), "192.0.2.1:2").await,
                "{id} after a new list"
            );
        }
    }
    assert_eq!(cluster.kube.names("vpnholds").len(), 3);
    for listener in listeners {
        within(UNTIL_TIMEOUT, "the metric says so", async || {
            let problems = listener.metric("vpn_operator_source_problems").await;
            ((problems - 3.0).abs() < 0.1).then_some(())
        })
        .await;
    }
    let (_, guard) = controller.get("/guard").await;
    assert_eq!(guard["pending"], json!([]), "nothing was lost");

    replica.kill();
    let replica = cluster.replica("replica").await;
    let controller = cluster.crash(controller).await;
    let listeners = [&controller, &replica];
    for id in [ANNA, CARL] {
        for listener in listeners {
            assert!(
                !listener.login(&derived(id), "192.0.2.1:3").await,
                "{id} after a restart"
            );
        }
    }

    // Its place is taken: an order that would make it finds that it stands.
    let (status, answer) = controller.post(&format!("/user/{CARL}/deactivate"), json!({})).await;
    assert_eq!(status, 200, "{answer}");
    spoil_hold(&cluster, &format!("api-deactivated-{}", name(CARL)));
    unreadable(&listeners, 4).await;
    let (status, answer) = controller.post(&format!("/user/{CARL}/deactivate"), json!({})).await;
    assert_eq!((status, &answer["status"]), (200, &json!("deactivated")), "{answer}");
    let heal = |hold: &str, id: &str, source: &str| {
        let mut healed = cluster.object("vpnholds", hold).unwrap();
        healed["spec"] = json!({ "corporateId": id, "source": source });
        cluster.kube.put("vpnholds", "default", hold, healed);
    };
    heal(&format!("api-deactivated-{}", name(CARL)), CARL, "api");
    unreadable(&listeners, 3).await;
    let (status, answer) = controller.post(&format!("/user/{CARL}/activate"), json!({})).await;
    assert!(
        answer.to_string().contains("helpdesk-lost-ef123456"),
        "{status} {answer}"
    );

    // What can be read again is in force, and is lifted as ever.
    heal(HOLD, ANNA, "helpdesk");
    heal("laptop", BORIS, "helpdesk");
    unreadable(&listeners, 1).await;
    login(&listeners, ANNA, false).await;
    login(&listeners, BORIS, false).await;
    let path = format!("/holds/{HOLD}?source=helpdesk");
    let (status, answer) = controller.call(reqwest::Method::DELETE, &path, None).await;
    assert_eq!(status, 200, "{answer}");
    login(&listeners, ANNA, true).await;
    cluster.gone("vpnholds", HOLD).await;

    // One that cannot be read is lifted by deleting it.
    let api: Api<DynamicObject> =
        Api::default_namespaced_with(cluster.kube.client("person"), &ApiResource::erase::<VpnHold>(&()));
    api.delete("helpdesk-lost-ef123456", &DeleteParams::default())
        .await
        .unwrap();
    login(&listeners, CARL, true).await;
    cluster.gone("vpnholds", "helpdesk-lost-ef123456").await;
    unreadable(&listeners, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_that_cannot_be_read_stays_as_known_and_is_nobody_after_a_restart() {
    let (cluster, controller) = Cluster::running().await;
    let replica = cluster.replica("replica").await;
    cluster.add(ANNA).await;
    cluster.add(BORIS).await;
    let listeners = [&controller, &replica];
    login(&listeners, ANNA, true).await;
    spoil_user(&cluster, ANNA);
    unreadable(&listeners, 1).await;
    relist(&cluster, &[OPERATOR, "replica"]).await;
    unreadable(&listeners, 1).await;
    // Something is seen after the list, so that what it means is over.
    cluster.hold("helpdesk-lost-cd123456", BORIS).await;
    login(&listeners, BORIS, false).await;
    for listener in listeners {
        assert!(listener.login(&derived(ANNA), "192.0.2.1:2").await, "as it was known");
    }
    let (_, guard) = controller.get("/guard").await;
    assert_eq!(guard["pending"], json!([]), "nobody is gone");

    replica.kill();
    let replica = cluster.replica("replica").await;
    let controller = cluster.crash(controller).await;
    let listeners = [&controller, &replica];
    for listener in listeners {
        assert!(!listener.login(&derived(ANNA), "192.0.2.1:3").await, "nothing is known");
    }
    let mut healed = cluster.user(ANNA).unwrap();
    healed["spec"] = user(ANNA, json!({ "active": true, "credentialGeneration": 1 }))["spec"].clone();
    cluster.kube.put("vpnusers", "default", &name(ANNA), healed);
    unreadable(&listeners, 0).await;
    login(&listeners, ANNA, true).await;
}
