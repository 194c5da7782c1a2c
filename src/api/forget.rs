//! Forgetting a person.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::schemas::CorporateIdText;

/// Who is to be forgotten, and why.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ForgetBody {
    /// Whom.
    #[schema(value_type = CorporateIdText)]
    pub corporate_id: String,
    /// Why; stands in the audit, so nothing about the person belongs in it.
    #[schema(min_length = 1, max_length = 1000)]
    pub reason: String,
}

/// What became of it.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ForgottenBody {
    /// Whom.
    pub corporate_id: String,
    /// Audit rows that were emptied now.
    pub rows: u64,
    /// HR events that were emptied now.
    pub events: u64,
    /// HR events that are still to be carried out or decided about: they are forgotten as soon as that is done.
    pub waiting: u64,
    /// Whether the registry knew anything about the person.
    pub registry: bool,
    /// Objects of desired state about the person: what is written in them stays until somebody removes it.
    pub declared: Vec<String>,
    /// Backups that were taken before still have it; null where the operator takes none.
    pub backups: Option<BackupsBody>,
}

/// Backups that still have a person's data.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct BackupsBody {
    /// Where they are.
    pub folder: String,
    /// When the last of them is rotated out, if backups go on as planned.
    #[schema(value_type = String, format = DateTime)]
    pub until: Timestamp,
}
