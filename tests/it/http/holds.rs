//! Holds, guard and audit.

use std::time::Duration;

use serde_json::{Value, json};

use vpn_operator::{access::MOST_SHOWN, model::hold::VpnHoldSpec};

use super::{World, ask, world::id};

#[tokio::test(start_paused = true)]
async fn a_hold_says_who_ordered_it_as_the_audit_does_and_no_link_that_somebody_wrote_there() {
    let world = World::new();
    world.declare("AB123456", |_| {});
    let router = world.router();
    let hold = json!({ "corporate_id": "AB123456" });
    let by = async |actor: &str| {
        let placed = ask("POST", "/holds")
            .header("x-vpn-operator-actor", actor)
            .json(&hold)
            .of(&router)
            .await;
        assert_eq!(placed.status, 201, "{}", placed.text);
        placed.json()["ordered_by"].clone()
    };
    assert_eq!(by("anna").await, "anna (192.0.2.1)");
    assert_eq!(world.audit().await[0].entry.actor, "anna (192.0.2.1)");
    assert_eq!(by("bob").await, "anna (192.0.2.1)", "the first order stands");
    let listed = ask("GET", "/holds").of(&router).await.json();
    assert_eq!(listed["holds"][0]["ordered_by"], "anna (192.0.2.1)");
    let page = ask("GET", "/user/AB123456").of(&router).await.json();
    assert_eq!(page["holds"][0]["ordered_by"], "anna (192.0.2.1)");

    world.declare("CD123456", |_| {});
    let answer = ask("POST", "/user/CD123456/deactivate")
        .header("x-vpn-operator-actor", "hysteria2://user:NEEDLE@host")
        .of(&router)
        .await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let listed = ask("GET", "/holds?corporate_id=CD123456").of(&router).await;
    assert!(
        listed.json()["holds"][0]["ordered_by"].is_string() && !listed.text.contains("NEEDLE"),
        "{}",
        listed.text
    );

    world.hold(
        "hr-left-ef123456",
        VpnHoldSpec {
            corporate_id: id("EF123456"),
            source: "hr".to_owned(),
            reason: None,
            from: None,
            until: None,
        },
    );
    let listed = ask("GET", "/holds?source=hr").of(&router).await.json();
    assert_eq!(listed["holds"][0]["ordered_by"], Value::Null, "nobody ordered it here");
}

#[tokio::test(start_paused = true)]
async fn a_hold_is_placed_listed_and_lifted() {
    let world = World::new();
    world.declare("AB123456", |_| {});
    let router = world.router();
    let hold = json!({ "corporate_id": "AB123456", "cause": "vacation", "reason": "until June",
                       "until": "2026-06-01T00:00:00Z" });
    let answer = ask("POST", "/holds").json(&hold).of(&router).await;
    assert_eq!(answer.status, 201, "{}", answer.text);
    let body = answer.json();
    assert_eq!(body["name"], "api-vacation-ab123456");
    assert_eq!((&body["source"], &body["phase"]), (&json!("api"), &json!("Live")));
    assert_eq!(body["contained_at"], "2026-05-01T12:00:00Z");
    ask("GET", "/user/AB123456/config").of(&router).await.problem(403);

    let again = ask("POST", "/holds").json(&hold).of(&router).await;
    assert_eq!(again.status, 201);
    assert_eq!(world.lock().writes, 1);
    assert_eq!(world.actions().await, ["hold.create"]);
    let other = json!({ "corporate_id": "AB123456", "cause": "vacation" });
    ask("POST", "/holds").json(&other).of(&router).await.problem(409);

    let list = ask("GET", "/holds?corporate_id=ab123456").of(&router).await.json();
    assert_eq!(list["holds"].as_array().unwrap().len(), 1);
    assert_eq!(list["holds"][0]["reason"], "until June");
    let none = ask("GET", "/holds?phase=Expired").of(&router).await.json();
    assert_eq!(none["holds"], json!([]));

    let released = ask("DELETE", "/holds/api-vacation-ab123456").of(&router).await;
    assert_eq!(released.status, 200, "{}", released.text);
    assert_eq!(released.json()["remaining"], json!([]));
    assert_eq!(ask("GET", "/user/AB123456/config").of(&router).await.status, 200);
    ask("DELETE", "/holds/api-vacation-ab123456")
        .of(&router)
        .await
        .problem(404);
}

