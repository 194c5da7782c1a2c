//! Configuration: flags and environment (a flag wins), and the secrets, which come from the environment or from files only.
//!
//! Everything is checked here, once, before anything starts; the rest of the house gets typed values. No secret is ever
//! a flag (other people on the machine see flags), has a default, or shows up in help or [`Debug`].

mod backup;
mod bot;
mod color;
mod gateway;
mod guard;
mod handout;
mod mail;
mod public_url;
pub mod secrets;
mod values;
mod webhook;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use clap::{Args, ValueEnum, builder::BoolishValueParser};
use secrecy::ExposeSecret as _;

use crate::{api::principal::ApiClient, credentials::FileError, mail::SmtpSettings, model::guard_limits::GuardLimits};

pub(crate) use self::values::{duration, optional_path, panel_url};
pub use self::{
    backup::Backup,
    bot::{Bot, BotConfig},
    color::Color,
    gateway::{DefaultGateway, HysteriaDefaults},
    guard::Guard,
    handout::{Handout, HandoutFormat, SelfService},
    mail::{Linking, Mail, SmtpSecurity},
    public_url::PublicUrl,
    secrets::{Lookup, Secrets},
    values::{DesiredLocation, Ports, ProxyNetworks},
    webhook::{Webhook, WebhookConfig},
};

/// Why the configuration cannot be used. Every message names the setting and says what to do.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A secret is given twice.
    #[error("{name} and {name}_FILE are both set: unset one of them")]
    BothSet {
        /// Name of the variable that holds the value.
        name: &'static str,
    },
    /// A secret is set and empty, which would let everybody in or nobody.
    #[error("{origin} is empty: give it a value, or unset it")]
    EmptySecret {
        /// The variable, or the variable and its file.
        origin: String,
    },
    /// A secret is not UTF-8 text.
    #[error("{origin} is not UTF-8 text")]
    NotText {
        /// The variable, or the variable and its file.
        origin: String,
    },
    /// A file that a setting names cannot be read.
    #[error("{origin}: {message}")]
    File {
        /// The setting and its file.
        origin: String,
        /// What the operating system said, and what to do.
        message: String,
    },
    /// A secret in the data folder cannot be used or made.
    #[error(transparent)]
    Kept(#[from] FileError),
    /// A certificate without its key, or the other way round.
    #[error("{given} is set without {missing}: TLS needs both")]
    HalfTls {
        /// The variable that is set.
        given: &'static str,
        /// The variable that is missing.
        missing: &'static str,
    },
    /// A value that its setting does not accept.
    #[error("{name}: {message}")]
    Value {
        /// Name of the variable.
        name: &'static str,
        /// What is wrong, and what is accepted.
        message: String,
    },
}

/// Where desired state and the operator's own data live.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "State")]
pub struct State {
    /// Where desired state lives: `folder:PATH` or `kubernetes`
    #[arg(long, env = "DESIRED", value_name = "SOURCE", default_value = "folder:./vpn")]
    pub desired: DesiredLocation,
    /// Folder for the database, the operator's own holds and generated secrets
    #[arg(long = "data", env = "DATA_DIR", value_name = "PATH", default_value = "./data")]
    pub data_dir: PathBuf,
    /// File in which the end of the audit is published, so that a database that was cut or exchanged is noticed: best on another
    /// disk than the data. `audit-head.json` in the data folder when absent
    #[arg(long = "audit-head", env = "AUDIT_HEAD_FILE", value_name = "PATH", value_parser = values::optional_path())]
    pub audit_head: Option<PathBuf>,
}

impl State {
    /// The file in which the end of the audit is published.
    #[must_use]
    pub fn audit_head(&self) -> PathBuf {
        let given = self.audit_head.clone().filter(|path| !path.as_os_str().is_empty());
        given.unwrap_or_else(|| self.data_dir.join(AUDIT_HEAD_FILE))
    }
}

/// What of the operator runs in this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Components {
    /// Everything.
    #[default]
    All,
    /// The endpoint that nodes ask, and nothing else. Kubernetes only; as many replicas as wanted
    Auth,
    /// The Telegram bot, and nothing else: it asks the operator at `API_URL`
    Bot,
}

