//! Arguments of `gateway render`.

use std::path::PathBuf;

use clap::Args;
use url::Url;

use crate::{
    config::{Hysteria, Ports, State},
    gateway::hysteria::acl::Rejected,
    model::gateway::DEFAULT_GATEWAY,
};

/// Arguments of `gateway render`.
#[derive(Debug, Args)]
pub struct RenderArgs {
    /// Name of the node
    pub node: String,
    /// Name of the gateway that the node belongs to
    #[arg(long, default_value = DEFAULT_GATEWAY)]
    pub gateway: String,
    /// What the configuration is to have.
    #[command(flatten)]
    pub options: Options,
    /// URL under which the node reaches the auth listener, without the secret path. `http://HYSTERIA_AUTH_LISTEN` when absent
    #[arg(long, value_name = "URL")]
    pub auth_url: Option<Url>,
    /// Address of the auth listener, for `--auth-url`
    #[arg(
        long,
        env = "HYSTERIA_AUTH_LISTEN",
        value_name = "ADDR",
        default_value = "127.0.0.1:8081"
    )]
    pub auth_listen: std::net::SocketAddr,
    /// State.
    #[command(flatten)]
    pub state: State,
    /// Hysteria.
    #[command(flatten)]
    pub hysteria: Hysteria,
}

/// What a rendered configuration is to have.
#[derive(Debug, Args)]
#[command(next_help_heading = "What the configuration has")]
pub struct Options {
    /// PEM certificate chain on the node
    #[arg(
        long,
        value_name = "PATH",
        requires = "tls_key",
        required_unless_present = "acme",
        conflicts_with = "acme"
    )]
    pub tls_cert: Option<PathBuf>,
    /// PEM private key on the node
    #[arg(long, value_name = "PATH", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
    /// Get and renew a certificate for this domain by ACME; may be repeated. Not together with a pin
    #[arg(long, value_name = "DOMAIN", requires = "acme_email")]
    pub acme: Vec<String>,
    /// Address that the ACME authority writes to
    #[arg(long, value_name = "EMAIL", requires = "acme")]
    pub acme_email: Option<String>,
    /// Redirect this UDP port range to the server, so that clients can hop
    #[arg(long, value_name = "FROM-TO")]
    pub hop: Option<Ports>,
    /// Disguise UDP as TCP where UDP is blocked. Linux clients with the `mimic` tool only; not together with `--hop`
    #[arg(long, conflicts_with = "hop")]
    pub tcp_fallback: bool,
    /// Website that is shown to whoever knocks without being a client
    #[arg(long, value_name = "URL")]
    pub masquerade: Option<Url>,
    /// Do not connect clients to this network, address or name either; comma-separated, may be repeated. The server's loopback,
    /// link-local addresses, and the ports of the auth listener and of the statistics are rejected anyway
    #[arg(long, value_name = "HOST", value_delimiter = ',')]
    pub reject: Vec<Rejected>,
    /// Write no ACL, for one of your own: clients reach the server's loopback then, and the operator
    #[arg(long, conflicts_with = "reject")]
    pub no_acl: bool,
    /// Leave the secrets out, for looking at
    #[arg(long)]
    pub redact: bool,
}
