//! `VpnGateway`: where accounts live.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{condition::Condition, secret_source::SecretSource};

/// A set of VPN servers. Exactly one of `hysteria` and `blitz` is set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, CustomResource)]
#[kube(
    group = "vpn-operator.io",
    version = "v1alpha1",
    kind = "VpnGateway",
    namespaced,
    status = "VpnGatewayStatus",
    derive = "PartialEq"
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct VpnGatewaySpec {
    /// Hysteria2 nodes that ask the operator whom to let in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hysteria: Option<HysteriaGateway>,
    /// A Blitz panel that keeps the accounts itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blitz: Option<BlitzGateway>,
}

/// Hysteria2 nodes that ask the operator whom to let in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HysteriaGateway {
    /// The nodes; a client gets a link for each.
    pub nodes: Vec<HysteriaNode>,
}

/// One Hysteria2 server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HysteriaNode {
    /// Name of the node, unique within its gateway; shown in links and status.
    pub name: String,
    /// Public host name or address that clients connect to.
    pub address: String,
    /// Public port (`443`), hopping range (`20000-50000`) or list of both.
    #[serde(default = "default_ports")]
    pub ports: String,
    /// Server name of the TLS handshake; `address` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sni: Option<String>,
    /// SHA-256 of the server certificate as hex, with or without colons. Not for certificates that ACME renews.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pin_sha256: Option<String>,
    /// Whether links tell clients not to verify the certificate. Only ever together with a pin or in a laboratory.
    #[serde(default)]
    pub insecure: bool,
    /// Obfuscation of the QUIC packets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub obfs: Option<Obfuscation>,
    /// Base URL of the traffic statistics API, like `http://10.0.0.5:9999`. Without it a revocation cannot be proved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stats_url: Option<String>,
    /// Secret of the traffic statistics API.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stats_secret: Option<SecretSource>,
    /// The path secret with which this node asks the auth listener.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth_token: Option<SecretSource>,
}

fn default_ports() -> String {
    "443".to_owned()
}

/// Obfuscation of the QUIC packets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Obfuscation {
    /// Kind of obfuscation.
    #[serde(rename = "type", default)]
    pub type_: ObfuscationType,
    /// The shared password. It is part of every link.
    pub password: SecretSource,
}

/// Kind of obfuscation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ObfuscationType {
    #[default]
    Salamander,
    Gecko,
}

/// A Blitz panel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BlitzGateway {
    /// Base URL of the panel with its root path.
    pub url: String,
    /// API token of the panel.
    pub token: SecretSource,
    /// PEM certificates of the authority that signed the panel's certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_bundle: Option<String>,
    /// Base URL of the traffic statistics API of the panel's Hysteria.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stats_url: Option<String>,
}

/// What the operator observed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VpnGatewayStatus {
    /// Generation of the spec that this status speaks of; -1 before the first.
    #[serde(default)]
    pub observed_generation: i64,
    /// Conditions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
}

/// Name of the gateway that a user has when none is named, and that the environment defines when none is declared.
pub const DEFAULT_GATEWAY: &str = "default";
