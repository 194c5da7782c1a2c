//! What every call has in common: the secret, limits, problem documents, request ids, logs, probes.

use std::time::Duration;

use serde_json::{Value, json};
use vpn_operator::http;

use super::{
    World, ask, bare,
    world::{PREVIOUS, SECRET, link_token, password},
};
use crate::support::log;

#[tokio::test]
async fn without_the_secret_everything_is_403_and_both_secrets_are_valid() {
    let world = World::new();
    let router = world.router();
    bare("GET", "/users").of(&router).await.problem(403);
    let wrong = bare("GET", "/users").header("x-corporate-secret", "wrong");
    assert!(!wrong.of(&router).await.problem(403).is_empty());
    for secret in [SECRET, PREVIOUS] {
        let request = bare("GET", "/users").header("x-corporate-secret", secret);
        assert_eq!(request.of(&router).await.status, 200);
    }
}

#[tokio::test]
async fn failed_attempts_are_limited_and_a_correct_secret_is_not() {
    let world = World::new();
    let router = world.router();
    for _ in 0..10 {
        bare("GET", "/users").of(&router).await.problem(403);
    }
    let refused = bare("GET", "/users").of(&router).await;
    refused.problem(429);
    let wait: u64 = refused.header("retry-after").parse().unwrap();
    assert!((1..=61).contains(&wait));
    assert_eq!(ask("GET", "/users").of(&router).await.status, 200);
    bare("GET", "/users").of(&router).await.problem(429);
    bare("GET", "/users").from("192.0.2.2:1").of(&router).await.problem(403);
    world.clock.advance(Duration::from_secs(61));
    bare("GET", "/users").of(&router).await.problem(403);
}

#[tokio::test]
async fn only_a_trusted_proxy_names_the_client_that_is_counted() {
    let world = World::new();
    let router = world.router();
    let through = |client: &str| {
        bare("GET", "/users")
            .from("10.0.0.1:1")
            .header("x-forwarded-for", client)
    };
    for n in 0..10 {
        through(&format!("198.51.100.{n}, 203.0.113.9"))
            .of(&router)
            .await
            .problem(403);
    }
    through("203.0.113.9").of(&router).await.problem(429);
    through("203.0.113.10").of(&router).await.problem(403);
    let direct = |n: u8| bare("GET", "/users").header("x-forwarded-for", &format!("198.51.100.{n}"));
    for n in 0..10 {
        direct(n).of(&router).await.problem(403);
    }
    direct(11).of(&router).await.problem(429);
}

#[tokio::test]
async fn whatever_is_wrong_with_a_request_is_a_problem_document() {
    let world = World::new();
    let router = world.router();
    let grant = || ask("POST", "/access/grant");
    ask("GET", "/nothing/here").of(&router).await.problem(404);
    ask("GET", "/").of(&router).await.problem(404);
    let wrong_method = ask("GET", "/access/grant").of(&router).await;
    wrong_method.problem(405);
    assert_eq!(wrong_method.header("allow"), "POST");
    ask("PUT", "/holds/x").of(&router).await.problem(405);
    grant().of(&router).await.problem(415);
    grant()
        .header("content-type", "text/plain")
        .body("{}")
        .of(&router)
        .await
        .problem(415);
    grant()
        .header("content-type", "application/json")
        .body("{\"corporate")
        .of(&router)
        .await
        .problem(400);
    grant()
        .header("content-type", "application/json")
        .body("")
        .of(&router)
        .await
        .problem(400);
    grant()
        .header("content-type", "application/json")
        .body(vec![0xff, 0xfe])
        .of(&router)
        .await
        .problem(400);
    grant().json(&json!({})).of(&router).await.problem(422);
    grant()
        .json(&json!({ "corporate_id": 7 }))
        .of(&router)
        .await
        .problem(422);
    grant()
        .json(&json!({ "corporate_id": "" }))
        .of(&router)
        .await
        .problem(422);
    grant().json(&json!([])).of(&router).await.problem(422);
    let large = json!({ "corporate_id": "x".repeat(70_000) });
    grant().json(&large).of(&router).await.problem(413);
    ask("GET", "/user/%ff").of(&router).await.problem(422);
    bare("GET", "/sub/nobody.knows").of(&router).await.problem(404);
    let charset = grant().header("content-type", "application/json; charset=utf-8");
    assert_eq!(
        charset.body("{\"corporate_id\":\"AB123456\"}").of(&router).await.status,
        200
    );
}

