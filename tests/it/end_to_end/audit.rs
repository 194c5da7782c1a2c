//! The audit of a running operator: what was done to its files shows at the next start, stays told, and is over when a person
//! takes note of it.

use std::{fs, path::Path, process::Output, time::Duration};

use rusqlite::Connection;
use serde_json::{Value, json};

use super::operator::{CORPORATE_SECRET, House, MASTER_KEY, Operator, eventually, user};

const ANNA: &str = "AB123456";
const LEAVER: &str = "EF345678";

/// What `audit-head.json` says is the last row.
fn published(house: &House) -> Option<i64> {
    let text = fs::read_to_string(house.path("head/audit-head.json")).ok()?;
    serde_json::from_str::<Value>(&text).ok()?["row"].as_i64()
}

/// A house whose head is published on what stands for another disk.
fn house() -> House {
    let mut house = House::new();
    fs::create_dir(house.path("head")).unwrap();
    let head = house.path("head/audit-head.json");
    house.set("AUDIT_HEAD_FILE", head.to_str().unwrap());
    house.write("anna.yaml", &user(ANNA, ""));
    house.write("leaver.yaml", &user(LEAVER, ""));
    house
}

async fn deactivate(operator: &Operator, reason: &str) {
    let (status, answer) = operator
        .post(&format!("/user/{LEAVER}/deactivate"), json!({ "reason": reason }))
        .await;
    assert_eq!(status, 200, "{answer}");
}

/// Something that always is a row.
async fn rotate(operator: &Operator) {
    let (status, answer) = operator
        .post(&format!("/user/{ANNA}/rotate"), json!({ "what": "password" }))
        .await;
    assert_eq!(status, 200, "{answer}");
}

/// A house in which something happened, and whose operator was stopped.
async fn used() -> House {
    let house = house();
    let operator = house.start().await;
    deactivate(&operator, "left").await;
    operator.becomes(LEAVER, "Held").await;
    operator.stop().await;
    house
}

