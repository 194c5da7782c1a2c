//! `events`: events of the HR system, through the API.

use serde_json::{Value, json};

use super::{
    ask::Ask,
    events_args::EventsCommand,
    exit::{CommandError, Exit},
    human::Moments,
    json::{cell, field, list},
    output::{Form, Output, note},
    user::{client, print},
};

const EVENTS: [&str; 2] = ["webhooks", "events"];

pub(super) async fn run(command: EventsCommand, output: &mut Output) -> Result<(), CommandError> {
    match command {
        EventsCommand::List {
            state,
            id,
            event_type,
            limit,
            before,
            ask,
        } => {
            let pairs = [
                ("state", state),
                ("corporate_id", id.map(|id| id.to_string())),
                ("event_type", event_type),
                ("before", before.map(|before| before.to_string())),
            ];
            let pairs = pairs.into_iter().filter_map(|(name, value)| Some((name, value?)));
            let query: Vec<(&str, String)> = pairs.chain([("limit", limit.to_string())]).collect();
            show_list(&ask, &query, output).await
        }
        EventsCommand::Show { event, ask } => {
            let [webhooks, events] = EVENTS;
            let answer = client(&ask)?.get(&[webhooks, events, &event.to_string()], &[]).await?;
            print(&ask, &answer, output)
        }
        EventsCommand::Replay { event, ask } => {
            let answer = act(&ask, event, "process", &json!({}), output).await?;
            match cell(&answer, "status").as_str() {
                "processed" => Ok(()),
                _ => Err(CommandError::silent(Exit::Pending)),
            }
        }
        EventsCommand::Discard { event, reason, ask } => {
            let body = json!({ "reason": reason });
            act(&ask, event, "discard", &body, output).await.map(drop)
        }
    }
}

async fn act(ask: &Ask, event: u64, what: &str, body: &Value, output: &mut Output) -> Result<Value, CommandError> {
    let [webhooks, events] = EVENTS;
    let event = event.to_string();
    let answer = client(ask)?.post(&[webhooks, events, &event, what], body).await?;
    print(ask, &answer, output)?;
    Ok(answer.body)
}

async fn show_list(ask: &Ask, query: &[(&str, String)], output: &mut Output) -> Result<(), CommandError> {
    let answer = client(ask)?.get(&EVENTS, query).await?.body;
    if ask.output.output == Form::Json {
        return output.json(&answer);
    }
    let events = list(&answer, "events");
    if events.is_empty() {
        note("There are no such events.");
        return Ok(());
    }
    let moments = Moments::here();
    let row = |event: &Value| {
        let [number, status, event_type, id, detail] =
            ["event_id", "status", "event_type", "corporate_id", "detail"].map(|name| cell(event, name));
        [
            number,
            status,
            event_type,
            id,
            moments.full(event, "received_at"),
            detail,
        ]
    };
    output.table(
        ["EVENT", "STATUS", "TYPE", "ID", "RECEIVED", "DETAIL"],
        events.iter().map(row),
    )?;
    if let Some(next) = field(&answer, "next") {
        note(&format!("There may be more: --before {next}"));
    }
    Ok(())
}
