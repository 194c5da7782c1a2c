//! How far a denial is proved.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How far a denial is proved.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ProofBody {
    /// Auth refused from then on, at the latest.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub denied_at: Option<Timestamp>,
    /// From then on no session could pass another byte.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub contained_at: Option<Timestamp>,
    /// From then on no session was left.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub sessions_zero_at: Option<Timestamp>,
    /// Nodes whose word is missing.
    pub waiting_for: Vec<String>,
    /// Those of them whose word never comes, because they have no statistics API.
    pub unprovable: Vec<String>,
    /// Nodes that were taken out of their gateway before their word was there. `contained_at` stays null then: sessions on them may
    /// go on.
    pub left_out: Vec<String>,
    /// When `contained_at` was last taken back, because a session moved on after its kick or turned up later.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub withdrawn_at: Option<Timestamp>,
}
