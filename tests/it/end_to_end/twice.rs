//! The same asked twice at the same moment.

use futures::future::join_all;
use serde_json::json;

use super::operator::{House, eventually, user};

#[tokio::test(flavor = "multi_thread")]
async fn granting_twice_at_once_gives_one_person_and_one_answer() {
    let (house, [_node]) = House::with_nodes().await;
    let operator = house.start().await;
    let grants = (0..8).map(|_| operator.post("/access/grant", json!({ "corporate_id": "AB123456" })));
    let answers = join_all(grants).await;
    for (status, answer) in &answers {
        assert_eq!(*status, 200, "{answer}");
        assert_eq!(answer, &answers[0].1);
    }
    let secret = super::operator::credential(answers[0].1["hy2_url"].as_str().unwrap());
    assert!(
        operator.login(&secret, "192.0.2.1:1").await,
        "the answer comes when the account is usable"
    );
    assert_eq!(std::fs::read_dir(house.folder()).unwrap().count(), 1);
    operator.kill();
    let operator = house.start().await;
    let (_, again) = operator
        .post("/access/grant", json!({ "corporate_id": "ab123456" }))
        .await;
    assert_eq!(again["hy2_url"], answers[0].1["hy2_url"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_deactivations_at_once_give_one_hold_and_both_the_proof() {
    let (house, [node]) = House::with_nodes().await;
    house.write("anna.yaml", &user("AB123456", ""));
    let operator = house.start().await;
    let secret = operator.credential("AB123456").await;
    let mut device = operator.connect(&node, &secret, "192.0.2.1:1").await.unwrap();
    let answers = join_all((0..8).map(|_| operator.post("/user/AB123456/deactivate", json!({})))).await;
    for (status, answer) in &answers {
        assert_eq!((*status, &answer["status"]), (200, &json!("deactivated")), "{answer}");
        assert!(answer["contained_at"].is_string(), "{answer}");
        assert_eq!(answer["denied_at"], answers[0].1["denied_at"]);
    }
    assert!(device.send(1, 1).is_err(), "not a byte passes after the answer");
    let (_, holds) = operator.get("/holds").await;
    assert_eq!(holds["holds"].as_array().unwrap().len(), 1, "{holds}");

    let (grant, activate) = tokio::join!(
        operator.post("/access/grant", json!({ "corporate_id": "AB123456" })),
        operator.post("/user/AB123456/activate", json!({})),
    );
    assert!(matches!(grant.0, 200 | 409), "{grant:?}");
    assert_eq!(activate.0, 200, "{activate:?}");
    eventually("access is back", async || {
        operator.login(&secret, "192.0.2.1:2").await.then_some(())
    })
    .await;
}
