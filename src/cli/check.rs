//! `check`: what is wrong in a folder, before the operator reads it.

use std::{io::ErrorKind, path::Path};

use serde_json::{Value, json};

use super::{
    args::Check,
    exit::{CommandError, Exit},
    output::{Form, Output, printable},
    wait,
};
use crate::{
    credentials::Sources,
    desired::folder::{Problem, Reference, check},
};

pub(super) async fn run(args: &Check, output: &mut Output) -> Result<(), CommandError> {
    let progress = wait::progress("reading");
    let path = args.path.clone();
    // On a thread of its own, so that a signal is heard while many files are read.
    let report = tokio::task::spawn_blocking(move || check(&path)).await;
    progress.finish_and_clear();
    let mut report = report.map_err(std::io::Error::other).flatten().map_err(|error| {
        let exit = if error.kind() == ErrorKind::NotFound {
            Exit::NotFound
        } else {
            Exit::Failed
        };
        CommandError::new(exit, format!("{}: {error}", args.path.display()))
    })?;
    if args.strict {
        let unreadable = unreadable(&report.references, &args.data_dir).await;
        report.problems.extend(unreadable);
        report.problems.sort();
    }
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

/// The secrets that cannot be read here and now. What is in a cluster is not looked for.
async fn unreadable(references: &[Reference], data: &Path) -> Vec<Problem> {
    let sources = Sources::local(data);
    let mut problems = Vec::new();
    for reference in references.iter().filter(|it| it.source.secret_key_ref.is_none()) {
        if let Err(error) = sources.resolve(&reference.source).await {
            problems.push(Problem {
                file: reference.file.clone(),
                line: reference.line,
                column: 1,
                field: Some(reference.field.clone()),
                message: error.to_string(),
            });
        }
    }
    problems
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
