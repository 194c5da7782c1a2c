//! What a command that denies somebody waits for, shows, and ends with: the same for `user deactivate` and `hold create`.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::{
    ask::Ask,
    client::Client,
    exit::{CommandError, Exit},
    human::Moments,
    json::{cell, field},
    output::{Form, Output},
    person, wait,
};
use crate::model::corporate_id::CorporateId;

/// Waits until the denial that was ordered is contained, at most for `timeout` since it was `begun`, and shows how far it came.
/// `answer` is what the API said to the order.
pub(super) async fn follow(
    client: &Client,
    id: &CorporateId,
    mut answer: Value,
    (begun, timeout): (Instant, Duration),
    ask: &Ask,
    output: &mut Output,
) -> Result<(), CommandError> {
    let outcome = wait::for_containment(client, id, &answer, (begun, timeout)).await?;
    if let (Value::Object(fields), Some(Value::Object(times))) = (&mut answer, &outcome.times) {
        fields.extend(times.clone());
    }
    match ask.output.output {
        Form::Json => output.json(&answer)?,
        Form::Table => {
            let mut facts = person::proof(&answer, &Moments::here());
            for (label, name) in [("hold", "hold"), ("hold", "name"), ("note", "detail")] {
                if field(&answer, name).is_some() {
                    facts.push((label, cell(&answer, name)));
                }
            }
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
    let hint = if field(&answer, "denied_at").is_some() {
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
