//! The few methods of the Bot API that the bot uses, over HTTP.
//!
//! The token is part of every URL of that API, so no error here has a URL, and nothing here has a `Debug` that could show one.

pub mod types;

use std::time::Duration;

use reqwest::multipart::{Form, Part};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};
use url::Url;

use self::types::{Me, Sent, Update, Webhook};
use crate::api::client::innermost;

/// Longest a connection may take to come about.
const CONNECT: Duration = Duration::from_secs(10);
/// Longest an answer may take that is not waited for on purpose.
const ANSWER: Duration = Duration::from_secs(20);

/// Why Telegram did not do what was asked. Never holds the token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TelegramError {
    /// Nobody answers: nothing was sent.
    #[error("the Bot API cannot be reached: {0}")]
    Unreachable(String),
    /// No answer came that can be read: nobody knows whether it was done.
    #[error("the Bot API did not answer to the end: {0}")]
    Unclear(String),
    /// Too much was sent.
    #[error("Telegram asks to wait {0} s")]
    TooMany(u64),
    /// The person has blocked the bot, or the chat is gone.
    #[error("the chat takes no messages of the bot")]
    Blocked,
    /// Somebody else asks with the same token.
    #[error("another process polls with the same bot token: stop it, or give one of the two another token")]
    Conflict,
    /// The token is none.
    #[error("Telegram does not know the bot token: set TELEGRAM_BOT_TOKEN to the one that @BotFather gave")]
    Unauthorized,
    /// The server is in trouble.
    #[error("the Bot API answered {0}")]
    Server(u16),
    /// The request is refused, whenever it comes.
    #[error("the Bot API refused with {0}: {1}")]
    Refused(u16, String),
}

impl TelegramError {
    /// Whether it may help to try again.
    #[must_use]
    pub const fn may_pass(&self) -> bool {
        matches!(
            self,
            Self::Unreachable(_) | Self::Unclear(_) | Self::TooMany(_) | Self::Server(_)
        )
    }

    /// Whether it was surely not done, so that doing it again does it once.
    #[must_use]
    pub const fn was_not_done(&self) -> bool {
        !matches!(self, Self::Unclear(_) | Self::Server(_))
    }

    fn of(error: reqwest::Error) -> Self {
        let connects = error.is_connect() || error.is_builder();
        let why = innermost(error);
        if connects {
            Self::Unreachable(why)
        } else {
            Self::Unclear(why)
        }
    }
}

#[derive(Deserialize)]
struct Envelope {
    ok: bool,
    #[serde(default)]
    result: Value,
    #[serde(default)]
    description: String,
    #[serde(default)]
    parameters: Parameters,
}

#[derive(Deserialize, Default)]
struct Parameters {
    retry_after: Option<u64>,
}

/// The Bot API.
pub struct Telegram {
    http: reqwest::Client,
    base: Url,
    token: SecretString,
}

impl Telegram {
    /// The API at `base` for the bot with this token.
    ///
    /// # Errors
    /// No client can be made on this machine.
    pub fn new(base: Url, token: SecretString) -> Result<Self, TelegramError> {
        let http = reqwest::Client::builder()
            .connect_timeout(CONNECT)
            // A redirect would carry the token to somewhere else.
            .redirect(reqwest::redirect::Policy::none())
            .tcp_nodelay(true)
            .build()
            .map_err(TelegramError::of)?;
        Ok(Self { http, base, token })
    }

    /// Who the bot is.
    ///
    /// # Errors
    /// As [`TelegramError`] says.
    pub async fn me(&self) -> Result<Me, TelegramError> {
        self.call("getMe", &json!({}), ANSWER).await
    }

    /// Whether Telegram sends what comes to an address that somebody set: then it gives nothing to whoever polls.
    ///
    /// # Errors
    /// As [`TelegramError`] says.
    pub async fn has_webhook(&self) -> Result<bool, TelegramError> {
        let webhook: Webhook = self.call("getWebhookInfo", &json!({}), ANSWER).await?;
        Ok(!webhook.url.is_empty())
    }

    /// What came from `offset` on; waits for the first for `wait` seconds.
    ///
    /// # Errors
    /// As [`TelegramError`] says.
    pub async fn updates(&self, offset: i64, wait: u64) -> Result<Vec<Update>, TelegramError> {
        let question = json!({
            "offset": offset, "limit": 100, "timeout": wait, "allowed_updates": ["message", "callback_query"],
        });
        let raw: Vec<Value> = self
            .call("getUpdates", &question, ANSWER + Duration::from_secs(wait))
            .await?;
        Ok(raw.into_iter().filter_map(Update::read).collect())
    }

