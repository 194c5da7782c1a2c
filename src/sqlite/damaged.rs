//! A file that cannot be used as it is: moved aside, and read as far as it goes.

use std::{
    fs,
    io::ErrorKind,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use jiff::Timestamp;
use rusqlite::{Connection, OpenFlags, config::DbConfig};

use super::{
    fault::Fault,
    files::{beside, sync_folder},
};

/// How long a lock of another program is waited for.
const BUSY_TIMEOUT: Duration = Duration::from_secs(2);

/// The log that SQLite keeps beside the file.
#[must_use]
pub fn log_of(path: &Path) -> PathBuf {
    beside(path, "-wal")
}

/// Until a file is known to be ours, closing it must not write its log back. And nothing but the log is needed beside it
/// when only one connection ever uses it, so that a full disk can still be read.
///
/// # Errors
/// The connection is of no use.
pub fn claim(conn: &Connection) -> rusqlite::Result<()> {
    conn.busy_timeout(BUSY_TIMEOUT)?;
    keep_log(conn, true)?;
    conn.pragma_update_and_check(None, "locking_mode", "EXCLUSIVE", |_| Ok(()))
}

/// Whether closing the file leaves its log as it is.
///
/// # Errors
/// The connection is of no use.
pub fn keep_log(conn: &Connection, keep: bool) -> rusqlite::Result<()> {
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, keep)
        .map(drop)
}

/// Gives the file and its log another name, `<name>.<what>-<time>`, that no other file has. Answers the name; `None` if
/// there was no file.
///
/// # Errors
/// The folder cannot be written.
pub fn move_aside(path: &Path, what: &str, now: Timestamp) -> Result<Option<PathBuf>, Fault> {
    let time = now.strftime("%Y%m%dT%H%M%SZ");
    let mut number = 1;
    let aside = loop {
        let again = if number == 1 {
            String::new()
        } else {
            format!("-{number}")
        };
        let aside = beside(path, &format!(".{what}-{time}{again}"));
        if [&aside, &log_of(&aside)]
            .iter()
            .all(|path| fs::symlink_metadata(path).is_err())
        {
            break aside;
        }
        number += 1;
    };
    let mut moved = false;
    // A log that stayed would be taken for that of the next file.
    for (from, to) in [(path.to_owned(), aside.clone()), (log_of(path), log_of(&aside))] {
        match fs::rename(&from, &to) {
            Ok(()) => moved = true,
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(Fault::io("move", &from, &error)),
        }
    }
    if moved {
        sync_folder(path)?;
    }
    Ok(moved.then_some(aside))
}

/// Reads a file that cannot be opened as it should be, as far as it goes. Changes nothing. `None` if nothing of it can be read.
pub fn read_damaged<T>(path: &Path, read: impl Fn(&Connection) -> rusqlite::Result<T>) -> Option<T> {
    let read = |conn: &Connection| {
        // So that a file which is shorter than it says is read as far as it goes.
        conn.execute_batch("PRAGMA writable_schema = ON; PRAGMA query_only = ON;")?;
        conn.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
        read(conn)
    };
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let as_it_is = Connection::open_with_flags(path, flags).and_then(|conn| {
        claim(&conn)?;
        read(&conn)
    });
    // `immutable`, because reading in the ordinary way wants to write. What only the log has is missing then.
    let without_log = || {
        let name = percent_encoding::percent_encode(path.as_os_str().as_bytes(), percent_encoding::NON_ALPHANUMERIC);
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
        Connection::open_with_flags(format!("file:{name}?immutable=1"), flags).and_then(|conn| read(&conn))
    };
    as_it_is.or_else(|_| without_log()).ok()
}
