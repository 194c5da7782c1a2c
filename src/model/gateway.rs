//! `VpnGateway`: where accounts live.

use jiff::Timestamp;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{UNOBSERVED, condition::Condition, secret_source::SecretSource, syntax, unobserved};

/// Most nodes of one gateway.
pub const MAX_NODES: usize = 64;

/// A set of VPN servers. Exactly one of `hysteria` and `blitz` is set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema, CustomResource)]
#[kube(
    group = "vpn-operator.io",
    version = "v1alpha1",
    kind = "VpnGateway",
    doc = "A set of VPN servers on which people have accounts.",
    namespaced,
    status = "VpnGatewayStatus",
    derive = "PartialEq",
    shortname = "vg",
    category = "vpn",
    validation = Rule::new("self.metadata.name.size() <= 63 && !self.metadata.name.contains('.')")
        .message("metadata.name must have at most 63 characters and no '.', so that spec.gateways of a user can name it"),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].status",
        description = "Whether every server answered one of the last three polls"
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].reason",
        description = "Why"
    ),
    printcolumn(
        name = "Nodes",
        type_ = "string",
        json_path = ".status.reachableNodes",
        description = "Servers that answer, out of all"
    ),
    printcolumn(
        name = "Sessions",
        type_ = "integer",
        json_path = ".status.sessions",
        description = "Sessions online, about"
    ),
    printcolumn(
        name = "Message",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].message",
        description = "What is wrong with which server",
        priority = 1
    ),
    printcolumn(
        name = "Panel",
        type_ = "string",
        json_path = ".spec.blitz.url",
        description = "Blitz panel",
        priority = 1
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp", description = "Age")
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(validation = Rule::new("has(self.hysteria) != has(self.blitz)")
    .message("exactly one of hysteria and blitz must be given"))]
pub struct VpnGatewaySpec {
    /// Hysteria2 nodes that ask the operator whom to let in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hysteria: Option<HysteriaGateway>,
    /// A Blitz panel that keeps the accounts itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blitz: Option<BlitzGateway>,
}

/// Hysteria2 nodes that ask the operator whom to let in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(validation = Rule::new(
    "self.nodes.all(a, !has(a.statsUrl) || self.nodes.exists_one(b, has(b.statsUrl) && b.statsUrl == a.statsUrl))"
)
.message("two nodes have the same statsUrl: each server has statistics of its own")
.field_path(".nodes"))]
pub struct HysteriaGateway {
    /// The nodes; a client gets a link for each.
    #[schemars(
        length(min = 1, max = MAX_NODES),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"])
    )]
    pub nodes: Vec<HysteriaNode>,
}

/// One Hysteria2 server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(validation = Rule::new(
    format!("self.ports.matches('{}')", syntax::PORTS.pattern)
)
.message(format!("ports must be {}", syntax::PORTS.rule).as_str())
.field_path(".ports"),
validation = Rule::new(
    // What is no range of ports is said by the rule above.
    "self.ports.split(',').all(entry, !entry.matches('^[0-9]{1,5}-[0-9]{1,5}$') || \
     int(entry.split('-')[0]) < int(entry.split('-')[1]))"
)
.message("the first port of a range must be below its last")
.field_path(".ports"))]
pub struct HysteriaNode {
    /// Name of the node, unique within its gateway; shown in links and status.
    #[schemars(length(min = 1, max = syntax::LABEL.max_len), extend("x-kubernetes-validations" = syntax::LABEL.cel()))]
    pub name: String,
    /// Public host name or address that clients connect to.
    #[schemars(length(min = 1, max = syntax::HOST.max_len), extend("x-kubernetes-validations" = syntax::HOST.cel()))]
    pub address: String,
    /// Public port (`443`), hopping range (`20000-50000`) or list of both.
    #[serde(default = "default_ports")]
    #[schemars(length(min = 1, max = syntax::PORTS.max_len))]
    pub ports: String,
    /// Server name of the TLS handshake; `address` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = syntax::SERVER_NAME.max_len), extend("x-kubernetes-validations" = syntax::SERVER_NAME.cel()))]
    pub sni: Option<String>,
    /// SHA-256 of the server certificate as hex, with or without colons. Not for certificates that ACME renews.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = syntax::PIN_SHA256.max_len), extend("x-kubernetes-validations" = syntax::PIN_SHA256.cel()))]
    pub pin_sha256: Option<String>,
    /// Whether links tell clients not to verify the certificate. Only ever together with a pin or in a laboratory.
    #[serde(default)]
    pub insecure: bool,
    /// The server's own certificate in PEM, where no public authority vouches for it: clients that can, trust this one and no
    /// other. Its hash is then the pin for the rest. Not for certificates that ACME renews.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = syntax::CERTIFICATE.max_len), extend("x-kubernetes-validations" = syntax::CERTIFICATE.cel()))]
    pub certificate: Option<String>,
    /// Obfuscation of the QUIC packets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub obfs: Option<Obfuscation>,
    /// Base URL of the traffic statistics API, like `http://10.0.0.5:9999`. Without it a revocation cannot be proved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = syntax::BASE_URL.max_len), extend("x-kubernetes-validations" = syntax::BASE_URL.cel()))]
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
    /// Kind of obfuscation: `salamander`, which every client knows, or `gecko`.
    #[serde(rename = "type", default)]
    pub type_: ObfuscationType,
    /// The shared password. It is part of every link.
    pub password: SecretSource,
}

