//! The Telegram bot: what people do with their own access, and what admins and the help desk do every day.
//!
//! A client of the API and nothing more: it decides nothing about access. It is spoken to in private chats alone. What came is
//! durable in [`memory`] before Telegram is told so; each chat has a queue of its own, so that none waits for another.

pub mod action;
mod commands;
mod desk;
mod guard;
mod handover;
pub mod memory;
mod notices;
mod orders;
pub mod pace;
mod person;
mod poll;
mod queues;
mod say;
pub mod seal;
mod standing;
pub mod telegram;

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use jiff::SignedDuration;
use secrecy::SecretString;
use tokio_util::sync::CancellationToken;
use url::Url;

use self::{
    memory::Memory,
    pace::Pace,
    queues::Queues,
    telegram::types::{Incoming, Person, Update},
};
pub use self::{
    standing::Standing,
    telegram::{Telegram, TelegramError},
};
use crate::{
    api::{
        client::{ApiError, Client},
        role::Role,
        telegram::Notices,
    },
    store::StoreError,
    texts::{self, Arg, Language},
};

/// Pause after a first failed attempt to reach the operator at the start; it doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// Longest such pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Settings of the bot.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The token.
    pub token: SecretString,
    /// The server of the Bot API.
    pub server: Url,
    /// Accounts of the admins.
    pub admins: BTreeSet<i64>,
    /// Accounts of the help desk.
    pub helpdesk: BTreeSet<i64>,
    /// Whom people may ask.
    pub support: Option<String>,
    /// After how long messages with secrets are deleted.
    pub delete_after: Duration,
}

impl Settings {
    /// What an account may do for others.
    #[must_use]
    pub fn role(&self, account: i64) -> Option<Role> {
        if self.admins.contains(&account) {
            Some(Role::Admin)
        } else {
            self.helpdesk.contains(&account).then_some(Role::Helpdesk)
        }
    }

    fn delete_after(&self) -> SignedDuration {
        SignedDuration::try_from(self.delete_after).unwrap_or(SignedDuration::from_mins(10))
    }
}

