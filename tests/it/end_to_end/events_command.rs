//! `vpn-operator events`: what a person on call does with events of HR that were not carried out.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::operator::{House, Operator, user};
use crate::support::hr::{HUB_SECRET, event, hub};

const ANNA: &str = "AB000001";

async fn send(operator: &Operator, body: &Value) -> Value {
    let body = body.to_string();
    let request = operator
        .http()
        .post(operator.url("/webhooks/hr-events"))
        .header("X-Hub-Signature-256", hub(body.as_bytes()));
    let answer = request.body(body).send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 200);
    answer.json().await.unwrap()
}

fn said(parts: &(i32, String, String)) -> String {
    format!("exit {}\n{}{}", parts.0, parts.1, parts.2)
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_listed_shown_replayed_once_mended_and_discarded() {
    let mut house = House::new();
    house.set("WEBHOOK_SECRET", HUB_SECRET);
    let operator = house.start().await;
    let at = (Timestamp::now() - SignedDuration::from_secs(5)).to_string();
    // Nobody is declared whose role could be changed.
    let role = send(
        &operator,
        &event("user_role_changed", ANNA, &at, json!({ "new_role": "Chief" })),
    )
    .await;
    let strange = send(&operator, &event("user_hired", ANNA, &at, json!({}))).await;
    assert_eq!(
        (&role["status"], &strange["status"]),
        (&json!("failed"), &json!("failed"))
    );
    let number = |answer: &Value| answer["event_id"].as_i64().unwrap().to_string();
    let (role, strange) = (number(&role), number(&strange));

    let listed = operator.cli(&house, &["events", "list", "--state", "failed"]).await;
    assert_eq!(listed.0, 0, "{}", said(&listed));
    for text in ["user_role_changed", "user_hired", ANNA, "failed"] {
        assert!(listed.1.contains(text), "{text}: {}", said(&listed));
    }
    let one = [
        "events",
        "list",
        "--type",
        "user_hired",
        "--limit",
        "1",
        "--output",
        "json",
    ];
    let one = operator.cli(&house, &one).await;
    let page: Value = serde_json::from_str(&one.1).unwrap();
    assert_eq!(page["events"].as_array().unwrap().len(), 1, "{page}");
    assert_eq!(page["events"][0]["event_id"].to_string(), strange);
    let none = operator.cli(&house, &["events", "list", "--id", "CD000001"]).await;
    assert!(
        none.0 == 0 && none.2.contains("There are no such events"),
        "{}",
        said(&none)
    );

    let shown = operator.cli(&house, &["events", "show", &role]).await;
    assert!(
        shown.0 == 0 && shown.1.contains("Chief"),
        "with what was sent: {}",
        said(&shown)
    );
    let unknown = operator.cli(&house, &["events", "show", "4711"]).await;
    assert_eq!(unknown.0, 3, "{}", said(&unknown));

    let still = operator.cli(&house, &["events", "replay", &role]).await;
    assert_eq!(still.0, 6, "nothing was mended: {}", said(&still));
    house.write("a.yaml", &user(ANNA, ""));
    operator.becomes(ANNA, "Granted").await;
    let mended = operator.cli(&house, &["events", "replay", &role]).await;
    assert_eq!(mended.0, 0, "{}", said(&mended));
    assert!(
        house.read("a.yaml").contains("role: \"Chief\""),
        "{}",
        house.read("a.yaml")
    );

    let discarded = ["events", "discard", &strange, "--reason", "sent by mistake"];
    let discarded = operator.cli(&house, &discarded).await;
    assert!(
        discarded.0 == 0 && discarded.1.contains("discarded"),
        "{}",
        said(&discarded)
    );
    let carried_out = operator.cli(&house, &["events", "discard", &role]).await;
    assert_eq!(
        carried_out.0,
        4,
        "what is carried out cannot be discarded: {}",
        said(&carried_out)
    );
    let left = operator.cli(&house, &["events", "list", "--state", "failed"]).await;
    assert!(left.2.contains("There are no such events"), "{}", said(&left));
}
