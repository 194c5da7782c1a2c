//! `gateway render`: a node's server configuration.

use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::{
    exit::{CommandError, Exit},
    nodes::Gateways,
    output::{Output, note},
    render_args::{Options, RenderArgs},
};
use crate::{
    config::{self, Ports, Secrets, secrets::process_environment},
    gateway::hysteria::{
        acl::{self, Rejected},
        config::NodeConfig,
        render::{RenderInput, Tls, render},
    },
    model::{gateway::HysteriaNode, secret_source::SecretSource},
};

pub(super) async fn run(args: &RenderArgs, output: &mut Output) -> Result<(), CommandError> {
    output.text(&configuration(args).await?)
}

async fn configuration(args: &RenderArgs) -> Result<String, CommandError> {
    let mut secrets = Secrets::load(&process_environment)?;
    secrets.complete_from(&args.state.data_dir)?;
    let gateways = Gateways::find(&args.state, &args.hysteria.clone().check()?, &secrets)?;
    let node = find(&gateways, &args.gateway, &args.node)?;
    let node = with_hopping(node.clone(), args.options.hop.as_ref());

    let token = match &node.auth_token {
        Some(source) => gateways
            .secret(source)
            .await
            .map_err(|why| CommandError::invalid(format!("authToken: {why}")))?,
        None => secrets.hysteria_auth_token.map(|secret| secret.value).ok_or_else(|| {
            CommandError::invalid("there is no path secret for the auth listener yet").hint(FIRST_RUN)
        })?,
    };
    let mut read = Vec::new();
    for source in [
        node.obfs.as_ref().map(|obfs| &obfs.password),
        node.stats_secret.as_ref(),
    ]
    .into_iter()
    .flatten()
    {
        read.push((source.clone(), gateways.secret(source).await));
    }
    let lookup = |source: &SecretSource| {
        let found = read.iter().find(|(named, _)| named == source);
        found.map_or_else(|| Err("is not known".to_owned()), |(_, secret)| secret.clone())
    };
    let node = NodeConfig::resolve(&node, &lookup).map_err(|error| CommandError::invalid(error.to_string()))?;
    let base = match &args.auth_url {
        Some(url) => url.to_string(),
        None => config::local_url(args.auth_listen, false),
    };
    let input = RenderInput {
        node: &node,
        tls: tls(&args.options)?,
        auth_url: auth_url(&base, &token).into(),
        masquerade: args.options.masquerade.as_ref().map(Url::to_string),
        mimic: args.options.tcp_fallback,
        reject: (!args.options.no_acl).then(|| args.options.reject.clone()),
        redact: args.options.redact,
    };
    if !args.options.no_acl {
        say_what_stays_open(&base, node.stats.as_ref().map(|stats| &stats.url), &args.options.reject);
    }
    render(&input).map_err(|error| CommandError::invalid(error.to_string()))
}

const FIRST_RUN: &str = "start `vpn-operator run` once with the same --data, or set HYSTERIA_AUTH_TOKEN_FILE";

fn find<'a>(gateways: &'a Gateways, gateway: &str, node: &str) -> Result<&'a HysteriaNode, CommandError> {
    let Some(found) = gateways.list.iter().find(|known| known.name == gateway) else {
        let names = gateways.list.iter().map(|known| known.name.as_str());
        return Err(not_found("gateway", gateway, names).hint("choose one with --gateway"));
    };
    let nodes = found.nodes();
    nodes
        .iter()
        .find(|known| known.name == node)
        .ok_or_else(|| not_found("node", node, nodes.iter().map(|known| known.name.as_str())))
}

/// The node with a hopping range besides its own port. Links have it only when it is declared.
fn with_hopping(mut node: HysteriaNode, hop: Option<&Ports>) -> HysteriaNode {
    let Some(hop) = hop else { return node };
    let first = node.ports.split(',').next().unwrap_or_default();
    let ports = format!("{first},{hop}");
    if node.ports != ports {
        note(&format!(
            "links name these ports only when they are declared: ports: {ports} (HYSTERIA2_PORT)"
        ));
        node.ports = ports;
    }
    node
}

/// A rule for a name does not reject its address, and the statistics API listens at every address when it has a name.
fn say_what_stays_open(auth: &str, statistics: Option<&Url>, given: &[Rejected]) {
    let auth = Url::parse(auth).ok();
    let names = acl::names(auth.iter().chain(statistics));
    // Whoever gives networks has thought of it.
    if !names.is_empty() && !given.iter().any(|given| matches!(given, Rejected::Network(_))) {
        note(&format!(
            "the ACL rejects {} by name: name the addresses, too, with --reject, or clients can ask for those",
            names.join(" and ")
        ));
    }
}

fn tls(options: &Options) -> Result<Tls, CommandError> {
    match (&options.tls_cert, &options.tls_key, &options.acme_email) {
        (Some(cert), Some(key), _) => Ok(Tls::Files {
            cert: cert.display().to_string(),
            key: key.display().to_string(),
        }),
        (_, _, Some(email)) => Ok(Tls::Acme {
            domains: options.acme.clone(),
            email: email.clone(),
        }),
        _ => Err(CommandError::invalid(
            "give --tls-cert and --tls-key, or --acme and --acme-email",
        )),
    }
}

/// The URL that a node asks.
pub(super) fn auth_url(base: &str, token: &SecretString) -> String {
    let token = percent_encoding::utf8_percent_encode(token.expose_secret(), percent_encoding::NON_ALPHANUMERIC);
    // Letters of the generated secrets' alphabet stay readable.
    let token = token.to_string().replace("%2D", "-").replace("%5F", "_");
    format!("{}/auth/{token}", base.trim_end_matches('/'))
}

fn not_found<'a>(kind: &str, name: &str, names: impl Iterator<Item = &'a str>) -> CommandError {
    let names: Vec<_> = names.collect();
    CommandError::new(
        Exit::NotFound,
        format!("there is no {kind} named {name}; there is: {}", names.join(", ")),
    )
}
