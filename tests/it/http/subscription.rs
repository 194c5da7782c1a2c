//! Subscription links, as clients and browsers ask for them.

use std::sync::LazyLock;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::json;

use super::{
    World, ask, bare,
    world::{link_token, password, sub},
};

static PATH: LazyLock<String> = LazyLock::new(|| sub("AB123456", 1));

async fn world() -> std::sync::Arc<World> {
    let world = World::new();
    world.declare("AB123456", |spec| {
        spec.valid_until = Some("2027-01-01T00:00:00Z".parse().unwrap());
        spec.traffic = Some(serde_json::from_value(json!({ "limit": "100Gi" })).unwrap());
    });
    world.used("AB123456", 3 << 30, 39 << 30).await;
    world
}

#[tokio::test]
async fn a_client_gets_the_links_in_base64_with_the_usage_that_it_shows() {
    let world = world().await;
    let router = world.router();
    let answer = bare("GET", &PATH)
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
            .all(|link| link.starts_with(&format!("hysteria2://corp_ab123456:{}@", password("AB123456", 1))))
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

    let plain = bare("GET", &format!("{}?format=plain", *PATH)).of(&router).await;
    assert_eq!(plain.text, decoded);
    bare("GET", &format!("{}?format=surge", *PATH))
        .of(&router)
        .await
        .problem(422);
}

const HIDDIFY: &str = "HiddifyNext/4.1.2 (windows) like ClashMeta v2ray sing-box";
const MIHOMO: &str = "clash-verge/v2.4.2";
const SING_BOX: &str = "SFA/1.12.0 (580; sing-box 1.12.0; language ru_RU)";

#[tokio::test]
async fn a_known_client_gets_what_it_reads_and_a_name_in_the_address_wins() {
    let world = world().await;
    let router = world.router();
    let html = "text/html,application/xhtml+xml,*/*;q=0.8";
    let ask = async |path: &str, agent: &str| {
        let answer = bare("GET", path).header("user-agent", agent).header("accept", html);
        let answer = answer.of(&router).await;
        assert_eq!(answer.status, 200, "{path} {agent}: {}", answer.text);
        (answer.header("content-type").to_owned(), answer.text)
    };
    let sing_box = |(kind, text): (String, String)| {
        let profile: serde_json::Value = serde_json::from_str(&text).unwrap();
        kind == "application/json"
            && profile["outbounds"]
                .to_string()
                .contains(&format!("corp_ab123456:{}", password("AB123456", 1)))
    };
    let mihomo = |(kind, text): (String, String)| {
        let profile: serde_yaml::Value = serde_yaml::from_str(&text).unwrap();
        kind.starts_with("application/yaml")
            && profile["proxies"][0]["password"] == format!("corp_ab123456:{}", password("AB123456", 1))
    };
    assert!(sing_box(ask(&PATH, SING_BOX).await));
    assert!(mihomo(ask(&PATH, MIHOMO).await));
    assert!(STANDARD.decode(ask(&PATH, HIDDIFY).await.1).is_ok());
    assert!(
        ask(&PATH, "Mozilla/5.0 (X11; Linux x86_64)")
            .await
            .0
            .starts_with("text/html")
    );
    // Clients and people put a slash behind an address.
    assert!(sing_box(ask(&format!("{}/", *PATH), SING_BOX).await));
    for (format, is_it) in [("sing-box", 1), ("mihomo", 2), ("clash", 2)] {
        let answer = ask(&format!("{}?format={format}", *PATH), HIDDIFY).await;
        assert!(if is_it == 1 { sing_box(answer) } else { mihomo(answer) }, "{format}");
    }
    assert!(
        ask(&format!("{}?format=uri", *PATH), SING_BOX)
            .await
            .1
            .starts_with("hysteria2://")
    );
    let (_, official) = ask(&format!("{}?format=hysteria", *PATH), SING_BOX).await;
    let official: serde_yaml::Value = serde_yaml::from_str(&official).unwrap();
    assert_eq!(official["server"], "n0.example.com:443");
    let (_, other) = ask(&format!("{}?format=hysteria&node=node1", *PATH), SING_BOX).await;
    assert!(other.contains("n1.example.com:443"), "{other}");
    let missing = bare("GET", &format!("{}?node=node9", *PATH)).of(&router).await;
    assert!(missing.problem(404).contains("no node of this name"));
    assert!(
        ask(&format!("{}?format=html", *PATH), SING_BOX)
            .await
            .0
            .starts_with("text/html")
    );
}

