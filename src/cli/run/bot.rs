//! The Telegram bot: beside the operator, or as a process of its own.

use std::{path::Path, sync::Arc, time::Duration};

use axum::Router;
use tokio_util::sync::CancellationToken;
use url::Url;

use super::{RunError, data_folder, tasks::Tasks};
use crate::{
    api::client::{Client, InMemory, OverHttp},
    bot::{Bot, Settings, memory::Memory, seal::Seal},
    clock::{SharedClock, SystemClock},
    config::{BotConfig, Config, ConfigError},
};

/// The way in that the bot acts by.
const SOURCE: &str = "bot";
/// Longest that the operator may take to answer; longer than it waits for a notice.
const ANSWER: Duration = Duration::from_secs(60);
const CONNECT: Duration = Duration::from_secs(5);

/// Starts the bot beside the operator, which it asks in memory.
pub fn start(config: &Config, router: Router, clock: &SharedClock, tasks: &mut Tasks) -> Result<(), RunError> {
    let Some(bot) = &config.bot else {
        tracing::info!("there is no bot: TELEGRAM_BOT_TOKEN is not set");
        return Ok(());
    };
    let Some(secret) = &config.secrets.corporate else {
        return Ok(());
    };
    let api = Client::new(InMemory::new(router), secret.value.clone(), SOURCE);
    let bot = make(bot, api, &config.state.data_dir, clock)?;
    tasks.front("the bot", bot.run(tasks.front_token()));
    Ok(())
}

/// Runs the bot alone until `shutdown`.
pub async fn run(config: Config, shutdown: CancellationToken) -> Result<(), RunError> {
    let missing = |name, message: &str| ConfigError::Value {
        name,
        message: message.to_owned(),
    };
    let bot = config.bot.as_ref();
    let bot = bot.ok_or_else(|| {
        missing(
            "TELEGRAM_BOT_TOKEN",
            "the bot needs it: set it, or TELEGRAM_BOT_TOKEN_FILE",
        )
    })?;
    let url = config.api_url.clone();
    let url = url.ok_or_else(|| missing("API_URL", "a bot of its own asks the operator there: give its URL"))?;
    let token = config.secrets.api_token.as_ref().or(config.secrets.corporate.as_ref());
    let token = token.ok_or_else(|| {
        missing(
            "API_TOKEN",
            "a bot of its own needs a token: give it one of API_CLIENTS with the role bot",
        )
    })?;
    let _owner = data_folder::own(&config.state.data_dir)?;
    let clock: SharedClock = Arc::new(SystemClock);
    let api = Client::new(OverHttp::new(http(&url)?, url), token.value.clone(), SOURCE);
    let bot = make(bot, api, &config.state.data_dir, &clock)?;
    let mut tasks = Tasks::new();
    tasks.front("the bot", bot.run(tasks.front_token()));
    let ended = tasks.until(shutdown, async {}).await;
    tracing::info!("drained");
    ended.map_or(Ok(()), |name| Err(RunError::Ended(name)))
}

fn http(url: &Url) -> Result<reqwest::Client, RunError> {
    let local = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
    if url.scheme() == "http" && !local {
        tracing::warn!("the bot's token travels unencrypted to the operator: use https, or a network of their own");
    }
    let client = reqwest::Client::builder()
        .connect_timeout(CONNECT)
        .timeout(ANSWER)
        // A redirect, or a proxy of the environment, would be given the token.
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .build();
    client.map_err(|error| RunError::Bot(error.without_url().to_string()))
}

fn make(bot: &BotConfig, api: Client, folder: &Path, clock: &SharedClock) -> Result<Arc<Bot>, RunError> {
    let settings = Settings {
        token: bot.token.clone(),
        server: bot.server.clone(),
        admins: bot.admins.clone(),
        helpdesk: bot.helpdesk.clone(),
        support: bot.support.clone(),
        delete_after: bot.delete_after,
    };
    let memory = Memory::open(folder, Seal::of_token(&bot.token), SharedClock::clone(clock));
    let memory = memory.map_err(|error| RunError::Bot(error.to_string()))?;
    Bot::new(settings, api, memory).map_err(|error| RunError::Bot(error.to_string()))
}