#[tokio::test(start_paused = true)]
async fn a_hold_may_come_before_its_person_and_before_its_time() {
    let world = World::new();
    let router = world.router();
    let hold = json!({ "corporate_id": "AB123456", "from": "2026-06-01T00:00:00Z" });
    let answer = ask("POST", "/holds").json(&hold).of(&router).await;
    assert_eq!(answer.status, 201, "{}", answer.text);
    assert_eq!(answer.json()["phase"], "Pending");
    assert_eq!(answer.json()["denied_at"], Value::Null);
    assert_eq!(answer.json()["name"], "api-held-ab123456");
}

#[tokio::test(start_paused = true)]
async fn only_the_source_that_placed_a_hold_lifts_it() {
    let world = World::new();
    let router = world.router();
    let hold = json!({ "corporate_id": "AB123456", "source": "helpdesk" });
    let answer = ask("POST", "/holds").json(&hold).of(&router).await;
    assert_eq!(answer.json()["name"], "helpdesk-held-ab123456", "{}", answer.text);
    let name = "/holds/helpdesk-held-ab123456";
    assert!(ask("DELETE", name).of(&router).await.problem(409).contains("helpdesk"));
    let as_helpdesk = ask("DELETE", name).header("x-vpn-operator-source", "helpdesk");
    assert_eq!(as_helpdesk.of(&router).await.status, 200);
    ask("POST", "/holds").json(&hold).of(&router).await;
    assert_eq!(
        ask("DELETE", &format!("{name}?source=helpdesk"))
            .of(&router)
            .await
            .status,
        200
    );

    for source in ["folder", "registry", "operator"] {
        let hold = json!({ "corporate_id": "AB123456", "source": source });
        ask("POST", "/holds").json(&hold).of(&router).await.problem(422);
        ask("DELETE", &format!("/holds/x?source={source}"))
            .of(&router)
            .await
            .problem(422);
        let posing = ask("POST", "/user/AB123456/activate").header("x-vpn-operator-source", source);
        posing.of(&router).await.problem(422);
    }
}

#[tokio::test(start_paused = true)]
async fn a_hold_with_a_mistake_in_it_is_refused() {
    let world = World::new();
    let router = world.router();
    for (hold, word) in [
        (
            json!({ "corporate_id": "AB123456", "untill": "2026-06-01T00:00:00Z" }),
            "untill",
        ),
        (
            json!({ "corporate_id": "AB123456", "until": "2026-01-01T00:00:00Z" }),
            "until",
        ),
        (json!({ "corporate_id": "AB123456", "until": "tomorrow" }), "until"),
        (json!({ "corporate_id": "-" }), "corporate_id"),
        (json!({ "corporate_id": "AB123456", "cause": "Deactivated" }), "cause"),
        (json!({}), "corporate_id"),
    ] {
        let detail = ask("POST", "/holds").json(&hold).of(&router).await.problem(422);
        assert!(detail.contains(word), "{detail}");
    }
    assert_eq!(world.lock().writes, 0);
}

