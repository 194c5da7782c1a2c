//! That a backup was put back, for the audit: noted beside the databases, and taken over by whoever opens them next.

use std::{
    fs::{self, File},
    io::{self, ErrorKind, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{error::BackupError, manifest::AuditEnd};
use crate::sqlite;

/// File in the data folder, one line a restore.
const FILE: &str = "restored.jsonl";

/// A backup was put back into a data folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NotedRestore {
    /// When.
    pub at: Timestamp,
    /// Who ordered it, as the machine knows them.
    pub by: String,
    /// From where.
    pub from: PathBuf,
    /// When the backup was taken.
    pub taken_at: Timestamp,
    /// Where its audit ends.
    pub audit: Option<AuditEnd>,
    /// Where the files are that were there before.
    pub aside: Option<PathBuf>,
}

/// Notes that a backup was put back. Durable when it returns.
///
/// # Errors
/// It is not noted.
pub fn note_restore(data: &Path, restore: &NotedRestore) -> Result<(), BackupError> {
    let path = data.join(FILE);
    let line = serde_json::to_string(restore).unwrap_or_default();
    let written = File::options()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(&path)
        .and_then(|mut file| {
            writeln!(file, "{line}")?;
            file.sync_all()
        });
    written.map_err(|error| BackupError::io("write", &path, error))?;
    Ok(sqlite::sync_folder(&path)?)
}

/// Restores that were noted, oldest first. What is no note is left out.
///
/// # Errors
/// The file cannot be read.
pub fn noted_restores(data: &Path) -> io::Result<Vec<NotedRestore>> {
    match fs::read_to_string(data.join(FILE)) {
        Ok(text) => Ok(text
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// They stand in the audit now.
///
/// # Errors
/// The file cannot be removed.
pub fn forget_restores(data: &Path) -> io::Result<()> {
    let path = data.join(FILE);
    fs::remove_file(&path)?;
    sqlite::sync_folder(&path).map_err(io::Error::other)
}
