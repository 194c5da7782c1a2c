//! Waiting for what the operator proves later.

use std::time::{Duration, Instant};

use indicatif::ProgressBar;

use super::{
    client::Client,
    exit::{CommandError, Exit},
    output::is_watched,
};
use crate::{
    api::{proof::ProofBody, users::UserDetailBody},
    model::corporate_id::CorporateId,
};

/// Often enough that a person sees containment when it happens, rare enough to burden nobody.
const PAUSE: Duration = Duration::from_millis(200);

/// How far a revocation came while somebody waited.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// It is proved that no session can pass another byte.
    pub contained: bool,
    /// The guard waits for a person, and the denial is not in force.
    pub held_back: bool,
    /// The times that were asked for, once there are any.
    pub times: Option<ProofBody>,
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

    /// What a proof says.
    fn of(proof: &ProofBody, held_back: bool) -> Self {
        let waiting_for = &proof.waiting_for;
        let named = |nodes: &[String]| (!nodes.is_empty()).then(|| nodes.join(", "));
        Self {
            contained: !held_back && proof.contained_at.is_some(),
            held_back,
            times: None,
            unprovable: !waiting_for.is_empty() && proof.unprovable.len() == waiting_for.len(),
            left_out: named(&proof.left_out).filter(|_| waiting_for.is_empty()),
            waiting_for: named(waiting_for),
        }
    }

    /// What a person's page says.
    fn of_person(person: UserDetailBody) -> Self {
        let held_back = person.user.held_back_since.is_some();
        match person.revocation {
            Some(proof) => Self {
                times: Some(proof.clone()),
                ..Self::of(&proof, held_back)
            },
            None => Self {
                held_back,
                ..Self::default()
            },
        }
    }
}

/// Waits until a person's revocation is contained, at most for `timeout` since the order was `begun`: the operator itself
/// waits before it answers an order. `first` is what was answered to it, and whether the guard holds it back.
pub(super) async fn for_containment(
    client: &Client,
    id: &CorporateId,
    (first, held_back): (&ProofBody, bool),
    (begun, timeout): (Instant, Duration),
) -> Result<Outcome, CommandError> {
    let mut outcome = Outcome::of(first, held_back);
    let progress = progress("waiting until every node has cut the sessions");
    while !outcome.is_final() && begun.elapsed() < timeout {
        tokio::time::sleep(PAUSE.min(timeout.saturating_sub(begun.elapsed()))).await;
        match client.get(&["user", id.as_str()], &[]).await {
            Ok(answer) => outcome = Outcome::of_person(answer.read()?),
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
