//! Deactivate and activate.

use axum::{Json, extract::State, http::StatusCode};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    HttpState,
    auth::Who,
    extract::{OptionalBody, PathId},
    problem::{Problem, ProblemBody},
};
use crate::{access::Proof, history::redact};

/// Longest reason that is taken, in characters.
const MAX_REASON: usize = 500;

/// Why.
#[derive(Default, Deserialize, ToSchema)]
pub(super) struct ReasonBody {
    /// For people; stands in the hold and the audit.
    #[serde(default)]
    #[schema(max_length = 500)]
    reason: Option<String>,
}

/// How far a denial is proved.
#[derive(Serialize, ToSchema)]
pub(super) struct ProofBody {
    /// Auth refused from then on, at the latest.
    #[schema(value_type = Option<String>, format = DateTime)]
    denied_at: Option<Timestamp>,
    /// From then on no session could pass another byte.
    #[schema(value_type = Option<String>, format = DateTime)]
    contained_at: Option<Timestamp>,
    /// From then on no session was left.
    #[schema(value_type = Option<String>, format = DateTime)]
    sessions_zero_at: Option<Timestamp>,
    /// Nodes whose word is missing.
    waiting_for: Vec<String>,
    /// Those of them whose word never comes, because they have no statistics API.
    unprovable: Vec<String>,
}

impl From<Proof> for ProofBody {
    fn from(proof: Proof) -> Self {
        Self {
            denied_at: proof.denied_at,
            contained_at: proof.contained_at,
            sessions_zero_at: proof.sessions_zero_at,
            waiting_for: proof.waiting_for,
            unprovable: proof.unprovable,
        }
    }
}

/// What became of a deactivation.
#[derive(Serialize, ToSchema)]
pub(super) struct DeactivatedBody {
    /// `deactivated`; `held_back` while the guard waits for a person; `accepted` while auth has not taken it in yet.
    status: &'static str,
    /// ID as declared.
    corporate_id: String,
    /// The hold that keeps the person out.
    hold: Option<String>,
    #[serde(flatten)]
    proof: ProofBody,
    /// What could not be done, or what is waited for.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
}

/// Deactivate a person.
///
/// Places the hold `<source>-deactivated-<id>`, which denies at once, and sets `spec.active` to false. Answers with what is
/// proved so far. Only the same source lifts it, by activating.
#[utoipa::path(
    post, path = "/user/{corporate_id}/deactivate", operation_id = "deactivate_user", tag = "access", request_body = Option<ReasonBody>,
    params(("corporate_id" = String, Path, description = "Corporate ID; case does not matter")),
    responses(
        (status = 200, description = "Auth refuses the person", body = DeactivatedBody),
        (status = 202, description = "Declared, but not in force: the guard holds it back, or auth lags behind",
         body = DeactivatedBody),
        (status = 404, description = "Nothing is known of this ID", body = ProblemBody,
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

/// Status of an answer about a denial.
pub(super) fn progress(proof: &Proof, done: StatusCode, word: &'static str) -> (StatusCode, &'static str) {
    if proof.in_force {
        (done, word)
    } else if proof.held_back {
        (StatusCode::ACCEPTED, "held_back")
    } else {
        (StatusCode::ACCEPTED, "accepted")
    }
}

/// Why a denial is not in force.
pub(super) fn lag(proof: &Proof) -> Option<&'static str> {
    if proof.in_force {
        None
    } else if proof.held_back {
        Some(
            "the person keeps access until somebody confirms: more denials than usual came at once, see GET /guard and \
             POST /guard/confirm",
        )
    } else {
        Some("the denial is declared, but auth has not taken it in yet")
    }
}

pub(super) fn checked_reason(reason: Option<String>) -> Result<Option<String>, Problem> {
    match reason {
        Some(reason) if reason.chars().count() > MAX_REASON => {
            Err(Problem::invalid(format!("reason: at most {MAX_REASON} characters")))
        }
        // It is kept in a hold and shown: a link that somebody pasted is left out.
        other => Ok(other
            .filter(|reason| !reason.trim().is_empty())
            .map(|reason| redact(&reason).into_owned())),
    }
}

/// What became of an activation.
#[derive(Serialize, ToSchema)]
pub(super) struct ActivatedBody {
    /// `activated`: nothing stands against access. `denied`: something else does. `accepted`: not taken in yet.
    status: &'static str,
    /// ID as declared.
    corporate_id: String,
    /// `Granted` or `Denied`.
    access: &'static str,
    /// Why.
    reason: &'static str,
    /// Holds that were lifted.
    released: Vec<String>,
    /// Holds that still deny: their own sources have to lift them.
    remaining: Vec<String>,
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
        access: super::users::access_word(done.access),
        reason: done.reason.as_str(),
        released: done.released,
        remaining: done.remaining,
    };
    Ok((code, Json(body)))
}
