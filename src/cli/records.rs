//! `audit who` and `audit user`: from a running operator, or from a file.

use std::path::Path;

use jiff::Timestamp;

use super::{
    audit_args::{StoryArgs, WhoArgs},
    exit::{CommandError, Exit},
    human::{Moments, known, size},
    output::{Form, Output, Tone, note},
    rooms,
    user::client,
};
use crate::api::{
    audit::AuditBody,
    records::{AccessOrderBody, PastRevocationBody, StoryBody, WhoBody},
};

/// People that are asked for at a time.
const PAGE: u32 = 10_000;

pub(super) async fn who(args: &WhoArgs, output: &mut Output) -> Result<(), CommandError> {
    let at = args.at.unwrap_or_else(Timestamp::now);
    let mut answer = who_page(args, at, None).await?;
    while let Some(after) = answer.next.take() {
        let more = who_page(args, at, Some(after)).await?;
        answer.people.extend(more.people);
        answer.next = more.next;
    }
    if args.ask.output.output == Form::Json {
        return output.json(&answer);
    }
    let moments = Moments::here();
    if answer.people.is_empty() {
        note("Nobody.");
    } else {
        output.table(
            ["ID", "ACCESS", "SINCE", "WHY", "ORDER"],
            answer.people.iter().map(|person| {
                [
                    person.corporate_id.clone(),
                    person.access.clone(),
                    moments.full(person.since),
                    person.why.as_ref().unwrap_or(&person.reason).clone(),
                    known(person.order.as_ref().map(order)),
                ]
            }),
        )?;
    }
    say_known_from(&answer, at)
}

fn order(order: &AccessOrderBody) -> String {
    let AccessOrderBody {
        action,
        actor,
        source,
        seq,
        ..
    } = order;
    format!("{action} by {actor} ({source}), row {seq}")
}

/// What the answer is worth.
fn say_known_from(answer: &WhoBody, at: Timestamp) -> Result<(), CommandError> {
    match answer.known_from {
        None => note("Nothing is known yet: the operator has not loaded once since this history was begun."),
        Some(from) if at < from => {
            note(&format!(
                "Every change is known from {from} on only: at the moment asked for others may have had access too."
            ));
        }
        Some(_) => return Ok(()),
    }
    Err(CommandError::silent(Exit::Pending))
}

async fn who_page(args: &WhoArgs, at: Timestamp, after: Option<String>) -> Result<WhoBody, CommandError> {
    if let Some(file) = &args.file {
        return rooms::who(file, at, args.denied, after, PAGE).await;
    }
    let mut query = vec![
        ("at", at.to_string()),
        ("denied", args.denied.to_string()),
        ("limit", PAGE.to_string()),
    ];
    query.extend(after.map(|after| ("after", after)));
    client(&args.ask)?.get(&["audit", "who"], &query).await?.read()
}

pub(super) async fn story(args: &StoryArgs, output: &mut Output) -> Result<(), CommandError> {
    let story: StoryBody = if let Some(file) = &args.file {
        let story = read_story(file, args).await?;
        if args.ask.output.output == Form::Json {
            return output.json(&story);
        }
        story
    } else {
        let path = ["audit", "user", args.id.as_str()];
        let answer = client(&args.ask)?.get(&path, &[]).await?;
        if args.ask.output.output == Form::Json {
            return output.json(&answer.body);
        }
        answer.read()?
    };
    let mut lines: Vec<(Timestamp, String)> = story.rows.iter().map(|row| (row.at, told(row))).collect();
    for revocation in &story.revocations {
        for (at, words) in [
            (revocation.contained_at, "contained: no session can pass another byte"),
            (revocation.sessions_zero_at, "every session is gone"),
            (revocation.withdrawn_at, "containment taken back: it was not true"),
            (revocation.deleted_at, "the VpnUser was deleted"),
        ] {
            let PastRevocationBody { denied_at, account, .. } = revocation;
            lines.extend(at.map(|at| (at, format!("{words} (denied {denied_at}, account {account})"))));
        }
    }
    lines.sort_by_key(|(at, _)| *at);
    output.line(&output.paint(Tone::Strong, &story.corporate_id))?;
    if story.cut {
        note("There are older rows than these.");
    }
    output.table(
        ["WHEN", "WHAT"],
        lines.into_iter().map(|(at, what)| [at.to_string(), what]),
    )?;
    if !story.traffic.is_empty() {
        output.line("")?;
        output.table(
            ["MONTH", "ACCOUNT", "UP", "DOWN"],
            story
                .traffic
                .into_iter()
                .map(|month| [month.month, month.account, size(month.upload), size(month.download)]),
        )?;
    }
    Ok(())
}

/// A row of the audit in one line.
fn told(row: &AuditBody) -> String {
    let did = format!("{} by {} ({})", row.action, row.actor, row.source);
    let change = row.after.as_ref().map(|after| match &row.before {
        Some(before) => format!(": {before} → {after}"),
        None => format!(": {after}"),
    });
    let why = row.reason.as_ref().map(|why| format!("; {why}"));
    [Some(did), change, why].into_iter().flatten().collect()
}

async fn read_story(file: &Path, args: &StoryArgs) -> Result<StoryBody, CommandError> {
    let story = rooms::story(file, &args.id).await?;
    if story.rows.is_empty() && story.revocations.is_empty() && story.traffic.is_empty() {
        return Err(CommandError::new(
            Exit::NotFound,
            format!("nothing is kept about {} in {}", args.id, file.display()),
        ));
    }
    Ok(story)
}
