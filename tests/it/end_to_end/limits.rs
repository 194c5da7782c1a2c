//! What a person may use, for how long, and from how many devices.

use std::{sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::operator::{House, STATS_SECRET, derived, eventually, gateway, user};
use crate::support::hysteria_node::{Auth, HysteriaNode};

const ANNA: &str = "AB123456";
const MIB: u64 = 1 << 20;

#[tokio::test(flavor = "multi_thread")]
async fn a_quota_is_enforced_within_a_poll_and_remembered_over_restarts() {
    let (house, [node]) = House::with_nodes().await;
    house.write("anna.yaml", &user(ANNA, "  traffic: { limit: 10Mi }\n"));
    let operator = house.start().await;
    let secret = operator.credential(ANNA).await;
    let mut device = operator.connect(&node, &secret, "192.0.2.1:1").await.unwrap();
    device.send(2 * MIB, 4 * MIB).unwrap();
    let used = async |operator: &super::operator::Operator| {
        operator.get("/user/AB123456").await.1["usage"]["used"]
            .as_u64()
            .unwrap()
    };
    eventually("the traffic is counted", async || {
        (used(&operator).await == 6 * MIB).then_some(())
    })
    .await;
    operator.kill();

    let operator = house.start().await;
    assert_eq!(used(&operator).await, 6 * MIB);
    device.send(MIB, 3 * MIB).unwrap();
    operator.becomes(ANNA, "OverQuota").await;
    eventually("nothing is counted twice", async || {
        (used(&operator).await == 10 * MIB).then_some(())
    })
    .await;
    assert!(!operator.login(&secret, "192.0.2.1:2").await);
    eventually("the session is cut", async || device.send(1, 1).is_err().then_some(())).await;
    operator.kill();

    let operator = house.start().await;
    assert_eq!(operator.verdict(ANNA).await, "OverQuota");
    assert!(!operator.login(&secret, "192.0.2.1:3").await);
    house.write("anna.yaml", &user(ANNA, "  traffic: { limit: 20Mi }\n"));
    operator.becomes(ANNA, "Granted").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quota_at_full_speed_is_not_used_until_the_next_poll() {
    const LIMIT: u64 = 10 * MIB;
    let (mut house, [node]) = House::with_nodes().await;
    // What is moved until the end of such a poll is a hundred times the limit.
    house.set("HYSTERIA_POLL_INTERVAL", "60s");
    house.write("anna.yaml", &user(ANNA, "  traffic: { limit: 10Mi }\n"));
    house.write("chris.yaml", &user("CD234567", ""));
    let operator = house.start().await;
    let (anna, chris) = (operator.credential(ANNA).await, operator.credential("CD234567").await);
    let mut free = operator.connect(&node, &chris, "192.0.2.2:1").await.unwrap();
    let mut device = operator.connect(&node, &anna, "192.0.2.1:1").await.unwrap();
    let mut moved = 0;
    // 25 MiB a second.
    while device.send(0, MIB / 4).is_ok() {
        moved += MIB / 4;
        free.send(0, MIB).unwrap();
        assert!(moved < 20 * LIMIT, "not cut before {moved} bytes");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    operator.becomes(ANNA, "OverQuota").await;
    assert!(moved >= LIMIT, "{moved}");
    free.send(0, 1).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn access_begins_and_ends_at_its_second() {
    let (house, [node]) = House::with_nodes().await;
    // Whole seconds, as people write them; far enough ahead that the start is over by then.
    let from = Timestamp::from_second(Timestamp::now().as_second() + 2).unwrap();
    let until = from + SignedDuration::from_secs(1);
    house.write(
        "anna.yaml",
        &user(ANNA, &format!("  validFrom: {from}\n  validUntil: {until}\n")),
    );
    house.write("chris.yaml", &user("CD234567", ""));
    let operator = house.start().await;
    assert_eq!(operator.verdict(ANNA).await, "NotYetValid");
    let (status, refused) = operator.post("/access/grant", json!({ "corporate_id": ANNA })).await;
    assert_eq!((status, &refused["reason"]), (409, &json!("NotYetValid")));
    // The API does not hand it out yet.
    let secret = derived(ANNA);
    let mut device = None;
    let (mut first_yes, mut last_yes) = (None, None);
    let mut port = 1000;
    while Timestamp::now() < until + SignedDuration::from_millis(300) {
        let before = Timestamp::now();
        port += 1;
        let yes = operator.login(&secret, &format!("192.0.2.1:{port}")).await;
        let after = Timestamp::now();
        assert!(
            !yes || (after >= from && before < until),
            "let in at {before}, {from}..{until}"
        );
        assert!(
            yes || after < from || before < from || after >= until,
            "refused at {before}, {from}..{until}"
        );
        if yes {
            first_yes.get_or_insert(before);
            last_yes = Some(after);
            if device.is_none() {
                device = operator.connect(&node, &secret, "192.0.2.1:1").await.ok();
            }
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(first_yes.is_some() && last_yes.is_some(), "never let in");
    let mut device = device.unwrap();
    eventually("the session ends too", async || {
        device.send(1, 1).is_err().then_some(())
    })
    .await;
    operator.becomes(ANNA, "Expired").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_cuts_the_old_password_and_the_new_one_works() {
    let (house, [node]) = House::with_nodes().await;
    house.write("anna.yaml", &user(ANNA, "  active: true # as agreed\n"));
    let operator = house.start().await;
    let (_, before) = operator.get("/user/AB123456/config").await;
    let old = operator.credential(ANNA).await;
    let mut device = operator.connect(&node, &old, "192.0.2.1:1").await.unwrap();
    let (status, answer) = operator
        .post("/user/AB123456/rotate", json!({ "what": "password" }))
        .await;
    assert_eq!((status, &answer["status"]), (200, &json!("rotated")), "{answer}");
    let new = operator.credential(ANNA).await;
    assert_ne!(old, new);
    assert!(!operator.login(&old, "192.0.2.1:2").await);
    let mut fresh = operator.connect(&node, &new, "192.0.2.1:3").await.unwrap();
    eventually("the old session is cut", async || {
        fresh.send(1, 1).unwrap();
        device.send(1, 1).is_err().then_some(())
    })
    .await;
    assert_eq!(answer["config"]["subscription_url"], before["subscription_url"]);
    let text = house.read("anna.yaml");
    assert!(
        text.contains("credentialGeneration: 2") && text.contains("# as agreed"),
        "{text}"
    );

    let (_, answer) = operator
        .post("/user/AB123456/rotate", json!({ "what": "subscription" }))
        .await;
    assert_ne!(answer["config"]["subscription_url"], before["subscription_url"]);
    assert_eq!(operator.credential(ANNA).await, new);
    fresh.send(1, 1).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_devices_than_allowed_also_right_after_a_restart() {
    let (house, [node]) = House::with_nodes().await;
    house.write("anna.yaml", &user(ANNA, "  maxDevices: 2\n"));
    let operator = house.start().await;
    let secret = operator.credential(ANNA).await;
    let mut devices = Vec::new();
    for number in 0..8 {
        if let Ok(device) = operator.connect(&node, &secret, &format!("192.0.2.{number}:1")).await {
            devices.push(device);
        }
    }
    // One more than allowed, for a phone that changes networks.
    assert_eq!(devices.len(), 3);
    operator.recorded(&house, 1).await;
    operator.kill();
    let operator = house.start().await;
    for number in 10..14 {
        assert!(!operator.login(&secret, &format!("192.0.2.{number}:1")).await);
    }
    for device in devices {
        device.close();
    }
    eventually("a place is free again", async || {
        operator.login(&secret, "192.0.2.20:1").await.then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_whose_gateways_are_narrowed_is_cut_where_access_ended() {
    let house = House::new();
    let fra = HysteriaNode::start(STATS_SECRET, Duration::from_millis(300)).await;
    let ams = HysteriaNode::start(STATS_SECRET, Duration::from_millis(300)).await;
    for (name, node) in [("fra", &fra), ("ams", &ams)] {
        let token = house.path(name);
        std::fs::write(&token, format!("token-of-{name}")).unwrap();
        house.write(&format!("{name}.yaml"), &gateway(name, node, &token));
    }
    house.write("anna.yaml", &user(ANNA, "  gateways: [fra, ams]\n"));
    let operator = house.start().await;
    let (_, config) = operator.get("/user/AB123456/config").await;
    assert_eq!(config["links"].as_array().unwrap().len(), 2, "{config}");
    let secret = operator.credential(ANNA).await;
    let connect = async |node: &Arc<HysteriaNode>, name: &str, addr: &str| {
        let url = format!("http://{}/auth/token-of-{name}", operator.auth);
        node.connect(Auth::Url(&url), &secret, addr).await
    };
    let mut goes = connect(&ams, "ams", "192.0.2.1:2").await.unwrap();
    eventually("both accounts are seen", async || {
        let (_, page) = operator.get("/user/AB123456").await;
        let seen = page["gateways"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|g| g["account"] == "Present");
        (seen.count() == 2).then_some(())
    })
    .await;

    house.write("anna.yaml", &user(ANNA, "  gateways: [fra]\n"));
    eventually("auth refuses there", async || {
        connect(&ams, "ams", "192.0.2.1:3").await.is_err().then_some(())
    })
    .await;
    eventually("the session there is cut", async || {
        goes.send(1, 1).is_err().then_some(())
    })
    .await;
    assert!(connect(&fra, "fra", "192.0.2.1:4").await.is_ok());
    let (_, config) = operator.get("/user/AB123456/config").await;
    assert_eq!(config["links"].as_array().unwrap().len(), 1, "{config}");
    assert!(
        config["hy2_url"].as_str().unwrap().contains("fra.example.com"),
        "{config}"
    );
}
