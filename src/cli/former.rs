//! `user show` of somebody who was deleted: that they are gone and when comes first, then how far it is proved.

use serde_json::Value;

use super::{
    exit::CommandError,
    human::Moments,
    json::field,
    output::{Output, Tone},
    person::{self, WIDTH},
};
use crate::model::corporate_id::CorporateId;

/// Prints what is left of somebody: `record` is the problem document of the API.
pub(super) fn show(
    id: &CorporateId,
    record: &Value,
    moments: &Moments,
    output: &mut Output,
) -> Result<(), CommandError> {
    output.line(id.as_str())?;
    let deleted = output.paint(Tone::Bad, "Deleted");
    output.line(&format!("{deleted}: nobody is declared with this ID any more"))?;
    output.line("")?;
    let mut facts = Vec::new();
    if field(record, "deleted_at").is_some() {
        facts.push(("deleted", moments.full(record, "deleted_at")));
    }
    if let Some(revocation) = field(record, "revocation") {
        let mut proof = person::proof(revocation, moments);
        for (label, fact) in &mut proof {
            match *label {
                "denied" => *label = "access ended",
                "sessions zero" if field(revocation, "sessions_zero_at").is_none() => {
                    unseen(revocation).clone_into(fact);
                }
                _ => {}
            }
        }
        facts.extend(proof);
    }
    output.facts(WIDTH, facts)?;
    output.line("")?;
    output.line(&format!("The audit has the rest: GET /audit?corporate_id={id}"))
}

/// Why it is not known when the last session was gone.
fn unseen(revocation: &Value) -> &'static str {
    let waits = field(revocation, "waiting_for").and_then(Value::as_array);
    if waits.is_some_and(|nodes| !nodes.is_empty()) {
        "not yet"
    } else {
        "never seen"
    }
}
