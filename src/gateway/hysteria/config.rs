//! One node with its secrets resolved.

use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::{
    client::StatsEndpoint,
    ports::{Ports, PortsError},
};
use crate::{
    gateway::{certificate::Certificate, redact},
    model::{
        gateway::{HysteriaNode, ObfuscationType},
        secret_source::SecretSource,
    },
};

/// Why a declared node cannot be used. Names node and field.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NodeConfigError {
    /// The ports are not ports.
    #[error("node {node}: ports: {error}")]
    Ports {
        /// Name of the node.
        node: String,
        /// What is wrong.
        error: PortsError,
    },
    /// The statistics URL is not an HTTP URL.
    #[error("node {node}: statsUrl: '{shown}' is not an http or https URL: write one like http://10.0.0.5:9999")]
    StatsUrl {
        /// Name of the node.
        node: String,
        /// The text, without user info and query.
        shown: String,
    },
    /// The certificate is none, or not the one that is pinned.
    #[error("node {node}: certificate: {error}")]
    Certificate {
        /// Name of the node.
        node: String,
        /// What is wrong, and what to do.
        error: &'static str,
    },
    /// `statsUrl` without `statsSecret`.
    #[error("node {node}: statsSecret: is required beside statsUrl; it is trafficStats.secret of the node")]
    StatsSecret {
        /// Name of the node.
        node: String,
    },
    /// A secret cannot be read.
    #[error("node {node}: {field}: {message}")]
    Secret {
        /// Name of the node.
        node: String,
        /// Field of the resource.
        field: &'static str,
        /// Why, without the secret.
        message: String,
    },
}

/// Obfuscation with its password.
#[derive(Debug, Clone)]
pub struct Obfs {
    /// Kind.
    pub type_: ObfuscationType,
    /// The shared password.
    pub password: SecretString,
}

impl Obfs {
    /// The kind as Hysteria spells it.
    #[must_use]
    pub const fn type_name(&self) -> &'static str {
        match self.type_ {
            ObfuscationType::Salamander => "salamander",
            ObfuscationType::Gecko => "gecko",
        }
    }
}

impl PartialEq for Obfs {
    fn eq(&self, other: &Self) -> bool {
        self.type_ == other.type_ && self.password.expose_secret() == other.password.expose_secret()
    }
}

/// One node with its secrets resolved.
#[derive(Debug, Clone, PartialEq)]
pub struct NodeConfig {
    /// Name within the gateway.
    pub name: String,
    /// Public host name or address, an IPv6 address without brackets.
    pub address: String,
    /// Public ports.
    pub ports: Ports,
    /// Server name of the TLS handshake, when it is not the address.
    pub sni: Option<String>,
    /// SHA-256 of the server certificate, lower-case hex without separators.
    pub pin_sha256: Option<String>,
    /// Whether clients are told not to verify the certificate.
    pub insecure: bool,
    /// The server's own certificate, where it is to be trusted without an authority.
    pub certificate: Option<Certificate>,
    /// Obfuscation.
    pub obfs: Option<Obfs>,
    /// The statistics API. Without it nothing can be proved about the node.
    pub stats: Option<StatsEndpoint>,
    /// Why the node cannot be run as it is declared. What can be read of it is used all the same.
    pub fault: Option<NodeFault>,
    /// Stands in for servers that nobody has declared yet: there is nothing to prove, and nothing to complain of.
    pub undeclared: bool,
}

/// Why a node cannot be run as it is declared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeFault {
    /// Names the field and what to do, without secrets.
    pub why: String,
    /// The node goes on as it was declared before. Otherwise nobody is given a link to it.
    pub goes_on: bool,
}

impl NodeConfig {
    /// Whether people are given links to the node.
    #[must_use]
    pub fn has_link(&self) -> bool {
        self.fault.as_ref().is_none_or(|fault| fault.goes_on)
    }

    /// Marks the node as one that cannot be run. The first fault is the one that is named.
    pub fn refuse(&mut self, why: String) {
        self.fault.get_or_insert(NodeFault { why, goes_on: false });
    }

