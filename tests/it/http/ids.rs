//! Corporate IDs: their life over the API, and what nobody learns without the secret.

use axum::Router;
use serde_json::{Value, json};
use vpn_operator::registry::FORMER_FILE;

use super::{Answer, World, ask, bare, world::id};

/// A world whose registry is ready.
async fn world() -> (std::sync::Arc<World>, Router) {
    let world = World::new();
    world.use_cases().begin_ids(world.data()).await.unwrap();
    let router = world.router();
    (world, router)
}

async fn post(router: &Router, path: &str, body: Value) -> Answer {
    ask("POST", path).json(&body).of(router).await
}

async fn issue(router: &Router, owner: &str) -> String {
    let answer = post(router, "/id/issue", json!({ "owner": owner, "email": "a@example.com" })).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let answer = answer.json();
    assert_eq!(answer["status"], "issued");
    answer["id"].as_str().unwrap().to_owned()
}

async fn show(router: &Router, id: &str) -> Value {
    ask("GET", &format!("/id/show?id={id}")).of(router).await.json()
}

async fn validate(router: &Router, id: &str) -> Value {
    ask("GET", &format!("/id/validate?id={id}")).of(router).await.json()
}

#[tokio::test]
async fn an_id_lives_from_issuing_to_the_archive_and_the_audit_tells_it_without_personal_data() {
    let (world, router) = world().await;
    let id = issue(&router, "Anna Example").await;
    let good = json!({ "valid": true, "status": "issued", "owner": "Anna Example", "well_formed": true });
    assert_eq!(validate(&router, &id.to_lowercase()).await, good);
    let active = post(&router, "/id/activate", json!({ "id": id, "reason": "first day" }))
        .await
        .json();
    assert_eq!((&active["id"], &active["status"]), (&json!(id), &json!("active")));
    post(&router, "/id/archive", json!({ "id": id })).await.problem(409);

    world.declare(&id, |_| {});
    let revoked = post(
        &router,
        "/id/revoke",
        json!({ "id": id.to_lowercase(), "reason": "lost badge" }),
    )
    .await;
    assert_eq!(revoked.status, 200, "{}", revoked.text);
    let revoked = revoked.json();
    assert_eq!((&revoked["id"], &revoked["status"]), (&json!(id), &json!("revoked")));
    assert_eq!(revoked["hold"], format!("registry-revoked-{}", id.to_lowercase()));
    assert!(revoked["contained_at"].is_string(), "{revoked}");
    let detail = post(&router, "/id/activate", json!({ "id": id })).await.problem(409);
    assert!(detail.contains("reinstate"), "{detail}");
    assert_eq!(validate(&router, &id).await["valid"], false);

    let back = post(&router, "/id/activate", json!({ "id": id, "reinstate": true }))
        .await
        .json();
    assert_eq!((&back["status"], &back["remaining"]), (&json!("active"), &json!([])));
    assert_eq!(back["released"], json!([revoked["hold"]]));
    assert_eq!(show(&router, &id).await["access"], "Granted");

    post(&router, "/id/revoke", json!({ "id": id })).await;
    let archived = post(&router, "/id/archive", json!({ "id": id })).await.json();
    assert_eq!(archived["status"], "archived");
    post(&router, "/id/activate", json!({ "id": id, "reinstate": true }))
        .await
        .problem(409);
    let page = show(&router, &id).await;
    assert_eq!(
        (&page["access"], &page["holds"][0]["source"]),
        (&json!("Denied"), &json!("registry"))
    );
    let history: Vec<&str> = page["history"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["action"].as_str().unwrap())
        .collect();
    assert_eq!(
        history,
        ["archive", "revoke", "reinstate", "revoke", "activate", "issue"]
    );
    assert_eq!(page["history"][4]["reason"], "first day");

    let rows = world.audit().await;
    let actions: Vec<&str> = rows.iter().map(|row| row.entry.action.as_str()).collect();
    assert_eq!(
        actions,
        [
            "id.issue",
            "id.activate",
            "id.revoke",
            "id.reinstate",
            "id.revoke",
            "id.archive"
        ]
    );
    for row in &rows {
        let text = format!("{:?}", row.entry);
        assert!(!text.contains("Anna") && !text.contains('@'), "{text}");
        assert_eq!(row.entry.corporate_id.as_deref(), Some(id.as_str()));
        assert!(row.entry.request_id.is_some() && row.entry.source == "api" && row.entry.after.is_some());
    }
    assert!(rows[2].entry.before.as_deref().unwrap().contains("active"));
}

