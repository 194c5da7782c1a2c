//! What does not resolve is `Stalled` with a message that says what to do, and heals by itself.

use k8s_openapi::api::core::v1::Secret;
use serde_json::json;
use vpn_operator::model::gateway::VpnGateway;

use crate::kubernetes::cluster::{Cluster, condition, secret_name};

const ANNA: &str = "AB123456";

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_is_not_there_yet() {
    let (cluster, operator) = Cluster::running().await;
    cluster.gateway("default", json!({})).await;
    cluster.apply(ANNA, json!({ "gateways": ["fra"] })).await;
    let message = cluster.stalled(ANNA, "GatewayNotFound").await;
    assert!(
        message.contains("VpnGateway named fra") && message.contains("create it"),
        "{message}"
    );
    cluster.event(ANNA, "GatewayNotFound").await;
    cluster.gateway("fra", json!({})).await;
    cluster.current(ANNA).await;
    let link = cluster.handed_out(ANNA).unwrap().remove("hy2_url").unwrap();
    assert!(link.contains("@fra.example.com"), "{link}");
    assert!(operator.login(&cluster.credential(ANNA), "192.0.2.1:1").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_of_a_node_that_is_not_there_yet() {
    let (cluster, operator) = Cluster::running().await;
    let token = json!({ "authToken": { "secretKeyRef": { "name": "node", "key": "token" } } });
    cluster.gateway("fra", token).await;
    cluster.apply(ANNA, json!({ "gateways": ["fra"] })).await;
    let stalled = |reason: &str| {
        let gateway = cluster.object("vpngateways", "fra")?;
        let stalled = condition(&gateway, "Stalled")?;
        (stalled["reason"] == reason).then_some(stalled)
    };
    let told = cluster
        .until("the gateway is Stalled", || stalled("NodeNotRunning"))
        .await;
    let message = told["message"].as_str().unwrap();
    assert!(
        message.contains("node one") && message.contains("create it"),
        "{message}"
    );
    cluster.stalled(ANNA, "NodeNotRunning").await;
    cluster.secret("node", json!({ "other": "x" })).await;
    cluster
        .until("the key is missing", || {
            let told = stalled("NodeNotRunning")?;
            told["message"].as_str()?.contains("no such key").then_some(())
        })
        .await;
    let patch = json!({ "stringData": { "token": "a-token-of-its-own" } });
    cluster.kubectl.merge::<Secret>("node", patch).await.unwrap();
    cluster.current(ANNA).await;
    cluster
        .until("the gateway is ready", || {
            let ready = condition(&cluster.object("vpngateways", "fra")?, "Ready")?;
            (ready["status"] == "True").then_some(())
        })
        .await;
    let url = format!("http://{}/auth/a-token-of-its-own", operator.auth);
    let auth = crate::support::hysteria_node::Auth::Url(&url);
    assert!(
        cluster
            .node
            .connect(auth, &cluster.credential(ANNA), "192.0.2.1:1")
            .await
            .is_ok()
    );
    cluster.check_for_leaks(&[&operator.stop().await]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_that_is_not_there_yet() {
    let (cluster, operator) = Cluster::running().await;
    let from = json!({ "credentialsFrom": { "secretKeyRef": { "name": "old-passwords", "key": "anna" } } });
    cluster.apply(ANNA, from).await;
    let message = cluster.stalled(ANNA, "CredentialsNotFound").await;
    assert!(message.contains("create it"), "{message}");
    assert!(
        !operator
            .login("corp_ab123456:the-old-password-of-anna", "192.0.2.1:1")
            .await
    );
    cluster
        .secret("old-passwords", json!({ "anna": "the-old-password-of-anna" }))
        .await;
    cluster.current(ANNA).await;
    assert!(
        operator
            .login("corp_ab123456:the-old-password-of-anna", "192.0.2.1:2")
            .await
    );
    cluster
        .until("it is handed out", || {
            (cluster.handed_out(ANNA)?["password"] == "the-old-password-of-anna").then_some(())
        })
        .await;
    let patch = json!({ "stringData": { "anna": "another-password-of-anna" } });
    cluster.kubectl.merge::<Secret>("old-passwords", patch).await.unwrap();
    cluster
        .until("the new one is handed out", || {
            (cluster.handed_out(ANNA)?["password"] == "another-password-of-anna").then_some(())
        })
        .await;
    assert!(
        operator
            .login("corp_ab123456:another-password-of-anna", "192.0.2.1:3")
            .await
    );
    assert!(
        !operator
            .login("corp_ab123456:the-old-password-of-anna", "192.0.2.1:4")
            .await
    );
    cluster.check_for_leaks(&[&operator.stop().await]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_of_somebody_else_in_the_way() {
    let (cluster, operator) = Cluster::running().await;
    cluster
        .secret(&secret_name(ANNA), json!({ "password": "of-somebody-else" }))
        .await;
    cluster.apply(ANNA, json!({})).await;
    let message = cluster.stalled(ANNA, "SecretConflict").await;
    assert!(message.contains("delete or rename it"), "{message}");
    assert_eq!(cluster.user(ANNA).unwrap()["status"]["access"], "Granted");
    assert_eq!(cluster.handed_out(ANNA).unwrap()["password"], "of-somebody-else");
    cluster.kubectl.delete::<Secret>(&secret_name(ANNA)).await.unwrap();
    cluster.current(ANNA).await;
    assert!(operator.login(&cluster.credential(ANNA), "192.0.2.1:1").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_with_users_stays_until_they_are_gone() {
    let (cluster, _operator) = Cluster::running().await;
    cluster.gateway("default", json!({})).await;
    cluster.gateway("fra", json!({})).await;
    cluster.apply(ANNA, json!({ "gateways": ["default", "fra"] })).await;
    cluster.current(ANNA).await;
    cluster.kubectl.delete::<VpnGateway>("fra").await.unwrap();
    cluster
        .until("it says that it is in use", || {
            let gateway = cluster.object("vpngateways", "fra")?;
            (condition(&gateway, "Stalled")?["reason"] == "InUse").then_some(())
        })
        .await;
    cluster.rest().await;
    assert!(cluster.object("vpngateways", "fra").is_some());
    cluster.edit(ANNA, json!({ "gateways": ["default"] })).await;
    cluster.gone("vpngateways", "fra").await;
    cluster.current(ANNA).await;
}
