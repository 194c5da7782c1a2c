//! Nodes that are down, come back, and are restarted.

use serde_json::json;

use super::operator::{House, eventually, user};

const ANNA: &str = "AB123456";

#[tokio::test(flavor = "multi_thread")]
async fn the_proof_of_somebody_who_is_deleted_can_be_read_and_is_completed_after_they_are_gone() {
    let (house, [node]) = House::with_nodes().await;
    house.write("anna.yaml", &user(ANNA, ""));
    house.write("chris.yaml", &user("CD234567", ""));
    let operator = house.start().await;
    let (status, never) = operator.get("/user/ZZ999999").await;
    assert_eq!(status, 404, "{never}");
    assert!(!never["detail"].as_str().unwrap().contains("any more"), "{never}");
    let secret = operator.credential(ANNA).await;
    let mut device = operator.connect(&node, &secret, "192.0.2.1:1").await.unwrap();
    device.send(1, 1).unwrap();

    house.remove("anna.yaml");
    let detail = async || {
        let (status, problem) = operator.get("/user/AB123456").await;
        (status == 404).then(|| problem["detail"].as_str().unwrap().to_owned())
    };
    let gone = eventually("she is nobody, and it is told what happened", async || {
        detail().await.filter(|detail| detail.contains("any more"))
    })
    .await;
    assert!(
        gone.contains("Deleted") && gone.contains("no session passed another byte from"),
        "{gone}"
    );
    // The device was silent; now it notices.
    eventually("the device is out", async || device.send(1, 1).is_err().then_some(())).await;
    eventually("the end of the last session is recorded", async || {
        detail()
            .await
            .filter(|detail| detail.contains("no session was left from"))
    })
    .await;
    let (_, audit) = operator.get("/audit?corporate_id=AB123456").await;
    assert!(audit.to_string().contains("access.denied"), "{audit}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_down_keeps_the_revocation_open_until_it_is_back() {
    let (house, [one, two]) = House::with_nodes().await;
    house.write("anna.yaml", &user(ANNA, ""));
    house.write("chris.yaml", &user("CD234567", ""));
    let operator = house.start().await;
    let (anna, chris) = (operator.credential(ANNA).await, operator.credential("CD234567").await);
    let mut near = operator.connect(&one, &anna, "192.0.2.1:1").await.unwrap();
    let mut far = operator.connect(&two, &anna, "192.0.2.1:2").await.unwrap();
    let mut other = operator.connect(&two, &chris, "192.0.2.2:1").await.unwrap();
    two.take_down().await;
    eventually("the node is shown as down", async || {
        (!operator.check("node/default/node-2").await.is_empty()).then_some(())
    })
    .await;

    house.write("anna.yaml", &user(ANNA, "  active: false\n"));
    eventually("cut where it can be", async || near.send(1, 1).is_err().then_some(())).await;
    let revocation = eventually("only one node is missing", async || {
        let (_, page) = operator.get("/user/AB123456").await;
        let revocation = page["revocation"].clone();
        (revocation["waiting_for"] == json!(["default/node-2"])).then_some(revocation)
    })
    .await;
    assert!(
        revocation["denied_at"].is_string() && revocation["contained_at"].is_null(),
        "{revocation}"
    );
    operator
        .recorded_with(&house, "waitingFor\":[\"default/node-2", 1)
        .await;
    operator.kill();

    let operator = house.start().await;
    assert!(!operator.login(&anna, "192.0.2.1:3").await);
    two.bring_up().await;
    eventually("contained", async || {
        let (_, page) = operator.get("/user/AB123456").await;
        page["revocation"]["contained_at"].is_string().then_some(())
    })
    .await;
    assert!(far.send(1, 1).is_err());
    other.send(1, 1).unwrap();
    let (_, page) = operator.get("/user/AB123456").await;
    assert_eq!(
        page["revocation"]["denied_at"].as_str().unwrap()[..23],
        revocation["denied_at"].as_str().unwrap()[..23],
        "a restart does not move the time of the denial"
    );
    assert_eq!(page["revocations"].as_array().unwrap().len(), 1, "{page}");
    eventually("history has all three times", async || {
        let (_, page) = operator.get("/user/AB123456").await;
        page["revocations"][0]["sessions_zero_at"].is_string().then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restarted_node_neither_loses_nor_doubles_traffic() {
    let (house, [node]) = House::with_nodes().await;
    house.write("anna.yaml", &user(ANNA, ""));
    let operator = house.start().await;
    let secret = operator.credential(ANNA).await;
    let used = async || operator.get("/user/AB123456/config").await.1["traffic_stats"].clone();
    let mut device = operator.connect(&node, &secret, "192.0.2.1:1").await.unwrap();
    device.send(1000, 5000).unwrap();
    eventually("counted", async || {
        (used().await == json!({ "upload": 1000, "download": 5000 })).then_some(())
    })
    .await;
    node.restart();
    assert!(device.send(1, 1).is_err());
    let mut device = operator.connect(&node, &secret, "192.0.2.1:2").await.unwrap();
    device.send(7, 9).unwrap();
    eventually("added", async || {
        (used().await == json!({ "upload": 1007, "download": 5009 })).then_some(())
    })
    .await;
}