#[tokio::test]
async fn errors_speak_of_fields_and_not_of_the_types_of_a_program() {
    let world = World::new();
    let router = world.router();
    let mut details = Vec::new();
    for (path, body, words) in [
        ("/access/grant", json!([]), "must be a JSON object"),
        ("/access/grant", json!([["AB123456"]]), "must be a JSON object"),
        ("/access/grant", json!("AB123456"), "must be a JSON object"),
        ("/access/grant", json!({}), "missing field `corporate_id`"),
        (
            "/access/grant",
            json!({ "corporate_id": 7 }),
            "corporate_id: invalid type",
        ),
        (
            "/access/grant",
            json!({ "corporate_id": "AB123456", "name": "Bob" }),
            "unknown field `name`",
        ),
        (
            "/access/grant",
            json!({ "corporate_id": "AB123456", "valid_until": "soon" }),
            "valid_until: give a moment",
        ),
        (
            "/user/AB123456/rotate",
            json!({ "what": "all" }),
            "what: unknown variant `all`",
        ),
        ("/user/AB123456/rotate", json!(["both"]), "must be a JSON object"),
        (
            "/user/AB123456/activate",
            json!({ "raeson": "x" }),
            "unknown field `raeson`",
        ),
        ("/holds/release", json!({ "since": 7 }), "since: give a moment"),
        (
            "/holds/release",
            json!({ "since": "2026-01-01T00:00:00Z", "reason": "a\nb" }),
            "reason: must be one line",
        ),
        ("/guard/confirm", json!({ "ids": "AB123456" }), "ids: invalid type"),
        ("/guard/confirm", json!(["AB123456"]), "must be a JSON object"),
    ] {
        let detail = ask("POST", path).json(&body).of(&router).await.problem(422);
        assert!(detail.contains(words), "{detail}");
        let recommends = detail.contains("must be a JSON object") && detail.contains("corporate_id");
        assert!(!recommends, "most calls refuse that field: {detail}");
        details.push(detail);
    }
    for (path, words) in [
        ("/users?limit=x", "limit: give a whole number"),
        ("/users?limit=99999999999999999999999", "limit: give a whole number"),
        ("/users?held=7", "held"),
        ("/users?access=granted", "access: unknown variant `granted`"),
        ("/users?page=2", "unknown field `page`"),
        ("/holds?phase=live", "phase: unknown variant `live`"),
        ("/holds?source=", "source: must be"),
        ("/audit?before=x", "before: give a whole number"),
    ] {
        let detail = ask("GET", path).of(&router).await.problem(422);
        assert!(detail.contains(words), "{detail}");
        details.push(detail);
    }
    for rust in [
        "struct",
        "Body",
        "deserialize",
        "u32",
        "usize",
        "i64",
        "option",
        " at line ",
    ] {
        assert!(
            !details.iter().any(|detail| detail.contains(rust)),
            "{rust} in {details:?}"
        );
    }
    let detail = ask("GET", "/users/").of(&router).await.problem(404);
    assert!(
        detail.contains("no path of the API ends with '/'") && !detail.contains("under"),
        "{detail}"
    );
    assert!(world.actions().await.is_empty() && world.lock().writes == 0);
}

#[tokio::test(start_paused = true)]
async fn too_much_is_503_too_long_is_408_and_probes_answer() {
    let world = World::new();
    world.declare("AB123456", |_| {});
    world.lock().nodes_down = true;
    let router = world.router_with(http::Settings {
        secrets: vec![SECRET.into()],
        max_concurrent: 1,
        request_timeout: Duration::from_secs(1),
        ..http::Settings::default()
    });
    let slow = ask("POST", "/user/AB123456/deactivate").of(&router);
    let meanwhile = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let turned_away = ask("GET", "/users").of(&router).await;
        turned_away.problem(503);
        assert!(!turned_away.header("retry-after").is_empty());
        assert_eq!(bare("GET", "/livez").of(&router).await.status, 200);
    };
    let (slow, ()) = tokio::join!(slow, meanwhile);
    slow.problem(408);
    assert!(!world.lock().users["ab123456"].spec.active, "the change went on");
    assert_eq!(ask("GET", "/users").of(&router).await.status, 200);
}

#[tokio::test]
async fn a_panic_inside_is_a_500_and_the_next_request_is_served() {
    let world = World::new();
    world.lock().panics = true;
    let router = world.router();
    let answer = ask("POST", "/user/AB123456/activate").of(&router).await;
    answer.problem(500);
    assert!(!answer.text.contains("told to"));
    world.lock().panics = false;
    assert_eq!(ask("GET", "/users").of(&router).await.status, 200);
}

#[tokio::test]
async fn a_harmless_request_id_is_taken_and_any_other_is_replaced() {
    let world = World::new();
    let router = world.router();
    let with = |id: &str| ask("GET", "/guard").header("x-request-id", id);
    assert_eq!(
        with("hr-job_7.1").of(&router).await.header("x-request-id"),
        "hr-job_7.1"
    );
    for bad in ["", "two words", "<script>", &"x".repeat(65)] {
        let answer = with(bad).of(&router).await;
        let made = answer.header("x-request-id");
        assert_eq!(made.len(), 32, "{made}");
    }
    let missing = ask("GET", "/user/AB999999")
        .header("x-request-id", "abc")
        .of(&router)
        .await;
    missing.problem(404);
    assert_eq!(missing.json()["request_id"], "abc");
}

