//! `user`: people, through the API.

use std::time::{Duration, Instant};

use reqwest::StatusCode;
use serde_json::Value;

use super::{
    ask::Ask,
    client::{Answer, Client, Found, read},
    decide, denial,
    exit::{CommandError, Exit},
    former, handover,
    human::{Moments, known},
    json::describe,
    output::{Form, Output, Tone, note, printable},
    person, qr, telegram,
    user_args::{Grant, UserCommand},
};
use crate::{
    api::{
        access::{
            ActivatedBody, ConfigBody, DeactivatedBody, GrantBody, ReasonBody, RotateBody, RotateWhat, RotatedBody,
        },
        holds::HoldsBody,
        users::{UserBody, UsersBody},
    },
    config::secrets::process_environment,
    model::corporate_id::CorporateId,
};

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
    let answer = client(ask)?.get(&["users"], pairs).await?;
    if ask.output.output == Form::Json {
        return output.json(&answer.body);
    }
    let UsersBody { users, next } = answer.read()?;
    if users.is_empty() {
        note("Nobody matches.");
        return Ok(());
    }
    let row = |user: &UserBody| {
        [
            user.corporate_id.clone(),
            known(user.owner.as_ref()),
            user.access.clone(),
            user.reason.clone(),
            user.username.clone(),
            known(user.sessions),
        ]
    };
    output.table(
        ["ID", "OWNER", "ACCESS", "REASON", "ACCOUNT", "SESSIONS"],
        users.iter().map(row),
    )?;
    let held_back = users.iter().filter(|user| user.held_back_since.is_some());
    decide::remark(held_back.map(|user| user.corporate_id.as_str()));
    if let Some(next) = next {
        note(&format!("More: --after {next}"));
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
                Form::Table => former::show(id, &read(&record)?, &Moments::here(), output)?,
            }
            // Everything is said, and whoever asked for a person got none.
            return Err(CommandError::silent(Exit::NotFound));
        }
    };
    let config = if config {
        Some(client.get(&["user", id.as_str(), "config"], &[]).await?)
    } else {
        None
    };
    if ask.output.output == Form::Json {
        if let (Value::Object(fields), Some(config)) = (&mut user, config) {
            fields.insert("config".to_owned(), config.body);
        }
        return output.json(&user);
    }
    let config = config.map(|config| config.read()).transpose()?;
    person::show(&read(&user)?, config.as_ref(), &Moments::here(), output)
}

async fn grant(grant: &Grant, output: &mut Output) -> Result<(), CommandError> {
    let Grant { id, qr, ask, .. } = grant;
    let body = GrantBody {
        corporate_id: id.to_string(),
        owner: grant.owner.clone(),
        email: grant.email.clone(),
        role: grant.role.clone(),
        valid_until: grant.until,
    };
    let answer = client(ask)?.post(&["access", "grant"], &body).await?;
    print(ask, &answer, output)?;
    let accepted = answer.status == StatusCode::ACCEPTED;
    if ask.output.output == Form::Table && !accepted {
        let config: ConfigBody = answer.read()?;
        qr::print(&config.hy2_url, *qr, output)?;
    }
    if accepted {
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
    let begun = Instant::now();
    let path = ["user", id.as_str(), "deactivate"];
    let answer = client.post(&path, &ReasonBody { reason }).await?;
    denial::follow::<DeactivatedBody>(&client, id, answer, (begun, timeout), ask, output).await
}

async fn activate(ask: &Ask, id: &CorporateId, output: &mut Output) -> Result<(), CommandError> {
    let client = client(ask)?;
    let path = ["user", id.as_str(), "activate"];
    let answer = client.post(&path, &ReasonBody::default()).await?;
    let done: ActivatedBody = answer.read()?;
    if ask.output.output == Form::Json {
        output.json(&answer.body)?;
    } else {
        for hold in &done.released {
            output.line(&format!("released  {}", printable(hold)))?;
        }
        if let Some(detail) = &done.detail {
            output.wrapped(person::WIDTH, detail)?;
        }
    }
    if answer.status == StatusCode::ACCEPTED {
        return Err(CommandError::new(
            Exit::Pending,
            format!("{id} is activated, and logins do not follow that yet"),
        )
        .hint(format!("look again with: vpn-operator user show {id}")));
    }
    if done.access != "Denied" {
        return if ask.output.output == Form::Json {
            Ok(())
        } else {
            let granted = output.paint(Tone::Good, "Granted");
            output.line(&format!("{granted}: nothing stands against the access of {id}"))
        };
    }
    if done.remaining.is_empty() {
        let message = format!("{id} stays denied: {}", done.reason);
        return Err(CommandError::new(Exit::Refused, message).hint(format!("vpn-operator user show {id} says more")));
    }
    let against = standing(&client, id, &done.remaining).await.join("\n  ");
    Err(CommandError::new(
        Exit::Refused,
        format!("{id} stays denied by what others placed\n  {against}"),
    )
    .hint("only the source that placed a hold lifts it: hold release NAME --source SOURCE"))
}

/// The holds of these names, as people need them. Just the names when the operator cannot say more now.
async fn standing(client: &Client, id: &CorporateId, names: &[String]) -> Vec<String> {
    let answer = client.get(&["holds"], &[("corporate_id", id.to_string())]).await;
    let found = answer.and_then(|answer| answer.read());
    let holds = found.map_or_else(|_| Vec::new(), |HoldsBody { holds }| holds);
    let described = |name: &String| {
        let hold = holds.iter().find(|hold| hold.name == *name);
        hold.map_or_else(|| name.clone(), |hold| person::described(hold, &Moments::here()))
    };
    names.iter().map(described).collect()
}

async fn rotate(ask: &Ask, id: &CorporateId, what: &str, output: &mut Output) -> Result<(), CommandError> {
    let body = RotateBody {
        what: match what {
            "password" => RotateWhat::Password,
            "subscription" => RotateWhat::Subscription,
            _ => RotateWhat::Both,
        },
    };
    let answer = client(ask)?.post(&["user", id.as_str(), "rotate"], &body).await?;
    if ask.output.output == Form::Json {
        output.json(&answer.body)?;
    } else {
        let done: RotatedBody = answer.read()?;
        if what != "subscription" {
            output.wrapped(
                person::WIDTH,
                &format!(
                    "{id} has a new password (generation {}); the old one is refused, and its sessions are cut.",
                    done.credential_generation
                ),
            )?;
        }
        if what != "password" {
            output.wrapped(
                person::WIDTH,
                &format!(
                    "{id} has a new subscription link (generation {}); the old one answers nobody. Sessions stay.",
                    done.subscription_generation
                ),
            )?;
        }
        if let Some(config) = &done.config {
            person::links(config, output)?;
        } else if answer.status != StatusCode::ACCEPTED {
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
