//! `user`: people, through the API.

use std::time::{Duration, Instant};

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{
    args::{Grant, UserCommand},
    ask::Ask,
    client::{Answer, Client, Found},
    decide, denial,
    exit::{CommandError, Exit},
    former, handover,
    human::Moments,
    json::{cell, describe, field, list, text},
    output::{Form, Output, Tone, note, printable},
    person, qr, telegram,
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
        UserCommand::Grant(args) => grant(&args, output).await,
        UserCommand::Deactivate { id, reason, wait, ask } => deactivate(&ask, &id, reason, wait, output).await,
        UserCommand::Activate { id, ask } => activate(&ask, &id, output).await,
        UserCommand::Rotate { id, what, ask } => rotate(&ask, &id, &what, output).await,
        UserCommand::LinkCode {
            id,
            minutes,
            reason,
            ask,
        } => telegram::link_code(&ask, &id, minutes, reason, output).await,
        UserCommand::Link(args) => handover::hand_over(&args, output).await,
        UserCommand::Links(args) => handover::handed_over(&args, output).await,
        UserCommand::Telegram { id, unlink, ask } => telegram::telegram(&ask, &id, unlink, output).await,
    }
}

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
    let mut user = match client.find(&["user", id.as_str()]).await? {
        Found::There(user) => user,
        Found::Gone(record) => {
            match ask.output.output {
                Form::Json => output.json(&record)?,
                Form::Table => former::show(id, &record, &Moments::here(), output)?,
            }
            // Everything is said, and whoever asked for a person got none.
            return Err(CommandError::silent(Exit::NotFound));
        }
    };
    if config {
        let links = client.get(&["user", id.as_str(), "config"], &[]).await?.body;
        if let Value::Object(fields) = &mut user {
            fields.insert("config".to_owned(), links);
        }
    }
    if ask.output.output == Form::Json {
        return output.json(&user);
    }
    person::show(&user, &Moments::here(), output)
}

async fn grant(grant: &Grant, output: &mut Output) -> Result<(), CommandError> {
    let Grant { id, qr, ask, .. } = grant;
    let mut body = json!({ "corporate_id": id });
    if let Value::Object(fields) = &mut body {
        let texts = [("owner", &grant.owner), ("email", &grant.email), ("role", &grant.role)];
        fields.extend(
            texts
                .into_iter()
                .filter_map(|(name, text)| Some((name.to_owned(), json!(text.as_ref()?)))),
        );
        fields.extend(grant.until.map(|until| ("valid_until".to_owned(), json!(until))));
    }
    let answer = client(ask)?.post(&["access", "grant"], &body).await?;
    print(ask, &answer, output)?;
    if ask.output.output == Form::Table {
        qr::print(&answer.body, *qr, output)?;
    }
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
    let begun = Instant::now();
    let answer = client.post(&["user", id.as_str(), "deactivate"], &body).await?.body;
    denial::follow(&client, id, answer, (begun, timeout), ask, output).await
}

async fn activate(ask: &Ask, id: &CorporateId, output: &mut Output) -> Result<(), CommandError> {
    let client = client(ask)?;
    let answer = client.post(&["user", id.as_str(), "activate"], &json!({})).await?;
    if ask.output.output == Form::Json {
        output.json(&answer.body)?;
    } else {
        for hold in list(&answer.body, "released") {
            output.line(&format!("released  {}", printable(&text(hold))))?;
        }
        if let Some(detail) = field(&answer.body, "detail") {
            output.wrapped(person::WIDTH, &text(detail))?;
        }
    }
    if answer.status == StatusCode::ACCEPTED {
        return Err(CommandError::new(
            Exit::Pending,
            format!("{id} is activated, and logins do not follow that yet"),
        )
        .hint(format!("look again with: vpn-operator user show {id}")));
    }
    if cell(&answer.body, "access") != "Denied" {
        return if ask.output.output == Form::Json {
            Ok(())
        } else {
            let granted = output.paint(Tone::Good, "Granted");
            output.line(&format!("{granted}: nothing stands against the access of {id}"))
        };
    }
    let remaining = list(&answer.body, "remaining");
    if remaining.is_empty() {
        let message = format!("{id} stays denied: {}", cell(&answer.body, "reason"));
        return Err(CommandError::new(Exit::Refused, message).hint(format!("vpn-operator user show {id} says more")));
    }
    let against = standing(&client, id, remaining).await.join("\n  ");
    Err(CommandError::new(
        Exit::Refused,
        format!("{id} stays denied by what others placed\n  {against}"),
    )
    .hint("only the source that placed a hold lifts it: hold release NAME --source SOURCE"))
}

/// The holds of these names, as people need them. Just the names when the operator cannot say more now.
async fn standing(client: &Client, id: &CorporateId, names: &[Value]) -> Vec<String> {
    let answer = client.get(&["holds"], &[("corporate_id", id.to_string())]).await;
    let holds = answer.map(|answer| answer.body).unwrap_or_default();
    let described = |name: &Value| {
        let hold = list(&holds, "holds")
            .iter()
            .find(|hold| field(hold, "name") == Some(name));
        hold.map_or_else(|| text(name), |hold| person::described(hold, &Moments::here()))
    };
    names.iter().map(described).collect()
}

async fn rotate(ask: &Ask, id: &CorporateId, what: &str, output: &mut Output) -> Result<(), CommandError> {
    let answer = client(ask)?
        .post(&["user", id.as_str(), "rotate"], &json!({ "what": what }))
        .await?;
    let body = &answer.body;
    if ask.output.output == Form::Json {
        output.json(body)?;
    } else {
        if what != "subscription" {
            output.wrapped(
                person::WIDTH,
                &format!(
                    "{id} has a new password (generation {}); the old one is refused, and its sessions are cut.",
                    cell(body, "credential_generation")
                ),
            )?;
        }
        if what != "password" {
            output.wrapped(
                person::WIDTH,
                &format!(
                    "{id} has a new subscription link (generation {}); the old one answers nobody. Sessions stay.",
                    cell(body, "subscription_generation")
                ),
            )?;
        }
        person::links(body, output)?;
        if field(body, "config").is_none() && answer.status != StatusCode::ACCEPTED {
            note(&format!(
                "{id} has no access now: there are no links. vpn-operator user show {id} says why"
            ));
        }
    }
    if answer.status == StatusCode::ACCEPTED {
        return Err(CommandError::new(
            Exit::Pending,
            format!("what became new for {id} is declared, and logins do not follow it yet"),
        )
        .hint(format!(
            "see the links later with: vpn-operator user show {id} --config"
        )));
    }
    Ok(())
}

/// Prints an answer that is one object.
pub(super) fn print(ask: &Ask, answer: &Answer, output: &mut Output) -> Result<(), CommandError> {
    match ask.output.output {
        Form::Json => output.json(&answer.body),
        Form::Table => describe(&answer.body, &NOT_FOR_PEOPLE, output),
    }
}
