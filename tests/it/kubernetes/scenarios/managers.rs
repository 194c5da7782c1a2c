//! Who manages which field, and how the API gets along with Git and `kubectl`.

use std::sync::Arc;

use kube::api::{Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use vpn_operator::model::{FINALIZER, user::VpnUser};

use crate::{
    kubernetes::cluster::{Cluster, OPERATOR, finalizers, managers_of, name, user},
    support::kube::faults::{Fault, When},
};

const ANNA: &str = "AB123456";
const API: &str = "vpn-operator-api";
const KUBECTL: &str = "kubectl-client-side-apply";

fn holds(cluster: &Cluster) -> Vec<String> {
    cluster.kube.names("vpnholds")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_declares_people_and_manages_what_it_says() {
    let (cluster, operator) = Cluster::running().await;
    let (status, granted) = operator.post("/access/grant", json!({ "corporate_id": ANNA })).await;
    assert_eq!(status, 200, "{granted}");
    let declared = cluster.current(ANNA).await;
    assert_eq!(managers_of(&declared, "/f:spec/f:corporateId"), [API]);
    assert_eq!(
        managers_of(
            &declared,
            &format!("/f:metadata/f:finalizers/v:\"{}\"", FINALIZER.replace('/', "~1"))
        ),
        ["vpn-operator"]
    );
    assert_eq!(managers_of(&declared, "/f:status/f:access"), ["vpn-operator"]);

    let (status, config) = operator.get(&format!("/user/{ANNA}/config")).await;
    assert_eq!(status, 200);
    let secret = cluster.handed_out(ANNA).unwrap();
    for key in ["hy2_url", "subscription_url", "username"] {
        assert_eq!(config[key], secret[key].as_str(), "{key}");
        assert_eq!(granted[key], secret[key].as_str(), "{key}");
    }

    let (status, answer) = operator
        .post(&format!("/user/{ANNA}/deactivate"), json!({ "reason": "left" }))
        .await;
    assert_eq!(status, 200, "{answer}");
    assert!(!operator.login(&cluster.credential(ANNA), "192.0.2.1:1").await);
    let held = cluster.becomes(ANNA, "Held").await;
    assert_eq!(held["spec"]["active"], false);
    assert_eq!(managers_of(&held, "/f:spec/f:active"), [API]);
    let hold = cluster.object("vpnholds", answer["hold"].as_str().unwrap()).unwrap();
    assert_eq!(managers_of(&hold, "/f:spec/f:corporateId"), [API]);
    assert_eq!(finalizers(&hold), [FINALIZER]);

    let (status, answer) = operator.post(&format!("/user/{ANNA}/activate"), json!({})).await;
    assert_eq!((status, &answer["status"]), (200, &json!("activated")), "{answer}");
    assert!(operator.login(&cluster.credential(ANNA), "192.0.2.1:2").await);
    assert_eq!(holds(&cluster), [""; 0]);

    let old = cluster.credential(ANNA);
    let (status, answer) = operator
        .post(&format!("/user/{ANNA}/rotate"), json!({ "what": "both" }))
        .await;
    assert_eq!(status, 200, "{answer}");
    assert!(!operator.login(&old, "192.0.2.1:3").await);
    let rotated = cluster.current(ANNA).await;
    assert_eq!(managers_of(&rotated, "/f:spec/f:credentialGeneration"), [API]);
    assert_eq!(
        managers_of(&rotated, "/f:spec/f:corporateId"),
        [API],
        "nothing else was let go"
    );
    assert_eq!(
        answer["config"]["hy2_url"],
        cluster.handed_out(ANNA).unwrap()["hy2_url"].as_str()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_git_says_is_never_taken_over() {
    let (cluster, operator) = Cluster::running().await;
    let manifest = user(ANNA, json!({ "active": true, "credentialGeneration": 1 })).to_string();
    let sync = || cluster.kubectl.apply::<VpnUser>("flux", &manifest, false);
    sync().await.unwrap();
    cluster.current(ANNA).await;
    let credential = cluster.credential(ANNA);

    let (status, answer) = operator.post(&format!("/user/{ANNA}/deactivate"), json!({})).await;
    assert_eq!(status, 200, "{answer}");
    let detail = answer["detail"].as_str().unwrap();
    assert!(
        detail.contains("the hold keeps the person out") && detail.contains("flux"),
        "{detail}"
    );
    assert!(!operator.login(&credential, "192.0.2.1:1").await);
    let held = cluster.becomes(ANNA, "Held").await;
    assert_eq!(held["spec"]["active"], true);
    assert_eq!(managers_of(&held, "/f:spec/f:active"), ["flux"]);
    sync().await.unwrap();
    cluster.rest().await;
    assert!(!operator.login(&credential, "192.0.2.1:2").await);

    let (status, answer) = operator
        .post(&format!("/user/{ANNA}/rotate"), json!({ "what": "password" }))
        .await;
    assert_eq!(status, 409, "{answer}");
    assert!(answer.to_string().contains("flux"), "{answer}");
    assert_eq!(cluster.user(ANNA).unwrap()["spec"]["credentialGeneration"], 1);

    let (status, answer) = operator.post(&format!("/user/{ANNA}/activate"), json!({})).await;
    assert_eq!((status, &answer["status"]), (200, &json!("activated")), "{answer}");
    assert!(operator.login(&credential, "192.0.2.1:3").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_activation_says_that_git_says_otherwise() {
    let (cluster, operator) = Cluster::running().await;
    let credential = cluster.add(ANNA).await;
    let (status, answer) = operator.post(&format!("/user/{ANNA}/deactivate"), json!({})).await;
    assert_eq!(status, 200, "{answer}");
    // Git comes to say the same.
    let sync = |active: bool| {
        let manifest = user(ANNA, json!({ "active": active })).to_string();
        let kubectl = &cluster.kubectl;
        async move { kubectl.apply::<VpnUser>("flux", &manifest, false).await }
    };
    sync(false).await.unwrap();
    let (status, answer) = operator.post(&format!("/user/{ANNA}/activate"), json!({})).await;
    let detail = answer["detail"].as_str().unwrap();
    assert_eq!(status, 409, "{answer}");
    assert!(detail.contains("spec.active") && detail.contains("flux"), "{detail}");
    assert!(!operator.login(&credential, "192.0.2.1:1").await);
    assert_eq!(holds(&cluster).len(), 1, "what was not done is not half done");
    sync(true).await.unwrap();
    let (status, answer) = operator.post(&format!("/user/{ANNA}/activate"), json!({})).await;
    assert_eq!((status, &answer["status"]), (200, &json!("activated")), "{answer}");
    assert!(operator.login(&credential, "192.0.2.1:2").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_that_somebody_declares_at_the_very_moment_is_not_taken_over() {
    let (cluster, operator) = Cluster::running().await;
    let put = cluster.kube.writer();
    let mut theirs = user(
        ANNA,
        json!({ "owner": "Anna", "active": true, "credentialGeneration": 1 }),
    );
    theirs["metadata"]["namespace"] = json!("default");
    theirs["metadata"]["uid"] = json!("u-of-git");
    theirs["metadata"]["generation"] = json!(1);
    let beside = Fault::Beside(Arc::new(move || put("vpnusers", &name(ANNA), theirs.clone())));
    let create = When::request(1).by(OPERATOR).verb("create").resource("vpnusers");
    cluster.kube.fault(create, beside);
    let (status, answer) = operator.post("/access/grant", json!({ "corporate_id": ANNA })).await;
    assert!(status == 200 || status == 409, "{answer}");
    let declared = cluster.current(ANNA).await;
    assert_eq!(declared["metadata"]["uid"], "u-of-git");
    assert_eq!(managers_of(&declared, "/f:spec/f:corporateId"), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_kubectl_claims_without_saying_it_can_be_flipped() {
    let (cluster, operator) = Cluster::running().await;
    // As `kubectl apply` without `--server-side`: it remembers what it was given, and owns what was filled in.
    let mut manifest = user(ANNA, json!({ "owner": "Anna" }));
    let last = manifest.to_string();
    manifest["metadata"]["annotations"] = json!({ "kubectl.kubernetes.io/last-applied-configuration": last });
    let api = cluster.kubectl.api::<VpnUser>();
    let params = PostParams {
        field_manager: Some(KUBECTL.to_owned()),
        ..PostParams::default()
    };
    api.create(&params, &serde_json::from_value(manifest.clone()).unwrap())
        .await
        .unwrap();
    let created = cluster.current(ANNA).await;
    assert_eq!(
        managers_of(&created, "/f:spec/f:active"),
        [KUBECTL],
        "or the test shows nothing"
    );

    let (status, answer) = operator.post(&format!("/user/{ANNA}/deactivate"), json!({})).await;
    assert_eq!((status, &answer["detail"]), (200, &Value::Null), "{answer}");
    assert_eq!(cluster.becomes(ANNA, "Held").await["spec"]["active"], false);
    // The same manifest again: nothing in it changed, so nothing of `active` is sent.
    let params = PatchParams {
        field_manager: Some(KUBECTL.to_owned()),
        ..PatchParams::default()
    };
    let again = json!({ "metadata": manifest["metadata"], "spec": { "owner": "Anna" } });
    api.patch(&name(ANNA), &params, &Patch::Merge(again)).await.unwrap();
    assert_eq!(cluster.user(ANNA).unwrap()["spec"]["active"], false);
    let (status, answer) = operator.post(&format!("/user/{ANNA}/activate"), json!({})).await;
    assert_eq!((status, &answer["status"]), (200, &json!("activated")), "{answer}");
    assert_eq!(cluster.current(ANNA).await["spec"]["active"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_grants_at_once_and_a_grant_for_whom_git_declared_make_one_object() {
    let (cluster, operator) = Cluster::running().await;
    let grant = || operator.post("/access/grant", json!({ "corporate_id": ANNA }));
    let (one, two) = tokio::join!(grant(), grant());
    assert_eq!((one.0, two.0), (200, 200), "{one:?} {two:?}");
    assert_eq!(one.1["hy2_url"], two.1["hy2_url"]);
    assert_eq!(cluster.kube.names("vpnusers"), ["default/ab123456"]);
    cluster.apply("CD123456", json!({ "owner": "Carla" })).await;
    let (status, answer) = operator
        .post("/access/grant", json!({ "corporate_id": "cd123456" }))
        .await;
    assert_eq!(status, 200, "{answer}");
    let declared = cluster.current("CD123456").await;
    assert_eq!(managers_of(&declared, "/f:spec/f:corporateId"), ["kubectl"]);
}
