//! What was answered stays in force: over restarts, kills, and stores that are put back, damaged or gone.

use reqwest::Method;
use serde_json::{Value, json};

use super::operator::{House, Operator, copy_folder, derived, eventually, hold, user};

fn id(number: usize) -> String {
    format!("AB{number:06}")
}

fn file(number: usize) -> String {
    format!("{}.yaml", id(number))
}

/// So many people, each in a file, and a running operator that recorded them.
async fn people(count: usize) -> (House, Operator) {
    let house = House::new();
    for number in 0..count {
        house.write(&file(number), &user(&id(number), ""));
    }
    let operator = house.start().await;
    operator
        .recorded_with(&house, "\"Granted\"", i64::try_from(count).unwrap())
        .await;
    (house, operator)
}

async fn is_in(operator: &Operator, number: usize) -> bool {
    operator.login(&derived(&id(number)), "192.0.2.1:1").await
}

async fn deactivate(operator: &Operator, number: usize) {
    let path = format!("/user/{}/deactivate", id(number));
    let (status, answer) = operator.post(&path, json!({})).await;
    assert_eq!((status, &answer["status"]), (200, &json!("deactivated")), "{answer}");
    assert!(!is_in(operator, number).await, "person {number} after {answer}");
}

async fn pending(operator: &Operator) -> Vec<Value> {
    operator.get("/guard").await.1["pending"].as_array().unwrap().clone()
}

/// The record with everything that belongs to it.
fn copy_record(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        if entry.file_name().to_string_lossy().starts_with("desired.db") {
            std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn deactivations_stand_when_the_record_is_put_back() {
    let (house, operator) = people(30).await;
    operator.stop().await;
    let backup = house.path("backup");
    copy_record(&house.data(), &backup);
    let operator = house.start().await;
    for number in 0..6 {
        deactivate(&operator, number).await;
    }
    operator.stop().await;
    for entry in std::fs::read_dir(house.data()).unwrap() {
        let path = entry.unwrap().path();
        if path.file_name().unwrap().to_string_lossy().starts_with("desired.db") {
            std::fs::remove_file(path).unwrap();
        }
    }
    copy_record(&backup, &house.data());
    let operator = house.start().await;
    for number in 0..6 {
        assert!(!is_in(&operator, number).await, "person {number} is in again");
    }
    assert!(is_in(&operator, 6).await);
    let pending = pending(&operator).await;
    assert!(pending.is_empty(), "{pending:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deactivation_stands_after_a_kill_in_the_next_moment() {
    let (house, operator) = people(400).await;
    for number in 0..19 {
        deactivate(&operator, number).await;
    }
    for number in 400..440 {
        let body = json!({ "corporate_id": id(number) });
        let (status, answer) = operator.post("/access/grant", body).await;
        assert_eq!(status, 200, "{answer}");
    }
    let path = format!("/user/{}/deactivate", id(19));
    let (status, answer) = operator.call(Method::POST, &path, Some(json!({}))).await;
    operator.kill();
    assert_eq!((status, &answer["status"]), (200, &json!("deactivated")), "{answer}");
    let operator = house.start().await;
    for number in 0..20 {
        assert!(!is_in(&operator, number).await, "person {number} is in again");
    }
    assert!(is_in(&operator, 20).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_helpdesk_hold_is_in_force_whatever_was_denied_before() {
    let (house, operator) = people(12).await;
    // As many as the guard lets through, one after another.
    for number in 0..10 {
        house.remove(&file(number));
        operator.becomes_nobody(&id(number)).await;
    }
    assert!(is_in(&operator, 10).await);
    house.write("stolen-laptop.yaml", &hold("helpdesk-stolen-ab000010", &id(10), ""));
    operator.becomes(&id(10), "Held").await;
    assert!(!is_in(&operator, 10).await);
    assert!(is_in(&operator, 11).await);
    let pending = pending(&operator).await;
    assert!(pending.is_empty(), "{pending:?}");
}

/// What a start with this store of the guard comes to.
async fn starts_with(house: &House, what: &str, store: Option<&[u8]>) {
    for entry in std::fs::read_dir(house.data()).unwrap() {
        let path = entry.unwrap().path();
        if path.file_name().unwrap().to_string_lossy().starts_with("guard.") {
            std::fs::remove_file(path).unwrap();
        }
    }
    if let Some(bytes) = store {
        std::fs::write(house.data().join("guard.db"), bytes).unwrap();
    }
    let operator = house.launch(&[]).await;
    eventually("logins are answered", async || is_in(&operator, 29).await.then_some(())).await;
    for number in 0..6 {
        assert!(!is_in(&operator, number).await, "{what}: person {number} is in again");
    }
    if store.is_some_and(|bytes| !bytes.is_empty()) {
        let said = operator.check("guard-store").await;
        assert!(said.iter().any(|line| line.contains("guard.db")), "{what}: {said:?}");
    }
    operator.kill();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_guard_store_ends_no_start() {
    let (house, operator) = people(30).await;
    for number in 0..6 {
        deactivate(&operator, number).await;
    }
    operator.stop().await;
    let seed = house.path("seed");
    copy_folder(&house.data(), &seed);
    for (what, store) in [
        ("garbage", Some(&b"this was a database"[..])),
        ("empty", Some(&b""[..])),
        ("missing", None),
    ] {
        std::fs::remove_dir_all(house.data()).unwrap();
        copy_folder(&seed, &house.data());
        starts_with(&house, what, store).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_hold_file_that_vanishes_stays_in_force_until_confirmed() {
    let (house, operator) = people(30).await;
    deactivate(&operator, 0).await;
    let (_, holds) = operator.get("/holds").await;
    let name = holds["holds"][0]["name"].as_str().unwrap().to_owned();
    // The flip of `spec.active` is taken back, so that the hold alone keeps the person out.
    house.write(&file(0), &user(&id(0), ""));
    operator.becomes(&id(0), "Held").await;
    std::fs::remove_file(house.data().join("holds").join(format!("{name}.yaml"))).unwrap();
    eventually("the loss waits for a person", async || {
        (pending(&operator).await.len() == 1).then_some(())
    })
    .await;
    assert!(!is_in(&operator, 0).await);
    operator.kill();
    let operator = house.start().await;
    assert_eq!(pending(&operator).await.len(), 1);
    assert!(!is_in(&operator, 0).await, "after a restart");
    let (code, _, stderr) = operator.cli(&house, &["guard", "confirm", &id(0)]).await;
    assert_eq!(code, 0, "{stderr}");
    eventually("access is back", async || is_in(&operator, 0).await.then_some(())).await;
}
