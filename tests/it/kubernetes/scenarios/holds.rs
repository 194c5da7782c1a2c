//! A hold beats whatever is declared of its person, for as long as nobody lifts it.

use serde_json::json;
use vpn_operator::model::{FINALIZER, hold::VpnHold, user::VpnUser};

use crate::{
    end_to_end::operator::{Operator, derived},
    kubernetes::cluster::{Cluster, condition, finalizers, name, user},
    support::kube::faults::{Fault, When},
};

const ANNA: &str = "AB123456";
const HOLD: &str = "hr-dismissed-ab123456";

async fn refused(operator: &Operator, credential: &str, when: &str) {
    assert!(!operator.login(credential, "192.0.2.1:1").await, "{when}");
}

#[tokio::test(flavor = "multi_thread")]
async fn applying_replacing_and_making_the_user_anew_let_nobody_in() {
    let (cluster, operator) = Cluster::running().await;
    let credential = cluster.add(ANNA).await;
    cluster.hold(HOLD, ANNA).await;
    let held = cluster.becomes(ANNA, "Held").await;
    refused(&operator, &credential, "held").await;
    let granted = condition(&held, "Granted").unwrap();
    assert_eq!(
        (&granted["status"], &granted["reason"]),
        (&json!("False"), &json!("Held"))
    );
    assert!(granted["message"].as_str().unwrap().contains(HOLD), "{granted}");
    cluster.current(ANNA).await;
    cluster
        .until("the hold is guarded and says that it lives", || {
            let hold = cluster.object("vpnholds", HOLD)?;
            (hold["status"]["phase"] == "Live" && finalizers(&hold) == [FINALIZER]).then_some(())
        })
        .await;

    // From here on every version that anybody sees says that the person is out.
    let shown = cluster.kube.versions("vpnusers").len();
    let manifest = user(ANNA, json!({ "active": true, "owner": "Git" })).to_string();
    cluster.kubectl.apply::<VpnUser>("flux", &manifest, true).await.unwrap();
    refused(&operator, &credential, "applied").await;
    cluster.current(ANNA).await;
    refused(&operator, &credential, "applied, and seen").await;
    cluster.kubectl.replace::<VpnUser>(&manifest).await.unwrap();
    refused(&operator, &credential, "replaced").await;
    cluster.current(ANNA).await;
    refused(&operator, &credential, "replaced, and seen").await;
    cluster.kubectl.delete::<VpnUser>(&name(ANNA)).await.unwrap();
    cluster.gone("vpnusers", &name(ANNA)).await;
    refused(&operator, &credential, "deleted").await;
    cluster.kubectl.create::<VpnUser>(&manifest).await.unwrap();
    refused(&operator, &credential, "made anew").await;
    cluster.current(ANNA).await;
    refused(&operator, &credential, "made anew, and seen").await;
    for version in &cluster.kube.versions("vpnusers")[shown..] {
        let access = &version["status"]["access"];
        assert!(access.is_null() || access == "Denied", "{version}");
    }

    let operator = cluster.crash(operator).await;
    refused(&operator, &credential, "after a crash").await;
    cluster.kubectl.delete::<VpnHold>(HOLD).await.unwrap();
    cluster.gone("vpnholds", HOLD).await;
    cluster.becomes(ANNA, "Granted").await;
    assert!(
        operator.login(&credential, "192.0.2.1:9").await,
        "one is within the limit"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hold_may_come_before_its_user_and_have_an_end() {
    let (cluster, operator) = Cluster::running().await;
    cluster.hold(HOLD, "ab123456").await;
    cluster
        .until("the operator has seen it", || {
            let hold = cluster.object("vpnholds", HOLD)?;
            (hold["status"]["phase"] == "Live").then_some(())
        })
        .await;
    cluster.apply(ANNA, json!({})).await;
    cluster.becomes(ANNA, "Held").await;
    let credential = derived(ANNA);
    for version in cluster.kube.versions("vpnusers") {
        assert_ne!(version["status"]["access"], "Granted");
    }
    refused(&operator, &credential, "the ID is the same in any case").await;
    let (status, answer) = operator.post("/access/grant", json!({ "corporate_id": ANNA })).await;
    assert_eq!(status, 409, "{answer}");
    assert!(answer.to_string().contains(HOLD), "{answer}");
    cluster.kubectl.delete::<VpnHold>(HOLD).await.unwrap();
    cluster.becomes(ANNA, "Granted").await;

    let until = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(3);
    let body = json!({ "corporate_id": ANNA, "source": "helpdesk", "until": until.to_string() });
    let (status, answer) = operator.post("/holds", body).await;
    assert_eq!(status, 201, "{answer}");
    refused(&operator, &credential, "until it ends").await;
    operator.becomes(ANNA, "Held").await;
    operator.becomes(ANNA, "Granted").await;
    cluster.becomes(ANNA, "Granted").await;
    assert!(operator.login(&credential, "192.0.2.1:2").await);
    cluster
        .until("it says that it is over", || {
            let hold = cluster.object("vpnholds", answer["name"].as_str()?)?;
            (hold["status"]["phase"] == "Expired").then_some(())
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_lost_holds_stay_in_force_until_confirmed() {
    let (cluster, operator) = Cluster::running().await;
    let ids: Vec<String> = (0..12).map(|number| format!("AB{number:06}")).collect();
    for id in &ids {
        cluster.hold(&format!("helpdesk-held-{}", name(id)), id).await;
        cluster.apply(id, json!({})).await;
    }
    for id in &ids {
        cluster.becomes(id, "Held").await;
    }
    cluster
        .until("all are guarded", || {
            let guarded = |id: &String| {
                let hold = cluster.object("vpnholds", &format!("helpdesk-held-{}", name(id)));
                hold.is_some_and(|hold| finalizers(&hold) == [FINALIZER])
            };
            ids.iter().all(guarded).then_some(())
        })
        .await;
    cluster.delete_all::<VpnHold>(None).await;
    pending(&operator, 12).await;
    for id in &ids {
        refused(&operator, &derived(id), id).await;
    }
    let operator = cluster.crash(operator).await;
    pending(&operator, 12).await;
    for id in &ids {
        refused(&operator, &derived(id), "after the crash").await;
    }
    assert_eq!(cluster.kube.names("vpnholds").len(), 12);

    let (status, answer) = operator.post("/guard/confirm", json!({ "ids": [ids[0]] })).await;
    assert_eq!(status, 200, "{answer}");
    cluster.becomes(&ids[0], "Granted").await;
    cluster
        .gone("vpnholds", &format!("helpdesk-held-{}", name(&ids[0])))
        .await;
    refused(&operator, &derived(&ids[1]), "not confirmed").await;
    let (status, answer) = operator.post("/guard/confirm", json!({ "all": true })).await;
    assert_eq!(status, 200, "{answer}");
    for id in &ids {
        cluster.becomes(id, "Granted").await;
        assert!(operator.login(&derived(id), "192.0.2.1:1").await);
    }
    cluster
        .until("no hold is left", || {
            cluster.kube.names("vpnholds").is_empty().then_some(())
        })
        .await;
}

pub async fn pending(operator: &Operator, count: usize) {
    let what = format!("{count} wait for a person");
    crate::end_to_end::operator::within(crate::kubernetes::cluster::UNTIL_TIMEOUT, &what, async || {
        let (_, guard) = operator.get("/guard").await;
        (guard["pending"].as_array()?.len() == count).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_api_lifts_is_lifted_for_good() {
    let (cluster, operator) = Cluster::running().await;
    let credential = cluster.add(ANNA).await;
    let body = json!({ "corporate_id": ANNA, "cause": "lost", "source": "helpdesk" });
    let (status, placed) = operator.post("/holds", body).await;
    assert_eq!(status, 201, "{placed}");
    refused(&operator, &credential, "held").await;
    let path = format!("/holds/{}?source=helpdesk", placed["name"].as_str().unwrap());
    let (status, answer) = operator.call(reqwest::Method::DELETE, &path, None).await;
    assert_eq!(status, 200, "{answer}");
    assert!(operator.login(&credential, "192.0.2.1:2").await);
    cluster.gone("vpnholds", placed["name"].as_str().unwrap()).await;
    let operator = cluster.crash(operator).await;
    assert!(operator.login(&credential, "192.0.2.1:3").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn holds_that_are_deleted_before_they_have_a_finalizer_count_as_lost() {
    let (cluster, operator) = Cluster::running().await;
    let ids: Vec<String> = (0..12).map(|number| format!("AB{number:06}")).collect();
    // The operator cannot put finalizers on for now.
    cluster.kube.fault(
        When::every()
            .by(crate::kubernetes::cluster::OPERATOR)
            .verb("patch")
            .resource("vpnholds"),
        Fault::Status(500),
    );
    for id in &ids {
        cluster.hold(&format!("helpdesk-held-{}", name(id)), id).await;
    }
    for id in &ids {
        cluster.apply(id, json!({})).await;
    }
    for id in &ids {
        operator.becomes(id, "Held").await;
    }
    cluster.delete_all::<VpnHold>(None).await;
    pending(&operator, 12).await;
    assert_eq!(cluster.kube.names("vpnholds"), [""; 0]);
    for id in &ids {
        refused(&operator, &derived(id), id).await;
    }
    cluster.kube.faults().clear();
}
