//! Opening the record's file, or what takes its place when the disk cannot be written.

use std::{
    fs::OpenOptions,
    os::unix::{ffi::OsStrExt as _, fs::OpenOptionsExt as _},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use rusqlite::{Connection, OpenFlags, backup::Backup};

use crate::desired::DesiredError;

const SCHEMA: i64 = 1;

fn unavailable(path: &Path, error: &rusqlite::Error) -> DesiredError {
    use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
    let advice = match error.sqlite_error_code() {
        Some(DatabaseCorrupt | NotADatabase) => {
            ": the file is damaged; restore it, or move it away to begin anew (last good versions of faulty documents \
             and deletions not yet carried out are forgotten then)"
        }
        _ => "",
    };
    DesiredError::Unavailable(format!("{}: {error}{advice}", path.display()))
}

/// The record, ready for one writer and one reader.
pub(super) struct Opened {
    pub(super) writer: Connection,
    pub(super) reader: Connection,
    /// Why it is a copy in memory.
    pub(super) stuck: Option<Arc<str>>,
}

/// Opens the record. A disk that cannot be written must not keep people from logging in: then a copy in memory takes the
/// record's place, of which nothing outlives the process.
pub(super) fn connect(path: &Path) -> Result<Opened, DesiredError> {
    let failed = |error: rusqlite::Error| unavailable(path, &error);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    // Owners' names and addresses stand in it. SQLite gives the files beside it the same mode.
    let made = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path);
    drop(made);
    let opened = Connection::open(path).and_then(|db| prepare(&db).map(|version| (db, version)));
    let (writer, version, reader, stuck) = match opened {
        Ok((db, version)) => (
            db,
            version,
            Connection::open_with_flags(path, flags).map_err(failed)?,
            None,
        ),
        Err(error) if is_about_the_disk(&error) => {
            let line = format!(
                "{}: cannot be written ({error}); a copy in memory is used: make room or mend the disk, then restart",
                path.display()
            );
            tracing::error!("{line}");
            let (writer, reader) = copy_in_memory(path).map_err(failed)?;
            let version = prepare(&writer).map_err(failed)?;
            (writer, version, reader, Some(line.into()))
        }
        Err(error) => return Err(failed(error)),
    };
    if version > SCHEMA {
        return Err(DesiredError::Unavailable(format!(
            "{} has schema version {version}, this version of vpn-operator knows {SCHEMA}: run the newer version again",
            path.display()
        )));
    }
    Ok(Opened { writer, reader, stuck })
}

fn is_about_the_disk(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode::{CannotOpen, DiskFull, ReadOnly, SystemIoFailure};
    matches!(
        error.sqlite_error_code(),
        Some(CannotOpen | DiskFull | ReadOnly | SystemIoFailure)
    )
}

/// Two connections to one database in memory, with what can be read of the file.
fn copy_in_memory(path: &Path) -> rusqlite::Result<(Connection, Connection)> {
    static COPIES: AtomicU64 = AtomicU64::new(0);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_URI;
    let name = format!(
        "file:record-{}?mode=memory&cache=shared",
        COPIES.fetch_add(1, Ordering::Relaxed)
    );
    let mut writer = Connection::open_with_flags(&name, flags)?;
    // `immutable`, because reading in the ordinary way wants to write beside the file. What only the log beside it has is
    // missing then: objects are at most a moment older.
    let file = percent_encoding::percent_encode(path.as_os_str().as_bytes(), percent_encoding::NON_ALPHANUMERIC);
    let flags_of_file = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
    match Connection::open_with_flags(format!("file:{file}?immutable=1"), flags_of_file) {
        Ok(file) => Backup::new(&file, &mut writer)?.run_to_completion(1024, Duration::ZERO, None)?,
        Err(error) => tracing::warn!(%error, "nothing of the record can be read"),
    }
    let reader = Connection::open_with_flags(&name, flags)?;
    reader.execute_batch("PRAGMA read_uncommitted = ON;")?;
    Ok((writer, reader))
}

/// Sets a connection up and makes the tables. Answers the version of the schema.
fn prepare(db: &Connection) -> rusqlite::Result<i64> {
    db.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA temp_store = MEMORY;")?;
    let version: i64 = db.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if version < SCHEMA {
        db.execute_batch(&format!(
            "BEGIN IMMEDIATE;
             CREATE TABLE objects (
                 id INTEGER PRIMARY KEY, kind INTEGER NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL,
                 uid BLOB NOT NULL, generation INTEGER NOT NULL, version INTEGER NOT NULL, created INTEGER NOT NULL,
                 deleted INTEGER, own INTEGER NOT NULL, file TEXT NOT NULL, digest BLOB NOT NULL, spec TEXT NOT NULL,
                 notes TEXT, status TEXT) STRICT;
             CREATE TABLE facts (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
             PRAGMA user_version = {SCHEMA};
             COMMIT;"
        ))?;
    }
    Ok(version.max(SCHEMA))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_that_cannot_be_written_is_copied_into_memory() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a %record.db");
        let first = connect(&path).unwrap();
        first
            .writer
            .execute("INSERT INTO facts VALUES ('kept', 7)", [])
            .unwrap();
        assert!(first.stuck.is_none());
        drop(first);
        // What SQLite wants to write beside the file is in the way, as when there is no room for it.
        std::fs::create_dir(folder.path().join("a %record.db-wal")).unwrap();

        let copy = connect(&path).unwrap();
        assert!(copy.stuck.unwrap().contains("make room"));
        copy.writer.execute("UPDATE facts SET value = value + 1", []).unwrap();
        let read = |db: &Connection| db.query_row("SELECT value FROM facts", [], |row| row.get::<_, i64>(0));
        assert_eq!(read(&copy.reader).unwrap(), 8);
        let file = Connection::open_with_flags(&path, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
        assert!(
            read(&file).is_err() || read(&file) == Ok(7),
            "the file is left as it was"
        );
    }

    #[test]
    fn a_damaged_record_is_refused_and_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("desired.db");
        std::fs::write(&path, vec![b'x'; 8192]).unwrap();
        let error = connect(&path).err().unwrap().to_string();
        assert!(error.contains("damaged"), "{error}");
        assert_eq!(std::fs::read(&path).unwrap().len(), 8192);
    }
}
