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
    #[schemars(length(min = 1, max = syntax::SOURCE.max_len), extend("x-kubernetes-validations" = syntax::SOURCE.cel()))]
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

/// Whom a hold of this name is about, as far as the name tells: the operator's own names do, and so do those that people give
/// when they end with the person. What may mean one or another person is nobody.
#[must_use]
pub fn id_in_name(name: &str) -> Option<CorporateId> {
    let cause_at = name.find('-')? + 1;
    let ends = name.match_indices('-').map(|(at, _)| at);
    let mut told = ends.filter(|at| *at > cause_at).filter_map(|at| {
        let (before, id) = name.split_at_checked(at)?;
        let id = CorporateId::of_object_name(id.strip_prefix('-')?)?;
        // A cause of the operator's own has no dash, so that the first place counts.
        Some((id, !before.get(cause_at..)?.contains('-'), before.ends_with('-')))
    });
    let (first, is_own, _) = told.next()?;
    let others = told.filter(|(_, _, escaped)| !escaped).count();
    (is_own || others == 0).then_some(first)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_name_of_a_hold_tells_the_person(
            source in "[a-z][a-z0-9]{0,15}", cause in "[a-z0-9]{1,20}", id in "[A-Za-z0-9]([A-Za-z0-9._-]{0,6}[A-Za-z0-9._])?",
        ) {
            let id = CorporateId::parse(&id).unwrap();
            prop_assert_eq!(id_in_name(&hold_name(&source, &cause, &id)), Some(id));
        }
    }

    #[test]
    fn names_that_people_give_tell_the_person_only_without_doubt() {
        let id = |name| id_in_name(name).map(|id| id.key().to_owned());
        assert_eq!(id("helpdesk-stolen-laptop-ab123456").as_deref(), Some("ab123456"));
        assert_eq!(id("hr-left-2026-a--b").as_deref(), Some("a-b"));
        // a_b, or ub.
        assert_eq!(id("hr-left-2026-a-ub"), None);
        for name in ["", "hr", "hr-ab123456", "hr--ab123456", "hr-left-"] {
            assert_eq!(id(name), None, "{name}");
        }
    }
}
