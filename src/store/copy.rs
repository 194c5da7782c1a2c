//! A copy of the file, taken while it is in use.

use std::{fs, path::Path};

use rusqlite::Connection;

use super::{error::StoreError, file::File};
use crate::sqlite;

/// Copies the database as it is at this moment to `target`, one file of mode 0600 that needs no log beside it. A file that
/// is already there is replaced at once and whole.
pub(super) fn copy(source: &Connection, file: &File, target: &Path) -> Result<(), StoreError> {
    if fs::canonicalize(target).is_ok_and(|target| fs::canonicalize(&file.path).is_ok_and(|path| path == target)) {
        return Err(file.unavailable(format!(
            "{} is the database itself: name another file for the backup",
            target.display()
        )));
    }
    sqlite::copy(source, target).map_err(|fault| file.fault(fault))
}
