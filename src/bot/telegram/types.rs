//! What of the Bot API's objects the bot reads. Whatever is missing in one makes it one that the bot passes over.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The bot.
#[derive(Debug, Clone, Deserialize)]
pub struct Me {
    /// Its name, without `@`.
    #[serde(default)]
    pub username: String,
}

/// Where Telegram sends what comes.
#[derive(Deserialize)]
pub(super) struct Webhook {
    /// The address; empty where whoever polls is given it. It may hold a secret.
    #[serde(default)]
    pub url: String,
}

/// A message that was sent.
#[derive(Debug, Clone, Copy, Deserialize)]
pub struct Sent {
    /// Its number in the chat.
    pub message_id: i64,
}

/// Something that happened. What the bot has no use for is [`Incoming::Other`], so that it is confirmed and not asked for again.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Update {
    /// Its number: each is larger than the one before.
    pub id: i64,
    /// What.
    pub what: Incoming,
}

/// What happened.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Incoming {
    /// A person wrote a text in a private chat.
    Text {
        /// Who.
        person: Person,
        /// What they wrote.
        text: String,
        /// Number of the message in the chat.
        message: i64,
        /// It was written by somebody else, before.
        forwarded: bool,
    },
    /// A person pressed a button in a private chat.
    Button {
        /// Who.
        person: Person,
        /// Which query is to be answered.
        query: String,
        /// What the button says to the bot.
        data: String,
        /// The message with the button.
        message: i64,
    },
    /// Anything else.
    Other,
}

/// A person in a private chat, the number of which is that of the account.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Person {
    /// The account.
    pub account: i64,
    /// Its name: `@name`, or first and last name.
    pub name: String,
    /// Language of that person's Telegram.
    pub language: Option<String>,
}

impl Update {
    /// Reads an update; `None` for one without a number, which cannot be confirmed.
    #[must_use]
    #[expect(clippy::needless_pass_by_value, reason = "it is used as a step of an iterator")]
    pub fn read(raw: Value) -> Option<Self> {
        let id = raw.get("update_id")?.as_i64()?;
        let what = text(&raw).or_else(|| button(&raw)).unwrap_or(Incoming::Other);
        Some(Self { id, what })
    }

    /// The account whose queue it belongs to.
    #[must_use]
    pub const fn account(&self) -> Option<i64> {
        match &self.what {
            Incoming::Text { person, .. } | Incoming::Button { person, .. } => Some(person.account),
            Incoming::Other => None,
        }
    }
}

fn text(raw: &Value) -> Option<Incoming> {
    let message = raw.get("message")?;
    Some(Incoming::Text {
        person: person(message.get("from")?, message)?,
        text: message.get("text")?.as_str()?.to_owned(),
        message: message.get("message_id")?.as_i64()?,
        forwarded: message.get("forward_origin").is_some() || message.get("forward_date").is_some(),
    })
}

fn button(raw: &Value) -> Option<Incoming> {
    let query = raw.get("callback_query")?;
    let message = query.get("message")?;
    Some(Incoming::Button {
        person: person(query.get("from")?, message)?,
        query: query.get("id")?.as_str()?.to_owned(),
        data: query.get("data")?.as_str()?.to_owned(),
        message: message.get("message_id")?.as_i64()?,
    })
}

/// Who acts in the private chat of `message`; `None` for groups, channels and bots.
fn person(from: &Value, message: &Value) -> Option<Person> {
    let (account, chat) = (from.get("id")?.as_i64()?, message.get("chat")?);
    let private = chat.get("type")?.as_str()? == "private" && chat.get("id")?.as_i64()? == account;
    if !private || from.get("is_bot").and_then(Value::as_bool).unwrap_or(false) {
        return None;
    }
    let word = |name: &str| from.get(name).and_then(Value::as_str).map(str::to_owned);
    let full = [word("first_name"), word("last_name")]
        .into_iter()
        .flatten()
        .collect::<Vec<_>>()
        .join(" ");
    Some(Person {
        account,
        name: word("username").map_or(full, |name| format!("@{name}")),
        language: word("language_code"),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn message(chat: &Value) -> Value {
        json!({ "update_id": 7, "message": {
            "message_id": 1, "from": { "id": 42, "first_name": "Анна", "is_bot": false }, "chat": chat, "text": "/start",
        } })
    }

    #[test]
    fn a_text_in_a_private_chat_is_read_and_one_in_a_group_or_of_a_bot_is_passed_over() {
        let read = Update::read(message(&json!({ "id": 42, "type": "private" }))).unwrap();
        assert_eq!((read.id, read.account()), (7, Some(42)));
        for chat in [
            json!({ "id": -5, "type": "group" }),
            json!({ "id": 43, "type": "private" }),
            json!({}),
        ] {
            assert!(matches!(Update::read(message(&chat)).unwrap().what, Incoming::Other));
        }
        let mut bot = message(&json!({ "id": 42, "type": "private" }));
        bot["message"]["from"]["is_bot"] = true.into();
        assert!(matches!(Update::read(bot).unwrap().what, Incoming::Other));
    }

    #[test]
    fn an_update_that_lacks_any_of_its_fields_is_passed_over_and_still_confirmed() {
        let whole = message(&json!({ "id": 42, "type": "private" }));
        for field in ["message_id", "from", "chat", "text"] {
            let mut cut = whole.clone();
            cut["message"].as_object_mut().unwrap().remove(field);
            let read = Update::read(cut).unwrap();
            assert!(read.id == 7 && matches!(read.what, Incoming::Other), "{field}");
        }
        let edited = json!({ "update_id": 8, "edited_message": whole["message"] });
        assert!(matches!(Update::read(edited).unwrap().what, Incoming::Other));
        assert!(Update::read(json!({ "message": {} })).is_none());
    }
}
