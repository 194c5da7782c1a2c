//! Configuration: flags and environment (a flag wins), and the secrets, which come from the environment or from files only.
//!
//! Everything is checked here, once, before anything starts; the rest of the house gets typed values. No secret is ever
//! a flag (other people on the machine see flags), has a default, or shows up in help or [`Debug`].

mod api;
mod backup;
mod bot;
mod cluster;
mod color;
mod error;
mod gateway;
mod guard;
mod handout;
mod hysteria;
mod listen;
mod logging;
mod mail;
mod public_url;
pub mod secrets;
mod state;
mod times;
mod values;
mod webhook;

use std::path::PathBuf;

use clap::Args;

use crate::{api::principal::ApiClient, mail::SmtpSettings, model::guard_limits::GuardLimits};

pub(crate) use self::values::{duration, optional_path, panel_url};
pub use self::{
    api::Api,
    backup::Backup,
    bot::{Bot, BotConfig},
    cluster::{Cluster, Components},
    color::Color,
    error::ConfigError,
    gateway::{DefaultGateway, HysteriaDefaults},
    guard::Guard,
    handout::{Handout, HandoutFormat, SelfService},
    hysteria::{Hysteria, Panel},
    listen::{Listen, TlsFiles, local_url},
    logging::{LogFormat, Logging},
    mail::{Linking, Mail, SmtpSecurity},
    public_url::PublicUrl,
    secrets::{Lookup, Secrets},
    state::{
        AUDIT_HEAD_FILE, AUTH_TOKEN_FILE, CORPORATE_SECRET_FILE, HISTORY_FILE, SIMULATED_FILE, STATS_SECRET_FILE,
        State, open_to_others,
    },
    times::Times,
    values::{DesiredLocation, Ports, ProxyNetworks},
    webhook::{Webhook, WebhookConfig},
};

/// What is set by flags and environment; everything but the secrets.
#[derive(Debug, Clone, Args)]
pub struct Settings {
    /// State.
    #[command(flatten)]
    pub state: State,
    /// Kubernetes.
    #[command(flatten)]
    pub cluster: Cluster,
    /// Listeners.
    #[command(flatten)]
    pub listen: Listen,
    /// HTTP API.
    #[command(flatten)]
    pub api: Api,
    /// Hysteria.
    #[command(flatten)]
    pub hysteria: Hysteria,
    /// Guard.
    #[command(flatten)]
    pub guard: Guard,
    /// Events of the HR system.
    #[command(flatten)]
    pub webhook: Webhook,
    /// Linking Telegram accounts.
    #[command(flatten)]
    pub linking: Linking,
    /// Mail.
    #[command(flatten)]
    pub mail: Mail,
    /// The Telegram bot.
    #[command(flatten)]
    pub bot: Bot,
    /// Times.
    #[command(flatten)]
    pub times: Times,
    /// Backups.
    #[command(flatten)]
    pub backup: Backup,
    /// What people are given to connect.
    #[command(flatten)]
    pub handout: Handout,
}

/// The whole configuration of a running operator, checked.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where desired state and data live.
    pub state: State,
    /// Where and as what the operator runs in a cluster.
    pub cluster: Cluster,
    /// Listeners.
    pub listen: Listen,
    /// TLS of the HTTP API.
    pub api_tls: Option<TlsFiles>,
    /// TLS of the auth listener.
    pub auth_tls: Option<TlsFiles>,
    /// URL under which people reach the API.
    pub public_url: PublicUrl,
    /// Reverse proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<ipnet::IpNet>,
    /// Failed attempts that an address has in a minute.
    pub failed_attempts: u32,
    /// The gateway of the environment.
    pub hysteria: HysteriaDefaults,
    /// How many people may lose access without a person.
    pub guard: GuardLimits,
    /// How events of the HR system are taken.
    pub webhook: WebhookConfig,
    /// How often somebody may try who links a Telegram account.
    pub linking: Linking,
    /// The mail server; `None` where no mail is sent.
    pub mail: Option<SmtpSettings>,
    /// The Telegram bot; `None` without a token.
    pub bot: Option<BotConfig>,
    /// Whom people may ask, as the bot and the page of a subscription name it.
    pub support_contact: Option<String>,
    /// The operator that a bot of its own asks.
    pub api_url: Option<url::Url>,
    /// Time limits.
    pub times: Times,
    /// Backups.
    pub backup: Backup,
    /// What people are given to connect.
    pub handout: Handout,
    /// Clients of the API with tokens of their own.
    pub api_clients: Vec<ApiClient>,
    /// Secrets that were given.
    pub secrets: Secrets,
}

impl Config {
    /// Checks the settings and reads the secrets.
    ///
    /// # Errors
    /// Names the setting that cannot be used.
    pub fn load(settings: Settings, environment: Lookup<'_>) -> Result<Self, ConfigError> {
        let Settings {
            state,
            cluster,
            listen,
            api,
            hysteria,
            guard,
            webhook,
            linking,
            mail,
            bot,
            times,
            backup,
            handout,
        } = settings;
        if cluster.components == Components::Auth && state.desired != DesiredLocation::Kubernetes {
            return Err(ConfigError::Value {
                name: "COMPONENTS",
                message: "auth alone runs with --desired kubernetes only: a folder has one process".to_owned(),
            });
        }
        let api_tls = listen.api_tls()?;
        let (hysteria, secrets) = (hysteria.check()?, Secrets::load(environment)?);
        if hysteria.blitz_url.is_some() && secrets.blitz_api_token.is_none() {
            return Err(ConfigError::Value {
                name: "BLITZ_API_TOKEN",
                message: "the panel at BLITZ_API_URL asks for it: set it, or BLITZ_API_TOKEN_FILE".to_owned(),
            });
        }
        Ok(Self {
            auth_tls: listen.auth_tls()?,
            public_url: api.public_url(&listen, api_tls.is_some())?,
            trusted_proxies: api.trusted_proxies.0,
            failed_attempts: api.failed_attempts,
            hysteria,
            guard: guard.limits(),
            webhook: webhook.check(&secrets)?,
            api_clients: api::api_clients(&secrets)?,
            linking,
            mail: mail.check(&secrets)?,
            api_url: bot.api_url()?,
            support_contact: bot.support(),
            bot: bot.check(&secrets)?,
            secrets,
            state,
            cluster,
            listen,
            api_tls,
            times,
            backup,
            handout: handout.check()?,
        })
    }

    /// Completes the secrets: what was not given is read from the data folder, or made and kept there with mode 0600.
    ///
    /// Answers the files that were made now; a first run makes some. The master key is not among them: the room that
    /// derives from it looks after it.
    ///
    /// # Errors
    /// A file in the data folder cannot be read or written.
    pub fn complete_secrets(&mut self) -> Result<Vec<PathBuf>, ConfigError> {
        self.secrets.complete(&self.state.data_dir)
    }

    /// The gateway that the environment defines, named [`crate::model::gateway::DEFAULT_GATEWAY`]. Secrets that are
    /// neither given nor completed are absent from it.
    #[must_use]
    pub fn default_gateway(&self) -> DefaultGateway {
        self.hysteria.gateway(&self.secrets)
    }
}

#[cfg(test)]
mod tests;
