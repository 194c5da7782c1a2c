//! Looking people up.

use serde_json::{Value, json};
use vpn_operator::{history::RevocationRow, model::hold::VpnHoldSpec};

use super::{
    World, ask,
    world::{id, link_token, password},
};

/// A revocation of AB123456 of which no more is known than that it denies.
fn revocation(reason: &str, denied_at: jiff::Timestamp) -> RevocationRow {
    RevocationRow {
        corporate_id: "AB123456".to_owned(),
        account: "corp_ab123456".to_owned(),
        epoch: 4,
        reason: reason.to_owned(),
        denied_at,
        contained_at: None,
        sessions_zero_at: None,
        left_out: Vec::new(),
        withdrawn_at: None,
        deleted_at: None,
    }
}

fn names(page: &Value) -> Vec<&str> {
    page["users"]
        .as_array()
        .unwrap()
        .iter()
        .map(|user| user["name"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn people_are_listed_in_pages_and_filtered() {
    let world = World::new();
    for n in 0..7 {
        world.declare(&format!("AB00000{n}"), |spec| {
            spec.active = n != 3;
            spec.owner = (n == 4).then(|| "Анна Иванова".to_owned());
            spec.email = (n == 5).then(|| "Anna@example.com".to_owned());
        });
    }
    let hold = VpnHoldSpec {
        corporate_id: id("AB000006"),
        source: "hr".to_owned(),
        reason: None,
        from: None,
        until: None,
    };
    world.hold("hr-deactivated-ab000006", hold);
    let router = world.router();
    let list = async |query: &str| ask("GET", &format!("/users?{query}")).of(&router).await.json();

    let first = list("limit=3").await;
    assert_eq!(names(&first), ["ab000000", "ab000001", "ab000002"]);
    let second = list(&format!("limit=3&after={}", first["next"].as_str().unwrap())).await;
    assert_eq!(names(&second), ["ab000003", "ab000004", "ab000005"]);
    let third = list("limit=3&after=ab000005").await;
    assert_eq!((names(&third), &third["next"]), (vec!["ab000006"], &Value::Null));

    assert_eq!(names(&list("access=Denied").await), ["ab000003", "ab000006"]);
    assert_eq!(names(&list("reason=Inactive").await), ["ab000003"]);
    assert_eq!(names(&list("held=true").await), ["ab000006"]);
    assert_eq!(names(&list("held=false&access=Denied").await), ["ab000003"]);
    assert_eq!(names(&list("q=анна").await), ["ab000004"]);
    assert_eq!(names(&list("q=ANNA@").await), ["ab000005"]);
    assert_eq!(names(&list("q=000002").await), ["ab000002"]);
    for bad in ["access=Maybe", "limit=0", "limit=1001", "held=perhaps", "acess=Denied"] {
        ask("GET", &format!("/users?{bad}")).of(&router).await.problem(422);
    }
}

#[tokio::test(start_paused = true)]
async fn a_person_is_shown_with_everything_but_secrets() {
    let world = World::new();
    world.declare("AB123456", |spec| {
        spec.owner = Some("Anna".to_owned());
        spec.traffic = Some(serde_json::from_value(json!({ "limit": "1Gi" })).unwrap());
    });
    world.used("AB123456", 5, 6).await;
    let at: jiff::Timestamp = "2026-04-30T12:00:00Z".parse().unwrap();
    world.revoked(revocation("Expired", at)).await;
    let router = world.router();
    ask("POST", "/user/AB123456/deactivate").of(&router).await;
    let answer = ask("GET", "/user/ab123456").of(&router).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let body = answer.json();
    assert_eq!(
        (&body["corporate_id"], &body["owner"]),
        (&json!("AB123456"), &json!("Anna"))
    );
    assert_eq!((&body["access"], &body["reason"]), (&json!("Denied"), &json!("Held")));
    assert_eq!(body["live_holds"], json!(["api-deactivated-ab123456"]));
    assert_eq!(body["holds"][0]["phase"], "Live");
    assert_eq!(body["sessions"], 3);
    assert_eq!(body["usage"]["used"], 11);
    assert_eq!(body["usage"]["limit"], 1_u64 << 30);
    assert_eq!(body["revocation"]["contained_at"], "2026-05-01T12:00:00Z");
    assert_eq!(body["revocations"][0]["reason"], "Expired");
    assert_eq!(body["history"][0]["action"], "deactivate");
    assert_eq!(body["traffic_by_day"][0]["download"], 6);
    for secret in [&password("AB123456", 1), &link_token("AB123456", 1), "hysteria2://"] {
        assert!(!answer.text.contains(secret));
    }
    ask("GET", "/user/AB999999").of(&router).await.problem(404);
    assert!(
        ask("GET", "/user/A$")
            .of(&router)
            .await
            .problem(422)
            .contains("position 2")
    );
}

#[tokio::test(start_paused = true)]
async fn somebody_with_only_a_hold_is_shown() {
    let world = World::new();
    let router = world.router();
    ask("POST", "/holds")
        .json(&json!({ "corporate_id": "AB123456" }))
        .of(&router)
        .await;
    let body = ask("GET", "/user/AB123456").of(&router).await.json();
    assert_eq!((&body["declared"], &body["access"]), (&json!(false), &json!("Denied")));
    assert_eq!(body["holds"].as_array().unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn whoever_has_access_only_because_of_the_guard_is_shown_so_with_the_command_that_decides() {
    let world = World::new();
    world.declare("AB000001", |_| {});
    world.declare("AB000002", |spec| spec.active = false);
    world.lock().guarded = vec![id("AB000002")];
    let router = world.router();
    let list = async |query: &str| ask("GET", &format!("/users?{query}")).of(&router).await.json();
    let held_back = list("reason=GuardHeldBack").await;
    assert_eq!(names(&held_back), ["ab000002"]);
    let decide = json!({ "confirm": "vpn-operator guard confirm AB000002",
                         "cancel": "vpn-operator guard cancel AB000002" });
    let user = &held_back["users"][0];
    assert_eq!(
        (&user["access"], &user["reason"], &user["decide"]),
        (&json!("Granted"), &json!("GuardHeldBack"), &decide)
    );
    assert_eq!(names(&list("reason=Active").await), ["ab000001"]);
    let shown = ask("GET", "/user/AB000002").of(&router).await.json();
    assert_eq!((&shown["reason"], &shown["decide"]), (&json!("GuardHeldBack"), &decide));
    let other = ask("GET", "/user/AB000001").of(&router).await.json();
    assert_eq!((&other["reason"], &other["decide"]), (&json!("Active"), &Value::Null));
}

#[tokio::test(start_paused = true)]
async fn the_proof_of_somebody_who_was_deleted_can_be_read() {
    let world = World::new();
    let at = |text: &str| -> jiff::Timestamp { text.parse().unwrap() };
    let kept = RevocationRow {
        contained_at: Some(at("2026-04-30T12:00:00.25Z")),
        deleted_at: Some(at("2026-04-30T11:59:59Z")),
        ..revocation("Deleted", at("2026-04-30T12:00:00Z"))
    };
    world.revoked(kept.clone()).await;
    let router = world.router();
    let answer = ask("GET", "/user/ab123456").of(&router).await;
    assert!(answer.problem(404).contains("was never seen"), "{}", answer.text);
    assert_eq!(answer.json()["revocation"]["sessions_zero_at"], Value::Null);

    let zero = RevocationRow {
        sessions_zero_at: Some(at("2026-04-30T12:00:31Z")),
        ..kept
    };
    world.revoked(zero).await;
    let answer = ask("GET", "/user/ab123456").of(&router).await;
    let detail = answer.problem(404);
    for part in [
        "deleted at 2026-04-30T11:59:59Z",
        "no session was left from 2026-04-30T12:00:31Z on",
        "GET /audit",
    ] {
        assert!(detail.contains(part), "{detail}");
    }
    let body = answer.json();
    assert_eq!(body["deleted_at"], "2026-04-30T11:59:59Z");
    let revocation = json!({
        "denied_at": "2026-04-30T12:00:00Z", "contained_at": "2026-04-30T12:00:00.25Z",
        "sessions_zero_at": "2026-04-30T12:00:31Z", "waiting_for": [], "unprovable": [], "left_out": [], "withdrawn_at": null,
    });
    assert_eq!(body["revocation"], revocation);

    // With a hold that stayed the person is known, and the proof is the same.
    ask("POST", "/holds")
        .json(&json!({ "corporate_id": "AB123456" }))
        .of(&router)
        .await;
    let body = ask("GET", "/user/AB123456").of(&router).await.json();
    assert_eq!(
        (&body["declared"], &body["deleted_at"]),
        (&json!(false), &json!("2026-04-30T11:59:59Z"))
    );
    assert_eq!(body["revocation"], revocation);
}

#[tokio::test]
async fn sessions_are_null_until_every_node_was_heard() {
    let world = World::new();
    world.declare("AB123456", |_| {});
    let router = world.router();
    let shown = async || {
        let list = ask("GET", "/users").of(&router).await.json();
        let page = ask("GET", "/user/AB123456").of(&router).await.json();
        (list["users"][0]["sessions"].clone(), page["sessions"].clone())
    };
    world.lock().unheard = true;
    assert_eq!(shown().await, (Value::Null, Value::Null));
    world.lock().unheard = false;
    assert_eq!(shown().await, (json!(3), json!(3)));
}
