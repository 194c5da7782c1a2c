//! `VpnHold`: why a person stays out, whatever the `VpnUser` says.

use jiff::Timestamp;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{corporate_id::CorporateId, guard::WaitingHold, syntax};

/// Most characters of [`VpnHoldSpec::reason`].
pub const MAX_REASON_LEN: usize = 1024;

/// A standing denial. All live holds count: any one denies. The spec is immutable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema, CustomResource)]
#[expect(
    clippy::duplicated_attributes,
    reason = "each column has a type, and some have the same"
)]
#[kube(
    group = "vpn-operator.io",
    version = "v1alpha1",
    kind = "VpnHold",
    doc = "Why a person stays out, whatever their VpnUser says.",
    namespaced,
    status = "VpnHoldStatus",
    derive = "PartialEq",
    shortname = "vh",
    category = "vpn",
    selectable = ".spec.corporateId",
    selectable = ".spec.source",
    printcolumn(
        name = "ID",
        type_ = "string",
        json_path = ".spec.corporateId",
        description = "Corporate ID"
    ),
    printcolumn(
        name = "Source",
        type_ = "string",
        json_path = ".spec.source",
        description = "Who holds"
    ),
    printcolumn(
        name = "Phase",
        type_ = "string",
        json_path = ".status.phase",
        description = "Pending, Live, Expired or HeldBack"
    ),
    printcolumn(
        name = "Until",
        type_ = "string",
        json_path = ".spec.until",
        description = "End of the hold"
    ),
    printcolumn(
        name = "From",
        type_ = "string",
        json_path = ".spec.from",
        description = "Begin of the hold",
        priority = 1
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = ".spec.reason",
        description = "Why",
        priority = 1
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp",
        description = "Age"
    )
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(
    validation = Rule::new("self == oldSelf")
        .message("a hold is immutable: release it and create another one"),
    validation = Rule::new("!has(self.from) || !has(self.until) || self.from < self.until")
        .message("until must be after from")
        .field_path(".until"),
)]
pub struct VpnHoldSpec {
    /// The corporate ID that is denied; case does not matter. It may exist before its user does.
    pub corporate_id: CorporateId,
    /// Who holds: `hr`, `api`, `bot`, `cli`, `registry`, `helpdesk` or another short word. Only the same source lifts it.
    #[schemars(length(min = 1, max = syntax::SOURCE.max_len), regex(pattern = syntax::SOURCE.pattern))]
    pub source: String,
    /// Why, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = MAX_REASON_LEN))]
    pub reason: Option<String>,
    /// The hold begins at this moment; at once when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Timestamp>,
    /// The hold ends at this moment; never when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// What the operator makes of a hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VpnHoldStatus {
    /// Pending before `from`, Live while it denies, Expired from `until` on, `HeldBack` while the guard waits for a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "HoldPhase")]
    pub phase: Option<HoldPhase>,
    /// The guard keeps the hold from denying.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_back: Option<WaitingHold>,
    /// The hold is gone without having been lifted, and the guard keeps it in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lost: Option<WaitingHold>,
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
    /// It was placed by a feed together with many others, and does not deny until a person confirms it.
    HeldBack,
}

/// The name a hold of this source, cause and person has: `<source>-<cause>-<id>`.
#[must_use]
pub fn hold_name(source: &str, cause: &str, id: &CorporateId) -> String {
    format!("{source}-{cause}-{}", id.object_name())
}
