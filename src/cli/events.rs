//! `events`: events of the HR system, through the API.

use super::{
    ask::Ask,
    events_args::EventsCommand,
    exit::{CommandError, Exit},
    human::{Moments, known},
    output::{Form, Output, note},
    user::{client, print},
};
use crate::api::events::{DiscardBody, EventBody, EventsBody};

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
            let event = act(&ask, event, "process", &DiscardBody::default(), output).await?;
            match event.status.as_str() {
                "processed" => Ok(()),
                _ => Err(CommandError::silent(Exit::Pending)),
            }
        }
        EventsCommand::Discard { event, reason, ask } => {
            let body = DiscardBody { reason };
            act(&ask, event, "discard", &body, output).await.map(drop)
        }
    }
}

async fn act(
    ask: &Ask,
    event: u64,
    what: &str,
    body: &DiscardBody,
    output: &mut Output,
) -> Result<EventBody, CommandError> {
    let [webhooks, events] = EVENTS;
    let event = event.to_string();
    let answer = client(ask)?.post(&[webhooks, events, &event, what], body).await?;
    print(ask, &answer, output)?;
    answer.read()
}

async fn show_list(ask: &Ask, query: &[(&str, String)], output: &mut Output) -> Result<(), CommandError> {
    let answer = client(ask)?.get(&EVENTS, query).await?;
    if ask.output.output == Form::Json {
        return output.json(&answer.body);
    }
    let EventsBody { events, next } = answer.read()?;
    if events.is_empty() {
        note("There are no such events.");
        return Ok(());
    }
    let moments = Moments::here();
    let row = |event: EventBody| {
        [
            event.event_id.to_string(),
            event.status,
            known(event.event_type),
            known(event.corporate_id),
            moments.full(event.received_at),
            known(event.detail),
        ]
    };
    output.table(
        ["EVENT", "STATUS", "TYPE", "ID", "RECEIVED", "DETAIL"],
        events.into_iter().map(row),
    )?;
    if let Some(next) = next {
        note(&format!("There may be more: --before {next}"));
    }
    Ok(())
}