fn verify(house: &House, more: &[&str]) -> Output {
    let args = [&["audit", "verify"], more].concat();
    house.command(&args).output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

fn without_database(house: &House) {
    for name in ["history.db", "history.db-wal", "history.db-shm"] {
        let _ = fs::remove_file(house.data().join(name));
    }
}

/// Starts, sees that the audit is told to be broken, and what is said; that denials work; and that taking note ends it.
async fn is_noticed(house: &House, what: &str) {
    let operator = house.start().await;
    let details = eventually("it is noticed", async || {
        let details = operator.check("audit").await;
        (!details.is_empty()).then_some(details)
    })
    .await;
    assert!(details.iter().any(|detail| detail.contains(what)), "{details:?}");
    let logged = async || operator.log().contains("the audit is not intact").then_some(());
    eventually("it is in the log", logged).await;
    eventually("the metric says so", async || {
        (operator.metric("vpn_operator_audit_intact").await < 0.5).then_some(())
    })
    .await;
    deactivate(&operator, "again").await;
    let doctor = house.command(&["doctor"]).output().unwrap();
    assert!(said(&doctor).contains(what), "{}", said(&doctor));
    let (_, audit) = operator.get("/audit?limit=1000").await;
    let rows = audit["rows"].as_array().unwrap();
    let row = rows.iter().find(|row| row["action"] == "audit.broken").unwrap();
    assert!(
        row["reason"].as_str().unwrap().contains(what) || row["after"].as_str().unwrap().contains(what),
        "{row}"
    );
    operator.stop().await;

    let operator = house.start().await;
    eventually("a restart forgets nothing", async || {
        (!operator.check("audit").await.is_empty()).then_some(())
    })
    .await;
    let (status, answer) = operator
        .post("/audit/acknowledge", json!({ "reason": "the disk failed" }))
        .await;
    assert_eq!(status, 200, "{answer}");
    assert!(answer["findings"].to_string().contains(what), "{answer}");
    assert!(operator.check("audit").await.is_empty());
    operator.stop().await;
    let operator = house.start().await;
    eventually("it was walked along", async || {
        operator.log().contains("walked along the audit").then_some(())
    })
    .await;
    assert!(
        operator.check("audit").await.is_empty(),
        "{:?}",
        operator.check("audit").await
    );
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_audit_that_nobody_touched_is_proved_by_its_key_and_published() {
    let house = used().await;
    let output = verify(&house, &[]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert!(said(&output).contains("published in"), "{}", said(&output));
    assert!(published(&house).is_some_and(|row| row > 2));
    let operator = house.start().await;
    eventually("it was walked along", async || {
        operator.log().contains("walked along the audit").then_some(())
    })
    .await;
    assert!(operator.check("audit").await.is_empty() && operator.check("audit-head").await.is_empty());
    eventually("the metrics say so", async || {
        let intact = operator.metric("vpn_operator_audit_intact").await > 0.5;
        (intact && operator.metric("vpn_operator_audit_head").await > 2.0).then_some(())
    })
    .await;
    let (status, answer) = operator
        .post("/audit/acknowledge", json!({ "reason": "nothing" }))
        .await;
    assert_eq!((status, answer["findings"].as_array().map(Vec::len)), (200, Some(0)));
    // Killed at once: what is published is never ahead of what is durable.
    operator.kill();
    let operator = house.start().await;
    eventually("it was walked along", async || {
        operator.log().contains("walked along the audit").then_some(())
    })
    .await;
    assert!(operator.check("audit").await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_says_from_where() {
    let house = used().await;
    let operator = house.start().await;
    let (_, audit) = operator.get(&format!("/audit?corporate_id={LEAVER}")).await;
    let rows = audit["rows"].as_array().unwrap().clone();
    let ordered = rows.into_iter().find(|row| row["action"] == "deactivate").unwrap();
    assert_eq!(ordered["address"], "127.0.0.1", "{ordered}");
    assert!(ordered["request_id"].is_string(), "{ordered}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_key_a_sound_audit_is_not_proved_and_that_has_its_own_exit_code() {
    let mut house = used().await;
    house.unset("MASTER_KEY");
    let output = verify(&house, &[]);
    assert_eq!(output.status.code(), Some(7), "{}", said(&output));
    assert!(said(&output).contains("not proved"), "{}", said(&output));
    let output = verify(&house, &["--data", "nowhere", "--audit-head", "nowhere"]);
    assert_eq!(output.status.code(), Some(3), "{}", said(&output));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_write_ahead_log_is_noticed() {
    let house = house();
    let operator = house.start().await;
    deactivate(&operator, "left").await;
    operator.becomes(LEAVER, "Held").await;
    eventually("it is published", async || published(&house).filter(|row| *row > 2)).await;
    operator.kill();
    fs::remove_file(house.data().join("history.db-wal")).unwrap();
    let _ = fs::remove_file(house.data().join("history.db-shm"));
    is_noticed(&house, "are missing").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_was_deleted_or_emptied_is_noticed() {
    let house = used().await;
    let rows = published(&house).unwrap();
    without_database(&house);
    let output = verify(&house, &[]);
    assert_ne!(output.status.code(), Some(0), "{}", said(&output));
    is_noticed(&house, &format!("audit rows 1 to {rows} are missing")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_copy_in_the_place_of_the_database_is_noticed() {
    let house = used().await;
    let copy = fs::read(house.data().join("history.db")).unwrap();
    let rows = published(&house).unwrap();
    let operator = house.start().await;
    rotate(&operator).await;
    operator.stop().await;
    assert!(published(&house).unwrap() > rows);
    without_database(&house);
    fs::write(house.data().join("history.db"), copy).unwrap();
    let output = verify(&house, &[]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    is_noticed(&house, &format!("audit rows {} to", rows + 1)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revocation_that_was_changed_and_a_head_that_was_forged_are_noticed() {
    let house = used().await;
    let changed = Connection::open(house.data().join("history.db")).unwrap();
    assert_eq!(changed.execute("UPDATE revocations SET contained_at = 1", []), Ok(1));
    drop(changed);
    let output = verify(&house, &[]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    is_noticed(&house, "the revocation of EF345678").await;
    let head = house.path("head/audit-head.json");
    let forged = fs::read_to_string(&head).unwrap().replace("\"row\":", "\"row\":1");
    fs::write(&head, forged).unwrap();
    is_noticed(&house, "is not what the operator wrote there").await;
    fs::remove_file(&head).unwrap();
    is_noticed(&house, "has no head of the audit").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_stands_in_what_is_published_or_exported() {
    let house = used().await;
    let operator = house.start().await;
    let credential = operator.credential(ANNA).await;
    let password = credential.split(':').nth(1).unwrap().to_owned();
    let (_, config) = operator.get(&format!("/user/{ANNA}/config")).await;
    let subscription = config["subscription_url"].as_str().unwrap_or("/sub/none").to_owned();
    let token = subscription.rsplit('/').next().unwrap().to_owned();
    let (status, _) = operator
        .post(
            &format!("/user/{ANNA}/deactivate"),
            json!({ "reason": format!("see hysteria2://{credential}@h and {subscription}") }),
        )
        .await;
    assert_eq!(status, 200);
    operator.stop().await;
    let mut texts = vec![fs::read_to_string(house.path("head/audit-head.json")).unwrap()];
    for form in ["jsonl", "csv", "syslog"] {
        let output = house.command(&["audit", "export", "--format", form]).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", said(&output));
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(text.contains("deactivate") && text.contains("[redacted"), "{text}");
        texts.push(text);
    }
    for secret in [MASTER_KEY, CORPORATE_SECRET, &password, &token] {
        assert!(
            secret.len() > 3 && texts.iter().all(|text| !text.contains(secret)),
            "{secret}"
        );
    }
}

/// Rows of an export, by number.
fn numbers(path: &Path) -> Vec<i64> {
    let text = fs::read_to_string(path).unwrap();
    let row = |line: &str| serde_json::from_str::<Value>(line).unwrap()["seq"].as_i64().unwrap();
    text.lines().map(row).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_goes_on_behind_its_cursor() {
    let house = used().await;
    let cursor = house.path("cursor");
    let export = |to: &str| {
        let output = house
            .command(&["audit", "export", "--cursor", cursor.to_str().unwrap()])
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", said(&output));
        let path = house.path(to);
        fs::write(&path, output.stdout).unwrap();
        numbers(&path)
    };
    let first = export("first.jsonl");
    assert!(
        first.len() > 2 && first.iter().zip(1..).all(|(seq, want)| *seq == want),
        "{first:?}"
    );
    assert!(export("none.jsonl").is_empty());
    let operator = house.start().await;
    rotate(&operator).await;
    operator.stop().await;
    let second = export("second.jsonl");
    assert!(
        !second.is_empty() && second[0] == first.last().unwrap() + 1,
        "{second:?}"
    );
    without_database(&house);
    tokio::time::timeout(Duration::from_secs(60), async {
        let operator = house.start().await;
        operator.stop().await;
    })
    .await
    .unwrap();
    let output = house
        .command(&["audit", "export", "--cursor", cursor.to_str().unwrap()])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(said(&output).contains("were exported before"), "{}", said(&output));
}