#[tokio::test]
async fn clients_find_all_that_they_show_in_the_headers() {
    let world = world().await;
    let router = world.router_with(vpn_operator::http::Settings {
        title: "VPN «Орион»".to_owned(),
        announce: Some("Завтра работы".to_owned()),
        support_url: Some("https://help.example.com/".to_owned()),
        ..vpn_operator::http::Settings::default()
    });
    let answer = bare("GET", &PATH).header("user-agent", SING_BOX).of(&router).await;
    let decoded = |name: &str| {
        let text = answer.header(name).strip_prefix("base64:").unwrap();
        String::from_utf8(STANDARD.decode(text).unwrap()).unwrap()
    };
    assert_eq!(decoded("profile-title"), "VPN «Орион»");
    assert_eq!(decoded("announce"), "Завтра работы");
    assert_eq!(answer.header("support-url"), "https://help.example.com/");
    assert_eq!(
        answer.header("profile-web-page-url"),
        format!("https://vpn.example.com{}", *PATH)
    );
    let name = answer.header("content-disposition");
    assert!(
        name.starts_with("attachment; filename=\"VPN _____") && name.ends_with("%2Ejson"),
        "{name}"
    );
    let bare_world = bare("GET", &PATH).of(&world.router()).await;
    assert_eq!(
        (bare_world.header("announce"), bare_world.header("support-url")),
        ("", "")
    );
}

#[tokio::test]
async fn an_end_that_does_not_come_is_left_out_but_for_clients_that_want_all_four() {
    let world = world().await;
    world.declare("AB000001", |_| {});
    let path = &sub("AB000001", 1);
    for (agent, expected) in [
        ("Happ/1.63.1", "upload=0; download=0; total=0"),
        (HIDDIFY, "upload=0; download=0; total=0; expire=0"),
    ] {
        let answer = bare("GET", path).header("user-agent", agent).of(&world.router()).await;
        assert_eq!(answer.header("subscription-userinfo"), expected, "{agent}");
    }
}

#[tokio::test]
async fn what_a_client_has_already_is_not_sent_again() {
    let world = world().await;
    let router = world.router();
    for format in ["uri", "base64", "hysteria", "sing-box", "mihomo"] {
        let path = format!("{}?format={format}", *PATH);
        let first = bare("GET", &path).of(&router).await;
        let tag = first.header("etag").to_owned();
        assert!(tag.len() > 30 && !first.text.is_empty(), "{format}: {tag}");
        let again = bare("GET", &path)
            .header("if-none-match", &format!("\"x\", W/{tag}"))
            .of(&router)
            .await;
        assert_eq!(
            (again.status.as_u16(), again.text.as_str(), again.header("etag")),
            (304, "", tag.as_str()),
            "{format}"
        );
        assert!(again.header("subscription-userinfo").starts_with("upload="));
        let head = bare("HEAD", &path).of(&router).await;
        assert_eq!(
            (head.status.as_u16(), head.text.as_str(), head.header("etag")),
            (200, "", tag.as_str()),
            "{format}"
        );
        assert_eq!(head.header("content-length"), first.text.len().to_string(), "{format}");
        world.lock().nodes += 1;
        let other = bare("GET", &path).header("if-none-match", &tag).of(&router).await;
        // The official client knows one server only, and that is the same.
        assert_eq!(other.status, if format == "hysteria" { 304 } else { 200 }, "{format}");
    }
    let page = bare("GET", &format!("{}?format=html", *PATH)).of(&router).await;
    assert_eq!(page.header("etag"), "");
}

#[tokio::test]
async fn a_node_that_has_not_answered_for_minutes_is_the_last_and_never_gone() {
    let world = world().await;
    world.lock().silent = true;
    let router = world.router();
    let names = async || {
        let answer = bare("GET", &format!("{}?format=uri", *PATH)).of(&router).await;
        let name = |link: &str| link.rsplit_once('#').unwrap().1.to_owned();
        answer.text.lines().map(name).collect::<Vec<_>>()
    };
    assert_eq!(names().await, ["node1", "node0"]);
    world.lock().nodes = 1;
    assert_eq!(names().await, ["node0"]);
}

