//! Subscription links, as clients and browsers ask for them.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::json;

use super::{World, ask, bare, world::totals};

const PATH: &str = "/sub/ab123456.tok-en-ab123456-1";

fn world() -> std::sync::Arc<World> {
    let world = World::new();
    world.declare("AB123456", |spec| {
        spec.valid_until = Some("2027-01-01T00:00:00Z".parse().unwrap());
        spec.traffic = Some(serde_json::from_value(json!({ "limit": "100Gi" })).unwrap());
    });
    world
        .lock()
        .usage
        .insert("corp_ab123456".to_owned(), totals(3 << 30, 39 << 30));
    world
}

#[tokio::test]
async fn a_client_gets_the_links_in_base64_with_the_usage_that_it_shows() {
    let world = world();
    let router = world.router();
    let answer = bare("GET", PATH)
        .header("user-agent", "HiddifyNext/2.5")
        .of(&router)
        .await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let decoded = String::from_utf8(STANDARD.decode(&answer.text).unwrap()).unwrap();
    let links: Vec<&str> = decoded.lines().collect();
    assert_eq!(links.len(), 2);
    assert!(
        links
            .iter()
            .all(|link| link.starts_with("hysteria2://corp_ab123456:pass-word-ab123456-1@"))
    );
    let expected = format!(
        "upload={}; download={}; total={}; expire=1798761600",
        3_u64 << 30,
        39_u64 << 30,
        100_u64 << 30
    );
    assert_eq!(answer.header("subscription-userinfo"), expected);
    assert_eq!(answer.header("profile-update-interval"), "12");
    let title = answer.header("profile-title").strip_prefix("base64:").unwrap();
    assert_eq!(STANDARD.decode(title).unwrap(), b"Corporate VPN");
    assert_eq!(answer.header("cache-control"), "no-store");
    assert!(answer.header("content-type").starts_with("text/plain"));

    let plain = bare("GET", &format!("{PATH}?format=plain")).of(&router).await;
    assert_eq!(plain.text, decoded);
    bare("GET", &format!("{PATH}?format=clash"))
        .of(&router)
        .await
        .problem(422);
}

#[tokio::test]
async fn a_monthly_limit_shows_the_usage_of_the_month() {
    let world = world();
    world.declare("AB000001", |spec| {
        spec.traffic = Some(serde_json::from_value(json!({ "limit": "1k", "period": "Month" })).unwrap());
    });
    let mut used = totals(500, 600);
    used.usage.month = 70;
    used.usage.month_start = Some("2026-05-01T00:00:00Z".parse().unwrap());
    world.lock().usage.insert("corp_ab000001".to_owned(), used);
    let answer = bare("GET", "/sub/ab000001.tok-en-ab000001-1").of(&world.router()).await;
    assert_eq!(
        answer.header("subscription-userinfo"),
        "upload=0; download=70; total=1000; expire=0"
    );
}

#[tokio::test]
async fn a_browser_gets_a_page_that_needs_nothing_from_elsewhere() {
    let world = world();
    let html = "text/html,application/xhtml+xml,*/*;q=0.8";
    let answer = bare("GET", PATH).header("accept", html).of(&world.router()).await;
    assert_eq!(answer.status, 200);
    assert!(answer.header("content-type").starts_with("text/html"));
    assert_eq!(answer.header("referrer-policy"), "no-referrer");
    let policy = answer.header("content-security-policy");
    assert!(
        policy.starts_with("default-src 'none'") && !policy.contains("unsafe"),
        "{policy}"
    );
    let page = &answer.text;
    assert!(page.contains("AB123456") && page.contains("42 GiB of 100 GiB used") && page.contains("1 January 2027"));
    assert!(page.contains("<svg") && page.contains("hysteria2://corp_ab123456"));
    assert!(page.contains("https://vpn.example.com/sub/ab123456.tok-en-ab123456-1"));
    for elsewhere in ["src=", "@import", "url(", "<link"] {
        assert!(!page.contains(elsewhere), "{elsewhere}");
    }
    if let Ok(folder) = std::env::var("WRITE_PAGES") {
        std::fs::write(format!("{folder}/subscription.html"), page).unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_denied_person_reads_plain_words_and_gets_no_link() {
    let world = world();
    let router = world.router();
    ask("POST", "/user/AB123456/deactivate").of(&router).await;
    let client = bare("GET", PATH).of(&router).await;
    assert!(client.problem(403).contains("switched off"));
    let browser = bare("GET", PATH).header("accept", "text/html").of(&router).await;
    assert_eq!(browser.status, 403);
    assert!(browser.header("content-type").starts_with("text/html"));
    assert!(browser.text.contains("switched off"));
    for answer in [client, browser] {
        assert!(!answer.text.contains("hysteria2://") && !answer.text.contains("api-deactivated"));
    }
}

#[tokio::test]
async fn an_old_or_guessed_link_is_unknown_and_guessing_is_limited() {
    let world = world();
    let router = world.router();
    let what = json!({ "what": "subscription" });
    ask("POST", "/user/AB123456/rotate").json(&what).of(&router).await;
    let unknown = bare("GET", PATH).of(&router).await.problem(404);
    let guesses = [
        "/sub/ab123456.",
        "/sub/ab123456",
        "/sub/.tok-en-ab123456-2",
        "/sub/zz999999.tok-en-zz999999-1",
        "/sub/%2e%2e",
        "/sub/x",
        "/sub/ab123456.tok-en-ab123456-",
        "/sub/ab123456.tok-en-ab123456-22",
        "/sub/ab123456.Tok-en-ab123456-2",
    ];
    for guess in guesses {
        assert_eq!(bare("GET", guess).of(&router).await.problem(404), unknown, "{guess}");
    }
    bare("GET", PATH).of(&router).await.problem(429);
    let right = "/sub/ab123456.tok-en-ab123456-2";
    assert_eq!(
        bare("GET", right).of(&router).await.status,
        200,
        "a right link is never refused"
    );
    let page = bare("GET", PATH)
        .header("accept", "text/html")
        .from("192.0.2.9:1")
        .of(&router)
        .await;
    assert_eq!(page.status, 404);
    assert!(page.text.contains("replaced by a new one"));
}

#[tokio::test]
async fn the_page_escapes_what_people_typed() {
    let world = world();
    let router = world.router_with(vpn_operator::http::Settings {
        title: "<script>alert(1)</script>".to_owned(),
        ..vpn_operator::http::Settings::default()
    });
    let answer = bare("GET", PATH).header("accept", "text/html").of(&router).await;
    assert_eq!(answer.status, 200);
    assert!(!answer.text.contains("<script>alert"));
}
