//! What every answer about a denial has in common.

use axum::http::StatusCode;

use super::problem::Problem;
use crate::{access::Proof, api::schemas::MAX_REASON, history::redact};

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
