//! Forgetting a person.

use axum::{Json, extract::State};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    HttpState,
    auth::Who,
    extract::Body,
    problem::{Problem, ProblemBody},
    schemas::CorporateIdText,
};
use crate::{access::Forgotten, model::corporate_id::CorporateId};

/// Longest reason, in characters.
const MAX_REASON: usize = 1000;

/// Who is to be forgotten, and why.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ForgetBody {
    /// Whom.
    #[schema(value_type = CorporateIdText)]
    corporate_id: String,
    /// Why; stands in the audit, so nothing about the person belongs in it.
    #[schema(min_length = 1, max_length = 1000)]
    reason: String,
}

/// What became of it.
#[derive(Serialize, ToSchema)]
pub(super) struct ForgottenBody {
    /// Whom.
    corporate_id: String,
    /// Audit rows that were emptied now.
    rows: u64,
    /// HR events that were emptied now.
    events: u64,
    /// HR events that are still to be carried out or decided about: they are forgotten as soon as that is done.
    waiting: u64,
    /// Whether the registry knew anything about the person.
    registry: bool,
    /// Objects of desired state about the person: what is written in them stays until somebody removes it.
    declared: Vec<String>,
    /// Backups that were taken before still have it; null where the operator takes none.
    backups: Option<BackupsBody>,
}

/// Backups that still have a person's data.
#[derive(Serialize, ToSchema)]
pub(super) struct BackupsBody {
    /// Where they are.
    folder: String,
    /// When the last of them is rotated out, if backups go on as planned.
    #[schema(value_type = String, format = DateTime)]
    until: Timestamp,
}

impl From<Forgotten> for ForgottenBody {
    fn from(it: Forgotten) -> Self {
        Self {
            corporate_id: it.corporate_id.into(),
            rows: it.rows,
            events: it.events,
            waiting: it.waiting,
            registry: it.registry,
            declared: it.declared,
            backups: it.backups.map(|(folder, until)| BackupsBody {
                folder: folder.display().to_string(),
                until,
            }),
        }
    }
}

/// Take a person's data out of everything that is kept: owner, mail address, network addresses, reasons, bodies of HR events. The ID and
/// what was done with it stays, and the chain of the audit stays whole. It cannot be undone.
#[utoipa::path(
    post, path = "/audit/forget", operation_id = "forget", tag = "audit", request_body = ForgetBody,
    responses(
        (status = 200, description = "It is out of the audit, the registry and the inbox", body = ForgottenBody),
        (status = 503, description = "Something cannot be read or written; what was begun is gone on with by itself", body = ProblemBody,
         content_type = "application/problem+json"),
    )
)]
pub(super) async fn forget(
    State(state): State<HttpState>,
    Who(caller): Who,
    Body(body): Body<ForgetBody>,
) -> Result<Json<ForgottenBody>, Problem> {
    let id = CorporateId::parse(&body.corporate_id)?;
    let reason = body.reason.trim();
    if reason.is_empty() || reason.chars().count() > MAX_REASON {
        return Err(Problem::invalid(format!(
            "reason: say in at most {MAX_REASON} characters why the person is forgotten"
        )));
    }
    let done = state.use_cases.forget(caller, id, reason.to_owned()).await?;
    Ok(Json(done.into()))
}
