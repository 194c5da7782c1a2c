//! The gateway that the environment defines.

use secrecy::SecretString;

use super::{ConfigError, Hysteria, Ports, Secrets, secrets::Secret, values};
use crate::model::{
    gateway::{AuthGuard, BlitzGateway, HysteriaGateway, HysteriaNode, Obfuscation, ObfuscationType, VpnGatewaySpec},
    secret_source::SecretSource,
};

/// The gateway of the environment, with its secrets read.
///
/// The sources in `spec` point to where the secrets were read from.
#[derive(Debug, Clone)]
pub struct DefaultGateway {
    /// One node an entry of `HYSTERIA_STATS_URLS`, named `node-1`, `node-2`, …; one node without statistics if there are none.
    pub spec: VpnGatewaySpec,
    /// Secret of every node's statistics API.
    pub stats_secret: Option<SecretString>,
    /// Obfuscation password of every node.
    pub obfs_password: Option<SecretString>,
    /// Path secret with which every node asks the auth listener.
    pub auth_token: Option<SecretString>,
    /// API token of the panel.
    pub blitz_token: Option<SecretString>,
    /// No server is declared: neither `DOMAIN` nor `HYSTERIA_STATS_URLS` is given, and the one node stands in for it.
    pub undeclared: bool,
}

impl DefaultGateway {
    /// The secret that a source in `spec` names. They need not be read a second time, and those that are kept in the data
    /// folder may be read by no other resource.
    #[must_use]
    pub fn secret(&self, source: &SecretSource) -> Option<&SecretString> {
        let panel = self.spec.blitz.iter().flat_map(|blitz| {
            [
                (Some(&blitz.token), &self.blitz_token),
                (blitz.stats_secret.as_ref(), &self.stats_secret),
                (blitz.auth_guard.as_ref().map(|guard| &guard.token), &self.auth_token),
            ]
        });
        let nodes = self.spec.hysteria.iter().flat_map(|hysteria| &hysteria.nodes);
        nodes
            .flat_map(|node| {
                [
                    (node.stats_secret.as_ref(), &self.stats_secret),
                    (node.obfs.as_ref().map(|obfs| &obfs.password), &self.obfs_password),
                    (node.auth_token.as_ref(), &self.auth_token),
                ]
            })
            .chain(panel)
            .find(|(named, _)| *named == Some(source))
            .and_then(|(_, secret)| secret.as_ref())
    }
}

/// The Hysteria settings, checked: what is empty counts as absent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HysteriaDefaults {
    /// What nodes are called, before their number.
    pub node_name: &'static str,
    /// Public host name or address.
    pub address: String,
    /// Public ports.
    pub ports: Ports,
    /// Server name of the TLS handshake, when it is not the address.
    pub sni: Option<String>,
    /// SHA-256 of the server certificate, lower-case hex without colons.
    pub pin_sha256: Option<String>,
    /// Links tell clients not to verify the certificate.
    pub insecure: bool,
    /// Base URLs of the statistics APIs, one a node, without a trailing slash.
    pub stats_urls: Vec<String>,
    /// Base URL of a Blitz panel, without a trailing slash. It keeps the accounts instead of nodes.
    pub blitz_url: Option<String>,
    /// URL of the panel's own auth service, which the operator asks beside its own.
    pub blitz_auth_upstream: Option<String>,
    /// Base URL of the statistics API of the panel's Hysteria, without a trailing slash.
    pub blitz_stats_url: Option<String>,
    /// Nothing names a server.
    pub undeclared: bool,
}

impl Hysteria {
    /// Checks the settings.
    ///
    /// # Errors
    /// Names the setting that cannot be used.
    pub fn check(self) -> Result<HysteriaDefaults, ConfigError> {
        let given = |text: Option<String>| text.filter(|text| !text.is_empty());
        let (domain, sni) = (given(self.domain), given(self.sni));
        for (name, host) in [("DOMAIN", &domain), ("HYSTERIA_SNI", &sni)] {
            if let Some(host) = host {
                check_host(name, host)?;
            }
        }
        let stats_urls = values::stats_urls(self.stats_urls.as_deref().unwrap_or_default()).map_err(|message| {
            ConfigError::Value {
                name: "HYSTERIA_STATS_URLS",
                message,
            }
        })?;
        let of_panel = |name: &'static str, url: Option<String>, secret| {
            let url = given(url).map(|url| values::panel_url(&url, secret));
            url.transpose().map_err(|message| ConfigError::Value { name, message })
        };
        let blitz_url = of_panel("BLITZ_API_URL", self.panel.blitz_api_url, "BLITZ_API_TOKEN")?;
        let auth = "BLITZ_AUTH_UPSTREAM";
        let blitz_auth_upstream = of_panel(auth, self.blitz_auth_upstream, "HYSTERIA_AUTH_TOKEN")?;
        let stats = "BLITZ_STATS_URL";
        let blitz_stats_url = of_panel(stats, self.blitz_stats_url, "HYSTERIA_STATS_SECRET")?;
        for (name, url) in [(auth, &blitz_auth_upstream), (stats, &blitz_stats_url)] {
            if blitz_url.is_none() && url.is_some() {
                return Err(ConfigError::Value {
                    name,
                    message: "speaks of the panel at BLITZ_API_URL, which is not set: set it, or unset this".to_owned(),
                });
            }
        }
        if blitz_url.is_some() && !stats_urls.is_empty() {
            return Err(ConfigError::Value {
                name: "HYSTERIA_STATS_URLS",
                message:
                    "the panel at BLITZ_API_URL keeps the accounts: unset one of the two, or declare two VpnGateways"
                        .to_owned(),
            });
        }
        Ok(HysteriaDefaults {
            blitz_url,
            blitz_auth_upstream,
            blitz_stats_url,
            node_name: "node",
            undeclared: domain.is_none() && stats_urls.is_empty(),
            address: domain.unwrap_or_else(|| "127.0.0.1".to_owned()),
            ports: self.port,
            sni,
            pin_sha256: given(self.pin_sha256).map(|pin| parse_pin(&pin)).transpose()?,
            insecure: self.insecure,
            stats_urls,
        })
    }
}

