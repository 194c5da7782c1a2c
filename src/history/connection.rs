//! Opening the file: for the one writer, and for readers.

use std::{
    fs::{self, File, OpenOptions, Permissions},
    io::ErrorKind,
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::Path,
    time::Duration,
};

use rusqlite::{Connection, OpenFlags, config::DbConfig};

use super::{error::HistoryError, migrations, schema::VERSION};

/// How long a lock of another program is waited for. Jobs queue behind it, so it is short.
const BUSY_TIMEOUT: Duration = Duration::from_secs(2);

/// A file up to this size is checked whole when it is opened (some 50 ms); in a larger one damage shows when a damaged page is
/// read, or in [`super::History::check`].
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
pub(super) fn open_writer(path: &Path, opening: Opening) -> Result<Connection, HistoryError> {
    let sqlite = |error: rusqlite::Error| HistoryError::sqlite(path, &error);
    migrations::inspect_file(path)?;
    if opening.create {
        create(path)?;
    }
    let size = tighten_modes(path)?;
    let mut conn = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )
    .map_err(sqlite)?;
    conn.busy_timeout(BUSY_TIMEOUT).map_err(sqlite)?;
    // Until the database is known to be ours, closing it again must not write its log back.
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)
        .map_err(sqlite)?;
    let found = migrations::version(&conn, path)?;
    if opening.suspect || size <= CHECKED_AT_OPEN {
        quick_check(&conn, path)?;
    }
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)
        .map_err(sqlite)?;
    let mode: String = conn
        .pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))
        .map_err(sqlite)?;
    if !mode.eq_ignore_ascii_case("wal") {
        return Err(HistoryError::Unavailable(format!(
            "{} cannot use a write-ahead log ({mode}): put it on a local disk",
            path.display()
        )));
    }
    conn.execute_batch(
        "PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF; \
         PRAGMA cache_size = -8192; PRAGMA journal_size_limit = 16777216;",
    )
    .map_err(sqlite)?;
    conn.set_prepared_statement_cache_capacity(64);
    migrations::migrate(&mut conn, path, found)?;
    Ok(conn)
}

/// Opens a connection that cannot write.
///
/// # Errors
/// Newer, older, damaged or unavailable.
pub(super) fn open_reader(path: &Path) -> Result<Connection, HistoryError> {
    let sqlite = |error: rusqlite::Error| HistoryError::sqlite(path, &error);
    let conn = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)
        .map_err(sqlite)?;
    conn.busy_timeout(BUSY_TIMEOUT).map_err(sqlite)?;
    conn.execute_batch("PRAGMA query_only = ON; PRAGMA trusted_schema = OFF; PRAGMA cache_size = -2048;")
        .map_err(sqlite)?;
    let found = migrations::version(&conn, path)?;
    if found < VERSION {
        return Err(HistoryError::Unavailable(format!(
            "{} has schema version {found}, older than {VERSION}: start `vpn-operator run` once, it brings the file up to date",
            path.display()
        )));
    }
    Ok(conn)
}

/// Looks at every page.
///
/// # Errors
/// The first thing that is wrong.
pub(super) fn quick_check(conn: &Connection, path: &Path) -> Result<(), HistoryError> {
    let answer: String = conn
        .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
        .map_err(|error| HistoryError::sqlite(path, &error))?;
    if answer == "ok" {
        Ok(())
    } else {
        Err(HistoryError::damaged(path, answer))
    }
}

/// Creates an empty file that only its owner may read.
fn create(path: &Path) -> Result<(), HistoryError> {
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(_) => sync_folder(path),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(HistoryError::io("create", path, &error)),
    }
}

/// Makes a creation or renaming in the folder of `path` durable.
///
/// # Errors
/// The folder cannot be written.
pub(super) fn sync_folder(path: &Path) -> Result<(), HistoryError> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(|error| HistoryError::io("write to", folder, &error))
}

/// Takes the file and its log from everybody but their owner; answers the file's size. New files of SQLite beside it get
/// the mode of the database.
fn tighten_modes(path: &Path) -> Result<u64, HistoryError> {
    let mut size = 0;
    for suffix in ["-shm", "-wal", ""] {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        let file = Path::new(&name);
        let metadata = match fs::metadata(file) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == ErrorKind::NotFound && !suffix.is_empty() => continue,
            Err(error) => return Err(HistoryError::io("read", file, &error)),
        };
        if metadata.permissions().mode() & 0o077 != 0 {
            fs::set_permissions(file, Permissions::from_mode(0o600))
                .map_err(|error| HistoryError::io("set mode 0600 on", file, &error))?;
        }
        size = metadata.len();
    }
    Ok(size)
}