/// Kind of obfuscation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ObfuscationType {
    /// Every packet looks like random bytes.
    #[default]
    Salamander,
    /// The newer kind, for clients that know it.
    Gecko,
}

/// A Blitz panel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BlitzGateway {
    /// Base URL of the panel with its root path.
    #[schemars(length(min = 1, max = syntax::BASE_URL.max_len), extend("x-kubernetes-validations" = syntax::BASE_URL.cel()))]
    pub url: String,
    /// API token of the panel.
    pub token: SecretSource,
    /// PEM certificates of the authority that signed the panel's certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = syntax::CA_BUNDLE.max_len), extend("x-kubernetes-validations" = syntax::CA_BUNDLE.cel()))]
    pub ca_bundle: Option<String>,
    /// Base URL of the traffic statistics API of the panel's Hysteria, like `http://127.0.0.1:25413`. With it sessions are ended
    /// there, and are gone only when the server says so too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = syntax::BASE_URL.max_len), extend("x-kubernetes-validations" = syntax::BASE_URL.cel()))]
    pub stats_url: Option<String>,
    /// Secret of that API.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stats_secret: Option<SecretSource>,
    /// The panel's servers ask the operator first: who is denied is refused at once, whatever the panel does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth_guard: Option<AuthGuard>,
}

impl BlitzGateway {
    /// Every secret that it names.
    pub fn secrets(&self) -> impl Iterator<Item = &SecretSource> {
        let guard = self.auth_guard.as_ref().map(|guard| &guard.token);
        [Some(&self.token), self.stats_secret.as_ref(), guard]
            .into_iter()
            .flatten()
    }
}

/// The operator's auth listener in front of a panel's own auth service. Both have to let somebody in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AuthGuard {
    /// The path secret with which the panel's servers ask the auth listener. No other server may have the same.
    pub token: SecretSource,
    /// URL of the panel's own auth service, as it stood in `auth.http.url` of its servers.
    #[serde(default = "default_upstream")]
    #[schemars(length(min = 1, max = syntax::BASE_URL.max_len), extend("x-kubernetes-validations" = syntax::BASE_URL.cel()))]
    pub upstream: String,
}

/// Where a panel's auth service listens on the panel's own machine.
pub const DEFAULT_UPSTREAM: &str = "http://127.0.0.1:28262/auth";

fn default_upstream() -> String {
    DEFAULT_UPSTREAM.to_owned()
}

/// What the operator observed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("default" = { "observedGeneration": UNOBSERVED }))]
pub struct VpnGatewayStatus {
    /// Generation of the spec that this status speaks of; -1 before the first.
    #[serde(default = "unobserved")]
    pub observed_generation: i64,
    /// Nodes that answer, out of all: `1/2`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reachable_nodes: Option<String>,
    /// Sessions online on all nodes, in coarse steps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0), extend("format" = "int32"))]
    pub sessions: Option<u32>,
    /// What is known of each node.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub nodes: Vec<NodeState>,
    /// Ready, Reconciling, Stalled, Separated and Guarded. Ready means that every node answered one of the last three polls.
    /// Reconciling beside it means that a panel has much to do before its accounts are as declared. Separated is there only while
    /// it is False: users cannot be kept to the gateways that they name. Guarded is there where spec.blitz.authGuard is: whether
    /// the panel's servers ask the operator, and the panel's own service answers it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}

impl Default for VpnGatewayStatus {
    /// The status before the first observation.
    fn default() -> Self {
        Self {
            observed_generation: UNOBSERVED,
            reachable_nodes: None,
            sessions: None,
            nodes: Vec::new(),
            conditions: Vec::new(),
        }
    }
}

/// What is known of one node, in steps so coarse that it rarely changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NodeState {
    /// Name of the node.
    pub name: String,
    /// Whether the node answered one of the last three polls: True, False or Unknown. Of a node without `statsUrl` nobody
    /// knows.
    pub reachable: Reachable,
    /// Sessions online: exact up to ten, then 10, 15, 20, … 95, 100, 150, 200, …
    #[schemars(range(min = 0), extend("format" = "int32"))]
    pub sessions: u32,
    /// When the node last answered, UTC. While it answers, in steps of ten minutes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_poll: Option<Timestamp>,
}

/// Whether a node answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Reachable {
    /// It answers.
    True,
    /// It does not.
    False,
    /// It was not asked yet, or cannot be asked.
    Unknown,
}

/// Name of the gateway that a user has when none is named, and that the environment defines when none is declared.
pub const DEFAULT_GATEWAY: &str = "default";
