//! `check`: what is wrong in a folder, before the operator reads it.

use std::io::ErrorKind;

use serde_json::{Value, json};

use super::{
    args::Check,
    exit::{CommandError, Exit},
    output::{Form, Output, printable},
    wait,
};
use crate::desired::folder::{Problem, check};

pub(super) async fn run(args: &Check, output: &mut Output) -> Result<(), CommandError> {
    let progress = wait::progress("reading");
    let path = args.path.clone();
    // On a thread of its own, so that a signal is heard while many files are read.
    let report = tokio::task::spawn_blocking(move || check(&path)).await;
    progress.finish_and_clear();
    let report = report.map_err(std::io::Error::other).flatten().map_err(|error| {
        let exit = if error.kind() == ErrorKind::NotFound {
            Exit::NotFound
        } else {
            Exit::Failed
        };
        CommandError::new(exit, format!("{}: {error}", args.path.display()))
    })?;
    match args.output.output {
        Form::Json => output.json(&json!({
            "files": report.files,
            "users": report.users,
            "holds": report.holds,
            "gateways": report.gateways,
            "warnings": report.warnings.iter().map(as_json).collect::<Vec<_>>(),
            "problems": report.problems.iter().map(as_json).collect::<Vec<_>>(),
        }))?,
        Form::Table => {
            for problem in &report.problems {
                output.line(&printable(&problem.to_string()))?;
            }
            for warning in &report.warnings {
                output.line(&printable(&format!("warning: {warning}")))?;
            }
            output.line(&format!(
                "{} files: {} users, {} holds, {} gateways are good",
                report.files, report.users, report.holds, report.gateways
            ))?;
        }
    }
    match report.problems.len() {
        0 => Ok(()),
        1 => Err(CommandError::invalid("1 problem")),
        count => Err(CommandError::invalid(format!("{count} problems"))),
    }
}

fn as_json(problem: &Problem) -> Value {
    json!({
        "file": problem.file,
        "line": problem.line,
        "column": problem.column,
        "field": problem.field,
        "message": problem.message,
    })
}
