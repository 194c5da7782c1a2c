//! How a person answers the guard.

use serde::Serialize;
use utoipa::ToSchema;

/// The commands that decide about what the guard holds back of a person.
#[derive(Serialize, ToSchema)]
pub(super) struct DecideBody {
    /// Lets it happen.
    #[schema(example = "vpn-operator guard confirm AB123456")]
    confirm: String,
    /// Drops it.
    #[schema(example = "vpn-operator guard cancel AB123456")]
    cancel: String,
}

impl DecideBody {
    /// About the person with this corporate ID.
    pub(super) fn about(corporate_id: &str) -> Self {
        Self {
            confirm: format!("vpn-operator guard confirm {corporate_id}"),
            cancel: format!("vpn-operator guard cancel {corporate_id}"),
        }
    }
}
