//! Standing denials.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    guard::DecideBody,
    moment::{moment, optional_moment},
    proof::ProofBody,
    schemas::{CorporateIdText, ReasonText, SourceText},
};

/// The cause of a hold of which none is named.
const HELD: &str = "held";

/// A hold.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct HoldBody {
    /// Name of the object: `<source>-<cause>-<id>`.
    pub name: String,
    /// Whom it denies.
    pub corporate_id: String,
    /// Whose ID it is, in lists: in the words of who declared the person, or of the registry of corporate IDs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Who placed it. Only the same source lifts it.
    pub source: String,
    /// Who ordered it, as the audit names them; null for one that was not placed through the API or the command line.
    pub ordered_by: Option<String>,
    /// Why, for people.
    pub reason: Option<String>,
    /// When it was placed.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub since: Option<Timestamp>,
    /// When it begins.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub from: Option<Timestamp>,
    /// When it ends.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub until: Option<Timestamp>,
    /// `Pending`, `Live`, `Expired`, or `HeldBack`: placed by a feed together with many others, and not denying until it is
    /// confirmed.
    pub phase: String,
    /// Whether auth refuses the person because of it now.
    pub in_force: bool,
    /// Somebody cancelled it while it was held back: it will not deny any more.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub rejected: bool,
    /// While the phase is `HeldBack` and nobody decided: the commands that decide.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decide: Option<DecideBody>,
}

/// Holds.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct HoldsBody {
    /// The holds, in the order of their names.
    pub holds: Vec<HoldBody>,
}

/// A hold to be placed.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewHoldBody {
    /// Whom it denies. The person need not be declared yet.
    #[schema(value_type = CorporateIdText)]
    pub corporate_id: String,
    /// A short word that becomes part of the name; `held` when absent.
    #[serde(default = "held", skip_serializing_if = "is_held")]
    #[schema(default = "held", pattern = "^[a-z][a-z0-9]{0,19}$")]
    pub cause: String,
    /// In whose name, if not in the caller's: a short word like `helpdesk`. Only the same source lifts the hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<SourceText>)]
    pub source: Option<String>,
    /// Why, for people. What is longer than 500 characters is cut, control characters are escaped, and what is no text is
    /// replaced by a note: `detail` says so.
    #[serde(default, skip_serializing_if = "serde_json::Value::is_null")]
    #[schema(value_type = serde_json::Value, example = "left the company")]
    pub reason: serde_json::Value,
    /// When it begins; at once when absent.
    #[serde(
        default,
        deserialize_with = "optional_moment",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub from: Option<Timestamp>,
    /// When it ends; never when absent.
    #[serde(
        default,
        deserialize_with = "optional_moment",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub until: Option<Timestamp>,
}

fn held() -> String {
    HELD.to_owned()
}

fn is_held(cause: &str) -> bool {
    cause == HELD
}

impl NewHoldBody {
    /// A hold of this person, from now on and for good, for no reason that is told.
    #[must_use]
    pub fn about(corporate_id: &str) -> Self {
        Self {
            corporate_id: corporate_id.to_owned(),
            cause: held(),
            source: None,
            reason: serde_json::Value::Null,
            from: None,
            until: None,
        }
    }
}

/// What became of a hold that was to be placed.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct PlacedBody {
    /// `created`; `held_back` while the guard waits for a person; `accepted` while auth has not taken it in yet.
    pub status: String,
    /// The hold.
    #[serde(flatten)]
    pub hold: HoldBody,
    /// How far it is proved.
    #[serde(flatten)]
    pub proof: ProofBody,
    /// What is waited for, and what of the order could not be taken as it came.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// What became of a hold that was to be lifted.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ReleasedBody {
    /// `released`
    pub status: String,
    /// Name of the hold.
    pub name: String,
    /// Whom it denied.
    pub corporate_id: String,
    /// Holds that still deny.
    pub remaining: Vec<String>,
}

/// Which holds to take back.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReleaseManyBody {
    /// In whose name, if not in the caller's: the source that placed the holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<SourceText>)]
    pub source: Option<String>,
    /// Those placed at this moment or later, RFC 3339.
    #[serde(deserialize_with = "moment")]
    #[schema(value_type = String, format = DateTime)]
    pub since: Timestamp,
    /// Why, for people; stands in the audit.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<ReasonText>)]
    pub reason: Option<String>,
    /// Only say what would happen.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
}

/// What became of the holds.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ReleasedManyBody {
    /// `released`: all of them are gone. `incomplete`: not all, see `error` of the people. `accepted`: auth has not taken it in
    /// yet. `dry_run`: nothing was changed.
    pub status: String,
    /// Whose holds.
    pub source: String,
    /// How many holds it concerns.
    pub holds: usize,
    /// How many people could not be relieved of all of them.
    pub failed: usize,
    /// Whom it concerns, in the order of their IDs.
    pub people: Vec<ReleasedPersonBody>,
}

/// What became of one person's holds; of a dry run: what would.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ReleasedPersonBody {
    /// Whom it concerns.
    pub corporate_id: String,
    /// The holds, in the order of their names.
    pub holds: Vec<ReleasedHoldBody>,
    /// `spec.active` is set back to true, because a deactivation by this source had set it to false.
    pub reactivates: bool,
    /// `Granted` or `Denied`.
    pub access: String,
    /// Why: what still stands against access.
    pub reason: String,
    /// Holds that still deny: their own sources have to lift them.
    pub remaining: Vec<String>,
    /// What could not be done, and why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// A hold that is taken back.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ReleasedHoldBody {
    /// Name of the hold.
    pub name: String,
    /// When it was placed.
    #[schema(value_type = String, format = DateTime)]
    pub since: Timestamp,
    /// Why it was placed, for people.
    pub reason: Option<String>,
    /// It is gone.
    pub released: bool,
}
