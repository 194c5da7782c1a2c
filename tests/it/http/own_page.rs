//! What a person sees of their own access on the page, and what a company makes of it.

use jiff::{Timestamp, ToSpan as _};
use serde_json::json;
use vpn_operator::{
    history::{HistoryError, TrafficRow},
    http::{Logo, Settings},
};

use super::{
    World, bare,
    page::{PATH, keep, packed, read_codes, seen},
    world::{id, sub},
};

fn world() -> std::sync::Arc<World> {
    let world = World::new();
    world.declare("AB123456", |_| {});
    world
}

fn row(start: &str, upload: u64, download: u64) -> TrafficRow {
    let start = start.parse().unwrap();
    TrafficRow {
        start,
        upload,
        download,
    }
}

#[tokio::test]
async fn thirty_days_of_traffic_are_a_picture_and_a_table_in_which_every_day_stands() {
    let world = world();
    // It is May 1 at noon.
    let days = [
        row("2026-04-02T00:00:00Z", 3 << 20, 0),
        row("2026-04-20T00:00:00Z", 0, 5 << 30),
        row("2026-05-01T00:00:00Z", 1 << 30, 1 << 30),
    ];
    world.used_by_day("AB123456", days).await;
    let router = world.router();
    for (language, words, days) in [
        (
            "en",
            "7 GiB in all, at most 5 GiB in a day",
            [("1 May", "2 GiB"), ("20 April", "5 GiB"), ("19 April", "0 B")],
        ),
        (
            "ru",
            "Всего 7 ГиБ, не больше 5 ГиБ в день",
            [("1 мая", "2 ГиБ"), ("20 апреля", "5 ГиБ"), ("19 апреля", "0 Б")],
        ),
    ] {
        let page = seen(&router, &PATH, language).await.text;
        keep(&format!("traffic-{language}"), &page);
        let (_, chart) = page.split_once("<svg class=\"chart\"").unwrap();
        let (chart, after) = chart.split_once("</svg>").unwrap();
        assert!(chart.contains("role=\"img\" aria-labelledby=\"chart-title chart-text\""));
        assert!(
            chart.contains("<title id=\"chart-title\">") && chart.contains(&format!("<desc id=\"chart-text\">{words}"))
        );
        assert_eq!(
            (chart.matches("<rect").count(), chart.matches("class=\"none\"").count()),
            (30, 27)
        );
        assert!(chart.contains("y=\"0\" width=\"8\" height=\"60\""), "{chart}");
        let (table, _) = after.split_once("</table>").unwrap();
        assert_eq!(table.matches("<tr><th scope=\"row\">").count(), 30);
        for (day, amount) in days {
            assert!(
                table.contains(&format!("<th scope=\"row\">{day}</th><td>{amount}</td>")),
                "{day}: {table}"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn while_history_does_not_answer_the_page_does_without_the_picture() {
    let world = world();
    world.used("AB123456", 1, 2).await;
    let router = world.router();
    assert!(seen(&router, &PATH, "en").await.text.contains("class=\"chart\""));
    world.lock().traffic_stuck = true;
    let stuck = seen(&router, &PATH, "en").await;
    world.lock().traffic_stuck = false;
    world.lock().history_error = Some(HistoryError::Unavailable("no disk".to_owned()));
    let broken = seen(&router, &PATH, "en").await;
    for answer in [stuck, broken] {
        assert_eq!(answer.status, 200, "{}", answer.text);
        assert!(answer.text.contains("hysteria2://") && !answer.text.contains("class=\"chart\""));
    }
}

#[tokio::test]
async fn the_limit_its_end_and_the_devices_online_are_said() {
    let world = world();
    world.edit("AB123456", |spec| {
        spec.traffic = Some(serde_json::from_value(json!({ "limit": "100Gi", "period": "Month" })).unwrap());
        spec.max_devices = Some(5);
    });
    let router = world.router();
    world.used("AB123456", 0, 42 << 30).await;
    let page = seen(&router, &PATH, "en").await.text;
    for words in [
        "42 GiB of 100 GiB used",
        "role=\"meter\" aria-label=\"Traffic used\" aria-valuemin=\"0\" aria-valuemax=\"100\" aria-valuenow=\"42\"",
        "<rect width=\"42\" height=\"1\"/>",
        "Traffic is counted anew on 1 June 2026, 00:00 UTC.",
        "Devices online now: 3 of 5",
    ] {
        assert!(page.contains(words), "{words}");
    }
    assert!(!page.contains("Over the limit"));
    // Only while the guard holds the end of access back does somebody see this.
    world.used("AB123456", 0, 68 << 30).await;
    world.lock().guarded.push(id("AB123456"));
    let page = seen(&router, &PATH, "ru").await.text;
    assert!(page.contains("Предел превышен: израсходовано 110 % от него."), "{page}");
    assert!(page.contains("aria-valuenow=\"100\"") && page.contains("Устройств в сети сейчас: 3 из 5"));

    world.edit("AB123456", |spec| (spec.traffic, spec.max_devices) = (None, None));
    let page = seen(&router, &PATH, "en").await.text;
    assert!(page.contains("<p class=\"soft\">Devices online now: 3</p>"));
    for without in ["role=\"meter\"", "counted anew"] {
        assert!(!page.contains(without), "{without}");
    }
    // What no node has said is not told.
    world.lock().unheard = true;
    assert!(!seen(&router, &PATH, "en").await.text.contains("Devices online"));
}

#[tokio::test]
async fn days_left_are_told_and_single_links_wait_behind_their_fold() {
    let world = world();
    world.edit("AB123456", |spec| {
        spec.valid_until = Some("2026-05-31T12:00:00Z".parse().unwrap());
    });
    let router = world.router();
    for (language, until, left, fold) in [
        ("en", "until 31 May 2026, 12:00 UTC", "30 days left", "Single links"),
        (
            "ru",
            "до 31 мая 2026, 12:00 UTC",
            "осталось 30 дней",
            "Отдельные ссылки",
        ),
    ] {
        let page = seen(&router, &PATH, language).await.text;
        assert!(page.contains(until) && page.contains(left), "{language}");
        let (before, after) = page
            .split_once(&format!("<details>\n<summary>{fold}</summary>"))
            .unwrap();
        let (inside, _) = after.split_once("</details>").unwrap();
        assert!(!before.contains("hysteria2://"), "{language}");
        assert_eq!(inside.matches(">hysteria2://").count(), 2, "{language}");
    }
    let now: Timestamp = "2026-05-31T11:00:00Z".parse().unwrap();
    world.clock.step_wall(now);
    assert!(seen(&router, &PATH, "ru").await.text.contains("осталось меньше дня"));
    world.clock.step_wall(now - 24.hours());
    assert!(seen(&router, &PATH, "ru").await.text.contains("остался 1 день"));
}

#[tokio::test]
async fn single_links_and_their_codes_are_those_that_every_app_reads() {
    let world = world();
    world.lock().ports = Some("443,20000-50000".to_owned());
    let router = world.router();
    let links = bare("GET", &format!("{}?format=uri", *PATH)).of(&router).await.text;
    let links: Vec<&str> = links.lines().collect();
    assert!(
        links[0].contains("@n0.example.com:443/?") && links[0].contains("mport=20000-50000"),
        "{}",
        links[0]
    );
    let (_, answer) = packed(&router, "en").await;
    assert_eq!(read_codes(&answer.text)[1..], links);
    for link in links {
        assert!(
            answer.text.contains(&format!(">{}</p>", link.replace('&', "&#38;"))),
            "{link}"
        );
    }
    assert!(answer.text.contains("<h3>node0</h3>"));
}

/// Bytes that no compression makes fewer.
fn noise(begin: &[u8], length: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        state.to_be_bytes()[0]
    };
    let mut bytes: Vec<u8> = std::iter::repeat_with(next).take(length).collect();
    bytes[..begin.len()].copy_from_slice(begin);
    bytes
}

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";

#[tokio::test]
async fn a_company_has_its_name_its_logo_and_its_colour_on_the_page() {
    let world = world();
    let svg = "<svg xmlns=\"http://www.w3.org/2000/svg\"><script>alert(1)</script></svg>";
    let router = world.router_with(Settings {
        title: "ACME".to_owned(),
        logo: Some(Logo::read(svg.as_bytes()).unwrap()),
        color: Some("#ffde00".parse().unwrap()),
        ..Settings::default()
    });
    let (_, page) = packed(&router, "en").await;
    keep("company", &page.text);
    assert!(
        page.text
            .contains("<img class=\"logo\" src=\"data:image/svg+xml;base64,PHN2Zy")
    );
    assert!(page.text.contains("<h1>ACME</h1>") && page.text.contains("<title>ACME</title>"));
    assert!(page.text.contains("--brand: #ffde00; --on-brand: #000000;"));
    assert!(!page.text.contains("alert"));
    let policy = page.header("content-security-policy");
    assert!(
        policy.contains("img-src data:;") && policy.contains("default-src 'none'"),
        "{policy}"
    );
    // A browser that takes no gzip would be sent too much.
    let plain = seen(&router, &PATH, "en").await;
    assert!(!plain.text.contains("<img") && !plain.header("content-security-policy").contains("img-src"));
    let without = world.router();
    assert!(!packed(&without, "en").await.1.text.contains("<img"));
}

#[tokio::test]
async fn with_the_largest_logo_and_many_servers_the_page_is_sent_in_40_kilobytes() {
    let world = world();
    world.edit("AB123456", |spec| {
        spec.valid_until = Some("2027-01-01T00:00:00Z".parse().unwrap());
        spec.traffic = Some(serde_json::from_value(json!({ "limit": "100Gi", "period": "Month" })).unwrap());
    });
    let days = (0..30_i64).rev().map(|day| TrafficRow {
        start: world.clock_now() - (day * 24).hours(),
        upload: 987_654_321 * u64::try_from(day * day).unwrap(),
        download: 1 << day,
    });
    world.used_by_day("AB123456", days.collect::<Vec<_>>()).await;
    world.lock().ports = Some("443,20000-50000".to_owned());
    let settings = Settings {
        title: "Акционерное общество «Пример», отдел связи и сетей, Москва".to_owned(),
        logo: Some(Logo::read(&noise(PNG, 16 * 1024)).unwrap()),
        color: Some("#00695c".parse().unwrap()),
        self_service: vpn_operator::config::SelfService::ALL.to_vec(),
        support_contact: Some("служба поддержки, комната 214".to_owned()),
        support_url: Some("https://help.example.com/vpn".to_owned()),
        ..Settings::default()
    };
    for nodes in [1, 3, 12, 40] {
        world.lock().nodes = nodes;
        let router = world.router_with(settings.clone());
        let (sent, page) = packed(&router, "ru").await;
        keep(&format!("worst-{nodes}"), &page.text);
        assert!(
            sent <= 40_000,
            "{nodes} nodes: {sent} bytes packed of {}",
            page.text.len()
        );
        assert_eq!(page.text.matches("<div class=\"single\">").count(), nodes);
        assert!(
            read_codes(&page.text).len() >= nodes.min(3),
            "the first have their codes"
        );
        if nodes <= 12 {
            let plain = seen(&router, &PATH, "ru").await.text;
            assert!(plain.len() <= 40_000, "{nodes} nodes: {} bytes", plain.len());
        }
    }
}

#[tokio::test]
async fn words_and_address_of_the_support_are_one_link() {
    let world = world();
    world.declare("AB000001", |spec| spec.active = false);
    for (contact, url, expected) in [
        (Some("room 214"), None, "room 214"),
        (
            Some("@vpn_help"),
            Some("https://help.example.com/?a=1&b=2"),
            "<a href=\"https://help.example.com/?a=1&amp;b=2\" rel=\"noreferrer\">@vpn_help</a>",
        ),
        (
            None,
            Some("mailto:help@example.com"),
            "<a href=\"mailto:help@example.com\" rel=\"noreferrer\">help@example.com</a>",
        ),
        (
            Some("<b>\"us\"</b>"),
            Some("tg:x\"><script>"),
            "<a href=\"tg:x&quot;&gt;&lt;script&gt;\" rel=\"noreferrer\">&lt;b&gt;&quot;us&quot;&lt;/b&gt;</a>",
        ),
    ] {
        let router = world.router_with(Settings {
            support_contact: contact.map(str::to_owned),
            support_url: url.map(str::to_owned),
            ..Settings::default()
        });
        let page = seen(&router, &PATH, "en").await.text;
        assert!(
            page.contains(&format!("<p class=\"soft\">Questions: {expected}</p>")),
            "{page}"
        );
        let denied = seen(&router, &sub("AB000001", 1), "en").await.text;
        assert!(
            denied.contains(&format!("<p class=\"soft\">Ask {expected}.</p>")),
            "{denied}"
        );
    }
}