impl HysteriaDefaults {
    /// One simulated node. Its links lead nowhere: no name ends in `.invalid`.
    #[must_use]
    pub fn simulated(stats_url: String) -> Self {
        Self {
            node_name: "simulated",
            undeclared: false,
            blitz_url: None,
            blitz_auth_upstream: None,
            blitz_stats_url: None,
            address: "simulated.invalid".to_owned(),
            ports: Ports("443".to_owned()),
            sni: None,
            pin_sha256: None,
            insecure: false,
            stats_urls: vec![stats_url],
        }
    }

    /// The gateway that these settings define.
    #[must_use]
    pub fn gateway(&self, secrets: &Secrets) -> DefaultGateway {
        let node = |number: usize, stats_url: Option<&String>| HysteriaNode {
            name: format!("{}-{number}", self.node_name),
            address: self.address.clone(),
            ports: self.ports.0.clone(),
            sni: self.sni.clone(),
            pin_sha256: self.pin_sha256.clone(),
            insecure: self.insecure,
            certificate: None,
            obfs: secrets.hysteria_obfs_password.as_ref().map(|password| Obfuscation {
                type_: ObfuscationType::Salamander,
                password: password.source(),
            }),
            stats_url: stats_url.cloned(),
            stats_secret: stats_url.and(secrets.hysteria_stats_secret.as_ref().map(Secret::source)),
            auth_token: secrets.hysteria_auth_token.as_ref().map(Secret::source),
        };
        let nodes = if self.stats_urls.is_empty() {
            vec![node(1, None)]
        } else {
            (1..)
                .zip(&self.stats_urls)
                .map(|(number, url)| node(number, Some(url)))
                .collect()
        };
        let value = |secret: &Option<Secret>| secret.as_ref().map(|secret| secret.value.clone());
        let panel = self.blitz_url.as_ref().zip(secrets.blitz_api_token.as_ref());
        let blitz = panel.map(|(url, token)| BlitzGateway {
            url: url.clone(),
            token: token.source(),
            ca_bundle: None,
            stats_url: self.blitz_stats_url.clone(),
            stats_secret: self
                .blitz_stats_url
                .as_ref()
                .and(secrets.hysteria_stats_secret.as_ref().map(Secret::source)),
            auth_guard: self.blitz_auth_upstream.as_ref().map(|upstream| AuthGuard {
                token: path_secret(secrets.hysteria_auth_token.as_ref()),
                upstream: upstream.clone(),
            }),
        });
        DefaultGateway {
            spec: VpnGatewaySpec {
                hysteria: blitz.is_none().then_some(HysteriaGateway { nodes }),
                blitz,
            },
            blitz_token: value(&secrets.blitz_api_token),
            stats_secret: value(&secrets.hysteria_stats_secret),
            obfs_password: value(&secrets.hysteria_obfs_password),
            auth_token: value(&secrets.hysteria_auth_token),
            undeclared: self.undeclared && self.blitz_url.is_none(),
        }
    }
}

/// Where the path secret is read from; where it would be, if nobody gave one.
fn path_secret(given: Option<&Secret>) -> SecretSource {
    given.map_or_else(
        || SecretSource {
            env: Some("HYSTERIA_AUTH_TOKEN".to_owned()),
            ..SecretSource::default()
        },
        Secret::source,
    )
}

fn parse_pin(text: &str) -> Result<String, ConfigError> {
    let pin: String = text
        .chars()
        .filter(|c| *c != ':')
        .map(|c| c.to_ascii_lowercase())
        .collect();
    if pin.len() == 64 && pin.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(pin);
    }
    Err(ConfigError::Value {
        name: "HYSTERIA_PIN_SHA256",
        message:
            "give 64 hexadecimal digits, with or without colons: openssl x509 -noout -fingerprint -sha256 -in CERT"
                .into(),
    })
}

fn check_host(name: &'static str, host: &str) -> Result<(), ConfigError> {
    let bare = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(host);
    let good = bare.parse::<std::net::IpAddr>().is_ok()
        || (host.len() <= 253
            && host
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_')));
    if good {
        return Ok(());
    }
    Err(ConfigError::Value {
        name,
        message: "give a host name or an address alone, without scheme, port or path".into(),
    })
}

impl Secret {
    /// Where a resource would say that this secret is read from.
    pub(crate) fn source(&self) -> SecretSource {
        match &self.file {
            Some(path) => SecretSource {
                file: Some(path.display().to_string()),
                ..SecretSource::default()
            },
            None => SecretSource {
                env: Some(self.name.to_owned()),
                ..SecretSource::default()
            },
        }
    }
}
