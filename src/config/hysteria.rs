//! Settings of the gateway that the environment defines.

use clap::{Args, builder::BoolishValueParser};

use super::values::Ports;

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