#[tokio::test]
async fn without_the_secret_the_answer_tells_nothing_but_the_spelling() {
    let (world, router) = world().await;
    let settings = vpn_operator::http::Settings {
        secrets: vec![super::world::SECRET.into()],
        failures_per_minute: 6,
        ..vpn_operator::http::Settings::default()
    };
    let there = issue(&router, "Anna Example").await;
    world.declare("EF123456", |spec| spec.owner = Some("Bob".to_owned()));
    post(&router, "/id/revoke", json!({ "id": "EF123456" })).await;
    let router = world.router_with(settings);
    let mut answers = Vec::new();
    for id in [there.as_str(), "EF123456", "ZZ999999", "old-style"] {
        let answer = bare("GET", &format!("/id/validate?id={id}")).of(&router).await;
        let mut headers: Vec<String> = answer
            .headers
            .iter()
            .filter(|(name, _)| *name != "x-request-id")
            .map(|it| format!("{it:?}"))
            .collect();
        headers.sort_unstable();
        answers.push((answer.status, headers, answer.text));
    }
    assert!(answers.windows(2).all(|two| two[0] == two[1]), "{answers:?}");
    let told: Value = serde_json::from_str(&answers[0].2).unwrap();
    assert_eq!(
        told,
        json!({ "valid": false, "status": "unverified", "owner": null, "well_formed": true })
    );
    let odd = bare("GET", "/id/validate?id=a%20b").of(&router).await.json();
    assert_eq!(
        (&odd["status"], &odd["well_formed"]),
        (&json!("unverified"), &json!(false))
    );
    // The registry cannot even be asked: it is gone, and the answer is the same.
    let broken = World::new();
    broken.lock().unreadable = true;
    std::fs::remove_file(broken.data().join("registry.db")).unwrap();
    let answer = bare("GET", &format!("/id/validate?id={there}"))
        .of(&broken.router())
        .await;
    assert_eq!(answer.text, answers[0].2);

    bare("GET", "/id/validate?id=ZZ999999").of(&router).await.json();
    let detail = bare("GET", &format!("/id/validate?id={there}"))
        .of(&router)
        .await
        .problem(429);
    assert!(detail.contains("wait"), "{detail}");
    let elsewhere = bare("GET", "/id/validate?id=ZZ999999")
        .from("192.0.2.9:1")
        .of(&router)
        .await;
    assert_eq!(elsewhere.status, 200);
    // Who knows the secret is never counted; who has a wrong one is refused as anywhere.
    assert_eq!(validate(&router, &there).await["owner"], "Anna Example");
    let wrong = bare("GET", &format!("/id/validate?id={there}")).header("x-corporate-secret", "wrong");
    wrong.of(&router).await.problem(403);
}

#[tokio::test]
async fn with_the_secret_the_owner_is_whom_the_declaration_names_and_old_ids_are_known() {
    let (world, router) = world().await;
    let there = issue(&router, "Anna Registered").await;
    world.declare(&there, |spec| spec.owner = Some("Anna Declared".to_owned()));
    assert_eq!(validate(&router, &there).await["owner"], "Anna Declared");
    world.declare("old.one", |_| {});
    assert_eq!(
        validate(&router, "OLD.ONE").await,
        json!({ "valid": true, "status": "declared", "owner": null, "well_formed": true })
    );
    let unknown = json!({ "valid": false, "status": "unknown", "owner": null, "well_formed": true });
    assert_eq!(validate(&router, "ZZ999999").await, unknown);
    ask("GET", "/id/validate").of(&router).await.problem(422);
    ask("GET", "/id/show?id=ZZ999999").of(&router).await.problem(404);
}

