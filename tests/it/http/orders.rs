//! A denial is done whatever its optional body says, and whatever could not be taken as it came is said.

use std::io::Write as _;

use flate2::{Compression, write::GzEncoder};
use serde_json::json;

use super::{Ask, World, ask};

fn deactivate() -> Ask {
    ask("POST", "/user/AB123456/deactivate")
}

fn gzip(text: &str) -> Vec<u8> {
    let mut out = GzEncoder::new(Vec::new(), Compression::default());
    out.write_all(text.as_bytes()).unwrap();
    out.finish().unwrap()
}

/// What the answer, the hold and the audit say.
async fn done(request: Ask) -> (String, Option<String>, String) {
    let world = World::new();
    world.declare("AB123456", |_| {});
    let answer = request.of(&world.router()).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert_eq!(answer.json()["status"], "deactivated");
    let rows = world.audit().await;
    let inner = world.lock();
    assert!(!inner.users["ab123456"].spec.active);
    let hold = inner.holds["api-deactivated-ab123456"].spec.reason.clone();
    let entry = &rows[0].entry;
    assert_eq!((entry.action.as_str(), &entry.reason), ("deactivate", &hold));
    let detail = answer.json()["detail"].as_str().unwrap_or_default().to_owned();
    (detail, hold, entry.after.clone().unwrap())
}