#[tokio::test(start_paused = true)]
async fn no_secret_reaches_the_log_or_an_error() {
    log::capture();
    let world = World::new();
    let router = world.router();
    let body = json!({ "corporate_id": "AB123456" });
    let granted = ask("POST", "/access/grant").json(&body).of(&router).await.json();
    let token = granted["subscription_url"]
        .as_str()
        .unwrap()
        .rsplit('/')
        .next()
        .unwrap()
        .to_owned();
    let sub = format!("/sub/{token}");
    assert_eq!(bare("GET", &sub).of(&router).await.status, 200);
    let mut errors = String::new();
    for request in [
        bare("GET", &format!("{sub}x")),
        bare("GET", &format!("/subs/{token}")),
        bare("POST", &sub),
        bare("GET", "/users").header("x-corporate-secret", "guess-of-a-secret"),
        ask("GET", &format!("/users?q={token}&bad=1")),
    ] {
        let answer = request.of(&router).await;
        assert!(answer.status.is_client_error());
        errors.push_str(&answer.text);
    }
    world.lock().nodes = 0;
    errors.push_str(&bare("GET", &sub).of(&router).await.text);
    let what = json!({ "what": "both" });
    ask("POST", "/user/AB123456/rotate").json(&what).of(&router).await;
    ask("POST", "/user/AB123456/deactivate").of(&router).await;
    errors.push_str(&bare("GET", &sub).of(&router).await.text);

    let log = log::captured();
    assert!(log.contains("/sub/{token}") && log.contains("status=200"), "{log}");
    let secrets: Vec<String> = (1..=2)
        .flat_map(|generation| [password("AB123456", generation), link_token("AB123456", generation)])
        .collect();
    let known = [SECRET, "guess-of-a-secret", "hysteria2://"];
    for secret in known.into_iter().chain(secrets.iter().map(String::as_str)) {
        assert!(!log.contains(secret), "{secret} in {log}");
        assert!(!errors.contains(secret), "{secret} in {errors}");
    }
    let rows = format!("{:?}", world.audit().await);
    assert!(!secrets.iter().any(|secret| rows.contains(secret)), "{rows}");
}

#[tokio::test]
async fn probes_are_open_and_tell_what_is_wrong() {
    let world = World::new();
    let router = world.router();
    let health = bare("GET", "/health").of(&router).await;
    assert_eq!(
        (health.status.as_u16(), &health.json()["status"]),
        (200, &json!("healthy"))
    );
    assert_eq!(bare("GET", "/livez").of(&router).await.status, 200);
    let metrics = bare("GET", "/metrics").of(&router).await;
    let line = "vpn_operator_http_requests_total{route=\"/livez\",status=\"Success\"} 1\n";
    assert!(metrics.text.contains(line), "{}", metrics.text);
    assert!(
        metrics
            .header("content-type")
            .starts_with("application/openmetrics-text")
    );
    let ready = bare("GET", "/readyz").of(&router).await;
    assert_eq!(
        (ready.status.as_u16(), ready.json()),
        (200, json!({ "status": "ready" }))
    );

    let problem = "vpn/a.yaml:7:3: spec.validUntill: unknown field";
    world.lock().problems = vec![problem.into()];
    world.lock().nodes_down = true;
    let verbose = bare("GET", "/readyz?verbose").of(&router).await;
    assert_eq!(verbose.status, 200, "a bad document does not end readiness");
    let check = |name: &str| -> Value {
        let body = verbose.json();
        body["checks"]
            .as_array()
            .unwrap()
            .iter()
            .find(|check| check["name"] == name)
            .unwrap()
            .clone()
    };
    assert_eq!(check("documents")["details"], json!([problem]));
    assert_eq!(check("node/default/node1")["ok"], false);
    assert_eq!(check("desired-state")["ok"], true);

    world.lock().not_synced = true;
    let unready = bare("GET", "/readyz?verbose").of(&router).await;
    unready.problem(503);
    assert_eq!(unready.json()["checks"][0]["name"], "desired-state");
    assert_eq!(bare("GET", "/livez").of(&router).await.status, 200);
    assert_eq!(bare("GET", "/health").of(&router).await.json()["ready"], false);
}

#[tokio::test]
async fn every_answer_of_a_simulated_operator_says_so_and_none_of_a_real_one() {
    let world = World::new();
    for simulated in [true, false] {
        let settings = vpn_operator::http::Settings {
            secrets: vec![super::world::SECRET.into()],
            simulated,
            ..vpn_operator::http::Settings::default()
        };
        let router = world.router_with(settings);
        for path in ["/users", "/user/AB999999", "/holds", "/guard", "/health", "/nothing"] {
            let answer = ask("GET", path).of(&router).await;
            let said = answer.headers.contains_key("x-vpn-operator-simulated");
            assert_eq!(said, simulated, "{path}");
        }
    }
}
