//! `user`: people, through the API.

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{
    args::UserCommand,
    ask::Ask,
    client::{Answer, Client},
    decide,
    exit::{CommandError, Exit},
    json::{cell, describe, field, list, text},
    output::{Form, Output, note, printable},
    wait,
};
use crate::{config::secrets::process_environment, model::corporate_id::CorporateId};

/// A picture in base64 says nothing to people.
const NOT_FOR_PEOPLE: [&str; 1] = ["qr_code"];

pub(super) async fn run(command: UserCommand, output: &mut Output) -> Result<(), CommandError> {
    match command {
        UserCommand::List {
            access,
            reason,
            query,
            limit,
            after,
            ask,
        } => {
            let filters = [("access", access), ("reason", reason), ("q", query), ("after", after)];
            let mut pairs: Vec<(&str, String)> = filters
                .into_iter()
                .filter_map(|(name, value)| Some((name, value?)))
                .collect();
            pairs.push(("limit", limit.to_string()));
            show_list(&ask, &pairs, output).await
        }
        UserCommand::Show { id, config, ask } => show(&ask, &id, config, output).await,
        UserCommand::Grant { id, ask } => grant(&ask, &id, output).await,
        UserCommand::Deactivate { id, reason, wait, ask } => deactivate(&ask, &id, reason, wait, output).await,
        UserCommand::Activate { id, ask } => activate(&ask, &id, output).await,
        UserCommand::Rotate { id, what, ask } => rotate(&ask, &id, &what, output).await,
    }
}

/// The times of a revocation, and what they are called for people.
const TIMES: [(&str, &str); 3] = [
    ("denied", "denied_at"),
    ("contained", "contained_at"),
    ("sessions zero", "sessions_zero_at"),
];

/// A client as the arguments say.
pub(super) fn client(ask: &Ask) -> Result<Client, CommandError> {
    Client::new(&ask.client, &process_environment)
}

async fn show_list(ask: &Ask, pairs: &[(&str, String)], output: &mut Output) -> Result<(), CommandError> {
    let answer = client(ask)?.get(&["users"], pairs).await?.body;
    if ask.output.output == Form::Json {
        return output.json(&answer);
    }
    let users = list(&answer, "users");
    if users.is_empty() {
        note("Nobody matches.");
        return Ok(());
    }
    let row = |user: &Value| {
        ["corporate_id", "owner", "access", "reason", "username", "sessions"].map(|name| cell(user, name))
    };
    output.table(
        ["ID", "OWNER", "ACCESS", "REASON", "ACCOUNT", "SESSIONS"],
        users.iter().map(row),
    )?;
    decide::remark(users.iter().filter(|user| field(user, "held_back_since").is_some()));
    if let Some(next) = field(&answer, "next") {
        note(&format!("More: --after {}", text(next)));
    }
    Ok(())
}

async fn show(ask: &Ask, id: &CorporateId, config: bool, output: &mut Output) -> Result<(), CommandError> {
    let client = client(ask)?;
    let mut user = client.get(&["user", id.as_str()], &[]).await?.body;
    if config {
        let links = client.get(&["user", id.as_str(), "config"], &[]).await?.body;
        if let Value::Object(fields) = &mut user {
            fields.insert("config".to_owned(), links);
        }
    }
    if ask.output.output == Form::Json {
        return output.json(&user);
    }
    describe(&user, &NOT_FOR_PEOPLE, output)
}

async fn grant(ask: &Ask, id: &CorporateId, output: &mut Output) -> Result<(), CommandError> {
    let answer = client(ask)?
        .post(&["access", "grant"], &json!({ "corporate_id": id }))
        .await?;
    print(ask, &answer, output)?;
    if answer.status == StatusCode::ACCEPTED {
        return Err(CommandError::new(
            Exit::Pending,
            format!("{id} is accepted, and the account is not usable yet"),
        )
        .hint(format!("look again with: vpn-operator user show {id}")));
    }
    Ok(())
}

async fn deactivate(
    ask: &Ask,
    id: &CorporateId,
    reason: Option<String>,
    timeout: Duration,
    output: &mut Output,
) -> Result<(), CommandError> {
    let client = client(ask)?;
    let body = reason.map_or_else(|| json!({}), |reason| json!({ "reason": reason }));
    let mut answer = client.post(&["user", id.as_str(), "deactivate"], &body).await?.body;
    let outcome = wait::for_containment(&client, id, &answer, timeout).await?;
    if let (Value::Object(fields), Some(Value::Object(times))) = (&mut answer, &outcome.times) {
        fields.extend(times.clone());
    }
    match ask.output.output {
        Form::Json => output.json(&answer)?,
        Form::Table => {
            for (label, name) in TIMES {
                output.line(&format!("{label:<14} {}", cell(&answer, name)))?;
            }
            for (label, name) in [("hold", "hold"), ("note", "detail")] {
                if field(&answer, name).is_some() {
                    output.line(&format!("{label:<14} {}", printable(&cell(&answer, name))))?;
                }
            }
        }
    }
    if outcome.held_back {
        return Err(CommandError::new(
            Exit::Pending,
            format!("{id} still has access: too many people would lose it at once, and the guard waits for a decision"),
        )
        .hint(format!("let it happen with: vpn-operator guard confirm {id}")));
    }
    if outcome.contained || timeout.is_zero() {
        return Ok(());
    }
    if outcome.unprovable {
        let nodes = outcome.waiting_for.unwrap_or_default();
        return Err(CommandError::new(
            Exit::Pending,
            format!("logins are refused; that sessions end cannot be proved, because {nodes} has no statistics API"),
        )
        .hint("declare statsUrl (HYSTERIA_STATS_URLS): then sessions are cut, and that is proved"));
    }
    if let Some(nodes) = outcome.left_out {
        return Err(CommandError::new(
            Exit::Pending,
            format!("logins are refused; that sessions end cannot be proved, because {nodes} was taken out of its gateway"),
        )
        .hint("if that server still runs, stop it, or put it back into its VpnGateway: then sessions are cut, and that is proved"));
    }
    let missing = outcome
        .waiting_for
        .map_or_else(String::new, |nodes| format!(", waiting for {nodes}"));
    let hint = if field(&answer, "denied_at").is_some() {
        "logins are refused already, and the operator goes on"
    } else {
        "the denial is recorded, and the operator goes on"
    };
    Err(CommandError::new(
        Exit::Pending,
        format!("not proved contained within {timeout:?}{missing}"),
    )
    .hint(format!("{hint}; look again with: vpn-operator user show {id}")))
}

async fn activate(ask: &Ask, id: &CorporateId, output: &mut Output) -> Result<(), CommandError> {
    let answer = client(ask)?
        .post(&["user", id.as_str(), "activate"], &json!({}))
        .await?;
    print(ask, &answer, output)
}

async fn rotate(ask: &Ask, id: &CorporateId, what: &str, output: &mut Output) -> Result<(), CommandError> {
    let answer = client(ask)?
        .post(&["user", id.as_str(), "rotate"], &json!({ "what": what }))
        .await?;
    print(ask, &answer, output)
}

/// Prints an answer that is one object.
pub(super) fn print(ask: &Ask, answer: &Answer, output: &mut Output) -> Result<(), CommandError> {
    match ask.output.output {
        Form::Json => output.json(&answer.body),
        Form::Table => describe(&answer.body, &NOT_FOR_PEOPLE, output),
    }
}
