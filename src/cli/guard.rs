//! `guard`: denials that were held back, through the API.

use serde_json::{Value, json};

use super::{
    args::{Decide, GuardCommand},
    exit::{CommandError, Exit},
    human::Moments,
    json::{cell, field, list},
    output::{Form, Output, note},
    user::{client, print},
};

pub(super) async fn run(command: GuardCommand, output: &mut Output) -> Result<(), CommandError> {
    match command {
        GuardCommand::Show { ask } => {
            let answer = client(&ask)?.get(&["guard"], &[]).await?.body;
            if ask.output.output == Form::Json {
                output.json(&answer)?;
            } else {
                show(&answer, output)?;
            }
            if list(&answer, "pending").is_empty() {
                Ok(())
            } else {
                Err(CommandError::silent(Exit::Pending))
            }
        }
        GuardCommand::Confirm(decide) => send("confirm", &decide, output).await,
        GuardCommand::Cancel(decide) => send("cancel", &decide, output).await,
    }
}

fn show(answer: &Value, output: &mut Output) -> Result<(), CommandError> {
    let budgets = field(answer, "budgets").and_then(Value::as_array);
    if let Some(budgets) = budgets {
        output.table(
            ["BUDGET", "LIMIT", "USED", "LEFT", "WAITING"],
            budgets.iter().map(budget),
        )?;
        let seconds = field(answer, "window_seconds").and_then(Value::as_i64);
        let window = jiff::SignedDuration::from_secs(seconds.unwrap_or_default());
        output.line(&format!(
            "Within {window:#}. Besides, orders denied {} people; they never wait.",
            cell(answer, "orders")
        ))?;
    }
    let moments = Moments::here();
    let pending = list(answer, "pending");
    if pending.is_empty() {
        note("Nothing waits for a decision.");
    } else {
        separate(budgets.is_some(), output)?;
        output.table(HEADER, pending.iter().map(|waiting| row(waiting, &moments)))?;
        note_rest(answer, "pending");
        note(
            "\nNone of this takes effect until somebody decides about an ID, or about all of it at once:\n  vpn-operator guard confirm ID…      it happens\n  vpn-operator guard confirm --all    it happens\n  vpn-operator guard cancel --all     it does not: these people keep access, and lost holds stay",
        );
    }
    let rejected = list(answer, "rejected");
    if !rejected.is_empty() {
        separate(true, output)?;
        output.table(HEADER, rejected.iter().map(|waiting| row(waiting, &moments)))?;
        note_rest(answer, "rejected");
        note(
            "\nThese were cancelled, and are deleted for good: they keep access until\n  vpn-operator guard confirm --all    (or single IDs) lets them go",
        );
    }
    Ok(())
}

/// Says how many there are besides those that are listed: the operator names the first only.
fn note_rest(answer: &Value, what: &str) {
    let total = field(answer, &format!("{what}_total"))
        .and_then(Value::as_u64)
        .unwrap_or(0);
    let rest = total.saturating_sub(list(answer, what).len() as u64);
    if rest > 0 {
        note(&format!("… and {rest} more, of {total}"));
    }
}

fn separate(needed: bool, output: &mut Output) -> Result<(), CommandError> {
    if needed { output.line("") } else { Ok(()) }
}

fn budget(budget: &Value) -> [String; 5] {
    let off = |name: &str| field(budget, name).map_or_else(|| "off".to_owned(), |_| cell(budget, name));
    [
        cell(budget, "budget"),
        off("limit"),
        cell(budget, "used"),
        off("left"),
        cell(budget, "waiting"),
    ]
}

const HEADER: [&str; 6] = ["ID", "OWNER", "CAUSE", "FROM", "BUDGET", "SINCE"];

fn row(pending: &Value, moments: &Moments) -> [String; 6] {
    let [id, owner, cause, from, budget] =
        ["corporate_id", "owner", "reason", "from", "budget"].map(|name| cell(pending, name));
    [id, owner, cause, from, budget, moments.full(pending, "since")]
}

async fn send(what: &str, decide: &Decide, output: &mut Output) -> Result<(), CommandError> {
    let body = if decide.all {
        json!({ "all": true })
    } else {
        json!({ "ids": decide.ids })
    };
    let answer = client(&decide.ask)?.post(&["guard", what], &body).await?;
    print(&decide.ask, &answer, output)?;
    if list(&answer.body, "affected").is_empty() {
        let named: Vec<String> = decide.ids.iter().map(ToString::to_string).collect();
        let message = if decide.all {
            "nothing waits for a decision".to_owned()
        } else {
            format!("nothing waits for a decision about {}", named.join(", "))
        };
        return Err(CommandError::new(Exit::NotFound, message).hint("vpn-operator guard show lists what waits"));
    }
    Ok(())
}
