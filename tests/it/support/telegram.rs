//! A double of Telegram's Bot API. It is strict: a method or a field that it does not know, a text that is too long or not HTML that
//! Telegram takes, and a button with too much data are written down, and [`TelegramDouble::sound`] fails the test.

use std::{
    collections::{HashMap, VecDeque},
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use axum::{
    Json, Router,
    body::Bytes,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::post,
};
use serde_json::{Value, json};
use tokio::sync::Notify;

use super::gate::Gate;

pub const TOKEN: &str = "123456:the-secret-of-the-bot";
const LONG: Duration = Duration::from_secs(60);

/// What a method answers instead of what it should.
#[derive(Clone)]
pub enum Fault {
    /// An error of the Bot API.
    Error(u16, &'static str, Option<u64>),
    /// It does it, and answers 502.
    DoneAndLost,
}

/// Something that the bot sent.
#[derive(Debug, Clone)]
pub struct Said {
    pub chat: i64,
    pub message: i64,
    pub text: String,
    pub photo: Option<Vec<u8>>,
    pub secret: bool,
    pub buttons: Vec<(String, String)>,
    /// When it came.
    pub at: Instant,
}

#[derive(Default)]
struct Inner {
    updates: Vec<Value>,
    /// When an update was handed to the bot first.
    handed: HashMap<i64, Instant>,
    next_update: i64,
    said: Vec<Said>,
    deleted: Vec<(i64, i64)>,
    commands: Vec<Value>,
    pressed: usize,
    webhook: String,
    wrong: Vec<String>,
    faults: HashMap<String, VecDeque<Fault>>,
    confirmed: i64,
    gate: Option<Gate>,
}

#[derive(Clone)]
pub struct TelegramDouble {
    pub address: SocketAddr,
    inner: Arc<Mutex<Inner>>,
    news: Arc<Notify>,
}

impl TelegramDouble {
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let double = Self {
            address: listener.local_addr().unwrap(),
            inner: Arc::default(),
            news: Arc::default(),
        };
        let router = Router::new()
            .route("/{bot}/{method}", post(answer))
            .with_state(double.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        double
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What the bot does for a chat passes this gate, before it is done and after.
    pub fn guarded_by(&self, gate: &Gate) {
        self.lock().gate = Some(gate.clone());
    }

    pub fn fault(&self, method: &str, fault: Fault) {
        self.lock()
            .faults
            .entry(method.to_owned())
            .or_default()
            .push_back(fault);
    }

    /// An update of this kind comes, such as `message`.
    pub fn comes(&self, kind: &str, what: Value) {
        let mut inner = self.lock();
        inner.next_update += 1;
        let mut update = json!({ "update_id": inner.next_update });
        update[kind] = what;
        inner.updates.push(update);
        drop(inner);
        self.news.notify_waiters();
    }

    /// A person writes.
    pub fn writes(&self, account: i64, language: &str, text: &str) {
        let message = json!({
            "message_id": 1, "date": 0, "text": text,
            "from": { "id": account, "is_bot": false, "first_name": "<b>Anna</b>", "username": "anna", "language_code": language },
            "chat": { "id": account, "type": "private" },
        });
        self.comes("message", message);
    }

    /// A person writes who has no `@name`.
    pub fn writes_as(&self, account: i64, first: &str, last: &str, text: &str) {
        let message = json!({
            "message_id": 1, "date": 0, "text": text,
            "from": { "id": account, "is_bot": false, "first_name": first, "last_name": last, "language_code": "en" },
            "chat": { "id": account, "type": "private" },
        });
        self.comes("message", message);
    }

    /// A person forwards what somebody wrote.
    pub fn forwards(&self, account: i64, text: &str) {
        let message = json!({
            "message_id": 1, "date": 0, "text": text,
            "from": { "id": account, "is_bot": false, "first_name": "Anna", "language_code": "en" },
            "chat": { "id": account, "type": "private" },
            "forward_origin": { "type": "hidden_user", "sender_user_name": "x", "date": 0 },
        });
        self.comes("message", message);
    }

    /// A person presses a button.
    pub fn presses(&self, account: i64, language: &str, data: &str) {
        let query = json!({
            "id": "q", "data": data,
            "from": { "id": account, "is_bot": false, "first_name": "Anna", "language_code": language },
            "message": { "message_id": 1, "date": 0, "chat": { "id": account, "type": "private" } },
        });
        self.comes("callback_query", query);
    }

    /// When the bot was handed an update.
    pub fn handed(&self, update: i64) -> Instant {
        self.lock().handed[&update]
    }
    /// Everything that the bot has written.
    pub fn all_said(&self) -> Vec<Said> {
        self.lock().said.clone()
    }
    /// To which chats the bot has written, in the order of the messages.
    pub fn chats(&self) -> Vec<i64> {
        self.lock().said.iter().map(|said| said.chat).collect()
    }
    /// The number of the last update that came.
    pub fn last_update(&self) -> i64 {
        self.lock().next_update
    }

    pub fn said(&self, chat: i64) -> Vec<Said> {
        self.lock()
            .said
            .iter()
            .filter(|said| said.chat == chat)
            .cloned()
            .collect()
    }
    pub fn deleted(&self) -> Vec<(i64, i64)> {
        self.lock().deleted.clone()
    }
    pub fn commands(&self) -> Vec<Value> {
        self.lock().commands.clone()
    }
    /// The number up to which the bot has said that it has everything.
    pub fn confirmed(&self) -> i64 {
        self.lock().confirmed
    }

    /// The `number`th message to a chat, from 1 on.
    pub async fn nth(&self, chat: i64, number: usize) -> Said {
        let until = Instant::now() + LONG;
        loop {
            let woken = self.news.notified();
            if let Some(said) = self.said(chat).get(number - 1) {
                return said.clone();
            }
            assert!(
                Instant::now() < until,
                "{:?} wrong: {:?}",
                self.said(chat),
                self.lock().wrong
            );
            let _ = tokio::time::timeout(Duration::from_secs(1), woken).await;
        }
    }

    /// A person writes and is answered once.
    pub async fn asks(&self, account: i64, language: &str, text: &str) -> Said {
        let before = self.said(account).len();
        self.writes(account, language, text);
        self.nth(account, before + 1).await
    }

    /// A person presses a button and is answered once.
    pub async fn answers(&self, account: i64, language: &str, data: &str) -> Said {
        let before = self.said(account).len();
        self.presses(account, language, data);
        self.nth(account, before + 1).await
    }

    /// Somebody has what comes sent to this address; nobody does where it is empty.
    pub fn set_webhook(&self, url: &str) {
        url.clone_into(&mut self.lock().webhook);
    }

    /// Fails if anything was asked that the Bot API does not take.
    pub fn sound(&self) {
        assert_eq!(self.lock().wrong, Vec::<String>::new());
    }
}

/// Which fields a method takes.
fn fields(method: &str) -> Option<&'static [&'static str]> {
    Some(match method {
        "getMe" | "getWebhookInfo" => &[],
        "getUpdates" => &["offset", "limit", "timeout", "allowed_updates"],
        "sendMessage" => &[
            "chat_id",
            "text",
            "parse_mode",
            "protect_content",
            "link_preview_options",
            "reply_markup",
        ],
        "sendPhoto" => &[
            "chat_id",
            "photo",
            "caption",
            "parse_mode",
            "protect_content",
            "reply_markup",
        ],
        "deleteMessage" => &["chat_id", "message_id"],
        "answerCallbackQuery" => &["callback_query_id", "text"],
        "editMessageReplyMarkup" => &["chat_id", "message_id", "reply_markup"],
        "setMyCommands" => &["commands", "scope", "language_code"],
        _ => return None,
    })
}

/// The parts of a form, as an object, and the picture.
fn form(headers: &HeaderMap, body: &[u8]) -> (Value, Option<Vec<u8>>) {
    let kind = headers["content-type"].to_str().unwrap();
    let boundary = format!("--{}", kind.split("boundary=").nth(1).unwrap().trim_matches('"'));
    let (mut object, mut photo) = (json!({}), None);
    let find = |text: &[u8], what: &[u8]| text.windows(what.len()).position(|window| window == what);
    let mut rest = body;
    while let Some(start) = find(rest, boundary.as_bytes()) {
        rest = &rest[start + boundary.len()..];
        let Some(head) = find(rest, b"\r\n\r\n") else { break };
        let end = find(rest, format!("\r\n{boundary}").as_bytes()).unwrap();
        let header = String::from_utf8_lossy(&rest[..head]).into_owned();
        let name = header
            .split("name=\"")
            .nth(1)
            .unwrap()
            .split('"')
            .next()
            .unwrap()
            .to_owned();
        let value = &rest[head + 4..end];
        if name == "photo" {
            photo = Some(value.to_vec());
            object["photo"] = true.into();
        } else {
            let text = String::from_utf8(value.to_vec()).unwrap();
            let typed = ["chat_id", "protect_content", "reply_markup"].contains(&name.as_str());
            object[&name] = if typed {
                serde_json::from_str(&text).unwrap()
            } else {
                text.into()
            };
        }
        rest = &rest[end..];
    }
    (object, photo)
}

/// The text behind markup, and what is wrong with the markup.
fn visible(html: &str) -> Result<String, String> {
    let (mut text, mut open, mut rest) = (String::new(), Vec::new(), html);
    while let Some(at) = rest.find(['<', '>', '&']) {
        text.push_str(&rest[..at]);
        rest = &rest[at..];
        if rest.starts_with('&') {
            let end = rest.find(';').ok_or("a bare &")?;
            if !["&amp;", "&lt;", "&gt;", "&quot;"].contains(&&rest[..=end]) {
                return Err(format!("{} is no entity", &rest[..=end]));
            }
            text.push('x');
            rest = &rest[end + 1..];
        } else if rest.starts_with('>') {
            return Err("a bare >".to_owned());
        } else {
            let end = rest.find('>').ok_or("a bare <")?;
            let tag = &rest[1..end];
            match tag.strip_prefix('/') {
                Some(tag) if open.pop() == Some(tag) => {}
                None if ["b", "code"].contains(&tag) => open.push(tag),
                _ => return Err(format!("<{tag}>")),
            }
            rest = &rest[end + 1..];
        }
    }
    text.push_str(rest);
    if open.is_empty() {
        Ok(text)
    } else {
        Err(format!("{open:?} not closed"))
    }
}

async fn answer(
    State(double): State<TelegramDouble>,
    Path((bot, method)): Path<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    if bot != format!("bot{TOKEN}") {
        return error(401, "Unauthorized", None);
    }
    let multipart = headers
        .get("content-type")
        .is_some_and(|kind| kind.to_str().unwrap().starts_with("multipart/"));
    let (body, photo) = if multipart {
        form(&headers, &body)
    } else {
        (serde_json::from_slice(&body).unwrap_or_default(), None)
    };
    if let Some(wrong) = wrong(&method, &body, photo.as_deref()) {
        double.lock().wrong.push(wrong.clone());
        return error(400, "Bad Request", None);
    }
    let fault = double.lock().faults.get_mut(&method).and_then(VecDeque::pop_front);
    if let Some(Fault::Error(status, description, retry)) = fault {
        return error(status, description, retry);
    }
    // Only what answers and tells: how often is asked for news, or when commands are registered, is no step of anything.
    let steps = [
        "sendMessage",
        "sendPhoto",
        "answerCallbackQuery",
        "editMessageReplyMarkup",
    ];
    let gate = double.lock().gate.clone().filter(|_| steps.contains(&method.as_str()));
    if let Some(gate) = &gate {
        gate.pass(&method).await;
    }
    let result = double.carry_out(&method, &body, photo).await;
    if let Some(gate) = &gate {
        gate.pass(&method).await;
    }
    if fault.is_some() {
        return (StatusCode::BAD_GATEWAY, "lost").into_response();
    }
    Json(json!({ "ok": true, "result": result })).into_response()
}

fn error(status: u16, description: &str, retry: Option<u64>) -> Response {
    let mut body = json!({ "ok": false, "error_code": status, "description": description });
    if let Some(seconds) = retry {
        body["parameters"] = json!({ "retry_after": seconds });
    }
    (StatusCode::from_u16(status).unwrap(), Json(body)).into_response()
}

fn wrong(method: &str, body: &Value, photo: Option<&[u8]>) -> Option<String> {
    let Some(known) = fields(method) else {
        return Some(format!("there is no {method}"));
    };
    let Some(object) = body.as_object() else {
        return Some(format!("{method}: no object"));
    };
    if let Some(field) = object.keys().find(|field| !known.contains(&field.as_str())) {
        return Some(format!("{method} takes no {field}"));
    }
    for (field, most) in [("text", 4096), ("caption", 1024)] {
        if method == "answerCallbackQuery" {
            continue;
        }
        if let Some(html) = body[field].as_str() {
            match visible(html) {
                Ok(text) if text.trim().is_empty() || text.encode_utf16().count() > most => {
                    return Some(format!("{field} of {} characters", text.chars().count()));
                }
                Ok(_) => {}
                Err(why) => return Some(format!("{why} in {html}")),
            }
        }
    }
    if method == "sendPhoto" && !photo.is_some_and(|png| png.starts_with(b"\x89PNG")) {
        return Some("no picture".to_owned());
    }
    buttons(body)
        .iter()
        .find(|(text, data)| {
            // What a button copies may be longer than what it sends.
            let most = if data.starts_with("http") { 256 } else { 64 };
            text.is_empty() || data.len() > most
        })
        .map(|button| format!("{button:?}"))
}

fn buttons(body: &Value) -> Vec<(String, String)> {
    let rows = body["reply_markup"]["inline_keyboard"].as_array().into_iter().flatten();
    let buttons = rows.flat_map(|row| row.as_array().unwrap());
    let text = |button: &Value, name: &str| button[name].as_str().unwrap_or_default().to_owned();
    let does = |button: &Value| match button.get("copy_text") {
        Some(copied) => text(copied, "text"),
        None => text(button, "callback_data"),
    };
    buttons.map(|button| (text(button, "text"), does(button))).collect()
}

impl TelegramDouble {
    async fn carry_out(&self, method: &str, body: &Value, photo: Option<Vec<u8>>) -> Value {
        match method {
            "getUpdates" => {
                return self
                    .updates(body["offset"].as_i64().unwrap(), body["timeout"].as_u64().unwrap())
                    .await;
            }
            "getWebhookInfo" => {
                let url = self.lock().webhook.clone();
                return json!({ "url": url, "has_custom_certificate": false, "pending_update_count": 0 });
            }
            "getMe" => return json!({ "id": 123_456, "is_bot": true, "first_name": "VPN", "username": "vpn_bot" }),
            _ => {}
        }
        let mut inner = self.lock();
        let result = match method {
            "sendMessage" | "sendPhoto" => {
                let message = i64::try_from(inner.said.len()).unwrap() + 100;
                let text = body["text"].as_str().or(body["caption"].as_str()).unwrap().to_owned();
                inner.said.push(Said {
                    chat: body["chat_id"].as_i64().unwrap(),
                    message,
                    text,
                    photo,
                    secret: body["protect_content"].as_bool().unwrap_or(false),
                    buttons: buttons(body),
                    at: Instant::now(),
                });
                json!({ "message_id": message, "date": 0, "chat": { "id": body["chat_id"], "type": "private" } })
            }
            "deleteMessage" => {
                inner
                    .deleted
                    .push((body["chat_id"].as_i64().unwrap(), body["message_id"].as_i64().unwrap()));
                json!(true)
            }
            "setMyCommands" => {
                inner.commands.push(body.clone());
                json!(true)
            }
            _ => {
                inner.pressed += 1;
                json!(true)
            }
        };
        drop(inner);
        self.news.notify_waiters();
        result
    }

    async fn updates(&self, offset: i64, wait: u64) -> Value {
        let until = Instant::now() + Duration::from_secs(wait);
        loop {
            let woken = self.news.notified();
            {
                let mut inner = self.lock();
                inner.confirmed = inner.confirmed.max(offset - 1);
                let confirmed = inner.confirmed;
                inner
                    .updates
                    .retain(|update| update["update_id"].as_i64().unwrap() > confirmed);
                if !inner.updates.is_empty() {
                    let updates: Vec<Value> = inner.updates.iter().take(100).cloned().collect();
                    for update in &updates {
                        let number = update["update_id"].as_i64().unwrap();
                        inner.handed.entry(number).or_insert_with(Instant::now);
                    }
                    return updates.into();
                }
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return json!([]);
            }
            let _ = tokio::time::timeout(left, woken).await;
        }
    }
}
