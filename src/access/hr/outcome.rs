//! The ways in which an event ends.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::Task;
use crate::{
    inbox::{Outcome, State, takes_effect},
    model::corporate_id::CorporateId,
};

/// Longest pause before an event is tried again.
const LONGEST: Duration = Duration::from_secs(60);

fn outcome(state: State, reason: Option<String>) -> Outcome {
    Outcome {
        state,
        reason,
        hold: None,
        due_at: None,
        scheduled: false,
    }
}

/// It is done. `note` is what there is to know about it, for people.
pub(super) fn processed(note: Option<String>) -> Outcome {
    outcome(State::Processed, note)
}

/// It cannot be done as it is.
pub(super) fn failed(reason: String) -> Outcome {
    outcome(State::Failed, Some(reason))
}

/// A person decided against it.
pub(super) fn discarded(reason: &str) -> Outcome {
    outcome(State::Discarded, Some(reason.to_owned()))
}

/// The guard holds it back.
pub(super) fn held_back(id: &CorporateId) -> Outcome {
    let reason = format!(
        "the guard holds it back: vpn-operator guard confirm {id} lets it happen, vpn-operator guard cancel {id} drops it"
    );
    outcome(State::HeldBack, Some(reason))
}

/// It takes effect at a moment that HR said.
pub(super) fn later(at: Timestamp) -> Outcome {
    Outcome {
        due_at: Some(at),
        scheduled: true,
        ..outcome(State::Pending, Some(takes_effect(at)))
    }
}

/// Something is in the way, and it is tried again: soon at first, then once a minute.
pub(super) fn pending(task: &Task, reason: &str) -> Outcome {
    retry(task.attempts, task.now, reason.to_owned())
}

/// See [`pending`].
pub(super) fn retry(attempts: i64, now: Timestamp, reason: String) -> Outcome {
    let doublings = u32::try_from(attempts).unwrap_or(u32::MAX).min(6);
    let pause = (Duration::from_secs(1) * 2_u32.pow(doublings)).min(LONGEST);
    let pause = SignedDuration::try_from(pause).unwrap_or(SignedDuration::ZERO);
    Outcome {
        due_at: Some(now.checked_add(pause).unwrap_or(now)),
        ..outcome(State::Pending, Some(reason))
    }
}
