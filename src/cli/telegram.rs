//! `user link-code` and `user telegram`: which Telegram account belongs to a person.

use serde_json::json;

use super::{
    ask::Ask,
    client::Client,
    exit::CommandError,
    human::Moments,
    json::describe,
    output::{Form, Output, note},
    person,
};
use crate::{
    api::telegram::{LinkCode, NewLinkCode},
    config::secrets::process_environment,
    model::corporate_id::CorporateId,
};

/// Makes a code that the person types into the bot's chat.
pub(super) async fn link_code(
    ask: &Ask,
    id: &CorporateId,
    minutes: Option<u32>,
    reason: Option<String>,
    output: &mut Output,
) -> Result<(), CommandError> {
    let body = NewLinkCode { minutes, reason };
    let client = Client::new(&ask.client, &process_environment)?;
    let answer = client.post(&["user", id.as_str(), "link-codes"], &body).await?;
    if ask.output.output == Form::Json {
        return output.json(&answer.body);
    }
    let code: LinkCode = answer.read()?;
    output.line(&code.code)?;
    let until = Moments::here().full(code.valid_until);
    note(&format!(
        "{} types it into the bot's chat, after the ID. It is good once, until {until}, and shown nowhere else.",
        code.corporate_id,
    ));
    Ok(())
}

/// Shows the account, or takes its link away.
pub(super) async fn telegram(
    ask: &Ask,
    id: &CorporateId,
    unlink: bool,
    output: &mut Output,
) -> Result<(), CommandError> {
    let client = Client::new(&ask.client, &process_environment)?;
    let path = ["user", id.as_str(), "telegram"];
    if !unlink {
        let answer = client.get(&path, &[]).await?;
        return match ask.output.output {
            Form::Json => output.json(&answer.body),
            Form::Table => describe(&answer.body, &[], output),
        };
    }
    client.delete(&path, &[]).await?;
    match ask.output.output {
        Form::Json => output.json(&json!({ "corporate_id": id, "linked": false })),
        Form::Table => output.wrapped(
            person::WIDTH,
            &format!("{id} is linked to no Telegram account any more."),
        ),
    }
}
