//! What is said and answered when a person is deactivated or activated.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{proof_body::ProofBody, schemas::ReasonText};

/// Why.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ReasonBody {
    /// For people; stands in the audit. One line.
    #[serde(default)]
    #[schema(value_type = Option<ReasonText>)]
    pub(super) reason: Option<String>,
}

/// What became of a deactivation.
#[derive(Serialize, ToSchema)]
pub(super) struct DeactivatedBody {
    /// `deactivated`; `held_back` while the guard waits for a person; `accepted` while auth has not taken it in yet.
    pub(super) status: &'static str,
    /// ID as declared.
    pub(super) corporate_id: String,
    /// The hold that keeps the person out.
    pub(super) hold: String,
    #[serde(flatten)]
    pub(super) proof: ProofBody,
    /// What could not be done, what is waited for, and what of the order could not be taken as it came.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) detail: Option<String>,
}

/// What became of an activation.
#[derive(Serialize, ToSchema)]
pub(super) struct ActivatedBody {
    /// `activated`: nothing stands against access. `denied`: something else does. `accepted`: not taken in yet.
    pub(super) status: &'static str,
    /// ID as declared.
    pub(super) corporate_id: String,
    /// `Granted` or `Denied`.
    pub(super) access: &'static str,
    /// Why.
    pub(super) reason: &'static str,
    /// Holds that were lifted.
    pub(super) released: Vec<String>,
    /// Holds that still deny: their own sources have to lift them.
    pub(super) remaining: Vec<String>,
    /// What overtook the activation, or what is waited for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) detail: Option<String>,
}
