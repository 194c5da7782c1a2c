//! Opening the file: for the one writer, and for readers.

use std::{fs, io::ErrorKind, time::Duration};

use rusqlite::{Connection, OpenFlags, config::DbConfig};

use super::{companion::Run, error::StoreError, file::File, migrations};
use crate::sqlite::{self, Fault};

/// How long a lock of another program is waited for. Jobs queue behind it, so it is short.
const BUSY_TIMEOUT: Duration = Duration::from_secs(2);

/// A file up to this size is checked whole when it is opened (some 50 ms); in a larger one damage shows when a damaged page is
/// read, or in [`super::Store::check`].
const CHECKED_AT_OPEN: u64 = 16 << 20;

const READ_WRITE: OpenFlags = OpenFlags::SQLITE_OPEN_READ_WRITE.union(OpenFlags::SQLITE_OPEN_NO_MUTEX);

/// How to open the file for writing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Opening {
    /// The file is checked whole, whatever its size.
    pub check_whole: bool,
    /// It may have been made a moment ago.
    pub may_be_empty: bool,
    /// Nobody else uses the file, so that SQLite needs nothing but the log beside it: a full disk has no room for more.
    pub alone: bool,
}

/// Opens the connection of the writer to a file that is there, and migrates it. The caller holds the owner's lock.
///
/// # Errors
/// Newer, damaged or unavailable; nothing was changed then.
pub(super) fn open_writer(file: &File, opening: Opening) -> Result<Connection, StoreError> {
    let failed = |error: rusqlite::Error| file.sqlite(&error);
    let fault = |fault| file.fault(fault);
    migrations::inspect_file(file)?;
    let size = sqlite::tighten_modes(&file.path).map_err(fault)?;
    if size == 0 && !opening.may_be_empty {
        return Err(file.damaged("it is empty"));
    }
    let mut conn = Connection::open_with_flags(&file.path, READ_WRITE).map_err(failed)?;
    if conn.is_readonly("main").map_err(failed)? {
        return Err(file.unavailable(format!(
            "{} cannot be written: let the user that runs vpn-operator write there",
            file.path.display()
        )));
    }
    conn.busy_timeout(BUSY_TIMEOUT).map_err(failed)?;
    // Until the database is known to be ours, closing it again must not write its log back.
    if opening.alone {
        sqlite::claim(&conn).map_err(failed)?;
    } else {
        sqlite::keep_log(&conn, true).map_err(failed)?;
    }
    let found = migrations::version(&conn, file)?;
    if opening.check_whole || size <= CHECKED_AT_OPEN {
        sqlite::quick_check(&conn, &file.path).map_err(fault)?;
    }
    sqlite::keep_log(&conn, false).map_err(failed)?;
    let mode: String = conn
        .pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))
        .map_err(failed)?;
    if !mode.eq_ignore_ascii_case("wal") {
        return Err(file.unavailable(format!(
            "{} cannot use a write-ahead log ({mode}): put it on a local disk",
            file.path.display()
        )));
    }
    conn.execute_batch(
        "PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF; \
         PRAGMA cache_size = -8192; PRAGMA journal_size_limit = 16777216;",
    )
    .map_err(failed)?;
    conn.set_prepared_statement_cache_capacity(64);
    keep_plans(&conn).map_err(failed)?;
    migrations::migrate(&mut conn, file, found)?;
    Ok(conn)
}

/// A prepared statement keeps its plan whatever values it is given. Without this SQLite plans every query anew that compares a
/// column with a value and could use an index on part of the rows: a third of the time of keeping an event.
fn keep_plans(conn: &Connection) -> rusqlite::Result<()> {
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)
        .map(drop)
}

/// Makes a file under another name (`<name>.new`), and lets it be filled.
///
/// # Errors
/// The folder cannot be written, or there is no room.
pub(super) fn build(file: &File, fill: Option<Run>) -> Result<File, StoreError> {
    let made = File {
        path: sqlite::beside(&file.path, ".new"),
        ..file.clone()
    };
    for leftover in [sqlite::beside(&made.path, "-journal"), made.path.clone()] {
        match fs::remove_file(&leftover) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(file.fault(Fault::io("remove", &leftover, &error))),
        }
    }
    sqlite::create_private(&made.path).map_err(|fault| file.fault(fault))?;
    let failed = |error: rusqlite::Error| made.sqlite(&error);
    let mut conn = Connection::open_with_flags(&made.path, READ_WRITE).map_err(failed)?;
    conn.execute_batch("PRAGMA synchronous = FULL;").map_err(failed)?;
    migrations::migrate(&mut conn, &made, 0)?;
    if let Some(fill) = fill {
        let tx = conn.transaction().map_err(failed)?;
        fill(&tx).and_then(|()| tx.commit()).map_err(failed)?;
    }
    conn.close().map_err(|(_, error)| failed(error))?;
    Ok(made)
}

/// Gives a file that was [built](build) its name, which no other has.
///
/// # Errors
/// The folder cannot be written.
pub(super) fn place(made: &File, file: &File) -> Result<(), StoreError> {
    fs::rename(&made.path, &file.path)
        .map_err(|error| file.io("create", &error))
        .and_then(|()| sqlite::sync_folder(&file.path).map_err(|fault| file.fault(fault)))
}

/// Opens a connection that cannot write.
///
/// # Errors
/// Newer, older, damaged or unavailable.
pub(super) fn open_reader(file: &File) -> Result<Connection, StoreError> {
    let failed = |error: rusqlite::Error| file.sqlite(&error);
    let conn = Connection::open_with_flags(
        &file.path,
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )
    .map_err(failed)?;
    conn.busy_timeout(BUSY_TIMEOUT).map_err(failed)?;
    conn.execute_batch("PRAGMA query_only = ON; PRAGMA trusted_schema = OFF; PRAGMA cache_size = -2048;")
        .map_err(failed)?;
    keep_plans(&conn).map_err(failed)?;
    let found = migrations::version(&conn, file)?;
    let known = file.schema.version();
    if found < known {
        return Err(file.unavailable(format!(
            "{} has schema version {found}, older than {known}: start `vpn-operator run` once, it brings the file up to date",
            file.path.display()
        )));
    }
    Ok(conn)
}
