//! `vpn-operator audit forget`: nothing that was personal is found in any file of the data folder, and the audit still proves itself.

use std::{fs, path::Path, time::Instant};

use jiff::{SignedDuration, Timestamp};
use rusqlite::Connection;
use serde_json::{Value, json};

use super::operator::{CORPORATE_SECRET, House, Operator, eventually};
use crate::support::hr::{HUB_SECRET, event, hub};

const OTHER: &str = "AB000009";

/// What was said about the person in one way or another.
const TEXTS: [&str; 5] = [
    "Anna Needle",
    "needle@corp.example",
    "needle-reason",
    "needle-hr-reason",
    "needle-department",
];

fn house() -> House {
    let mut house = House::new();
    house.set("WEBHOOK_SECRET", HUB_SECRET);
    house
}

async fn send(operator: &Operator, body: &Value) -> Value {
    let body = body.to_string();
    let request = operator
        .http()
        .post(operator.url("/webhooks/hr-events"))
        .header("X-Hub-Signature-256", hub(body.as_bytes()));
    request.body(body).send().await.unwrap().json().await.unwrap()
}

fn ago(seconds: i64) -> String {
    (Timestamp::now() - SignedDuration::from_secs(seconds)).to_string()
}

/// A life in the company: an ID with an owner, a deactivation by HR, its end; and what the audit has of it. Answers the ID.
async fn lived(operator: &Operator) -> String {
    let issue = json!({ "owner": TEXTS[0], "email": TEXTS[1], "department": TEXTS[4] });
    let (status, issued) = operator.post("/id/issue", issue).await;
    assert!(status < 300, "{issued}");
    let id = issued["id"].as_str().unwrap().to_owned();
    let (status, answer) = operator
        .post("/id/revoke", json!({ "id": id, "reason": TEXTS[2] }))
        .await;
    assert!(status < 300, "{answer}");
    let left = json!({ "deactivation_reason": TEXTS[3], "deactivated_by": "hr.admin" });
    let answer = send(operator, &event("user_deactivated", &id, &ago(60), left)).await;
    assert_eq!(answer["status"], "processed", "{answer}");
    let answer = send(operator, &event("user_activated", &id, &ago(30), json!({}))).await;
    assert_eq!(answer["status"], "processed", "{answer}");
    let (_, holds) = operator.get("/holds").await;
    for hold in holds["holds"].as_array().unwrap() {
        assert_eq!(hold["source"], "registry", "{hold}");
    }
    id
}

/// Where in the folder something personal stands.
fn found_in(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for file in fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        if path.is_dir() {
            found.extend(found_in(&path));
            continue;
        }
        let bytes = fs::read(&path).unwrap_or_default();
        for text in TEXTS {
            if bytes.windows(text.len()).any(|window| window == text.as_bytes()) {
                found.push(format!("{}: {text}", path.display()));
            }
        }
    }
    found
}

fn is_proved(house: &House) {
    let verified = house.command(&["audit", "verify"]).output().unwrap();
    let said = String::from_utf8_lossy(&verified.stdout).into_owned() + &String::from_utf8_lossy(&verified.stderr);
    assert_eq!(verified.status.code(), Some(0), "{said}");
}

