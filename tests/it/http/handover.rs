//! Links that are handed over: making them, opening them, and that nothing but the button of their first page uses them up.

use std::{
    sync::{Arc, LazyLock},
    time::Duration,
};

use axum::Router;
use serde_json::{Value, json};

use super::{
    Answer, Ask, World, ask, bare,
    world::{link_token, sub},
};
use crate::support::log;

const BASE: &str = "https://vpn.example.com";
const LINKS: &str = "/user/AB123456/links";
static PAGE: LazyLock<String> = LazyLock::new(|| sub("AB123456", 1));
const BROWSER: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";

fn world() -> Arc<World> {
    let world = World::new();
    world.declare("AB123456", |_| {});
    world
}

async fn made(router: &Router, body: Value) -> Value {
    let answer = ask("POST", LINKS).json(&body).of(router).await;
    assert_eq!(answer.status, 201, "{}", answer.text);
    answer.json()
}

/// Makes a link; answers the path at which it is opened.
async fn path(router: &Router, body: Value) -> String {
    let made = made(router, body).await;
    made["url"].as_str().unwrap().strip_prefix(BASE).unwrap().to_owned()
}

fn browser(method: &str, path: &str) -> Ask {
    bare(method, path)
        .header("accept", "text/html")
        .header("accept-language", "en")
        .header("user-agent", BROWSER)
}

/// What the first page gives the browser.
fn visit(page: &Answer) -> String {
    assert_eq!(page.status, 200, "{}", page.text);
    let (_, rest) = page.text.split_once("name=\"visit\" value=\"").unwrap();
    rest.split_once('"').unwrap().0.to_owned()
}

fn form(visit: &str) -> String {
    url::form_urlencoded::Serializer::new(String::new())
        .append_pair("visit", visit)
        .finish()
}

async fn press(router: &Router, path: &str, visit: &str) -> Answer {
    browser("POST", path)
        .header("content-type", "application/x-www-form-urlencoded")
        .body(form(visit))
        .of(router)
        .await
}

/// Looks, and presses the button.
async fn opens(router: &Router, path: &str) -> Answer {
    let visit = visit(&browser("GET", path).of(router).await);
    press(router, path, &visit).await
}

async fn opened(world: &World) -> usize {
    world
        .actions()
        .await
        .iter()
        .filter(|it| *it == "handover.opened")
        .count()
}

#[track_caller]
fn leads_to_the_page(answer: &Answer) {
    assert_eq!(answer.status, 303, "{}", answer.text);
    assert_eq!(answer.header("location"), format!("{}?format=html", *PAGE));
    assert_eq!(answer.header("referrer-policy"), "no-referrer");
    assert_eq!(answer.header("cache-control"), "no-store");
}

#[track_caller]
fn is_over(answer: &Answer, words: &str) {
    assert_eq!(answer.status, 410, "{}", answer.text);
    assert!(
        answer.text.contains(words) && !answer.text.contains("<form"),
        "{}",
        answer.text
    );
}

