//! `audit who` and `audit user`: from a running operator, or from a file.

use std::path::Path;

use serde_json::Value;

use super::{
    audit_args::{StoryArgs, WhoArgs},
    exit::{CommandError, Exit},
    human::{Moments, size},
    json::{cell, field, list, text},
    output::{Form, Output, Tone, note},
    rooms,
    user::client,
};

/// People that are asked for at a time.
const PAGE: u32 = 10_000;

pub(super) async fn who(args: &WhoArgs, output: &mut Output) -> Result<(), CommandError> {
    let at = args.at.unwrap_or_else(jiff::Timestamp::now);
    let mut answer = who_page(args, at, None).await?;
    while let Some(after) = field(&answer, "next").map(text) {
        let mut more = who_page(args, at, Some(after)).await?;
        if let (Some(people), Some(Value::Array(further))) = (
            answer.get_mut("people").and_then(Value::as_array_mut),
            more.get_mut("people").map(Value::take),
        ) {
            people.extend(further);
        }
        if let (Value::Object(answer), Some(next)) = (&mut answer, more.get_mut("next").map(Value::take)) {
            answer.insert("next".to_owned(), next);
        }
    }
    if args.ask.output.output == Form::Json {
        return output.json(&answer);
    }
    let moments = Moments::here();
    let people = list(&answer, "people");
    if people.is_empty() {
        note("Nobody.");
    } else {
        output.table(
            ["ID", "ACCESS", "SINCE", "WHY", "ORDER"],
            people.iter().map(|person| {
                let why = field(person, "why").map_or_else(|| cell(person, "reason"), text);
                [
                    cell(person, "corporate_id"),
                    cell(person, "access"),
                    moments.full(person, "since"),
                    why,
                    order(person),
                ]
            }),
        )?;
    }
    say_known_from(&answer, at)
}

fn order(person: &Value) -> String {
    let Some(order) = field(person, "order") else {
        return "-".to_owned();
    };
    format!(
        "{} by {} ({}), row {}",
        cell(order, "action"),
        cell(order, "actor"),
        cell(order, "source"),
        cell(order, "seq")
    )
}

/// What the answer is worth.
fn say_known_from(answer: &Value, at: jiff::Timestamp) -> Result<(), CommandError> {
    match field(answer, "known_from").map(text) {
        None => note("Nothing is known yet: the operator has not loaded once since this history was begun."),
        Some(from) if from.parse::<jiff::Timestamp>().is_ok_and(|from| at < from) => {
            note(&format!(
                "Every change is known from {from} on only: at the moment asked for others may have had access too."
            ));
        }
        Some(_) => return Ok(()),
    }
    Err(CommandError::silent(Exit::Pending))
}

async fn who_page(args: &WhoArgs, at: jiff::Timestamp, after: Option<String>) -> Result<Value, CommandError> {
    if let Some(file) = &args.file {
        return rooms::who(file, at, args.denied, after, PAGE).await;
    }
    let mut query = vec![
        ("at", at.to_string()),
        ("denied", args.denied.to_string()),
        ("limit", PAGE.to_string()),
    ];
    query.extend(after.map(|after| ("after", after)));
    Ok(client(&args.ask)?.get(&["audit", "who"], &query).await?.body)
}

pub(super) async fn story(args: &StoryArgs, output: &mut Output) -> Result<(), CommandError> {
    let answer = match &args.file {
        Some(file) => read_story(file, args).await?,
        None => {
            client(&args.ask)?
                .get(&["audit", "user", args.id.as_str()], &[])
                .await?
                .body
        }
    };
    if args.ask.output.output == Form::Json {
        return output.json(&answer);
    }
    let mut lines: Vec<(String, String)> = list(&answer, "rows")
        .iter()
        .map(|row| (cell(row, "at"), told(row)))
        .collect();
    for revocation in list(&answer, "revocations") {
        for (name, words) in [
            ("contained_at", "contained: no session can pass another byte"),
            ("sessions_zero_at", "every session is gone"),
            ("withdrawn_at", "containment taken back: it was not true"),
            ("deleted_at", "the VpnUser was deleted"),
        ] {
            if let Some(at) = field(revocation, name) {
                let of = format!(
                    "{words} (denied {}, account {})",
                    cell(revocation, "denied_at"),
                    cell(revocation, "account")
                );
                lines.push((text(at), of));
            }
        }
    }
    // By the moment, as times of different precision do not sort as texts.
    lines.sort_by_key(|(at, _)| at.parse::<jiff::Timestamp>().ok());
    output.line(&output.paint(Tone::Strong, &cell(&answer, "corporate_id")))?;
    if answer.get("cut").and_then(Value::as_bool) == Some(true) {
        note("There are older rows than these.");
    }
    output.table(["WHEN", "WHAT"], lines.into_iter().map(|(at, what)| [at, what]))?;
    let traffic = list(&answer, "traffic");
    if !traffic.is_empty() {
        output.line("")?;
        output.table(
            ["MONTH", "ACCOUNT", "UP", "DOWN"],
            traffic.iter().map(|month| {
                [
                    cell(month, "month"),
                    cell(month, "account"),
                    moved(month, "upload"),
                    moved(month, "download"),
                ]
            }),
        )?;
    }
    Ok(())
}

fn moved(month: &Value, name: &str) -> String {
    field(month, name)
        .and_then(Value::as_u64)
        .map_or_else(|| "-".to_owned(), size)
}

/// A row of the audit in one line.
fn told(row: &Value) -> String {
    let did = format!(
        "{} by {} ({})",
        cell(row, "action"),
        cell(row, "actor"),
        cell(row, "source")
    );
    let change = field(row, "after").map(|after| match field(row, "before") {
        Some(before) => format!(": {} → {}", text(before), text(after)),
        None => format!(": {}", text(after)),
    });
    let why = field(row, "reason").map(|why| format!("; {}", text(why)));
    [Some(did), change, why].into_iter().flatten().collect()
}

async fn read_story(file: &Path, args: &StoryArgs) -> Result<Value, CommandError> {
    let answer = rooms::story(file, &args.id).await?;
    let nothing = ["rows", "revocations", "traffic"]
        .iter()
        .all(|name| list(&answer, name).is_empty());
    if nothing {
        return Err(CommandError::new(
            Exit::NotFound,
            format!("nothing is kept about {} in {}", args.id, file.display()),
        ));
    }
    Ok(answer)
}
