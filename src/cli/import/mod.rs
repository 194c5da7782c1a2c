//! `import`: what another system has becomes declarations, holds and history.

mod cluster;
mod folder;
mod past;
mod report;

use jiff::{Timestamp, tz::TimeZone};

use self::report::Report;
use super::{
    exit::{CommandError, Exit},
    import_args::{ImportCommand, ImportLegacy},
    output::Output,
    wait,
};
use crate::{
    config::DesiredLocation,
    import::legacy::{ReadError, SnapshotError, Times, map, read},
};

/// Who places imported holds, as `ordered_by` shows it.
const ACTOR: &str = "vpn-operator import";

pub(super) async fn run(command: ImportCommand, output: &mut Output) -> Result<(), CommandError> {
    match command {
        ImportCommand::Legacy(args) => legacy(*args, output).await,
    }
}

async fn legacy(args: ImportLegacy, output: &mut Output) -> Result<(), CommandError> {
    let times = Times {
        now: Timestamp::now(),
        zone: args.zone.clone().unwrap_or_else(TimeZone::system),
    };
    let progress = wait::progress("reading");
    let path = args.path.clone();
    let tables = tokio::task::spawn_blocking(move || read(&path)).await;
    progress.finish_and_clear();
    let tables = tables
        .map_err(|error| stopped(&error))?
        .map_err(|error| unreadable(&error))?;
    let plan = map(&tables, &times);
    let mut report = Report::new(&plan, tables.absent, &times, args.dry_run);
    match &args.to {
        DesiredLocation::Folder(path) => folder::carry_out(plan, path, &args, &mut report).await?,
        DesiredLocation::Kubernetes => cluster::carry_out(plan, &args, &mut report).await?,
    }
    report.print(args.output.output, output)?;
    report.end()
}

/// A thread of ours ended before its work.
fn stopped(error: &tokio::task::JoinError) -> CommandError {
    CommandError::failed(format!("the import was cut short: {error}"))
        .hint("Run it again: it goes on where it stopped.")
}

fn unreadable(error: &ReadError) -> CommandError {
    let exit = match error {
        ReadError::Snapshot(SnapshotError::Missing(_)) => Exit::NotFound,
        ReadError::Snapshot(SnapshotError::Restless(_)) => Exit::Unavailable,
        ReadError::Snapshot(SnapshotError::Failed { .. }) => Exit::Failed,
        ReadError::Snapshot(SnapshotError::NoDatabase(_)) | ReadError::Stranger(_) | ReadError::Damaged { .. } => {
            Exit::Invalid
        }
    };
    CommandError::new(exit, error.to_string())
}
