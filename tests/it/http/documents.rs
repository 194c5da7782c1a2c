//! The OpenAPI document and its page.

use std::{io::Read as _, path::Path};

use axum::http;
use serde_json::Value;
use tower::ServiceExt as _;

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

/// Two types of one name would share one schema, and the document would be wrong about one of them.
#[test]
fn no_two_types_have_one_name_in_the_document() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let folders = ["api", "http"].map(|room| std::fs::read_dir(source.join(room)).unwrap());
    let mut names = Vec::new();
    for entry in folders.into_iter().flatten() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        for described in text.split("ToSchema").skip(1) {
            let words: Vec<&str> = described.split_whitespace().take(40).collect();
            let is_kind = |word: &&str| ["struct", "enum"].contains(word);
            let name = words.iter().position(is_kind).and_then(|at| words.get(at + 1));
            names.extend(name.map(|name| name.trim_end_matches(['{', ';']).to_owned()));
        }
    }
    assert!(names.len() > 20, "{names:?}");
    names.sort_unstable();
    let twice: Vec<_> = names.windows(2).filter(|two| two[0] == two[1]).collect();
    assert!(twice.is_empty(), "{twice:?}");
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

#[test]
fn requests_are_described_as_narrowly_as_they_are_read() {
    let document = serde_json::to_value(vpn_operator::http::openapi()).unwrap();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let place = format!("{method} {path}");
            if operation.get("security").is_none() {
                for status in ["403", "429"] {
                    assert!(operation["responses"][status].is_object(), "{place} {status}");
                }
            }
            for parameter in operation["parameters"].as_array().into_iter().flatten() {
                let schema = &parameter["schema"];
                let schema = match schema["$ref"].as_str() {
                    Some(reference) => document.pointer(reference.trim_start_matches('#')).unwrap(),
                    None => schema,
                };
                let name = parameter["name"].as_str().unwrap();
                let free = [
                    "q",
                    "after",
                    "token",
                    "code",
                    "node",
                    "lang",
                    "verbose",
                    "X-Vpn-Operator-Actor",
                ]
                .contains(&name);
                let bounded = schema["type"] != "string" || schema.get("pattern").or(schema.get("enum")).is_some();
                assert!(free || bounded, "{place} {name}");
                assert_ne!(schema["type"], "null", "{place} {name}");
            }
            let body = &operation["requestBody"]["content"]["application/json"]["schema"];
            assert!(
                body.is_null() || body["$ref"].is_string(),
                "{place} takes an object, and no null: {body}"
            );
        }
    }
    let schemas = &document["components"]["schemas"];
    for schema in ["CorporateId", "Source", "HoldName"] {
        assert!(
            schemas[schema]["pattern"].is_string() && schemas[schema]["maxLength"].is_u64(),
            "{schema}"
        );
    }
    let reasons = schemas["Reason"]["enum"].as_array().unwrap();
    for word in reasons {
        let read: vpn_operator::model::access::Reason = serde_json::from_value(word.clone()).unwrap();
        assert_eq!(read.as_str(), word);
    }
    for word in schemas["Phase"]["enum"].as_array().unwrap() {
        serde_json::from_value::<vpn_operator::model::hold::HoldPhase>(word.clone()).unwrap();
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
                .replace("{id}", "1")
                .replace("{link}", "1")
                .replace("{code}", "x")
                .replace("{token}", "x");
            let answer = bare(&method.to_uppercase(), &path).of(&router).await;
            let open = operation.get("security").is_some();
            let expected = match (open, path.as_str()) {
                (false, _) => 403,
                // It takes forms only.
                (true, "/sub/x") if method == "post" => 415,
                (true, "/sub/x" | "/sub/open/x") => 404,
                (true, "/docs") => 307,
                // It says nothing without an ID in the query.
                (true, "/id/validate") => 422,
                // No secret of a sender is configured here.
                (true, "/webhooks/hr-events") => 503,
                (true, _) => 200,
            };
            assert_eq!(answer.status.as_u16(), expected, "{method} {path}");
            seen += 1;
        }
    }
    assert!(seen >= 20, "{seen}");
}

/// A file of the page, unpacked, and the headers that it came with.
async fn file(router: &axum::Router, path: &str) -> (http::HeaderMap, String) {
    let request = http::Request::get(path).body(axum::body::Body::empty()).unwrap();
    let answer = router.clone().oneshot(request).await.unwrap();
    assert_eq!(answer.status(), 200, "{path}");
    let (parts, body) = answer.into_parts();
    let bytes = axum::body::to_bytes(body, 1 << 23).await.unwrap();
    let packed = parts
        .headers
        .get("content-encoding")
        .is_some_and(|encoding| encoding == "gzip");
    let mut text = String::new();
    if packed {
        flate2::read::GzDecoder::new(bytes.as_ref())
            .read_to_string(&mut text)
            .unwrap();
    } else {
        text = String::from_utf8(bytes.to_vec()).unwrap();
    }
    (parts.headers, text)
}

#[tokio::test]
async fn the_page_is_served_whole_and_needs_nothing_from_elsewhere() {
    let world = World::new();
    let router = world.router();
    let answer = bare("GET", "/docs").of(&router).await;
    assert_eq!((answer.status.as_u16(), answer.header("location")), (307, "docs/"));
    let (headers, page) = file(&router, "/docs/").await;
    let policy = headers["content-security-policy"].to_str().unwrap();
    for rule in [
        "default-src 'none'",
        "script-src 'self';",
        "connect-src 'self';",
        "frame-ancestors 'none'",
    ] {
        assert!(policy.contains(rule), "{policy}");
    }
    let mut files = 0;
    for attribute in ["src=\"", "href=\""] {
        for part in page.split(attribute).skip(1) {
            let name = part.split('"').next().unwrap();
            assert!(!name.contains("//"), "{name}");
            let path = format!("/docs/{}", name.trim_start_matches("./"));
            let answer = bare("HEAD", &path).of(&router).await;
            assert_eq!(answer.status, 200, "{path}");
            files += 1;
        }
    }
    assert!(files >= 5, "{page}");
    let (headers, settings) = file(&router, "/docs/swagger-initializer.js").await;
    assert!(
        headers["content-type"].to_str().unwrap().starts_with("text/javascript"),
        "{headers:?}"
    );
    assert!(
        settings.contains("\"../openapi.json\"") && !settings.contains("://"),
        "{settings}"
    );
    assert!(settings.contains("\"validatorUrl\": \"none\""), "{settings}");
    let answer = bare("GET", "/docs/nothing.js").of(&router).await;
    answer.problem(404);
}
