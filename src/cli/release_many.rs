//! `hold release --since`: taking a wrong burst back, through the API.

use serde_json::{Value, json};

use super::{
    exit::{CommandError, Exit},
    hold_args::Release,
    human::Moments,
    json::{cell, field, list, text},
    output::{Form, Output, note},
    user::client,
};

pub(super) async fn run(release: &Release, output: &mut Output) -> Result<(), CommandError> {
    let mut body = json!({ "source": release.source, "since": release.since, "dry_run": release.dry_run });
    if let (Value::Object(fields), Some(reason)) = (&mut body, &release.reason) {
        fields.insert("reason".to_owned(), json!(reason));
    }
    let answer = client(&release.ask)?.post(&["holds", "release"], &body).await?.body;
    let people = list(&answer, "people");
    if release.ask.output.output == Form::Json {
        output.json(&answer)?;
    } else if people.is_empty() {
        note("No hold of that source was placed since then.");
    } else {
        let moments = &Moments::here();
        let rows = people
            .iter()
            .flat_map(|person| list(person, "holds").iter().map(move |hold| row(person, hold, moments)));
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
        remark(&answer, people.len(), release.dry_run);
    }
    let failures: Vec<String> = people
        .iter()
        .filter_map(|person| {
            Some(format!(
                "{}: {}",
                cell(person, "corporate_id"),
                text(field(person, "error")?)
            ))
        })
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
fn against(person: &Value) -> String {
    let remaining = list(person, "remaining");
    if field(person, "access").and_then(Value::as_str) == Some("Granted") {
        "-".to_owned()
    } else if remaining.is_empty() {
        cell(person, "reason")
    } else {
        cell(person, "remaining")
    }
}

fn row(person: &Value, hold: &Value, moments: &Moments) -> [String; 7] {
    [
        cell(person, "corporate_id"),
        cell(hold, "name"),
        moments.full(hold, "since"),
        cell(hold, "reason"),
        cell(hold, "released"),
        cell(person, "access"),
        against(person),
    ]
}

fn remark(answer: &Value, people: usize, dry_run: bool) {
    let holds = cell(answer, "holds");
    if dry_run {
        note(&format!(
            "\nNothing was changed. ACCESS is what it would come to. Without --dry-run, {holds} holds of {people} people are released."
        ));
    } else if field(answer, "status").and_then(Value::as_str) == Some("accepted") {
        note("\nThe holds are gone; the operator has not taken all of it in yet.");
    }
}
