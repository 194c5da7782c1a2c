//! What gateways are to run as: what is declared, with its secrets read.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    time::Duration,
};

use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::{
    NodeName,
    askers::{Answered, Asks, answered},
    blitz::{PANEL, client::PanelEndpoint, config::PanelConfig},
    hysteria::{
        client::StatsEndpoint,
        config::{NodeConfig, NodeFault},
    },
    running,
};
use crate::{
    credentials::Sources,
    model::{
        gateway::{BlitzGateway, DEFAULT_GATEWAY, HysteriaNode, VpnGatewaySpec},
        secret_source::SecretSource,
        separation::Sharing,
    },
};

/// What the environment says: the gateway for when none is declared, and what holds for every node that says nothing else.
pub struct Environment {
    /// The gateway that is called `default` when no `VpnGateway` is declared.
    pub spec: VpnGatewaySpec,
    /// Secrets that sources in `spec` name. They are the operator's own, which no other resource may read.
    pub known: Vec<(SecretSource, SecretString)>,
    /// The path secret of nodes that have none of their own.
    pub auth_token: SecretString,
    /// The statistics secret of nodes that have none of their own.
    pub stats_secret: SecretString,
    /// `spec` stands in for servers that nobody has declared yet.
    pub undeclared: bool,
    /// Pause between two polls of a node.
    pub poll_interval: Duration,
}

/// Why a declared gateway does not run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// A constant for the reason of a condition.
    pub reason: &'static str,
    /// What is wrong, without secrets.
    pub message: String,
}

/// A gateway as it is to run.
pub struct Wanted {
    /// As what it runs.
    pub run: running::Wanted,
    /// Who asks the auth listener because of it.
    pub asks: Vec<Asks>,
}

impl Environment {
    /// The gateway that the environment defines.
    ///
    /// # Errors
    /// As [`Self::resolve`].
    pub async fn own(&self, sources: &Sources) -> Result<Wanted, Refusal> {
        self.resolve(sources, DEFAULT_GATEWAY, &self.spec, true).await
    }

    /// Reads what a gateway needs to run. `own`: the spec is the environment's, whose secrets are known. A node that cannot be run
    /// as it is declared is among the answered all the same, with its fault.
    ///
    /// # Errors
    /// The gateway as a whole cannot run.
    pub async fn resolve(
        &self,
        sources: &Sources,
        name: &str,
        spec: &VpnGatewaySpec,
        own: bool,
    ) -> Result<Wanted, Refusal> {
        if let Some(blitz) = &spec.blitz {
            return self.resolve_panel(sources, name, blitz, own).await;
        }
        let (mut nodes, mut asks) = (Vec::new(), Vec::new());
        for node in spec.hysteria.iter().flat_map(|hysteria| &hysteria.nodes) {
            let (config, asker) = self.resolve_node(sources, name, node.clone(), own).await;
            nodes.push(config);
            asks.extend(asker);
        }
        Ok(Wanted {
            run: running::Wanted::Hysteria(nodes),
            asks,
        })
    }

    /// Reads what a panel needs to run.
    async fn resolve_panel(
        &self,
        sources: &Sources,
        name: &str,
        blitz: &BlitzGateway,
        own: bool,
    ) -> Result<Wanted, Refusal> {
        let refused = |message: String| Refusal {
            reason: "InvalidPanel",
            message,
        };
        let secret = async |field: &str, source: &SecretSource| {
            if let Some((_, known)) = self.known.iter().find(|(known, _)| own && known == source) {
                return Ok(known.clone());
            }
            let read = sources.resolve(source).await;
            read.map_err(|error| refused(format!("spec.blitz.{field}: {error}")))
        };
        let url =
            |field: &str, url: &str| Url::parse(url).map_err(|error| refused(format!("spec.blitz.{field}: {error}")));
        let panel = PanelEndpoint {
            url: url("url", &blitz.url)?,
            token: secret("token", &blitz.token).await?,
            ca_bundle: blitz.ca_bundle.clone(),
        };
        let stats = match &blitz.stats_url {
            None => None,
            Some(at) => Some(StatsEndpoint {
                url: url("statsUrl", at)?,
                secret: match &blitz.stats_secret {
                    Some(source) => secret("statsSecret", source).await?,
                    None => self.stats_secret.clone(),
                },
            }),
        };
        let asks = match &blitz.auth_guard {
            None => None,
            Some(guard) => Some(Asks {
                node: NodeName::new(name, PANEL),
                token: secret("authGuard.token", &guard.token).await?,
                upstream: Some(url("authGuard.upstream", &guard.upstream)?),
            }),
        };
        Ok(Wanted {
            run: running::Wanted::Blitz(Box::new(PanelConfig {
                panel,
                stats,
                guarded: asks.is_some(),
            })),
            asks: asks.into_iter().collect(),
        })
    }

