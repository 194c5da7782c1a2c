//! Which backups there are, and which are too many.

use std::{
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
};

use jiff::{Timestamp, civil::DateTime, tz::TimeZone};

use super::{error::BackupError, manifest::MANIFEST};

/// Backups in a folder, oldest first. Whatever has no name of a backup, or no manifest, is none.
///
/// # Errors
/// The folder cannot be read. One that is not there has none.
pub fn list(folder: &Path) -> Result<Vec<(Timestamp, PathBuf)>, BackupError> {
    let io = |error| BackupError::io("read", folder, error);
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(io(error)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.map_err(io)?.path();
        let taken = path.file_name().and_then(|name| moment(name.to_str()?));
        if let Some(taken) = taken.filter(|_| path.join(MANIFEST).is_file()) {
            found.push((taken, path));
        }
    }
    found.sort_unstable();
    Ok(found)
}

fn moment(name: &str) -> Option<Timestamp> {
    let name = match name.split_once("Z-") {
        Some((moment, number)) if number.parse::<u32>().is_ok() => format!("{moment}Z"),
        _ => name.to_owned(),
    };
    let time = DateTime::strptime("%Y-%m-%dT%H%M%SZ", name).ok()?;
    Some(time.to_zoned(TimeZone::UTC).ok()?.timestamp())
}

/// Removes the oldest backups, so that `keep` are left. Answers how many went.
///
/// # Errors
/// One cannot be removed; it is tried again the next time.
pub(super) fn rotate(folder: &Path, keep: usize) -> Result<usize, BackupError> {
    let found = list(folder)?;
    let many = found.len().saturating_sub(keep.max(1));
    for (_, path) in found.iter().take(many) {
        fs::remove_dir_all(path).map_err(|error| BackupError::io("remove", path, error))?;
    }
    Ok(many)
}
