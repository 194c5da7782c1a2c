//! Events of the HR system in a cluster: what they write, under whose name, and what is left to Git.

use serde_json::{Value, json};
use vpn_operator::model::user::VpnUser;

use crate::{
    end_to_end::operator::Operator,
    kubernetes::cluster::{Cluster, managers_of, user},
    packaging::hr_holds::{OPERATOR as SERVICE_ACCOUNT, allowed},
    support::hr::{HUB_SECRET, event, hub},
};

const ANNA: &str = "AB123456";
const HOLD: &str = "hr-deactivated-ab123456";
const HR: &str = "vpn-operator-hr";

async fn cluster() -> (Cluster, Operator) {
    let mut cluster = Cluster::new().await;
    cluster.house.set("WEBHOOK_SECRET", HUB_SECRET);
    let operator = cluster.start().await;
    (cluster, operator)
}

async fn send(operator: &Operator, event_type: &str, minute: u32, data: Value) -> Value {
    let at = format!("2026-05-01T10:{minute:02}:00Z");
    let body = event(event_type, ANNA, &at, data).to_string();
    let request = operator.http().post(operator.url("/webhooks/hr-events"));
    let request = request.header("X-Hub-Signature-256", hub(body.as_bytes()));
    let answer = request.body(body).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    answer.json().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn hr_writes_under_its_own_name_and_lets_go_of_it() {
    let (cluster, operator) = cluster().await;
    let credential = cluster.add(ANNA).await;
    let answer = send(
        &operator,
        "user_deactivated",
        1,
        json!({ "deactivated_by": "hr.admin" }),
    )
    .await;
    assert_eq!(
        (&answer["status"], &answer["detail"]),
        (&json!("processed"), &Value::Null),
        "{answer}"
    );
    assert!(!operator.login(&credential, "192.0.2.1:1").await);
    let held = cluster.becomes(ANNA, "Held").await;
    assert_eq!(held["spec"]["active"], false);
    assert_eq!(managers_of(&held, "/f:spec/f:active"), [HR]);
    let hold = cluster.object("vpnholds", HOLD).unwrap();
    assert_eq!(managers_of(&hold, "/f:spec/f:corporateId"), [HR]);
    let annotations = &hold["metadata"]["annotations"];
    assert_eq!(annotations["vpn-operator.io/hr-event-at"], "2026-05-01T10:01:00Z");
    assert!(
        annotations["vpn-operator.io/ordered-by"]
            .as_str()
            .unwrap()
            .contains("hr.admin")
    );
    // The policy knows the hold that the webhook placed.
    assert!(allowed("CREATE", SERVICE_ACCOUNT, Some(&hold), None));
    assert!(allowed("DELETE", SERVICE_ACCOUNT, None, Some(&hold)));
    for (operation, object) in [("CREATE", Some(&hold)), ("UPDATE", Some(&hold)), ("DELETE", None)] {
        let old = (operation != "CREATE").then_some(&hold);
        assert!(!allowed(operation, "anna", object, old), "{operation}");
    }

    let answer = send(&operator, "user_role_changed", 2, json!({ "new_role": "Lead" })).await;
    assert_eq!(answer["status"], "processed", "{answer}");
    let answer = send(&operator, "user_activated", 3, json!({})).await;
    assert_eq!(
        (&answer["status"], &answer["detail"]),
        (&json!("processed"), &Value::Null),
        "{answer}"
    );
    assert!(operator.login(&credential, "192.0.2.1:2").await);
    let active = cluster.current(ANNA).await;
    assert_eq!(
        (&active["spec"]["active"], &active["spec"]["role"]),
        (&json!(true), &json!("Lead"))
    );
    assert_eq!(managers_of(&active, "/f:spec/f:role"), [HR]);
    assert!(!managers_of(&active, "/f:spec/f:active").contains(&HR.to_owned()));
    let annotations = active["metadata"]["annotations"].as_object().unwrap();
    assert_eq!(annotations["vpn-operator.io/hr-event-at"], "2026-05-01T10:03:00Z");
    assert_eq!(annotations["vpn-operator.io/hr-role-at"], "2026-05-01T10:02:00Z");
    assert!(
        !annotations.contains_key("vpn-operator.io/hr-inactive-at"),
        "{annotations:?}"
    );

    // What orders events stands on the objects: without the inbox an older one still counts for nothing.
    operator.kill();
    for file in ["inbox.db", "inbox.db-wal", "inbox.db-shm"] {
        let _ = std::fs::remove_file(cluster.house.data().join(file));
    }
    cluster.free_lease().await;
    let operator = cluster.start().await;
    let answer = send(
        &operator,
        "user_deactivated",
        1,
        json!({ "deactivated_by": "hr.admin" }),
    )
    .await;
    assert!(answer["detail"].as_str().unwrap().contains("came late"), "{answer}");
    assert!(operator.login(&credential, "192.0.2.1:3").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_git_owns_a_field_the_hold_does_the_work_and_the_event_says_so() {
    let (cluster, operator) = cluster().await;
    let manifest = user(ANNA, json!({ "active": true, "role": "Dev" })).to_string();
    cluster
        .kubectl
        .apply::<VpnUser>("flux", &manifest, false)
        .await
        .unwrap();
    cluster.current(ANNA).await;
    let credential = cluster.credential(ANNA);
    let answer = send(&operator, "user_deactivated", 1, json!({})).await;
    let detail = answer["detail"].as_str().unwrap();
    assert_eq!(answer["status"], "processed", "{answer}");
    assert!(
        detail.contains("the hold keeps the person out") && detail.contains("flux"),
        "{detail}"
    );
    assert!(!operator.login(&credential, "192.0.2.1:1").await);
    let held = cluster.becomes(ANNA, "Held").await;
    assert_eq!(held["spec"]["active"], true);
    assert_eq!(managers_of(&held, "/f:spec/f:active"), ["flux"]);

    let answer = send(&operator, "user_role_changed", 2, json!({ "new_role": "Lead" })).await;
    assert_eq!(answer["status"], "failed", "{answer}");
    assert!(answer["detail"].as_str().unwrap().contains("flux"), "{answer}");
    assert_eq!(cluster.user(ANNA).unwrap()["spec"]["role"], "Dev");

    let answer = send(&operator, "user_activated", 3, json!({})).await;
    assert_eq!(answer["status"], "processed", "{answer}");
    assert!(operator.login(&credential, "192.0.2.1:2").await);
    assert_eq!(cluster.kube.names("vpnholds"), [""; 0]);
}
