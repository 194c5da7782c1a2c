//! What is answered about how far a denial is proved.

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::access::Proof;

/// How far a denial is proved.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct ProofBody {
    /// Auth refused from then on, at the latest.
    #[schema(value_type = Option<String>, format = DateTime)]
    denied_at: Option<Timestamp>,
    /// From then on no session could pass another byte.
    #[schema(value_type = Option<String>, format = DateTime)]
    contained_at: Option<Timestamp>,
    /// From then on no session was left.
    #[schema(value_type = Option<String>, format = DateTime)]
    sessions_zero_at: Option<Timestamp>,
    /// Nodes whose word is missing.
    waiting_for: Vec<String>,
    /// Those of them whose word never comes, because they have no statistics API.
    unprovable: Vec<String>,
    /// Nodes that were taken out of their gateway before their word was there. `contained_at` stays null then: sessions on them may
    /// go on.
    left_out: Vec<String>,
    /// When `contained_at` was last taken back, because a session moved on after its kick or turned up later.
    #[schema(value_type = Option<String>, format = DateTime)]
    withdrawn_at: Option<Timestamp>,
}

impl From<Proof> for ProofBody {
    fn from(proof: Proof) -> Self {
        Self {
            denied_at: proof.denied_at,
            contained_at: proof.contained_at,
            sessions_zero_at: proof.sessions_zero_at,
            waiting_for: proof.waiting_for,
            unprovable: proof.unprovable,
            left_out: proof.left_out,
            withdrawn_at: proof.withdrawn_at,
        }
    }
}
