//! Telling people what the operator has for them.
//!
//! Telegram knows no message by a key of ours, so that nobody can say after a kill whether one went out. Each is noted before it is
//! sent, and the note taken back when Telegram surely did not take it: nobody is told twice.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use serde_json::Value;

use super::{Answered, Bot, BotError, TelegramError, guard, say};
use crate::{
    api::{
        client::Client,
        role::Role,
        telegram::{Notice, NoticeDone, NoticeKind, NoticeOutcome, Notices},
    },
    texts::{self, Language, date},
};

/// Seconds that a question waits for a notice.
const WAIT: u64 = 25;
/// Pause after a failure.
const PAUSE: Duration = Duration::from_secs(5);
/// Pause after an answer whose notices could not all be told.
const AGAIN: Duration = Duration::from_secs(1);

pub async fn run(bot: Arc<Bot>) {
    let api = bot.api.acting("bot", Some(Role::Bot));
    let (mut failing, mut warned) = (false, false);
    loop {
        match once(&bot, &api).await {
            Ok(0) => (failing, warned) = (false, false),
            Ok(unknown) => {
                if !warned {
                    tracing::warn!(
                        unknown,
                        "the operator has notices that this bot does not know: update the bot"
                    );
                }
                (failing, warned) = (false, true);
                // They are there at the next question as well, which is answered at once.
                tokio::time::sleep(PAUSE).await;
            }
            Err(error) => {
                if !failing {
                    tracing::warn!(%error, "notices cannot be told: trying again");
                }
                failing = true;
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// Tells what there is to tell. Answers how many notices are not known.
async fn once(bot: &Arc<Bot>, api: &Client) -> Result<usize, BotError> {
    let query = [("wait", WAIT.to_string())];
    let Notices { notices, unknown } = api.get(&["telegram", "notices"], &query).await?;
    // All at once, so that one chat that has to wait makes no other one wait.
    let told = notices.iter().map(|notice| tell(bot, api, notice));
    let told = futures::future::join_all(told).await;
    if let Some(error) = told.into_iter().find_map(Result::err) {
        tokio::time::sleep(AGAIN).await;
        return Err(error);
    }
    Ok(unknown)
}

async fn tell(bot: &Bot, api: &Client, notice: &Notice) -> Answered {
    let outcome = if Timestamp::now() > notice.until {
        NoticeOutcome::Late
    } else if let Some(account) = notice.account {
        tell_one(bot, notice, account, notice.chat.unwrap_or(account)).await?
    } else {
        for admin in &bot.settings.admins {
            tell_one(bot, notice, *admin, *admin).await?;
        }
        NoticeOutcome::Told
    };
    let done = NoticeDone { outcome };
    let id = notice.id.to_string();
    api.send(
        reqwest::Method::POST,
        &["telegram", "notices", &id, "done"],
        &[],
        Some(&done),
    )
    .await?;
    Ok(())
}

async fn tell_one(bot: &Bot, notice: &Notice, account: i64, chat: i64) -> Result<NoticeOutcome, BotError> {
    if !bot.memory.tell(notice.id, account).await? {
        return Ok(NoticeOutcome::Told);
    }
    let chosen = bot.memory.chat(account).await?.1;
    let language = notice
        .language
        .as_deref()
        .and_then(Language::of)
        .or(chosen)
        .unwrap_or_default();
    let markup = match &notice.what {
        NoticeKind::HeldBack { .. } => guard::buttons(language, &["look", "confirm", "cancel"]),
        _ => Value::Null,
    };
    match bot.send(chat, &text(bot, language, &notice.what), &markup, false).await {
        Ok(_) => Ok(NoticeOutcome::Told),
        Err(TelegramError::Blocked | TelegramError::Refused(..)) => Ok(NoticeOutcome::Blocked),
        Err(error) if error.was_not_done() => {
            bot.memory.untold(notice.id, account).await?;
            Err(error.into())
        }
        Err(error) => {
            tracing::warn!(notice = notice.id, %error, "nobody knows whether a notice went out: it is not sent again");
            Ok(NoticeOutcome::Told)
        }
    }
}

fn text(bot: &Bot, language: Language, what: &NoticeKind) -> String {
    let html = |key: &str, args: &[(&str, texts::Arg<'_>)]| texts::html(language, key, args);
    let contact = || ("contact", bot.contact(language));
    match what {
        NoticeKind::Granted => html("notice-granted", &[]),
        NoticeKind::Suspended { reason } => html(
            "notice-suspended",
            &[("reason", say::reason(language, reason).into()), contact()],
        ),
        NoticeKind::Restored => html("notice-restored", &[]),
        NoticeKind::Expiring { valid_until, days } => html(
            "notice-expiring",
            &[
                ("days", u64::from(*days).into()),
                ("date", date(language, *valid_until).into()),
            ],
        ),
        NoticeKind::Quota { percent, resets_at } => {
            let percent = ("percent", u64::from(*percent).into());
            match resets_at {
                Some(at) => html("notice-quota-resets", &[percent, ("date", date(language, *at).into())]),
                None => html("notice-quota", &[percent]),
            }
        }
        NoticeKind::Replaced => html("notice-replaced", &[contact()]),
        NoticeKind::Unlinked => html("notice-unlinked", &[contact()]),
        NoticeKind::HeldBack { people, some } => {
            let people = u64::try_from(*people).unwrap_or(u64::MAX);
            let some = some.iter().take(20).cloned().collect::<Vec<_>>().join(", ");
            html("notice-held-back", &[("people", people.into()), ("some", some.into())])
        }
    }
}