#[tokio::test(start_paused = true)]
async fn a_leaver_is_out_whatever_body_an_hr_system_sends() {
    let text = "{\"reason\":\"Jürgen left\"}";
    let utf16: Vec<u8> = std::iter::once(0xfeff)
        .chain(text.encode_utf16())
        .flat_map(u16::to_le_bytes)
        .collect();
    let latin: Vec<u8> = text.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect();
    let json = || deactivate().header("content-type", "application/json");
    for (request, remark) in [
        (json().body(text), ""),
        (json().body(format!("\u{feff}{text}")), "byte order mark"),
        (json().body(utf16), "UTF-16LE"),
        (json().body(latin), "windows-1252"),
        (json().header("content-encoding", "gzip").body(gzip(text)), "gzip"),
        (json().body(gzip(text)), "gzip"),
        (deactivate().body(text), "Content-Type"),
        (deactivate().header("content-type", "text/json").body(text), "text/json"),
        (
            deactivate()
                .header("content-type", "application/x-www-form-urlencoded")
                .body(text),
            "urlencoded",
        ),
        (
            deactivate()
                .header("content-type", "application/x-www-form-urlencoded")
                .body("reason=J%C3%BCrgen+left"),
            "form",
        ),
        (
            deactivate().header("content-type", "text/plain").body("Jürgen left"),
            "text alone",
        ),
    ] {
        let (detail, hold, after) = done(request).await;
        assert_eq!(hold.as_deref(), Some("Jürgen left"), "{remark}");
        assert!(detail.contains(remark) && after.contains(remark), "{detail} {after}");
        assert_eq!(detail.is_empty(), remark.is_empty(), "{detail}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_kept_of_a_reason_is_cut_or_replaced_and_said() {
    for (body, remark) in [
        ("{\"reason\":\"le".to_owned(), "not well-formed"),
        ("[]".to_owned(), "no JSON object"),
        ("{\"raeson\":\"left\"}".to_owned(), "'raeson'"),
        ("{\"reason\":{}}".to_owned(), "no text"),
        (
            json!({ "reason": "x".repeat(70_000) }).to_string(),
            "larger than 65536 bytes",
        ),
        (json!({ "reason": "x".repeat(501) }).to_string(), "cut to 500"),
        ("{\"reason\":\"a\\u001b[2J\\nb\"}".to_owned(), "escapes"),
    ] {
        let request = deactivate().header("content-type", "application/json").body(body);
        let (detail, hold, after) = done(request).await;
        let hold = hold.unwrap();
        assert!(detail.contains(remark) && after.contains(remark), "{detail} {after}");
        assert!(
            hold.chars().count() <= 500 && !hold.chars().any(char::is_control),
            "{hold}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_breaks_off_or_never_ends_holds_no_denial_up() {
    use axum::body::Body;
    use futures::stream::{self, StreamExt as _};
    let begun = tokio::time::Instant::now();
    let first = || stream::once(async { Ok::<_, std::io::Error>("{\"reas") });
    let broken = first().chain(stream::once(async { Err(std::io::Error::other("gone")) }));
    let (detail, ..) = done(deactivate().body(Body::from_stream(broken))).await;
    assert!(detail.contains("broke off"), "{detail}");
    let stuck = first().chain(stream::pending());
    let (detail, ..) = done(deactivate().body(Body::from_stream(stuck))).await;
    assert!(detail.contains("did not come"), "{detail}");
    assert!(begun.elapsed() < std::time::Duration::from_secs(10));
}

#[tokio::test(start_paused = true)]
async fn the_name_of_who_orders_a_denial_is_taken_however_it_is_written() {
    use axum::http::HeaderValue;
    let world = World::new();
    world.declare("AB123456", |_| {});
    let router = world.router();
    let latin = HeaderValue::from_bytes(b"J\xfcrgen").unwrap();
    let as_latin = |request: Ask| Ask(request.0.header("x-vpn-operator-actor", latin.clone()), request.1);
    let answer = as_latin(deactivate()).of(&router).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert!(answer.text.contains("Jürgen"), "{}", answer.text);
    assert_eq!(world.audit().await[0].entry.actor, "Jürgen (192.0.2.1)");
    as_latin(ask("POST", "/user/AB123456/activate"))
        .of(&router)
        .await
        .problem(422);
}

#[tokio::test(start_paused = true)]
async fn a_denial_of_somebody_whom_nobody_declared_names_the_hold_that_keeps_a_later_hire_out() {
    let world = World::new();
    let router = world.router();
    let answer = deactivate().body("{\"reason\":").of(&router).await;
    let detail = answer.problem(404);
    assert!(
        detail.contains("api-held-ab123456") && detail.contains("POST /holds") && detail.contains("AB123456"),
        "{detail}"
    );
    let hold = json!({ "corporate_id": "AB123456" });
    let placed = ask("POST", "/holds").json(&hold).of(&router).await;
    assert_eq!(placed.json()["name"], "api-held-ab123456");
}

#[tokio::test(start_paused = true)]
async fn a_hold_is_placed_in_any_encoding_and_its_reason_is_no_reason_to_refuse_it() {
    let world = World::new();
    let router = world.router();
    let hold = |n: u8, reason: &str| {
        json!({ "corporate_id": format!("AB00000{n}"), "reason": reason, "until": "2026-06-01T00:00:00Z" }).to_string()
    };
    let create = || ask("POST", "/holds").header("content-type", "application/json");
    for (n, request, remark) in [
        (1, create().body(gzip(&hold(1, "left"))), "gzip"),
        (2, ask("POST", "/holds").body(hold(2, "left")), "Content-Type"),
        (
            3,
            create().body(format!("\u{feff}{}", hold(3, "left"))),
            "byte order mark",
        ),
        (4, create().body(hold(4, &"x".repeat(501))), "cut to 500"),
        (5, create().body(hold(5, "two\nlines")), "escapes"),
        (
            6,
            create().body("{\"corporate_id\":\"AB000006\",\"reason\":[1]}"),
            "no text",
        ),
    ] {
        let answer = request.of(&router).await;
        assert_eq!(answer.status, 201, "{}", answer.text);
        assert!(
            answer.json()["detail"].as_str().unwrap().contains(remark),
            "{}",
            answer.text
        );
        let rows = world.audit().await;
        let inner = world.lock();
        let kept = &inner.holds[&format!("api-held-ab00000{n}")].spec;
        assert_eq!(kept.until.is_some(), n != 6);
        assert!(kept.reason.as_ref().unwrap().chars().count() <= 500);
        assert!(rows.last().unwrap().entry.after.as_ref().unwrap().contains(remark));
    }
}

#[tokio::test(start_paused = true)]
async fn a_hold_never_becomes_something_else_than_was_asked() {
    let world = World::new();
    let router = world.router();
    let create = || ask("POST", "/holds").header("content-type", "application/json");
    for (body, status, word) in [
        (
            "{\"corporate_id\":\"AB123456\",\"until\":\"tomorrow\"}",
            422,
            "until: give a moment",
        ),
        (
            "{\"corporate_id\":\"AB123456\",\"until\":7}",
            422,
            "until: give a moment",
        ),
        (
            "{\"corporate_id\":\"AB123456\",\"untill\":\"2026-06-01T00:00:00Z\"}",
            422,
            "untill",
        ),
        ("{\"corporate_id\":[\"AB123456\"]}", 422, "corporate_id"),
        ("[\"AB123456\"]", 422, "JSON object"),
        ("{\"corporate_id\":\"AB1", 400, "well-formed"),
        ("", 400, "well-formed"),
    ] {
        let detail = create().body(body).of(&router).await.problem(status);
        assert!(detail.contains(word), "{detail}");
    }
    ask("POST", "/holds")
        .body("corporate_id=AB123456")
        .of(&router)
        .await
        .problem(415);
    create().body(" ".repeat(70_000)).of(&router).await.problem(413);
    assert_eq!(world.lock().writes, 0);
}
