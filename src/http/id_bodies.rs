//! What is said and answered about corporate IDs.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    hold_bodies::HoldBody,
    proof_body::ProofBody,
    schemas::{CorporateIdText, DepartmentText, EmailText, OwnerText, ReasonText},
    user_bodies::access_word,
};
use crate::{
    access::{Exchanged, IdView},
    registry::{Change, Entry},
};

/// For whom an ID is issued.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewIdBody {
    /// Whose it will be.
    #[schema(value_type = OwnerText)]
    pub(super) owner: String,
    /// Mail address, for example for the code by which a Telegram account is linked.
    #[schema(value_type = Option<EmailText>)]
    pub(super) email: Option<String>,
    /// Where the person works.
    #[schema(value_type = Option<DepartmentText>)]
    pub(super) department: Option<String>,
    /// Why, for people; stands in the audit.
    #[schema(value_type = Option<ReasonText>)]
    pub(super) reason: Option<String>,
}

/// Which ID.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WhichIdBody {
    /// The ID.
    #[schema(value_type = CorporateIdText)]
    pub(super) id: String,
    /// Why, for people; stands in the audit.
    #[schema(value_type = Option<ReasonText>)]
    pub(super) reason: Option<String>,
}

/// Which ID is in use from now on.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ActivateIdBody {
    /// The ID.
    #[schema(value_type = CorporateIdText)]
    pub(super) id: String,
    /// Give back an ID that was revoked: the hold of the revocation is lifted. Without it a revoked ID stays revoked.
    #[serde(default)]
    pub(super) reinstate: bool,
    /// Why, for people; stands in the audit.
    #[schema(value_type = Option<ReasonText>)]
    pub(super) reason: Option<String>,
}

/// Which ID is taken away.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RevokeIdBody {
    /// The ID.
    #[schema(value_type = CorporateIdText)]
    pub(super) id: String,
    /// Why, for people. Cut, escaped or replaced by a note where it cannot be taken as it is: `detail` says so.
    #[serde(default)]
    #[schema(value_type = serde_json::Value, example = "lost badge")]
    pub(super) reason: serde_json::Value,
}

/// Whether an ID is good.
#[derive(Serialize, ToSchema)]
pub(super) struct ValidityBody {
    /// With the secret: it is issued or active, or somebody active is declared with it. Without: always false.
    pub(super) valid: bool,
    /// With the secret: `issued`, `active`, `revoked`, `archived`; `declared` where only a person is declared with it; `unknown`.
    /// Without: always `unverified`.
    pub(super) status: &'static str,
    /// Whose it is. Without the secret: always null.
    pub(super) owner: Option<String>,
    /// Whether the text is spelled like a corporate ID.
    pub(super) well_formed: bool,
}

/// An ID.
#[derive(Serialize, ToSchema)]
pub(super) struct IdBody {
    /// The ID as it was issued.
    pub(super) id: String,
    /// `issued`, `active`, `revoked` or `archived`.
    pub(super) status: &'static str,
    /// Whose it is.
    owner: Option<String>,
    /// Mail address.
    email: Option<String>,
    /// Where the person works.
    department: Option<String>,
    /// When it was issued; null where the system that issued it did not say.
    #[schema(value_type = Option<String>, format = DateTime)]
    issued_at: Option<Timestamp>,
    /// When anything about it was last changed.
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
}

impl From<Entry> for IdBody {
    fn from(entry: Entry) -> Self {
        Self {
            id: entry.id.into(),
            status: entry.status.as_str(),
            owner: entry.owner.owner,
            email: entry.owner.email,
            department: entry.owner.department,
            issued_at: entry.issued_at,
            updated_at: entry.updated_at,
        }
    }
}

/// A page of IDs.
#[derive(Serialize, ToSchema)]
pub(super) struct IdsBody {
    /// The IDs, in their order.
    pub(super) ids: Vec<IdBody>,
    /// `after` of the next page; null at the end.
    pub(super) next: Option<String>,
}

/// What became of an ID that was to be activated.
#[derive(Serialize, ToSchema)]
pub(super) struct ActivatedIdBody {
    #[serde(flatten)]
    pub(super) id: IdBody,
    /// Holds that were lifted: of a revocation.
    pub(super) released: Vec<String>,
    /// Holds of others that still deny; null when nothing was given back.
    pub(super) remaining: Option<Vec<String>>,
}

/// What became of an ID that was to be revoked.
#[derive(Serialize, ToSchema)]
pub(super) struct RevokedIdBody {
    #[serde(flatten)]
    pub(super) id: IdBody,
    /// The hold that denies.
    pub(super) hold: String,
    #[serde(flatten)]
    pub(super) proof: ProofBody,
    /// What is waited for, and what of the order could not be taken as it came.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) detail: Option<String>,
}

/// Something that was done with an ID.
#[derive(Serialize, ToSchema)]
pub(super) struct IdChangeBody {
    /// When.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// `issue`, `activate`, `revoke`, `reinstate`, `archive`, `import`, `update`, or what the former service called it.
    action: String,
    /// Who did it.
    actor: String,
    /// By which way in.
    source: String,
    /// Status before.
    before: Option<&'static str>,
    /// Status after.
    after: Option<&'static str>,
    /// Why.
    reason: Option<String>,
    /// Id of the request.
    request_id: Option<String>,
}

impl From<Change> for IdChangeBody {
    fn from(change: Change) -> Self {
        Self {
            at: change.at,
            action: change.action,
            actor: change.by.actor,
            source: change.by.source,
            before: change.before.map(crate::registry::Status::as_str),
            after: change.after.map(crate::registry::Status::as_str),
            reason: change.by.reason,
            request_id: change.by.request_id,
        }
    }
}

/// Everything that is known of an ID.
#[derive(Serialize, ToSchema)]
pub(super) struct IdDetailBody {
    #[serde(flatten)]
    id: IdBody,
    /// What auth does with the person now: `Granted` or `Denied`; null if nobody is declared or held.
    access: Option<&'static str>,
    /// Why.
    access_reason: Option<&'static str>,
    /// Every hold, live or not.
    holds: Vec<HoldBody>,
    /// The Telegram account that the former service had linked to it.
    telegram_id: Option<i64>,
    /// What was done with it, newest first.
    history: Vec<IdChangeBody>,
}

impl From<IdView> for IdDetailBody {
    fn from(view: IdView) -> Self {
        Self {
            id: view.entry.into(),
            access: view.access.map(|(access, _)| access_word(access)),
            access_reason: view.access.map(|(_, reason)| reason.as_str()),
            holds: view.holds.into_iter().map(Into::into).collect(),
            telegram_id: view.telegram.map(|link| link.telegram_id),
            history: view.changes.into_iter().map(Into::into).collect(),
        }
    }
}

/// What a file came to.
#[derive(Serialize, ToSchema)]
pub(super) struct ImportedIdsBody {
    /// Whether the file was only looked at.
    dry_run: bool,
    /// How many IDs are new.
    added: usize,
    /// How many IDs have another owner, mail address or department.
    updated: usize,
    /// How many IDs were so already.
    unchanged: u64,
}

impl From<Exchanged> for ImportedIdsBody {
    fn from(Exchanged { plan, dry_run }: Exchanged) -> Self {
        Self {
            dry_run,
            added: plan.added.len(),
            updated: plan.updated.len(),
            unchanged: plan.unchanged,
        }
    }
}
