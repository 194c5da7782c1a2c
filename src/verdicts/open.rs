//! Opening the file, recognising it, and making a new one.

use std::{fs, io::ErrorKind, os::unix::fs::MetadataExt as _, path::Path};

use rusqlite::{Connection, OpenFlags};

use super::rows::{self, Counting, Loaded, TABLES};
use crate::sqlite::{self, Fault, beside};

/// Version of the tables that this program reads and writes (`PRAGMA user_version`).
const VERSION: i64 = 1;
/// Marks the file as this program's (`PRAGMA application_id`): "VPNG".
const APPLICATION_ID: i64 = 0x5650_4e47;

const READ_WRITE: OpenFlags = OpenFlags::SQLITE_OPEN_READ_WRITE.union(OpenFlags::SQLITE_OPEN_NO_MUTEX);

/// Which file a name leads to.
pub(super) type FileId = (u64, u64);

/// The file that the path leads to at present; `None` if there is none.
///
/// # Errors
/// The folder cannot be looked into, or it is no file.
pub(super) fn file_id(path: &Path) -> Result<Option<FileId>, Fault> {
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_file() => Ok(Some((metadata.dev(), metadata.ino()))),
        Ok(_) => Err(Fault::Unavailable(format!(
            "{} is no file: move it away",
            path.display()
        ))),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Fault::io("look at", path, &error)),
    }
}

/// Why a file is not opened as it is.
pub(super) enum Refused {
    /// It is damaged, empty, or of another program.
    Damaged(String),
    /// A newer version of this program made it.
    Newer(i64),
    /// It may be as it should be, and cannot be opened now.
    Unavailable(Fault),
}

impl From<Fault> for Refused {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Damaged { message, .. } => Self::Damaged(message),
            fault => Self::Unavailable(fault),
        }
    }
}

/// Opens a file that is there, for reading and writing. The caller holds the owner's lock.
///
/// # Errors
/// Why it cannot be used. Nothing was changed then.
pub(super) fn open(path: &Path) -> Result<Connection, Refused> {
    if sqlite::tighten_modes(path)? == 0 {
        return Err(Refused::Damaged("it is empty".to_owned()));
    }
    let failed = |error: rusqlite::Error| Refused::from(Fault::sqlite(path, &error));
    let conn = Connection::open_with_flags(path, READ_WRITE).map_err(failed)?;
    if conn.is_readonly("main").map_err(failed)? {
        let line = format!(
            "{} cannot be written: let the user that runs vpn-operator write there",
            path.display()
        );
        return Err(Refused::Unavailable(Fault::Unavailable(line)));
    }
    sqlite::claim(&conn).map_err(failed)?;
    let pragma = |name: &str| conn.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let (application, version) = (
        pragma("application_id").map_err(failed)?,
        pragma("user_version").map_err(failed)?,
    );
    if application != APPLICATION_ID || version < 1 {
        return Err(Refused::Damaged("it is a database of another program".to_owned()));
    }
    if version > VERSION {
        return Err(Refused::Newer(version));
    }
    sqlite::quick_check(&conn, path)?;
    sqlite::keep_log(&conn, false).map_err(failed)?;
    let mode: String = conn
        .pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))
        .map_err(failed)?;
    if !mode.eq_ignore_ascii_case("wal") {
        let line = format!(
            "{} cannot use a write-ahead log ({mode}): put it on a local disk",
            path.display()
        );
        return Err(Refused::Unavailable(Fault::Unavailable(line)));
    }
    conn.execute_batch(
        "PRAGMA synchronous = FULL; PRAGMA trusted_schema = OFF; PRAGMA cache_size = -2048; \
         PRAGMA journal_size_limit = 4194304;",
    )
    .map_err(failed)?;
    Ok(conn)
}

/// Makes a file with empty tables. There is none of this name, and none half made of it is ever seen.
///
/// # Errors
/// The folder cannot be written.
pub(super) fn create(path: &Path) -> Result<(), Fault> {
    let made = beside(path, ".new");
    for leftover in [beside(&made, "-journal"), made.clone()] {
        match fs::remove_file(&leftover) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(Fault::io("remove", &leftover, &error)),
        }
    }
    sqlite::create_private(&made)?;
    let failed = |error: rusqlite::Error| Fault::sqlite(&made, &error);
    let conn = Connection::open_with_flags(&made, READ_WRITE).map_err(failed)?;
    conn.execute_batch(&format!(
        "PRAGMA synchronous = FULL; BEGIN IMMEDIATE; {TABLES} PRAGMA application_id = {APPLICATION_ID}; \
         PRAGMA user_version = {VERSION}; COMMIT;"
    ))
    .map_err(failed)?;
    conn.close().map_err(|(_, error)| failed(error))?;
    fs::rename(&made, path).map_err(|error| Fault::io("create", path, &error))?;
    sqlite::sync_folder(path)
}

/// Reads what can be read of a file that cannot be opened as it should be. Changes nothing.
pub(super) fn rescue(path: &Path, counting: Counting) -> Loaded {
    sqlite::read_damaged(path, |conn| Ok(rows::rescue(conn, counting))).unwrap_or_default()
}
