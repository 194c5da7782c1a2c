//! Taking a wrong burst back as one.

use std::{sync::Arc, time::Duration};

use axum::Router;
use serde_json::{Value, json};
use vpn_operator::{history::HistoryError, model::hold::VpnHoldSpec};

use super::{Answer, World, ask, world::id};

const SINCE: &str = "2026-05-01T12:01:00Z";

async fn deactivate(router: &Router, text: &str, source: &str) {
    let asked = ask("POST", &format!("/user/{text}/deactivate")).header("x-vpn-operator-source", source);
    let answer = asked.of(router).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
}

async fn release(router: &Router, body: &Value) -> Answer {
    ask("POST", "/holds/release").json(body).of(router).await
}

fn since(dry_run: bool) -> Value {
    json!({ "source": "helpdesk", "since": SINCE, "reason": "wrong list", "dry_run": dry_run })
}

/// Each person with what auth does, why, whether `spec.active` is set back, and what still denies.
fn outcome(answer: &Value) -> Vec<(String, String, bool, Value)> {
    let people = answer["people"].as_array().unwrap();
    people
        .iter()
        .map(|person| {
            (
                person["corporate_id"].as_str().unwrap().to_owned(),
                person["reason"].as_str().unwrap().to_owned(),
                person["reactivates"].as_bool().unwrap(),
                person["remaining"].clone(),
            )
        })
        .collect()
}

/// A burst by the help desk, beside what others did and what the help desk did before.
async fn burst() -> (Arc<World>, Router) {
    let world = World::new();
    for n in 1..=7 {
        world.declare(&format!("AB00000{n}"), |spec| {
            spec.valid_until = (n == 5).then(|| "2026-01-01T00:00:00Z".parse().unwrap());
        });
    }
    let router = world.router();
    deactivate(&router, "AB000001", "helpdesk").await;
    deactivate(&router, "AB000007", "api").await;
    world.clock.advance(Duration::from_secs(60));
    for n in [2, 3, 5, 7] {
        deactivate(&router, &format!("AB00000{n}"), "helpdesk").await;
    }
    deactivate(&router, "AB000003", "api").await;
    let hold = json!({ "corporate_id": "AB000004", "source": "helpdesk", "reason": "laptop" });
    assert_eq!(ask("POST", "/holds").json(&hold).of(&router).await.status, 201);
    deactivate(&router, "AB000006", "api").await;
    world.clock.advance(Duration::from_secs(60));
    (world, router)
}

#[tokio::test(start_paused = true)]
async fn a_burst_is_foreseen_and_taken_back_with_what_it_did_to_the_objects() {
    let (world, router) = burst().await;
    let writes = world.lock().writes;
    let rows = world.actions().await.len();
    let expected = [
        ("AB000002", "Active", true, json!([])),
        ("AB000003", "Held", true, json!(["api-deactivated-ab000003"])),
        ("AB000004", "Active", false, json!([])),
        ("AB000005", "Expired", true, json!([])),
        ("AB000007", "Held", false, json!(["api-deactivated-ab000007"])),
    ]
    .map(|(id, reason, reactivates, remaining)| (id.to_owned(), reason.to_owned(), reactivates, remaining));

    let foreseen = release(&router, &since(true)).await;
    assert_eq!(foreseen.status, 200, "{}", foreseen.text);
    let foreseen = foreseen.json();
    assert_eq!(
        (&foreseen["status"], &foreseen["holds"]),
        (&json!("dry_run"), &json!(5))
    );
    assert_eq!(outcome(&foreseen), expected);
    let laptop = json!({ "name": "helpdesk-held-ab000004", "since": SINCE, "reason": "laptop", "released": false });
    assert_eq!(foreseen["people"][2]["holds"], json!([laptop]));
    assert_eq!(world.lock().writes, writes);
    assert_eq!(world.actions().await.len(), rows);

    let done = release(&router, &since(false)).await;
    assert_eq!(done.status, 200, "{}", done.text);
    let done = done.json();
    assert_eq!(
        (&done["status"], &done["source"], &done["failed"]),
        (&json!("released"), &json!("helpdesk"), &json!(0))
    );
    assert_eq!(outcome(&done), expected);
    assert_eq!(done["people"][2]["holds"][0]["released"], true);
    {
        let inner = world.lock();
        let left: Vec<&String> = inner.holds.keys().filter(|name| name.starts_with("helpdesk")).collect();
        assert_eq!(left, ["helpdesk-deactivated-ab000001"], "it was placed before");
        let active = |text: &str| inner.users[text].spec.active;
        assert!(active("ab000002") && active("ab000003") && active("ab000005"));
        assert!(!active("ab000006") && !active("ab000007"), "others set them inactive");
    }

    let again = release(&router, &since(false)).await.json();
    assert_eq!((&again["status"], &again["people"]), (&json!("released"), &json!([])));
}

