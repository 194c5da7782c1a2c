//! `history`: backups of the data folder, and of the operator that runs on it.

use std::path::Path;

use jiff::Timestamp;
use serde_json::json;

use super::{
    exit::{CommandError, Exit},
    history_args::{CheckArgs, HistoryCommand, RestoreArgs, TakeArgs},
    human::{known, size},
    output::{Form, Output, note},
    rooms::{self, user_name},
    run::{DataFolderError, own_data_folder},
    user::client,
};
use crate::{
    api::backup::BackupBody,
    backup::{self, BackupError, Manifest, NotedRestore, Source},
};

pub(super) async fn run(command: HistoryCommand, output: &mut Output) -> Result<(), CommandError> {
    match command {
        HistoryCommand::Backup(args) => take(&args, output).await,
        HistoryCommand::Restore(args) => restore(&args, output).await,
        HistoryCommand::Check(args) => check(&args, output).await,
    }
}

/// The folder must be nobody's while it is worked on.
fn owned(data: &Path) -> Result<impl Sized + use<>, CommandError> {
    own_data_folder(data).map_err(|error| CommandError::failed(error.to_string()))
}

fn failed(error: &BackupError) -> CommandError {
    CommandError::failed(error.to_string())
}

async fn take(args: &TakeArgs, output: &mut Output) -> Result<(), CommandError> {
    let (data, form) = (&args.ask.client.data_dir, args.ask.output.output);
    let to = args.to.as_deref().filter(|to| !to.as_os_str().is_empty());
    if !data.is_dir() {
        return match args.ask.client.server {
            Some(_) => order(args, output).await,
            None => Err(CommandError::invalid(format!(
                "--data: there is no folder {}",
                data.display()
            ))),
        };
    }
    let _owner = match own_data_folder(data) {
        Ok(owner) => owner,
        Err(DataFolderError::Owned { .. }) => return order(args, output).await,
        Err(error) => return Err(CommandError::failed(error.to_string())),
    };
    let Some(to) = to else {
        return Err(CommandError::invalid(
            "--to: name the folder in which the backup gets a folder of its own",
        ));
    };
    let source = Source {
        data: data.clone(),
        owned: Vec::new(),
    };
    let taken = backup::take(&source, to, Timestamp::now()).await;
    let (folder, manifest) = taken.map_err(|error| failed(&error))?;
    match form {
        Form::Json => output.json(&json!({ "folder": folder.display().to_string(), "manifest": manifest })),
        Form::Table => {
            output.line(&folder.display().to_string())?;
            note(&described(&manifest));
            Ok(())
        }
    }
}

/// Has the running operator take one: some of its files nobody else can read.
async fn order(args: &TakeArgs, output: &mut Output) -> Result<(), CommandError> {
    let answer = client(&args.ask)?.post(&["history", "backup"], &json!({})).await?;
    if args.ask.output.output == Form::Json {
        return output.json(&answer.body);
    }
    let BackupBody {
        folder,
        files,
        audit_row: Some(row),
        audit_hash,
        ..
    } = answer.read()?
    else {
        output.line(&answer.read::<BackupBody>()?.folder)?;
        note("The operator is still at it: its log and readyz?verbose say when it is done.");
        return Ok(());
    };
    output.line(&folder)?;
    note(&format!(
        "{} files, taken by the running operator; the audit up to row {row}, hash {}",
        known(files),
        known(audit_hash)
    ));
    if let Some(to) = args
        .to
        .as_deref()
        .filter(|to| !to.as_os_str().is_empty() && !Path::new(&folder).starts_with(to))
    {
        note(&format!(
            "It is not in {}: a running operator keeps its backups where its own BACKUP_DIR says.",
            to.display()
        ));
    }
    Ok(())
}

fn described(manifest: &Manifest) -> String {
    let audit = manifest.audit.as_ref();
    let audit = audit.map_or_else(
        || "no audit".to_owned(),
        |end| format!("the audit up to row {}, hash {}", end.seq, end.hash),
    );
    format!(
        "{} files, {}, of {}; {audit}",
        manifest.files.len(),
        size(manifest.size()),
        manifest.taken_at
    )
}

async fn restore(args: &RestoreArgs, output: &mut Output) -> Result<(), CommandError> {
    let data = &args.data.data_dir;
    // Before a folder is made for a backup that is none.
    Manifest::read(&args.from).map_err(|error| failed(&error))?;
    let _owner = owned(data)?;
    let restored = backup::restore(&args.from, data, Timestamp::now()).await;
    let restored = restored.map_err(|error| failed(&error))?;
    // The audit that was put back says so at the next start: the key that seals it may not be here.
    let noted = NotedRestore {
        at: Timestamp::now(),
        by: user_name(),
        from: args.from.clone(),
        taken_at: restored.manifest.taken_at,
        audit: restored.manifest.audit.clone(),
        aside: restored.aside.clone(),
    };
    backup::note_restore(data, &noted).map_err(|error| failed(&error))?;
    if args.output.output == Form::Json {
        return output.json(&json!({
            "manifest": restored.manifest,
            "aside": restored.aside.map(|path| path.display().to_string()),
            "holds_added": restored.holds_added,
            "holds_kept": restored.holds_kept,
        }));
    }
    output.line(&format!(
        "{} is as it was at {}.",
        data.display(),
        restored.manifest.taken_at
    ))?;
    if let Some(aside) = &restored.aside {
        output.line(&format!("What was there is in {}.", aside.display()))?;
    }
    output.line(&format!(
        "Holds: {} from the backup, {} were there and stay.",
        restored.holds_added, restored.holds_kept
    ))
}

async fn check(args: &CheckArgs, output: &mut Output) -> Result<(), CommandError> {
    let message = match &args.path {
        Some(path) if path.is_dir() => {
            let manifest = backup::check(path).await.map_err(|error| failed(&error))?;
            format!("{} is whole: {}", path.display(), described(&manifest))
        }
        Some(path) => found(rooms::check_history_file(path).await, path)?,
        None => found(rooms::check_history(&args.data.data_dir).await, &args.data.data_dir)?,
    };
    match args.output.output {
        Form::Json => output.json(&json!({ "ok": true, "message": message })),
        Form::Table => output.line(&message),
    }
}

fn found(checked: Result<Option<String>, String>, path: &Path) -> Result<String, CommandError> {
    match checked {
        Ok(Some(message)) => Ok(message),
        Ok(None) => Err(CommandError::new(
            Exit::NotFound,
            format!("there is no history at {}", path.display()),
        )),
        Err(message) => Err(CommandError::failed(message)),
    }
}