#[tokio::test]
async fn revoking_an_id_of_the_old_style_that_the_registry_never_saw_denies_and_enters_it() {
    let (world, router) = world().await;
    world.declare("old.one-2", |_| {});
    let revoked = post(&router, "/id/revoke", json!({ "id": "OLD.ONE-2" })).await;
    assert_eq!(revoked.status, 200, "{}", revoked.text);
    assert_eq!(show(&router, "old.one-2").await["access"], "Denied");
    assert_eq!(validate(&router, "old.one-2").await["status"], "revoked");
    let detail = post(&router, "/id/revoke", json!({ "id": "old.two" }))
        .await
        .problem(404);
    assert!(detail.contains("api-held-old-dtwo"), "{detail}");
    post(&router, "/id/revoke", json!({ "id": "a b" })).await.problem(422);
}

#[tokio::test]
async fn an_order_to_revoke_is_done_whatever_its_reason_says_and_whatever_history_does() {
    let (world, router) = world().await;
    let id = issue(&router, "Anna").await;
    world.declare(&id, |_| {});
    world.lock().history_error = Some(vpn_operator::history::HistoryError::Unavailable("no disk".to_owned()));
    let body = format!("{{\"id\":\"{id}\",\"reason\":[1]}}");
    let answer = ask("POST", "/id/revoke")
        .header("content-type", "text/json")
        .body(body)
        .of(&router)
        .await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert!(
        answer.json()["detail"].as_str().unwrap().contains("no text"),
        "{}",
        answer.text
    );
    assert_eq!(show(&router, &id).await["access"], "Denied");
    // What lets in or gives out is refused meanwhile.
    post(&router, "/id/activate", json!({ "id": id, "reinstate": true }))
        .await
        .problem(503);
    post(&router, "/id/issue", json!({ "owner": "Bob" })).await.problem(503);
    assert_eq!(show(&router, &id).await["status"], "revoked");
}

#[tokio::test]
async fn a_hold_that_cannot_be_placed_leaves_the_registry_as_it_is() {
    let (world, router) = world().await;
    let id = issue(&router, "Anna").await;
    world.lock().holds_unwritable = true;
    post(&router, "/id/revoke", json!({ "id": id })).await.problem(503);
    assert_eq!(show(&router, &id).await["status"], "issued");
    assert!(world.actions().await.ends_with(&["id.revoke.failed".to_owned()]));
    world.lock().holds_unwritable = false;
    assert_eq!(
        post(&router, "/id/revoke", json!({ "id": id })).await.json()["status"],
        "revoked"
    );
    // Once more changes nothing, and is told once.
    let rows = world.actions().await.len();
    assert_eq!(
        post(&router, "/id/revoke", json!({ "id": id })).await.json()["status"],
        "revoked"
    );
    assert_eq!(world.actions().await.len(), rows);
}

