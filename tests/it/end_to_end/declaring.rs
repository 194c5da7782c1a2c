//! What people write into the folder, and what comes of it.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::json;

use super::operator::{House, eventually, hold, run, user};

const ANNA: &str = "AB123456";

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_denies_and_grants_within_a_second() {
    let (house, [node]) = House::with_nodes().await;
    house.write("team/anna.yaml", &user(ANNA, ""));
    let operator = house.start().await;
    let secret = operator.credential(ANNA).await;
    let mut device = operator.connect(&node, &secret, "192.0.2.1:1000").await.unwrap();
    device.send(10, 10).unwrap();

    let edited = Instant::now();
    house.write("team/anna.yaml", &user(ANNA, "  active: false\n"));
    eventually("auth refuses", async || {
        (!operator.login(&secret, "192.0.2.1:1001").await).then_some(())
    })
    .await;
    assert!(edited.elapsed() < Duration::from_secs(1), "{:?}", edited.elapsed());
    eventually("the session is kicked", async || {
        device.send(1, 1).is_err().then_some(())
    })
    .await;
    assert_eq!(operator.verdict(ANNA).await, "Inactive");

    house.write("team/anna.yaml", &user(ANNA, "  active: true\n"));
    operator.becomes(ANNA, "Granted").await;
    assert!(
        operator.login(&secret, "192.0.2.1:1002").await,
        "the password stays the same"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn any_one_hold_denies_and_only_its_source_lifts_it() {
    let (house, [_node]) = House::with_nodes().await;
    house.write(
        "people.yaml",
        &format!("{}---\n{}", user(ANNA, ""), user("CD234567", "")),
    );
    let operator = house.start().await;
    house.write("holds/laptop.yaml", &hold("helpdesk-laptop-ab123456", "ab123456", ""));
    operator.becomes(ANNA, "Held").await;
    let (status, placed) = operator
        .post(
            "/holds",
            json!({ "corporate_id": ANNA, "cause": "vacation", "reason": "at sea" }),
        )
        .await;
    assert!(matches!(status, 200 | 201), "{placed}");
    assert_eq!(operator.verdict("CD234567").await, "Granted");

    house.remove("holds/laptop.yaml");
    let (_, holds) = eventually("the file's hold is gone", async || {
        let (status, holds) = operator.get("/holds?corporate_id=AB123456").await;
        (holds["holds"].as_array().unwrap().len() == 1).then_some((status, holds))
    })
    .await;
    assert_eq!(holds["holds"][0]["name"], "api-vacation-ab123456");
    assert_eq!(operator.verdict(ANNA).await, "Held");
    let (status, answer) = operator
        .call(Method::DELETE, "/holds/api-vacation-ab123456", None)
        .await;
    assert_eq!(status, 200, "{answer}");
    operator.becomes(ANNA, "Granted").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_hold_outlives_a_restart_and_a_user_that_is_written_anew() {
    let (house, [_node]) = House::with_nodes().await;
    house.write("anna.yaml", &user(ANNA, ""));
    let operator = house.start().await;
    let (status, answer) = operator.post("/user/AB123456/deactivate", json!({})).await;
    assert_eq!((status, &answer["status"]), (200, &json!("deactivated")), "{answer}");
    assert!(answer["contained_at"].is_string(), "{answer}");
    assert!(house.read("anna.yaml").contains("active: false"));
    operator.kill();

    house.write("anna.yaml", &user(ANNA, "  active: true\n"));
    let operator = house.start().await;
    assert_eq!(operator.verdict(ANNA).await, "Held");
    let (status, answer) = operator.post("/access/grant", json!({ "corporate_id": ANNA })).await;
    assert_eq!((status, &answer["reason"]), (409, &json!("Held")), "{answer}");
    let (status, answer) = operator.post("/user/AB123456/activate", json!({})).await;
    assert_eq!((status, &answer["access"]), (200, &json!("Granted")), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_was_removed_while_the_operator_was_down_is_cut_and_disappears() {
    let (house, [node]) = House::with_nodes().await;
    house.write("anna.yaml", &user(ANNA, ""));
    house.write("chris.yaml", &user("CD234567", ""));
    let operator = house.start().await;
    let secret = operator.credential(ANNA).await;
    let mut gone = operator.connect(&node, &secret, "192.0.2.1:1000").await.unwrap();
    let chris = operator.credential("CD234567").await;
    let mut stays = operator.connect(&node, &chris, "192.0.2.2:1000").await.unwrap();
    // Once it is known that the account is there.
    eventually("the account is seen", async || {
        let (_, page) = operator.get("/user/AB123456").await;
        (page["gateways"][0]["account"] == "Present").then_some(())
    })
    .await;
    operator.recorded(&house, 2).await;
    operator.kill();
    house.remove("anna.yaml");

    let operator = house.start().await;
    assert!(!operator.login(&secret, "192.0.2.1:1001").await);
    eventually("the old session is kicked", async || {
        stays.send(1, 1).unwrap();
        gone.send(1, 1).is_err().then_some(())
    })
    .await;
    eventually("nothing is left of the object", async || {
        let (status, _) = operator.get("/user/AB123456").await;
        (status == 404).then_some(())
    })
    .await;
    let (_, audit) = operator.get("/audit?corporate_id=AB123456").await;
    assert!(audit.to_string().contains("access.denied"), "{audit}");
    operator.kill();
    let operator = house.start().await;
    // Its release may not have been recorded yet; then it is carried out again.
    eventually("it does not come back", async || {
        (operator.get("/user/AB123456").await.0 == 404).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_typo_keeps_the_last_good_version_and_is_shown_everywhere() {
    let (house, [_node]) = House::with_nodes().await;
    house.write(
        "people.yaml",
        &format!("{}---\n{}", user(ANNA, "  maxDevices: 3\n"), user("CD234567", "")),
    );
    let operator = house.start().await;
    // The second document is taken as it is, whatever is wrong with the first.
    let typo = user(ANNA, "  validUntill: 2020-01-01T00:00:00Z\n");
    house.write(
        "people.yaml",
        &format!("{typo}---\n{}", user("CD234567", "  active: false\n")),
    );
    operator.becomes("CD234567", "Inactive").await;
    let place = "people.yaml:6:3";
    let shown = operator.check("documents").await;
    assert!(
        shown[0].contains(place) && shown[0].contains("spec.validUntill"),
        "{shown:?}"
    );
    assert!(operator.log().contains(place), "the log does not name the place");
    eventually("the metric counts it", async || {
        (operator.metric("vpn_operator_source_problems").await > 0.0).then_some(())
    })
    .await;
    let (code, stdout, _) = run(house.command(&["check", "vpn"])).await;
    assert_eq!(code, 2);
    assert!(
        stdout.contains(place) && stdout.contains("spec.validUntill"),
        "{stdout}"
    );
    let page = operator.get("/user/AB123456").await.1;
    assert_eq!(
        (page["access"].as_str(), &page["max_devices"]),
        (Some("Granted"), &json!(3))
    );
    operator.kill();

    let operator = house.start().await;
    let page = operator.get("/user/AB123456").await.1;
    assert_eq!(
        (page["access"].as_str(), &page["max_devices"]),
        (Some("Granted"), &json!(3))
    );
    assert!(operator.check("documents").await[0].contains(place));

    house.write(
        "people.yaml",
        &format!("{}---\n{}", user(ANNA, "  active: false\n"), user("CD234567", "")),
    );
    operator.becomes(ANNA, "Inactive").await;
    assert_eq!(operator.check("documents").await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rules_of_the_definitions_hold_in_the_folder() {
    let (house, [_node]) = House::with_nodes().await;
    house.write("anna.yaml", &user(ANNA, "  credentialGeneration: 2\n"));
    let operator = house.start().await;
    let secret = operator.credential(ANNA).await;
    for (rest, field) in [
        ("  credentialGeneration: 1\n", "spec.credentialGeneration"),
        ("  credentialGeneration: 2\n  username: anna\n", "spec.username"),
        ("  credentialGeneration: 2\n  maxDevices: 0\n", "spec.maxDevices"),
        (
            "  credentialGeneration: 2\n  validFrom: 2020-01-02T00:00:00Z\n  validUntil: 2020-01-01T00:00:00Z\n",
            "spec.validUntil",
        ),
    ] {
        house.write("anna.yaml", &user(ANNA, rest));
        eventually(field, async || {
            let shown = operator.check("documents").await;
            (shown.len() == 1 && shown[0].contains(field)).then_some(())
        })
        .await;
        assert!(operator.login(&secret, "192.0.2.1:1").await, "{field}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_recorded_one_of_two_documents_keeps_the_name_and_both_are_named() {
    let (house, [_node]) = House::with_nodes().await;
    house.write("z.yaml", &user(ANNA, "  owner: first\n"));
    let operator = house.start().await;
    house.write("a.yaml", &user(ANNA, "  active: false\n"));
    let shown = eventually("it is shown", async || {
        Some(operator.check("documents").await).filter(|lines| !lines.is_empty())
    })
    .await;
    assert!(
        shown[0].contains("a.yaml:1:1") && shown[0].contains("z.yaml"),
        "{shown:?}"
    );
    operator.recorded(&house, 1).await;
    operator.kill();
    let operator = house.start().await;
    assert_eq!(operator.get("/user/AB123456").await.1["owner"], "first");
    assert_eq!(operator.verdict(ANNA).await, "Granted");
    house.remove("z.yaml");
    operator.becomes(ANNA, "Inactive").await;
    assert_eq!(operator.check("documents").await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_root_folder_that_is_moved_away_denies_nobody() {
    let (house, [_node]) = House::with_nodes().await;
    for id in ["AB123456", "CD234567", "EF345678"] {
        house.write(&format!("{id}.yaml"), &user(id, ""));
    }
    let operator = house.start().await;
    let secret = operator.credential(ANNA).await;
    let aside = house.path("aside");
    std::fs::rename(house.folder(), &aside).unwrap();
    eventually("it is noticed", async || {
        Some(operator.check("desired-state").await).filter(|lines| !lines.is_empty())
    })
    .await;
    assert!(operator.login(&secret, "192.0.2.1:1").await);
    operator.recorded(&house, 3).await;
    operator.kill();

    // Also from a start without the folder: what was known last is in force.
    let operator = house.start().await;
    assert!(operator.login(&secret, "192.0.2.1:2").await);
    std::fs::rename(aside, house.folder()).unwrap();
    eventually("all is well again", async || {
        operator.check("desired-state").await.is_empty().then_some(())
    })
    .await;
    house.write("AB123456.yaml", &user(ANNA, "  active: false\n"));
    operator.becomes(ANNA, "Inactive").await;
    assert_eq!(operator.verdict("CD234567").await, "Granted");
}
