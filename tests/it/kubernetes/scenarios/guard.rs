//! Too many deletions at once wait for a person; few do not.

use serde_json::json;
use vpn_operator::model::{FINALIZER, user::VpnUser};

use super::holds::pending;
use crate::{
    end_to_end::operator::{Operator, derived},
    kubernetes::cluster::{Cluster, finalizers, name, user},
};

fn id(number: usize) -> String {
    format!("AB{number:06}")
}

async fn people(count: usize) -> (Cluster, Operator) {
    let (cluster, operator) = Cluster::running().await;
    for number in 0..count {
        let mut manifest = user(&id(number), json!({}));
        manifest["metadata"]["labels"] = json!({ "leaving": (number < 30).to_string() });
        let manifest = manifest.to_string();
        cluster
            .kubectl
            .apply::<VpnUser>("kubectl", &manifest, false)
            .await
            .unwrap();
    }
    for number in 0..count {
        cluster.current(&id(number)).await;
    }
    (cluster, operator)
}

#[tokio::test(flavor = "multi_thread")]
async fn thirty_of_a_hundred_deleted_at_once_wait_until_confirmed() {
    let (cluster, operator) = people(100).await;
    cluster.delete_all::<VpnUser>(Some("leaving=true")).await;
    pending(&operator, 30).await;
    cluster.stalled(&id(3), "GuardHeldBack").await;
    for number in 0..30 {
        assert!(operator.login(&derived(&id(number)), "192.0.2.1:1").await);
        let user = cluster.user(&id(number)).unwrap();
        assert_eq!(finalizers(&user), [FINALIZER]);
        assert_eq!(user["status"]["access"], "Granted");
    }
    let operator = cluster.crash(operator).await;
    pending(&operator, 30).await;
    assert!(operator.login(&derived(&id(3)), "192.0.2.1:2").await);

    let (status, answer) = operator.post("/guard/confirm", json!({ "ids": [id(3)] })).await;
    assert_eq!(status, 200, "{answer}");
    cluster.gone("vpnusers", &name(&id(3))).await;
    assert!(!operator.login(&derived(&id(3)), "192.0.2.1:3").await);

    // Taken back: they stay as they are, and what is made anew after them has the same password.
    let (status, answer) = operator.post("/guard/cancel", json!({ "ids": [id(4)] })).await;
    assert_eq!(status, 200, "{answer}");
    pending(&operator, 28).await;
    cluster.rest().await;
    assert!(operator.login(&derived(&id(4)), "192.0.2.1:4").await);
    assert!(cluster.user(&id(4)).is_some());

    let (status, answer) = operator.post("/guard/confirm", json!({ "all": true })).await;
    assert_eq!(status, 200, "{answer}");
    for number in (0..30).filter(|number| *number != 4) {
        cluster.gone("vpnusers", &name(&id(number))).await;
        assert!(!operator.login(&derived(&id(number)), "192.0.2.1:5").await);
    }
    assert!(operator.login(&derived(&id(30)), "192.0.2.1:6").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_within_the_limit_goes_in_one_go() {
    let (mut cluster, operator) = people(5).await;
    cluster.gateway("default", json!({})).await;
    cluster.hold("helpdesk-lost-ab000001", &id(1)).await;
    cluster.becomes(&id(1), "Held").await;
    cluster
        .until("everything has its finalizer", || {
            let has = |plural: &str, name: &str| {
                cluster
                    .object(plural, name)
                    .is_some_and(|object| finalizers(&object) == [FINALIZER])
            };
            (has("vpngateways", "default") && has("vpnholds", "helpdesk-lost-ab000001")).then_some(())
        })
        .await;
    cluster.ending = true;
    let ending = cluster.kube.delete_namespace("default");
    let within = crate::kubernetes::cluster::UNTIL_TIMEOUT;
    let ended = tokio::time::timeout(within, ending).await;
    let left = ["vpnusers", "vpnholds", "vpngateways", "secrets"].map(|plural| cluster.kube.names(plural));
    assert!(ended.is_ok(), "it hangs with {left:?}");
    for number in 0..5 {
        let credential = derived(&id(number));
        assert!(
            operator
                .connect(&cluster.node, &credential, "192.0.2.1:1")
                .await
                .is_err()
        );
    }
}
