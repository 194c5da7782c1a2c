//! How the bot is, for whoever asks at any time.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// How the bot is: what is in its way, and under which name it speaks.
#[derive(Debug, Default)]
pub struct Standing(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    name: Option<String>,
    trouble: Option<String>,
    connected: bool,
}

impl Standing {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes what Telegram calls the bot.
    pub(super) fn is_called(&self, name: &str) {
        self.state().name = Some(name.to_owned());
    }

    /// Notes that Telegram gives the bot its messages. Answers whether something was in the way before.
    pub(super) fn works(&self) -> bool {
        let mut state = self.state();
        state.connected = true;
        state.trouble.take().is_some()
    }

    /// Notes what is in the way. Answers whether that is new.
    pub(super) fn fails(&self, why: &str) -> bool {
        let mut state = self.state();
        let new = state.trouble.as_deref() != Some(why);
        if new {
            state.trouble = Some(why.to_owned());
        }
        new
    }

    /// What is in the way, for people. Without the token.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        self.state().trouble.clone()
    }

    /// What Telegram calls the bot, once it has said so.
    #[must_use]
    pub fn name(&self) -> Option<String> {
        self.state().name.clone()
    }

    /// Whether Telegram ever gave it its messages.
    #[must_use]
    pub fn was_connected(&self) -> bool {
        self.state().connected
    }
}
