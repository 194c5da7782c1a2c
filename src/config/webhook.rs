//! Settings of the webhook for events of the HR system.

use clap::{Args, builder::BoolishValueParser};
use jiff::tz::TimeZone;

use super::{ConfigError, Secrets};
use crate::inbox::signature::{Keys, SecretError};

/// How events of the HR system are taken. Their secrets come from the environment: `WEBHOOK_SECRETS` and `WEBHOOK_SECRET`.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Events of the HR system")]
pub struct Webhook {
    /// Take events without a signature. Whoever reaches the port can then lock people out, and let back in whom HR locked out
    #[arg(
        long = "webhook-allow-unsigned",
        env = "WEBHOOK_ALLOW_UNSIGNED",
        value_parser = BoolishValueParser::new(),
        action = clap::ArgAction::SetTrue
    )]
    pub allow_unsigned: bool,
    /// Time zone of times without an offset in events, and of days alone: such a day begins at its first moment there
    #[arg(long = "hr-time-zone", env = "HR_TIME_ZONE", value_name = "ZONE", default_value = "UTC", value_parser = time_zone)]
    pub time_zone: TimeZone,
}

fn time_zone(name: &str) -> Result<TimeZone, String> {
    TimeZone::get(name).map_err(|_| "give a time zone of the IANA database, like Europe/Berlin".to_owned())
}

/// How events of the HR system are taken, checked.
#[derive(Debug, Clone)]
pub struct WebhookConfig {
    /// The secrets of the senders.
    pub keys: Keys,
    /// Events without a signature are taken.
    pub allow_unsigned: bool,
    /// Where a day begins that is said without a time.
    pub time_zone: TimeZone,
}

impl Webhook {
    pub(super) fn check(self, secrets: &Secrets) -> Result<WebhookConfig, ConfigError> {
        let value = |name, message: String| ConfigError::Value { name, message };
        let wrong = |name| move |error: SecretError| value(name, error.to_string());
        let list = secrets.webhook_secrets.as_ref().map(|secret| &secret.value);
        let single = secrets.webhook_secret.as_ref().map(|secret| &secret.value);
        // Each by itself, so that the message names the right one.
        Keys::read(list, None).map_err(wrong("WEBHOOK_SECRETS"))?;
        let keys = Keys::read(list, single).map_err(wrong("WEBHOOK_SECRET"))?;
        if self.allow_unsigned && !keys.is_empty() {
            return Err(value(
                "WEBHOOK_ALLOW_UNSIGNED",
                "a secret is set as well, and with one nothing is taken unsigned: unset one of them".to_owned(),
            ));
        }
        Ok(WebhookConfig {
            keys,
            allow_unsigned: self.allow_unsigned,
            time_zone: self.time_zone,
        })
    }
}

impl WebhookConfig {
    /// What to warn of at the start.
    #[must_use]
    pub fn warning(&self) -> Option<&'static str> {
        self.allow_unsigned.then_some(
            "WEBHOOK_ALLOW_UNSIGNED: events of the HR system are taken without a signature, so whoever reaches the port can lock \
             people out, and let back in whom HR locked out",
        )
    }
}
