//! `check`: what is wrong in a folder, before the operator reads it.

use serde_json::json;

use super::{
    args::Check,
    exit::{CommandError, Exit},
    output::{Form, Output, printable},
    rooms, wait,
};

pub(super) fn run(args: &Check, output: &mut Output) -> Result<(), CommandError> {
    if !args.path.exists() {
        return Err(CommandError::new(
            Exit::NotFound,
            format!("{} does not exist", args.path.display()),
        ));
    }
    let progress = wait::progress("reading");
    let problems = rooms::check_folder(&args.path);
    progress.finish_and_clear();
    let problems = problems?;
    match args.output.output {
        Form::Json => output.json(&json!({ "problems": problems }))?,
        Form::Table if problems.is_empty() => output.line(&format!("{}: no problems", args.path.display()))?,
        Form::Table => {
            for problem in &problems {
                output.line(&printable(&problem.message))?;
            }
        }
    }
    match problems.len() {
        0 => Ok(()),
        1 => Err(CommandError::invalid("1 problem")),
        count => Err(CommandError::invalid(format!("{count} problems"))),
    }
}