    /// Reads a declared node; `secret` answers the value of a source, or why it cannot be read.
    ///
    /// # Errors
    /// Names node and field.
    pub fn resolve(
        node: &HysteriaNode,
        secret: &dyn Fn(&SecretSource) -> Result<SecretString, String>,
    ) -> Result<Self, NodeConfigError> {
        match Self::resolve_leniently(node, secret) {
            (_, Some(error)) => Err(error),
            (config, None) => Ok(config),
        }
    }

    /// As [`Self::resolve`], with as much of the node as can be read beside the first mistake, so that its sessions can be
    /// counted and cut all the same. Where the ports are not ports they are those of a node that names none.
    #[must_use]
    pub fn resolve_leniently(
        node: &HysteriaNode,
        secret: &dyn Fn(&SecretSource) -> Result<SecretString, String>,
    ) -> (Self, Option<NodeConfigError>) {
        let read = |field, source: &SecretSource| {
            secret(source).map_err(|message| NodeConfigError::Secret {
                node: node.name.clone(),
                field,
                message,
            })
        };
        let mut mistakes = Vec::new();
        let obfs = node.obfs.as_ref().map(|obfs| {
            let password = read("obfs.password", &obfs.password)?;
            let type_ = obfs.type_;
            Ok(Obfs { type_, password })
        });
        let stats = match (&node.stats_url, &node.stats_secret) {
            (Some(url), Some(source)) => Some(stats_url(&node.name, url).and_then(|url| {
                let secret = read("statsSecret", source)?;
                let endpoint = StatsEndpoint { url, secret };
                endpoint.check().map_err(|error| NodeConfigError::Secret {
                    node: node.name.clone(),
                    field: "statsSecret",
                    message: error.to_string(),
                })?;
                Ok(endpoint)
            })),
            (Some(_), None) => Some(Err(NodeConfigError::StatsSecret {
                node: node.name.clone(),
            })),
            (None, _) => None,
        };
        let ports = Ports::parse(&node.ports).map_err(|error| NodeConfigError::Ports {
            node: node.name.clone(),
            error,
        });
        let certificate = node.certificate.as_deref().map(|pem| own_certificate(node, pem));
        let config = Self {
            name: node.name.clone(),
            address: bare_address(&node.address).to_owned(),
            ports: kept(ports, &mut mistakes).unwrap_or(Ports::DEFAULT),
            sni: node.sni.clone(),
            pin_sha256: node.pin_sha256.as_deref().map(normal_pin),
            insecure: node.insecure,
            certificate: certificate.and_then(|certificate| kept(certificate, &mut mistakes)),
            stats: stats.and_then(|stats| kept(stats, &mut mistakes)),
            obfs: obfs.and_then(|obfs| kept(obfs, &mut mistakes)),
            fault: None,
            undeclared: false,
        };
        (config, mistakes.into_iter().next())
    }
}

/// The value, or its error put aside.
fn kept<T>(value: Result<T, NodeConfigError>, mistakes: &mut Vec<NodeConfigError>) -> Option<T> {
    value.map_err(|error| mistakes.push(error)).ok()
}

/// The declared certificate of a node. One that is pinned as well has to be the same.
fn own_certificate(node: &HysteriaNode, pem: &str) -> Result<Certificate, NodeConfigError> {
    let refused = |error| NodeConfigError::Certificate {
        node: node.name.clone(),
        error,
    };
    let certificate = Certificate::parse(pem).ok_or_else(|| refused("is no certificate in PEM"))?;
    let pin = node.pin_sha256.as_deref().map(normal_pin);
    if pin.is_some_and(|pin| pin != certificate.sha256()) {
        return Err(refused(
            "is another one than pinSha256 pins: the first certificate has to be the server's own; leave pinSha256 out, or correct one of \
             the two",
        ));
    }
    Ok(certificate)
}

/// A certificate pin as it is compared: lower-case hex without separators.
pub(in crate::gateway) fn normal_pin(declared: &str) -> String {
    declared
        .chars()
        .filter(|c| !matches!(c, ':' | '-' | ' '))
        .map(|c| c.to_ascii_lowercase())
        .collect()
}

fn bare_address(declared: &str) -> &str {
    declared
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(declared)
}