/// Why an update was not answered. It is tried no second time: whoever wrote it is told, and may write again.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BotError {
    /// The bot's own file.
    #[error(transparent)]
    Memory(#[from] StoreError),
    /// Telegram.
    #[error(transparent)]
    Telegram(#[from] TelegramError),
    /// The operator.
    #[error(transparent)]
    Api(#[from] ApiError),
}

type Answered = Result<(), BotError>;

/// The bot.
pub struct Bot {
    settings: Settings,
    api: Client,
    telegram: Telegram,
    memory: Memory,
    pace: Pace,
    standing: Arc<Standing>,
}

/// Most characters of a name that the operator keeps.
const NAME: usize = 64;

/// How an account is named to the operator: by its number, which nobody chooses, and by what Telegram calls it, as far as there is
/// room. Nothing in a name can look as if it were the end of it.
fn named(person: &Person) -> String {
    let account = format!("telegram:{}", person.account);
    let plain = |c: &char| {
        !c.is_control()
            && !matches!(c, '(' | ')' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let name: String = person.name.chars().filter(plain).collect();
    let name = name.trim();
    let room = NAME.saturating_sub(account.chars().count() + " ()".len());
    if name.is_empty() {
        account
    } else if name.chars().count() <= room {
        format!("{account} ({name})")
    } else {
        let cut: String = name.chars().take(room.saturating_sub(1)).collect();
        format!("{account} ({}…)", cut.trim_end())
    }
}

/// A person who wrote, and how to speak to them.
#[derive(Clone)]
struct Talk {
    person: Person,
    language: Language,
    role: Option<Role>,
    /// The update that is answered.
    update: i64,
}

impl Talk {
    fn account(&self) -> i64 {
        self.person.account
    }

    /// What the request is called that an update makes: the same when the update is answered again.
    fn request(&self) -> String {
        format!("telegram-{}", self.update)
    }

    fn html(&self, key: &str, args: &[(&str, Arg<'_>)]) -> String {
        texts::html(self.language, key, args)
    }
}

impl Bot {
    /// A bot that asks the operator by `api`, and notes in `standing` how it is.
    ///
    /// # Errors
    /// No HTTP client can be made on this machine.
    pub fn new(
        settings: Settings,
        api: Client,
        memory: Memory,
        standing: Arc<Standing>,
    ) -> Result<Arc<Self>, TelegramError> {
        Ok(Arc::new(Self {
            telegram: Telegram::new(settings.server.clone(), settings.token.clone())?,
            settings,
            api,
            memory,
            pace: Pace::default(),
            standing,
        }))
    }

    /// Polls, answers, tells and deletes until `cancel`. Nothing that Telegram or the operator does ends it before.
    pub async fn run(self: Arc<Self>, cancel: CancellationToken) {
        let queues = Arc::new(Queues::default());
        let speaks = async {
            self.until_answered().await;
            tokio::join!(poll::run(Arc::clone(&self), &queues), notices::run(Arc::clone(&self)))
        };
        // Messages with secrets are deleted in time, whoever answers or does not.
        let works = async { tokio::join!(speaks, say::delete_due(Arc::clone(&self))) };
        cancel.run_until_cancelled(works).await;
        queues.end().await;
    }

    /// Waits until the operator answers: messages are kept by Telegram meanwhile, and nobody is told to try again.
    async fn until_answered(&self) {
        let api = self.api.acting("bot", Some(Role::Bot));
        let mut pause = FIRST_PAUSE;
        loop {
            let asked = api
                .get::<Notices>(&["telegram", "notices"], &[("wait", "0".to_owned())])
                .await;
            let waits = match &asked {
                Err(ApiError::Refused(refusal)) => refusal.status.is_server_error(),
                Err(ApiError::Unreachable(_)) => true,
                _ => false,
            };
            let Some(why) = asked.err().filter(|_| waits) else {
                return;
            };
            self.standing.fails(&format!("it waits for the operator: {why}"));
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// The API in the name of whoever wrote: with their role for others, or for their own access.
    fn api(&self, talk: &Talk, role: Role) -> Client {
        self.api.acting(&named(&talk.person), Some(role))
    }

    /// Answers one update.
    async fn answer(&self, update: &Update) {
        let person = match &update.what {
            Incoming::Text { person, .. } | Incoming::Button { person, .. } => person.clone(),
            Incoming::Other => return,
        };
        let (chosen, trouble) = match self.memory.chat(person.account).await {
            Ok(chosen) => (chosen, None),
            Err(error) => (Default::default(), Some(error)),
        };
        let (asking, language) = chosen;
        let own = person.language.as_deref().and_then(Language::of);
        let talk = Talk {
            language: language.or(own).unwrap_or_default(),
            role: self.settings.role(person.account),
            update: update.id,
            person,
        };
        // What was asked before is not known: the answer to it is not to be taken for something else.
        if let Some(error) = trouble {
            return self.failed(&talk, &error.into()).await;
        }
        let answered = match &update.what {
            Incoming::Text { text, forwarded, .. } if !forwarded => self.text(&talk, asking, text.trim()).await,
            Incoming::Button {
                query, data, message, ..
            } => self.button(&talk, query, data, *message).await,
            Incoming::Text { .. } | Incoming::Other => self.say(&talk, "unknown", &[]).await,
        };
        if let Err(error) = answered {
            self.failed(&talk, &error).await;
        }
    }

    async fn failed(&self, talk: &Talk, error: &BotError) {
        let said = match error {
            BotError::Api(ApiError::Refused(refusal)) if refusal.kind == "not-linked" => {
                self.say(talk, "not-linked", &[]).await
            }
            BotError::Api(ApiError::Refused(refusal)) if refusal.kind == "locked" => {
                let minutes = refusal.retry_after.unwrap_or(60).div_ceil(60);
                self.say(talk, "locked", &[("minutes", minutes.into())]).await
            }
            BotError::Api(ApiError::Refused(refusal)) if refusal.reason.is_some() => {
                let reason = refusal.reason.clone().unwrap_or_default();
                self.say_denied(talk, &reason).await
            }
            BotError::Api(ApiError::Refused(refusal)) if !refusal.status.is_server_error() && talk.role.is_some() => {
                let why: String = refusal.detail.chars().take(1000).collect();
                self.say(talk, "refused", &[("why", why.into())]).await
            }
            // Whoever cannot be reached cannot be told so either; what may have come is not followed by an excuse.
            BotError::Telegram(error) => {
                if *error != TelegramError::Blocked {
                    tracing::warn!(%error, update = talk.update, "an answer of the bot did not surely go out");
                }
                Ok(())
            }
            error => {
                tracing::warn!(%error, update = talk.update, "a message to the bot was not answered");
                self.say(talk, "try-later", &[]).await
            }
        };
        if let Err(error) = said {
            tracing::debug!(%error, "and the person could not be told");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(name: &str) -> String {
        named(&Person {
            account: 123_456_789_012,
            name: name.to_owned(),
            language: None,
        })
    }

    #[test]
    fn a_name_however_long_keeps_the_account_whole_and_ends_as_names_do() {
        assert_eq!(name("@anna"), "telegram:123456789012 (@anna)");
        assert_eq!(name(" \n"), "telegram:123456789012");
        let long = name(&"й ".repeat(100));
        assert!(
            long.starts_with("telegram:123456789012 (й й") && long.ends_with("й…)"),
            "{long}"
        );
        assert!((NAME - 1..=NAME).contains(&long.chars().count()), "{long}");
        let most = NAME - "telegram:123456789012 ()".len();
        assert!(name(&"x".repeat(most)).ends_with("xx)"));
        assert!(name(&"x".repeat(most + 1)).ends_with("x…)"));
    }

    #[test]
    fn a_name_cannot_pass_for_another_account() {
        assert_eq!(
            name("x) telegram:7 (Admin\u{202e}"),
            "telegram:123456789012 (x telegram:7 Admin)"
        );
    }
}
