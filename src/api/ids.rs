//! Corporate IDs.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    holds::HoldBody,
    proof::ProofBody,
    schemas::{CorporateIdText, DepartmentText, EmailText, OwnerText, ReasonText},
};

/// For whom an ID is issued.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewIdBody {
    /// Whose it will be.
    #[schema(value_type = OwnerText)]
    pub owner: String,
    /// Mail address, for example for the code by which a Telegram account is linked.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<EmailText>)]
    pub email: Option<String>,
    /// Where the person works.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<DepartmentText>)]
    pub department: Option<String>,
    /// Why, for people; stands in the audit.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<ReasonText>)]
    pub reason: Option<String>,
}

/// Which ID.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WhichIdBody {
    /// The ID.
    #[schema(value_type = CorporateIdText)]
    pub id: String,
    /// Why, for people; stands in the audit.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<ReasonText>)]
    pub reason: Option<String>,
}

/// Which ID is in use from now on.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ActivateIdBody {
    /// The ID.
    #[schema(value_type = CorporateIdText)]
    pub id: String,
    /// Give back an ID that was revoked: the hold of the revocation is lifted. Without it a revoked ID stays revoked.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub reinstate: bool,
    /// Why, for people; stands in the audit.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<ReasonText>)]
    pub reason: Option<String>,
}

/// Which ID is taken away.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RevokeIdBody {
    /// The ID.
    #[schema(value_type = CorporateIdText)]
    pub id: String,
    /// Why, for people. Cut, escaped or replaced by a note where it cannot be taken as it is: `detail` says so.
    #[serde(default, skip_serializing_if = "serde_json::Value::is_null")]
    #[schema(value_type = serde_json::Value, example = "lost badge")]
    pub reason: serde_json::Value,
}

/// Whether an ID is good.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ValidityBody {
    /// With the secret: it is issued or active, or somebody active is declared with it. Without: always false.
    pub valid: bool,
    /// With the secret: `issued`, `active`, `revoked`, `archived`; `declared` where only a person is declared with it; `unknown`.
    /// Without: always `unverified`.
    pub status: String,
    /// Whose it is. Without the secret: always null.
    pub owner: Option<String>,
    /// Whether the text is spelled like a corporate ID.
    pub well_formed: bool,
}

/// An ID.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct IdBody {
    /// The ID as it was issued.
    pub id: String,
    /// `issued`, `active`, `revoked` or `archived`.
    pub status: String,
    /// Whose it is.
    pub owner: Option<String>,
    /// Mail address.
    pub email: Option<String>,
    /// Where the person works.
    pub department: Option<String>,
    /// When it was issued; null where the system that issued it did not say.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub issued_at: Option<Timestamp>,
    /// When anything about it was last changed.
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: Timestamp,
}

/// A page of IDs.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct IdsBody {
    /// The IDs, in their order.
    pub ids: Vec<IdBody>,
    /// `after` of the next page; null at the end.
    pub next: Option<String>,
}

/// What became of an ID that was to be activated.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ActivatedIdBody {
    /// The ID.
    #[serde(flatten)]
    pub id: IdBody,
    /// Holds that were lifted: of a revocation.
    pub released: Vec<String>,
    /// Holds of others that still deny; null when nothing was given back.
    pub remaining: Option<Vec<String>>,
}

/// What became of an ID that was to be revoked.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct RevokedIdBody {
    /// The ID.
    #[serde(flatten)]
    pub id: IdBody,
    /// The hold that denies.
    pub hold: String,
    /// How far it is proved.
    #[serde(flatten)]
    pub proof: ProofBody,
    /// What is waited for, and what of the order could not be taken as it came.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// Something that was done with an ID.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct IdChangeBody {
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// `issue`, `activate`, `revoke`, `reinstate`, `archive`, `import`, `update`, or what the former service called it.
    pub action: String,
    /// Who did it.
    pub actor: String,
    /// By which way in.
    pub source: String,
    /// Status before.
    pub before: Option<String>,
    /// Status after.
    pub after: Option<String>,
    /// Why.
    pub reason: Option<String>,
    /// Id of the request.
    pub request_id: Option<String>,
}

/// Everything that is known of an ID.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct IdDetailBody {
    /// The ID.
    #[serde(flatten)]
    pub id: IdBody,
    /// What auth does with the person now: `Granted` or `Denied`; null if nobody is declared or held.
    pub access: Option<String>,
    /// Why.
    pub access_reason: Option<String>,
    /// Every hold, live or not.
    pub holds: Vec<HoldBody>,
    /// The Telegram account that the former service had linked to it.
    pub telegram_id: Option<i64>,
    /// What was done with it, newest first.
    pub history: Vec<IdChangeBody>,
}

/// What a file came to.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ImportedIdsBody {
    /// Whether the file was only looked at.
    pub dry_run: bool,
    /// How many IDs are new.
    pub added: usize,
    /// How many IDs have another owner, mail address or department.
    pub updated: usize,
    /// How many IDs were so already.
    pub unchanged: u64,
}
