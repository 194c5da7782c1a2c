//! What is said and answered about holds.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    decide::DecideBody,
    proof_body::ProofBody,
    schemas::{CorporateIdText, SourceText},
    value::optional_moment,
};
use crate::access::{HELD, HoldView, Phase};

/// A hold.
#[derive(Serialize, ToSchema)]
pub(super) struct HoldBody {
    /// Name of the object: `<source>-<cause>-<id>`.
    pub(super) name: String,
    /// Whom it denies.
    pub(super) corporate_id: String,
    /// Whose ID it is, in lists: in the words of who declared the person, or of the registry of corporate IDs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) owner: Option<String>,
    /// Who placed it. Only the same source lifts it.
    pub(super) source: String,
    /// Who ordered it, as the audit names them; null for one that was not placed through the API or the command line.
    pub(super) ordered_by: Option<String>,
    /// Why, for people.
    pub(super) reason: Option<String>,
    /// When it was placed.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub(super) since: Option<Timestamp>,
    /// When it begins.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub(super) from: Option<Timestamp>,
    /// When it ends.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub(super) until: Option<Timestamp>,
    /// `Pending`, `Live`, `Expired`, or `HeldBack`: placed by a feed together with many others, and not denying until it is
    /// confirmed.
    pub(super) phase: &'static str,
    /// Whether auth refuses the person because of it now.
    pub(super) in_force: bool,
    /// Somebody cancelled it while it was held back: it will not deny any more.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) rejected: bool,
    /// While the phase is `HeldBack` and nobody decided: the commands that decide.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) decide: Option<DecideBody>,
}

impl From<HoldView> for HoldBody {
    fn from(hold: HoldView) -> Self {
        let waits = hold.phase == Phase::HeldBack && !hold.rejected;
        Self {
            owner: None,
            rejected: hold.rejected,
            since: hold.since,
            ordered_by: hold.ordered_by,
            in_force: hold.in_force,
            decide: waits.then(|| DecideBody::about(hold.spec.corporate_id.as_str())),
            name: hold.name,
            corporate_id: hold.spec.corporate_id.into(),
            source: hold.spec.source,
            reason: hold.spec.reason,
            from: hold.spec.from,
            until: hold.spec.until,
            phase: match hold.phase {
                Phase::Pending => "Pending",
                Phase::Live => "Live",
                Phase::Expired => "Expired",
                Phase::HeldBack => "HeldBack",
            },
        }
    }
}

/// Holds.
#[derive(Serialize, ToSchema)]
pub(super) struct HoldsBody {
    /// The holds, in the order of their names.
    pub(super) holds: Vec<HoldBody>,
}

/// A hold to be placed.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewHoldBody {
    /// Whom it denies. The person need not be declared yet.
    #[schema(value_type = CorporateIdText)]
    pub(super) corporate_id: String,
    /// A short word that becomes part of the name; `held` when absent.
    #[serde(default = "held")]
    #[schema(default = "held", pattern = "^[a-z][a-z0-9]{0,19}$")]
    pub(super) cause: String,
    /// In whose name, if not in the caller's: a short word like `helpdesk`. Only the same source lifts the hold.
    #[schema(value_type = Option<SourceText>)]
    pub(super) source: Option<String>,
    /// Why, for people. What is longer than 500 characters is cut, control characters are escaped, and what is no text is
    /// replaced by a note: `detail` says so.
    #[serde(default)]
    #[schema(value_type = serde_json::Value, example = "left the company")]
    pub(super) reason: serde_json::Value,
    /// When it begins; at once when absent.
    #[serde(default, deserialize_with = "optional_moment")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub(super) from: Option<Timestamp>,
    /// When it ends; never when absent.
    #[serde(default, deserialize_with = "optional_moment")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub(super) until: Option<Timestamp>,
}

fn held() -> String {
    HELD.to_owned()
}

/// What became of a hold that was to be placed.
#[derive(Serialize, ToSchema)]
pub(super) struct PlacedBody {
    /// `created`; `held_back` while the guard waits for a person; `accepted` while auth has not taken it in yet.
    pub(super) status: &'static str,
    #[serde(flatten)]
    pub(super) hold: HoldBody,
    #[serde(flatten)]
    pub(super) proof: ProofBody,
    /// What is waited for, and what of the order could not be taken as it came.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) detail: Option<String>,
}

/// What became of a hold that was to be lifted.
#[derive(Serialize, ToSchema)]
pub(super) struct ReleasedBody {
    /// `released`
    pub(super) status: &'static str,
    /// Name of the hold.
    pub(super) name: String,
    /// Whom it denied.
    pub(super) corporate_id: String,
    /// Holds that still deny.
    pub(super) remaining: Vec<String>,
}
