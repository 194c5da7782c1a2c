//! What the audit says of links that were handed out, of backups on order, and of a backup that was put back.

use serde_json::{Value, json};

use super::operator::{House, Operator, eventually, user};

const ANNA: &str = "AB123456";

async fn rows(operator: &Operator, action: &str) -> Vec<Value> {
    let (_, audit) = operator.get("/audit?limit=1000").await;
    let rows = audit["rows"].as_array().unwrap();
    rows.iter().filter(|row| row["action"] == action).cloned().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_was_handed_out_links_stands_in_the_audit_and_no_link_does() {
    let house = House::new();
    house.write("a.yaml", &user(ANNA, ""));
    let operator = house.start().await;
    operator.becomes(ANNA, "Granted").await;
    let (status, config) = operator.get(&format!("/user/{ANNA}/config")).await;
    assert_eq!(status, 200, "{config}");
    let (status, granted) = operator.post("/access/grant", json!({ "corporate_id": ANNA })).await;
    assert_eq!(status, 200, "{granted}");
    let handed_out = rows(&operator, "credentials.handed-out").await;
    assert_eq!(handed_out.len(), 2, "{handed_out:?}");
    assert!(
        handed_out
            .iter()
            .all(|row| row["corporate_id"] == ANNA && row["request_id"].is_string())
    );

    let link = config["subscription_url"].as_str().unwrap();
    let path = &link[link.find("/sub/").unwrap()..];
    for client in ["HiddifyNext/2.0.5 (android)", "HiddifyNext/2.1 (android)", "v2rayN/7"] {
        for _ in 0..3 {
            let answer = operator
                .http()
                .get(operator.url(path))
                .header("User-Agent", client)
                .send()
                .await
                .unwrap();
            assert_eq!(answer.status().as_u16(), 200);
        }
    }
    let fetched = eventually("both kinds of client are told of", async || {
        let fetched = rows(&operator, "subscription.fetched").await;
        (fetched.len() >= 2).then_some(fetched)
    })
    .await;
    assert_eq!(fetched.len(), 2, "a client polls, and is told of once: {fetched:?}");
    assert!(
        fetched[1]["after"].as_str().unwrap().contains("HiddifyNext"),
        "{fetched:?}"
    );
    // Nor after a restart.
    operator.stop().await;
    let operator = house.start().await;
    operator.becomes(ANNA, "Granted").await;
    let answer = operator
        .http()
        .get(operator.url(path))
        .header("User-Agent", "v2rayN/7")
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status().as_u16(), 200);
    let other = operator
        .http()
        .get(operator.url(path))
        .header("User-Agent", "Clash/1")
        .send()
        .await
        .unwrap();
    assert_eq!(other.status().as_u16(), 200);
    let fetched = eventually("the other client is told of", async || {
        let fetched = rows(&operator, "subscription.fetched").await;
        fetched
            .iter()
            .any(|row| row["after"].as_str().unwrap().contains("Clash"))
            .then_some(fetched)
    })
    .await;
    assert_eq!(fetched.len(), 3, "{fetched:?}");
    let (_, audit) = operator.get("/audit?limit=1000").await;
    let token = path.trim_start_matches("/sub/");
    let link = config["hy2_url"].as_str().unwrap();
    let text = audit.to_string();
    assert!(!text.contains(token) && !text.contains(link), "{text}");
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_operator_takes_a_backup_on_order_and_a_restore_is_a_row() {
    let mut house = House::new();
    house.write("a.yaml", &user(ANNA, ""));
    let operator = house.start().await;
    let refused = operator.cli(&house, &["history", "backup"]).await;
    assert!(
        refused.0 != 0 && refused.2.contains("BACKUP_DIR"),
        "{}{}",
        refused.1,
        refused.2
    );
    operator.stop().await;
    house.set("BACKUP_DIR", house.path("backups").to_str().unwrap());
    house.set("BACKUP_EVERY", "24h");
    let operator = house.start().await;
    operator.becomes(ANNA, "Granted").await;
    eventually("the first one is taken", async || {
        operator.log().contains("a backup was taken and checked").then_some(())
    })
    .await;
    let taken = operator.cli(&house, &["history", "backup", "--output", "json"]).await;
    assert_eq!(taken.0, 0, "{}{}", taken.1, taken.2);
    let taken: Value = serde_json::from_str(&taken.1).unwrap();
    let folder = taken["folder"].as_str().unwrap().to_owned();
    assert_eq!(taken["status"], "taken", "{taken}");
    assert!(
        house.path("backups").join(&folder).join("guard.db").exists(),
        "also what nobody else can read"
    );
    assert_eq!(rows(&operator, "history.backup").await.len(), 1);
    let (status, answer) = operator
        .post(
            "/audit/forget",
            json!({ "corporate_id": "CD000001", "reason": "request 33" }),
        )
        .await;
    assert_eq!(status, 200, "{answer}");
    assert!(
        answer["backups"]["until"].is_string(),
        "it says until when backups have it: {answer}"
    );
    operator.stop().await;

    let restored = house
        .command(&["history", "restore", &folder])
        .env("DATA_DIR", "data")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&restored.stdout).into_owned() + &String::from_utf8_lossy(&restored.stderr);
    assert_eq!(restored.status.code(), Some(0), "{said}");
    let operator = house.start().await;
    let told = eventually("it is a row", async || {
        let told = rows(&operator, "history.restored").await;
        (!told.is_empty()).then_some(told)
    })
    .await;
    assert!(told[0]["after"].as_str().unwrap().contains(&folder), "{told:?}");
    operator.stop().await;
    let operator = house.start().await;
    operator.becomes(ANNA, "Granted").await;
    assert_eq!(rows(&operator, "history.restored").await.len(), 1, "it is said once");
    operator.stop().await;
}
