//! Deactivate and activate.

use axum::{Json, extract::State, http::StatusCode};

use super::{
    HttpState,
    activation_bodies::{ActivatedBody, DeactivatedBody, ReasonBody},
    auth::Who,
    denial::{checked_reason, lag, progress},
    extract::{OptionalBody, PathId},
    problem::{Problem, ProblemBody},
    user_bodies::access_word,
};

/// Deactivate a person.
///
/// Places the hold `<source>-deactivated-<id>`, which denies at once, and then sets `spec.active` to false. Answers with what is
/// proved so far; a denial that no hold keeps is never answered as done. Only the same source lifts it, by activating.
#[utoipa::path(
    post, path = "/user/{corporate_id}/deactivate", operation_id = "deactivate_user", tag = "access", request_body = Option<ReasonBody>,
    params(("corporate_id" = String, Path, description = "Corporate ID; case does not matter")),
    responses(
        (status = 200, description = "Auth refuses the person", body = DeactivatedBody),
        (status = 202, description = "Declared, but not in force: the guard holds it back, or auth lags behind",
         body = DeactivatedBody),
        (status = 404, description = "Nothing is known of this ID", body = ProblemBody,
         content_type = "application/problem+json"),
        (status = 422, description = "The source or the reason breaks a rule, so that no hold can carry it",
         body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "The hold could not be placed: the person is not kept out. `detail` says whether \
         `spec.active` denies at least; deactivate again", body = ProblemBody,
         content_type = "application/problem+json"),
    )
)]
pub(super) async fn deactivate(
    State(state): State<HttpState>,
    Who(caller): Who,
    PathId(id): PathId,
    OptionalBody(body): OptionalBody<ReasonBody>,
) -> Result<(StatusCode, Json<DeactivatedBody>), Problem> {
    let reason = checked_reason(body.reason)?;
    let done = state.use_cases.deactivate(caller, id, reason).await?;
    let (code, status) = progress(&done.proof, StatusCode::OK, "deactivated");
    let lag = lag(&done.proof);
    let detail: Vec<String> = lag.into_iter().map(str::to_owned).chain(done.note).collect();
    let body = DeactivatedBody {
        status,
        corporate_id: done.corporate_id.into(),
        hold: done.hold,
        proof: done.proof.into(),
        detail: (!detail.is_empty()).then(|| detail.join("; ")),
    };
    Ok((code, Json(body)))
}

/// Activate a person.
///
/// Lifts the holds of the caller's own source and sets `spec.active`. What other sources placed stays, and is listed.
#[utoipa::path(
    post, path = "/user/{corporate_id}/activate", operation_id = "activate_user", tag = "access",
    params(("corporate_id" = String, Path, description = "Corporate ID; case does not matter")),
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
) -> Result<(StatusCode, Json<ActivatedBody>), Problem> {
    use crate::model::access::Access::{Denied, Granted};
    let done = state.use_cases.activate(caller, id).await?;
    let (code, status) = match (done.in_force, done.access) {
        (false, _) => (StatusCode::ACCEPTED, "accepted"),
        (true, Granted) => (StatusCode::OK, "activated"),
        (true, Denied) => (StatusCode::OK, "denied"),
    };
    let body = ActivatedBody {
        status,
        corporate_id: done.corporate_id.into(),
        access: access_word(done.access),
        reason: done.reason.as_str(),
        released: done.released,
        remaining: done.remaining,
    };
    Ok((code, Json(body)))
}
