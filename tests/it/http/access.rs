//! Grant, configuration, deactivate, activate, rotate.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use serde_json::{Value, json};
use vpn_operator::{history::HistoryError, model::hold::VpnHoldSpec};

use super::{
    World, ask,
    world::{id, password, sub},
};

fn grant(text: &str) -> super::Ask {
    ask("POST", "/access/grant").json(&json!({ "corporate_id": text }))
}

fn keys(value: &Value) -> Vec<&str> {
    let mut keys: Vec<&str> = value.as_object().unwrap().keys().map(String::as_str).collect();
    keys.sort_unstable();
    keys
}

fn hr_hold(text: &str) -> VpnHoldSpec {
    VpnHoldSpec {
        corporate_id: id(text),
        source: "hr".to_owned(),
        reason: Some("dismissed".to_owned()),
        from: None,
        until: None,
    }
}

#[tokio::test(start_paused = true)]
async fn a_grant_declares_the_person_and_answers_as_earlier_installations_did() {
    let world = World::new();
    let answer = grant("ab123456").of(&world.router()).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert_eq!(answer.header("cache-control"), "no-store");
    let body = answer.json();
    assert_eq!(
        keys(&body),
        ["corporate_id", "hy2_url", "qr_code", "subscription_url", "username"]
    );
    assert_eq!(body["corporate_id"], "AB123456");
    assert_eq!(body["username"], "corp_ab123456");
    let secret = password("AB123456", 1);
    let url = format!("hysteria2://corp_ab123456:{secret}@n0.example.com:443/?sni=vpn#node0");
    assert_eq!(body["hy2_url"], url);
    assert_eq!(
        body["subscription_url"],
        format!("https://vpn.example.com{}", sub("AB123456", 1))
    );
    let png = STANDARD.decode(body["qr_code"].as_str().unwrap()).unwrap();
    assert!(png.starts_with(b"\x89PNG\r\n"));

    let row = world.audit().await[0].entry.clone();
    assert_eq!((row.action.as_str(), row.source.as_str()), ("grant", "api"));
    assert_eq!(row.corporate_id.as_deref(), Some("AB123456"));
    assert_eq!(row.actor, "192.0.2.1");
    assert_eq!(row.request_id.as_deref(), Some(answer.header("x-request-id")));
}

#[tokio::test(start_paused = true)]
async fn asking_again_gives_the_same_answer_and_changes_nothing() {
    let world = World::new();
    let router = world.router();
    let first = grant("AB123456").of(&router).await.json();
    let second = grant("ab123456").of(&router).await.json();
    assert_eq!(first, second);
    assert_eq!(world.lock().writes, 1);
    // Each answer shows how to connect, which the audit tells of.
    assert_eq!(
        world.actions().await,
        ["grant", "credentials.handed-out", "credentials.handed-out"]
    );
}

#[tokio::test(start_paused = true)]
async fn a_grant_declares_what_it_says_of_the_person() {
    let world = World::new();
    let router = world.router();
    let anna = json!({ "corporate_id": "AB123456", "owner": "Anna Example", "email": "anna@example.com",
                       "role": "engineer", "valid_until": "2027-01-01T00:00:00Z" });
    let ask_for = |body: &Value| ask("POST", "/access/grant").json(body).of(&router);
    let first = ask_for(&anna).await;
    assert_eq!(first.status, 200, "{}", first.text);
    let spec = world.lock().users["ab123456"].spec.clone();
    assert_eq!(
        (spec.owner.as_deref(), spec.email.as_deref(), spec.role.as_deref()),
        (Some("Anna Example"), Some("anna@example.com"), Some("engineer"))
    );
    assert_eq!(spec.valid_until, Some("2027-01-01T00:00:00Z".parse().unwrap()));
    let after: Value = serde_json::from_str(world.audit().await[0].entry.after.as_ref().unwrap()).unwrap();
    assert_eq!(
        (&after["owner"], &after["validUntil"]),
        (&anna["owner"], &anna["valid_until"])
    );

    for same in [
        anna.clone(),
        json!({ "corporate_id": "ab123456" }),
        json!({ "corporate_id": "ab123456", "role": "engineer", "owner": null }),
    ] {
        assert_eq!(ask_for(&same).await.json(), first.json());
    }
    let other = json!({ "corporate_id": "AB123456", "owner": "Bob", "email": "anna@example.com", "valid_until": null,
                        "role": "x" });
    let answer = ask_for(&other).await;
    let detail = answer.problem(409);
    assert!(detail.contains("owner, role") && !detail.contains("email"), "{detail}");
    assert_eq!(answer.json()["type"], "urn:vpn-operator:problem:declared-otherwise");
    let changes = world
        .actions()
        .await
        .iter()
        .filter(|action| *action != "credentials.handed-out")
        .count();
    assert_eq!(changes, 1, "{:?}", world.actions().await);
    assert_eq!(world.lock().writes, 1);
}

