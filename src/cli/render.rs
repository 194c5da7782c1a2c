//! `gateway render`: a node's server configuration.

use std::path::PathBuf;

use clap::Args;
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::{
    args::GatewayCommand,
    exit::{CommandError, Exit},
    nodes,
    output::Output,
    rooms::{self, RenderedNode},
};
use crate::{
    config::{
        self, Hysteria, Secrets, State,
        secrets::{Secret, process_environment, read_kept, read_source},
    },
    model::{
        gateway::{DEFAULT_GATEWAY, HysteriaNode},
        secret_source::SecretSource,
    },
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
    /// Get and renew a certificate for this domain by ACME. Not together with a pin
    #[arg(long, value_name = "DOMAIN", requires = "acme_email")]
    pub acme: Option<String>,
    /// Address that the ACME authority writes to
    #[arg(long, value_name = "EMAIL", requires = "acme")]
    pub acme_email: Option<String>,
    /// Redirect this UDP port range to the server, so that clients can hop
    #[arg(long, value_name = "FROM-TO")]
    pub hop: Option<String>,
    /// Disguise UDP as TCP where UDP is blocked. Linux clients with the `mimic` tool only; not together with `--hop`
    #[arg(long, conflicts_with = "hop")]
    pub tcp_fallback: bool,
    /// Website that is shown to whoever knocks without being a client
    #[arg(long, value_name = "URL")]
    pub masquerade: Option<Url>,
}

pub(super) fn run(command: &GatewayCommand, output: &mut Output) -> Result<(), CommandError> {
    let GatewayCommand::Render(args) = command;
    output.text(&render(args)?)
}

fn render(args: &RenderArgs) -> Result<String, CommandError> {
    let secrets = Secrets::load(&process_environment)?;
    let defaults = args.hysteria.clone().check()?;
    let gateways = nodes::gateways(&args.state.desired, &defaults, &secrets)?;
    let Some(gateway) = gateways.iter().find(|gateway| gateway.name == args.gateway) else {
        let names: Vec<_> = gateways.iter().map(|gateway| gateway.name.as_str()).collect();
        return Err(not_found("gateway", &args.gateway, &names).hint("choose one with --gateway"));
    };
    let Some(node) = gateway.nodes().iter().find(|node| node.name == args.node) else {
        let names: Vec<_> = gateway.nodes().iter().map(|node| node.name.as_str()).collect();
        return Err(not_found("node", &args.node, &names));
    };
    let data = &args.state.data_dir;
    let token = secret(
        node.auth_token.as_ref(),
        "authToken",
        secrets.hysteria_auth_token.as_ref(),
        &config::auth_token_file(data),
    )?
    .ok_or_else(|| {
        CommandError::invalid("there is no path secret for the auth listener yet")
            .hint("start `vpn-operator run` once with the same --data, or set HYSTERIA_AUTH_TOKEN_FILE")
    })?;
    let base = args
        .auth_url
        .as_ref()
        .map_or_else(|| config::local_url(args.auth_listen, false), Url::to_string);
    let rendered = RenderedNode {
        node,
        auth_url: auth_url(&base, &token).into(),
        stats_secret: secret(
            node.stats_secret.as_ref(),
            "statsSecret",
            secrets.hysteria_stats_secret.as_ref(),
            &config::stats_secret_file(data),
        )?,
        obfs_password: obfs_password(node)?,
    };
    rooms::render_node(&rendered, &args.options)
}

/// The URL that a node asks.
pub(super) fn auth_url(base: &str, token: &SecretString) -> String {
    let token = percent_encoding::utf8_percent_encode(token.expose_secret(), percent_encoding::NON_ALPHANUMERIC);
    // Letters of the generated secrets' alphabet stay readable.
    let token = token.to_string().replace("%2D", "-").replace("%5F", "_");
    format!("{}/auth/{token}", base.trim_end_matches('/'))
}

/// A node's secret: as the node says, else as the environment says, else as kept in the data folder.
pub(super) fn secret(
    declared: Option<&SecretSource>,
    field: &str,
    given: Option<&Secret>,
    kept: &std::path::Path,
) -> Result<Option<SecretString>, CommandError> {
    if let Some(source) = declared {
        return Ok(Some(read_source(source, field, &process_environment)?));
    }
    match given {
        Some(secret) => Ok(Some(secret.value.clone())),
        None => Ok(read_kept(kept)?),
    }
}

fn obfs_password(node: &HysteriaNode) -> Result<Option<SecretString>, CommandError> {
    let Some(obfs) = &node.obfs else { return Ok(None) };
    Ok(Some(read_source(
        &obfs.password,
        "obfs.password",
        &process_environment,
    )?))
}

fn not_found(kind: &str, name: &str, names: &[&str]) -> CommandError {
    CommandError::new(
        Exit::NotFound,
        format!("there is no {kind} named {name}; there is: {}", names.join(", ")),
    )
}