#[tokio::test]
async fn cut_off_between_hold_and_registry_the_id_is_denied_and_ends_revoked() {
    let (world, router) = world().await;
    let (cut, reinstated) = (issue(&router, "Anna").await, issue(&router, "Bob").await);
    for id in [&cut, &reinstated] {
        world.declare(id, |_| {});
        post(&router, "/id/revoke", json!({ "id": id })).await;
    }
    // A reinstatement whose hold cannot be lifted stands where a crash between its two writes would leave it.
    let hold = format!("registry-revoked-{}", reinstated.to_lowercase());
    world.lock().unliftable.push(hold);
    post(&router, "/id/activate", json!({ "id": reinstated, "reinstate": true }))
        .await
        .problem(503);
    let page = show(&router, &reinstated).await;
    assert_eq!((&page["status"], &page["access"]), (&json!("active"), &json!("Denied")));
    // A revocation that was cut off: the hold is there, and nothing in the registry.
    let third = issue(&router, "Eve").await;
    world.declare(&third, |_| {});
    let spec = json!({ "corporateId": third, "source": "registry" });
    world.hold(
        &format!("registry-revoked-{}", third.to_lowercase()),
        serde_json::from_value(spec).unwrap(),
    );
    assert_eq!(show(&router, &third).await["status"], "issued");

    let begun = world.use_cases().begin_ids(world.data()).await.unwrap();
    let mut settled: Vec<String> = begun.settled.iter().map(ToString::to_string).collect();
    settled.sort_unstable();
    let mut expected = vec![reinstated.clone(), third.clone()];
    expected.sort_unstable();
    assert_eq!(settled, expected);
    for id in [&cut, &reinstated, &third] {
        let page = show(&router, id).await;
        assert_eq!(
            (&page["status"], &page["access"]),
            (&json!("revoked"), &json!("Denied")),
            "{id}"
        );
    }
    let again = world.use_cases().begin_ids(world.data()).await.unwrap();
    assert_eq!(again.settled, []);
}

#[tokio::test]
async fn a_revocation_and_a_reinstatement_at_once_never_end_in_access_to_a_revoked_id() {
    let (world, router) = world().await;
    let there = issue(&router, "Anna").await;
    world.declare(&there, |_| {});
    for round in 0..20 {
        post(&router, "/id/revoke", json!({ "id": there })).await;
        let (back, out) = tokio::join!(
            post(&router, "/id/activate", json!({ "id": there, "reinstate": true })),
            post(&router, "/id/revoke", json!({ "id": there })),
        );
        assert!(matches!(back.status.as_u16(), 200 | 409), "{}", back.text);
        assert!(matches!(out.status.as_u16(), 200 | 202), "{}", out.text);
        let page = show(&router, &there).await;
        if page["status"] == "revoked" {
            assert_eq!(page["access"], "Denied", "round {round}: {page}");
        }
    }
}

#[tokio::test]
async fn a_revocation_whose_hold_is_gone_and_cannot_be_placed_again_is_no_success() {
    let (world, router) = world().await;
    let there = issue(&router, "Anna").await;
    world.declare(&there, |_| {});
    // Between the first look at the hold and the second.
    world.lock().history_stuck = true;
    let (asked, body) = (router.clone(), json!({ "id": there }));
    let revoking = tokio::spawn(async move { post(&asked, "/id/revoke", body).await });
    while world.lock().holds.is_empty() {
        tokio::task::yield_now().await;
    }
    world.change(|inner| inner.holds.clear());
    world.lock().holds_unwritable = true;
    revoking.await.unwrap().problem(503);
    world.lock().history_stuck = false;
    world.lock().holds_unwritable = false;
    assert_eq!(post(&router, "/id/revoke", json!({ "id": there })).await.status, 200);
    assert_eq!(show(&router, &there).await["access"], "Denied");
}

