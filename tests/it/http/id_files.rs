//! Files of corporate IDs over the API.

use axum::Router;
use serde_json::{Value, json};

use super::{Answer, World, ask, world::id};

async fn import(router: &Router, query: &str, file: impl Into<axum::body::Body>) -> Answer {
    let request = ask("POST", &format!("/id/import{query}")).header("content-type", "text/csv");
    request.body(file).of(router).await
}

async fn world() -> (std::sync::Arc<World>, Router) {
    let world = World::new();
    world.use_cases().begin_ids(world.data()).await.unwrap();
    let router = world.router();
    (world, router)
}

async fn all(router: &Router) -> Vec<Value> {
    let page = ask("GET", "/id/search?limit=1000").of(router).await.json();
    page["ids"].as_array().unwrap().clone()
}

#[tokio::test]
async fn every_bad_line_of_a_file_is_named_and_nothing_of_it_is_taken() {
    let (world, router) = world().await;
    world.declare("GH123456", |_| {});
    let file = "id;owner;status\nAB123456;Anna;\nA B;Bob;\nEF123456;Eve;lost\nGH123456;Gil;revoked\nab123456;again;\n";
    let answer = import(&router, "", file).await;
    let detail = answer.problem(422);
    assert!(
        detail.starts_with("nothing was changed: 3 lines cannot be taken; line 3: id: "),
        "{detail}"
    );
    let lines: Vec<u64> = answer.json()["lines"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["line"].as_u64().unwrap())
        .collect();
    assert_eq!(lines, [3, 4, 6]);
    // What is well written and cannot be taken is named as well.
    let answer = import(&router, "", "id,status\nAB123456,\nGH123456,revoked\n").await;
    let detail = answer.problem(422);
    assert!(
        detail.contains("line 3: GH123456 is called revoked or archived, and has access"),
        "{detail}"
    );
    assert_eq!(all(&router).await, [] as [Value; 0]);
    assert_eq!(world.actions().await, [""; 0]);

    let (before, file) = (world.actions().await.len(), "id,owner\nAB123456,Anna\n");
    let looked = import(&router, "?dry_run=true", file).await.json();
    assert_eq!(
        looked,
        json!({ "dry_run": true, "added": 1, "updated": 0, "unchanged": 0 })
    );
    assert!(all(&router).await.is_empty() && world.actions().await.len() == before);
    assert_eq!(import(&router, "?reason=moved", file).await.json()["added"], 1);
    assert_eq!(import(&router, "", file).await.json()["unchanged"], 1);
    let rows = world.audit().await;
    assert_eq!(rows.len(), 1);
    assert_eq!(
        (rows[0].entry.action.as_str(), rows[0].entry.reason.as_deref()),
        ("id.import", Some("moved"))
    );

    import(&router, "", "").await.problem(422);
    let json = ask("POST", "/id/import").json(&json!({})).of(&router).await;
    json.problem(415);
    import(&router, "", "x".repeat(17 << 20)).await.problem(413);
}

#[tokio::test]
async fn what_is_exported_is_all_of_it_and_taking_it_in_again_changes_nothing() {
    let (_world, router) = world().await;
    // More than a page of the export, and more than other bodies may be.
    let line =
        |number| format!("AB{number:06},\"=Anna \"\"{number}\"\"\",a@example.com,\"R&D; Köln, Werk {number}\"\n");
    let file = "id,owner,email,department\n".to_owned() + &(0..1203).map(line).collect::<String>();
    assert!(file.len() > 64 * 1024);
    assert_eq!(import(&router, "", file).await.json()["added"], 1203);
    let answer = ask("GET", "/id/export.csv").of(&router).await;
    assert_eq!(answer.status, 200);
    assert!(
        answer.header("content-type").starts_with("text/csv"),
        "{:?}",
        answer.headers
    );
    let mut lines = answer.text.split("\r\n");
    assert_eq!(
        lines.next(),
        Some("id,owner,email,department,status,issued_at,updated_at")
    );
    assert_eq!(
        lines.next(),
        Some(
            "AB000000,\"'=Anna \"\"0\"\"\",a@example.com,\"R&D; Köln, Werk 0\",issued,2026-05-01T12:00:00Z,2026-05-01T12:00:00Z"
        )
    );
    assert_eq!(lines.count(), 1203);
    let again = import(&router, "", answer.text.clone()).await.json();
    assert_eq!(
        again,
        json!({ "dry_run": false, "added": 0, "updated": 0, "unchanged": 1203 })
    );
    // Into another registry.
    let (other, router) = self::world().await;
    assert_eq!(import(&router, "", answer.text.clone()).await.json()["added"], 1203);
    let copy = ask("GET", "/id/export.csv").of(&router).await;
    assert_eq!(copy.text, answer.text);
    let owners = other.use_cases().owners(&[id("ab000007")]).await;
    assert_eq!(owners[&id("AB000007")].owner.as_deref(), Some("=Anna \"7\""));
}
