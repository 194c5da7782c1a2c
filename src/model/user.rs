//! `VpnUser`: one person who should (or should not) have access.

use jiff::Timestamp;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    UNOBSERVED, access, condition::Condition, corporate_id::CorporateId, gateway::DEFAULT_GATEWAY,
    guard::HeldBackCause, quantity::Bytes, secret_source::SecretSource, syntax, unobserved,
};

pub use super::traffic::TrafficLimit;

/// Most characters of [`VpnUserSpec::owner`].
pub const MAX_OWNER_LEN: usize = 256;
/// Most characters of [`VpnUserSpec::role`].
pub const MAX_ROLE_LEN: usize = 128;
/// Most characters of the name of a department, in the registry of corporate IDs.
pub const MAX_DEPARTMENT_LEN: usize = 128;
/// Most devices that can be allowed.
pub const MAX_DEVICES: u32 = 1000;
/// Most gateways of one person.
pub const MAX_GATEWAYS: usize = 16;

/// Access of one person to the VPN. Absent means no limit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, KubeSchema, CustomResource)]
#[kube(
    group = "vpn-operator.io",
    version = "v1alpha1",
    kind = "VpnUser",
    doc = "One person who should, or should not, have access to the VPN.",
    namespaced,
    status = "VpnUserStatus",
    derive = "PartialEq",
    shortname = "vu",
    category = "vpn",
    selectable = ".spec.corporateId",
    selectable = ".spec.active",
    selectable = ".status.access",
    validation = Rule::new(
        "self.metadata.name == \
         self.spec.corporateId.lowerAscii().replace('-', '--').replace('_', '-u').replace('.', '-d')"
    )
    .message(Message::Expression(
        "'metadata.name must be ' + \
         self.spec.corporateId.lowerAscii().replace('-', '--').replace('_', '-u').replace('.', '-d') + \
         ', the encoding of spec.corporateId: in lower case, with - as --, _ as -u and . as -d'"
            .to_owned()
    )),
    printcolumn(name = "ID", type_ = "string", json_path = ".spec.corporateId", description = "Corporate ID"),
    printcolumn(name = "Owner", type_ = "string", json_path = ".spec.owner", description = "Whose access it is"),
    printcolumn(name = "Access", type_ = "string", json_path = ".status.access", description = "Granted or Denied"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.reason", description = "Why"),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].status",
        description = "Whether the gateways agree with the decision"
    ),
    printcolumn(
        name = "Account",
        type_ = "string",
        json_path = ".status.username",
        description = "Account on the gateways",
        priority = 1
    ),
    printcolumn(
        name = "Until",
        type_ = "string",
        json_path = ".spec.validUntil",
        description = "End of access",
        priority = 1
    ),
    printcolumn(
        name = "Used",
        type_ = "string",
        json_path = ".status.traffic.used",
        description = "Bytes used in the period",
        priority = 1
    ),
    printcolumn(
        name = "Limit",
        type_ = "string",
        json_path = ".spec.traffic.limit",
        description = "Bytes allowed in a period",
        priority = 1
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp", description = "Age")
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(
    validation = Rule::new("self.corporateId == oldSelf.corporateId")
        .message("corporateId is immutable: delete the object and create another one")
        .field_path(".corporateId"),
    validation = Rule::new(
        "has(self.username) == has(oldSelf.username) && (!has(self.username) || self.username == oldSelf.username)"
    )
    .message("username is immutable, and can neither be added nor removed later")
    .field_path(".username"),
    validation = Rule::new("!has(self.validFrom) || !has(self.validUntil) || self.validFrom < self.validUntil")
        .message("validUntil must be after validFrom")
        .field_path(".validUntil"),
    validation = Rule::new("self.credentialGeneration >= oldSelf.credentialGeneration")
        .message("credentialGeneration can only rise")
        .field_path(".credentialGeneration"),
    validation = Rule::new("self.subscriptionGeneration >= oldSelf.subscriptionGeneration")
        .message("subscriptionGeneration can only rise")
        .field_path(".subscriptionGeneration"),
)]
pub struct VpnUserSpec {
    /// The person's corporate ID, like AB123456. Immutable; case does not matter. `metadata.name` must be its encoding.
    pub corporate_id: CorporateId,
    /// Free text that is shown to admins, usually the person's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = MAX_OWNER_LEN))]
    pub owner: Option<String>,
    /// Address to which the person's mail goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = syntax::EMAIL.max_len), extend("x-kubernetes-validations" = syntax::EMAIL.cel()))]
    pub email: Option<String>,
    /// Free text, for example a job title.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = MAX_ROLE_LEN))]
    pub role: Option<String>,
    /// Whether the person should have access. HR events flip this.
    #[serde(default = "yes")]
    pub active: bool,
    /// Access begins at this moment; at once when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_from: Option<Timestamp>,
    /// Access ends at this moment; never when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_until: Option<Timestamp>,
    /// How much may be transferred; without limit when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traffic: Option<TrafficLimit>,
    /// How many devices may be connected at a time; any number when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = MAX_DEVICES), extend("format" = "int32"))]
    pub max_devices: Option<u32>,
    /// Names of the gateways on which the person has an account; `default` alone when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = MAX_GATEWAYS),
        inner(length(min = 1, max = syntax::LABEL.max_len)),
        extend("x-kubernetes-list-type" = "set", "x-kubernetes-validations" = syntax::LABEL.cel_of_items())
    )]
    pub gateways: Option<Vec<String>>,
    /// Account on the gateway, for accounts that exist already. Immutable. Derived from the ID when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = syntax::USERNAME.max_len), extend("x-kubernetes-validations" = syntax::USERNAME.cel()))]
    pub username: Option<String>,
    /// An existing password. Generated when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials_from: Option<SecretSource>,
    /// Raise it to rotate the password; this also cuts the sessions that used the old one.
    #[serde(default = "one")]
    #[schemars(range(min = 1))]
    pub credential_generation: i64,
    /// Raise it to rotate the subscription link only.
    #[serde(default = "one")]
    #[schemars(range(min = 1))]
    pub subscription_generation: i64,
    /// What becomes of the account on the gateway when this object is deleted: `Delete` removes it, `Block` leaves it there
    /// without access, `Retain` lets go of it as it is.
    #[serde(default)]
    pub deletion_policy: DeletionPolicy,
    /// What to do about an account of that name which exists on the gateway already: `Never` refuses to touch it,
    /// `IfExists` takes it over.
    #[serde(default)]
    pub adopt: Adopt,
}

