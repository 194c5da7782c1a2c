//! Asking Telegram what came, for as long as the process lives.

use std::{sync::Arc, time::Duration};

use super::{Bot, TelegramError, commands, queues::Queues};
use crate::store::StoreError;

/// Seconds that a question waits for an update.
const WAIT: u64 = 25;
/// Pause after a failure, and the longest one after many.
const PAUSE: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(60);

pub async fn run(bot: Arc<Bot>, queues: &Arc<Queues>) {
    begin(&bot, queues).await;
    match bot.memory.left().await {
        Ok(left) => {
            for update in left {
                take(&bot, queues, update).await;
            }
        }
        Err(error) => tracing::warn!(%error, "what the bot had not answered before the restart cannot be read"),
    }
    let mut failures = 0_u32;
    loop {
        match once(&bot, queues).await {
            Ok(()) => {
                if bot.standing.works() {
                    tracing::info!("the bot is connected again");
                }
                failures = 0;
            }
            Err(error) => {
                failures += 1;
                // Once for each kind of trouble: a network that is away for a night is not a thousand lines.
                if bot.standing.fails(&error.to_string()) {
                    tracing::warn!(%error, "the bot does not get its messages: trying again");
                }
                tokio::time::sleep(pause(&error, failures)).await;
            }
        }
    }
}

#[derive(Debug, thiserror::Error)]
enum PollError {
    #[error(transparent)]
    Telegram(#[from] TelegramError),
    #[error(transparent)]
    Memory(#[from] StoreError),
}

fn pause(error: &PollError, failures: u32) -> Duration {
    match error {
        PollError::Telegram(TelegramError::TooMany(seconds)) => Duration::from_secs((*seconds).min(3600)),
        PollError::Telegram(TelegramError::Conflict) => Duration::from_secs(5).min(LONGEST),
        PollError::Telegram(TelegramError::Unauthorized) => LONGEST,
        _ => (PAUSE * 2_u32.pow(failures.saturating_sub(1).min(6))).min(LONGEST),
    }
}

/// Waits until Telegram says who the bot is, then registers its commands.
async fn begin(bot: &Arc<Bot>, queues: &Queues) {
    let mut failures = 0;
    let me = loop {
        match bot.telegram.me().await {
            Ok(me) => break me,
            Err(error) => {
                failures += 1;
                if bot.standing.fails(&error.to_string()) {
                    tracing::warn!(%error, "the bot cannot begin yet: trying again");
                }
                tokio::time::sleep(pause(&error.into(), failures)).await;
            }
        }
    };
    tracing::info!(bot = %me.username, "the bot is connected");
    bot.standing.is_called(&me.username);
    // A bot that waits for its first message is as it should be.
    bot.standing.works();
    let bot = Arc::clone(bot);
    // Nobody has to wait for the list of commands.
    queues.beside(async move {
        if let Err(error) = commands::register(&bot).await {
            tracing::warn!(%error, "the commands of the bot are not registered: they work, and are not offered");
        }
    });
}

async fn once(bot: &Arc<Bot>, queues: &Arc<Queues>) -> Result<(), PollError> {
    // The number comes from the file: what is not durable is asked for again.
    let offset = bot.memory.offset().await?;
    let updates = bot.telegram.updates(offset, WAIT).await?;
    if updates.is_empty() {
        return Ok(());
    }
    for update in bot.memory.keep(updates).await? {
        take(bot, queues, update).await;
    }
    Ok(())
}

async fn take(bot: &Arc<Bot>, queues: &Arc<Queues>, update: super::Update) {
    let (id, account) = (update.id, update.account());
    let taken = account.is_some_and(|account| queues.push(bot, account, update));
    if taken {
        return;
    }
    if account.is_some() {
        tracing::debug!(update = id, "a chat sends more than is answered: passed over");
    }
    if let Err(error) = bot.memory.done(id).await {
        tracing::warn!(%error, "an update that is passed over could not be noted");
    }
}
