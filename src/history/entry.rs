//! What a row of the audit says.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// One row of the audit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditEntry {
    /// Who: a name, an address, `vpn-operator`.
    pub actor: String,
    /// By which way in: `api`, `cli`, `folder`, `kubernetes`, `hr`, `bot`, `operator`, `import`.
    pub source: String,
    /// What: `grant`, `deactivate`, `activate`, `hold.create`, `hold.release`, `hold.release-many`, `rotate`, `access.granted`, `access.denied`, `guard.confirm`,
    /// `revocation`, `audit.key`, …
    pub action: String,
    /// Whom it concerns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub corporate_id: Option<String>,
    /// State before, as short JSON text without secrets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    /// State after.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// Why, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Id of the request that caused it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// Where it came from: the network address of the caller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// The HR event that caused it, by its number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<String>,
}

/// An entry and the moment it speaks of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Stamped {
    pub at: Timestamp,
    pub entry: AuditEntry,
}

/// An entry of the operator about itself.
pub(super) fn of_operator(action: &str) -> AuditEntry {
    AuditEntry {
        actor: "vpn-operator".to_owned(),
        source: OPERATOR.to_owned(),
        action: action.to_owned(),
        ..AuditEntry::default()
    }
}

/// Source of what the operator says of itself.
pub(super) const OPERATOR: &str = "operator";

/// Source of what was taken over from another system.
pub(super) const IMPORT: &str = "import";
