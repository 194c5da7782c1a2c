//! `hold`: standing denials, through the API.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{
    ask::Ask,
    decide, denial,
    exit::CommandError,
    hold_args::{HoldCommand, Release},
    human::Moments,
    json::{cell, field, list},
    output::{Form, Output, note},
    person, release_many,
    user::{client, print},
};
use crate::model::corporate_id::CorporateId;

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
            let mut body = json!({ "corporate_id": id });
            if let Value::Object(fields) = &mut body {
                fields.extend(source.map(|source| ("source".to_owned(), json!(source))));
                fields.extend(reason.map(|reason| ("reason".to_owned(), json!(reason))));
                fields.extend(from.map(|from| ("from".to_owned(), json!(from))));
                fields.extend(until.map(|until| ("until".to_owned(), json!(until))));
            }
            let client = client(&ask)?;
            let begun = Instant::now();
            let answer = client.post(&["holds"], &body).await?.body;
            // Nothing is to be proved of a hold that does not deny yet.
            let denies_now = matches!(cell(&answer, "phase").as_str(), "Live" | "HeldBack");
            let wait = if denies_now { wait } else { Duration::ZERO };
            denial::follow(&client, &id, answer, (begun, wait), &ask, output).await
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
    let answer = client(ask)?.get(&["holds"], &query).await?.body;
    if ask.output.output == Form::Json {
        return output.json(&answer);
    }
    let holds = list(&answer, "holds");
    if holds.is_empty() {
        note("There are no holds.");
        return Ok(());
    }
    let moments = Moments::here();
    let row = |hold: &Value| {
        [
            cell(hold, "corporate_id"),
            person::in_force(hold, &moments),
            cell(hold, "source"),
            cell(hold, "ordered_by"),
            moments.full(hold, "since"),
            moments.ago(hold, "until"),
            cell(hold, "name"),
            cell(hold, "reason"),
        ]
    };
    output.table(
        ["ID", "IN FORCE", "SOURCE", "BY WHOM", "SINCE", "ENDS", "NAME", "REASON"],
        holds.iter().map(row),
    )?;
    let waits = |hold: &&Value| field(hold, "decide").is_some();
    decide::remark(holds.iter().filter(waits));
    Ok(())
}