    /// Sends a text in HTML. `markup` are buttons, or null.
    ///
    /// # Errors
    /// As [`TelegramError`] says.
    pub async fn send(&self, chat: i64, text: &str, markup: &Value, secret: bool) -> Result<i64, TelegramError> {
        let mut message = json!({
            "chat_id": chat, "text": text, "parse_mode": "HTML", "protect_content": secret,
            "link_preview_options": { "is_disabled": true },
        });
        if !markup.is_null() {
            message["reply_markup"] = markup.clone();
        }
        let sent: Sent = self.call("sendMessage", &message, ANSWER).await?;
        Ok(sent.message_id)
    }

    /// Sends a picture that is secret, with a text in HTML below it.
    ///
    /// # Errors
    /// As [`TelegramError`] says.
    pub async fn send_photo(&self, chat: i64, png: &[u8], caption: &str, markup: &Value) -> Result<i64, TelegramError> {
        let cannot = TelegramError::of;
        let photo = Part::bytes(png.to_vec()).file_name("access.png");
        let mut form = Form::new()
            .text("chat_id", chat.to_string())
            .text("caption", caption.to_owned())
            .text("parse_mode", "HTML")
            .text("protect_content", "true")
            .part("photo", photo.mime_str("image/png").map_err(cannot)?);
        if !markup.is_null() {
            form = form.text("reply_markup", markup.to_string());
        }
        let request = self.http.post(self.url("sendPhoto")?).multipart(form).timeout(ANSWER);
        let sent: Sent = read(request.send().await.map_err(cannot)?).await?;
        Ok(sent.message_id)
    }

    /// Deletes a message.
    ///
    /// # Errors
    /// As [`TelegramError`] says.
    pub async fn delete(&self, chat: i64, message: i64) -> Result<(), TelegramError> {
        let which = json!({ "chat_id": chat, "message_id": message });
        self.call::<bool>("deleteMessage", &which, ANSWER).await.map(drop)
    }

    /// Ends the waiting of a button that was pressed.
    ///
    /// # Errors
    /// As [`TelegramError`] says.
    pub async fn pressed(&self, query: &str, text: &str) -> Result<(), TelegramError> {
        let answer = json!({ "callback_query_id": query, "text": text });
        self.call::<bool>("answerCallbackQuery", &answer, ANSWER)
            .await
            .map(drop)
    }

    /// Takes the buttons of a message away.
    ///
    /// # Errors
    /// As [`TelegramError`] says.
    pub async fn without_buttons(&self, chat: i64, message: i64) -> Result<(), TelegramError> {
        let which = json!({ "chat_id": chat, "message_id": message, "reply_markup": { "inline_keyboard": [] } });
        self.call::<Value>("editMessageReplyMarkup", &which, ANSWER)
            .await
            .map(drop)
    }

    /// Registers the commands that are offered to a scope, in a language (empty for every other one).
    ///
    /// # Errors
    /// As [`TelegramError`] says.
    pub async fn set_commands(&self, commands: &Value, scope: &Value, language: &str) -> Result<(), TelegramError> {
        let what = json!({ "commands": commands, "scope": scope, "language_code": language });
        self.call::<bool>("setMyCommands", &what, ANSWER).await.map(drop)
    }

    async fn call<T: DeserializeOwned>(&self, method: &str, body: &Value, limit: Duration) -> Result<T, TelegramError> {
        let request = self.http.post(self.url(method)?).json(body).timeout(limit);
        let answer = request.send().await;
        read(answer.map_err(TelegramError::of)?).await
    }

    fn url(&self, method: &str) -> Result<Url, TelegramError> {
        let mut url = self.base.clone();
        url.path_segments_mut()
            .map_err(|()| TelegramError::Unreachable("its address is no base of a URL".to_owned()))?
            .pop_if_empty()
            .extend([&format!("bot{}", self.token.expose_secret()), method]);
        Ok(url)
    }
}

async fn read<T: DeserializeOwned>(answer: reqwest::Response) -> Result<T, TelegramError> {
    let status = answer.status().as_u16();
    let body = answer.bytes().await;
    let body = body.map_err(TelegramError::of)?;
    let Ok(envelope) = serde_json::from_slice::<Envelope>(&body) else {
        return Err(TelegramError::Server(status));
    };
    if envelope.ok {
        let unreadable = |_| TelegramError::Unclear("its answer is not what this method answers".to_owned());
        return serde_json::from_value(envelope.result).map_err(unreadable);
    }
    Err(match (status, envelope.parameters.retry_after) {
        (429, seconds) => TelegramError::TooMany(seconds.unwrap_or(1)),
        (401 | 404, _) => TelegramError::Unauthorized,
        (403, _) => TelegramError::Blocked,
        (400, _) if envelope.description.contains("chat not found") => TelegramError::Blocked,
        (409, _) => TelegramError::Conflict,
        (500.., _) => TelegramError::Server(status),
        _ => TelegramError::Refused(status, envelope.description.chars().take(200).collect()),
    })
}
