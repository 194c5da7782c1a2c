//! A copy of a database that is in use.

use std::{
    fs::{self, OpenOptions},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use rusqlite::{
    Connection, OpenFlags,
    backup::{Backup, StepResult},
};

use super::{
    fault::Fault,
    files::{beside, sync_folder},
};

/// Copies the database of a connection as it is at this moment, or as a transaction that is open sees it, to `target`: one file
/// of mode 0600 that needs no log beside it. A file that is already there is replaced at once and whole.
///
/// # Errors
/// The database cannot be read or the copy not be written; what was there before is still there.
pub fn copy(source: &Connection, target: &Path) -> Result<(), Fault> {
    let partial = beside(target, ".partial");
    let result = write(source, &partial).and_then(|()| {
        fs::rename(&partial, target).map_err(|error| Fault::io("create", target, &error))?;
        sync_folder(target)
    });
    if result.is_err() {
        // Nothing but our own half-written copy.
        let _ = fs::remove_file(&partial);
    }
    result
}

fn write(source: &Connection, partial: &Path) -> Result<(), Fault> {
    let sqlite = |error: rusqlite::Error| Fault::sqlite(partial, &error);
    let written = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(partial)
        .map_err(|error| Fault::io("create", partial, &error))?;
    let mut copy = Connection::open_with_flags(
        partial,
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )
    .map_err(sqlite)?;
    // In one step, so that it is one snapshot; in WAL mode this holds up no writer.
    match Backup::new(source, &mut copy).and_then(|backup| backup.step(-1)) {
        Ok(StepResult::Done) => {}
        Ok(_) => {
            let shown = source.path().unwrap_or("the database");
            return Err(Fault::Unavailable(format!(
                "{shown} could not be copied now: try again"
            )));
        }
        Err(error) => return Err(sqlite(error)),
    }
    copy.pragma_update_and_check(None, "journal_mode", "DELETE", |_| Ok(()))
        .map_err(sqlite)?;
    copy.close().map_err(|(_, error)| sqlite(error))?;
    written.sync_all().map_err(|error| Fault::io("write", partial, &error))
}
