//! `import`: what another system has becomes declarations, holds and history.

mod blitz;
mod blitz_report;
mod cluster;
mod folder;
mod legacy;
mod legacy_report;
mod owned;
mod past;
mod results;

use super::{exit::CommandError, import_args::ImportCommand, output::Output};

/// Who places imported holds, as `ordered_by` shows it.
const ACTOR: &str = "vpn-operator import";

pub(super) async fn run(command: ImportCommand, output: &mut Output) -> Result<(), CommandError> {
    match command {
        ImportCommand::Legacy(args) => legacy::run(*args, output).await,
        ImportCommand::Blitz(args) => blitz::run(*args, output).await,
    }
}

/// A thread of ours ended before its work.
fn stopped(error: &tokio::task::JoinError) -> CommandError {
    CommandError::failed(format!("the import was cut short: {error}"))
        .hint("Run it again: it goes on where it stopped.")
}