#[tokio::test(start_paused = true)]
async fn a_hold_that_the_guard_holds_back_is_never_called_live() {
    let world = World::new();
    world.declare("AB123456", |_| {});
    world.lock().guarded = vec![id("AB123456")];
    let router = world.router();
    let hold = json!({ "corporate_id": "AB123456", "source": "hr" });
    let answer = ask("POST", "/holds").json(&hold).of(&router).await;
    assert_eq!(
        (
            answer.status.as_u16(),
            &answer.json()["status"],
            &answer.json()["phase"]
        ),
        (202, &json!("held_back"), &json!("HeldBack")),
        "{}",
        answer.text
    );
    let order = json!({ "corporate_id": "AB000002", "source": "helpdesk" });
    ask("POST", "/holds").json(&order).of(&router).await;

    let list = async |query: &str| ask("GET", &format!("/holds{query}")).of(&router).await.json();
    let all = list("").await;
    assert_eq!(
        (&all["holds"][0]["phase"], &all["holds"][1]["phase"]),
        (&json!("Live"), &json!("HeldBack"))
    );
    assert_eq!(all["holds"][0]["decide"], Value::Null);
    assert_eq!(
        all["holds"][1]["decide"],
        json!({ "confirm": "vpn-operator guard confirm AB123456", "cancel": "vpn-operator guard cancel AB123456" })
    );
    let only = list("?phase=HeldBack").await;
    assert_eq!(only["holds"].as_array().unwrap().len(), 1);
    assert_eq!(only["holds"][0]["name"], "hr-held-ab123456");
    assert_eq!(list("?phase=Live").await["holds"][0]["name"], "helpdesk-held-ab000002");
    let person = ask("GET", "/user/AB123456").of(&router).await.json();
    assert_eq!(person["holds"][0]["phase"], "HeldBack");

    let all = json!({ "all": true });
    ask("POST", "/guard/confirm").json(&all).of(&router).await;
    assert_eq!(list("?corporate_id=AB123456").await["holds"][0]["phase"], "Live");
}

#[tokio::test(start_paused = true)]
async fn what_the_guard_holds_back_is_shown_confirmed_and_cancelled_by_name() {
    let world = World::new();
    world.lock().guarded = ["AB000001", "AB000002", "AB000003"].map(id).to_vec();
    world.declare("AB000001", |spec| spec.owner = Some("Anna".to_owned()));
    let held = VpnHoldSpec {
        corporate_id: id("AB000001"),
        source: "hr".to_owned(),
        reason: Some("left the company".to_owned()),
        from: None,
        until: None,
    };
    world.hold("Held", held);
    let router = world.router();
    let shown = ask("GET", "/guard").of(&router).await.json();
    assert_eq!(shown["pending"].as_array().unwrap().len(), 3);
    assert_eq!(
        shown["pending"][0],
        json!({ "corporate_id": "AB000001", "owner": "Anna", "reason": "Held", "from": "left the company", "budget": "Hr",
                "since": "2026-05-01T12:00:00Z",
                "decide": { "confirm": "vpn-operator guard confirm AB000001",
                            "cancel": "vpn-operator guard cancel AB000001" } })
    );
    assert_eq!(
        shown["budgets"],
        json!([
            { "budget": "Declared", "limit": 10, "used": 4, "left": 6, "waiting": 0 },
            { "budget": "Hr", "limit": 10, "used": 10, "left": 0, "waiting": 3 },
            { "budget": "Usage", "limit": null, "used": 3, "left": null, "waiting": 0 },
        ])
    );
    assert_eq!((&shown["orders"], &shown["window_seconds"]), (&json!(7), &json!(600)));
    assert_eq!(
        (&shown["recent"], &shown["limit"]),
        (&json!(4), &json!(10)),
        "as earlier installations answered"
    );

    let ids = json!({ "ids": ["ab000002", "AB999999"] });
    let done = ask("POST", "/guard/confirm").json(&ids).of(&router).await.json();
    assert_eq!(
        (&done["status"], &done["affected"]),
        (&json!("confirmed"), &json!(["AB000002"]))
    );
    assert_eq!(done["pending"].as_array().unwrap().len(), 2);
    let all = json!({ "all": true });
    let done = ask("POST", "/guard/cancel").json(&all).of(&router).await.json();
    assert_eq!(
        (&done["status"], &done["affected"]),
        (&json!("cancelled"), &json!(["AB000001", "AB000003"]))
    );
    assert_eq!(done["pending"], json!([]));
    assert_eq!(world.actions().await, ["guard.confirm", "guard.cancel", "guard.cancel"]);
}

