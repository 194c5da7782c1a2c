//! The Telegram bot with a double of Telegram: as people and admins use it, in one process and split.

mod attacks;
mod desk;
mod kills;
mod trouble;

use std::{io::Cursor, sync::Arc};

use serde_json::json;

use super::operator::{House, Operator, user};
use crate::support::{
    hysteria_node::HysteriaNode,
    telegram::{Said, TOKEN, TelegramDouble},
};

const PERSON: &str = "AB123456";
const ANNA: i64 = 42;
const ADMIN: i64 = 7;
const DESK: i64 = 8;
pub const API_TOKEN: &str = "the-token-of-the-bot-at-the-operator";

/// Settings of a bot.
pub fn with_bot(house: &mut House, telegram: &TelegramDouble) {
    for (name, value) in [
        ("TELEGRAM_BOT_TOKEN", TOKEN),
        ("TELEGRAM_API_URL", &telegram.url()),
        ("ADMIN_TELEGRAM_IDS", &ADMIN.to_string()),
        ("HELPDESK_TELEGRAM_IDS", &DESK.to_string()),
        ("SUPPORT_CONTACT", "@vpn_help"),
    ] {
        house.set(name, value);
    }
}

pub async fn house() -> (House, TelegramDouble) {
    let (house, telegram, _node) = house_and_node().await;
    (house, telegram)
}

async fn house_and_node() -> (House, TelegramDouble, Arc<HysteriaNode>) {
    let (mut house, [node]) = House::with_nodes().await;
    let telegram = TelegramDouble::start().await;
    with_bot(&mut house, &telegram);
    house.write("anna.yaml", &user(PERSON, "  owner: Anna <b>Example</b>\n"));
    (house, telegram, node)
}

/// The code that the help desk is told.
async fn code(telegram: &TelegramDouble, desk: i64) -> String {
    let said = telegram.asks(desk, "en", &format!("/code {PERSON}")).await;
    assert!(said.secret, "{said:?}");
    let code = said.text.split("<code>").nth(1).and_then(|rest| rest.split('<').next());
    code.unwrap_or_else(|| panic!("{said:?}")).to_owned()
}

async fn link(telegram: &TelegramDouble, account: i64, language: &str, desk: i64) {
    telegram.asks(account, language, "/start").await;
    telegram.asks(account, language, &PERSON.to_lowercase()).await;
    let code = code(telegram, desk).await;
    let said = telegram.asks(account, language, &code).await;
    assert!(said.text.contains(PERSON) && said.text.contains('✅'), "{said:?}");
}

fn yes(said: &Said) -> String {
    said.buttons[0].1.clone()
}
fn no(said: &Said) -> String {
    said.buttons[1].1.clone()
}

/// What the QR code in a picture says.
fn decoded(png: &[u8]) -> String {
    let mut decoder = png::Decoder::new(Cursor::new(png));
    decoder.set_transformations(png::Transformations::EXPAND);
    let mut reader = decoder.read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let frame = reader.next_frame(&mut pixels).unwrap();
    let (width, height) = (frame.width as usize, frame.height as usize);
    let step = frame.line_size / width;
    let mut picture =
        rqrr::PreparedImage::prepare_from_greyscale(width, height, |x, y| pixels[y * frame.line_size + x * step]);
    let [code] = &picture.detect_grids()[..] else {
        panic!("one code is in the picture")
    };
    code.decode().unwrap().1
}

