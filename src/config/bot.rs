//! Settings of the Telegram bot.

use std::{collections::BTreeSet, time::Duration};

use clap::Args;
use secrecy::ExposeSecret as _;
use url::Url;

use super::{ConfigError, Secrets, values};

/// Where the Bot API is when nothing else is said.
const SERVER: &str = "https://api.telegram.org";

/// The Telegram bot. Its token comes from the environment: `TELEGRAM_BOT_TOKEN`.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Telegram bot")]
pub struct Bot {
    /// Another server of the Bot API
    #[arg(long, env = "TELEGRAM_API_URL", value_name = "URL")]
    pub telegram_api_url: Option<String>,
    /// The operator that a bot of its own asks (`--components bot`). Its token comes from the environment: `API_TOKEN`
    #[arg(long, env = "API_URL", value_name = "URL")]
    pub api_url: Option<String>,
    /// Telegram accounts of the admins: numbers, separated by commas
    #[arg(long, env = "ADMIN_TELEGRAM_IDS", value_name = "NUMBERS")]
    pub admin_telegram_ids: Option<String>,
    /// Telegram accounts of the help desk: numbers, separated by commas
    #[arg(long, env = "HELPDESK_TELEGRAM_IDS", value_name = "NUMBERS")]
    pub helpdesk_telegram_ids: Option<String>,
    /// Whom people may ask, as the bot and the page of a subscription name it, like `@vpn_help` or an address
    #[arg(long, env = "SUPPORT_CONTACT", value_name = "WORDS")]
    pub support_contact: Option<String>,
    /// After how long messages with links, codes and pictures are deleted
    #[arg(long, env = "BOT_DELETE_AFTER", value_name = "TIME", default_value = "10m", value_parser = delete_after)]
    pub bot_delete_after: Duration,
}

/// The settings of a bot that runs.
#[derive(Debug, Clone)]
pub struct BotConfig {
    /// The token.
    pub token: secrecy::SecretString,
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

impl Bot {
    /// Whom people may ask.
    pub(super) fn support(&self) -> Option<String> {
        let words = self.support_contact.as_deref().map(str::trim);
        let words = words.filter(|words| !words.is_empty());
        words.map(|words| words.chars().take(200).collect())
    }

    /// The operator that a bot of its own asks.
    pub(super) fn api_url(&self) -> Result<Option<Url>, ConfigError> {
        let given = self.api_url.as_deref().filter(|url| !url.is_empty());
        let read = |url: &str| {
            Url::parse(url)
                .ok()
                .filter(|url| matches!(url.scheme(), "http" | "https"))
        };
        given
            .map(|url| read(url).ok_or_else(|| wrong("API_URL", "give a URL, like https://vpn.example.com")))
            .transpose()
    }

    /// The bot that is configured; `None` without a token.
    pub(super) fn check(self, secrets: &Secrets) -> Result<Option<BotConfig>, ConfigError> {
        let support = self.support();
        let given = |text: Option<String>| text.filter(|text| !text.trim().is_empty());
        let admins = accounts("ADMIN_TELEGRAM_IDS", given(self.admin_telegram_ids))?;
        let helpdesk = accounts("HELPDESK_TELEGRAM_IDS", given(self.helpdesk_telegram_ids))?;
        let server = given(self.telegram_api_url).unwrap_or_else(|| SERVER.to_owned());
        let server = Url::parse(&server)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https"));
        let server = server.ok_or_else(|| wrong("TELEGRAM_API_URL", "give a URL, like https://api.telegram.org"))?;
        let Some(token) = &secrets.bot_token else {
            return Ok(None);
        };
        if !is_token(token.value.expose_secret()) {
            return Err(wrong(
                "TELEGRAM_BOT_TOKEN",
                "a token of a bot is a number, a colon, and letters, digits, '-' and '_': give the one that @BotFather gave",
            ));
        }
        Ok(Some(BotConfig {
            token: token.value.clone(),
            server,
            admins,
            helpdesk,
            support,
            delete_after: self.bot_delete_after,
        }))
    }
}

fn wrong(name: &'static str, message: &str) -> ConfigError {
    ConfigError::Value {
        name,
        message: message.to_owned(),
    }
}

fn is_token(token: &str) -> bool {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    token.split_once(':').is_some_and(|(number, secret)| {
        !number.is_empty()
            && number.bytes().all(|byte| byte.is_ascii_digit())
            && !secret.is_empty()
            && secret.bytes().all(good)
    })
}

fn accounts(name: &'static str, list: Option<String>) -> Result<BTreeSet<i64>, ConfigError> {
    let list = list.unwrap_or_default();
    let parts = list.split([',', ' ']).map(str::trim).filter(|part| !part.is_empty());
    let number = |part: &str| part.parse::<i64>().ok().filter(|account| *account > 0);
    parts
        .map(|part| {
            number(part).ok_or_else(|| {
                wrong(
                    name,
                    "give numbers of Telegram accounts, separated by commas: @userinfobot tells them",
                )
            })
        })
        .collect()
}

fn delete_after(text: &str) -> Result<Duration, String> {
    values::duration(text).and_then(|span| {
        // Telegram deletes nothing that is older than 48 hours.
        if (Duration::from_secs(1)..=Duration::from_secs(47 * 3600)).contains(&span) {
            Ok(span)
        } else {
            Err("give a time between 1s and 47h".to_owned())
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_and_accounts_are_read_and_everything_else_is_refused() {
        assert!(is_token("123:AbC-d_e") && !is_token("123:a/b") && !is_token("abc:def") && !is_token("123"));
        let read = accounts("ADMIN_TELEGRAM_IDS", Some("42, 43,".to_owned())).unwrap();
        assert_eq!(read.into_iter().collect::<Vec<_>>(), [42, 43]);
        for wrong in ["-5", "@anna", "4x"] {
            assert!(
                accounts("ADMIN_TELEGRAM_IDS", Some(wrong.to_owned())).is_err(),
                "{wrong}"
            );
        }
    }
}
