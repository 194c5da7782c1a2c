//! Deactivate and activate.

use axum::{Json, extract::State, http::StatusCode};

use super::{
    HttpState,
    auth::Who,
    denial::{checked_reason, detail, lag, progress},
    extract::{OptionalBody, PathId},
    order::Order,
    problem::Problem,
    schemas::WhyBody,
};
use crate::api::{
    access::{ActivatedBody, DeactivatedBody, ReasonBody},
    problem::ProblemBody,
    schemas::CorporateIdText,
};

/// Deactivate a person.
///
/// Places the hold `<source>-deactivated-<id>`, which denies at once, and then sets `spec.active` to false. Answers with what is
/// proved so far; a denial that no hold keeps is never answered as done. Only the same source lifts it, by activating.
///
/// The body is optional and no reason to leave the person in: it is read in whatever encoding and of whatever content type it
/// comes, a reason that is too long is cut, one that cannot be read is replaced by a note, and unknown fields are left out.
/// `detail` and the audit say so.
#[utoipa::path(
    post, path = "/user/{corporate_id}/deactivate", operation_id = "deactivate_user", tag = "access", request_body = WhyBody,
    params(("corporate_id" = CorporateIdText, Path, description = "Corporate ID; case does not matter")),
    responses(
        (status = 200, description = "Auth refuses the person", body = DeactivatedBody),
        (status = 202, description = "Declared, but not in force: the guard holds it back, or auth lags behind",
         body = DeactivatedBody),
        (status = 404, description = "Nothing is known of this ID; `detail` names the hold that keeps out whoever is declared \
         with it later", body = ProblemBody, content_type = "application/problem+json"),
        (status = 422, description = "The ID or the source breaks a rule, so that no hold can carry it",
         body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "The hold could not be placed: the person is not kept out. `detail` says whether \
         `spec.active` denies at least; deactivate again", body = ProblemBody,
         content_type = "application/problem+json"),
    )
)]
pub(super) async fn deactivate(
    State(state): State<HttpState>,
    PathId(id): PathId,
    Order { caller, why }: Order,
) -> Result<(StatusCode, Json<DeactivatedBody>), Problem> {
    let remarks = why.remarks.clone();
    let done = state.use_cases.deactivate(caller, id, why).await?;
    let (code, status) = progress(&done.proof, StatusCode::OK, "deactivated");
    let lag = lag(&done.proof).map(str::to_owned);
    let body = DeactivatedBody {
        status: status.to_owned(),
        corporate_id: done.corporate_id.into(),
        hold: done.hold,
        proof: done.proof.into(),
        detail: detail(lag.into_iter().chain(done.note).chain(remarks)),
    };
    Ok((code, Json(body)))
}

/// Activate a person.
///
/// Lifts the holds of the caller's own source and sets `spec.active`. What other sources placed stays, and is listed. A denial
/// that is ordered meanwhile wins: the answer comes at once, and `detail` names it.
#[utoipa::path(
    post, path = "/user/{corporate_id}/activate", operation_id = "activate_user", tag = "access", request_body = ReasonBody,
    params(("corporate_id" = CorporateIdText, Path, description = "Corporate ID; case does not matter")),
    responses(
        (status = 200, description = "Done; `access` says what it came to", body = ActivatedBody),
        (status = 202, description = "Declared, but auth has not taken it in yet", body = ActivatedBody),
        (status = 404, description = "Nothing is known of this ID", body = ProblemBody,
         content_type = "application/problem+json"),
        (status = 409, description = "The object cannot be edited; the holds stay", body = ProblemBody,
         content_type = "application/problem+json"),
    )
)]
pub(super) async fn activate(
    State(state): State<HttpState>,
    Who(caller): Who,
    PathId(id): PathId,
    OptionalBody(body): OptionalBody<ReasonBody>,
) -> Result<(StatusCode, Json<ActivatedBody>), Problem> {
    use crate::model::access::Access::{Denied, Granted};
    let reason = checked_reason(body.reason)?;
    let done = state.use_cases.activate(caller, id, reason).await?;
    let (code, status) = match (done.in_force, done.access) {
        (false, _) => (StatusCode::ACCEPTED, "accepted"),
        (true, Granted) => (StatusCode::OK, "activated"),
        (true, Denied) => (StatusCode::OK, "denied"),
    };
    let body = ActivatedBody {
        status: status.to_owned(),
        corporate_id: done.corporate_id.into(),
        access: done.access.as_str().to_owned(),
        reason: done.reason.as_str().to_owned(),
        released: done.released,
        remaining: done.remaining,
        detail: match done.overtaken {
            Some(by) => Some(format!("overtaken by a later order: {by} while this was under way")),
            None => (!done.in_force).then(|| "declared, but auth has not taken it in yet".to_owned()),
        },
    };
    Ok((code, Json(body)))
}
