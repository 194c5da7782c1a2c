//! `gateway status`, as somebody reads it.

use serde_json::{Value, json};

use super::Fake;

fn panel() -> Value {
    json!({
        "name": "panel", "kind": "blitz", "reachable_nodes": 0, "sessions": 12, "seconds_left": 1266,
        "waiting": { "block": 2, "prove": 1, "delete": 0, "add": 912, "change": 0, "compare": 0, "total": 915 },
        "error": "the panel at https://panel.example.com:28260 cannot reach its database: look at MongoDB on the panel's machine",
        "nodes": [{ "name": "panel", "reachable": false, "sessions": 12, "last_poll": "2026-01-01T12:00:00Z",
                    "error": "the panel at https://panel.example.com:28260 cannot reach its database" }],
    })
}

fn quiet() -> Value {
    json!({
        "name": "default", "kind": "hysteria", "reachable_nodes": 2, "sessions": 31, "seconds_left": null, "error": null,
        "waiting": { "block": 0, "prove": 0, "delete": 0, "add": 0, "change": 0, "compare": 0, "total": 0 },
        "nodes": [{ "name": "fra1", "reachable": true, "sessions": 30, "last_poll": "2026-01-01T12:00:00Z", "error": null },
                  { "name": "ams1", "reachable": true, "sessions": 1, "last_poll": "2026-01-01T12:00:00Z", "error": null }],
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn every_gateway_is_a_row_within_80_columns_and_what_is_wrong_stands_below() {
    let fake = Fake::answering(200, json!({ "gateways": [quiet(), panel()] })).await;
    let answer = fake.run(&["gateway", "status"]).await;
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    let lines: Vec<&str> = answer.stdout.lines().collect();
    let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>().join(" ");
    assert_eq!(words(lines[0]), "GATEWAY KIND NODES SESSIONS WAITING TIME LEFT");
    assert_eq!(words(lines[1]), "default hysteria 2/2 31 - -");
    assert!(
        words(&answer.stdout).contains("panel blitz 0/1 12 2 block, 1 prove, 912 add about 21 min"),
        "{}",
        answer.stdout
    );
    assert!(
        answer.stdout.contains("912 add") && answer.stdout.contains("about 21 min"),
        "{}",
        answer.stdout
    );
    assert!(
        words(&answer.stdout).contains("panel: the panel at https://panel.example.com:28260 cannot reach its database")
    );
    for line in lines {
        assert!(line.chars().count() <= 80, "{line}");
    }
    assert_eq!(fake.seen()[0].uri.path(), "/gateways");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_gateway_is_shown_with_its_nodes_and_json_is_what_the_api_answered() {
    let fake = Fake::answering(200, panel()).await;
    let answer = fake.run(&["gateway", "status", "panel"]).await;
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    for part in ["0/1 reachable", "912 add", "about 21 min", "REACHABLE", "d ago"] {
        assert!(answer.stdout.contains(part), "{part}: {}", answer.stdout);
    }
    for line in answer.stdout.lines() {
        assert!(line.chars().count() <= 80, "{line}");
    }
    assert_eq!(fake.seen()[0].uri.path(), "/gateways/panel");
    let answer = fake.run(&["gateway", "status", "panel", "--output", "json"]).await;
    assert_eq!(serde_json::from_str::<Value>(&answer.stdout).unwrap(), panel());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_is_not_there_is_said_with_its_exit_code() {
    let problem = json!({ "status": 404, "title": "Not found", "detail": "there is no gateway named nowhere" });
    let fake = Fake::answering(404, problem).await;
    let answer = fake.run(&["gateway", "status", "nowhere"]).await;
    assert_eq!(answer.code, 3, "{}", answer.stderr);
    assert!(answer.stderr.contains("no gateway named nowhere"), "{}", answer.stderr);
}
