//! Forgetting a person.

use axum::{Json, extract::State};

use super::{HttpState, auth::Who, extract::Body, problem::Problem};
use crate::{
    access::Forgotten,
    api::{
        forget::{BackupsBody, ForgetBody, ForgottenBody},
        problem::ProblemBody,
    },
    model::corporate_id::CorporateId,
};

/// Longest reason, in characters.
const MAX_REASON: usize = 1000;

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
