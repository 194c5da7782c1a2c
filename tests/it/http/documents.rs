//! The OpenAPI document and its page.

use std::path::Path;

use serde_json::Value;

use super::{World, bare};

#[test]
fn the_document_that_is_checked_in_is_the_one_that_the_code_makes() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi.json");
    let made = vpn_operator::http::openapi().to_pretty_json().unwrap() + "\n";
    if std::env::var_os("UPDATE_GENERATED").is_some() {
        std::fs::write(&path, &made).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        kept == made,
        "openapi.json is out of date: run the tests once with UPDATE_GENERATED=1"
    );
}

#[test]
fn every_reference_leads_somewhere_and_every_operation_has_words() {
    let document = serde_json::to_value(vpn_operator::http::openapi()).unwrap();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    let text = document.to_string();
    for part in text.split("\"$ref\":\"#").skip(1) {
        let pointer = part.split('"').next().unwrap();
        assert!(document.pointer(pointer).is_some(), "{pointer}");
    }
    let mut ids = std::collections::HashSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            assert!(
                ids.insert(operation["operationId"].as_str().unwrap()),
                "{method} {path}"
            );
            assert!(
                operation["summary"].as_str().is_some_and(|summary| !summary.is_empty()),
                "{method} {path}"
            );
            assert!(operation["responses"]["default"].is_object(), "{method} {path}");
        }
    }
}

#[tokio::test]
async fn every_documented_operation_is_there_and_protected_as_documented() {
    let world = World::new();
    let settings = vpn_operator::http::Settings {
        failures_per_minute: 1000,
        ..vpn_operator::http::Settings::default()
    };
    let router = world.router_with(settings);
    let document: Value = bare("GET", "/openapi.json").of(&router).await.json();
    let mut seen = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let path = path
                .replace("{corporate_id}", "AB123456")
                .replace("{name}", "x")
                .replace("{token}", "x");
            let answer = bare(&method.to_uppercase(), &path).of(&router).await;
            let open = operation.get("security").is_some();
            let expected = match (open, path.as_str()) {
                (false, _) => 403,
                (true, "/sub/x") => 404,
                (true, _) => 200,
            };
            assert_eq!(answer.status.as_u16(), expected, "{method} {path}");
            seen += 1;
        }
    }
    assert!(seen >= 20, "{seen}");
}

#[tokio::test]
async fn the_page_shows_every_operation_and_needs_nothing_from_elsewhere() {
    let world = World::new();
    let answer = bare("GET", "/docs").of(&world.router()).await;
    assert_eq!(answer.status, 200);
    assert!(
        answer
            .header("content-security-policy")
            .starts_with("default-src 'none'")
    );
    for path in vpn_operator::http::openapi().paths.paths.keys() {
        assert!(answer.text.contains(&format!("<code>{path}</code>")), "{path}");
    }
    for elsewhere in ["<script", "src=", "@import", "http://", "https://"] {
        assert!(!answer.text.contains(elsewhere), "{elsewhere}");
    }
    if let Ok(folder) = std::env::var("WRITE_PAGES") {
        std::fs::write(format!("{folder}/docs.html"), &answer.text).unwrap();
    }
}
