//! Starting, refusing to start, and ending: in order and by `kill -9`.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

use reqwest::Method;
use serde_json::json;

use super::operator::{CORPORATE_SECRET, House, MASTER_KEY, derived, eventually, hold, user};

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_or_wrong_master_key_refuses_to_start_and_makes_no_new_one() {
    let mut house = House::new();
    house.write("anna.yaml", &user("AB123456", ""));
    house.start().await.stop().await;

    house.unset("MASTER_KEY");
    let (code, log) = house.refusal(&[]).await;
    assert_eq!(code, 1, "{log}");
    assert!(
        log.contains("data/master.key is missing") && log.contains("backup"),
        "{log}"
    );
    assert!(!house.data().join("master.key").exists());

    let other = "5e".repeat(32);
    house.set("MASTER_KEY", &other);
    let (code, log) = house.refusal(&[]).await;
    assert_eq!(code, 1, "{log}");
    assert!(log.contains("MASTER_KEY_PREVIOUS") && !log.contains(&other), "{log}");

    house.set("MASTER_KEY", MASTER_KEY);
    house.start().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn databases_of_a_newer_version_are_refused() {
    let house = House::new();
    house.write("anna.yaml", &user("AB123456", ""));
    house.start().await.stop().await;
    for name in ["history.db", "desired.db"] {
        let database = rusqlite::Connection::open(house.data().join(name)).unwrap();
        let version: i64 = database.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
        database.pragma_update(None, "user_version", version + 1000).unwrap();
        drop(database);
        let (code, log) = house.refusal(&[]).await;
        assert_eq!(code, 1, "{log}");
        assert!(log.contains(name) && log.contains("newer"), "{log}");
        let database = rusqlite::Connection::open(house.data().join(name)).unwrap();
        let kept: i64 = database.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
        assert_eq!(kept, version + 1000, "nothing may be changed");
        database.pragma_update(None, "user_version", version).unwrap();
    }
    house.start().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_process_on_the_same_data_is_refused_and_the_first_works_on() {
    let house = House::new();
    house.write("anna.yaml", &user("AB123456", ""));
    let first = house.start().await;
    let (code, log) = house.refusal(&[]).await;
    assert_eq!(code, 1, "{log}");
    assert!(log.contains("data") && log.contains("process"), "{log}");
    let secret = first.credential("AB123456").await;
    assert!(first.login(&secret, "192.0.2.1:1").await);
    let (status, answer) = first.post("/access/grant", json!({ "corporate_id": "CD234567" })).await;
    assert_eq!(status, 200, "{answer}");
    first.kill();
    house.start().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_answers_what_was_begun_and_ends_with_0() {
    let house = House::new();
    house.write("anna.yaml", &user("AB123456", ""));
    let mut operator = house.start().await;
    // Half a request: its body is still to come when the signal is there.
    let mut stream = TcpStream::connect(operator.api).unwrap();
    let body = r#"{"corporate_id": "CD234567"}"#;
    write!(
        stream,
        "POST /access/grant HTTP/1.1\r\nHost: x\r\nX-Corporate-Secret: {CORPORATE_SECRET}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{}",
        body.len(),
        &body[..10]
    )
    .unwrap();
    stream.flush().unwrap();
    eventually("the request has begun", async || {
        // Sent before: what comes later on another connection is behind it.
        let (status, _) = operator.get("/livez").await;
        (status == 200).then_some(())
    })
    .await;
    operator.terminate();
    eventually("it drains", async || operator.log().contains("draining").then_some(())).await;
    stream.write_all(&body.as_bytes()[10..]).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let mut answer = Vec::new();
    // The connection may be reset behind the answer.
    let _ = stream.read_to_end(&mut answer);
    let answer = String::from_utf8_lossy(&answer);
    assert!(
        answer.starts_with("HTTP/1.1 200") && answer.contains("corp_cd234567"),
        "{answer}"
    );
    let begun = Instant::now();
    let status = operator.ended().await;
    assert_eq!(status.code(), Some(0), "{}", operator.log());
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    assert!(operator.log().contains("drained"));
    let operator = house.start().await;
    assert_eq!(operator.verdict("CD234567").await, "Granted");
}

#[tokio::test(flavor = "multi_thread")]
async fn kill_9_at_any_moment_loses_nothing_that_was_answered() {
    let (house, [_node]) = House::with_nodes().await;
    let id = |number: usize| format!("KA{number:06}");
    let mut granted: Vec<String> = Vec::new();
    let mut denied: Vec<String> = Vec::new();
    let enough = |granted: &[String], denied: &[String]| granted.len() + denied.len() > 3 && !denied.is_empty();
    // On a slow machine it takes more rounds until something was answered.
    for round in 0..40_usize {
        if round > 5 && enough(&granted, &denied) {
            break;
        }
        let operator = house.start().await;
        for id in &granted {
            assert_eq!(operator.verdict(id).await, "Granted", "round {round}, {id}");
        }
        for id in &denied {
            assert_ne!(operator.verdict(id).await, "Granted", "round {round}, {id}");
        }
        let deadline = Instant::now() + Duration::from_millis(20 + 37 * round as u64);
        let work = async {
            for step in 0.. {
                let new = id(round * 1000 + step);
                let grant = operator
                    .try_call(Method::POST, "/access/grant", Some(json!({ "corporate_id": new })))
                    .await;
                match grant {
                    Ok((200, _)) => granted.push(new),
                    Ok((202, _)) | Err(_) => {}
                    Ok(other) => panic!("{other:?}"),
                }
                if step % 2 == 1
                    && denied.len() < 9
                    && let Some(id) = granted.pop()
                {
                    // Unknown until it is answered.
                    let path = format!("/user/{id}/deactivate");
                    if let Ok((200, _)) = operator.try_call(Method::POST, &path, Some(json!({}))).await {
                        denied.push(id);
                    }
                }
            }
        };
        // Dropped in the middle of whatever it was waiting for.
        let _ = tokio::time::timeout_at(deadline.into(), work).await;
        operator.kill();
    }
    assert!(
        enough(&granted, &denied),
        "{} granted, {} denied",
        granted.len(),
        denied.len()
    );
    let (code, checked, _) = super::operator::run(house.command(&["check", "vpn"])).await;
    assert_eq!(code, 0, "{checked}");
    let operator = house.start().await;
    let (code, checks, _) = operator
        .cli(
            &house,
            &[
                "doctor",
                "--desired",
                "folder:vpn",
                "--auth-listen",
                &operator.auth.to_string(),
            ],
        )
        .await;
    assert_eq!(code, 0, "{checks}");
    assert!(checks.contains("chain unbroken"), "{checks}");
}

#[tokio::test(flavor = "multi_thread")]
async fn right_from_the_first_answer_after_a_restart() {
    let house = House::new();
    let many: String = (0..2000).map(|n| user(&format!("AB{n:06}"), "") + "---\n").collect();
    house.write("many.yaml", &many);
    house.write("hold.yaml", &hold("helpdesk-out-ab000007", "AB000007", ""));
    let operator = house.start().await;
    operator.kill();
    for _ in 0..3 {
        let operator = house.launch(&[]).await;
        // Asked as soon as somebody listens: the answer waits for what is declared.
        let (granted, held) = (derived("AB000001"), derived("AB000007"));
        let (yes, no) = tokio::join!(
            operator.login(&granted, "192.0.2.1:1"),
            operator.login(&held, "192.0.2.1:2"),
        );
        assert!(yes && !no);
        operator.kill();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_line_cannot_be_turned_around_by_what_somebody_wrote() {
    for (form, shown) in [("text", "\\u{202e}"), ("json", "\\u202e")] {
        let mut house = House::new();
        house.set("LOG_FORMAT", form);
        house.write("typo.yaml", &user("AB123456", "  \"rol\u{202e}e\": Anna\n"));
        let operator = house.start().await;
        let log = eventually("the typo is logged", async || {
            Some(operator.log()).filter(|log| log.contains("rol"))
        })
        .await;
        assert!(log.contains(shown) && !log.contains('\u{202e}'), "{log}");
    }
}
