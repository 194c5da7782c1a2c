//! What every answer about a denial has in common.

use axum::http::StatusCode;
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::problem::Problem;
use crate::{access::Proof, history::redact};

/// Longest reason that is taken, in characters.
pub(super) const MAX_REASON: usize = 500;

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
    /// Nodes that were taken out of their gateway before their word was there. `contained_at` stays null then: sessions on them may
    /// go on.
    left_out: Vec<String>,
    /// When `contained_at` was last taken back, because a session moved on after its kick or turned up later.
    #[schema(value_type = Option<String>, format = DateTime)]
    withdrawn_at: Option<Timestamp>,
}

impl From<Proof> for ProofBody {
    fn from(proof: Proof) -> Self {
        Self {
            denied_at: proof.denied_at,
            contained_at: proof.contained_at,
            sessions_zero_at: proof.sessions_zero_at,
            waiting_for: proof.waiting_for,
            unprovable: proof.unprovable,
            left_out: proof.left_out,
            withdrawn_at: proof.withdrawn_at,
        }
    }
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
            "the denial takes no effect until somebody confirms: this feed denied more people than usual at once, see \
             GET /guard and POST /guard/confirm",
        )
    } else {
        Some("the denial is declared, but auth has not taken it in yet")
    }
}

/// What an answer says beside the proof, if anything.
pub(super) fn detail(parts: impl IntoIterator<Item = String>) -> Option<String> {
    let parts: Vec<String> = parts.into_iter().collect();
    (!parts.is_empty()).then(|| parts.join("; "))
}

/// The reason of an order that denies nobody: one line of text.
pub(super) fn checked_reason(reason: Option<String>) -> Result<Option<String>, Problem> {
    let Some(reason) = reason.filter(|reason| !reason.trim().is_empty()) else {
        return Ok(None);
    };
    if reason.chars().count() > MAX_REASON {
        return Err(Problem::invalid(format!("reason: at most {MAX_REASON} characters")));
    }
    if reason.chars().any(char::is_control) {
        return Err(Problem::invalid("reason: must be one line, without control characters"));
    }
    // It is kept and shown: a link that somebody pasted is left out.
    Ok(Some(redact(&reason).into_owned()))
}