#[tokio::test]
async fn issuing_needs_an_owner_and_one_key_gets_one_id() {
    let (world, router) = world().await;
    for (body, field) in [
        (json!({}), "owner"),
        (json!({ "owner": " " }), "owner"),
        (json!({ "owner": "Anna", "email": "anna" }), "email"),
        (json!({ "owner": "Anna", "department": "a\nb" }), "department"),
        (json!({ "owner": "Anna", "id": "AB123456" }), "unknown field"),
    ] {
        let detail = post(&router, "/id/issue", body).await.problem(422);
        assert!(detail.contains(field), "{detail}");
    }
    let keyed = |owner: &str, key: &str| {
        let (body, key) = (json!({ "owner": owner }), key.to_owned());
        let router = router.clone();
        async move {
            ask("POST", "/id/issue")
                .header("idempotency-key", &key)
                .json(&body)
                .of(&router)
                .await
        }
    };
    let first = keyed("Anna", "k1").await.json();
    assert_eq!(keyed("Anna", "k1").await.json(), first);
    assert_ne!(keyed("Anna", "k2").await.json()["id"], first["id"]);
    let detail = keyed("Bob", "k1").await.problem(409);
    assert!(detail.contains("a key of its own"), "{detail}");
    keyed("Bob", "with space").await.problem(422);
    let many = futures::future::join_all((0..16).map(|_| keyed("Eve", "k3"))).await;
    assert!(many.iter().all(|answer| answer.json() == many[0].json()));
    let page = ask("GET", "/id/search?q=eve").of(&router).await.json();
    assert_eq!(page["ids"].as_array().unwrap().len(), 1, "{page}");
    assert!(
        world
            .actions()
            .await
            .iter()
            .all(|action| action.starts_with("id.issue"))
    );
}

#[tokio::test]
async fn nothing_is_issued_before_the_registry_is_ready_and_a_revoked_id_is_granted_to_nobody() {
    let world = World::new();
    let router = world.router();
    post(&router, "/id/issue", json!({ "owner": "Anna" }))
        .await
        .problem(503);
    let lines = r#"{"table":"id_registry","row":1,"id":"AB123456","owner":"Anna","status":"revoked","issued_at":null,"updated_at":null}
{"table":"id_registry","row":2,"id":"EF123456","owner":"Bob","status":"archived","issued_at":null,"updated_at":null}
{"table":"users","row":1,"corporate_id":"AB123456","telegram_id":"4711","created_at":null,"last_access":null}
"#;
    std::fs::write(world.data().join(FORMER_FILE), lines).unwrap();
    world.declare("EF123456", |_| {});
    let begun = world.use_cases().begin_ids(world.data()).await.unwrap();
    assert_eq!((begun.takeover.added, begun.takeover.links), (2, 1));
    assert_eq!(
        begun.in_words_only,
        [id("EF123456")],
        "revoked there, and in force here: it is said"
    );
    assert_eq!(show(&router, "ab123456").await["telegram_id"], 4711);
    let detail = post(&router, "/access/grant", json!({ "corporate_id": "ab123456" }))
        .await
        .problem(409);
    assert!(detail.contains("AB123456 is revoked"), "{detail}");
    // Revoking again is what denies.
    assert_eq!(show(&router, "EF123456").await["access"], "Granted");
    post(&router, "/id/revoke", json!({ "id": "EF123456" })).await;
    let page = show(&router, "EF123456").await;
    assert_eq!(
        (&page["access"], &page["status"]),
        (&json!("Denied"), &json!("archived"))
    );
    issue(&router, "Eve").await;
}

#[tokio::test]
async fn the_registry_says_whose_a_hold_is_where_nobody_is_declared() {
    let (world, router) = world().await;
    let (alone, declared) = (issue(&router, "Anna").await, issue(&router, "Bob").await);
    world.declare(&declared, |spec| spec.owner = Some("Bob Declared".to_owned()));
    for id in [&alone, &declared] {
        post(&router, "/holds", json!({ "corporate_id": id })).await;
    }
    let holds = ask("GET", "/holds").of(&router).await.json();
    let mut owners: Vec<(&str, &str)> = holds["holds"]
        .as_array()
        .unwrap()
        .iter()
        .map(|hold| (hold["corporate_id"].as_str().unwrap(), hold["owner"].as_str().unwrap()))
        .collect();
    owners.sort_unstable();
    let mut expected = [(alone.as_str(), "Anna"), (declared.as_str(), "Bob Declared")];
    expected.sort_unstable();
    assert_eq!(owners, expected);
    let person = ask("GET", &format!("/user/{alone}")).of(&router).await.json();
    assert_eq!(
        (&person["declared"], &person["owner"], &person["email"]),
        (&json!(false), &json!("Anna"), &json!("a@example.com"))
    );
}
