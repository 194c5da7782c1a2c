//! Waiting for what the operator proves later.

use std::time::{Duration, Instant};

use indicatif::ProgressBar;
use serde_json::Value;

use super::{
    client::Client,
    exit::{CommandError, Exit},
    json::{field, text},
    output::is_watched,
};
use crate::model::corporate_id::CorporateId;

/// Often enough that a person sees containment when it happens, rare enough to burden nobody.
const PAUSE: Duration = Duration::from_millis(200);

/// How far a revocation came while somebody waited.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// It is proved that no session can pass another byte.
    pub contained: bool,
    /// The times, as the API shows them.
    pub revocation: Option<Value>,
    /// Nodes whose word is missing.
    pub waiting_for: Option<String>,
}

impl Outcome {
    fn of(answer: &Value) -> Self {
        // A deactivation answers with the times; a person's page has them in a part of its own.
        let Some(times) = field(answer, "revocation").or_else(|| field(answer, "denied_at").map(|_| answer)) else {
            return Self::default();
        };
        Self {
            contained: field(times, "contained_at").is_some(),
            revocation: Some(times.clone()),
            waiting_for: field(times, "waiting_for")
                .filter(|nodes| nodes.as_array().is_none_or(|nodes| !nodes.is_empty()))
                .map(text),
        }
    }
}

/// Waits until a person's revocation is contained, at most for `patience`. `first` is the answer to the deactivation.
pub(super) async fn for_containment(
    client: &Client,
    id: &CorporateId,
    first: &Value,
    patience: Duration,
) -> Result<Outcome, CommandError> {
    let begun = Instant::now();
    let mut outcome = Outcome::of(first);
    let progress = progress("waiting until every node has cut the sessions");
    while !outcome.contained && begun.elapsed() < patience {
        tokio::time::sleep(PAUSE.min(patience.saturating_sub(begun.elapsed()))).await;
        match client.get(&["user", id.as_str()], &[]).await {
            Ok(answer) => outcome = Outcome::of(&answer.body),
            // The denial is accepted; that the operator is busy or restarting now does not end the waiting.
            Err(error) if error.exit == Exit::Unavailable => {}
            Err(error) => return Err(error),
        }
    }
    progress.finish_and_clear();
    Ok(outcome)
}

/// A sign of life for long work. Hidden when nobody watches.
pub(super) fn progress(message: &'static str) -> ProgressBar {
    if !is_watched() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new_spinner();
    bar.set_message(message);
    bar.enable_steady_tick(Duration::from_millis(120));
    bar
}