#[tokio::test(start_paused = true)]
async fn a_grant_says_nothing_that_an_object_could_not_say() {
    let world = World::new();
    let router = world.router();
    for (field, value) in [
        ("owner", json!("x".repeat(257))),
        ("owner", json!("Anna\u{1b}[2J")),
        ("email", json!("anna")),
        ("role", json!("x".repeat(129))),
        ("role", json!("two\nlines")),
        ("valid_until", json!("2026-05-01T12:00:00Z")),
        ("valid_until", json!("2027-01-01")),
        ("valid_until", json!(7)),
    ] {
        let mut body = json!({ "corporate_id": "AB123456" });
        body[field] = value;
        let detail = ask("POST", "/access/grant").json(&body).of(&router).await.problem(422);
        assert!(detail.starts_with(&format!("{field}: ")), "{detail}");
    }
    assert_eq!(world.lock().writes, 0);
    assert!(world.actions().await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn two_grants_at_once_both_succeed() {
    let world = World::new();
    let router = world.router();
    let (one, two) = tokio::join!(grant("AB123456").of(&router), grant("AB123456").of(&router));
    assert_eq!((one.status.as_u16(), two.status.as_u16()), (200, 200));
    assert_eq!(one.json(), two.json());
    assert_eq!(world.lock().writes, 1);
}

#[tokio::test(start_paused = true)]
async fn a_grant_for_a_denied_person_is_refused_with_the_reason() {
    let past: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    let future: Timestamp = "2027-01-01T00:00:00Z".parse().unwrap();
    let world = World::new();
    world.declare("AB000001", |spec| spec.active = false);
    world.declare("AB000002", |spec| spec.valid_until = Some(past));
    world.declare("AB000003", |spec| spec.valid_from = Some(future));
    world.declare("AB000004", |spec| {
        spec.traffic = Some(serde_json::from_value(json!({ "limit": "1k" })).unwrap());
    });
    world.used("AB000004", 600, 400).await;
    world.declare("AB000005", |spec| spec.active = false);
    world.hold("hr-deactivated-ab000005", hr_hold("AB000005"));
    world.hold("hr-deactivated-ab000006", hr_hold("AB000006"));
    let router = world.router();
    let begun = tokio::time::Instant::now();
    for (text, reason, holds) in [
        ("AB000001", "Inactive", json!([])),
        ("AB000002", "Expired", json!([])),
        ("AB000003", "NotYetValid", json!([])),
        ("AB000004", "OverQuota", json!([])),
        ("AB000005", "Held", json!(["hr-deactivated-ab000005"])),
        ("AB000006", "Held", json!(["hr-deactivated-ab000006"])),
    ] {
        let answer = grant(text).of(&router).await;
        let detail = answer.problem(409);
        assert!(detail.contains(text), "{detail}");
        assert_eq!(answer.json()["reason"], reason);
        assert_eq!(answer.json()["holds"], holds);
    }
    assert_eq!(begun.elapsed(), Duration::ZERO);
    assert_eq!(world.lock().writes, 0);
    assert!(world.actions().await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_grant_that_is_not_usable_in_time_is_202_and_says_where_to_look() {
    let world = World::new();
    world.lock().lag = true;
    let begun = tokio::time::Instant::now();
    let answer = grant("AB123456").of(&world.router()).await;
    assert_eq!(answer.status, 202, "{}", answer.text);
    assert_eq!(answer.header("location"), "/user/AB123456");
    let body = answer.json();
    assert_eq!(body["status"], "accepted");
    assert_eq!(body["see"], "/user/AB123456");
    assert!(body["detail"].as_str().unwrap().contains("not in force yet"));
    assert!(begun.elapsed() >= Duration::from_secs(5) && begun.elapsed() < Duration::from_secs(6));
    assert!(!answer.text.contains(&password("AB123456", 1)));
}

#[tokio::test(start_paused = true)]
async fn a_grant_answers_as_soon_as_the_account_is_usable() {
    let world = World::new();
    world.lock().lag = true;
    let router = world.router();
    let begun = tokio::time::Instant::now();
    let later = async {
        tokio::time::sleep(Duration::from_millis(700)).await;
        world.catch_up();
    };
    let (answer, ()) = tokio::join!(grant("AB123456").of(&router), later);
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert!(begun.elapsed() < Duration::from_millis(750), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn without_a_node_a_grant_is_202_and_a_configuration_503() {
    let world = World::new();
    world.lock().nodes = 0;
    let router = world.router();
    let answer = grant("AB123456").of(&router).await;
    assert_eq!(answer.status, 202);
    assert!(
        answer.json()["detail"].as_str().unwrap().contains("no link"),
        "{}",
        answer.text
    );
    ask("GET", "/user/AB123456/config").of(&router).await.problem(503);
}

#[tokio::test(start_paused = true)]
async fn without_history_nothing_is_granted_and_everything_denied() {
    let world = World::new();
    world.declare("AB000001", |_| {});
    world.declare("AB000002", |_| {});
    world.lock().history_error = Some(HistoryError::Unavailable("the disk is full".to_owned()));
    let router = world.router();
    let answer = grant("AB123456").of(&router).await;
    assert!(answer.problem(503).contains("the disk is full"));
    world.lock().history_stuck = true;
    let begun = tokio::time::Instant::now();
    grant("AB123456").of(&router).await.problem(503);
    assert_eq!(begun.elapsed(), Duration::ZERO, "what is known to fail is not tried");
    world.lock().history_stuck = false;
    assert_eq!(world.lock().writes, 0);

    let answer = ask("POST", "/user/AB000001/deactivate").of(&router).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert_eq!(answer.json()["status"], "deactivated");
    ask("POST", "/user/AB000001/activate").of(&router).await.problem(503);
    assert!(!world.lock().users["ab000001"].spec.active);

    let config = ask("GET", "/user/AB000002/config").of(&router).await;
    assert_eq!(config.status, 200);
    assert_eq!(config.json()["traffic_stats"], Value::Null);
}

#[tokio::test(start_paused = true)]
async fn a_creation_that_fails_leaves_a_trace_in_the_audit() {
    let world = World::new();
    let router = world.router();
    world.lock().users_unwritable = true;
    assert!(grant("AB123456").of(&router).await.problem(503).contains("read-only"));
    assert_eq!(world.actions().await, ["grant", "grant.failed"]);
    assert!(world.lock().users.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_configuration_has_links_and_traffic() {
    let world = World::new();
    world.declare("AB123456", |_| {});
    world.used("AB123456", 7, 11).await;
    let router = world.router();
    let answer = ask("GET", "/user/ab123456/config").of(&router).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let body = answer.json();
    let expected = [
        "corporate_id",
        "hy2_url",
        "links",
        "qr_code",
        "subscription_url",
        "traffic_stats",
        "username",
    ];
    assert_eq!(keys(&body), expected);
    assert_eq!(body["traffic_stats"], json!({ "upload": 7, "download": 11 }));
    assert_eq!(body["links"].as_array().unwrap().len(), 2);
    assert_eq!(body["links"][0]["url"], body["hy2_url"]);
}

#[tokio::test(start_paused = true)]
async fn nobody_who_is_denied_or_unknown_gets_a_configuration() {
    let world = World::new();
    world.declare("AB123456", |_| {});
    world.hold("hr-deactivated-ab123456", hr_hold("AB123456"));
    let router = world.router();
    let answer = ask("GET", "/user/AB123456/config").of(&router).await;
    answer.problem(403);
    assert_eq!(answer.json()["reason"], "Held");
    assert_eq!(answer.json()["type"], "urn:vpn-operator:problem:access-denied");
    assert!(!answer.text.contains("hysteria2://"));
    ask("GET", "/user/AB999999/config").of(&router).await.problem(404);
    ask("GET", "/user/bad%20id/config").of(&router).await.problem(422);
}

#[tokio::test(start_paused = true)]
async fn a_deactivation_holds_flips_and_answers_what_is_proved() {
    let world = World::new();
    world.declare("AB123456", |_| {});
    let router = world.router();
    let body = json!({ "reason": "left the company" });
    let answer = ask("POST", "/user/ab123456/deactivate").json(&body).of(&router).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let body = answer.json();
    assert_eq!(body["status"], "deactivated");
    assert_eq!(body["corporate_id"], "AB123456");
    assert_eq!(body["hold"], "api-deactivated-ab123456");
    assert_eq!(body["denied_at"], "2026-05-01T12:00:00Z");
    assert_eq!(body["contained_at"], "2026-05-01T12:00:00Z");
    assert_eq!(body["sessions_zero_at"], Value::Null);
    let rows = world.audit().await;
    let inner = world.lock();
    assert!(!inner.users["ab123456"].spec.active);
    let hold = &inner.holds["api-deactivated-ab123456"].spec;
    assert_eq!(
        (hold.source.as_str(), hold.reason.as_deref()),
        ("api", Some("left the company"))
    );
    assert_eq!(rows[0].entry.action, "deactivate");
    assert_eq!(rows[0].entry.reason.as_deref(), Some("left the company"));
}

#[tokio::test(start_paused = true)]
async fn deactivating_again_or_twice_at_once_is_the_same() {
    let world = World::new();
    world.declare("AB123456", |_| {});
    let router = world.router();
    let with = |reason: &str| ask("POST", "/user/AB123456/deactivate").json(&json!({ "reason": reason }));
    let (one, two) = tokio::join!(with("one").of(&router), with("two").of(&router));
    assert_eq!(
        (one.status.as_u16(), two.status.as_u16()),
        (200, 200),
        "{} {}",
        one.text,
        two.text
    );
    let writes = world.lock().writes;
    assert_eq!(writes, 2, "one hold and one flip");
    let audited = world.actions().await.len();
    assert_eq!(with("one").of(&router).await.status, 200);
    assert_eq!(with("three").of(&router).await.status, 200);
    assert_eq!(world.lock().writes, writes);
    assert_eq!(
        world.actions().await.len(),
        audited,
        "nothing changed, nothing to audit"
    );
}

#[tokio::test(start_paused = true)]
async fn a_node_that_is_down_leaves_the_proof_open_after_a_bounded_wait() {
    let world = World::new();
    world.declare("AB123456", |_| {});
    world.lock().nodes_down = true;
    let router = world.router();
    let begun = tokio::time::Instant::now();
    let answer = ask("POST", "/user/AB123456/deactivate").of(&router).await;
    assert_eq!(answer.status, 200);
    let body = answer.json();
    assert_eq!(body["contained_at"], Value::Null);
    assert_eq!(body["waiting_for"], json!(["default/node0"]));
    assert!(begun.elapsed() >= Duration::from_secs(3) && begun.elapsed() < Duration::from_secs(4));

    world.contain();
    let again = ask("POST", "/user/AB123456/deactivate").of(&router).await.json();
    assert_eq!(again["waiting_for"], json!([]));
    assert_ne!(again["contained_at"], Value::Null);
}

#[tokio::test(start_paused = true)]
async fn an_earlier_revocation_proves_nothing_about_this_denial() {
    let world = World::new();
    world.declare("AB123456", |_| {});
    let router = world.router();
    let deactivate = || ask("POST", "/user/AB123456/deactivate").of(&router);
    assert_ne!(deactivate().await.json()["contained_at"], Value::Null);
    ask("POST", "/user/AB123456/activate").of(&router).await;
    world.lock().gateways_lag = true;
    let body = deactivate().await.json();
    assert_eq!(
        (&body["status"], &body["contained_at"]),
        (&json!("deactivated"), &Value::Null)
    );
    assert_ne!(body["denied_at"], Value::Null);
}

#[tokio::test(start_paused = true)]
async fn where_the_object_cannot_be_edited_the_hold_stands_alone() {
    let world = World::new();
    world.declare("AB123456", |_| {});
    world.lock().not_editable = true;
    let router = world.router();
    let answer = ask("POST", "/user/AB123456/deactivate").of(&router).await;
    assert_eq!(answer.status, 200);
    assert!(answer.json()["detail"].as_str().unwrap().contains("YAML alias"));
    assert!(world.lock().users["ab123456"].spec.active);
    assert!(world.lock().holds.contains_key("api-deactivated-ab123456"));
}

#[tokio::test(start_paused = true)]
async fn a_deactivation_that_no_hold_keeps_is_an_error_and_flips_all_the_same() {
    let world = World::new();
    world.declare("AB123456", |_| {});
    world.lock().holds_unwritable = true;
    let router = world.router();
    let detail = ask("POST", "/user/AB123456/deactivate").of(&router).await.problem(503);
    assert!(
        detail.contains("read-only") && detail.contains("spec.active is false") && detail.contains("deactivate again"),
        "{detail}"
    );
    assert!(!detail.contains("is not kept out"), "spec.active does: {detail}");
    assert!(!world.lock().users["ab123456"].spec.active);
    world.lock().not_editable = true;
    world.declare("AB000002", |_| {});
    let detail = ask("POST", "/user/AB000002/deactivate").of(&router).await.problem(503);
    assert!(
        detail.contains("could not be set to false either") && detail.contains("YAML alias"),
        "{detail}"
    );
    world.hold("hr-deactivated-ab000006", hr_hold("AB000006"));
    let detail = ask("POST", "/user/AB000006/deactivate").of(&router).await.problem(503);
    assert!(detail.contains("there is no object"), "{detail}");
    assert_eq!(world.actions().await, ["deactivate.failed"; 3]);
    let reason = world.audit().await[0].entry.reason.clone();
    assert!(reason.is_some_and(|reason| reason.contains("read-only")));

    world.lock().holds_unwritable = false;
    let answer = ask("POST", "/user/AB123456/deactivate").of(&router).await;
    assert_eq!(answer.json()["hold"], "api-deactivated-ab123456", "{}", answer.text);
}

#[tokio::test(start_paused = true)]
async fn a_source_that_no_hold_can_carry_is_refused_before_anything_is_done() {
    let world = World::new();
    world.declare("AB123456", |_| {});
    let router = world.router();
    for source in [
        "abcdefghijklmnopqr",
        "abcdefghijklmnopq",
        "Desk",
        "help-desk",
        "operator",
    ] {
        let asked = ask("POST", "/user/AB123456/deactivate").header("x-vpn-operator-source", source);
        let detail = asked.of(&router).await.problem(422);
        assert!(detail.contains("source"), "{detail}");
    }
    assert_eq!(world.lock().writes, 0);
    let longest = ask("POST", "/user/AB123456/deactivate").header("x-vpn-operator-source", "abcdefghijklmnop");
    let answer = longest.of(&router).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert_eq!(answer.json()["hold"], "abcdefghijklmnop-deactivated-ab123456");
}

#[tokio::test(start_paused = true)]
async fn the_flip_waits_until_the_hold_denies() {
    let world = World::new();
    world.declare("AB123456", |_| {});
    world.lock().lag = true;
    let router = world.router();
    let begun = tokio::time::Instant::now();
    let look = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert!(world.lock().holds.contains_key("api-deactivated-ab123456"));
        assert!(
            world.lock().users["ab123456"].spec.active,
            "the hold is not in force yet"
        );
        world.catch_up();
    };
    let (answer, ()) = tokio::join!(ask("POST", "/user/AB123456/deactivate").of(&router), look);
    assert_eq!(answer.json()["status"], "deactivated", "{}", answer.text);
    assert!(begun.elapsed() < Duration::from_millis(400), "{:?}", begun.elapsed());
    assert!(!world.lock().users["ab123456"].spec.active);
}

#[tokio::test(start_paused = true)]
async fn the_flip_does_not_wait_for_ever() {
    let world = World::new();
    world.declare("AB123456", |_| {});
    world.lock().lag = true;
    let router = world.router();
    let begun = tokio::time::Instant::now();
    let flipped = async {
        while world.lock().users["ab123456"].spec.active {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        begun.elapsed()
    };
    let (answer, flipped) = tokio::join!(ask("POST", "/user/AB123456/deactivate").of(&router), flipped);
    assert_eq!(
        (answer.status.as_u16(), &answer.json()["status"]),
        (202, &json!("accepted"))
    );
    assert!(
        flipped >= Duration::from_secs(1) && flipped < Duration::from_millis(1100),
        "{flipped:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_stuck_audit_does_not_hold_up_a_denial() {
    let world = World::new();
    world.declare("AB123456", |_| {});
    world.lock().history_stuck = true;
    let begun = tokio::time::Instant::now();
    let answer = ask("POST", "/user/AB123456/deactivate").of(&world.router()).await;
    assert_eq!(answer.status, 200);
    assert!(begun.elapsed() < Duration::from_secs(3));
}

#[tokio::test(start_paused = true)]
async fn a_feeds_denial_that_the_guard_holds_back_is_202_leaves_the_object_alone_and_says_how_to_confirm() {
    let world = World::new();
    world.declare("AB123456", |_| {});
    world.lock().guarded = vec![id("AB123456")];
    let router = world.router();
    let by_hr = || ask("POST", "/user/AB123456/deactivate").header("x-vpn-operator-source", "hr");
    let begun = tokio::time::Instant::now();
    let answer = by_hr().of(&router).await;
    assert_eq!(answer.status, 202, "{}", answer.text);
    assert_eq!(answer.json()["status"], "held_back");
    assert_eq!(answer.json()["denied_at"], Value::Null);
    let detail = answer.json()["detail"].as_str().unwrap().to_owned();
    assert!(
        detail.contains("/guard/confirm") && detail.contains("spec.active"),
        "{detail}"
    );
    assert_eq!(begun.elapsed(), Duration::ZERO);
    assert!(
        world.lock().users["ab123456"].spec.active,
        "the flip would deny what the guard holds back"
    );

    world.lock().guard_stuck = true;
    let answer = by_hr().of(&router).await;
    assert_eq!(
        answer.json()["status"],
        "accepted",
        "what a crash would forget is not answered as settled"
    );
    assert!(begun.elapsed() < Duration::from_secs(3));
}

#[tokio::test(start_paused = true)]
async fn an_order_is_in_force_whatever_the_guard_holds_back() {
    let world = World::new();
    world.declare("AB123456", |_| {});
    world.lock().guarded = vec![id("AB123456")];
    let answer = ask("POST", "/user/AB123456/deactivate").of(&world.router()).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert_eq!(answer.json()["status"], "deactivated");
    assert!(!world.lock().users["ab123456"].spec.active);
}

#[tokio::test(start_paused = true)]
async fn an_unknown_person_cannot_be_deactivated_and_one_with_only_a_hold_can() {
    let world = World::new();
    world.hold("hr-deactivated-ab000006", hr_hold("AB000006"));
    let router = world.router();
    ask("POST", "/user/AB123456/deactivate").of(&router).await.problem(404);
    assert_eq!(world.lock().writes, 0);
    let answer = ask("POST", "/user/AB000006/deactivate").of(&router).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert!(world.lock().holds.contains_key("api-deactivated-ab000006"));
}

#[tokio::test(start_paused = true)]
async fn a_hold_that_ends_under_the_usual_name_does_not_end_a_deactivation() {
    let world = World::new();
    world.declare("AB123456", |_| {});
    let mut spec = hr_hold("AB123456");
    spec.source = "api".to_owned();
    spec.until = Some("2026-05-01T13:00:00Z".parse().unwrap());
    world.hold("api-deactivated-ab123456", spec);
    let router = world.router();
    let answer = ask("POST", "/user/AB123456/deactivate").of(&router).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let name = answer.json()["hold"].as_str().unwrap().to_owned();
    assert_ne!(name, "api-deactivated-ab123456");
    assert_eq!(world.lock().holds[&name].spec.until, None);
}

#[tokio::test(start_paused = true)]
async fn a_change_that_began_goes_on_when_the_caller_hangs_up() {
    let world = World::new();
    world.declare("AB123456", |_| {});
    world.lock().nodes_down = true;
    let router = world.router();
    let request = ask("POST", "/user/AB123456/deactivate").of(&router);
    assert!(tokio::time::timeout(Duration::ZERO, request).await.is_err());
    let done = async {
        while world.actions().await.is_empty() || world.lock().users["ab123456"].spec.active {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), done)
        .await
        .expect("hold, flip and audit are there");
}

#[tokio::test(start_paused = true)]
async fn an_activation_lifts_holds_of_its_source_and_lists_the_rest() {
    let world = World::new();
    world.declare("AB123456", |_| {});
    let router = world.router();
    ask("POST", "/user/AB123456/deactivate").of(&router).await;
    world.hold("hr-deactivated-ab123456", hr_hold("AB123456"));
    let cli = ask("POST", "/user/AB123456/activate").header("x-vpn-operator-source", "cli");
    let answer = cli.of(&router).await.json();
    assert_eq!(answer["status"], "denied");
    assert_eq!(
        answer["remaining"],
        json!(["api-deactivated-ab123456", "hr-deactivated-ab123456"])
    );

    let answer = ask("POST", "/user/AB123456/activate").of(&router).await.json();
    assert_eq!(answer["status"], "denied");
    assert_eq!(answer["reason"], "Held");
    assert_eq!(answer["released"], json!(["api-deactivated-ab123456"]));
    assert_eq!(answer["remaining"], json!(["hr-deactivated-ab123456"]));

    world.lock().holds.clear();
    world.catch_up();
    let answer = ask("POST", "/user/AB123456/activate").of(&router).await.json();
    assert_eq!(
        (&answer["status"], &answer["access"]),
        (&json!("activated"), &json!("Granted"))
    );
    assert_eq!(grant("AB123456").of(&router).await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn an_activation_that_a_deactivation_overtakes_answers_at_once_and_names_it() {
    let world = World::new();
    world.declare("AB123456", |_| {});
    let router = world.router();
    ask("POST", "/user/AB123456/deactivate").of(&router).await;
    let begun = tokio::time::Instant::now();
    world.lock().lifted_slowly = true;
    let again = async {
        while !world.lock().holds.is_empty() {
            tokio::task::yield_now().await;
        }
        let why = json!({ "reason": "left after all" });
        ask("POST", "/user/AB123456/deactivate").json(&why).of(&router).await
    };
    let (answer, again) = tokio::join!(ask("POST", "/user/AB123456/activate").of(&router), again);
    assert_eq!((again.status.as_u16(), answer.status.as_u16()), (200, 200));
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    let body = answer.json();
    assert_eq!(
        (&body["status"], &body["access"], &body["reason"]),
        (&json!("denied"), &json!("Denied"), &json!("Held"))
    );
    assert_eq!(
        (&body["released"], &body["remaining"]),
        (&json!([]), &json!(["api-deactivated-ab123456"]))
    );
    let detail = body["detail"].as_str().unwrap();
    assert!(
        detail.contains("overtaken")
            && detail.contains("api-deactivated-ab123456")
            && detail.contains("left after all"),
        "{detail}"
    );
}

#[tokio::test(start_paused = true)]
async fn an_activation_that_an_edit_overtakes_answers_at_once_and_says_so() {
    let world = World::new();
    world.declare("AB123456", |spec| spec.active = false);
    world.lock().lag = true;
    let router = world.router();
    let begun = tokio::time::Instant::now();
    let edit = async {
        while !world.lock().users["ab123456"].spec.active {
            tokio::task::yield_now().await;
        }
        world.edit("AB123456", |spec| spec.active = false);
        world.catch_up();
    };
    let (answer, ()) = tokio::join!(ask("POST", "/user/AB123456/activate").of(&router), edit);
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    let body = answer.json();
    assert_eq!(
        (&body["status"], &body["reason"]),
        (&json!("denied"), &json!("Inactive")),
        "{body}"
    );
    assert!(
        body["detail"]
            .as_str()
            .unwrap()
            .contains("spec.active was set to false"),
        "{body}"
    );
}

#[tokio::test(start_paused = true)]
async fn an_activation_that_memory_does_not_show_in_time_is_202_and_says_so() {
    let world = World::new();
    world.declare("AB123456", |spec| spec.active = false);
    world.lock().lag = true;
    let why = json!({ "reason": "back again" });
    let request = ask("POST", "/user/AB123456/activate").json(&why);
    let answer = request.of(&world.router()).await;
    assert_eq!(
        (answer.status.as_u16(), &answer.json()["status"]),
        (202, &json!("accepted"))
    );
    assert!(
        answer.json()["detail"]
            .as_str()
            .unwrap()
            .contains("not taken it in yet")
    );
    assert_eq!(world.audit().await[0].entry.reason.as_deref(), Some("back again"));
}

#[tokio::test(start_paused = true)]
async fn an_activation_that_is_not_needed_or_not_possible_lifts_nothing() {
    let world = World::new();
    world.declare("AB123456", |_| {});
    let router = world.router();
    assert_eq!(ask("POST", "/user/AB123456/activate").of(&router).await.status, 200);
    assert_eq!(world.lock().writes, 0);
    assert!(world.actions().await.is_empty());
    ask("POST", "/user/AB123456/deactivate").of(&router).await;
    world.lock().not_editable = true;
    ask("POST", "/user/AB123456/activate").of(&router).await.problem(409);
    assert!(world.lock().holds.contains_key("api-deactivated-ab123456"));
    assert_eq!(world.actions().await, ["deactivate", "activate", "activate.failed"]);
    ask("POST", "/user/AB999999/activate").of(&router).await.problem(404);
}

#[tokio::test(start_paused = true)]
async fn rotating_raises_generations_and_hands_out_the_new_configuration() {
    let world = World::new();
    world.declare("AB123456", |_| {});
    let router = world.router();
    let rotate = |what: &str| ask("POST", "/user/AB123456/rotate").json(&json!({ "what": what }));
    let body = rotate("password").of(&router).await.json();
    assert_eq!(body["status"], "rotated");
    assert_eq!(body["credential_generation"], 2);
    assert_eq!(body["subscription_generation"], 1);
    assert!(
        body["config"]["hy2_url"]
            .as_str()
            .unwrap()
            .contains(&password("AB123456", 2))
    );
    let body = rotate("subscription").of(&router).await.json();
    assert_eq!(
        (&body["credential_generation"], &body["subscription_generation"]),
        (&json!(2), &json!(2))
    );
    let (one, two) = tokio::join!(rotate("both").of(&router), rotate("both").of(&router));
    assert_eq!((one.status.as_u16(), two.status.as_u16()), (200, 200));
    assert!(world.lock().users["ab123456"].spec.credential_generation >= 3);
    rotate("everything").of(&router).await.problem(422);
    ask("POST", "/user/AB999999/rotate")
        .json(&json!({ "what": "both" }))
        .of(&router)
        .await
        .problem(404);
    let rows = format!("{:?}", world.audit().await);
    assert!((1..=4).all(|generation| !rows.contains(&password("AB123456", generation))));
}

#[tokio::test(start_paused = true)]
async fn a_rotation_shows_nothing_of_the_denied_nor_changes_imports() {
    let world = World::new();
    world.declare("AB000001", |spec| spec.active = false);
    world.declare("AB000002", |spec| {
        spec.credentials_from = Some(serde_json::from_value(json!({ "env": "PASSWORD" })).unwrap());
    });
    let router = world.router();
    let rotate = |text: &str| ask("POST", &format!("/user/{text}/rotate")).json(&json!({ "what": "password" }));
    let answer = rotate("AB000001").of(&router).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.json()["config"], Value::Null);
    assert!(
        rotate("AB000002")
            .of(&router)
            .await
            .problem(409)
            .contains("credentialsFrom")
    );
}

#[tokio::test(start_paused = true)]
async fn a_rotation_is_in_the_audit_before_it_is_done_and_one_that_fails_says_so() {
    let world = World::new();
    world.declare("AB123456", |_| {});
    let router = world.router();
    let rotate = || ask("POST", "/user/AB123456/rotate").json(&json!({ "what": "password" }));
    world.lock().not_editable = true;
    rotate().of(&router).await.problem(409);
    assert_eq!(world.actions().await, ["rotate", "rotate.failed"]);
    assert_eq!(world.lock().users["ab123456"].spec.credential_generation, 1);
}

#[tokio::test(start_paused = true)]
async fn a_stuck_audit_does_not_stop_a_rotation() {
    let world = World::new();
    world.declare("AB123456", |_| {});
    world.lock().history_stuck = true;
    let rotate = ask("POST", "/user/AB123456/rotate").json(&json!({ "what": "password" }));
    assert_eq!(rotate.of(&world.router()).await.json()["status"], "rotated");
    assert_eq!(world.lock().users["ab123456"].spec.credential_generation, 2);
}
