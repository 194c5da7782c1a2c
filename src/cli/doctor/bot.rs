//! The Telegram bot: its token, the way to Telegram, and for a bot of its own the way to the operator.
//!
//! Whether another process polls with the same token only the one knows that polls: it says so among the operator's checks. Asking
//! here would take the messages away from it.

use std::time::Duration;

use super::Finding;
use crate::{
    api::{client::ApiError, role::Role, telegram::Notices},
    bot::{Telegram, TelegramError},
    cli::run::bot_api,
    config::{BotConfig, Config},
};

const NAME: &str = "telegram";
const OPERATOR: &str = "operator of the bot";
const TIMEOUT: Duration = Duration::from_secs(10);

/// Nothing is said where there is no bot.
pub(super) async fn look(config: &Config) -> Vec<Finding> {
    let Some(bot) = &config.bot else {
        return Vec::new();
    };
    let (telegram, operator) = tokio::join!(telegram(bot), operator(config));
    std::iter::once(telegram).chain(operator).collect()
}

async fn telegram(bot: &BotConfig) -> Finding {
    let server = bot.server.host_str().unwrap_or_default();
    let asked = async {
        let telegram = Telegram::new(bot.server.clone(), bot.token.clone())?;
        Ok((telegram.me().await?, telegram.has_webhook().await?))
    };
    let asked = tokio::time::timeout(TIMEOUT, asked).await;
    match asked.unwrap_or_else(|_| Err(TelegramError::Unreachable(format!("no answer within {TIMEOUT:?}")))) {
        Ok((me, true)) => Finding::failed(
            NAME,
            format!(
                "@{} has a webhook: Telegram sends its messages there, and gives none to the operator",
                me.username
            ),
            "remove it with the method deleteWebhook of the Bot API, or give the operator a bot of its own",
        ),
        Ok((me, false)) if bot.admins.is_empty() => Finding::warning(
            NAME,
            format!("@{} answers at {server}, and nobody is an admin", me.username),
            "name one in ADMIN_TELEGRAM_IDS: otherwise nobody is told when the guard holds something back",
        ),
        Ok((me, false)) => {
            let (admins, desk) = (bot.admins.len(), bot.helpdesk.len());
            let message = format!(
                "@{} answers at {server}; admins: {admins}, help desk: {desk}",
                me.username
            );
            Finding::ok(NAME, message)
        }
        Err(error) => Finding::failed(NAME, format!("{server}: {error}"), advice(&error)),
    }
}

const fn advice(error: &TelegramError) -> &'static str {
    match error {
        TelegramError::Unauthorized => "until then nobody is answered in Telegram; everything else works",
        TelegramError::Unreachable(_) | TelegramError::Unclear(_) => {
            "let this machine reach it by HTTPS, or name another server of the Bot API in TELEGRAM_API_URL"
        }
        _ => "try again; until then nobody is answered in Telegram",
    }
}

/// The operator that a bot of its own asks. Nothing is said where the bot runs beside it.
async fn operator(config: &Config) -> Option<Finding> {
    let url = config.api_url.as_ref()?;
    let shown = url.host_str().unwrap_or_default();
    let api = match bot_api(config) {
        Ok(api) => api.acting("doctor", Some(Role::Bot)),
        Err(error) => {
            return Some(Finding::failed(
                OPERATOR,
                error.to_string(),
                "correct API_URL and API_TOKEN",
            ));
        }
    };
    let at_once = [("wait", "0".to_owned())];
    let asked = api.get::<Notices>(&["telegram", "notices"], &at_once);
    let asked = tokio::time::timeout(TIMEOUT, asked).await;
    let asked = asked.unwrap_or_else(|_| Err(ApiError::Unreachable(format!("no answer within {TIMEOUT:?}"))));
    Some(match asked {
        Ok(_) => Finding::ok(OPERATOR, format!("{shown} answers, and takes the token")),
        Err(ApiError::Refused(refusal)) if !refusal.status.is_server_error() => Finding::failed(
            OPERATOR,
            format!("{shown} refuses: {refusal}"),
            "give API_TOKEN the token of a client with the role bot in the operator's API_CLIENTS",
        ),
        Err(error) => Finding::failed(
            OPERATOR,
            format!("{shown}: {error}"),
            "correct API_URL; does the operator run?",
        ),
    })
}
