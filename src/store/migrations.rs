//! Recognising a database, and bringing it to the present schema.

use std::{
    fs,
    io::{ErrorKind, Read},
};

use rusqlite::{Connection, TransactionBehavior};

use super::{error::StoreError, file::File};

const MAGIC: &[u8] = b"SQLite format 3\0";
const HEADER_LEN: usize = 100;
const USER_VERSION_AT: usize = 60;

/// Refuses what is certainly not ours to write, before SQLite has so much as looked at the file.
///
/// # Errors
/// No database, damaged, or newer.
pub(super) fn inspect_file(file: &File) -> Result<(), StoreError> {
    let mut opened = match fs::File::open(&file.path) {
        Ok(opened) => opened,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(file.io("open", &error)),
    };
    let mut header = Vec::with_capacity(HEADER_LEN);
    opened
        .by_ref()
        .take(HEADER_LEN as u64)
        .read_to_end(&mut header)
        .map_err(|error| file.io("read", &error))?;
    if header.is_empty() {
        return Ok(());
    }
    if !header.starts_with(MAGIC) || header.len() < HEADER_LEN {
        return Err(file.damaged("it is not a database of SQLite"));
    }
    let version = header
        .get(USER_VERSION_AT..USER_VERSION_AT + 4)
        .and_then(|bytes| bytes.try_into().ok())
        .map_or(0, i32::from_be_bytes);
    refuse_newer(file, version.into())
}

fn refuse_newer(file: &File, found: i64) -> Result<(), StoreError> {
    if found > file.schema.version() {
        return Err(file.newer(found));
    }
    Ok(())
}

/// The schema version of an open database, which may be ahead of the file's header when its log was not yet written back.
///
/// # Errors
/// It is newer, belongs to another program, or cannot be read.
pub(super) fn version(conn: &Connection, file: &File) -> Result<i64, StoreError> {
    let sqlite = |error: rusqlite::Error| file.sqlite(&error);
    let pragma = |name: &str| conn.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let found = pragma("user_version").map_err(sqlite)?;
    refuse_newer(file, found)?;
    let application = pragma("application_id").map_err(sqlite)?;
    let objects: i64 = conn
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .map_err(sqlite)?;
    let fresh = found == 0 && application == 0 && objects == 0;
    if !fresh && (application != file.schema.application_id || found < 1) {
        return Err(file.damaged("it is a database of another program"));
    }
    Ok(found)
}

/// Applies the steps from `found` on, each in a transaction of its own together with its number.
///
/// # Errors
/// The database stays at the last step that was committed.
pub(super) fn migrate(conn: &mut Connection, file: &File, found: i64) -> Result<(), StoreError> {
    let done = usize::try_from(found).unwrap_or(0);
    for (step, number) in file.schema.steps.iter().zip(1i64..).skip(done) {
        apply(conn, file.schema.application_id, step, number).map_err(|error| file.sqlite(&error))?;
    }
    Ok(())
}

fn apply(conn: &mut Connection, application: i64, step: &str, number: i64) -> rusqlite::Result<()> {
    let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    tx.execute_batch(step)?;
    tx.pragma_update(None, "application_id", application)?;
    tx.pragma_update(None, "user_version", number)?;
    tx.commit()
}
