//! `guard`: denials that were held back, through the API.

use serde_json::{Value, json};

use super::{
    args::{Decide, GuardCommand},
    exit::{CommandError, Exit},
    json::{cell, list},
    output::{Form, Output, note},
    user::{client, print},
};

pub(super) async fn run(command: GuardCommand, output: &mut Output) -> Result<(), CommandError> {
    match command {
        GuardCommand::Show { ask } => {
            let answer = client(&ask)?.get(&["guard"], &[]).await?.body;
            let pending = list(&answer, "pending");
            let rejected = list(&answer, "rejected");
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
            if ask.output.output != Form::Json && !rejected.is_empty() {
                output.table(["ID", "REASON", "SINCE"], rejected.iter().map(row))?;
                note(
                    "\nThese were cancelled, and are deleted for good: they keep access until\n  vpn-operator guard confirm --all    (or single IDs) lets them go",
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
    ["corporate_id", "reason", "since"].map(|name| cell(pending, name))
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
