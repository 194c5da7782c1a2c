//! Checks over the network: the operator's auth listener, the nodes' statistics.

use std::{sync::Arc, time::Duration};

use futures::future::join_all;
use reqwest::StatusCode;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use super::Finding;
use crate::{
    api::client::innermost,
    cli::{client, exit::CommandError, nodes::Gateways, render::auth_url},
    config::{self, Config, TlsFiles},
    gateway::names::NodeNames,
    model::gateway::HysteriaNode,
};

const TIMEOUT: Duration = Duration::from_secs(5);
/// For a stranger who is asked about at a panel: its auth service sleeps for 5 s before it refuses.
const GUARDED_TIMEOUT: Duration = Duration::from_secs(12);

/// A client for probes of a listener of this machine.
pub(super) fn probe(tls: Option<&TlsFiles>) -> Result<reqwest::Client, CommandError> {
    client::probe(tls.map(|tls| tls.cert.as_path()), TIMEOUT)
}

pub(super) fn why(error: reqwest::Error) -> String {
    if error.is_timeout() {
        format!("no answer within {TIMEOUT:?}")
    } else {
        innermost(error)
    }
}

/// The auth listener answers, knows the path secret of every node, refuses a stranger, and refuses a wrong path secret.
pub(super) async fn auth_listener(config: &Config, gateways: &Gateways) -> Vec<Finding> {
    const NAME: &str = "auth listener";
    let base = config::local_url(config.listen.auth, config.auth_tls.is_some());
    let client = match probe(config.auth_tls.as_ref()) {
        Ok(client) => client,
        Err(error) => {
            return vec![Finding::failed(
                NAME,
                error.message,
                "correct HYSTERIA_AUTH_TLS_CERT_FILE",
            )];
        }
    };
    let (tokens, mut findings) = tokens(config, gateways).await;
    if tokens.is_empty() {
        if findings.is_empty() {
            findings.push(Finding::skipped(
                NAME,
                "no path secret exists yet; the first run makes one",
            ));
        }
        return findings;
    }
    let refused = join_all(tokens.iter().map(|token| known(&client, &base, token))).await;
    findings.extend(refused.into_iter().flatten());
    if findings.iter().any(|finding| finding.name == NAME) {
        // It is not there, or not what it should be.
        findings.dedup_by(|later, first| later.name == NAME && first.name == NAME);
        return findings;
    }
    findings.push(
        match ask(
            &client,
            &auth_url(&base, &SecretString::from("doctor-knows-nothing")),
            TIMEOUT,
        )
        .await
        {
            Err(error) => unreachable(NAME, &base, error),
            Ok((StatusCode::OK, _)) => Finding::failed(
                NAME,
                format!("{base} answers to any path"),
                "is something else listening there? The path secret must be checked",
            ),
            Ok(_) => Finding::ok(
                NAME,
                format!("{base} answers, and refuses strangers and wrong path secrets"),
            ),
        },
    );
    findings
}

/// A path secret, and the nodes that ask with it.
struct Token {
    of: String,
    value: SecretString,
    timeout: Duration,
}

/// The path secret of each node that has one of its own, and the common one if any node needs it; and what cannot be read.
async fn tokens(config: &Config, gateways: &Gateways) -> (Vec<Token>, Vec<Finding>) {
    let (mut tokens, mut findings): (Vec<Token>, Vec<Finding>) = (Vec::new(), Vec::new());
    let mut common = Vec::new();
    for (name, node) in gateways.nodes() {
        let Some(source) = &node.auth_token else {
            common.push(name);
            continue;
        };
        match gateways.secret(source).await {
            Ok(value) => add(&mut tokens, name, value, TIMEOUT),
            Err(why) => findings.push(Finding::failed(
                format!("path secret of {name}"),
                format!("authToken: {why}"),
                "correct the secret's source: until then the node is not answered",
            )),
        }
    }
    for (name, guard) in gateways.guards() {
        match gateways.secret(&guard.token).await {
            Ok(value) => add(&mut tokens, name.to_owned(), value, GUARDED_TIMEOUT),
            Err(why) => findings.push(Finding::failed(
                format!("path secret of {name}"),
                format!("authGuard.token: {why}"),
                "correct the secret's source: until then the panel's servers are not answered",
            )),
        }
    }
    if let (false, Some(token)) = (common.is_empty(), &config.secrets.hysteria_auth_token) {
        add(&mut tokens, common.join(", "), token.value.clone(), TIMEOUT);
    }
    (tokens, findings)
}

/// One that several nodes share is asked with once.
fn add(tokens: &mut Vec<Token>, of: String, value: SecretString, timeout: Duration) {
    let same = |known: &&mut Token| known.value.expose_secret() == value.expose_secret();
    match tokens.iter_mut().find(same) {
        Some(known) => {
            known.of.push_str(", ");
            known.of.push_str(&of);
            known.timeout = known.timeout.max(timeout);
        }
        None => tokens.push(Token { of, value, timeout }),
    }
}

fn unreachable(name: &str, base: &str, error: reqwest::Error) -> Finding {
    Finding::failed(
        name,
        format!("cannot reach {base}: {}", why(error)),
        "start the operator, or correct --auth-listen (HYSTERIA_AUTH_LISTEN): until then nobody can log in",
    )
}

