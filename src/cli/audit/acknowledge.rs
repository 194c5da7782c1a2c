//! `audit acknowledge`: through the API of the running operator, which owns the database.

use serde_json::{Value, json};

use super::super::{
    ask::Ask,
    exit::{CommandError, Exit},
    json::{cell, list},
    output::{Form, Output},
    user::client,
};

pub(super) async fn run(reason: &str, ask: &Ask, output: &mut Output) -> Result<(), CommandError> {
    let answer = client(ask)?
        .post(&["audit", "acknowledge"], &json!({ "reason": reason }))
        .await?;
    if ask.output.output == Form::Json {
        output.json(&answer.body)?;
    }
    let findings: &[Value] = list(&answer.body, "findings");
    if findings.is_empty() {
        return Err(CommandError::new(
            Exit::NotFound,
            "nothing was found broken: there is nothing to take note of",
        ));
    }
    if ask.output.output == Form::Table {
        for finding in findings {
            output.line(&format!("taken note of: {}", cell(finding, "what")))?;
        }
    }
    Ok(())
}
