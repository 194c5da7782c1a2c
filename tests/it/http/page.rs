//! The page of a subscription, as browsers of people see it.

use std::{io::Read as _, sync::LazyLock};

use axum::{
    Router,
    body::{Body, to_bytes},
    http::Request,
};
use serde_json::json;
use tower::ServiceExt as _;
use vpn_operator::http::Settings;

use super::{
    Answer, World, bare,
    world::{password, sub},
};

pub static PATH: LazyLock<String> = LazyLock::new(|| sub("AB123456", 1));
static URL: LazyLock<String> = LazyLock::new(|| format!("https://vpn.example.com{}", *PATH));

fn world() -> std::sync::Arc<World> {
    let world = World::new();
    world.declare("AB123456", |_| {});
    world
}

pub async fn seen(router: &Router, path: &str, language: &str) -> Answer {
    let browser = bare("GET", path).header("accept", "text/html");
    browser.header("accept-language", language).of(router).await
}

/// Keeps a page in the folder `WRITE_PAGES`, for whoever wants to look at it.
pub fn keep(name: &str, page: &str) {
    if let Ok(folder) = std::env::var("WRITE_PAGES") {
        std::fs::write(format!("{folder}/{name}.html"), page).unwrap();
    }
}

/// What a camera reads off each QR code of a page.
pub fn read_codes(page: &str) -> Vec<String> {
    const SCALE: usize = 6;
    let codes = page.split("<svg class=\"qr\"").skip(1).map(|svg| {
        let attribute = |name: &str| {
            let (_, rest) = svg.split_once(&format!(" {name}=\"")).unwrap();
            rest.split_once('"').unwrap().0
        };
        let width: usize = attribute("viewBox").rsplit_once(' ').unwrap().1.parse().unwrap();
        let mut dark = vec![false; width * width];
        for run in attribute("d").split('M').skip(1) {
            let (at, rest) = run.split_once('h').unwrap();
            let (x, y) = at.split_once(' ').unwrap();
            let (x, y): (usize, usize) = (x.parse().unwrap(), y.parse().unwrap());
            let length: usize = rest.split_once('v').unwrap().0.parse().unwrap();
            dark[y * width + x..][..length].fill(true);
        }
        let side = width * SCALE;
        let shade = |x: usize, y: usize| if dark[y / SCALE * width + x / SCALE] { 0 } else { 255 };
        let mut image = rqrr::PreparedImage::prepare_from_greyscale(side, side, shade);
        let grids = image.detect_grids();
        assert_eq!(grids.len(), 1);
        grids[0].decode().unwrap().1
    });
    codes.collect()
}

#[tokio::test]
async fn the_page_speaks_the_language_of_the_browser_and_has_a_switch() {
    let router = world().router();
    let english = seen(&router, &PATH, "en-US,en;q=0.9").await;
    let russian = seen(&router, &PATH, "ru-RU,ru;q=0.9,en;q=0.5").await;
    for (answer, code, words) in [
        (&english, "en", ["Connect", "Import", "no end date", "Single links"]),
        (
            &russian,
            "ru",
            ["Подключение", "Импорт", "бессрочно", "Отдельные ссылки"],
        ),
    ] {
        assert_eq!((answer.status.as_u16(), answer.header("content-language")), (200, code));
        assert!(answer.text.contains(&format!("<html lang=\"{code}\">")));
        keep(code, &answer.text);
        for word in words {
            assert!(answer.text.contains(word), "{word}");
        }
        for missing in [">page-", "\"page-"] {
            assert!(!answer.text.contains(missing), "a text is missing");
        }
        for other in ["en", "ru"] {
            assert!(answer.text.contains(&format!("href=\"?format=html&amp;lang={other}\"")));
        }
    }
    let switched = seen(&router, &format!("{}?format=html&lang=en", *PATH), "ru").await;
    assert_eq!(switched.header("content-language"), "en");
}