#[tokio::test(start_paused = true)]
async fn one_audit_row_speaks_of_all_and_one_of_each_person() {
    let (world, router) = burst().await;
    let rows = world.actions().await.len();
    let asked = ask("POST", "/holds/release").header("x-request-id", "burst-17");
    asked.json(&since(false)).of(&router).await;
    let entries: Vec<_> = world.audit().await[rows..]
        .iter()
        .map(|row| row.entry.clone())
        .collect();
    assert!(entries.iter().all(|entry| entry.source == "helpdesk"
        && entry.request_id.as_deref() == Some("burst-17")
        && entry.reason.as_deref() == Some("wrong list")));
    let read = |text: &Option<String>| serde_json::from_str::<Value>(text.as_deref().unwrap()).unwrap();
    assert_eq!(
        (entries[0].action.as_str(), entries[0].corporate_id.as_ref()),
        ("hold.release-many", None)
    );
    assert_eq!(
        read(&entries[0].before),
        json!({ "source": "helpdesk", "since": SINCE, "holds": 5, "people": 5, "namesLeftOut": 0, "names": [
            "helpdesk-deactivated-ab000002", "helpdesk-deactivated-ab000003", "helpdesk-held-ab000004",
            "helpdesk-deactivated-ab000005", "helpdesk-deactivated-ab000007"] })
    );
    let whom: Vec<_> = entries[1..]
        .iter()
        .map(|it| (it.action.as_str(), it.corporate_id.clone().unwrap()))
        .collect();
    let expected = ["AB000002", "AB000003", "AB000004", "AB000005", "AB000007"];
    assert_eq!(whom, expected.map(|id| ("hold.release", id.to_owned())));
    assert_eq!(
        read(&entries[1].before),
        json!({ "holds": ["helpdesk-deactivated-ab000002"], "active": false })
    );
    assert_eq!(read(&entries[1].after), json!({ "active": true }));
    assert_eq!(entries[3].after, None, "nothing but the hold changes");
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_lifted_is_named_the_rest_is_done_and_asking_again_finds_it() {
    let (world, router) = burst().await;
    world.lock().unliftable = vec!["helpdesk-deactivated-ab000003".to_owned()];
    let done = release(&router, &since(false)).await.json();
    assert_eq!((&done["status"], &done["failed"]), (&json!("incomplete"), &json!(1)));
    let error = done["people"][1]["error"].as_str().unwrap();
    assert!(
        error.contains("helpdesk-deactivated-ab000003") && error.contains("read-only"),
        "{error}"
    );
    assert_eq!(done["people"][1]["holds"][0]["released"], false);
    assert_eq!(
        world
            .lock()
            .holds
            .keys()
            .filter(|it| it.starts_with("helpdesk"))
            .count(),
        2
    );
    assert_eq!(world.actions().await.last().unwrap(), "hold.release.failed");

    world.lock().unliftable.clear();
    let again = release(&router, &since(false)).await.json();
    assert_eq!(
        (&again["status"], &again["people"][0]["corporate_id"]),
        (&json!("released"), &json!("AB000003"))
    );
}

#[tokio::test(start_paused = true)]
async fn a_person_whose_object_cannot_be_set_back_keeps_the_hold() {
    let (world, router) = burst().await;
    world.lock().not_editable = true;
    let done = release(&router, &since(false)).await.json();
    assert_eq!((&done["status"], &done["failed"]), (&json!("incomplete"), &json!(3)));
    let error = done["people"][0]["error"].as_str().unwrap();
    assert!(error.contains("spec.active") && error.contains("YAML alias"), "{error}");
    let inner = world.lock();
    assert!(inner.holds.contains_key("helpdesk-deactivated-ab000002"));
    assert!(!inner.holds.contains_key("helpdesk-held-ab000004"));
}

#[tokio::test(start_paused = true)]
async fn a_feeds_holds_are_taken_back_in_the_same_way() {
    let world = World::new();
    world.declare("AB000001", |_| {});
    world.declare("AB000002", |_| {});
    let router = world.router();
    deactivate(&router, "AB000001", "hr").await;
    world.lock().guarded = vec![id("AB000002")];
    let waits = json!({ "corporate_id": "AB000002", "source": "hr" });
    assert_eq!(
        ask("POST", "/holds").json(&waits).of(&router).await.json()["status"],
        "held_back"
    );
    let body = json!({ "source": "hr", "since": "2026-05-01T00:00:00Z" });
    let done = release(&router, &body).await.json();
    assert_eq!((&done["status"], &done["holds"]), (&json!("released"), &json!(2)));
    assert!(world.lock().holds.is_empty());
    assert!(world.lock().users["ab000001"].spec.active);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_taken_back_without_history_or_of_another_source() {
    let (world, router) = burst().await;
    let ahead = json!({ "source": "helpdesk", "since": "2027-01-01T00:00:00Z" });
    assert!(release(&router, &ahead).await.problem(422).contains("ahead"));
    for source in ["operator", "folder", "abcdefghijklmnopq"] {
        release(&router, &json!({ "source": source, "since": SINCE }))
            .await
            .problem(422);
    }
    release(&router, &json!({ "source": "helpdesk" })).await.problem(422);
    let own = json!({ "since": SINCE, "dry_run": true });
    let names = |answer: &Value| -> Vec<String> {
        let people = answer["people"].as_array().unwrap();
        people
            .iter()
            .map(|it| it["holds"][0]["name"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(
        names(&release(&router, &own).await.json()),
        ["api-deactivated-ab000003", "api-deactivated-ab000006"],
        "without a source: the caller's own"
    );
    let holds = world.lock().holds.len();
    world.lock().history_error = Some(HistoryError::Unavailable("the disk is full".to_owned()));
    assert!(
        release(&router, &since(false))
            .await
            .problem(503)
            .contains("nothing was changed")
    );
    assert_eq!(world.lock().holds.len(), holds);
}

#[tokio::test(start_paused = true)]
async fn many_are_lifted_a_few_at_a_time_and_the_long_list_is_cut_in_the_one_row() {
    let world = World::new();
    let router = world.router();
    for n in 0..250 {
        let spec = VpnHoldSpec {
            corporate_id: id(&format!("AB{n:06}")),
            source: "helpdesk".to_owned(),
            reason: None,
            from: None,
            until: None,
        };
        world.hold_placed(&format!("helpdesk-held-ab{n:06}"), spec);
    }
    world.clock.advance(Duration::from_secs(120));
    let done = release(
        &router,
        &json!({ "source": "helpdesk", "since": "2026-05-01T12:00:00.9Z" }),
    )
    .await
    .json();
    assert_eq!(
        (&done["status"], &done["holds"]),
        (&json!("released"), &json!(250)),
        "a moment counts from its whole second"
    );
    let most = world.lock().lifts.1;
    assert!((2..=16).contains(&most), "{most} at once");
    let rows = world.audit().await;
    assert_eq!(rows.len(), 251);
    let all: Value = serde_json::from_str(rows[0].entry.before.as_deref().unwrap()).unwrap();
    assert_eq!(all["names"].as_array().unwrap().len(), 200);
    assert_eq!((&all["holds"], &all["namesLeftOut"]), (&json!(250), &json!(50)));
    assert_eq!(rows[250].entry.corporate_id.as_deref(), Some("AB000249"));
}
