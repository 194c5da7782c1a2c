//! What people do with their own access.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::{
    Answered, Bot, BotError, Talk,
    action::Action,
    memory::{Asking, Pressed},
    say,
};
use crate::{
    api::{
        access::{ConfigBody, RotateBody, RotateWhat},
        client::{ApiError, read},
        role::Role,
        telegram::{CodeAnswer, CodeRequest, LanguageRequest, LinkRequest, Linked, LinkedPerson},
    },
    model::corporate_id::CorporateId,
    texts::{self, Language, bytes, date},
};

/// Most characters below a picture, after Telegram has read the markup.
const CAPTION: usize = 1024;

/// Digits of a code, as the operator makes them.
const CODE_DIGITS: usize = 8;

impl Bot {
    /// Answers a text.
    pub(super) async fn text(&self, talk: &Talk, asking: Option<Asking>, text: &str) -> Answered {
        let Some(command) = text.strip_prefix('/') else {
            return match asking {
                Some(Asking::Id) => self.id(talk, text).await,
                // Who sees that the ID was wrong corrects it.
                Some(Asking::Code) if !is_code(text) && CorporateId::parse(text).is_ok() => self.id(talk, text).await,
                Some(Asking::Code) => self.code(talk, text).await,
                None => self.say(talk, "unknown", &[]).await,
            };
        };
        let (name, rest) = command.split_once(char::is_whitespace).unwrap_or((command, ""));
        let name = name.split('@').next().unwrap_or_default().to_ascii_lowercase();
        if asking.is_some() && name != "language" {
            self.memory.ask(talk.account(), None).await?;
        }
        match name.as_str() {
            "start" => self.start(talk).await,
            "get_config" => self.get_config(talk).await,
            "status" => self.status(talk).await,
            "rotate" => self.ask_oneself(talk, "rotate-ask", Action::Rotate).await,
            "unlink" => self.ask_oneself(talk, "unlink-ask", Action::Unlink).await,
            "language" => self.ask_language(talk).await,
            "help" => self.help(talk).await,
            name => self.desk(talk, name, rest.trim()).await,
        }
    }

    /// The person of this account; a refusal `not-linked` where there is none.
    async fn own(&self, talk: &Talk) -> Result<LinkedPerson, ApiError> {
        let account = talk.account().to_string();
        self.api(talk, Role::Bot)
            .get(&["telegram", "accounts", &account], &[])
            .await
    }