#[tokio::test]
async fn a_link_is_made_looked_at_as_often_as_anybody_likes_and_opened_once() {
    let world = world();
    let router = world.router();
    let link = made(&router, json!({ "reason": "new phone" })).await;
    assert_eq!(
        link["valid_until"], "2026-05-02T12:00:00Z",
        "24 hours where nothing is said"
    );
    assert_eq!(
        (&link["uses"], &link["corporate_id"], &link["denied"]),
        (&json!(1), &json!("AB123456"), &Value::Null)
    );
    let path = link["url"].as_str().unwrap().strip_prefix(BASE).unwrap();
    let code = path.strip_prefix("/sub/open/").unwrap();
    assert!(code.len() * 5 >= 128 && code.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    // A messenger, a mail scanner, and the person.
    for method in ["HEAD", "GET", "GET", "HEAD"] {
        assert_eq!(browser(method, path).of(&router).await.status, 200);
    }
    assert_eq!(opened(&world).await, 0);
    let answer = opens(&router, path).await;
    leads_to_the_page(&answer);
    let seen = browser("GET", answer.header("location")).of(&router).await;
    assert!(seen.status == 200 && seen.text.contains(&format!("{BASE}{}", *PAGE)));
    is_over(&opens_anew(&router, path).await, "opened as often as it was made for");
    is_over(&browser("GET", path).of(&router).await, "say so at once");
    let rows: Vec<_> = world.audit().await.iter().map(|row| row.entry.clone()).collect();
    let [made, opened, ..] = &rows[..] else {
        panic!("{rows:?}")
    };
    assert_eq!(
        (made.action.as_str(), opened.action.as_str()),
        ("handover.made", "handover.opened")
    );
    assert_eq!(made.reason.as_deref(), Some("new phone"));
    for row in [made, opened] {
        assert_eq!(row.corporate_id.as_deref(), Some("AB123456"));
        assert!(row.request_id.is_some() && row.address.as_deref() == Some("192.0.2.1"));
    }
    let after: Value = serde_json::from_str(opened.after.as_deref().unwrap()).unwrap();
    assert_eq!(after, json!({ "link": link["id"], "usesLeft": 0, "agent": BROWSER }));
    assert!(!format!("{rows:?}").contains(code));
}

/// As a browser that kept the first page from before.
async fn opens_anew(router: &Router, path: &str) -> Answer {
    press(router, path, "another browser").await
}

#[tokio::test]
async fn the_first_page_speaks_both_languages_and_runs_nothing() {
    let world = world();
    let router = world.router();
    let path = path(&router, json!({ "uses": 3, "ttl": "2h" })).await;
    for (language, words) in [
        ("en", ["Open my page", "3 times more", "1 May 2026, 14:00 UTC"]),
        ("ru", ["Открыть мою страницу", "ещё 3 раза", "1 мая 2026, 14:00 UTC"]),
    ] {
        let page = bare("GET", &path).header("accept-language", language).of(&router).await;
        assert_eq!(page.status, 200, "{}", page.text);
        for word in words {
            assert!(page.text.contains(word), "{word}: {}", page.text);
        }
        assert_eq!(page.header("content-language"), language);
        for missing in [
            ">open-",
            "\"open-",
            ">page-",
            "AB123456",
            "hysteria2",
            "/sub/ab123456",
            "<script",
        ] {
            assert!(!page.text.contains(missing), "{missing}");
        }
        assert!(page.text.contains("Corporate VPN") && page.text.matches("<button").count() == 1);
        let policy = page.header("content-security-policy");
        assert!(
            policy.starts_with("default-src 'none'")
                && policy.contains("form-action 'self'")
                && policy.contains("frame-ancestors 'none'")
                && !policy.contains("unsafe"),
            "{policy}"
        );
        for (header, value) in [
            ("cache-control", "no-store"),
            ("referrer-policy", "no-referrer"),
            ("x-robots-tag", "noindex"),
        ] {
            assert_eq!(page.header(header), value);
        }
    }
    // What was chosen goes along, also through the address that ends with a slash.
    let russian = format!("{path}/?lang=ru");
    let page = browser("GET", &russian).of(&router).await;
    assert!(page.text.contains("Открыть мою страницу"));
    let answer = press(&router, &russian, &visit(&page)).await;
    assert_eq!(answer.header("location"), format!("{}?format=html&lang=ru", *PAGE));
}

#[tokio::test]
async fn a_button_that_is_pressed_twice_uses_nothing_up_for_a_few_minutes() {
    let world = world();
    let router = world.router();
    let path = path(&router, json!({})).await;
    let first = visit(&browser("GET", &path).of(&router).await);
    for _ in 0..3 {
        leads_to_the_page(&press(&router, &path, &first).await);
        world.clock.advance(Duration::from_secs(60));
    }
    assert_eq!(opened(&world).await, 1);
    is_over(&press(&router, &path, "another browser").await, "as often");
    world.clock.advance(Duration::from_secs(8 * 60));
    is_over(&press(&router, &path, &first).await, "as often");
    assert_eq!(opened(&world).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_who_press_for_the_last_use_one_gets_it() {
    let world = world();
    let router = world.router();
    for _ in 0..10 {
        let path = path(&router, json!({})).await;
        let before = opened(&world).await;
        let (one, other) = tokio::join!(press(&router, &path, "one"), press(&router, &path, "other"));
        let mut statuses = [one.status.as_u16(), other.status.as_u16()];
        statuses.sort_unstable();
        assert_eq!(statuses, [303, 410]);
        assert_eq!(opened(&world).await, before + 1);
        // Two presses of one browser are one use.
        let path = self::path(&router, json!({})).await;
        let (one, other) = tokio::join!(press(&router, &path, "one"), press(&router, &path, "one"));
        assert_eq!((one.status.as_u16(), other.status.as_u16()), (303, 303));
        is_over(&press(&router, &path, "other").await, "as often");
    }
}

#[tokio::test]
async fn who_is_denied_sees_that_and_uses_nothing_up() {
    let world = world();
    let router = world.router();
    let path = path(&router, json!({})).await;
    world.edit("AB123456", |spec| spec.active = false);
    for _ in 0..2 {
        let answer = opens(&router, &path).await;
        assert_eq!(answer.status, 403, "{}", answer.text);
        assert!(answer.text.contains("switched off") && !answer.text.contains("/sub/ab123456"));
    }
    let link = made(&router, json!({})).await;
    assert_eq!(link["denied"], "Inactive", "whoever hands it over hears that");
    assert_eq!(opened(&world).await, 0);
    world.edit("AB123456", |spec| spec.active = true);
    leads_to_the_page(&opens(&router, &path).await);
    // What is opened does not stay open for who is denied after it.
    world.edit("AB123456", |spec| spec.active = false);
    let seen = browser("GET", &format!("{}?format=html", *PAGE)).of(&router).await;
    assert_eq!(seen.status, 403);
}

#[tokio::test]
async fn without_an_audit_nothing_is_made_and_nothing_opened() {
    let world = world();
    let router = world.router();
    let path = path(&router, json!({})).await;
    let first = visit(&browser("GET", &path).of(&router).await);
    let error = vpn_operator::history::HistoryError::Unavailable("the disk is full".to_owned());
    for known in [true, false] {
        world.lock().history_error = known.then(|| error.clone());
        world.lock().history_breaks = !known;
        let refused = ask("POST", LINKS).header("idempotency-key", "k").of(&router).await;
        refused.problem(503);
        let answer = press(&router, &path, &first).await;
        assert_eq!(answer.status, 503, "{}", answer.text);
        assert!(answer.text.contains("was not used up") && answer.header("location").is_empty());
    }
    world.lock().history_breaks = false;
    let listed = ask("GET", LINKS).of(&router).await.json();
    let listed = listed["links"].as_array().unwrap();
    assert_eq!(listed.len(), 1, "{listed:?}");
    assert_eq!(
        (&listed[0]["uses_left"], &listed[0]["opened_at"]),
        (&json!(1), &Value::Null)
    );
    leads_to_the_page(&press(&router, &path, &first).await);
    assert_eq!(
        world.actions().await,
        ["handover.made", "handover.opened"],
        "and nothing that did not happen"
    );
}

#[tokio::test]
async fn without_a_server_nothing_is_used_up() {
    let world = world();
    let router = world.router();
    let path = path(&router, json!({})).await;
    world.lock().nodes = 0;
    let answer = opens(&router, &path).await;
    assert!(
        answer.status == 503 && answer.text.contains("not used up"),
        "{}",
        answer.text
    );
    world.lock().nodes = 1;
    leads_to_the_page(&opens(&router, &path).await);
    assert_eq!(opened(&world).await, 1);
}

#[tokio::test]
async fn links_are_listed_without_what_opens_them_and_withdrawn() {
    let world = world();
    let router = world.router();
    let first = made(&router, json!({ "uses": 2 })).await;
    let path = first["url"].as_str().unwrap().strip_prefix(BASE).unwrap();
    leads_to_the_page(&opens(&router, path).await);
    let listed = ask("GET", "/user/ab123456/links").of(&router).await;
    assert!(!listed.text.contains(path.rsplit('/').next().unwrap()));
    let link = &listed.json()["links"][0];
    assert_eq!(
        (&link["id"], &link["uses"], &link["uses_left"], &link["opened_at"]),
        (&first["id"], &json!(2), &json!(1), &json!("2026-05-01T12:00:00Z"))
    );
    assert_eq!(link["made_by"], "192.0.2.1");
    let one = format!("{LINKS}/{}", first["id"]);
    let withdraw = async |path: &str| ask("DELETE", path).of(&router).await;
    assert_eq!(withdraw(&format!("{one}?reason=lost")).await.status, 204);
    assert_eq!(withdraw(&one).await.status, 204, "safe to repeat");
    is_over(&browser("GET", path).of(&router).await, "withdrawn");
    is_over(&press(&router, path, "x").await, "withdrawn");
    assert_eq!(ask("GET", LINKS).of(&router).await.json(), json!({ "links": [] }));
    let rows = world.audit().await.into_iter();
    let rows = rows.filter(|row| row.entry.action == "handover.withdrawn");
    let withdrawn: Vec<_> = rows.map(|row| row.entry.reason).collect();
    assert_eq!(withdrawn, [Some("lost".to_owned())]);
    world.declare("CD123456", |_| {});
    let other = format!("/user/CD123456/links/{}", first["id"]);
    let detail = withdraw(&other).await.problem(404);
    assert!(detail.contains("/user/CD123456/links"), "{detail}");
    withdraw(&format!("{LINKS}/x")).await.problem(422);
}

#[tokio::test]
async fn a_link_has_bounds_and_is_for_somebody() {
    let world = world();
    let router = world.router();
    for (body, field) in [
        (json!({ "ttl": "59s" }), "ttl"),
        (json!({ "ttl": "721h" }), "ttl"),
        (json!({ "ttl": "-1h" }), "ttl"),
        (json!({ "ttl": "soon" }), "ttl"),
        (json!({ "uses": 0 }), "uses"),
        (json!({ "uses": 21 }), "uses"),
        (json!({ "minutes": 5 }), "minutes"),
        (json!({ "reason": "a\nb" }), "reason"),
    ] {
        let detail = ask("POST", LINKS).json(&body).of(&router).await.problem(422);
        assert!(detail.contains(field), "{body}: {detail}");
    }
    for method in ["POST", "GET"] {
        ask(method, "/user/ZZ999999/links").of(&router).await.problem(404);
    }
    assert!(world.actions().await.is_empty());
    let longest = made(&router, json!({ "ttl": "720h", "uses": 20 })).await;
    assert_eq!(longest["valid_until"], "2026-05-31T12:00:00Z");
    let short = path(&router, json!({ "ttl": "1m" })).await;
    world.clock.advance(Duration::from_secs(59));
    assert_eq!(browser("GET", &short).of(&router).await.status, 200);
    world.clock.advance(Duration::from_secs(1));
    is_over(&browser("GET", &short).of(&router).await, "time is over");
    is_over(&press(&router, &short, "x").await, "time is over");
}

#[tokio::test]
async fn a_request_that_is_repeated_makes_one_link_and_another_callers_makes_another() {
    let world = world();
    let router = world.router();
    let make = async |key: &str, actor: &str, peer: &str| {
        let request = ask("POST", LINKS).header("idempotency-key", key).from(peer);
        let answer = request.header("x-vpn-operator-actor", actor).of(&router).await;
        assert_eq!(answer.status, 201, "{}", answer.text);
        answer.json()
    };
    let first = make("k", "anna", "192.0.2.1:1").await;
    assert_eq!(make("k", "anna", "192.0.2.9:2").await, first, "from wherever they ask");
    assert_eq!(world.actions().await, ["handover.made"]);
    for other in [
        make("l", "anna", "192.0.2.1:1").await,
        make("k", "boris", "192.0.2.1:1").await,
    ] {
        assert!(other["url"] != first["url"] && other["id"] != first["id"]);
    }
    let path = first["url"].as_str().unwrap().strip_prefix(BASE).unwrap();
    leads_to_the_page(&opens(&router, path).await);
    assert_eq!(make("k", "anna", "192.0.2.1:1").await, first);
    is_over(&press(&router, path, "x").await, "as often");
    ask("POST", LINKS)
        .header("idempotency-key", "a b")
        .of(&router)
        .await
        .problem(422);
}

#[tokio::test]
async fn whoever_guesses_is_counted_and_sees_the_same_whatever_they_guess() {
    let world = world();
    let router = world.router();
    let path = path(&router, json!({})).await;
    let mut guess = path.clone();
    let last = if guess.ends_with('a') { "b" } else { "a" };
    guess.replace_range(guess.len() - 1.., last);
    let without = |answer: &Answer| {
        let nonce = answer.header("content-security-policy");
        let nonce = nonce.split("'nonce-").nth(1).unwrap().split('\'').next().unwrap();
        (answer.status.as_u16(), answer.text.replace(nonce, ""))
    };
    let first = without(&browser("GET", &guess).of(&router).await);
    assert_eq!(first.0, 404);
    for other in [
        "/sub/open/x",
        "/sub/open/%2e%2e",
        &format!("{path}a"),
        &path.to_uppercase().replace("/SUB/OPEN", "/sub/open"),
    ] {
        assert_eq!(without(&browser("GET", other).of(&router).await), first, "{other}");
        assert_eq!(without(&press(&router, other, "x").await), first, "{other}");
    }
    let mut refused = 0;
    for _ in 0..10 {
        let answer = press(&router, &guess, "x").await;
        refused += usize::from(answer.status == 429 && !answer.header("retry-after").is_empty());
    }
    assert!(refused >= 8, "{refused}");
    // A subscription link that is guessed counts with it, and a right one is never asked about.
    let sub = browser("GET", "/sub/ab123456.guess").of(&router).await;
    assert_eq!(sub.status, 429);
    leads_to_the_page(&opens(&router, &path).await);
}

#[tokio::test]
async fn the_address_leads_to_the_page_behind_a_proxy_that_has_a_path_of_its_own() {
    let world = world();
    world.lock().public_url = "https://x.example/vpn/".to_owned();
    let router = world.router();
    let link = made(&router, json!({})).await;
    let path = link["url"]
        .as_str()
        .unwrap()
        .strip_prefix("https://x.example/vpn")
        .unwrap();
    let answer = opens(&router, path).await;
    assert_eq!(answer.header("location"), format!("/vpn{}?format=html", *PAGE));
}

#[tokio::test]
async fn no_code_is_logged_or_kept_where_it_can_be_read() {
    log::capture();
    let world = world();
    let router = world.router();
    let path = path(&router, json!({})).await;
    let code = path.rsplit('/').next().unwrap().to_owned();
    let mut errors = String::new();
    for request in [
        bare("GET", &format!("{path}x")),
        bare("PUT", &path),
        bare("GET", &format!("{path}/{code}")),
        bare("GET", &format!("/open/{code}")),
        ask("POST", LINKS).json(&json!({ "ttl": code })),
        ask("DELETE", &format!("{LINKS}/{code}")),
    ] {
        let answer = request.of(&router).await;
        assert!(answer.status.is_client_error(), "{}", answer.text);
        errors.push_str(&answer.text);
    }
    // People paste what they should not.
    let reason = json!({ "reason": format!("sent {BASE}{path} to her") });
    made(&router, reason).await;
    leads_to_the_page(&opens(&router, &path).await);
    world.lock().nodes = 0;
    errors.push_str(&press(&router, &path, "x").await.text);
    let log = log::captured();
    assert!(log.contains("/sub/open/{code}") && log.contains("status=303"), "{log}");
    let rows = format!("{:?}", world.audit().await);
    assert!(rows.contains("/sub/open/[redacted] to her"), "{rows}");
    for (place, text) in [("the log", &log), ("an error", &errors), ("the audit", &rows)] {
        assert!(!text.contains(&code), "{place}: {text}");
        assert!(!text.contains(&link_token("AB123456", 1)), "{place}: {text}");
    }
}
