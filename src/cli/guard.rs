//! `guard`: denials that were held back, through the API.

use super::{
    exit::{CommandError, Exit},
    guard_args::{Decide, GuardCommand},
    human::{Moments, known},
    output::{Form, Output, note},
    user::{client, print},
};
use crate::api::guard::{BudgetBody, DoneBody, GuardBody, PendingBody, WordBody};

pub(super) async fn run(command: GuardCommand, output: &mut Output) -> Result<(), CommandError> {
    match command {
        GuardCommand::Show { ask } => {
            let answer = client(&ask)?.get(&["guard"], &[]).await?;
            let guard: GuardBody = answer.read()?;
            if ask.output.output == Form::Json {
                output.json(&answer.body)?;
            } else {
                show(&guard, output)?;
            }
            if guard.pending.is_empty() {
                Ok(())
            } else {
                Err(CommandError::silent(Exit::Pending))
            }
        }
        GuardCommand::Confirm(decide) => send("confirm", &decide, output).await,
        GuardCommand::Cancel(decide) => send("cancel", &decide, output).await,
    }
}

fn show(guard: &GuardBody, output: &mut Output) -> Result<(), CommandError> {
    output.table(
        ["BUDGET", "LIMIT", "USED", "LEFT", "WAITING"],
        guard.budgets.iter().map(budget),
    )?;
    let window = jiff::SignedDuration::from_secs(guard.window_seconds);
    output.line(&format!(
        "Within {window:#}. Besides, orders denied {} people; they never wait.",
        guard.orders
    ))?;
    let moments = Moments::here();
    if guard.pending.is_empty() {
        note("Nothing waits for a decision.");
    } else {
        output.line("")?;
        output.table(HEADER, guard.pending.iter().map(|waiting| row(waiting, &moments)))?;
        note_rest(guard.pending_total, guard.pending.len());
        note(
            "\nNone of this takes effect until somebody decides about an ID, or about all of it at once:\n  vpn-operator guard confirm ID…      it happens\n  vpn-operator guard confirm --all    it happens\n  vpn-operator guard cancel --all     it does not: these people keep access, and lost holds stay",
        );
    }
    if !guard.rejected.is_empty() {
        output.line("")?;
        output.table(HEADER, guard.rejected.iter().map(|waiting| row(waiting, &moments)))?;
        note_rest(guard.rejected_total, guard.rejected.len());
        note(
            "\nThese were cancelled, and are deleted for good: they keep access until\n  vpn-operator guard confirm --all    (or single IDs) lets them go",
        );
    }
    Ok(())
}

/// Says how many there are besides those that are listed: the operator names the first only.
fn note_rest(total: usize, listed: usize) {
    let rest = total.saturating_sub(listed);
    if rest > 0 {
        note(&format!("… and {rest} more, of {total}"));
    }
}

fn budget(budget: &BudgetBody) -> [String; 5] {
    let off = |number: Option<usize>| number.map_or_else(|| "off".to_owned(), |number| number.to_string());
    [
        budget.budget.clone(),
        off(budget.limit),
        budget.used.to_string(),
        off(budget.left),
        budget.waiting.to_string(),
    ]
}

const HEADER: [&str; 6] = ["ID", "OWNER", "CAUSE", "FROM", "BUDGET", "SINCE"];

fn row(pending: &PendingBody, moments: &Moments) -> [String; 6] {
    [
        pending.corporate_id.clone(),
        known(pending.owner.as_ref()),
        pending.reason.clone(),
        known(pending.from.as_ref()),
        pending.budget.clone(),
        moments.full(pending.since),
    ]
}

async fn send(what: &str, decide: &Decide, output: &mut Output) -> Result<(), CommandError> {
    let ids: Vec<String> = decide.ids.iter().map(ToString::to_string).collect();
    let named = ids.join(", ");
    let body = WordBody {
        ids: (!decide.all).then_some(ids),
        all: decide.all,
    };
    let answer = client(&decide.ask)?.post(&["guard", what], &body).await?;
    print(&decide.ask, &answer, output)?;
    if answer.read::<DoneBody>()?.affected.is_empty() {
        let message = if decide.all {
            "nothing waits for a decision".to_owned()
        } else {
            format!("nothing waits for a decision about {named}")
        };
        return Err(CommandError::new(Exit::NotFound, message).hint("vpn-operator guard show lists what waits"));
    }
    Ok(())
}
