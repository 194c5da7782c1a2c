//! The former Python service: its people, and what happened there.

use std::path::Path;

use jiff::{Timestamp, tz::TimeZone};

use super::{
    super::{
        exit::{CommandError, Exit},
        import_args::ImportLegacy,
        output::Output,
        rooms, wait,
    },
    cluster::Namespace,
    folder::{DATA_DIR, Folder},
    legacy_report::Report,
    past, stopped,
};
use crate::{
    config::{DesiredLocation, Secrets, secrets::process_environment},
    import::legacy::{Plan, ReadError, SnapshotError, Times, map, read},
};

/// First line of every document.
const HEADLINE: &str = "Imported from the former service by vpn-operator import.";

pub(super) async fn run(args: ImportLegacy, output: &mut Output) -> Result<(), CommandError> {
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
    let mut report = Report::new(&plan, tables.absent, &times, args.target.dry_run);
    match &args.target.to {
        DesiredLocation::Folder(path) => into_folder(plan, path, &args, &mut report).await?,
        DesiredLocation::Kubernetes => into_cluster(plan, &args, &mut report).await?,
    }
    report.print(args.target.output.output, output)?;
    report.end()
}

async fn into_folder(plan: Plan, folder: &Path, args: &ImportLegacy, report: &mut Report) -> Result<(), CommandError> {
    let data_dir = args.data_dir.clone().unwrap_or_else(|| DATA_DIR.into());
    let folder = Folder::look(folder, &data_dir, HEADLINE).await?;
    let people = plan.people.iter().map(|user| &user.person);
    let new = folder.sort_out(people, &mut report.results);
    if args.target.dry_run {
        report.past = Some(past::look(&data_dir, &plan.past).await?);
        report.registry = Some(past::keep_registry(&data_dir, &plan.registry, false)?);
        return Ok(());
    }
    let secrets = Secrets::load(&process_environment)?;
    // First of all: from here on no operator works with the folder.
    let owned = past::open(&data_dir, |data_dir| rooms::key_for_import(data_dir, &secrets))?;
    folder.write(new, &secrets, &mut report.results).await?;
    report.past = Some(past::write(&owned.history, plan.past).await?);
    report.registry = Some(past::keep_registry(&data_dir, &plan.registry, true)?);
    Ok(())
}

async fn into_cluster(plan: Plan, args: &ImportLegacy, report: &mut Report) -> Result<(), CommandError> {
    let namespace = Namespace::connect(args.target.namespace.as_deref()).await?;
    // First of all: from here on no operator works with the data folder.
    let history = match &args.data_dir {
        Some(data_dir) if !args.target.dry_run => {
            let secrets = Secrets::load(&process_environment)?;
            Some(past::open(data_dir, |data_dir| rooms::known_key(data_dir, &secrets))?)
        }
        _ => None,
    };
    let people = plan.people.iter().map(|user| &user.person);
    namespace.take(people, &mut report.results).await?;
    let Some(data_dir) = &args.data_dir else {
        let left = plan.past.len() + plan.registry.len();
        report.results.note(format!(
            "history and issued IDs were not taken over ({left} rows): give --data, with the volume of the operator and no \
             operator on it"
        ));
        return Ok(());
    };
    report.past = Some(match history {
        Some(owned) => past::write(&owned.history, plan.past).await?,
        None => past::look(data_dir, &plan.past).await?,
    });
    report.registry = Some(past::keep_registry(data_dir, &plan.registry, !args.target.dry_run)?);
    Ok(())
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
