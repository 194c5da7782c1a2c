//! `VpnHold`: why a person stays out, whatever the `VpnUser` says.

use jiff::Timestamp;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::corporate_id::CorporateId;

/// A standing denial. All live holds count: any one denies. The spec is immutable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, CustomResource)]
#[kube(
    group = "vpn-operator.io",
    version = "v1alpha1",
    kind = "VpnHold",
    namespaced,
    status = "VpnHoldStatus",
    derive = "PartialEq"
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct VpnHoldSpec {
    /// The corporate ID that is denied; case does not matter. It may exist before its user does.
    pub corporate_id: CorporateId,
    /// Who holds: `hr`, `api`, `bot`, `cli`, `registry`, `helpdesk` or another short word. Only the same source lifts it.
    pub source: String,
    /// Why, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The hold begins at this moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Timestamp>,
    /// The hold ends at this moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// What the operator makes of a hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VpnHoldStatus {
    /// Pending, Live or Expired.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<HoldPhase>,
}

/// Where a hold stands in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum HoldPhase {
    /// `from` is still to come.
    Pending,
    /// It denies.
    Live,
    /// `until` has passed.
    Expired,
}

/// The name a hold of this source, cause and person has: `<source>-<cause>-<id>`.
#[must_use]
pub fn hold_name(source: &str, cause: &str, id: &CorporateId) -> String {
    format!("{source}-{cause}-{}", id.object_name())
}
