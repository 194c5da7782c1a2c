//! The audit.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A row of the audit.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct AuditBody {
    /// Number of the row.
    pub seq: i64,
    /// When, UTC.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// Who.
    pub actor: String,
    /// By which way in.
    pub source: String,
    /// What.
    pub action: String,
    /// Whom it concerns.
    pub corporate_id: Option<String>,
    /// State before, as JSON text.
    pub before: Option<String>,
    /// State after, as JSON text.
    pub after: Option<String>,
    /// Why, for people.
    pub reason: Option<String>,
    /// Id of the request.
    pub request_id: Option<String>,
    /// Where it came from: the network address of the caller, or the file of a folder.
    pub address: Option<String>,
    /// The HR event that caused it.
    pub event: Option<String>,
}

/// A page of the audit.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct AuditPageBody {
    /// The rows, newest first.
    pub rows: Vec<AuditBody>,
    /// `before` of the next page; null at the end.
    pub next: Option<i64>,
}

/// Why somebody takes note.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AcknowledgeBody {
    /// Why; stands in the audit.
    #[schema(min_length = 1, max_length = 1000)]
    pub reason: String,
}

/// Something in the audit that does not fit.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct FindingBody {
    /// The row, where it is about one.
    pub row: Option<i64>,
    /// What is wrong, for people.
    pub what: String,
}

/// What somebody took note of.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct AcknowledgedBody {
    /// What was found broken since the last time; nothing if nothing was.
    pub findings: Vec<FindingBody>,
}
