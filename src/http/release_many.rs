//! Taking back every hold that a source placed from a moment on.

use axum::{Json, extract::State, http::StatusCode};

use super::{
    HttpState,
    auth::{Acting, Who},
    denial::checked_reason,
    extract::Body,
    problem::Problem,
};
use crate::{
    access::{ReleaseMany, ReleasedMany, ReleasedOne, ReleasedPerson},
    api::{
        holds::{ReleaseManyBody, ReleasedHoldBody, ReleasedManyBody, ReleasedPersonBody},
        problem::ProblemBody,
    },
};

impl From<ReleasedOne> for ReleasedHoldBody {
    fn from(hold: ReleasedOne) -> Self {
        Self {
            name: hold.name,
            since: hold.since,
            reason: hold.reason,
            released: hold.released,
        }
    }
}

impl From<ReleasedPerson> for ReleasedPersonBody {
    fn from(person: ReleasedPerson) -> Self {
        Self {
            corporate_id: person.corporate_id.into(),
            holds: person.holds.into_iter().map(Into::into).collect(),
            reactivates: person.reactivates,
            access: person.access.as_str().to_owned(),
            reason: person.reason.as_str().to_owned(),
            remaining: person.remaining,
            error: person.error,
        }
    }
}

fn answer(done: ReleasedMany) -> (StatusCode, Json<ReleasedManyBody>) {
    let failed = done.people.iter().filter(|person| person.error.is_some()).count();
    let (code, status) = match (done.dry_run, failed, done.in_force) {
        (true, ..) => (StatusCode::OK, "dry_run"),
        (false, 1.., _) => (StatusCode::OK, "incomplete"),
        (false, 0, false) => (StatusCode::ACCEPTED, "accepted"),
        (false, 0, true) => (StatusCode::OK, "released"),
    };
    let body = ReleasedManyBody {
        status: status.to_owned(),
        source: done.source,
        holds: done.people.iter().map(|person| person.holds.len()).sum(),
        failed,
        people: done.people.into_iter().map(Into::into).collect(),
    };
    (code, Json(body))
}

/// Lift every hold that one's own source placed from a moment on.
///
/// For a wrong burst. Where a deactivation by this source had set `spec.active` to false, it is set back to true. What fails
/// for one person is named, and the rest is done; asking again finds what is left, also when the list is so long that the
/// request times out and the work goes on. Audited as one (`hold.release-many`), and for each person.
#[utoipa::path(
    post, path = "/holds/release", operation_id = "release_holds", tag = "holds", request_body = ReleaseManyBody,
    responses(
        (status = 200, description = "Done as far as `status` says", body = ReleasedManyBody),
        (status = 202, description = "The holds are gone, but auth has not taken it in yet", body = ReleasedManyBody),
        (status = 422, description = "The source breaks a rule, or the moment lies ahead", body = ProblemBody,
         content_type = "application/problem+json"),
        (status = 503, description = "History is unavailable; nothing was changed", body = ProblemBody,
         content_type = "application/problem+json"),
    )
)]
pub(super) async fn release_many(
    State(state): State<HttpState>,
    acting: Acting,
    Who(mut caller): Who,
    Body(body): Body<ReleaseManyBody>,
) -> Result<(StatusCode, Json<ReleasedManyBody>), Problem> {
    acting.choose(&mut caller, body.source)?;
    let order = ReleaseMany {
        since: body.since,
        reason: checked_reason(body.reason)?,
        dry_run: body.dry_run,
    };
    Ok(answer(state.use_cases.release_many(caller, order).await?))
}
