//! The Telegram bot: beside the operator, or as a process of its own.

use std::{path::Path, sync::Arc, time::Duration};

use axum::Router;
use tokio_util::sync::CancellationToken;
use url::Url;

use super::{
    super::surroundings,
    RunError, data_folder, listen,
    tasks::{Tasks, log_failure},
    tls,
};
use crate::{
    access::{Check, Health, ProcessChecks},
    api::client::{Client, InMemory, OverHttp},
    bot::{Bot, Settings, Standing, memory::Memory, seal::Seal},
    clock::{SharedClock, SystemClock},
    config::{BotConfig, Config, ConfigError},
    http::{self, Probes},
    metrics::{Listener, Metrics},
    serve::{Connections, Descriptors, serve},
};

/// The way in that the bot acts by.
const SOURCE: &str = "bot";
/// Longest that the operator may take to answer; longer than it waits for a notice.
const ANSWER: Duration = Duration::from_secs(60);
const CONNECT: Duration = Duration::from_secs(5);

/// What the process checks, and the bot where there is one.
pub fn checks(config: &Config, standing: &Arc<Standing>, process: ProcessChecks) -> ProcessChecks {
    if config.bot.is_none() {
        return process;
    }
    let standing = Arc::clone(standing);
    Arc::new(move || {
        let mut checks = process();
        checks.push(check(&standing));
        checks
    })
}

fn check(standing: &Standing) -> Check {
    let check = Check::warns_with(
        "telegram-bot",
        standing.trouble().into_iter().collect(),
        "until then nobody is answered in Telegram; everything else works",
    );
    match standing.name() {
        Some(name) => check.note(format!("@{name}")),
        None => check.note("Telegram was not reached yet"),
    }
}

/// Starts the bot beside the operator, which it asks in memory.
pub fn start(
    config: &Config,
    router: Router,
    standing: &Arc<Standing>,
    clock: &SharedClock,
    tasks: &mut Tasks,
) -> Result<(), RunError> {
    let Some(bot) = &config.bot else {
        tracing::info!("there is no bot: TELEGRAM_BOT_TOKEN is not set");
        return Ok(());
    };
    let Some(secret) = &config.secrets.corporate else {
        return Ok(());
    };
    let api = Client::new(InMemory::new(router), secret.value.clone(), SOURCE);
    let bot = make(bot, api, &config.state.data_dir, clock, standing)?;
    tasks.front("the bot", bot.run(tasks.front_token()));
    Ok(())
}

/// Runs the bot alone until `shutdown`, with probes at the address of the API.
pub async fn run(config: Config, shutdown: CancellationToken) -> Result<(), RunError> {
    let bot = config.bot.as_ref();
    let bot = bot.ok_or_else(|| {
        missing(
            "TELEGRAM_BOT_TOKEN",
            "the bot needs it: set it, or TELEGRAM_BOT_TOKEN_FILE",
        )
    })?;
    let api = api(&config)?;
    let _owner = data_folder::own(&config.state.data_dir)?;
    let probes_tls = tls(config.api_tls.as_ref())?;
    let probes_socket = listen(config.listen.api, "LISTEN_ADDR")?;
    let clock: SharedClock = Arc::new(SystemClock);
    let standing = Arc::new(Standing::default());
    let bot = make(bot, api, &config.state.data_dir, &clock, &standing)?;
    let mut tasks = Tasks::new();
    tasks.front("the bot", bot.run(tasks.front_token()));
    let (metrics, descriptors) = (Arc::new(Metrics::new()), Descriptors::raise());
    let connections = Connections::of(Listener::Api, descriptors, &metrics);
    let process = surroundings::checks(&config, descriptors);
    let health = move || {
        let mut checks = process();
        checks.push(check(&standing));
        Health {
            ready: standing.was_connected(),
            missing: "Telegram and the operator did not both answer yet",
            checks,
        }
    };
    let probes = http::probes(Probes {
        health: Arc::new(health),
        metrics,
    });
    let probes = serve(probes_socket, probes, probes_tls, connections, tasks.core_token());
    tasks.core("the probes", log_failure(probes));
    tracing::info!(probes = %config.listen.api, "running as a bot of its own");
    let ended = tasks.until(shutdown, async {}).await;
    tracing::info!("drained");
    ended.map_or(Ok(()), |name| Err(RunError::Ended(name)))
}

/// The operator's API for a bot of its own.
///
/// # Errors
/// A setting is missing, or no client can be made on this machine.
pub fn api(config: &Config) -> Result<Client, RunError> {
    let url = config.api_url.clone();
    let url = url.ok_or_else(|| missing("API_URL", "a bot of its own asks the operator there: give its URL"))?;
    let token = config.secrets.api_token.as_ref().or(config.secrets.corporate.as_ref());
    let token = token.ok_or_else(|| {
        missing(
            "API_TOKEN",
            "a bot of its own needs a token: give it one of API_CLIENTS with the role bot",
        )
    })?;
    Ok(Client::new(
        OverHttp::new(http(&url)?, url),
        token.value.clone(),
        SOURCE,
    ))
}

fn missing(name: &'static str, message: &str) -> ConfigError {
    ConfigError::Value {
        name,
        message: message.to_owned(),
    }
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

fn make(
    bot: &BotConfig,
    api: Client,
    folder: &Path,
    clock: &SharedClock,
    standing: &Arc<Standing>,
) -> Result<Arc<Bot>, RunError> {
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
    Bot::new(settings, api, memory, Arc::clone(standing)).map_err(|error| RunError::Bot(error.to_string()))
}
