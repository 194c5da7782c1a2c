//! Who had access when, and everything that is kept about one person.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::audit::AuditBody;

/// An order that changed somebody's access.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct AccessOrderBody {
    /// Number of its audit row.
    pub seq: i64,
    /// When it was given, UTC.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// Who gave it.
    pub actor: String,
    /// By which way in.
    pub source: String,
    /// What was ordered.
    pub action: String,
    /// Id of the request by which it was given, as long as its audit row is kept.
    pub request_id: Option<String>,
    /// The HR event that gave it, by its number, as long as its audit row is kept.
    pub event: Option<String>,
}

/// How somebody's access stood.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct HadAccessBody {
    /// Whose it is.
    pub corporate_id: String,
    /// `Granted` or `Denied`.
    pub access: String,
    /// Why.
    pub reason: String,
    /// The same for people, with the names of holds.
    pub why: Option<String>,
    /// Since when access was granted, or denied, without a break.
    #[schema(value_type = String, format = DateTime)]
    pub since: Timestamp,
    /// Since when it was so for this reason.
    #[schema(value_type = String, format = DateTime)]
    pub reason_since: Timestamp,
    /// Number of the audit row that says so; it may be past retention.
    pub seq: i64,
    /// The order that brought it about; null when it was a change in desired state, a limit, or time.
    pub order: Option<AccessOrderBody>,
}

/// Who had access at a moment.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct WhoBody {
    /// The moment, UTC.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// Every change since then was written down. Of what was before little or nothing is known; null when nothing is.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub known_from: Option<Timestamp>,
    /// The people, in the order of their IDs.
    pub people: Vec<HadAccessBody>,
    /// `after` of the next page; null at the end.
    pub next: Option<String>,
}

/// A revocation as it is kept.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct PastRevocationBody {
    /// Account on the gateways.
    pub account: String,
    /// Why.
    pub reason: String,
    /// Logins were refused from then on.
    #[schema(value_type = String, format = DateTime)]
    pub denied_at: Timestamp,
    /// No session could pass another byte from then on.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub contained_at: Option<Timestamp>,
    /// No session was left from then on.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub sessions_zero_at: Option<Timestamp>,
    /// Nodes that were taken out of their gateway before their word was there.
    pub left_out: Vec<String>,
    /// When containment was last taken back because it was not true.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub withdrawn_at: Option<Timestamp>,
    /// When the person's object was deleted.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub deleted_at: Option<Timestamp>,
}

/// Traffic in a month.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct MonthTrafficBody {
    /// The month, UTC.
    #[schema(example = "2026-03")]
    pub month: String,
    /// Account on the gateways.
    pub account: String,
    /// Bytes from the user.
    pub upload: u64,
    /// Bytes to the user.
    pub download: u64,
}

/// Everything that is kept about one person, oldest first.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct StoryBody {
    /// Who it is.
    pub corporate_id: String,
    /// Every change of access since then was written down.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub known_from: Option<Timestamp>,
    /// Audit rows, oldest first; of very many the latest.
    pub rows: Vec<AuditBody>,
    /// There are older rows: `GET /audit` has them.
    pub cut: bool,
    /// Revocations.
    pub revocations: Vec<PastRevocationBody>,
    /// Traffic by month.
    pub traffic: Vec<MonthTrafficBody>,
}
