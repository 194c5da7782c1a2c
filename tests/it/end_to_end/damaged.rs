//! A record of desired state that cannot be read: nobody is lost by it, nobody is let in, and it is said.

use std::fs;

use rusqlite::Connection;
use serde_json::json;

use super::operator::{House, Operator, eventually, user};

const ANNA: &str = "AB123456";
const CHRIS: &str = "CD234567";
const LEAVER: &str = "EF345678";

/// Three people, of whom one was deactivated, and an operator that was stopped.
async fn used() -> (House, String) {
    let house = House::new();
    for (file, id) in [("anna.yaml", ANNA), ("chris.yaml", CHRIS), ("leaver.yaml", LEAVER)] {
        house.write(file, &user(id, ""));
    }
    let operator = house.start().await;
    let secret = operator.credential(ANNA).await;
    let (status, answer) = operator
        .post(&format!("/user/{LEAVER}/deactivate"), json!({ "reason": "left" }))
        .await;
    assert_eq!(status, 200, "{answer}");
    operator.recorded(&house, 4).await;
    operator.stop().await;
    (house, secret)
}

async fn everybody_is_as_declared(operator: &Operator, secret: &str) {
    assert!(operator.login(secret, "192.0.2.1:1").await);
    assert_eq!(operator.verdict(ANNA).await, "Granted");
    assert_eq!(operator.verdict(CHRIS).await, "Granted");
    assert_ne!(operator.verdict(LEAVER).await, "Granted");
    let (_, page) = operator.get(&format!("/user/{LEAVER}")).await;
    assert_eq!(page["access"], "Denied", "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_cannot_be_read_loses_nobody_and_is_said() {
    let (house, secret) = used().await;
    let database = Connection::open(house.data().join("desired.db")).unwrap();
    let broken = database.execute("UPDATE objects SET status = '{broken' WHERE name = 'ab123456'", []);
    assert_eq!(broken, Ok(1));
    drop(database);

    let operator = house.start().await;
    everybody_is_as_declared(&operator, &secret).await;
    let said = operator.check("documents").await.join("\n");
    assert!(said.contains("desired.db") && said.contains("ab123456"), "{said}");
    assert_eq!(operator.log().matches("not all of it can be read").count(), 1);
    // Edits go on to be taken over, and the status is reported anew.
    house.write("anna.yaml", &user(ANNA, "  active: false\n"));
    operator.becomes(ANNA, "Inactive").await;
    operator.recorded_with(&house, "\"Inactive\"", 1).await;
    operator.stop().await;
    let operator = house.start().await;
    assert_eq!(operator.check("documents").await, Vec::<String>::new());
    assert_eq!(operator.verdict(ANNA).await, "Inactive");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_record_is_begun_anew_and_lets_no_leaver_in() {
    let (house, secret) = used().await;
    let path = house.data().join("desired.db");
    let whole = fs::read(&path).unwrap();
    for damaged in [&whole[..whole.len() / 2], b"this was a database", b""] {
        fs::write(&path, damaged).unwrap();
        let operator = house.start().await;
        everybody_is_as_declared(&operator, &secret).await;
        let said = operator.check("documents").await.join("\n");
        assert!(
            said.contains("desired.db is damaged") && said.contains("moved to"),
            "{said}"
        );
        operator.kill();
    }
    let aside = fs::read_dir(house.data()).unwrap().filter(|entry| {
        let name = entry.as_ref().unwrap().file_name();
        let name = name.to_string_lossy();
        name.starts_with("desired.db.damaged-") && !name.ends_with("-wal")
    });
    assert_eq!(aside.count(), 3);

    // Whoever gave the order takes it back, as ever.
    let operator = house.start().await;
    let (status, answer) = operator.post(&format!("/user/{LEAVER}/activate"), json!({})).await;
    assert_eq!(status, 200, "{answer}");
    eventually("the leaver is back", async || {
        (operator.verdict(LEAVER).await == "Granted").then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hold_file_that_is_damaged_together_with_the_record_keeps_the_leaver_out() {
    let (house, secret) = used().await;
    let holds = house.data().join("holds");
    let hold = fs::read_dir(&holds).unwrap().next().unwrap().unwrap().path();
    fs::write(&hold, "\0\0\0\0").unwrap();
    house.write("leaver.yaml", &user(LEAVER, ""));
    fs::write(house.data().join("desired.db"), "").unwrap();
    let operator = house.start().await;
    everybody_is_as_declared(&operator, &secret).await;
    let said = operator.check("documents").await.join("\n");
    assert!(said.contains(&*hold.to_string_lossy()), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_history_that_is_missing_or_empty_is_said() {
    const SAID: &str = "the history is missing or empty";
    let (house, secret) = used().await;
    let history = house.data().join("history.db");
    for is_empty in [true, false] {
        for name in ["history.db", "history.db-wal", "history.db-shm"] {
            let _ = fs::remove_file(house.data().join(name));
        }
        if is_empty {
            fs::write(&history, "").unwrap();
        }
        let operator = house.start().await;
        everybody_is_as_declared(&operator, &secret).await;
        assert_eq!(operator.log().matches(SAID).count(), 1, "{}", operator.log());
        operator.stop().await;
    }
    let operator = house.start().await;
    assert!(!operator.log().contains(SAID));
    operator.stop().await;
    assert!(
        !House::new().start().await.log().contains(SAID),
        "a first start is none"
    );
}
