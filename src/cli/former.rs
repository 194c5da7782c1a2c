//! `user show` of somebody who was deleted: that they are gone and when comes first, then how far it is proved.

use super::{
    exit::CommandError,
    human::Moments,
    output::{Output, Tone},
    person::{self, WIDTH},
};
use crate::{
    api::{problem::ProblemBody, proof::ProofBody},
    model::corporate_id::CorporateId,
};

/// Prints what is left of somebody: `record` is the problem document of the API.
pub(super) fn show(
    id: &CorporateId,
    record: &ProblemBody,
    moments: &Moments,
    output: &mut Output,
) -> Result<(), CommandError> {
    output.line(id.as_str())?;
    let deleted = output.paint(Tone::Bad, "Deleted");
    output.line(&format!("{deleted}: nobody is declared with this ID any more"))?;
    output.line("")?;
    let mut facts = Vec::new();
    facts.extend(record.deleted_at.map(|at| ("deleted", moments.full(at))));
    if let Some(revocation) = &record.revocation {
        let mut proof = person::proof(revocation, moments);
        for (label, fact) in &mut proof {
            match *label {
                "denied" => *label = "access ended",
                "sessions zero" if revocation.sessions_zero_at.is_none() => {
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
fn unseen(revocation: &ProofBody) -> &'static str {
    if revocation.waiting_for.is_empty() {
        "never seen"
    } else {
        "not yet"
    }
}
