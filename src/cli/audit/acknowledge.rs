//! `audit acknowledge`: through the API of the running operator, which owns the database.

use super::super::{
    ask::Ask,
    exit::{CommandError, Exit},
    output::{Form, Output},
    user::client,
};
use crate::api::audit::{AcknowledgeBody, AcknowledgedBody};

pub(super) async fn run(reason: &str, ask: &Ask, output: &mut Output) -> Result<(), CommandError> {
    let body = AcknowledgeBody {
        reason: reason.to_owned(),
    };
    let answer = client(ask)?.post(&["audit", "acknowledge"], &body).await?;
    if ask.output.output == Form::Json {
        output.json(&answer.body)?;
    }
    let AcknowledgedBody { findings } = answer.read()?;
    if findings.is_empty() {
        return Err(CommandError::new(
            Exit::NotFound,
            "nothing was found broken: there is nothing to take note of",
        ));
    }
    if ask.output.output == Form::Table {
        for finding in findings {
            output.line(&format!("taken note of: {}", finding.what))?;
        }
    }
    Ok(())
}