#[tokio::test]
async fn the_apps_of_the_visitors_platform_are_first_and_open() {
    let router = world().router();
    for (agent, first, import) in [
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X)",
            "iPhone, iPad",
            "happ://add/https://vpn.example.com/sub/",
        ),
        (
            "Mozilla/5.0 (Linux; Android 15; Pixel 9)",
            "Android",
            "v2rayng://install-sub?url=https%3A%2F%2Fvpn",
        ),
        (
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64)",
            "Windows",
            "clash://install-config?name=",
        ),
    ] {
        let browser = bare("GET", &PATH).header("accept", "text/html");
        let page = browser.header("user-agent", agent).of(&router).await.text;
        keep(&first[..7], &page);
        let (_, after) = page.split_once("<details class=\"platform\"").unwrap();
        let (mine, others) = after.split_once("</details>").unwrap();
        assert!(
            mine.starts_with(" open>") && mine.contains(first) && mine.contains(import),
            "{agent}: {mine}"
        );
        assert!(!others.contains(" open>"), "{agent}");
        assert_eq!(page.matches("<details class=\"platform\"").count(), 5);
    }
    let unknown = bare("GET", &PATH).header("accept", "text/html").of(&router).await.text;
    assert!(!unknown.contains(" open>"));
}

#[tokio::test]
async fn a_camera_reads_the_subscription_and_then_each_link() {
    let (_, page) = packed(&world().router(), "en").await;
    let codes = read_codes(&page.text);
    assert_eq!(codes.len(), 3);
    assert_eq!(codes[0], *URL);
    for (code, node) in codes[1..].iter().zip(["n0", "n1"]) {
        assert!(
            code.starts_with(&format!("hysteria2://corp_ab123456:{}@", password("AB123456", 1))),
            "{code}"
        );
        assert!(code.contains(&format!("@{node}.example.com:443")), "{code}");
    }
}

#[tokio::test]
async fn everything_is_there_without_a_script_and_nothing_comes_from_elsewhere() {
    let answer = seen(&world().router(), &PATH, "ru").await;
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_eq!(answer.header("referrer-policy"), "no-referrer");
    let policy = answer.header("content-security-policy");
    let nonce = policy
        .split_once("script-src 'nonce-")
        .unwrap()
        .1
        .split_once('\'')
        .unwrap()
        .0;
    assert!(
        policy.starts_with("default-src 'none'") && !policy.contains("unsafe"),
        "{policy}"
    );
    let page = &answer.text;
    assert_eq!(page.matches("<style").count(), 1);
    assert_eq!(page.matches(nonce).count(), 2, "one style and one script may run");
    assert!(!page.contains(" style=") && !page.contains(" onclick="));
    // What needs the script is shown by the script.
    assert_eq!(page.matches("<button").count(), page.matches(" hidden>").count());
    let (without, _) = page.split_once("<script").unwrap();
    assert!(
        without.contains(&*URL)
            && without.contains("hysteria2://corp_ab123456")
            && without.contains("hiddify://import/")
    );
}

/// The page as a browser gets it that takes gzip, and how many bytes were sent.
pub async fn packed(router: &Router, language: &str) -> (usize, Answer) {
    let request = Request::get(PATH.as_str())
        .header("accept", "text/html")
        .header("accept-language", language)
        .header("accept-encoding", "gzip, deflate, br");
    let response = router
        .clone()
        .oneshot(request.body(Body::empty()).unwrap())
        .await
        .unwrap();
    assert_eq!(response.headers()["content-encoding"], "gzip");
    let (parts, body) = response.into_parts();
    let packed = to_bytes(body, 1 << 20).await.unwrap();
    let mut text = String::new();
    flate2::read::GzDecoder::new(&packed[..])
        .read_to_string(&mut text)
        .unwrap();
    let (status, headers) = (parts.status, parts.headers);
    (packed.len(), Answer { status, headers, text })
}

#[tokio::test]
async fn a_page_of_many_servers_is_sent_in_40_kilobytes_with_and_without_compression() {
    let world = world();
    for nodes in [1, 2, 12] {
        world.lock().nodes = nodes;
        let router = world.router();
        let plain = seen(&router, &PATH, "ru").await;
        assert_eq!(plain.header("content-encoding"), "");
        assert!(plain.text.len() <= 40_000, "{nodes} nodes: {} bytes", plain.text.len());
        let (sent, packed) = packed(&router, "ru").await;
        assert!(sent <= 40_000, "{nodes} nodes: {sent} bytes packed");
        let page = packed.text;
        assert!(page.ends_with("</html>"));
        assert_eq!(page.matches("<div class=\"single\">").count(), nodes);
        assert_eq!(plain.text.matches("<div class=\"single\">").count(), nodes);
    }
}

