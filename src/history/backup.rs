//! A copy of the database, taken while it is in use; and what there is to say about its size.

use std::{
    fs::{self, OpenOptions},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use rusqlite::{
    Connection, OpenFlags,
    backup::{Backup, StepResult},
};
use serde::Serialize;

use super::{chain, error::HistoryError};
use crate::sqlite;

/// Copies the database as it is at this moment to `target`, one file of mode 0600 that needs no log beside it. A file that
/// is already there is replaced at once and whole.
pub(super) fn copy(source: &Connection, path: &Path, target: &Path) -> Result<(), HistoryError> {
    if fs::canonicalize(target).is_ok_and(|target| fs::canonicalize(path).is_ok_and(|path| path == target)) {
        return Err(HistoryError::Unavailable(format!(
            "{} is the database itself: name another file for the backup",
            target.display()
        )));
    }
    let mut partial = target.as_os_str().to_owned();
    partial.push(".partial");
    let partial = PathBuf::from(partial);
    let result = write(source, path, &partial).and_then(|()| {
        fs::rename(&partial, target).map_err(|error| HistoryError::io("create", target, &error))?;
        Ok(sqlite::sync_folder(target)?)
    });
    if result.is_err() {
        // Nothing but our own half-written copy.
        let _ = fs::remove_file(&partial);
    }
    result
}

fn write(source: &Connection, path: &Path, partial: &Path) -> Result<(), HistoryError> {
    let sqlite = |error: rusqlite::Error| HistoryError::sqlite(partial, &error);
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(partial)
        .map_err(|error| HistoryError::io("create", partial, &error))?;
    let mut copy = Connection::open_with_flags(
        partial,
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )
    .map_err(sqlite)?;
    // In one step, so that it is one snapshot; in WAL mode this holds up no writer.
    match Backup::new(source, &mut copy).and_then(|backup| backup.step(-1)) {
        Ok(StepResult::Done) => {}
        Ok(_) => {
            return Err(HistoryError::Unavailable(format!(
                "{} could not be copied now: try again",
                path.display()
            )));
        }
        Err(error) => return Err(HistoryError::sqlite(partial, &error)),
    }
    copy.pragma_update_and_check(None, "journal_mode", "DELETE", |_| Ok(()))
        .map_err(sqlite)?;
    copy.close().map_err(|(_, error)| sqlite(error))?;
    file.sync_all()
        .map_err(|error| HistoryError::io("write", partial, &error))
}

/// Sizes, for `doctor` and metrics.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Stats {
    /// Bytes of the database file.
    pub file_bytes: u64,
    /// Bytes of its write-ahead log.
    pub wal_bytes: u64,
    /// Audit rows.
    pub audit_rows: u64,
    /// Number of the last audit row.
    pub audit_head: i64,
    /// Hash of the last audit row. Noted elsewhere, it proves later that no row up to it was changed or cut off.
    pub audit_head_hash: String,
    /// Revocations.
    pub revocation_rows: u64,
    /// Accounts that ever moved a byte.
    pub account_rows: u64,
    /// Hours of traffic.
    pub traffic_hour_rows: u64,
    /// Days of traffic.
    pub traffic_day_rows: u64,
    /// Counters of nodes.
    pub counter_rows: u64,
    /// Audit entries that wait for the database to be writable.
    pub spooled_entries: u64,
}

/// Counts everything. Walks through every table once.
pub(super) fn stats(conn: &Connection, path: &Path, spooled: usize) -> Result<Stats, HistoryError> {
    let mut wal = path.as_os_str().to_owned();
    wal.push("-wal");
    let size = |path: &Path| fs::metadata(path).map_or(0, |metadata| metadata.len());
    let count = |table: &str| -> Result<u64, HistoryError> {
        conn.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get::<_, i64>(0))
            .map(|count| u64::try_from(count).unwrap_or(0))
            .map_err(|error| HistoryError::sqlite(path, &error))
    };
    let head = chain::head(conn).map_err(|error| HistoryError::sqlite(path, &error))?;
    Ok(Stats {
        file_bytes: size(path),
        wal_bytes: size(Path::new(&wal)),
        audit_rows: count("audit")?,
        audit_head: head.seq,
        audit_head_hash: chain::hex(&head.hash),
        revocation_rows: count("revocations")?,
        account_rows: count("accounts")?,
        traffic_hour_rows: count("traffic_hour")?,
        traffic_day_rows: count("traffic_day")?,
        counter_rows: count("counters")?,
        spooled_entries: u64::try_from(spooled).unwrap_or(u64::MAX),
    })
}
