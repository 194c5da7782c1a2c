//! Clients with tokens of their own: what each role may ask, in whose name it acts, and that nobody gets more than they have.

use std::sync::Arc;

use axum::Router;
use serde_json::json;
use vpn_operator::{
    api::{principal::ApiClient, role::Role},
    http,
};

use super::{
    Ask, World, bare,
    world::{SECRET, link_token, password},
};

fn token(name: &str) -> String {
    format!("token-of-{name}-0123456789")
}

fn router(world: &Arc<World>) -> Router {
    let client = |name: &str, role| ApiClient {
        name: name.into(),
        role,
        token: token(name).into(),
    };
    world.router_with(http::Settings {
        secrets: vec![SECRET.into()],
        clients: vec![
            client("portal", Role::Helpdesk),
            client("siem", Role::Auditor),
            client("hr", Role::Feed),
            client("telegram", Role::Bot),
            client("ci", Role::Admin),
        ],
        ..http::Settings::default()
    })
}

fn by(name: &str, method: &str, path: &str) -> Ask {
    bare(method, path).header("authorization", &format!("Bearer {}", token(name)))
}

#[tokio::test]
async fn a_role_may_ask_what_its_row_says_and_nothing_else() {
    let world = World::new();
    world.declare("AB123456", |_| {});
    let router = router(&world);
    for (path, allowed) in [
        ("/users", ["portal", "siem", "ci"].as_slice()),
        ("/user/AB123456", &["portal", "siem", "hr", "ci"]),
        ("/user/AB123456/config", &["ci"]),
        ("/audit", &["siem", "ci"]),
        ("/id/export.csv", &["siem", "ci"]),
        ("/user/AB123456/links", &["portal", "siem", "ci"]),
    ] {
        for name in ["portal", "siem", "hr", "telegram", "ci"] {
            let answer = by(name, "GET", path).of(&router).await;
            if allowed.contains(&name) {
                assert_eq!(answer.status, 200, "{name} {path}: {}", answer.text);
            } else {
                let detail = answer.problem(403);
                assert!(detail.contains("may not ask this"), "{name} {path}: {detail}");
                assert_eq!(answer.json()["type"], "urn:vpn-operator:problem:not-permitted");
            }
        }
    }
    assert_eq!(world.lock().writes, 0);
}

#[tokio::test]
async fn the_help_desk_hands_links_over_and_nobody_else_beside_the_admins_does() {
    let world = World::new();
    world.declare("AB123456", |_| {});
    let router = router(&world);
    let links = "/user/AB123456/links";
    for (name, role, allowed) in [
        ("portal", None, true),
        ("ci", None, true),
        ("telegram", Some("helpdesk"), true),
        ("siem", None, false),
        ("hr", None, false),
        ("telegram", None, false),
    ] {
        let as_role = |method: &str, path: &str| match role {
            Some(role) => by(name, method, path).header("x-vpn-operator-role", role),
            None => by(name, method, path),
        };
        let made = as_role("POST", links).of(&router).await;
        if !allowed {
            made.problem(403);
            as_role("DELETE", &format!("{links}/1")).of(&router).await.problem(403);
            continue;
        }
        assert_eq!(made.status, 201, "{name}: {}", made.text);
        assert!(
            !made.text.contains(&password("AB123456", 1)) && !made.text.contains(&link_token("AB123456", 1)),
            "{}",
            made.text
        );
        let one = format!("{links}/{}", made.json()["id"]);
        assert_eq!(as_role("DELETE", &one).of(&router).await.status, 204, "{name}");
    }
    let sources: Vec<String> = world.audit().await.iter().map(|row| row.entry.source.clone()).collect();
    assert_eq!(sources, ["helpdesk", "helpdesk", "api", "api", "helpdesk", "helpdesk"]);
}

#[tokio::test]
async fn what_is_not_permitted_is_no_wrong_secret() {
    let world = World::new();
    let router = router(&world);
    for _ in 0..30 {
        by("siem", "POST", "/access/grant")
            .json(&json!({ "corporate_id": "AB123456" }))
            .of(&router)
            .await
            .problem(403);
    }
    assert_eq!(by("siem", "GET", "/users").of(&router).await.status, 200);
    assert!(world.lock().users.is_empty() && world.actions().await.is_empty());
}

