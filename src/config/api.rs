//! Settings of the HTTP API.

use clap::Args;
use secrecy::ExposeSecret as _;

use super::{
    error::ConfigError,
    listen::{Listen, local_url},
    public_url::PublicUrl,
    secrets::Secrets,
    values::ProxyNetworks,
};
use crate::api::principal::ApiClient;

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

impl Api {
    /// The URL under which people reach the API at this listener.
    pub(super) fn public_url(&self, listen: &Listen, tls: bool) -> Result<PublicUrl, ConfigError> {
        let given = self.public_url.as_deref().filter(|text| !text.is_empty());
        let text = given.map_or_else(|| local_url(listen.api, tls), str::to_owned);
        PublicUrl::parse(&text).map_err(|message| ConfigError::Value {
            name: "PUBLIC_URL",
            message,
        })
    }
}

/// The clients with tokens of their own. None may have the shared secret as its token: it would be everybody then.
pub(super) fn api_clients(secrets: &Secrets) -> Result<Vec<ApiClient>, ConfigError> {
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