    /// Reads what one node needs to run. What cannot be read keeps that node alone from running.
    async fn resolve_node(
        &self,
        sources: &Sources,
        gateway: &str,
        mut node: HysteriaNode,
        own: bool,
    ) -> (NodeConfig, Option<Asks>) {
        let known = if own { self.known.as_slice() } else { &[] };
        let mut read: Vec<(SecretSource, Result<SecretString, String>)> = known
            .iter()
            .map(|(source, secret)| (source.clone(), Ok(secret.clone())))
            .collect();
        // A node that names no secret of its own has the environment's.
        let fallback = SecretSource {
            env: Some(String::new()),
            ..SecretSource::default()
        };
        read.push((fallback.clone(), Ok(self.stats_secret.clone())));
        if node.stats_url.is_some() && node.stats_secret.is_none() {
            node.stats_secret = Some(fallback);
        }
        let named = [
            node.stats_secret.as_ref(),
            node.obfs.as_ref().map(|obfs| &obfs.password),
            node.auth_token.as_ref(),
        ];
        for source in named.into_iter().flatten() {
            if !read.iter().any(|(known, _)| known == source) {
                let secret = sources.resolve(source).await.map_err(|error| error.to_string());
                read.push((source.clone(), secret));
            }
        }
        let secret = |source: &SecretSource| {
            let found = read.iter().find(|(known, _)| known == source);
            found.map_or_else(|| Err("it was not read".to_owned()), |(_, secret)| secret.clone())
        };
        let (mut config, mistake) = NodeConfig::resolve_leniently(&node, &secret);
        config.undeclared = own && self.undeclared;
        if let Some(mistake) = mistake {
            config.refuse(mistake.to_string());
        }
        let token = match &node.auth_token {
            Some(source) => secret(source).map_err(|error| format!("node {}: authToken: {error}", node.name)),
            None => Ok(self.auth_token.clone()),
        };
        let token = token.and_then(|token| match token.expose_secret() {
            "" => Err(format!(
                "node {} has no authToken: declare one, or give HYSTERIA_AUTH_TOKEN",
                node.name
            )),
            _ => Ok(token),
        });
        // Nobody is let in where a session could not be ended although it was meant to be.
        let can_be_cut = node.stats_url.is_none() || config.stats.is_some();
        let token = match token {
            Ok(token) => can_be_cut.then(|| Asks {
                node: NodeName::new(gateway, &node.name),
                token,
                upstream: None,
            }),
            Err(why) => {
                config.refuse(why);
                None
            }
        };
        (config, token)
    }
}

impl Wanted {
    /// Takes the place of what ran before, and answers whether every node can be run as it is declared. What is wrong with one is
    /// said once.
    pub fn take_over(&mut self, gateway: &str, before: Option<&Self>) -> bool {
        if let Some(before) = before {
            self.go_on(gateway, before);
        }
        for (node, fault) in self.run.faults() {
            if !before.is_some_and(|before| before.run.faults().any(|it| it == (node, fault))) {
                tracing::warn!(
                    gateway,
                    node,
                    goes_on_as_before = fault.goes_on,
                    "a node cannot be run as it is declared: {}",
                    fault.why
                );
            }
        }
        self.run.faults().next().is_none()
    }

    /// Nodes that cannot be run as they are declared now go on as they ran before: their sessions have to be counted and cut,
    /// and a Secret that is gone for a moment takes nobody's link away.
    fn go_on(&mut self, gateway: &str, before: &Self) {
        let running::Wanted::Hysteria(nodes) = &mut self.run else {
            return;
        };
        for node in nodes {
            let Some(fault) = &node.fault else { continue };
            let former = before
                .run
                .nodes()
                .iter()
                .find(|it| it.name == node.name && it.has_link());
            let Some(former) = former else { continue };
            let fault = NodeFault {
                why: fault.why.clone(),
                goes_on: true,
            };
            *node = NodeConfig {
                fault: Some(fault),
                ..former.clone()
            };
            let name = NodeName::new(gateway, &node.name);
            self.asks.retain(|known| known.node != name);
            self.asks
                .extend(before.asks.iter().filter(|known| known.node == name).cloned());
        }
    }
}

