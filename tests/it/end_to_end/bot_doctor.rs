//! What `doctor` and the operator's checks say of the bot.

use serde_json::Value;

use super::{
    bot::{API_TOKEN, house, with_bot},
    operator::{House, Operator, eventually},
};
use crate::support::telegram::{Fault, TOKEN, TelegramDouble};

async fn finding(operator: &Operator, house: &House, name: &str) -> Value {
    let (_, out, err) = operator.cli(house, &["doctor", "--output", "json"]).await;
    assert!(
        !out.contains(TOKEN) && !err.contains(TOKEN) && !out.contains(API_TOKEN),
        "a token is shown"
    );
    let body: Value = serde_json::from_str(&out).unwrap_or_else(|_| panic!("{out}{err}"));
    let checks = body["checks"].as_array().unwrap();
    let found = checks.iter().find(|check| check["name"] == name);
    found.cloned().unwrap_or_else(|| panic!("{name}: {checks:#?}"))
}

fn says(finding: &Value, result: &str, words: &str) {
    let message = finding["message"].as_str().unwrap();
    assert!(finding["result"] == result && message.contains(words), "{finding}");
}

#[tokio::test(flavor = "multi_thread")]
async fn doctor_tells_a_wrong_token_a_webhook_and_a_server_that_is_not_there() {
    let (mut house, telegram) = house().await;
    let operator = house.start().await;
    says(&finding(&operator, &house, "telegram").await, "ok", "@vpn_bot answers");
    telegram.set_webhook("https://elsewhere.example.com/secret-path");
    let found = finding(&operator, &house, "telegram").await;
    says(&found, "failed", "webhook");
    assert!(!found.to_string().contains("secret-path"), "{found}");
    telegram.set_webhook("");
    telegram.fault("getMe", Fault::Error(401, "Unauthorized", None));
    says(
        &finding(&operator, &house, "telegram").await,
        "failed",
        "TELEGRAM_BOT_TOKEN",
    );
    house.unset("ADMIN_TELEGRAM_IDS");
    says(
        &finding(&operator, &house, "telegram").await,
        "warning",
        "nobody is an admin",
    );
    house.set("TELEGRAM_API_URL", "http://127.0.0.1:1");
    says(
        &finding(&operator, &house, "telegram").await,
        "failed",
        "cannot be reached",
    );
    telegram.sound();
}

#[tokio::test(flavor = "multi_thread")]
async fn another_poller_is_among_the_checks_until_it_is_gone() {
    let (house, telegram) = house().await;
    for _ in 0..2 {
        let conflict = "Conflict: terminated by other getUpdates request";
        telegram.fault("getUpdates", Fault::Error(409, conflict, None));
    }
    let operator = house.start().await;
    eventually("the conflict is said", async || {
        let details = operator.check("telegram-bot").await.concat();
        details
            .contains("another process polls with the same bot token")
            .then_some(())
    })
    .await;
    says(
        &finding(&operator, &house, "telegram-bot").await,
        "warning",
        "another process",
    );
    eventually("it is over", async || {
        operator.check("telegram-bot").await.is_empty().then_some(())
    })
    .await;
    says(&finding(&operator, &house, "telegram-bot").await, "ok", "@vpn_bot");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bot_of_its_own_is_told_whether_the_operator_takes_its_token() {
    let (mut house, [_node]) = House::with_nodes().await;
    house.set("API_CLIENTS", &format!("telegram:bot:{API_TOKEN}"));
    let operator = house.start().await;
    let telegram = TelegramDouble::start().await;
    with_bot(&mut house, &telegram);
    house.set("API_URL", &operator.url(""));
    house.set("API_TOKEN", API_TOKEN);
    let name = "operator of the bot";
    says(&finding(&operator, &house, name).await, "ok", "takes the token");
    house.set("API_TOKEN", "another-token-that-nobody-knows-here");
    says(&finding(&operator, &house, name).await, "failed", "refuses");
    house.set("API_URL", "http://127.0.0.1:1");
    says(&finding(&operator, &house, name).await, "failed", "cannot be reached");
}
