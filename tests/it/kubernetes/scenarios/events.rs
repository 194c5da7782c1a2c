//! Events tell what happened, briefly and without secrets.

use serde_json::json;
use vpn_operator::model::hold::VpnHold;

use crate::{end_to_end::operator::credential, kubernetes::cluster::Cluster};

const ANNA: &str = "AB123456";

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_a_denial_and_its_proof_are_told_with_the_seconds_it_took() {
    let (cluster, operator) = Cluster::running().await;
    let password = cluster.add(ANNA).await;
    let mut session = operator.connect(&cluster.node, &password, "192.0.2.1:1").await.unwrap();
    cluster.event(ANNA, "AccessGranted").await;
    cluster.hold("hr-dismissed-ab123456", ANNA).await;
    let denied = cluster.event(ANNA, "AccessDenied").await;
    assert!(denied.note.unwrap().contains("hr-dismissed-ab123456"));
    let contained = cluster.event(ANNA, "RevocationContained").await;
    let note = contained.note.unwrap();
    let seconds = note.split(" s ").next().unwrap().rsplit(' ').next().unwrap();
    assert!(seconds.parse::<f64>().is_ok_and(|it| it >= 0.0), "{note}");
    assert!(session.send(1, 1).is_err());
    let regarding = contained.regarding.unwrap();
    let user = cluster.user(ANNA).unwrap();
    assert_eq!(regarding.uid.as_deref(), user["metadata"]["uid"].as_str());
    assert_eq!(contained.reporting_controller.as_deref(), Some("vpn-operator"));
}

#[tokio::test(flavor = "multi_thread")]
async fn many_long_names_fit_and_nothing_secret_is_said_anywhere() {
    let (cluster, operator) = Cluster::running().await;
    let password = cluster.add(ANNA).await;
    let holds: Vec<String> = (0..40)
        .map(|number| format!("helpdesk-{}{number}-ab123456", "long".repeat(4)))
        .collect();
    for hold in &holds {
        cluster.hold(hold, ANNA).await;
    }
    cluster
        .until("all of them are named", || {
            let granted = crate::kubernetes::cluster::condition(&cluster.user(ANNA)?, "Granted")?;
            holds
                .iter()
                .all(|hold| granted["message"].as_str().unwrap().contains(hold))
                .then_some(())
        })
        .await;
    let operator = cluster.crash(operator).await;
    cluster.delete_all::<VpnHold>(None).await;
    super::holds::pending(&operator, 40).await;
    cluster.edit(ANNA, json!({ "active": false })).await;
    cluster.current(ANNA).await;
    let (status, _) = operator.post("/guard/confirm", json!({ "all": true })).await;
    assert_eq!(status, 200);
    cluster
        .edit(ANNA, json!({ "active": true, "credentialGeneration": 2 }))
        .await;
    cluster.becomes(ANNA, "Granted").await;
    let (_, config) = operator.get(&format!("/user/{ANNA}/config")).await;
    assert_ne!(credential(config["hy2_url"].as_str().unwrap()), password);
    assert!(!operator.login(&password, "192.0.2.1:1").await);
    cluster.rest().await;
    let events = cluster.kube.versions("events");
    assert!(events.len() >= 4);
    for event in &events {
        assert!(event["note"].as_str().unwrap().len() <= 1024, "{event}");
    }
    let metrics = operator.text("/metrics").await;
    let ready = operator.text("/readyz?verbose").await;
    cluster.check_for_leaks(&[&metrics, &ready, &operator.stop().await]);
}
