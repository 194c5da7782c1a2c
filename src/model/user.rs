//! `VpnUser`: one person who should (or should not) have access.

use jiff::Timestamp;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{access, condition::Condition, corporate_id::CorporateId, quantity::Bytes, secret_source::SecretSource};

/// Access of one person to the VPN. Absent means no limit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, CustomResource)]
#[kube(
    group = "vpn-operator.io",
    version = "v1alpha1",
    kind = "VpnUser",
    namespaced,
    status = "VpnUserStatus",
    derive = "PartialEq"
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct VpnUserSpec {
    /// The person's corporate ID, like AB123456. Immutable; case does not matter. `metadata.name` must be its encoding.
    pub corporate_id: CorporateId,
    /// Free text that is shown to admins, usually the person's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Address to which the person's mail goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// Free text, for example a job title.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// Whether the person should have access. HR events flip this.
    #[serde(default = "yes")]
    pub active: bool,
    /// Access begins at this moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_from: Option<Timestamp>,
    /// Access ends at this moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_until: Option<Timestamp>,
    /// How much may be transferred.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traffic: Option<TrafficLimit>,
    /// How many devices may be connected at a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_devices: Option<u32>,
    /// Names of the gateways on which the person has an account; `default` alone when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateways: Option<Vec<String>>,
    /// Account on the gateway, for accounts that exist already. Immutable. Derived from the ID when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// An existing password. Generated when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials_from: Option<SecretSource>,
    /// Raise it to rotate the password; this also cuts the sessions that used the old one.
    #[serde(default = "one")]
    pub credential_generation: i64,
    /// Raise it to rotate the subscription link only.
    #[serde(default = "one")]
    pub subscription_generation: i64,
    /// What becomes of the account on the gateway when this object is deleted.
    #[serde(default)]
    pub deletion_policy: DeletionPolicy,
    /// What to do about an account of that name which exists on the gateway already.
    #[serde(default)]
    pub adopt: Adopt,
}

fn yes() -> bool {
    true
}
fn one() -> i64 {
    1
}

/// A limit on transferred bytes, both directions added up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TrafficLimit {
    /// Bytes in a period, like 100Gi.
    pub limit: Bytes,
    /// When the count starts anew.
    #[serde(default)]
    pub period: access::Period,
}

/// What becomes of the account when the object is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum DeletionPolicy {
    #[default]
    Delete,
    Block,
    Retain,
}

/// What to do about an account that exists already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum Adopt {
    #[default]
    Never,
    IfExists,
}

/// What the operator observed and did. Holds no secrets and nothing that changes with every poll.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VpnUserStatus {
    /// Generation of the spec that this status speaks of; -1 before the first.
    #[serde(default)]
    pub observed_generation: i64,
    /// Granted or Denied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access: Option<access::Access>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
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
    /// Generation of sessions ([`super::session::Epoch`]), so that it survives a restart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<i64>,
    /// State on each gateway.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gateways: Vec<GatewayState>,
    /// Usage in coarse steps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traffic: Option<TrafficState>,
    /// The latest revocation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revocation: Option<Revocation>,
    /// Conditions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
}

/// State of the account on one gateway.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GatewayState {
    /// Name of the gateway.
    pub name: String,
    /// Whether the account is there.
    pub account: AccountPresence,
}

/// Whether an account is on a gateway, as read back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum AccountPresence {
    Present,
    Absent,
    Unknown,
}

/// Usage in coarse steps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TrafficState {
    /// Bytes used in the period, rounded down to three digits.
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
    /// From then on no session could pass another byte: every node acknowledged a kick of every live session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contained_at: Option<Timestamp>,
    /// From then on no session was left on any node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sessions_zero_at: Option<Timestamp>,
    /// Nodes whose word is still missing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waiting_for: Vec<String>,
}