/// What is wrong with the answer to a node that asks with this path secret for a client that nobody knows.
async fn known(client: &reqwest::Client, base: &str, token: &Token) -> Option<Finding> {
    const NAME: &str = "auth listener";
    match ask(client, &auth_url(base, &token.value), token.timeout).await {
        Err(error) => Some(unreachable(NAME, base, error)),
        Ok((_, true)) => Some(Finding::failed(
            NAME,
            format!("{base} let a stranger in"),
            "is something else listening there? Stop it: anybody can use the VPN",
        )),
        Ok((StatusCode::OK, false)) => None,
        Ok((status, false)) => Some(Finding::failed(
            format!("path secret of {}", token.of),
            format!("{base} answered {status} to it"),
            "use the same HYSTERIA_AUTH_TOKEN(_FILE), authToken or --data as the running operator",
        )),
    }
}

/// Asks as a node would for a client that nobody knows; answers the status, and whether it would be let in.
async fn ask(client: &reqwest::Client, url: &str, timeout: Duration) -> Result<(StatusCode, bool), reqwest::Error> {
    let stranger = json!({ "addr": "127.0.0.1:1", "auth": "vpn-operator-doctor:nobody", "tx": 0 });
    let answer = client
        .post(url)
        .timeout(timeout)
        .json(&stranger)
        .send()
        .await
        .map_err(reqwest::Error::without_url)?;
    let status = answer.status();
    let body: Value = answer.json().await.unwrap_or_default();
    Ok((
        status,
        status == StatusCode::OK && body.get("ok") == Some(&Value::Bool(true)),
    ))
}

/// The auth service of each panel that has an auth guard answers, and refuses a stranger.
pub(super) async fn auth_services(gateways: &Gateways) -> Vec<Finding> {
    let client = match named_client() {
        Ok(client) => client,
        Err(error) => {
            return vec![Finding::failed(
                "auth services of panels",
                why(error),
                "see the message",
            )];
        }
    };
    let guards = gateways.guards();
    join_all(guards.map(|(name, guard)| auth_service(&client, name, &guard.upstream))).await
}

async fn auth_service(client: &reqwest::Client, gateway: &str, upstream: &str) -> Finding {
    const ADVICE: &str = "start the panel's auth service, or correct authGuard.upstream (BLITZ_AUTH_UPSTREAM): until then nobody new gets \
                          in at the panel's servers";
    let name = format!("auth service of {gateway}");
    match ask(client, upstream, GUARDED_TIMEOUT).await {
        Err(error) if error.is_timeout() => {
            Finding::failed(name, format!("did not answer within {GUARDED_TIMEOUT:?}"), ADVICE)
        }
        Err(error) => Finding::failed(name, format!("cannot be reached: {}", why(error)), ADVICE),
        Ok((_, true)) => Finding::failed(
            name,
            "let a stranger in",
            "does authGuard.upstream name the panel's own auth service? Anybody can use the VPN",
        ),
        Ok((StatusCode::OK | StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN, false)) => {
            Finding::ok(name, "answers, and refuses strangers")
        }
        Ok((status, false)) => Finding::failed(name, format!("answers {status}"), ADVICE),
    }
}

/// A client for addresses that somebody declared.
fn named_client() -> reqwest::Result<reqwest::Client> {
    reqwest::Client::builder()
        .timeout(TIMEOUT)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .dns_resolver(Arc::new(NodeNames))
        .build()
}

/// Every node's statistics API answers to its secret.
pub(super) async fn statistics(gateways: &Gateways) -> Vec<Finding> {
    let nodes = gateways.nodes();
    join_all(nodes.map(|(name, node)| node_statistics(gateways, format!("statistics of {name}"), node))).await
}

async fn node_statistics(gateways: &Gateways, name: String, node: &HysteriaNode) -> Finding {
    let Some(url) = &node.stats_url else {
        return Finding::warning(
            name,
            "the node has no statistics URL: a revocation there cannot be proved, and sessions are not cut",
            "set trafficStats in its configuration (vpn-operator gateway render), and HYSTERIA_STATS_URLS or statsUrl here",
        );
    };
    let secret = match &node.stats_secret {
        Some(source) => match gateways.secret(source).await {
            Ok(secret) => Some(secret),
            Err(why) => return Finding::failed(name, format!("statsSecret: {why}"), "correct the secret's source"),
        },
        None => None,
    };
    let client = match named_client() {
        Ok(client) => client,
        Err(error) => return Finding::failed(name, why(error), "see the message"),
    };
    let mut request = client.get(format!("{}/online", url.trim_end_matches('/')));
    if let Some(secret) = &secret {
        request = request.header("Authorization", secret.expose_secret());
    }
    let answer = match request.send().await {
        Ok(answer) => answer,
        Err(error) => {
            return Finding::failed(
                name,
                format!("cannot be reached: {}", why(error)),
                "is the node up, trafficStats.listen set, and the port open for this machine only?",
            );
        }
    };
    match answer.status() {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Finding::failed(
            name,
            "refuses the secret",
            "make trafficStats.secret of the node and HYSTERIA_STATS_SECRET (statsSecret) the same",
        ),
        StatusCode::OK => match answer.json::<std::collections::HashMap<String, u64>>().await {
            Ok(online) => Finding::ok(
                name,
                format!("answers; {} sessions online", online.values().sum::<u64>()),
            ),
            Err(_) => Finding::failed(
                name,
                "answers something else",
                "does the URL name trafficStats.listen of the node?",
            ),
        },
        status => Finding::failed(
            name,
            format!("answers {status}"),
            "does the URL name trafficStats.listen of the node?",
        ),
    }
}