#[tokio::test]
async fn the_help_desk_holds_in_its_own_name_and_lifts_only_its_own() {
    let world = World::new();
    world.declare("AB123456", |_| {});
    let router = router(&world);
    let hold = json!({ "corporate_id": "AB123456", "cause": "lost" });
    let placed = by("portal", "POST", "/holds")
        .header("x-vpn-operator-source", "bot")
        .header("x-vpn-operator-actor", "Anna")
        .json(&hold)
        .of(&router)
        .await;
    assert_eq!(placed.status, 201, "{}", placed.text);
    assert_eq!(placed.json()["name"], "helpdesk-lost-ab123456", "{}", placed.text);
    assert_eq!(world.audit().await[0].entry.actor, "Anna by portal (192.0.2.1)");

    let other = json!({ "corporate_id": "AB123456", "cause": "left", "source": "hr" });
    let detail = by("portal", "POST", "/holds")
        .json(&other)
        .of(&router)
        .await
        .problem(403);
    assert!(detail.contains("acts as 'helpdesk'"), "{detail}");
    let by_hr = bare("POST", "/holds")
        .header("x-corporate-secret", SECRET)
        .json(&other)
        .of(&router)
        .await;
    assert_eq!(by_hr.status, 201, "{}", by_hr.text);
    by("portal", "DELETE", "/holds/hr-left-ab123456")
        .of(&router)
        .await
        .problem(409);
    by("portal", "DELETE", "/holds/hr-left-ab123456?source=hr")
        .of(&router)
        .await
        .problem(403);
    let lifted = by("portal", "DELETE", "/holds/helpdesk-lost-ab123456")
        .of(&router)
        .await;
    assert_eq!(lifted.status, 200, "{}", lifted.text);
    assert!(world.lock().holds.contains_key("hr-left-ab123456"));
}

#[tokio::test]
async fn a_feed_denies_as_itself_whatever_it_says() {
    let world = World::new();
    world.declare("AB123456", |_| {});
    let router = router(&world);
    let answer = by("hr", "POST", "/user/AB123456/deactivate")
        .header("x-vpn-operator-source", "api")
        .of(&router)
        .await;
    assert!(answer.status.is_success(), "{}", answer.text);
    assert!(world.lock().holds.contains_key("hr-deactivated-ab123456"));
}

#[tokio::test]
async fn the_bot_takes_the_role_of_the_person_it_acts_for_and_others_gain_none() {
    let world = World::new();
    world.declare("AB123456", |_| {});
    let router = router(&world);
    let with_role =
        |name: &str, role: &str, method: &str, path: &str| by(name, method, path).header("x-vpn-operator-role", role);
    by("telegram", "GET", "/users").of(&router).await.problem(403);
    assert_eq!(
        with_role("telegram", "helpdesk", "GET", "/users")
            .of(&router)
            .await
            .status,
        200
    );
    with_role("telegram", "helpdesk", "GET", "/user/AB123456/config")
        .of(&router)
        .await
        .problem(403);
    assert_eq!(
        with_role("telegram", "admin", "GET", "/user/AB123456/config")
            .of(&router)
            .await
            .status,
        200
    );
    with_role("telegram", "auditor", "GET", "/users")
        .of(&router)
        .await
        .problem(403);
    with_role("telegram", "root", "GET", "/users")
        .of(&router)
        .await
        .problem(422);

    // A hold of the help desk is the help desk's, also when the bot brings it, and no admin's hold is lifted by it.
    let hold = |cause: &str| json!({ "corporate_id": "AB123456", "cause": cause });
    let placed = with_role("telegram", "helpdesk", "POST", "/holds")
        .json(&hold("lost"))
        .of(&router)
        .await;
    assert_eq!(placed.json()["name"], "helpdesk-lost-ab123456", "{}", placed.text);
    let placed = with_role("telegram", "admin", "POST", "/holds")
        .json(&hold("theft"))
        .of(&router)
        .await;
    assert_eq!(placed.json()["name"], "bot-theft-ab123456", "{}", placed.text);
    with_role("telegram", "helpdesk", "DELETE", "/holds/bot-theft-ab123456")
        .of(&router)
        .await
        .problem(409);

    for name in ["portal", "siem", "hr"] {
        with_role(name, "admin", "GET", "/user/AB123456/config")
            .of(&router)
            .await
            .problem(403);
    }
    // Whoever may do everything may also do less.
    let shared = bare("GET", "/user/AB123456/config").header("x-corporate-secret", SECRET);
    shared
        .header("x-vpn-operator-role", "helpdesk")
        .of(&router)
        .await
        .problem(403);
}