#[tokio::test(start_paused = true)]
async fn the_client_of_somebody_who_is_denied_loses_its_servers_and_says_why() {
    let world = world().await;
    let router = world.router();
    ask("POST", "/user/AB123456/deactivate").of(&router).await;
    for agent in [HIDDIFY, MIHOMO, SING_BOX] {
        let answer = bare("GET", &PATH).header("user-agent", agent).of(&router).await;
        assert_eq!(answer.status, 200, "{agent}");
        let title = answer.header("profile-title").strip_prefix("base64:").unwrap();
        let title = String::from_utf8(STANDARD.decode(title).unwrap()).unwrap();
        assert!(title.contains("switched off"), "{title}");
        let text = STANDARD
            .decode(&answer.text)
            .map_or(answer.text.clone(), |text| String::from_utf8(text).unwrap());
        for secret in ["hysteria2", &password("AB123456", 1), "example.com", "api-deactivated"] {
            assert!(!text.contains(secret), "{agent}: {secret}");
        }
    }
    let answer = bare("GET", &format!("{}?format=sing-box", *PATH)).of(&router).await;
    assert!(
        answer.problem(403).contains("switched off"),
        "a tool understands a refusal"
    );
}

#[tokio::test]
async fn a_monthly_limit_shows_the_usage_of_the_month() {
    let world = world().await;
    world.declare("AB000001", |spec| {
        spec.traffic = Some(serde_json::from_value(json!({ "limit": "1k", "period": "Month" })).unwrap());
    });
    world.moved("AB000001", (500, 530), true).await;
    world.used("AB000001", 0, 70).await;
    let answer = bare("GET", &sub("AB000001", 1)).of(&world.router()).await;
    assert_eq!(
        answer.header("subscription-userinfo"),
        "upload=0; download=70; total=1000"
    );
}

#[tokio::test]
async fn a_browser_gets_a_page_that_needs_nothing_from_elsewhere() {
    let world = world().await;
    let html = "text/html,application/xhtml+xml,*/*;q=0.8";
    let answer = bare("GET", &PATH).header("accept", html).of(&world.router()).await;
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
    assert!(page.contains(&format!("https://vpn.example.com{}", *PATH)));
    for elsewhere in ["src=", "@import", "url(", "<link"] {
        assert!(!page.contains(elsewhere), "{elsewhere}");
    }
    if let Ok(folder) = std::env::var("WRITE_PAGES") {
        std::fs::write(format!("{folder}/subscription.html"), page).unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_denied_person_reads_plain_words_and_gets_no_link() {
    let world = world().await;
    let router = world.router();
    ask("POST", "/user/AB123456/deactivate").of(&router).await;
    let client = bare("GET", &PATH).of(&router).await;
    assert!(client.problem(403).contains("switched off"));
    let browser = bare("GET", &PATH).header("accept", "text/html").of(&router).await;
    assert_eq!(browser.status, 403);
    assert!(browser.header("content-type").starts_with("text/html"));
    assert!(browser.text.contains("switched off"));
    for answer in [client, browser] {
        assert!(!answer.text.contains("hysteria2://") && !answer.text.contains("api-deactivated"));
    }
}

#[tokio::test]
async fn an_old_or_guessed_link_is_unknown_and_guessing_is_limited() {
    let world = world().await;
    let router = world.router();
    let what = json!({ "what": "subscription" });
    ask("POST", "/user/AB123456/rotate").json(&what).of(&router).await;
    let unknown = bare("GET", &PATH).of(&router).await.problem(404);
    let (right, secret) = (sub("AB123456", 2), link_token("AB123456", 2));
    let guesses = [
        "/sub/ab123456.".to_owned(),
        "/sub/ab123456".to_owned(),
        format!("/sub/.{secret}"),
        sub("ZZ999999", 1),
        "/sub/%2e%2e".to_owned(),
        "/sub/x".to_owned(),
        right[..right.len() - 1].to_owned(),
        format!("{right}2"),
        format!("/sub/ab123456.{}", secret.to_uppercase()),
    ];
    for guess in &guesses {
        assert_eq!(bare("GET", guess).of(&router).await.problem(404), unknown, "{guess}");
    }
    bare("GET", &PATH).of(&router).await.problem(429);
    assert_eq!(
        bare("GET", &right).of(&router).await.status,
        200,
        "a right link is never refused"
    );
    let page = bare("GET", &PATH)
        .header("accept", "text/html")
        .from("192.0.2.9:1")
        .of(&router)
        .await;
    assert_eq!(page.status, 404);
    assert!(page.text.contains("replaced by a new one"));
}

#[tokio::test]
async fn the_page_escapes_what_people_typed() {
    let world = world().await;
    let router = world.router_with(vpn_operator::http::Settings {
        title: "<script>alert(1)</script>".to_owned(),
        ..vpn_operator::http::Settings::default()
    });
    let answer = bare("GET", &PATH).header("accept", "text/html").of(&router).await;
    assert_eq!(answer.status, 200);
    assert!(!answer.text.contains("<script>alert"));
}