#[tokio::test(start_paused = true)]
async fn each_denial_says_in_both_languages_what_it_is_and_whom_to_ask() {
    let world = world();
    world.declare("AB000001", |spec| {
        spec.valid_until = Some("2001-01-01T00:00:00Z".parse().unwrap());
    });
    world.declare("AB000002", |spec| {
        spec.valid_from = Some("2999-01-01T00:00:00Z".parse().unwrap());
    });
    let settings = |contact: Option<&str>| Settings {
        support_contact: contact.map(str::to_owned),
        ..Settings::default()
    };
    let router = world.router_with(settings(Some("<b>@vpn_help</b>")));
    world.edit("AB123456", |spec| spec.active = false);
    let cases = [
        (PATH.clone(), 403, "switched off", "доступ выключен"),
        (sub("AB000001", 1), 403, "has expired", "Срок вашего доступа истёк"),
        (sub("AB000002", 1), 403, "not begun yet", "ещё не начался"),
        (
            "/sub/ab000002.nobody".to_owned(),
            404,
            "replaced by a new one",
            "заменили новой",
        ),
    ];
    for (path, status, english, russian) in cases {
        for (language, words, whom) in [("en", english, "Ask "), ("ru", russian, "Обратитесь: ")] {
            let answer = seen(&router, &path, language).await;
            assert_eq!(answer.status, status, "{path}");
            keep(&format!("denied-{status}-{language}"), &answer.text);
            assert!(answer.text.contains(words), "{path}: {}", answer.text);
            assert!(
                answer.text.contains(whom) && answer.text.contains("@vpn_help"),
                "{path}"
            );
            for never in ["<b>@", "hysteria2://", "api-deactivated", ">page-"] {
                assert!(!answer.text.contains(never), "{path}: {never}");
            }
        }
    }
    let nobody = seen(&world.router_with(settings(None)), &PATH, "ru").await;
    assert!(nobody.text.contains("кто дал вам эту ссылку"));
}

#[tokio::test(start_paused = true)]
async fn too_many_tries_and_no_server_have_pages_of_their_own() {
    let world = world();
    let router = world.router();
    world.lock().nodes = 0;
    let none = seen(&router, &PATH, "ru").await;
    assert_eq!(none.status, 503, "{}", none.text);
    assert!(none.text.contains("нет ни одного сервера"), "{}", none.text);

    let mut last = None;
    for guess in 0..20 {
        last = Some(seen(&router, &format!("/sub/x{guess}"), "ru").await);
    }
    let last = last.unwrap();
    assert_eq!(last.status, 429);
    let seconds: u64 = last.header("retry-after").parse().unwrap();
    let minutes = format!("через {} минут", seconds.div_ceil(60));
    assert!(seconds > 0 && last.text.contains(&minutes), "{}", last.text);
}

#[tokio::test]
async fn names_that_people_typed_are_no_markup() {
    let world = world();
    let evil = "\"><script>alert(1)</script>";
    let router = world.router_with(Settings {
        title: evil.to_owned(),
        support_contact: Some(evil.to_owned()),
        ..Settings::default()
    });
    for path in [PATH.as_str(), "/sub/nobody"] {
        let answer = seen(&router, &format!("{path}?lang=%22%3E%3Cscript%3Ealert(1)"), "en").await;
        assert!(
            !answer.text.contains("<script>") && !answer.text.contains("\">alert"),
            "{path}"
        );
    }
    let quota = json!({ "limit": "1Ki" });
    world.declare("AB000003", |spec| {
        spec.traffic = Some(serde_json::from_value(quota).unwrap());
    });
    assert!(seen(&router, &sub("AB000003", 1), "ru").await.text.contains("из 1 КиБ"));
}
