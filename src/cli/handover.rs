//! `user link` and `user links`: links that open a person's page, to hand them over.

use serde_json::{Value, json};

use super::{
    exit::CommandError,
    handover_args::{HandOver, HandedOver},
    human::Moments,
    json::{cell, field, list, text},
    output::{Form, Output, note},
    person,
    user::client,
};

/// Makes a link.
pub(super) async fn hand_over(args: &HandOver, output: &mut Output) -> Result<(), CommandError> {
    let HandOver { id, ask, .. } = args;
    let ttl = args.ttl.map(|ttl| format!("{}s", ttl.as_secs()));
    let body = json!({ "ttl": ttl, "uses": args.uses, "reason": args.reason });
    let path = ["user", id.as_str(), "links"];
    let answer = client(ask)?.post_once(&path, &body, args.key.as_deref()).await?;
    let body = &answer.body;
    if ask.output.output == Form::Json {
        return output.json(body);
    }
    // Alone on its line, so that a script can take it.
    output.line(&cell(body, "url"))?;
    let times = match field(body, "uses").and_then(Value::as_u64) {
        Some(1) | None => "once".to_owned(),
        Some(uses) => format!("{uses} times"),
    };
    note(&format!(
        "It opens the page of {} {times}, until {}. It is shown nowhere else; user links {id} lists it as number {}.",
        cell(body, "corporate_id"),
        Moments::here().full(body, "valid_until"),
        cell(body, "id"),
    ));
    if let Some(reason) = field(body, "denied") {
        note(&format!(
            "{id} has no access at present ({}): the link says so, and is not used up by that.",
            text(reason)
        ));
    }
    Ok(())
}

/// Lists the links of a person, or withdraws one.
pub(super) async fn handed_over(args: &HandedOver, output: &mut Output) -> Result<(), CommandError> {
    let HandedOver {
        id,
        withdraw,
        reason,
        ask,
    } = args;
    let client = client(ask)?;
    if let Some(number) = withdraw {
        let path = ["user", id.as_str(), "links", &number.to_string()];
        let reason = reason.as_ref().map(|reason| ("reason", reason.clone()));
        client.delete(&path, &reason.into_iter().collect::<Vec<_>>()).await?;
        return match ask.output.output {
            Form::Json => output.json(&json!({ "corporate_id": id, "id": number, "withdrawn": true })),
            Form::Table => output.wrapped(
                person::WIDTH,
                &format!("Link {number} of {id} opens nothing any more. Whoever has opened it has the page: user rotate {id} --what subscription ends that."),
            ),
        };
    }
    let answer = client.get(&["user", id.as_str(), "links"], &[]).await?.body;
    if ask.output.output == Form::Json {
        return output.json(&answer);
    }
    let links = list(&answer, "links");
    if links.is_empty() {
        note(&format!("No link opens the page of {id} at present."));
        return Ok(());
    }
    let moments = Moments::here();
    let row = |link: &Value| {
        [
            cell(link, "id"),
            cell(link, "made_by"),
            moments.full(link, "made_at"),
            moments.ago(link, "valid_until"),
            format!("{} of {}", cell(link, "uses_left"), cell(link, "uses")),
            moments.full(link, "opened_at"),
        ]
    };
    output.table_within(
        person::WIDTH,
        ["LINK", "MADE BY", "MADE", "ENDS", "USES LEFT", "LAST OPENED"],
        links.iter().map(row),
    )
}
