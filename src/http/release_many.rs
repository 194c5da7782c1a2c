//! Taking back every hold that a source placed from a moment on.

use axum::{Json, extract::State, http::StatusCode};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    HttpState,
    auth::{Acting, Who},
    denial::checked_reason,
    extract::Body,
    problem::{Problem, ProblemBody},
    schemas::{ReasonText, SourceText},
    user_bodies::access_word,
    value::moment,
};
use crate::access::{ReleaseMany, ReleasedMany, ReleasedOne, ReleasedPerson};

/// Which holds to take back.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ReleaseManyBody {
    /// In whose name, if not in the caller's: the source that placed the holds.
    #[schema(value_type = Option<SourceText>)]
    source: Option<String>,
    /// Those placed at this moment or later, RFC 3339.
    #[serde(deserialize_with = "moment")]
    #[schema(value_type = String, format = DateTime)]
    since: Timestamp,
    /// Why, for people; stands in the audit.
    #[schema(value_type = Option<ReasonText>)]
    reason: Option<String>,
    /// Only say what would happen.
    #[serde(default)]
    dry_run: bool,
}

/// What became of the holds.
#[derive(Serialize, ToSchema)]
pub(super) struct ReleasedManyBody {
    /// `released`: all of them are gone. `incomplete`: not all, see `error` of the people. `accepted`: auth has not taken it in
    /// yet. `dry_run`: nothing was changed.
    status: &'static str,
    /// Whose holds.
    source: String,
    /// How many holds it concerns.
    holds: usize,
    /// How many people could not be relieved of all of them.
    failed: usize,
    /// Whom it concerns, in the order of their IDs.
    people: Vec<ReleasedPersonBody>,
}

/// What became of one person's holds; of a dry run: what would.
#[derive(Serialize, ToSchema)]
pub(super) struct ReleasedPersonBody {
    /// Whom it concerns.
    corporate_id: String,
    /// The holds, in the order of their names.
    holds: Vec<ReleasedHoldBody>,
    /// `spec.active` is set back to true, because a deactivation by this source had set it to false.
    reactivates: bool,
    /// `Granted` or `Denied`.
    access: &'static str,
    /// Why: what still stands against access.
    reason: &'static str,
    /// Holds that still deny: their own sources have to lift them.
    remaining: Vec<String>,
    /// What could not be done, and why.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// A hold that is taken back.
#[derive(Serialize, ToSchema)]
pub(super) struct ReleasedHoldBody {
    /// Name of the hold.
    name: String,
    /// When it was placed.
    #[schema(value_type = String, format = DateTime)]
    since: Timestamp,
    /// Why it was placed, for people.
    reason: Option<String>,
    /// It is gone.
    released: bool,
}

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
            access: access_word(person.access),
            reason: person.reason.as_str(),
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
        status,
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