/// Where and as what the operator runs in a cluster.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Kubernetes")]
pub struct Cluster {
    /// What of the operator runs in this process
    #[arg(long, env = "COMPONENTS", value_enum, default_value_t, hide_possible_values = false)]
    pub components: Components,
    /// The one namespace that is watched. The pod's own, else the kubeconfig's when absent
    #[arg(long, env = "VPN_NAMESPACE", value_name = "NAME")]
    pub namespace: Option<String>,
    /// Name of the Lease that the acting operator holds
    #[arg(long, env = "LEASE_NAME", value_name = "NAME", default_value = "vpn-operator")]
    pub lease_name: String,
}

/// Name of the file in the data folder that holds the generated `X-Corporate-Secret`.
pub const CORPORATE_SECRET_FILE: &str = "corporate-secret";
/// Name of the file in the data folder that holds the generated path secret of the auth listener.
pub const AUTH_TOKEN_FILE: &str = "hysteria-auth-token";
/// Name of the file in the data folder that holds the generated secret of the statistics APIs.
pub const STATS_SECRET_FILE: &str = "hysteria-stats-secret";
/// Name of the file in the data folder in which the end of the audit is published when no other is named.
pub const AUDIT_HEAD_FILE: &str = "audit-head.json";
/// Name of the database in the data folder.
pub const HISTORY_FILE: &str = "history.db";

/// Name of the file that marks a data folder as a simulation's.
pub const SIMULATED_FILE: &str = "simulated";

/// Where the two listeners are.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Listeners")]
pub struct Listen {
    /// Address of the HTTP API
    #[arg(
        long = "listen",
        env = "LISTEN_ADDR",
        value_name = "ADDR",
        default_value = "127.0.0.1:8080"
    )]
    pub api: SocketAddr,
    /// Address at which Hysteria nodes ask whom to let in. Keep it private
    #[arg(
        long = "auth-listen",
        env = "HYSTERIA_AUTH_LISTEN",
        value_name = "ADDR",
        default_value = "127.0.0.1:8081"
    )]
    pub auth: SocketAddr,
    /// PEM certificate chain of the HTTP API. Read again when it changes
    #[arg(id = "api-tls-cert", long = "tls-cert", env = "TLS_CERT_FILE", value_name = "PATH", value_parser = values::optional_path())]
    pub tls_cert: Option<PathBuf>,
    /// PEM private key of the HTTP API
    #[arg(id = "api-tls-key", long = "tls-key", env = "TLS_KEY_FILE", value_name = "PATH", value_parser = values::optional_path())]
    pub tls_key: Option<PathBuf>,
    /// PEM certificate chain of the auth listener. Set it when nodes are not on this machine: they post passwords
    #[arg(long, env = "HYSTERIA_AUTH_TLS_CERT_FILE", value_name = "PATH", value_parser = values::optional_path())]
    pub auth_tls_cert: Option<PathBuf>,
    /// PEM private key of the auth listener
    #[arg(long, env = "HYSTERIA_AUTH_TLS_KEY_FILE", value_name = "PATH", value_parser = values::optional_path())]
    pub auth_tls_key: Option<PathBuf>,
}

/// The two files of a TLS listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// PEM certificate chain.
    pub cert: PathBuf,
    /// PEM private key.
    pub key: PathBuf,
}

impl Listen {
    /// TLS of the HTTP API, if it has any.
    ///
    /// # Errors
    /// One of the two files is missing from the settings.
    pub fn api_tls(&self) -> Result<Option<TlsFiles>, ConfigError> {
        pair(
            self.tls_cert.as_ref(),
            self.tls_key.as_ref(),
            ["TLS_CERT_FILE", "TLS_KEY_FILE"],
        )
    }

    /// TLS of the auth listener, if it has any.
    ///
    /// # Errors
    /// One of the two files is missing from the settings.
    pub fn auth_tls(&self) -> Result<Option<TlsFiles>, ConfigError> {
        pair(
            self.auth_tls_cert.as_ref(),
            self.auth_tls_key.as_ref(),
            ["HYSTERIA_AUTH_TLS_CERT_FILE", "HYSTERIA_AUTH_TLS_KEY_FILE"],
        )
    }
}

