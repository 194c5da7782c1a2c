//! Corporate IDs in the real binary.

use serde_json::{Value, json};
use vpn_operator::registry::{FORMER_FILE, REGISTRY_FILE};

use super::operator::{House, Operator, eventually, user};

async fn issue(operator: &Operator, owner: &str) -> String {
    let issued = eventually("an ID is issued", async || {
        // The registry is made ready beside the start.
        let (status, answer) = operator.post("/id/issue", json!({ "owner": owner })).await;
        (status == 200).then_some(answer)
    });
    issued.await["id"].as_str().unwrap().to_owned()
}

async fn show(operator: &Operator, id: &str) -> Value {
    operator.get(&format!("/id/show?id={id}")).await.1
}

async fn settles(operator: &Operator, id: &str, status: &str) {
    let what = format!("{id} is {status}");
    eventually(&what, async || {
        (show(operator, id).await["status"] == status).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn revoking_an_id_cuts_its_sessions_at_once_and_survives_kill_9() {
    let (house, [node]) = House::with_nodes().await;
    let operator = house.start().await;
    let id = issue(&operator, "Anna Example").await;
    let (status, granted) = operator.post("/access/grant", json!({ "corporate_id": id })).await;
    assert_eq!(status, 200, "{granted}");
    let secret = operator.credential(&id).await;
    let mut device = operator.connect(&node, &secret, "192.0.2.1:1").await.unwrap();
    let (code, stdout, stderr) = operator
        .cli(&house, &["id", "revoke", &id, "--reason", "lost badge"])
        .await;
    assert_eq!(code, 0, "{stdout}{stderr}");
    assert!(stdout.contains(&format!("{id} is revoked")), "{stdout}");
    assert!(device.send(1, 1).is_err(), "not a byte passes after the answer");
    assert!(!operator.login(&secret, "192.0.2.1:2").await);
    operator.kill();

    let operator = house.start().await;
    operator.becomes(&id, "Held").await;
    assert!(!operator.login(&secret, "192.0.2.1:3").await);
    assert_eq!(show(&operator, &id).await["status"], "revoked");
    // Whoever is declared otherwise does not get in by activating, nor by lifting what is not theirs.
    operator.post(&format!("/user/{id}/activate"), json!({})).await;
    let hold = format!("/holds/registry-revoked-{}?source=registry", id.to_lowercase());
    let (status, answer) = operator.call(reqwest::Method::DELETE, &hold, None).await;
    assert_eq!(status, 422, "{answer}");
    assert!(!operator.login(&secret, "192.0.2.1:4").await);
    let (code, stdout, stderr) = operator.cli(&house, &["id", "activate", &id]).await;
    assert_eq!(code, 4, "{stdout}{stderr}");
    assert!(stderr.contains("--reinstate"), "{stderr}");
    let (code, _, stderr) = operator.cli(&house, &["id", "activate", &id, "--reinstate"]).await;
    assert_eq!(code, 0, "{stderr}");
    assert!(operator.login(&secret, "192.0.2.1:5").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_between_the_hold_and_the_registry_an_id_is_denied_and_then_revoked() {
    let (house, [_node]) = House::with_nodes().await;
    house.write(
        "anna.yaml",
        &user("old-style.1", "").replace("name: old-style.1", "name: old--style-d1"),
    );
    let operator = house.start().await;
    let secret = operator.credential("old-style.1").await;
    assert!(operator.login(&secret, "192.0.2.1:1").await);
    let (status, answer) = operator
        .csv("/id/import", "id,owner,status\nold-style.1,Anna,active\n")
        .await;
    assert_eq!(status, 200, "{answer}");
    // Nothing can be written to the registry: the order stands between its two writes.
    let database = rusqlite::Connection::open(house.data().join(REGISTRY_FILE)).unwrap();
    database.execute_batch("BEGIN IMMEDIATE").unwrap();
    {
        let order = operator.post("/id/revoke", json!({ "id": "OLD-STYLE.1" }));
        tokio::pin!(order);
        let denied = eventually("auth refuses", async || {
            (!operator.login(&secret, "192.0.2.1:1").await).then_some(())
        });
        tokio::select! {
            answer = &mut order => panic!("it was answered: {answer:?}"),
            () = denied => {}
        }
    }
    assert_eq!(show(&operator, "old-style.1").await["status"], "active");
    operator.kill();
    database.execute_batch("ROLLBACK").unwrap();
    drop(database);

    let operator = house.start().await;
    assert!(!operator.login(&secret, "192.0.2.1:2").await);
    settles(&operator, "old-style.1", "revoked").await;
    let page = show(&operator, "old-style.1").await;
    assert_eq!(page["access"], "Denied");
    assert!(
        page["history"][0]["reason"].as_str().unwrap().contains("cut off"),
        "{page}"
    );
    assert!(!operator.login(&secret, "192.0.2.1:3").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_former_registry_is_taken_over_at_the_start_and_once() {
    let house = House::new();
    std::fs::create_dir_all(house.data()).unwrap();
    let lines = r#"{"table":"id_registry","row":1,"id":"AB123456","owner":"Anna","status":"active","issued_at":"2025-01-01T10:00:00Z","updated_at":null}
{"table":"id_audit","row":1,"audit_id":"1","id":"AB123456","action":"issued","actor":"root","details":null,"created_at":"2025-01-01T10:00:00Z"}
{"table":"users","row":1,"corporate_id":"AB123456","telegram_id":"4711","created_at":null,"last_access":null}
{"table":"id_registry","row":2,"id":"not an id","owner":"Bob","status":"active","issued_at":null,"updated_at":null}
"#;
    std::fs::write(house.data().join(FORMER_FILE), lines).unwrap();
    for start in 0..2 {
        let operator = house.start().await;
        settles(&operator, "AB123456", "active").await;
        let page = show(&operator, "AB123456").await;
        assert_eq!((&page["owner"], &page["telegram_id"]), (&json!("Anna"), &json!(4711)));
        assert_eq!(page["history"].as_array().unwrap().len(), 2, "{page}");
        let audited = eventually("it is in the audit once", async || {
            let (_, audit) = operator.get("/audit").await;
            let rows = audit["rows"].as_array()?.clone();
            let takeovers = rows.iter().filter(|row| row["action"] == "id.takeover").count();
            (takeovers > 0).then_some(takeovers)
        });
        assert_eq!(audited.await, 1);
        let log = operator.stop().await;
        assert_eq!(log.contains("is taken over"), start == 0, "{log}");
        assert!(log.contains("line=4"), "{log}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_commands_cover_an_ids_whole_life() {
    let house = House::new();
    let operator = house.start().await;
    issue(&operator, "First").await;
    let run = |args: &'static str| {
        let args: Vec<&str> = args.split(' ').collect();
        let (operator, house) = (&operator, &house);
        async move { operator.cli(house, &args).await }
    };
    let (code, id, stderr) = run("id issue --owner Anna --email anna@example.com --key k1 --reason new").await;
    assert_eq!(code, 0, "{stderr}");
    let id = id.trim();
    let (_, again, _) = run("id issue --owner Anna --email anna@example.com --key k1").await;
    assert_eq!(again.trim(), id);
    let (code, table, _) = run("id search anna --status issued").await;
    assert!(
        code == 0 && table.contains(id) && table.contains("anna@example.com") && !table.contains("First"),
        "{table}"
    );
    let command = |words: &[&str]| {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        let (operator, house) = (&operator, &house);
        async move {
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            operator.cli(house, &words).await
        }
    };
    assert_eq!(command(&["id", "validate", id]).await.0, 0);
    assert_eq!(command(&["id", "validate", "ZZ000000"]).await.0, 3);
    assert_eq!(command(&["id", "archive", id]).await.0, 4);
    assert_eq!(command(&["id", "activate", id]).await.0, 0);
    assert_eq!(command(&["id", "revoke", id, "--wait", "0s"]).await.0, 0);
    let (code, _, stderr) = command(&["id", "validate", id]).await;
    assert_eq!(code, 4, "{stderr}");
    assert_eq!(command(&["id", "archive", id]).await.0, 0);
    let (code, page, stderr) = command(&["id", "show", id]).await;
    assert_eq!(code, 0, "{stderr}");
    for told in ["archived", "Anna", "registry-revoked", "issue", "tester"] {
        assert!(page.contains(told), "{told} in {page}");
    }
    assert_eq!(command(&["id", "show", "ZZ000000"]).await.0, 3);

    let (code, _, stderr) = command(&["id", "export", "--to", "ids.csv"]).await;
    assert_eq!(code, 0, "{stderr}");
    let (_, streamed, _) = command(&["id", "export"]).await;
    let file = house.path("ids.csv");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), streamed);
    assert!(
        streamed.starts_with("id,owner,") && streamed.lines().count() == 3,
        "{streamed}"
    );
    assert_eq!(
        command(&["id", "export", "--to", "ids.csv"]).await.0,
        1,
        "what is there is left alone"
    );
    let (code, answer, stderr) = command(&["id", "import", "ids.csv", "--output", "json"]).await;
    assert_eq!(code, 0, "{stderr}");
    let answer: Value = serde_json::from_str(&answer).unwrap();
    assert_eq!((&answer["added"], &answer["unchanged"]), (&json!(0), &json!(2)));
    std::fs::write(&file, "id,owner\nA B,x\nCD123456,ok\n,nobody\n").unwrap();
    let (code, _, stderr) = command(&["id", "import", "ids.csv"]).await;
    assert_eq!(code, 2, "{stderr}");
    assert!(
        stderr.contains("ids.csv:2: id: ") && stderr.contains("ids.csv:4: id: is empty"),
        "{stderr}"
    );
    assert_eq!(command(&["id", "show", "CD123456"]).await.0, 3);
}