#[tokio::test(start_paused = true)]
async fn a_company_that_is_held_back_is_counted_named_in_part_and_confirmed_whole() {
    let world = World::new();
    let company: Vec<_> = (0..1500).map(|n| id(&format!("AB{n:06}"))).collect();
    world.lock().guarded = company.clone();
    let router = world.router();
    let shown = ask("GET", "/guard").of(&router).await.json();
    assert_eq!(shown["pending"].as_array().unwrap().len(), MOST_SHOWN);
    assert_eq!(
        (&shown["pending_total"], &shown["rejected_total"]),
        (&json!(1500), &json!(0))
    );
    let all = json!({ "all": true });
    let done = ask("POST", "/guard/confirm").json(&all).of(&router).await.json();
    assert_eq!(
        done["affected"].as_array().unwrap().len(),
        1500,
        "also those that were not named"
    );
    assert_eq!((&done["pending"], &done["pending_total"]), (&json!([]), &json!(0)));
}

#[tokio::test(start_paused = true)]
async fn the_guard_takes_no_word_about_everybody_that_is_not_said() {
    let world = World::new();
    world.lock().guarded = ["AB000001", "AB000002"].map(id).to_vec();
    let router = world.router();
    for path in ["/guard/confirm", "/guard/cancel"] {
        ask("POST", path).of(&router).await.problem(415);
        for body in [
            json!({}),
            json!({ "ids": [] }),
            json!({ "ids": null }),
            json!({ "all": false }),
            json!({ "all": true, "ids": ["AB000001"] }),
            json!([]),
            json!([null, true]),
            json!({ "id": "AB000001" }),
        ] {
            ask("POST", path).json(&body).of(&router).await.problem(422);
        }
    }
    assert_eq!(world.lock().guarded.len(), 2);
    assert!(world.actions().await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_the_guard_holds_back_is_answered_although_its_store_is_stuck() {
    let world = World::new();
    world.lock().guarded = vec![id("AB000001")];
    world.lock().guard_stuck = true;
    let begun = tokio::time::Instant::now();
    let shown = ask("GET", "/guard").of(&world.router()).await.json();
    assert_eq!(shown["pending"].as_array().unwrap().len(), 1);
    assert!(begun.elapsed() >= Duration::from_secs(1) && begun.elapsed() < Duration::from_secs(3));
}

#[tokio::test(start_paused = true)]
async fn the_audit_is_read_in_pages() {
    let world = World::new();
    let router = world.router();
    for n in 0..5 {
        let body = json!({ "corporate_id": format!("AB00000{n}"), "cause": "test" });
        let request = ask("POST", "/holds").header("x-vpn-operator-actor", "anna");
        request.json(&body).of(&router).await;
    }
    let first = ask("GET", "/audit?limit=3").of(&router).await.json();
    let seqs = |page: &Value| -> Vec<i64> {
        page["rows"]
            .as_array()
            .unwrap()
            .iter()
            .map(|row| row["seq"].as_i64().unwrap())
            .collect()
    };
    assert_eq!(seqs(&first), [5, 4, 3]);
    assert_eq!(first["rows"][0]["actor"], "anna (192.0.2.1)");
    let second = ask("GET", &format!("/audit?limit=3&before={}", first["next"]))
        .of(&router)
        .await
        .json();
    assert_eq!(seqs(&second), [2, 1]);
    assert_eq!(second["next"], Value::Null);
    let one = ask("GET", "/audit?corporate_id=ab000002").of(&router).await.json();
    assert_eq!(seqs(&one), [3]);
    for bad in [
        "limit=0",
        "limit=1001",
        "limit=x",
        "before=x",
        "corporate_id=%20",
        "page=2",
    ] {
        ask("GET", &format!("/audit?{bad}")).of(&router).await.problem(422);
    }
}