fn stats_url(node: &str, text: &str) -> Result<Url, NodeConfigError> {
    let refused = |shown: &str| NodeConfigError::StatsUrl {
        node: node.to_owned(),
        shown: shown.to_owned(),
    };
    let url = Url::parse(text).map_err(|_| refused("…"))?;
    if matches!(url.scheme(), "http" | "https") && url.has_host() {
        Ok(url)
    } else {
        Err(refused(&redact::url(&url)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::gateway::Obfuscation;

    fn declared() -> HysteriaNode {
        HysteriaNode {
            name: "ams".to_owned(),
            address: "[2001:db8::1]".to_owned(),
            ports: "443".to_owned(),
            sni: None,
            pin_sha256: Some("AB:CD:ef".to_owned()),
            insecure: false,
            certificate: None,
            obfs: Some(Obfuscation {
                type_: ObfuscationType::Gecko,
                password: SecretSource {
                    env: Some("OBFS".to_owned()),
                    ..SecretSource::default()
                },
            }),
            stats_url: Some("http://10.0.0.5:9999".to_owned()),
            stats_secret: Some(SecretSource {
                env: Some("STATS".to_owned()),
                ..SecretSource::default()
            }),
            auth_token: None,
        }
    }

    fn environment(source: &SecretSource) -> Result<SecretString, String> {
        match source.env.as_deref() {
            Some(name @ ("OBFS" | "STATS")) => Ok(format!("value-of-{name}").into()),
            _ => Err("not set".to_owned()),
        }
    }

    #[test]
    fn a_declared_node_is_resolved_and_shows_no_secret() {
        let node = NodeConfig::resolve(&declared(), &environment).unwrap();
        assert_eq!(node.address, "2001:db8::1");
        assert_eq!(node.pin_sha256.as_deref(), Some("abcdef"));
        assert_eq!(node.obfs.as_ref().unwrap().password.expose_secret(), "value-of-OBFS");
        assert_eq!(node.stats.as_ref().unwrap().secret.expose_secret(), "value-of-STATS");
        assert!(!format!("{node:?}").contains("value-of"));
    }

    #[test]
    fn a_certificate_that_is_pinned_as_well_has_to_be_the_same() {
        let made = rcgen::generate_simple_self_signed(vec!["vpn.example.com".to_owned()]).unwrap();
        let certificate = Certificate::parse(&made.cert.pem()).unwrap();
        let node = |pin: Option<&str>, pem: &str| {
            let node = HysteriaNode {
                pin_sha256: pin.map(ToOwned::to_owned),
                certificate: Some(pem.to_owned()),
                ..declared()
            };
            NodeConfig::resolve(&node, &environment).map_err(|error| error.to_string())
        };
        let pin = certificate.sha256().to_ascii_uppercase();
        for pin in [None, Some(pin.as_str())] {
            assert_eq!(
                node(pin, &made.cert.pem()).unwrap().certificate.as_ref(),
                Some(&certificate)
            );
        }
        let other = node(Some(&"00".repeat(32)), &made.cert.pem()).unwrap_err();
        assert!(
            other.starts_with("node ams: certificate: is another one than pinSha256 pins"),
            "{other}"
        );
        let none = node(None, "-----BEGIN CERTIFICATE-----").unwrap_err();
        assert_eq!(none, "node ams: certificate: is no certificate in PEM");
    }

    #[test]
    fn mistakes_are_named_by_node_and_field() {
        let message = |change: &dyn Fn(&mut HysteriaNode)| {
            let mut node = declared();
            change(&mut node);
            NodeConfig::resolve(&node, &environment).unwrap_err().to_string()
        };
        assert!(message(&|node| node.ports = "x".to_owned()).starts_with("node ams: ports:"));
        assert!(message(&|node| node.stats_secret = None).starts_with("node ams: statsSecret:"));
        let url = message(&|node| node.stats_url = Some("ftp://me:hunter2@host".to_owned()));
        assert!(
            url.starts_with("node ams: statsUrl:") && !url.contains("hunter2"),
            "{url}"
        );
        let secret = message(&|node| node.stats_secret = Some(SecretSource::default()));
        assert_eq!(secret, "node ams: statsSecret: not set");
    }
}