/// A whole day of one person.
async fn day(operator: &Operator, telegram: &TelegramDouble, language: &str) {
    let said = telegram.asks(ANNA, language, "/get_config").await;
    assert!(said.text.contains("/start"), "not linked yet: {said:?}");
    let said = telegram.asks(ANNA, language, "/start").await;
    assert!(said.text.contains("AB123456"), "an example: {said:?}");
    telegram.asks(ANNA, language, "not an ID").await;
    let said = telegram.asks(ANNA, language, PERSON).await;
    assert!(said.text.contains("@vpn_help"), "no mail is sent here: {said:?}");
    let said = telegram.asks(ANNA, language, "00000000").await;
    assert!(!said.text.contains('✅'), "{said:?}");
    let code = code(telegram, DESK).await;
    let said = telegram.asks(ANNA, language, &code).await;
    assert!(said.text.contains('✅'), "{said:?}");

    let before = telegram.said(ANNA).len();
    let said = telegram.asks(ANNA, language, "/get_config").await;
    let credential = operator.credential(PERSON).await;
    assert!(said.secret && said.photo.is_some(), "{said:?}");
    let (_, config) = operator.get(&format!("/user/{PERSON}/config")).await;
    assert_eq!(
        decoded(said.photo.as_deref().unwrap()),
        config["hy2_url"].as_str().unwrap()
    );
    let all: String = telegram.said(ANNA)[before..]
        .iter()
        .map(|said| said.text.clone())
        .collect();
    let all = if all.contains("hysteria2://") || all.contains("hy2://") {
        all
    } else {
        telegram.nth(ANNA, before + 2).await.text
    };
    assert!(all.contains(credential.split(':').next().unwrap()), "{all}");
    let before = telegram.said(ANNA).len();
    let said = telegram.asks(ANNA, language, "/status").await;
    assert!(
        telegram.said(ANNA).len() == before + 1 && said.text.contains('✅'),
        "{said:?}"
    );

    let asked = telegram.asks(ANNA, language, "/rotate").await;
    let said = telegram.answers(ANNA, language, &no(&asked)).await;
    assert!(!said.text.contains("/get_config"), "{said:?}");
    let asked = telegram.asks(ANNA, language, "/rotate").await;
    telegram.answers(ANNA, language, &yes(&asked)).await;
    assert_ne!(operator.credential(PERSON).await, credential, "a new password");
    telegram.answers(ANNA, language, &yes(&asked)).await;
    let (_, person) = operator.get(&format!("/user/{PERSON}")).await;
    let rotated = person["history"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|row| row["action"].to_string().contains("rotate"));
    assert_eq!(rotated.count(), 1, "once: {person}");

    let asked = telegram.asks(ANNA, language, "/unlink").await;
    telegram.answers(ANNA, language, &yes(&asked)).await;
    assert_eq!(operator.get(&format!("/user/{PERSON}/telegram")).await.0, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_links_gets_access_rotates_and_unlinks_in_both_languages() {
    for language in ["en", "ru"] {
        let (house, telegram) = house().await;
        let operator = house.start().await;
        day(&operator, &telegram, language).await;
        let russian = telegram.said(ANNA)[0].text.contains("Этот");
        assert_eq!(russian, language == "ru");
        telegram.sound();
        assert!(!operator.stop().await.contains(TOKEN));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bot_of_its_own_does_the_same_with_a_token_that_is_a_bots_alone() {
    let (mut house, [_node]) = House::with_nodes().await;
    house.set("API_CLIENTS", &format!("telegram:bot:{API_TOKEN}"));
    house.write("anna.yaml", &user(PERSON, ""));
    let operator = house.start().await;
    let telegram = TelegramDouble::start().await;
    with_bot(&mut house, &telegram);
    house.set("API_URL", &operator.url(""));
    house.set("API_TOKEN", API_TOKEN);
    for secret in [
        "CORPORATE_SECRET",
        "MASTER_KEY",
        "API_CLIENTS",
        "HYSTERIA_AUTH_TOKEN",
        "HYSTERIA_STATS_SECRET",
    ] {
        house.unset(secret);
    }
    let data = house.path("bot-data");
    let bot = house.command(&["run", "--components", "bot", "--data", data.to_str().unwrap()]);
    let bot = Operator::launch(bot);
    day(&operator, &telegram, "en").await;
    // Whoever looks after its container asks as for every other one, and sees nothing of the API.
    let probes = bot.url("");
    let listen = probes.trim_start_matches("http://").trim_end_matches('/');
    let mut health = house.command(&["health", "--listen", listen]);
    let health = tokio::task::spawn_blocking(move || health.output().unwrap())
        .await
        .unwrap();
    assert!(health.status.success(), "{health:?}");
    let users = reqwest::get(bot.url("/users")).await.unwrap();
    assert_eq!(users.status(), 404);
    telegram.sound();
    drop(bot);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_suspended_is_told_once_and_sees_only_that_and_whom_to_ask() {
    let (house, telegram) = house().await;
    let operator = house.start().await;
    operator.becomes(PERSON, "Granted").await;
    link(&telegram, ANNA, "ru", DESK).await;
    let before = telegram.said(ANNA).len();
    let placed = operator
        .post("/holds", json!({ "corporate_id": PERSON, "reason": "secret words" }))
        .await;
    assert_eq!(placed.0, 201, "{placed:?}");
    let told = telegram.nth(ANNA, before + 1).await;
    assert!(
        told.text.contains("приостановлен") && told.text.contains("@vpn_help"),
        "{told:?}"
    );
    for command in ["/get_config", "/status", "/rotate", "/start"] {
        let said = telegram.asks(ANNA, "ru", command).await;
        assert!(
            said.text.contains("@vpn_help") && said.photo.is_none() && said.buttons.is_empty(),
            "{command}: {said:?}"
        );
        assert!(!said.text.contains("secret words"));
    }
    assert_eq!(
        telegram
            .said(ANNA)
            .iter()
            .filter(|said| said.text.starts_with('⛔'))
            .count(),
        1
    );
    telegram.sound();
    operator.stop().await;
}
