//! `user link` and `user links`: links that open a person's page, to hand them over.

use serde_json::json;

use super::{
    client::Client,
    exit::CommandError,
    handover_args::{HandOver, HandedOver},
    human::Moments,
    output::{Form, Output, note},
    person,
};
use crate::{
    api::handover::{self as api, Handover, Handovers, NewHandover},
    config::secrets::process_environment,
};

/// Makes a link.
pub(super) async fn hand_over(args: &HandOver, output: &mut Output) -> Result<(), CommandError> {
    let HandOver { id, ask, .. } = args;
    let body = NewHandover {
        ttl: args.ttl.map(|ttl| format!("{}s", ttl.as_secs())),
        uses: args.uses,
        reason: args.reason.clone(),
    };
    let path = ["user", id.as_str(), "links"];
    let client = Client::new(&ask.client, &process_environment)?;
    let answer = client.post_once(&path, &body, args.key.as_deref()).await?;
    if ask.output.output == Form::Json {
        return output.json(&answer.body);
    }
    let link: api::HandedOver = answer.read()?;
    // Alone on its line, so that a script can take it.
    output.line(&link.url)?;
    let times = match link.uses {
        1 => "once".to_owned(),
        uses => format!("{uses} times"),
    };
    note(&format!(
        "It opens the page of {} {times}, until {}. It is shown nowhere else; user links {id} lists it as number {}.",
        link.corporate_id,
        Moments::here().full(link.valid_until),
        link.id,
    ));
    if let Some(reason) = link.denied {
        note(&format!(
            "{id} has no access at present ({reason}): the link says so, and is not used up by that."
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
    let client = Client::new(&ask.client, &process_environment)?;
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
    let answer = client.get(&["user", id.as_str(), "links"], &[]).await?;
    if ask.output.output == Form::Json {
        return output.json(&answer.body);
    }
    let Handovers { links } = answer.read()?;
    if links.is_empty() {
        note(&format!("No link opens the page of {id} at present."));
        return Ok(());
    }
    let moments = Moments::here();
    let row = |link: &Handover| {
        [
            link.id.to_string(),
            link.made_by.clone(),
            moments.full(link.made_at),
            moments.ago(link.valid_until),
            format!("{} of {}", link.uses_left, link.uses),
            moments.full(link.opened_at),
        ]
    };
    output.table_within(
        person::WIDTH,
        ["LINK", "MADE BY", "MADE", "ENDS", "USES LEFT", "LAST OPENED"],
        links.iter().map(row),
    )
}