/// The hold of the revoked ID has the reason in it, and stays as long as it denies.
async fn reinstated(operator: &Operator, house: &House, id: &str) {
    let done = operator.cli(house, &["id", "activate", id, "--reinstate"]).await;
    assert_eq!(done.0, 0, "{}{}", done.1, done.2);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_personal_is_left_in_the_data_folder_of_a_running_operator() {
    let house = house();
    let operator = house.start().await;
    let id = lived(&operator).await;
    reinstated(&operator, &house, &id).await;
    assert!(!found_in(&house.data()).is_empty());
    let unsure = operator
        .cli(&house, &["audit", "forget", &id, "--reason", "request 31"])
        .await;
    assert_eq!(unsure.0, 2, "it asks, and here is nobody to ask: {}", unsure.2);
    let forget = ["audit", "forget", &id, "--reason", "request 31", "--yes"];
    let done = operator.cli(&house, &forget).await;
    assert_eq!(done.0, 0, "{}{}", done.1, done.2);
    assert!(
        done.1.contains("is forgotten") && done.2.contains("Copies that others made"),
        "{}{}",
        done.1,
        done.2
    );
    assert_eq!(found_in(&house.data()), [""; 0]);
    let (_, audit) = operator.get(&format!("/audit?corporate_id={id}&limit=1000")).await;
    let rows = audit["rows"].as_array().unwrap();
    let said: Vec<&Value> = rows.iter().filter(|row| row["action"] == "audit.forgotten").collect();
    assert_eq!(said.len(), 1, "{audit}");
    assert_eq!(said[0]["reason"], "request 31");
    assert!(
        rows.iter().any(|row| row["action"] == "deactivate"),
        "that it happened stays: {audit}"
    );
    let again = operator
        .cli(&house, &[&forget[..], &["--output", "json"]].concat())
        .await;
    let again: Value = serde_json::from_str(&again.1).unwrap();
    assert_eq!(
        (&again["rows"], &again["events"], &again["registry"]),
        (&json!(0), &json!(0), &json!(false))
    );
    // And what is the same event stays so, although nobody knows any more what stood in it.
    operator.stop().await;
    assert_eq!(found_in(&house.data()), [""; 0]);
    is_proved(&house);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_nobody_runs_on_forgets_as_well() {
    let house = house();
    let operator = house.start().await;
    let id = lived(&operator).await;
    reinstated(&operator, &house, &id).await;
    let args = ["audit", "forget", &id, "--reason", "request 31", "--yes", "--offline"];
    let owned = house.command(&args).env("DATA_DIR", "data").output().unwrap();
    assert_eq!(owned.status.code(), Some(1), "the operator owns it");
    operator.stop().await;
    let done = house.command(&args).env("DATA_DIR", "data").output().unwrap();
    let said = String::from_utf8_lossy(&done.stdout).into_owned() + &String::from_utf8_lossy(&done.stderr);
    assert_eq!(done.status.code(), Some(0), "{said}");
    assert_eq!(found_in(&house.data()), [""; 0]);
    let operator = house.start().await;
    operator.stop().await;
    is_proved(&house);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_cut_off_in_between_goes_on_at_the_next_start() {
    let house = house();
    let operator = house.start().await;
    let id = lived(&operator).await;
    reinstated(&operator, &house, &id).await;
    operator.stop().await;
    // As it is when the audit has forgotten, and nothing else has.
    let conn = Connection::open(house.data().join("history.db")).unwrap();
    let order = json!({ "actor": "anna", "source": "cli", "action": "audit.forgotten", "corporateId": id, "reason": "request 31" });
    conn.execute(
        "INSERT INTO forgetting (corporate_key, at, entry) VALUES (?1, 1, ?2)",
        (id.to_ascii_lowercase(), order.to_string()),
    )
    .unwrap();
    drop(conn);
    let operator = house.start().await;
    eventually("it is forgotten everywhere", async || {
        operator
            .log()
            .contains("a person is forgotten everywhere now")
            .then_some(())
    })
    .await;
    assert_eq!(found_in(&house.data()), [""; 0]);
    operator.stop().await;
    is_proved(&house);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_in_the_midst_of_forgetting_leaves_nothing_half_forgotten() {
    let house = house();
    let mut operator = house.start().await;
    let mut took = None;
    for part in 0..=6 {
        let id = lived(&operator).await;
        reinstated(&operator, &house, &id).await;
        let order = json!({ "corporate_id": id, "reason": "request 33" });
        let request = operator.http().post(operator.url("/audit/forget"));
        let request = request.header("X-Corporate-Secret", CORPORATE_SECRET).json(&order);
        let begun = Instant::now();
        let Some(took) = took else {
            assert_eq!(request.send().await.unwrap().status(), 200);
            took = Some(begun.elapsed());
            continue;
        };
        let asked = tokio::spawn(request.send());
        // Spread over the time that it takes: before the first store, between them, and behind the last one.
        tokio::time::sleep(took * part / 6).await;
        operator.kill();
        drop(asked.await);
        operator = house.start().await;
        let (_, audit) = operator.get(&format!("/audit?corporate_id={id}&limit=1000")).await;
        if audit.to_string().contains("audit.forgotten") {
            eventually("what was begun is brought to its end", async || {
                found_in(&house.data()).is_empty().then_some(())
            })
            .await;
        } else {
            let forget = ["audit", "forget", &id, "--reason", "request 33", "--yes"];
            let done = operator.cli(&house, &forget).await;
            assert_eq!(done.0, 0, "{}{}", done.1, done.2);
        }
        assert_eq!(found_in(&house.data()), [""; 0], "killed after {part}/6");
    }
    operator.stop().await;
    is_proved(&house);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_is_not_carried_out_yet_is_kept_and_that_is_said() {
    let house = house();
    let operator = house.start().await;
    let later = (Timestamp::now() + SignedDuration::from_hours(1)).to_string();
    let leaves = json!({ "deactivation_reason": TEXTS[3], "effective_date": later });
    let answer = send(&operator, &event("user_deactivated", OTHER, &ago(5), leaves)).await;
    assert_eq!(answer["status"], "pending", "{answer}");
    let done = operator
        .cli(&house, &["audit", "forget", OTHER, "--reason", "request 32", "--yes"])
        .await;
    assert_eq!(done.0, 0, "{}{}", done.1, done.2);
    assert!(
        done.2.contains("1 HR events about them are still to be carried out"),
        "{}",
        done.2
    );
    let (_, events) = operator.get(&format!("/webhooks/events?corporate_id={OTHER}")).await;
    assert_eq!(events["events"][0]["status"], "pending", "{events}");
    operator.stop().await;
}
