//! The guard.

use axum::{Json, extract::State};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{HttpState, auth::Who, extract::OptionalBody, problem::Problem};
use crate::{
    access::{Confirmed, GuardView},
    model::{corporate_id::CorporateId, guard::Budget},
    roster::PendingDenial,
};

/// What the guard holds back.
#[derive(Serialize, ToSchema)]
pub(super) struct GuardBody {
    /// Denials and lost holds that wait for a person.
    pending: Vec<PendingBody>,
    /// Rejected denials of people whose objects are deleted for good: they keep access until somebody confirms.
    rejected: Vec<PendingBody>,
    /// Denials let through in the last ten minutes.
    recent: usize,
    /// How many are let through in ten minutes at present.
    limit: usize,
}

/// One thing that the guard holds back.
#[derive(Serialize, ToSchema)]
pub(super) struct PendingBody {
    /// Whom it concerns.
    corporate_id: String,
    /// Why the person would be denied, or the name of a lost hold.
    reason: String,
    /// Since when.
    #[schema(value_type = String, format = DateTime)]
    since: Timestamp,
}

impl From<GuardView> for GuardBody {
    fn from(view: GuardView) -> Self {
        let body = |pending: PendingDenial| PendingBody {
            corporate_id: pending.corporate_id.into(),
            reason: pending.cause,
            since: pending.since,
        };
        let declared = view.budgets.iter().find(|it| it.budget == Budget::Declared).copied();
        Self {
            pending: view.pending.into_iter().map(body).collect(),
            rejected: view.rejected.into_iter().map(body).collect(),
            recent: declared.map_or(0, |it| it.used),
            limit: declared.and_then(|it| it.limit).unwrap_or(0),
        }
    }
}

/// Whom a word to the guard concerns.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WordBody {
    /// Corporate IDs; everybody when absent.
    ids: Option<Vec<String>>,
}

impl WordBody {
    fn ids(self) -> Result<Option<Vec<CorporateId>>, Problem> {
        let parse = |ids: Vec<String>| ids.iter().map(|id| Ok(CorporateId::parse(id)?)).collect();
        self.ids.map(parse).transpose()
    }
}

/// What became of a word to the guard.
#[derive(Serialize, ToSchema)]
pub(super) struct DoneBody {
    /// `confirmed` or `cancelled`.
    status: &'static str,
    /// Whom it concerned.
    affected: Vec<String>,
    #[serde(flatten)]
    guard: GuardBody,
}

impl DoneBody {
    fn of(status: &'static str, done: Confirmed) -> Json<Self> {
        Json(Self {
            status,
            affected: done.affected.into_iter().map(Into::into).collect(),
            guard: done.report.into(),
        })
    }
}

/// Show what the guard holds back.
#[utoipa::path(
    get, path = "/guard", operation_id = "show_guard", tag = "guard",
    responses((status = 200, description = "What waits for a person", body = GuardBody))
)]
pub(super) async fn show(State(state): State<HttpState>) -> Json<GuardBody> {
    Json(state.use_cases.guard().into())
}

/// Let pending denials through.
#[utoipa::path(
    post, path = "/guard/confirm", operation_id = "confirm_guard", tag = "guard", request_body = Option<WordBody>,
    responses((status = 200, description = "They are denied now", body = DoneBody))
)]
pub(super) async fn confirm(
    State(state): State<HttpState>,
    Who(caller): Who,
    OptionalBody(body): OptionalBody<WordBody>,
) -> Result<Json<DoneBody>, Problem> {
    let done = state.use_cases.confirm_guard(caller, body.ids()?).await?;
    Ok(DoneBody::of("confirmed", done))
}

/// Reject pending denials: the people keep their access until their objects change again.
#[utoipa::path(
    post, path = "/guard/cancel", operation_id = "cancel_guard", tag = "guard", request_body = Option<WordBody>,
    responses((status = 200, description = "They keep their access", body = DoneBody))
)]
pub(super) async fn cancel(
    State(state): State<HttpState>,
    Who(caller): Who,
    OptionalBody(body): OptionalBody<WordBody>,
) -> Result<Json<DoneBody>, Problem> {
    let done = state.use_cases.cancel_guard(caller, body.ids()?).await?;
    Ok(DoneBody::of("cancelled", done))
}