fn pair(
    cert: Option<&PathBuf>,
    key: Option<&PathBuf>,
    [cert_name, key_name]: [&'static str; 2],
) -> Result<Option<TlsFiles>, ConfigError> {
    let set = |path: Option<&PathBuf>| path.cloned().filter(|path| !path.as_os_str().is_empty());
    match (set(cert), set(key)) {
        (Some(cert), Some(key)) => Ok(Some(TlsFiles { cert, key })),
        (None, None) => Ok(None),
        (Some(_), None) => Err(ConfigError::HalfTls {
            given: cert_name,
            missing: key_name,
        }),
        (None, Some(_)) => Err(ConfigError::HalfTls {
            given: key_name,
            missing: cert_name,
        }),
    }
}

/// How the HTTP API meets the world.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "HTTP API")]
pub struct Api {
    /// URL under which people reach the API, with the path of a reverse proxy if there is one. `http://LISTEN_ADDR` when absent
    #[arg(long, env = "PUBLIC_URL", value_name = "URL")]
    pub public_url: Option<String>,
    /// Networks of reverse proxies whose `X-Forwarded-For` is believed, comma-separated
    #[arg(
        long,
        env = "TRUSTED_PROXIES",
        value_name = "CIDRS",
        default_value = "",
        hide_default_value = true
    )]
    pub trusted_proxies: ProxyNetworks,
    /// Failed attempts (a wrong secret, an unknown subscription link) that an address has in a minute
    #[arg(
        long = "failed-attempts",
        env = "FAILED_ATTEMPTS_PER_MINUTE",
        value_name = "N",
        default_value_t = 10,
        value_parser = clap::value_parser!(u32).range(1..)
    )]
    pub failed_attempts: u32,
}

/// The gateway that the environment defines, used when no `VpnGateway` is declared, and the pace of polling.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Hysteria (when no VpnGateway is declared)")]
pub struct Hysteria {
    /// Public host name of the Hysteria server, as it stands in links. `127.0.0.1` when absent
    #[arg(long, env = "DOMAIN", value_name = "HOST")]
    pub domain: Option<String>,
    /// Public UDP port, hopping range (`20000-50000`), or a comma-separated list of both
    #[arg(
        long = "hysteria-port",
        env = "HYSTERIA2_PORT",
        value_name = "PORTS",
        default_value = "443"
    )]
    pub port: Ports,
    /// Server name of the TLS handshake, when it is not the domain
    #[arg(long = "hysteria-sni", env = "HYSTERIA_SNI", value_name = "HOST")]
    pub sni: Option<String>,
    /// SHA-256 of the server certificate as hex. Not for certificates that ACME renews
    #[arg(long = "hysteria-pin-sha256", env = "HYSTERIA_PIN_SHA256", value_name = "HEX")]
    pub pin_sha256: Option<String>,
    /// Links tell clients not to verify the certificate. Only together with a pin, or in a laboratory
    #[arg(
        long = "hysteria-insecure",
        env = "HYSTERIA_INSECURE",
        value_parser = BoolishValueParser::new(),
        action = clap::ArgAction::SetTrue
    )]
    pub insecure: bool,
    /// Base URLs of the nodes' traffic statistics APIs, comma-separated; one node each
    #[arg(
        long = "hysteria-stats-urls",
        env = "HYSTERIA_STATS_URLS",
        value_name = "URLS",
        hide_env_values = true
    )]
    pub stats_urls: Option<String>,
    /// The panel that keeps the accounts instead of nodes.
    #[command(flatten)]
    pub panel: Panel,
    /// URL of the panel's own auth service, like `http://127.0.0.1:28262/auth`. With it the panel's servers ask the operator, which
    /// asks the service, and both have to say yes
    #[arg(
        long = "blitz-auth-upstream",
        env = "BLITZ_AUTH_UPSTREAM",
        value_name = "URL",
        hide_env_values = true
    )]
    pub blitz_auth_upstream: Option<String>,
    /// Base URL of the traffic statistics API of the panel's Hysteria, like `http://127.0.0.1:25413`
    #[arg(
        long = "blitz-stats-url",
        env = "BLITZ_STATS_URL",
        value_name = "URL",
        hide_env_values = true
    )]
    pub blitz_stats_url: Option<String>,
}