/// Whether a gateway names the Secret of this name.
#[must_use]
pub fn names_secret(gateway: &VpnGatewaySpec, secret: &str) -> bool {
    let names = |source: &SecretSource| source.secret_key_ref.as_ref().is_some_and(|key| key.name == secret);
    let panel = gateway.blitz.iter().flat_map(BlitzGateway::secrets).map(Some);
    let nodes = gateway.hysteria.iter().flat_map(|hysteria| &hysteria.nodes);
    nodes
        .flat_map(|node| {
            let obfs = node.obfs.as_ref().map(|obfs| &obfs.password);
            [node.stats_secret.as_ref(), node.auth_token.as_ref(), obfs]
        })
        .chain(panel)
        .flatten()
        .any(names)
}

/// What those who answer logins have to know of the nodes that ask.
#[derive(Debug, Default)]
pub struct Asking {
    /// Nodes that are polled.
    pub polled: HashSet<NodeName>,
    /// Nodes that are declared with the statistics address of another, each with one that has the same.
    pub alike: HashMap<NodeName, NodeName>,
    /// Who is answered.
    pub askers: Vec<Asks>,
    /// Panels whose servers cannot be told from others, by gateway, and what is to be said of it. They are not answered.
    pub ambiguous: BTreeMap<String, String>,
    /// Which gateways share a path secret.
    pub sharing: Sharing,
}

impl Asking {
    /// Of gateways that are run as is wanted.
    #[must_use]
    pub fn of<'a>(running: &(impl Iterator<Item = (&'a str, &'a Wanted)> + Clone)) -> Self {
        let polled = || running.clone().flat_map(|(name, wanted)| wanted.run.polled(name));
        let asks: Vec<Asks> = running
            .clone()
            .flat_map(|(_, wanted)| wanted.asks.iter().cloned())
            .collect();
        let nodes = asks.iter().filter(|it| it.upstream.is_none());
        let sharing = Sharing::of(nodes.map(|it| (it.node.gateway(), it.token.expose_secret())));
        let Answered { askers, ambiguous } = answered(asks);
        Self {
            polled: polled().map(|(node, _)| node).collect(),
            alike: alike(polled()),
            askers,
            ambiguous,
            sharing,
        }
    }
}

/// The nodes that are declared with the statistics address of another, each with one that has the same.
fn alike<'a>(declared: impl Iterator<Item = (NodeName, &'a StatsEndpoint)>) -> HashMap<NodeName, NodeName> {
    let mut by_address: HashMap<_, Vec<NodeName>> = HashMap::new();
    for (name, endpoint) in declared {
        let url = &endpoint.url;
        let path = url.path().trim_end_matches('/').to_owned();
        let address = (url.host_str().map(ToOwned::to_owned), url.port_or_known_default(), path);
        by_address.entry(address).or_default().push(name);
    }
    let mut alike = HashMap::new();
    for mut names in by_address.into_values() {
        names.sort_unstable();
        let [first, second, ..] = names.as_slice() else {
            continue;
        };
        for name in &names {
            let other = if name == first { second } else { first };
            alike.insert(name.clone(), other.clone());
        }
    }
    alike
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_the_same_however_they_are_written() {
        let endpoint = |url: &str| StatsEndpoint {
            url: url.parse().unwrap(),
            secret: "s".into(),
        };
        let urls = [
            "http://a.example",
            "http://A.example:80/",
            "http://a.example:81",
            "http://b.example/stats",
            "http://b.example/stats/",
            "http://b.example",
        ];
        let endpoints = urls.map(endpoint);
        let named = endpoints
            .iter()
            .zip(0..)
            .map(|(it, n)| (NodeName::new("g", &format!("n{n}")), it));
        let alike = alike(named);
        let of = |n: u32| {
            alike
                .get(&NodeName::new("g", &format!("n{n}")))
                .map(ToString::to_string)
        };
        let others: Vec<_> = (0..6).map(of).collect();
        let named = |n: &str| Some(format!("g/{n}"));
        assert_eq!(others, [named("n1"), named("n0"), None, named("n4"), named("n3"), None]);
    }
}
