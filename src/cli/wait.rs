//! Waiting for what the operator proves later.

use std::time::{Duration, Instant};

use indicatif::ProgressBar;
use serde_json::Value;

use super::{
    client::Client,
    exit::{CommandError, Exit},
    json::{field, list, text},
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
    /// The guard waits for a person, and the denial is not in force.
    pub held_back: bool,
    /// The times, as the API shows them.
    pub times: Option<Value>,
    /// Nodes whose word is missing.
    pub waiting_for: Option<String>,
    /// Nodes that left before their word was there, when nothing else is waited for.
    pub left_out: Option<String>,
    /// No missing word will ever come: those nodes have no statistics API.
    pub unprovable: bool,
}

impl Outcome {
    /// Whether waiting on brings nothing more.
    const fn is_final(&self) -> bool {
        self.contained || self.held_back || self.unprovable || self.left_out.is_some()
    }

    /// Reads the answer to a deactivation, or a person's page.
    fn of(answer: &Value) -> Self {
        let is_held_back = field(answer, "held_back_since").is_some();
        let held_back = is_held_back || field(answer, "status").and_then(Value::as_str) == Some("held_back");
        // A person's page has the times in a part of its own, the answer to a deactivation has them in itself.
        let times = field(answer, "revocation").unwrap_or(answer);
        let waiting_for = list(times, "waiting_for");
        let left_out = list(times, "left_out");
        let named =
            |nodes: &[Value]| (!nodes.is_empty()).then(|| nodes.iter().map(text).collect::<Vec<_>>().join(", "));
        Self {
            contained: !held_back && field(times, "contained_at").is_some(),
            held_back,
            times: field(answer, "revocation").cloned(),
            unprovable: !waiting_for.is_empty() && list(times, "unprovable").len() == waiting_for.len(),
            left_out: named(left_out).filter(|_| waiting_for.is_empty()),
            waiting_for: named(waiting_for),
        }
    }
}

/// Waits until a person's revocation is contained, at most for `timeout` since the order was `begun`: the operator itself
/// waits before it answers an order. `first` is the answer to the deactivation.
pub(super) async fn for_containment(
    client: &Client,
    id: &CorporateId,
    first: &Value,
    (begun, timeout): (Instant, Duration),
) -> Result<Outcome, CommandError> {
    let mut outcome = Outcome::of(first);
    let progress = progress("waiting until every node has cut the sessions");
    while !outcome.is_final() && begun.elapsed() < timeout {
        tokio::time::sleep(PAUSE.min(timeout.saturating_sub(begun.elapsed()))).await;
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
