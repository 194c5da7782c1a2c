//! `hold release --since`: taking a wrong burst back, through the API.

use super::{
    exit::{CommandError, Exit},
    hold_args::Release,
    human::{Moments, known, listed, yes_or_no},
    output::{Form, Output, note},
    user::client,
};
use crate::api::holds::{ReleaseManyBody, ReleasedHoldBody, ReleasedManyBody, ReleasedPersonBody};

pub(super) async fn run(release: &Release, output: &mut Output) -> Result<(), CommandError> {
    let Some(since) = release.since else {
        return Err(CommandError::invalid("--since: say since when"));
    };
    let body = ReleaseManyBody {
        source: release.source.clone(),
        since,
        reason: release.reason.clone(),
        dry_run: release.dry_run,
    };
    let answer = client(&release.ask)?.post(&["holds", "release"], &body).await?;
    let done: ReleasedManyBody = answer.read()?;
    let people = &done.people;
    if release.ask.output.output == Form::Json {
        output.json(&answer.body)?;
    } else if people.is_empty() {
        note("No hold of that source was placed since then.");
    } else {
        let moments = &Moments::here();
        let rows = people
            .iter()
            .flat_map(|person| person.holds.iter().map(move |hold| row(person, hold, moments)));
        output.table(
            [
                "ID",
                "HOLD",
                "SINCE",
                "REASON",
                "RELEASED",
                "ACCESS",
                "STILL AGAINST IT",
            ],
            rows,
        )?;
        remark(&done, release.dry_run);
    }
    let failures: Vec<String> = people
        .iter()
        .filter_map(|person| Some(format!("{}: {}", person.corporate_id, person.error.as_ref()?)))
        .collect();
    if people.is_empty() {
        return Err(CommandError::silent(Exit::NotFound));
    }
    if failures.is_empty() {
        return Ok(());
    }
    let message = format!("not everything could be taken back\n  {}", failures.join("\n  "));
    Err(CommandError::new(Exit::Failed, message).hint("asking again finds what is left"))
}

/// What still stands against access of somebody who is denied: holds by name, anything else by its reason.
fn against(person: &ReleasedPersonBody) -> String {
    if person.access == "Granted" {
        "-".to_owned()
    } else if person.remaining.is_empty() {
        person.reason.clone()
    } else {
        listed(&person.remaining)
    }
}

fn row(person: &ReleasedPersonBody, hold: &ReleasedHoldBody, moments: &Moments) -> [String; 7] {
    [
        person.corporate_id.clone(),
        hold.name.clone(),
        moments.full(hold.since),
        known(hold.reason.as_ref()),
        yes_or_no(hold.released).to_owned(),
        person.access.clone(),
        against(person),
    ]
}

fn remark(done: &ReleasedManyBody, dry_run: bool) {
    if dry_run {
        note(&format!(
            "\nNothing was changed. ACCESS is what it would come to. Without --dry-run, {} holds of {} people are released.",
            done.holds,
            done.people.len()
        ));
    } else if done.status == "accepted" {
        note("\nThe holds are gone; the operator has not taken all of it in yet.");
    }
}
