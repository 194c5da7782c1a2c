//! `guard`: denials that were held back, through the API.

use serde_json::{Value, json};

use super::{
    args::{Decide, GuardCommand},
    exit::{CommandError, Exit},
    json::{cell, field, list, text},
    output::{Form, Output, note},
    user::{client, print},
};

/// Names under which the API lists what waits.
const LISTS: [&str; 4] = ["pending", "denials", "held", "items"];

pub(super) async fn run(command: GuardCommand, output: &mut Output) -> Result<(), CommandError> {
    match command {
        GuardCommand::Show { ask } => {
            let answer = client(&ask)?.get(&["guard"], &[]).await?.body;
            let pending = list(&answer, &LISTS);
            if ask.output.output == Form::Json {
                output.json(&answer)?;
            } else if pending.is_empty() {
                note("Nothing waits for a decision.");
            } else {
                output.table(["ID", "REASON", "SINCE"], pending.iter().map(row))?;
                note(
                    "\nThese people keep access until somebody decides:\n  vpn-operator guard confirm --all    they lose it\n  vpn-operator guard cancel --all     they keep it",
                );
            }
            if pending.is_empty() {
                Ok(())
            } else {
                Err(CommandError::silent(Exit::Pending))
            }
        }
        GuardCommand::Confirm(decide) => send("confirm", &decide, output).await,
        GuardCommand::Cancel(decide) => send("cancel", &decide, output).await,
    }
}

fn row(pending: &Value) -> [String; 3] {
    // An answer may list bare IDs.
    let id = if pending.is_object() {
        cell(pending, "corporate_id")
    } else {
        text(pending)
    };
    let since = ["since", "at", "held_since"]
        .into_iter()
        .find_map(|name| field(pending, name));
    let why = if field(pending, "cause").is_some() {
        "cause"
    } else {
        "reason"
    };
    [id, cell(pending, why), since.map_or_else(|| "-".to_owned(), text)]
}

async fn send(what: &str, decide: &Decide, output: &mut Output) -> Result<(), CommandError> {
    let body = if decide.all {
        json!({})
    } else {
        json!({ "ids": decide.ids })
    };
    let answer = client(&decide.ask)?.post(&["guard", what], &body).await?;
    print(&decide.ask, &answer, output)
}
