//! Recognising a database, and bringing it to the present schema.

use std::{
    fs::File,
    io::{ErrorKind, Read},
    path::Path,
};

use rusqlite::{Connection, TransactionBehavior};

use super::{
    error::HistoryError,
    schema::{APPLICATION_ID, STEPS, VERSION},
};

const MAGIC: &[u8] = b"SQLite format 3\0";
const HEADER_LEN: usize = 100;
const USER_VERSION_AT: usize = 60;

/// Refuses what is certainly not ours to write, before SQLite has so much as looked at the file.
///
/// # Errors
/// No database, damaged, or newer.
pub(super) fn inspect_file(path: &Path) -> Result<(), HistoryError> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(HistoryError::io("open", path, &error)),
    };
    let mut header = Vec::with_capacity(HEADER_LEN);
    file.by_ref()
        .take(HEADER_LEN as u64)
        .read_to_end(&mut header)
        .map_err(|error| HistoryError::io("read", path, &error))?;
    if header.is_empty() {
        return Ok(());
    }
    if !header.starts_with(MAGIC) || header.len() < HEADER_LEN {
        return Err(HistoryError::damaged(path, "it is no SQLite database"));
    }
    let version = header
        .get(USER_VERSION_AT..USER_VERSION_AT + 4)
        .and_then(|bytes| bytes.try_into().ok())
        .map_or(0, i32::from_be_bytes);
    refuse_newer(path, version.into())
}

fn refuse_newer(path: &Path, found: i64) -> Result<(), HistoryError> {
    if found > VERSION {
        return Err(HistoryError::Newer {
            path: path.display().to_string(),
            found,
            known: VERSION,
        });
    }
    Ok(())
}

/// The schema version of an open database, which may be ahead of the file's header when its log was not yet written back.
///
/// # Errors
/// It is newer, belongs to another program, or cannot be read.
pub(super) fn version(conn: &Connection, path: &Path) -> Result<i64, HistoryError> {
    let sqlite = |error: rusqlite::Error| HistoryError::sqlite(path, &error);
    let pragma = |name: &str| conn.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let found = pragma("user_version").map_err(sqlite)?;
    refuse_newer(path, found)?;
    let application = pragma("application_id").map_err(sqlite)?;
    let objects: i64 = conn
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .map_err(sqlite)?;
    let fresh = found == 0 && application == 0 && objects == 0;
    if !fresh && (application != APPLICATION_ID || found < 1) {
        return Err(HistoryError::damaged(path, "it is a database of another program"));
    }
    Ok(found)
}

/// Applies the steps from `found` on, each in a transaction of its own together with its number.
///
/// # Errors
/// The database stays at the last step that was committed.
pub(super) fn migrate(conn: &mut Connection, path: &Path, found: i64) -> Result<(), HistoryError> {
    let done = usize::try_from(found).unwrap_or(0);
    for (step, number) in STEPS.iter().zip(1i64..).skip(done) {
        apply(conn, step, number).map_err(|error| HistoryError::sqlite(path, &error))?;
    }
    Ok(())
}

fn apply(conn: &mut Connection, step: &str, number: i64) -> rusqlite::Result<()> {
    let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    tx.execute_batch(step)?;
    tx.pragma_update(None, "application_id", APPLICATION_ID)?;
    tx.pragma_update(None, "user_version", number)?;
    tx.commit()
}
