//! A copy of the file, taken while it is in use.

use std::{
    fs::{self, OpenOptions},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use rusqlite::{
    Connection, OpenFlags,
    backup::{Backup, StepResult},
};

use super::{error::StoreError, file::File};
use crate::sqlite::{self, Fault};

/// Copies the database as it is at this moment to `target`, one file of mode 0600 that needs no log beside it. A file that
/// is already there is replaced at once and whole.
pub(super) fn copy(source: &Connection, file: &File, target: &Path) -> Result<(), StoreError> {
    if fs::canonicalize(target).is_ok_and(|target| fs::canonicalize(&file.path).is_ok_and(|path| path == target)) {
        return Err(file.unavailable(format!(
            "{} is the database itself: name another file for the backup",
            target.display()
        )));
    }
    let partial = sqlite::beside(target, ".partial");
    let result = write(source, file, &partial).and_then(|()| {
        fs::rename(&partial, target)
            .map_err(|error| Fault::io("create", target, &error))
            .and_then(|()| sqlite::sync_folder(target))
            .map_err(|fault| file.fault(fault))
    });
    if result.is_err() {
        // Nothing but our own half-written copy.
        let _ = fs::remove_file(&partial);
    }
    result
}

fn write(source: &Connection, file: &File, partial: &Path) -> Result<(), StoreError> {
    let io = |what, error| file.fault(Fault::io(what, partial, &error));
    let sqlite = |error| file.fault(Fault::sqlite(partial, &error));
    let written = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(partial)
        .map_err(|error| io("create", error))?;
    let mut copy = Connection::open_with_flags(
        partial,
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )
    .map_err(sqlite)?;
    // In one step, so that it is one snapshot; in WAL mode this holds up no writer.
    match Backup::new(source, &mut copy).and_then(|backup| backup.step(-1)) {
        Ok(StepResult::Done) => {}
        Ok(_) => {
            return Err(file.unavailable(format!("{} could not be copied now: try again", file.path.display())));
        }
        Err(error) => return Err(sqlite(error)),
    }
    copy.pragma_update_and_check(None, "journal_mode", "DELETE", |_| Ok(()))
        .map_err(sqlite)?;
    copy.close().map_err(|(_, error)| sqlite(error))?;
    written.sync_all().map_err(|error| io("write", error))
}
