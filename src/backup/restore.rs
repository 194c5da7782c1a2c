//! Putting a backup back.

use std::{
    fs::{self, DirBuilder},
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
};

use jiff::Timestamp;

use super::{
    check::check,
    error::BackupError,
    manifest::Manifest,
    take::{HOLDS, copy_file},
};
use crate::sqlite::{self, OwnerLock};

/// What SQLite keeps beside a database.
const BESIDE: [&str; 3] = ["", "-wal", "-shm"];
/// Audit entries that wait belong to the database that was there.
const SPOOL: &str = "audit-spool.jsonl";

/// What was put back.
#[derive(Debug)]
pub struct Restored {
    /// What the backup has.
    pub manifest: Manifest,
    /// Where the files are that were there before, if there were any.
    pub aside: Option<PathBuf>,
    /// Holds that came from the backup.
    pub holds_added: usize,
    /// Holds that were there and stay, whatever the backup says: a denial is never undone by a backup.
    pub holds_kept: usize,
}

/// Checks a backup and puts its files into the data folder, which the caller owns. What is there is moved aside, never
/// deleted; holds that are there stay.
///
/// # Errors
/// Nothing was changed before everything of the backup lies in the data folder; a move that fails then names the file, and
/// the same order again goes on.
pub async fn restore(from: &Path, data: &Path, now: Timestamp) -> Result<Restored, BackupError> {
    let manifest = check(from).await?;
    let incoming = data.join(".restoring");
    let _ = fs::remove_dir_all(&incoming);
    let made = |path: &Path| {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(|error| BackupError::io("create", path, error))
    };
    made(&incoming.join(HOLDS))?;
    for file in &manifest.files {
        copy_file(&from.join(&file.name), &incoming.join(&file.name))?;
        file.verify(&incoming)?;
    }
    let databases = || manifest.files.iter().filter(|file| file.schema_version.is_some());
    // Each has an owner of its own besides that of the folder.
    let locks = databases().map(|file| OwnerLock::take(&data.join(&file.name)));
    let _locks = locks.collect::<Result<Vec<_>, _>>()?;
    let aside = data.join(format!("before-restore-{}", now.strftime("%Y%m%dT%H%M%SZ")));
    let mut moved = false;
    let mut set_aside = |name: &str| {
        let path = data.join(name);
        if fs::symlink_metadata(&path).is_err() {
            return Ok(());
        }
        made(&aside)?;
        moved = true;
        fs::rename(&path, aside.join(name)).map_err(|error| BackupError::io("move aside", &path, error))
    };
    set_aside(SPOOL)?;
    for file in databases() {
        for end in BESIDE {
            set_aside(&format!("{}{end}", file.name))?;
        }
        let path = data.join(&file.name);
        fs::rename(incoming.join(&file.name), &path).map_err(|error| BackupError::io("create", &path, error))?;
    }
    let (mut holds_added, mut holds_kept) = (0, 0);
    for file in manifest.files.iter().filter(|file| file.schema_version.is_none()) {
        let path = data.join(&file.name);
        if path.exists() {
            holds_kept += 1;
            continue;
        }
        made(&data.join(HOLDS))?;
        fs::rename(incoming.join(&file.name), &path).map_err(|error| BackupError::io("create", &path, error))?;
        holds_added += 1;
    }
    for folder in [data.join(HOLDS).join("x"), data.join("x")] {
        if folder.parent().is_some_and(Path::exists) {
            sqlite::sync_folder(&folder)?;
        }
    }
    let _ = fs::remove_dir_all(&incoming);
    Ok(Restored {
        manifest,
        aside: moved.then_some(aside),
        holds_added,
        holds_kept,
    })
}
