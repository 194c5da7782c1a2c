//! What the chart's Role grants is what the operator asks for: nothing is missing, and nothing is superfluous.

use std::collections::BTreeSet;

use serde_json::json;
use vpn_operator::model::{gateway::VpnGateway, hold::VpnHold, user::VpnUser};

use crate::kubernetes::cluster::{Cluster, OPERATOR, name, role};

const ANNA: &str = "AB123456";

/// Every (group, resource, verb) of rules.
fn granted(rules: &str) -> BTreeSet<(String, String, String)> {
    let mut granted = BTreeSet::new();
    for rule in role(rules) {
        for group in rule.api_groups.iter().flatten() {
            for resource in rule.resources.iter().flatten() {
                for verb in &rule.verbs {
                    granted.insert((group.clone(), resource.clone(), verb.clone()));
                }
            }
        }
    }
    granted
}

#[tokio::test(flavor = "multi_thread")]
async fn the_controller_uses_everything_that_its_role_grants_and_nothing_else() {
    let (mut cluster, operator) = Cluster::running().await;
    // The API declares somebody, puts them out, and lets them in again.
    let (status, answer) = operator.post("/access/grant", json!({ "corporate_id": ANNA })).await;
    assert_eq!(status, 200, "{answer}");
    let (status, answer) = operator.post(&format!("/user/{ANNA}/deactivate"), json!({})).await;
    assert_eq!(status, 200, "{answer}");
    cluster.becomes(ANNA, "Held").await;
    let (status, answer) = operator.post(&format!("/user/{ANNA}/activate"), json!({})).await;
    assert_eq!(status, 200, "{answer}");
    cluster.current(ANNA).await;
    // IDs are issued until two of them share a map: the first makes it, and a file with its letters adds to it.
    let (status, issued) = operator.post("/id/issue", json!({ "owner": "Anna" })).await;
    assert_eq!(status, 200, "{issued}");
    let id = issued["id"].as_str().unwrap();
    let another = format!(
        "{}{}",
        &id[..2],
        if id.ends_with("000001") { "000002" } else { "000001" }
    );
    let (status, answer) = operator.csv("/id/import", &format!("id\n{another}\n")).await;
    assert_eq!((status, &answer["added"]), (200, &json!(1)), "{answer}");
    // A gateway with a Secret comes and goes.
    cluster.secret("node", json!({ "token": "a-token-of-its-own" })).await;
    let token = json!({ "authToken": { "secretKeyRef": { "name": "node", "key": "token" } } });
    cluster.gateway("default", json!({})).await;
    cluster.gateway("fra", token).await;
    cluster
        .kubectl
        .wait_status::<VpnGateway>("fra", crate::support::kube::kstatus::Kstatus::Current)
        .await;
    cluster.kubectl.delete::<VpnGateway>("fra").await.unwrap();
    cluster.gone("vpngateways", "fra").await;
    // A Secret is damaged twice, which is one series of Events.
    let credential = cluster.credential(ANNA);
    for _ in 0..2 {
        let patch = json!({ "stringData": { "password": "of-somebody-else" } });
        cluster.merge_secret(ANNA, patch).await;
        cluster
            .until("it is restored", || {
                (cluster.credential(ANNA) == credential).then_some(())
            })
            .await;
    }
    cluster
        .until("the series is written", || {
            let calls = cluster.kube.recorder().of(OPERATOR);
            calls
                .iter()
                .any(|call| call.resource == "events" && call.verb == "patch")
                .then_some(())
        })
        .await;
    // A hold of somebody else is deleted, and so is the user.
    cluster.hold("helpdesk-lost-ab123456", ANNA).await;
    cluster.becomes(ANNA, "Held").await;
    cluster
        .kubectl
        .delete::<VpnHold>("helpdesk-lost-ab123456")
        .await
        .unwrap();
    cluster.gone("vpnholds", "helpdesk-lost-ab123456").await;
    cluster.kubectl.delete::<VpnUser>(&name(ANNA)).await.unwrap();
    cluster.gone("vpnusers", &name(ANNA)).await;
    // A history that is forgotten makes it list everything anew.
    cluster.kube.compact();
    cluster.kube.cut_watches();
    cluster.rest().await;
    // The namespace ends, and the operator with it.
    cluster.hold("helpdesk-lost-ab123456", ANNA).await;
    cluster
        .until("the hold is seen", || {
            let hold = cluster.object("vpnholds", "helpdesk-lost-ab123456")?;
            (hold["status"]["phase"] == "Live").then_some(())
        })
        .await;
    cluster.ending = true;
    cluster.kube.mark_terminating("default");
    operator.stop().await;
    for plural in ["vpnusers", "vpnholds", "vpngateways"] {
        assert_eq!(cluster.kube.names(plural), [""; 0]);
    }

    let used = cluster.kube.recorder().permissions(OPERATOR);
    let used: BTreeSet<_> = used
        .into_iter()
        .map(|(group, resource, verb)| (group, resource, verb.to_owned()))
        .collect();
    let granted = granted("controller");
    let missing: Vec<_> = used.difference(&granted).collect();
    let superfluous: Vec<_> = granted.difference(&used).collect();
    assert!(
        missing.is_empty() && superfluous.is_empty(),
        "missing: {missing:#?}, superfluous: {superfluous:#?}"
    );
}
