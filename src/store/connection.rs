//! Opening the file: for the one writer, and for readers.

use std::time::Duration;

use rusqlite::{Connection, OpenFlags, config::DbConfig};

use super::{error::StoreError, file::File, migrations};
use crate::sqlite;

/// How long a lock of another program is waited for. Jobs queue behind it, so it is short.
const BUSY_TIMEOUT: Duration = Duration::from_secs(2);

/// A file up to this size is checked whole when it is opened (some 50 ms); in a larger one damage shows when a damaged page is
/// read, or in [`super::Store::check`].
const CHECKED_AT_OPEN: u64 = 16 << 20;

/// How to open the file for writing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Opening {
    /// A missing file is created.
    pub create: bool,
    /// Damage was seen: the file is checked whole, whatever its size.
    pub suspect: bool,
}

/// Opens the connection of the writer and migrates the database. The caller holds the owner's lock.
///
/// # Errors
/// Newer, damaged or unavailable; nothing was changed then, except that an empty file may have been created.
pub(super) fn open_writer(file: &File, opening: Opening) -> Result<Connection, StoreError> {
    let failed = |error: rusqlite::Error| file.sqlite(&error);
    migrations::inspect_file(file)?;
    if opening.create {
        sqlite::create_private(&file.path).map_err(|fault| file.fault(fault))?;
    }
    let size = sqlite::tighten_modes(&file.path).map_err(|fault| file.fault(fault))?;
    let mut conn = Connection::open_with_flags(
        &file.path,
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )
    .map_err(failed)?;
    conn.busy_timeout(BUSY_TIMEOUT).map_err(failed)?;
    // Until the database is known to be ours, closing it again must not write its log back.
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)
        .map_err(failed)?;
    let found = migrations::version(&conn, file)?;
    if opening.suspect || size <= CHECKED_AT_OPEN {
        sqlite::quick_check(&conn, &file.path).map_err(|fault| file.fault(fault))?;
    }
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)
        .map_err(failed)?;
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
    migrations::migrate(&mut conn, file, found)?;
    Ok(conn)
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
