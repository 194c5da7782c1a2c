//! What a row of the audit says.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// One row of the audit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditEntry {
    /// Who: a name, an address, `operator`.
    pub actor: String,
    /// By which way in: `api`, `cli`, `folder`, `hr`, `bot`, `operator`, `import`.
    pub source: String,
    /// What: `grant`, `deactivate`, `activate`, `hold.create`, `hold.release`, `hold.release-many`, `rotate`, `access.granted`, `access.denied`, `guard.confirm`, …
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
}

/// An entry and the moment it speaks of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Stamped {
    pub at: Timestamp,
    pub entry: AuditEntry,
}
