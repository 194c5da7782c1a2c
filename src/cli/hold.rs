//! `hold`: standing denials, through the API.

use std::time::{Duration, Instant};

use super::{
    ask::Ask,
    decide, denial,
    exit::CommandError,
    hold_args::{HoldCommand, Release},
    human::{Moments, known},
    output::{Form, Output, note},
    person, release_many,
    user::{client, print},
};
use crate::{
    api::holds::{HoldBody, HoldsBody, NewHoldBody, PlacedBody},
    model::corporate_id::CorporateId,
};

pub(super) async fn run(command: HoldCommand, output: &mut Output) -> Result<(), CommandError> {
    match command {
        HoldCommand::List { id, phase, ask } => show_list(&ask, id.as_ref(), phase, output).await,
        HoldCommand::Create {
            id,
            source,
            reason,
            from,
            until,
            wait,
            ask,
        } => {
            if let (Some(from), Some(until)) = (from, until)
                && until <= from
            {
                return Err(CommandError::invalid("--until must be after --from"));
            }
            let body = NewHoldBody {
                source,
                reason: reason.into(),
                from,
                until,
                ..NewHoldBody::about(id.as_str())
            };
            let client = client(&ask)?;
            let begun = Instant::now();
            let answer = client.post(&["holds"], &body).await?;
            // Nothing is to be proved of a hold that does not deny yet.
            let placed: PlacedBody = answer.read()?;
            let denies_now = matches!(placed.hold.phase.as_str(), "Live" | "HeldBack");
            let wait = if denies_now { wait } else { Duration::ZERO };
            denial::follow::<PlacedBody>(&client, &id, answer, (begun, wait), &ask, output).await
        }
        HoldCommand::Release(Release {
            name: Some(name),
            source,
            reason,
            ask,
            ..
        }) => {
            let source = source.map(|source| ("source", source));
            let query: Vec<(&str, String)> = source.into_iter().chain(reason.map(|why| ("reason", why))).collect();
            let answer = client(&ask)?.delete(&["holds", &name], &query).await?;
            print(&ask, &answer, output)
        }
        HoldCommand::Release(release) => release_many::run(&release, output).await,
    }
}

async fn show_list(
    ask: &Ask,
    id: Option<&CorporateId>,
    phase: Option<String>,
    output: &mut Output,
) -> Result<(), CommandError> {
    let id = id.map(|id| ("corporate_id", id.to_string()));
    let phase = phase.map(|phase| ("phase", phase));
    let query: Vec<(&str, String)> = id.into_iter().chain(phase).collect();
    let answer = client(ask)?.get(&["holds"], &query).await?;
    if ask.output.output == Form::Json {
        return output.json(&answer.body);
    }
    let HoldsBody { holds } = answer.read()?;
    if holds.is_empty() {
        note("There are no holds.");
        return Ok(());
    }
    let moments = Moments::here();
    let row = |hold: &HoldBody| {
        [
            hold.corporate_id.clone(),
            person::in_force(hold, &moments),
            hold.source.clone(),
            known(hold.ordered_by.as_ref()),
            moments.full(hold.since),
            moments.ago(hold.until),
            hold.name.clone(),
            known(hold.reason.as_ref()),
        ]
    };
    output.table(
        ["ID", "IN FORCE", "SOURCE", "BY WHOM", "SINCE", "ENDS", "NAME", "REASON"],
        holds.iter().map(row),
    )?;
    let waiting = holds.iter().filter(|hold| hold.decide.is_some());
    decide::remark(waiting.map(|hold| hold.corporate_id.as_str()));
    Ok(())
}