    async fn start(&self, talk: &Talk) -> Answered {
        match self.own(talk).await {
            Ok(person) if person.granted => {
                self.say(talk, "already-linked", &[("id", person.corporate_id.into())])
                    .await
            }
            Ok(person) => self.say_denied(talk, &person.reason).await,
            Err(error) if error.is("not-linked") => {
                self.memory.ask(talk.account(), Some(Asking::Id)).await?;
                self.say(talk, "ask-id", &[]).await
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn id(&self, talk: &Talk, text: &str) -> Answered {
        let Ok(id) = CorporateId::parse(text) else {
            return self.say(talk, "bad-id", &[]).await;
        };
        let account = talk.account().to_string();
        let request = CodeRequest {
            corporate_id: id.to_string(),
            chat: talk.account(),
            language: talk.language.code().to_owned(),
        };
        let path = ["telegram", "accounts", &account, "code"];
        let answer: CodeAnswer = self.api(talk, Role::Bot).post(&path, &request).await?;
        self.memory.ask(talk.account(), Some(Asking::Code)).await?;
        let id = ("id", id.to_string().into());
        if answer.by_mail {
            let minutes = ("minutes", answer.valid_seconds.div_ceil(60).into());
            self.say(talk, "code-sent", &[id, minutes]).await
        } else {
            self.say(
                talk,
                "code-ask-helpdesk",
                &[id, ("contact", self.contact(talk.language))],
            )
            .await
        }
    }

    async fn code(&self, talk: &Talk, text: &str) -> Answered {
        // An answer that a restart cut off: what was linked then is said now.
        if let Ok(person) = self.own(talk).await {
            self.say(talk, "linked", &[("id", person.corporate_id.into())]).await?;
            return Ok(self.memory.ask(talk.account(), None).await?);
        }
        let account = talk.account().to_string();
        let request = LinkRequest {
            chat: talk.account(),
            code: text.chars().take(64).collect(),
            name: Some(talk.person.name.clone()).filter(|name| !name.is_empty()),
        };
        let path = ["telegram", "accounts", &account, "link"];
        match self.api(talk, Role::Bot).post::<Linked>(&path, &request).await {
            Ok(linked) => {
                let key = if linked.replaced { "linked-replaced" } else { "linked" };
                self.say(talk, key, &[("id", linked.corporate_id.into())]).await?;
                // Only now: after a kill before, the code is still what was asked for, and the answer to it is said again.
                Ok(self.memory.ask(talk.account(), None).await?)
            }
            Err(error) if error.is("wrong-code") => self.say(talk, "wrong-code", &[]).await,
            Err(error) => Err(error.into()),
        }
    }

    async fn get_config(&self, talk: &Talk) -> Answered {
        let account = talk.account().to_string();
        let path = ["telegram", "accounts", &account, "config"];
        let answer = self
            .api(talk, Role::Bot)
            .send(Method::GET, &path, &[], None::<&()>)
            .await?;
        let access = read::<ConfigBody>(&answer.body).ok();
        let Some(access) = access.filter(|_| answer.status == StatusCode::OK) else {
            return self.say(talk, "config-later", &[]).await;
        };
        let minutes = self.settings.delete_after.as_secs().div_ceil(60);
        let text = talk.html(
            "config",
            &[
                ("link", access.hy2_url.as_str().into()),
                ("subscription", access.subscription_url.as_str().into()),
                ("minutes", minutes.into()),
            ],
        );
        let open = texts::plain(talk.language, "button-open-subscription", &[]);
        // Telegram takes no buttons to hosts that only this network knows.
        let markup = if access.subscription_url.starts_with("https://") {
            json!({ "inline_keyboard": [[{ "text": open, "url": access.subscription_url }]] })
        } else {
            Value::Null
        };
        let picture = access.qr_code.rsplit(',').next().unwrap_or_default();
        let picture = STANDARD.decode(picture).unwrap_or_default();
        let chat = talk.account();
        if picture.is_empty() {
            let message = self.send(chat, &text, &markup, true).await?;
            return self.forget_later(chat, message).await;
        }
        if text.chars().count() <= CAPTION {
            let message = self.send_photo(chat, &picture, &text, &markup).await?;
            return self.forget_later(chat, message).await;
        }
        let message = self
            .send_photo(chat, &picture, &talk.html("config-picture", &[]), &Value::Null)
            .await?;
        self.forget_later(chat, message).await?;
        let message = self.send(chat, &text, &markup, true).await?;
        self.forget_later(chat, message).await
    }

    async fn status(&self, talk: &Talk) -> Answered {
        let person = self.own(talk).await?;
        if !person.granted && matches!(person.reason.as_str(), "Held" | "Inactive" | "Deleted") {
            return self.say_denied(talk, &person.reason).await;
        }
        self.say_html(talk, &status(talk, person)).await
    }

    /// Asks before something that cannot be taken back.
    async fn ask_oneself(&self, talk: &Talk, key: &str, action: Action) -> Answered {
        let person = self.own(talk).await?;
        if !person.granted && action == Action::Rotate {
            return self.say_denied(talk, &person.reason).await;
        }
        let text = talk.html(key, &[("id", person.corporate_id.into())]);
        self.confirm(talk, &text, &action).await
    }

    async fn ask_language(&self, talk: &Talk) -> Answered {
        let name = |language| texts::plain(language, "language-name", &[]);
        let choice = Language::ALL.map(|language| (name(language), format!("l:{}", language.code())));
        let text = talk.html("language-ask", &[]);
        self.send(talk.account(), &text, &say::buttons(&choice), false).await?;
        Ok(())
    }

    async fn help(&self, talk: &Talk) -> Answered {
        let mut parts = vec![talk.html("help", &[])];
        if talk.role.is_some() {
            parts.push(talk.html("desk-help", &[]));
        }
        if talk.role == Some(Role::Admin) {
            parts.push(talk.html("admin-help", &[]));
        }
        if let Some(whom) = self.settings.support.as_deref() {
            parts.push(talk.html("help-contact", &[("whom", whom.into())]));
        }
        self.say_html(talk, &parts.join("\n\n")).await
    }

    /// Answers a button.
    pub(super) async fn button(&self, talk: &Talk, query: &str, data: &str, message: i64) -> Answered {
        // That the waiting ends is a courtesy: what was pressed counts anyway.
        let courtesy = self.telegram.pressed(query, "");
        match data.split_once(':') {
            Some(("l", tag)) => {
                let _ = courtesy.await;
                match Language::of(tag) {
                    Some(language) => self.set_language(talk, language).await,
                    None => Ok(()),
                }
            }
            Some(("g", word)) => {
                let _ = courtesy.await;
                self.guard_button(talk, word).await
            }
            Some((word @ ("y" | "n"), nonce)) => {
                // It is gone before anything is done: however often it comes, it counts once.
                let pressed = self.memory.press(talk.account(), nonce, talk.update).await?;
                let work = async {
                    match pressed {
                        Pressed::Nothing => self.say(talk, "button-old", &[]).await,
                        Pressed::Interrupted | Pressed::Action(_) if word == "n" => {
                            self.say(talk, "cancelled", &[]).await
                        }
                        // A kill came between: it is not done a second time, and nothing is said that may not be so.
                        Pressed::Interrupted => self.say(talk, "button-interrupted", &[]).await,
                        Pressed::Action(action) => self.act(talk, action).await,
                    }
                };
                let tidy = async {
                    let _ = courtesy.await;
                    let _ = self.telegram.without_buttons(talk.account(), message).await;
                };
                tokio::join!(work, tidy).0
            }
            _ => {
                let _ = courtesy.await;
                self.say(talk, "button-old", &[]).await
            }
        }
    }

    async fn set_language(&self, talk: &Talk, language: Language) -> Answered {
        self.memory.speak(talk.account(), language).await?;
        let account = talk.account().to_string();
        let request = LanguageRequest {
            language: language.code().to_owned(),
        };
        let path = ["telegram", "accounts", &account, "language"];
        match self
            .api(talk, Role::Bot)
            .send(Method::PUT, &path, &[], Some(&request))
            .await
        {
            Err(error) if !error.is("not-linked") => return Err(error.into()),
            Ok(_) | Err(_) => {}
        }
        let talk = Talk {
            language,
            ..talk.clone()
        };
        self.say(&talk, "language-set", &[]).await
    }

    pub(super) async fn rotate(&self, talk: &Talk) -> Answered {
        let account = talk.account().to_string();
        let path = ["telegram", "accounts", &account, "rotate"];
        let what = RotateBody { what: RotateWhat::Both };
        self.api(talk, Role::Bot)
            .send(Method::POST, &path, &[], Some(&what))
            .await?;
        self.say(talk, "rotate-done", &[]).await
    }

    pub(super) async fn unlink(&self, talk: &Talk) -> Result<(), BotError> {
        let account = talk.account().to_string();
        let path = ["telegram", "accounts", &account, "link"];
        self.api(talk, Role::Bot)
            .send(Method::DELETE, &path, &[], None::<&()>)
            .await?;
        self.say(talk, "unlinked", &[]).await
    }
}

fn status(talk: &Talk, person: LinkedPerson) -> String {
    let language = talk.language;
    let mut lines = vec![if person.granted {
        talk.html("status-granted", &[("id", person.corporate_id.into())])
    } else {
        let reason = say::reason(language, &person.reason);
        talk.html(
            "status-denied",
            &[("id", person.corporate_id.into()), ("reason", reason.into())],
        )
    }];
    let mut at = |key: &str, time: Option<jiff::Timestamp>| {
        lines.extend(time.map(|time| talk.html(key, &[("date", date(language, time).into())])));
    };
    at("status-from", person.valid_from.filter(|_| !person.granted));
    at("status-until", person.valid_until);
    let number = |number: u32| u64::from(number).into();
    match (person.devices, person.max_devices) {
        (Some(count), Some(max)) => {
            lines.push(talk.html("status-devices-of", &[("count", number(count)), ("max", number(max))]));
        }
        (Some(count), None) => lines.push(talk.html("status-devices", &[("count", number(count))])),
        (None, _) => {}
    }
    match (person.used_bytes, person.limit_bytes) {
        (Some(used), Some(limit)) => {
            let amount = |amount| bytes(language, amount).into();
            let left = amount(limit.saturating_sub(used));
            let args = [("used", amount(used)), ("limit", amount(limit)), ("left", left)];
            lines.push(talk.html("status-used-of", &args));
        }
        (Some(used), None) => lines.push(talk.html("status-used", &[("used", bytes(language, used).into())])),
        (None, _) => {}
    }
    lines.extend(
        person
            .resets_at
            .map(|time| talk.html("status-resets", &[("date", date(language, time).into())])),
    );
    for hold in person.holds {
        let source = ("source", hold.source.into());
        lines.push(match hold.until {
            Some(until) => talk.html("status-hold-until", &[source, ("date", date(language, until).into())]),
            None => talk.html("status-hold", &[source]),
        });
    }
    say::fit(lines, "…")
}

/// Whether that is written as codes are: eight digits, with whatever a person puts between them.
fn is_code(text: &str) -> bool {
    let rest: Vec<char> = text.chars().filter(|c| !c.is_whitespace() && *c != '-').collect();
    rest.len() == CODE_DIGITS && rest.iter().all(char::is_ascii_digit)
}