/// A Blitz panel.
#[derive(Debug, Clone, Args)]
pub struct Panel {
    /// Base URL of a Blitz panel, with its root path. The panel keeps the accounts then, and what concerns nodes is of no interest
    #[arg(
        long = "blitz-api-url",
        env = "BLITZ_API_URL",
        value_name = "URL",
        hide_env_values = true
    )]
    pub blitz_api_url: Option<String>,
}

/// Time limits.
#[derive(Debug, Clone, Copy, Args)]
#[command(next_help_heading = "Times")]
pub struct Times {
    /// How old the last known state may be to decide logins while desired state cannot be read
    #[arg(long, env = "LAST_KNOWN_MAX_AGE", value_name = "TIME", default_value = "24h", value_parser = values::duration)]
    pub last_known_max_age: Duration,
    /// Pause between two polls of a node
    #[arg(
        long,
        env = "HYSTERIA_POLL_INTERVAL",
        value_name = "TIME",
        default_value = "5s",
        value_parser = values::poll_interval
    )]
    pub hysteria_poll_interval: Duration,
}

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

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// What is logged, and how. Logs go to stderr.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Logging")]
pub struct Logging {
    /// Form of the log lines
    #[arg(
        long,
        env = "LOG_FORMAT",
        global = true,
        value_enum,
        default_value_t,
        value_name = "FORMAT",
        hide_possible_values = false
    )]
    pub log_format: LogFormat,
    /// What is logged, like `info` or `vpn_operator=debug`. `RUST_LOG` counts when this is absent
    #[arg(long, env = "LOG_LEVEL", global = true, value_name = "FILTER")]
    pub log_level: Option<String>,
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
            public_url: public_url(api.public_url.as_deref(), &listen, api_tls.is_some())?,
            trusted_proxies: api.trusted_proxies.0,
            failed_attempts: api.failed_attempts,
            hysteria,
            guard: guard.limits(),
            webhook: webhook.check(&secrets)?,
            api_clients: api_clients(&secrets)?,
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

/// The clients with tokens of their own. None may have the shared secret as its token: it would be everybody then.
fn api_clients(secrets: &Secrets) -> Result<Vec<ApiClient>, ConfigError> {
    let wrong = |message: String| ConfigError::Value {
        name: "API_CLIENTS",
        message,
    };
    let Some(list) = &secrets.api_clients else {
        return Ok(Vec::new());
    };
    let clients = ApiClient::read(&list.value).map_err(|error| wrong(error.to_string()))?;
    let shared = [&secrets.corporate, &secrets.corporate_previous];
    let is_shared = |client: &&ApiClient| {
        let known = shared.iter().filter_map(|secret| secret.as_ref());
        known
            .into_iter()
            .any(|secret| secret.value.expose_secret() == client.token.expose_secret())
    };
    match clients.iter().find(is_shared) {
        Some(client) => Err(wrong(format!(
            "the token of client '{}' is the shared secret, which may do everything: give it one of its own",
            client.name
        ))),
        None => Ok(clients),
    }
}

/// The URL at which a client on this machine reaches a listener.
#[must_use]
pub fn local_url(listen: SocketAddr, tls: bool) -> String {
    let mut reachable = listen;
    if listen.ip().is_unspecified() {
        reachable.set_ip(match listen {
            SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        });
    }
    format!("{}://{reachable}", if tls { "https" } else { "http" })
}

fn public_url(given: Option<&str>, listen: &Listen, tls: bool) -> Result<PublicUrl, ConfigError> {
    let given = given.filter(|text| !text.is_empty());
    let text = given.map_or_else(|| local_url(listen.api, tls), str::to_owned);
    PublicUrl::parse(&text).map_err(|message| ConfigError::Value {
        name: "PUBLIC_URL",
        message,
    })
}

/// The permission bits of a file that let others on the machine read or write it; 0 where there are none.
///
/// # Errors
/// The file cannot be looked at.
pub fn open_to_others(path: &Path) -> std::io::Result<u32> {
    use std::os::unix::fs::PermissionsExt;
    Ok(std::fs::metadata(path)?.permissions().mode() & 0o007)
}

#[cfg(test)]
mod tests;
