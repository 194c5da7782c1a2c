//! Kills, trouble with Telegram, and updates that are none.

use std::time::{Duration, Instant};

use serde_json::json;

use super::{ADMIN, ANNA, DESK, PERSON, house, link};
use crate::{
    end_to_end::operator::eventually,
    support::telegram::{Fault, TOKEN},
};

#[tokio::test(flavor = "multi_thread")]
async fn what_came_before_a_kill_is_answered_after_it_and_secrets_are_deleted() {
    let (mut house, telegram) = house().await;
    house.set("BOT_DELETE_AFTER", "2s");
    let operator = house.start().await;
    operator.becomes(PERSON, "Granted").await;
    link(&telegram, ANNA, "en", DESK).await;
    let sent = telegram.asks(ANNA, "en", "/get_config").await;
    // What a chat writes is answered in its order: with this answer the bot knows which message it has to delete.
    telegram.asks(ANNA, "en", "/help").await;
    operator.kill();
    telegram.writes(ANNA, "en", "/status");
    let before = telegram.said(ANNA).len();
    let operator = house.start().await;
    // What was being answered when it was killed may be answered again before.
    eventually("what was written meanwhile is answered", async || {
        let said = telegram.said(ANNA);
        said.iter()
            .skip(before)
            .any(|said| said.text.contains(PERSON) && !said.secret)
            .then_some(())
    })
    .await;
    eventually("the picture is deleted", async || {
        telegram.deleted().contains(&(ANNA, sent.message)).then_some(())
    })
    .await;
    telegram.sound();
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn trouble_with_telegram_is_waited_for_and_a_chat_that_blocked_the_bot_stops_nobody() {
    let (house, telegram) = house().await;
    telegram.fault("getMe", Fault::Error(502, "Bad Gateway", None));
    telegram.fault(
        "getUpdates",
        Fault::Error(409, "Conflict: terminated by other getUpdates request", None),
    );
    let operator = house.start().await;
    telegram.fault("sendMessage", Fault::Error(429, "Too Many Requests", Some(1)));
    let begin = Instant::now();
    let said = telegram.asks(ANNA, "en", "/help").await;
    assert!(
        said.text.contains("/get_config") && begin.elapsed() > Duration::from_secs(1),
        "{said:?}"
    );
    telegram.fault(
        "sendMessage",
        Fault::Error(403, "Forbidden: bot was blocked by the user", None),
    );
    telegram.writes(99, "en", "/help");
    telegram.asks(ANNA, "en", "/help").await;
    telegram.sound();
    let log = operator.stop().await;
    assert!(log.contains("another process polls with the same bot token"), "{log}");
    assert!(!log.contains(TOKEN));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_telegram_may_have_taken_is_not_sent_twice() {
    let (house, telegram) = house().await;
    let operator = house.start().await;
    operator.becomes(PERSON, "Granted").await;
    link(&telegram, ANNA, "en", DESK).await;
    let before = telegram.said(ANNA).len();
    telegram.fault("sendMessage", Fault::DoneAndLost);
    telegram.asks(ANNA, "en", "/help").await;
    telegram.fault("sendMessage", Fault::DoneAndLost);
    let hold = json!({ "corporate_id": PERSON, "reason": "left" });
    assert_eq!(operator.post("/holds", hold).await.0, 201);
    telegram.nth(ANNA, before + 2).await;
    eventually("the notice is done", async || {
        let (_, open) = operator.get("/telegram/notices?wait=0").await;
        open["notices"].as_array()?.is_empty().then_some(())
    })
    .await;
    telegram.asks(ANNA, "en", "/help").await;
    let said: Vec<String> = telegram
        .said(ANNA)
        .into_iter()
        .skip(before)
        .map(|said| said.text)
        .collect();
    assert_eq!(said.len(), 3, "{said:?}");
    assert!(said[1].starts_with('⛔'), "{said:?}");
    telegram.sound();
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_edited_forwarded_and_broken_messages_are_passed_over_and_confirmed() {
    let (house, telegram) = house().await;
    let operator = house.start().await;
    let whole = json!({
        "message_id": 1, "date": 0, "text": "/help", "from": { "id": ANNA, "is_bot": false, "first_name": "A" },
        "chat": { "id": -100, "type": "supergroup" },
    });
    telegram.comes("message", whole.clone());
    telegram.comes("edited_message", whole.clone());
    telegram.comes("channel_post", whole);
    telegram.comes("message", json!({}));
    telegram.comes("callback_query", json!({ "id": "q", "from": { "id": ANNA } }));
    telegram.asks(ANNA, "en", &"<x>&".repeat(1024)).await;
    telegram.presses(ANNA, "en", "y:0000");
    telegram.nth(ANNA, 2).await;
    assert_eq!(telegram.said(-100).len(), 0);
    eventually("everything is confirmed", async || {
        (telegram.confirmed() >= 7).then_some(())
    })
    .await;
    assert_eq!(telegram.said(ANNA).len(), 2);
    let commands = eventually("the commands", async || {
        Some(telegram.commands()).filter(|commands| commands.len() == 6)
    });
    assert!(
        commands
            .await
            .iter()
            .any(|one| one["scope"]["chat_id"] == ADMIN && one["language_code"] == "ru")
    );
    telegram.sound();
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_token_everything_else_runs_and_the_log_says_so() {
    let (mut house, telegram) = house().await;
    house.unset("TELEGRAM_BOT_TOKEN");
    let operator = house.start().await;
    operator.becomes(PERSON, "Granted").await;
    telegram.sound();
    assert!(
        operator
            .stop()
            .await
            .contains("there is no bot: TELEGRAM_BOT_TOKEN is not set")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn at_the_end_what_is_being_answered_is_answered_and_the_rest_after_the_next_start() {
    let (house, telegram) = house().await;
    let operator = house.start().await;
    // The second answer in a chat waits for a second, in which the process is told to end.
    for _ in 0..4 {
        telegram.writes(ANNA, "en", "/help");
    }
    telegram.nth(ANNA, 1).await;
    eventually("everything is kept", async || {
        (telegram.confirmed() == telegram.last_update()).then_some(())
    })
    .await;
    operator.stop().await;
    let before = telegram.said(ANNA).len();
    assert!(before < 4, "{before}");
    let operator = house.start().await;
    telegram.nth(ANNA, 4).await;
    telegram.asks(ANNA, "ru", "/help").await;
    assert_eq!(telegram.said(ANNA).len(), 5, "each once");
    telegram.sound();
    operator.stop().await;
}