impl VpnUserSpec {
    /// The account on the gateways: as declared, or derived from the ID. Lower case, as panels store it and as logins are compared.
    #[must_use]
    pub fn account(&self) -> String {
        match &self.username {
            Some(name) => name.to_ascii_lowercase(),
            None => self.corporate_id.account(),
        }
    }

    /// The gateways of the user: as declared, or the default one.
    #[must_use]
    pub fn gateway_names(&self) -> Vec<String> {
        match &self.gateways {
            Some(names) if !names.is_empty() => names.clone(),
            _ => vec![DEFAULT_GATEWAY.to_owned()],
        }
    }
}

fn yes() -> bool {
    true
}
fn one() -> i64 {
    1
}

/// What becomes of the account when the object is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum DeletionPolicy {
    /// The account is removed.
    #[default]
    Delete,
    /// The account stays, without access.
    Block,
    /// The account is let go of as it is.
    Retain,
}

/// What to do about an account that exists already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum Adopt {
    /// It is somebody else's: refuse to touch it.
    #[default]
    Never,
    /// It is this person's: take it over.
    IfExists,
}

/// What the operator observed and did. Holds no secrets and nothing that changes with every poll.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("default" = { "observedGeneration": UNOBSERVED }))]
pub struct VpnUserStatus {
    /// Generation of the spec that this status speaks of; -1 before the first.
    #[serde(default = "unobserved")]
    pub observed_generation: i64,
    /// Granted or Denied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "access::Access")]
    pub access: Option<access::Access>,
    /// Why, as a constant: `Active` when access is granted, `GuardHeldBack` when it is granted only because the guard holds a
    /// denial back, else the first cause that stands against it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "access::Reason")]
    pub reason: Option<access::Reason>,
    /// Account on the gateway.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// Secret with the person's links. Kubernetes only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_name: Option<String>,
    /// Password generation that the gateways accept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential_generation: Option<i64>,
    /// Generation of sessions, kept here so that it survives a restart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<i64>,
    /// Value of the annotation `vpn-operator.io/reconcile-now` that was acted on last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_handled_reconcile_at: Option<String>,
    /// What the guard holds back. A cause that is not listed here is in force.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["cause"]))]
    pub guard: Vec<HeldBackCause>,
    /// State on each gateway.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub gateways: Vec<GatewayState>,
    /// Usage in coarse steps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traffic: Option<TrafficState>,
    /// The latest revocation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revocation: Option<Revocation>,
    /// Ready, Reconciling, Stalled, Granted and Paused. Ready means that the gateways agree with the decision, whichever it is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}

impl Default for VpnUserStatus {
    /// The status before the first observation.
    fn default() -> Self {
        Self {
            observed_generation: UNOBSERVED,
            access: None,
            reason: None,
            username: None,
            secret_name: None,
            credential_generation: None,
            epoch: None,
            last_handled_reconcile_at: None,
            guard: Vec::new(),
            gateways: Vec::new(),
            traffic: None,
            revocation: None,
            conditions: Vec::new(),
        }
    }
}

/// State of the account on one gateway.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GatewayState {
    /// Name of the gateway.
    pub name: String,
    /// Whether the account is there, as read back: Present, Absent, Foreign (it is somebody else's) or Unknown.
    pub account: AccountPresence,
}

/// Whether an account is on a gateway, as read back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum AccountPresence {
    /// The account is there.
    Present,
    /// The account is not there.
    Absent,
    /// There is an account of this name that is not the operator's.
    Foreign,
    /// The gateway has not said.
    Unknown,
}

/// Usage in coarse steps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TrafficState {
    /// Bytes used in the period, both directions added up, rounded down to a whole unit.
    pub used: Bytes,
    /// Start of the period; absent for a lifetime limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub period_start: Option<Timestamp>,
}

/// The three times of a revocation, UTC with milliseconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Revocation {
    /// From then on auth refused.
    pub denied_at: Timestamp,
    /// From then on no session could pass another byte: every node acknowledged a kick of every live session. Absent while a word
    /// is missing, and for good when the node whose word it is was left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contained_at: Option<Timestamp>,
    /// From then on no session was left on any node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sessions_zero_at: Option<Timestamp>,
    /// Nodes whose word is still missing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "set"))]
    pub waiting_for: Vec<String>,
    /// Nodes that were taken out of their gateway before their word was there, and are not asked any more. Sessions on them may go
    /// on for as long as those servers run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "set"))]
    pub left_out: Vec<String>,
    /// When `containedAt` was last taken back: a session moved on after its kick, or one turned up that nobody knew of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub withdrawn_at: Option<Timestamp>,
}

impl Revocation {
    /// Whether no node that can be asked lets another byte pass.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.contained_at.is_some() || (self.waiting_for.is_empty() && !self.left_out.is_empty())
    }
}
