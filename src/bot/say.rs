//! Sending, with Telegram's limits kept, and deleting what is not to stay.

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};

use super::{Answered, Bot, BotError, Talk, TelegramError, action::Action, memory::Deletion};
use crate::texts::{self, Arg, Language};

/// Most characters of a message, after Telegram has read its markup.
pub(super) const MESSAGE: usize = 4096;
/// Tries of one message.
const TRIES: u32 = 5;
/// Longest time that a message waits because Telegram says so.
const LONGEST: u64 = 120;
/// Pause between looks for messages to delete.
const DELETE: Duration = Duration::from_secs(1);

/// Cuts a text of many lines so that it fits, between two lines.
pub(super) fn fit(lines: impl IntoIterator<Item = String>, more: &str) -> String {
    let mut text = String::new();
    for line in lines {
        if text.chars().count() + line.chars().count() + more.chars().count() + 2 > MESSAGE {
            text.push_str(more);
            return text;
        }
        text.push_str(&line);
        text.push('\n');
    }
    text
}

/// Buttons beside each other.
pub(super) fn buttons(buttons: &[(String, String)]) -> Value {
    let row: Vec<Value> = buttons
        .iter()
        .map(|(text, data)| json!({ "text": text, "callback_data": data }))
        .collect();
    json!({ "inline_keyboard": [row] })
}

impl Bot {
    /// Sends a message when the pace allows it; tries again what may pass.
    pub(super) async fn send(&self, chat: i64, text: &str, markup: &Value, secret: bool) -> Result<i64, TelegramError> {
        let mut tries = 0;
        loop {
            self.pace.turn(chat).await;
            let sent = self.telegram.send(chat, text, markup, secret).await;
            tries += 1;
            match sent {
                Err(error) if tries < TRIES && may_repeat(&error) => wait(&error, tries).await,
                sent => break sent,
            }
        }
    }

    /// As [`Self::send`], a picture.
    pub(super) async fn send_photo(
        &self,
        chat: i64,
        png: &[u8],
        caption: &str,
        markup: &Value,
    ) -> Result<i64, TelegramError> {
        let mut tries = 0;
        loop {
            self.pace.turn(chat).await;
            let sent = self.telegram.send_photo(chat, png, caption, markup).await;
            tries += 1;
            match sent {
                Err(error) if tries < TRIES && may_repeat(&error) => wait(&error, tries).await,
                sent => break sent,
            }
        }
    }

    /// Has a message with a secret deleted later.
    pub(super) async fn forget_later(&self, chat: i64, message: i64) -> Answered {
        let what = Deletion { chat, message };
        Ok(self.memory.delete_later(what, self.settings.delete_after()).await?)
    }

    pub(super) async fn say(&self, talk: &Talk, key: &str, args: &[(&str, Arg<'_>)]) -> Answered {
        self.say_html(talk, &talk.html(key, args)).await
    }

    pub(super) async fn say_html(&self, talk: &Talk, html: &str) -> Answered {
        self.send(talk.account(), html, &Value::Null, false).await?;
        Ok(())
    }

    /// Asks whether something is really to be done. The buttons are good once, for this account, for five minutes.
    pub(super) async fn confirm(&self, talk: &Talk, html: &str, action: &Action) -> Answered {
        let nonce = self.memory.button(talk.account(), action).await?;
        let word = |key| texts::plain(talk.language, key, &[]);
        let markup = buttons(&[(word("yes"), format!("y:{nonce}")), (word("no"), format!("n:{nonce}"))]);
        self.send(talk.account(), html, &markup, false).await?;
        Ok(())
    }

    /// Whom to ask, behind a full stop; empty where nobody is named.
    pub(super) fn contact(&self, language: Language) -> Arg<'static> {
        let support = self.settings.support.as_deref();
        Arg::Html(support.map_or_else(String::new, |whom| {
            texts::html(language, "contact", &[("whom", whom.into())])
        }))
    }

    pub(super) async fn say_denied(&self, talk: &Talk, reason: &str) -> Answered {
        let reason = self::reason(talk.language, reason);
        self.say(
            talk,
            "denied",
            &[("reason", reason.into()), ("contact", self.contact(talk.language))],
        )
        .await
    }
}

/// Why access is off, in plain words.
pub(super) fn reason(language: Language, reason: &str) -> String {
    let key = match reason {
        "Held" => "reason-held",
        "Inactive" | "Deleted" => "reason-inactive",
        "NotYetValid" => "reason-notyet",
        "Expired" => "reason-expired",
        "OverQuota" => "reason-quota",
        _ => "reason-other",
    };
    texts::plain(language, key, &[])
}

/// Whether a message was surely not taken, and may be soon. One without any answer may have been, and is not to come twice.
fn may_repeat(error: &TelegramError) -> bool {
    match error {
        TelegramError::TooMany(seconds) => *seconds <= LONGEST,
        error => error.may_pass() && error.was_not_done(),
    }
}

async fn wait(error: &TelegramError, tries: u32) {
    let pause = match error {
        TelegramError::TooMany(seconds) => Duration::from_secs(*seconds),
        _ => Duration::from_millis(250) * 2_u32.pow(tries.min(5)),
    };
    tokio::time::sleep(pause).await;
}

/// Deletes messages whose time has come, also of a run before this one.
pub(super) async fn delete_due(bot: Arc<Bot>) {
    loop {
        match bot.delete_some().await {
            Ok(()) => {}
            Err(BotError::Telegram(TelegramError::TooMany(seconds))) => {
                tokio::time::sleep(Duration::from_secs(seconds.min(LONGEST))).await;
            }
            Err(error) => {
                tracing::debug!(%error, "messages could not be deleted: trying again");
                tokio::time::sleep(DELETE * 10).await;
            }
        }
        tokio::time::sleep(DELETE).await;
    }
}

impl Bot {
    async fn delete_some(&self) -> Answered {
        for due in self.memory.due().await? {
            match self.telegram.delete(due.chat, due.message).await {
                Err(error) if error.may_pass() || error == TelegramError::Unauthorized => return Err(error.into()),
                // Gone by now, or so old that Telegram keeps it.
                Ok(()) | Err(_) => self.memory.deleted(due).await?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_that_is_too_long_ends_between_two_lines_and_says_so() {
        let text = fit((0..1000).map(|number| format!("line {number}")), "and more");
        assert!(text.chars().count() <= MESSAGE && text.ends_with("\nand more"));
        assert_eq!(fit(["one".to_owned()], "more"), "one\n");
    }
}
