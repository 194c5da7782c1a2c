//! What a command that denies somebody waits for, shows, and ends with: the same for `user deactivate` and `hold create`.

use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{
    ask::Ask,
    client::{Answer, Client},
    exit::{CommandError, Exit},
    human::Moments,
    output::{Form, Output},
    person, wait,
};
use crate::{
    api::{access::DeactivatedBody, holds::PlacedBody, ids::RevokedIdBody, proof::ProofBody},
    model::corporate_id::CorporateId,
};

/// Status of an order of which the guard waits for a person.
const HELD_BACK: &str = "held_back";

/// What was answered to an order that denies somebody.
pub(super) struct Denial {
    /// How far it is proved.
    pub(super) proof: ProofBody,
    /// The guard waits for a person.
    pub(super) held_back: bool,
    /// The hold that keeps the person out.
    pub(super) hold: String,
    /// What is waited for, and what could not be taken as it came.
    pub(super) note: Option<String>,
}

impl From<DeactivatedBody> for Denial {
    fn from(answer: DeactivatedBody) -> Self {
        Self {
            held_back: answer.status == HELD_BACK,
            proof: answer.proof,
            hold: answer.hold,
            note: answer.detail,
        }
    }
}

impl From<PlacedBody> for Denial {
    fn from(answer: PlacedBody) -> Self {
        Self {
            held_back: answer.status == HELD_BACK,
            proof: answer.proof,
            hold: answer.hold.name,
            note: answer.detail,
        }
    }
}

impl From<RevokedIdBody> for Denial {
    fn from(answer: RevokedIdBody) -> Self {
        Self {
            // Its status is that of the ID: the person's page says whether the guard waits.
            held_back: false,
            proof: answer.proof,
            hold: answer.hold,
            note: answer.detail,
        }
    }
}

/// Waits until the denial that was ordered is contained, at most for `timeout` since it was `begun`, and shows how far it came.
/// `answer` is what the API said to the order.
pub(super) async fn follow<T: DeserializeOwned + Into<Denial>>(
    client: &Client,
    id: &CorporateId,
    answer: Answer,
    (begun, timeout): (Instant, Duration),
    ask: &Ask,
    output: &mut Output,
) -> Result<(), CommandError> {
    let mut denial: Denial = answer.read::<T>()?.into();
    let first = (&denial.proof, denial.held_back);
    let mut outcome = wait::for_containment(client, id, first, (begun, timeout)).await?;
    if let Some(times) = outcome.times.take() {
        denial.proof = times;
    }
    match ask.output.output {
        Form::Json => output.json(&with_times(answer.body, &denial.proof))?,
        Form::Table => {
            let mut facts = person::proof(&denial.proof, &Moments::here());
            facts.push(("hold", denial.hold));
            facts.extend(denial.note.map(|note| ("note", note)));
            output.facts(person::WIDTH, facts)?;
        }
    }
    if outcome.held_back {
        return Err(CommandError::new(
            Exit::Pending,
            format!("{id} still has access: too many people would lose it at once, and the guard waits for a decision"),
        )
        .hint(format!("let it happen with: vpn-operator guard confirm {id}")));
    }
    if outcome.contained || timeout.is_zero() {
        return Ok(());
    }
    if outcome.unprovable {
        let nodes = outcome.waiting_for.unwrap_or_default();
        return Err(CommandError::new(
            Exit::Pending,
            format!("logins are refused; that sessions end cannot be proved, because {nodes} has no statistics API"),
        )
        .hint("declare statsUrl (HYSTERIA_STATS_URLS): then sessions are cut, and that is proved"));
    }
    if let Some(nodes) = outcome.left_out {
        return Err(CommandError::new(
            Exit::Pending,
            format!("logins are refused; that sessions end cannot be proved, because {nodes} was taken out of its gateway"),
        )
        .hint("if that server still runs, stop it, or put it back into its VpnGateway: then sessions are cut, and that is proved"));
    }
    let missing = outcome
        .waiting_for
        .map_or_else(String::new, |nodes| format!(", waiting for {nodes}"));
    let hint = if denial.proof.denied_at.is_some() {
        "logins are refused already, and the operator goes on"
    } else {
        "the denial is recorded, and the operator goes on"
    };
    Err(CommandError::new(
        Exit::Pending,
        format!("not proved contained within {timeout:?}{missing}"),
    )
    .hint(format!("{hint}; look again with: vpn-operator user show {id}")))
}

/// The answer with the times that came later.
fn with_times(mut answer: Value, proof: &ProofBody) -> Value {
    if let (Value::Object(fields), Ok(Value::Object(times))) = (&mut answer, serde_json::to_value(proof)) {
        fields.extend(times);
    }
    answer
}
