//! Opening the record's file, or what takes its place: a new one when it is damaged, a copy in memory when the disk cannot
//! be written.

use std::{
    fs,
    io::ErrorKind,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use jiff::Timestamp;
use rusqlite::{Connection, OpenFlags, params_from_iter, types::Value};

use crate::{
    desired::DesiredError,
    sqlite::{self, Fault},
};

const SCHEMA: i64 = 2;
/// Columns of an object, in the order in which they are written.
pub(super) const COLUMNS: &str =
    "id, kind, namespace, name, uid, generation, version, created, deleted, own, file, digest, spec, notes, status, hr";
/// Places for the values of [`COLUMNS`].
pub(super) const PLACES: &str = "?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16";
/// Columns of the former version: without what HR's events leave.
const FORMER_COLUMNS: &str =
    "id, kind, namespace, name, uid, generation, version, created, deleted, own, file, digest, spec, notes, status";
const FACT_COLUMNS: &str = "name, value";

/// The record, ready for one writer and one reader.
pub(super) struct Opened {
    pub(super) writer: Connection,
    pub(super) reader: Connection,
    /// Why it is a copy in memory.
    pub(super) stuck: Option<Arc<str>>,
    /// What was wrong with the file that was there, and what became of it.
    pub(super) found: Option<String>,
}

/// Why the file is not used as it is.
#[derive(Debug)]
enum Refused {
    /// It is damaged, empty, or of another program.
    Damaged(String),
    /// A newer version of this program made it.
    Newer(i64),
    /// The disk cannot be read or written.
    Disk(String),
    /// Anything else.
    Other(String),
}

impl Refused {
    fn of(error: &rusqlite::Error) -> Self {
        use rusqlite::ErrorCode::{
            CannotOpen, DatabaseCorrupt, DiskFull, NotADatabase, PermissionDenied, ReadOnly, SystemIoFailure,
        };
        match error.sqlite_error_code() {
            Some(DatabaseCorrupt | NotADatabase) | None => Self::Damaged(error.to_string()),
            Some(CannotOpen | DiskFull | ReadOnly | SystemIoFailure | PermissionDenied) => {
                Self::Disk(error.to_string())
            }
            Some(_) => Self::Other(error.to_string()),
        }
    }
}

impl From<Fault> for Refused {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Damaged { message, .. } => Self::Damaged(message),
            fault @ (Fault::InUse(_) | Fault::Unavailable(_)) => Self::Disk(fault.to_string()),
        }
    }
}

/// Opens the record, or makes one. The caller owns the data folder.
///
/// The record is a memory of files that exist. One that is damaged is kept beside under another name, and a new one begins
/// with what could be read of it. A disk that cannot be written must not keep people from logging in: then a copy in memory
/// takes the record's place, of which nothing outlives the process.
///
/// # Errors
/// A newer version of this program wrote it, or another program holds it.
pub(super) fn connect(path: &Path, now: Timestamp) -> Result<Opened, DesiredError> {
    let shown = path.display();
    let (opened, found) = match open_or_create(path) {
        Err(Refused::Damaged(why)) => {
            let (opened, what) = replace(path, now);
            (opened, Some(format!("{shown} is damaged ({why}){what}")))
        }
        opened => (opened, None),
    };
    let failed = |error: rusqlite::Error| DesiredError::Unavailable(format!("{shown}: {error}"));
    match opened {
        Ok((writer, reader)) => Ok(Opened {
            writer,
            reader,
            stuck: None,
            found,
        }),
        Err(Refused::Disk(why)) => {
            let line = format!(
                "{shown}: cannot be written ({why}); a copy in memory is used: make room or mend the disk, then restart"
            );
            tracing::error!("{line}");
            let (writer, reader) = copy_in_memory(path).map_err(failed)?;
            Ok(Opened {
                writer,
                reader,
                stuck: Some(line.into()),
                found,
            })
        }
        Err(Refused::Newer(version)) => Err(DesiredError::Unavailable(format!(
            "{shown} has schema version {version}, this version of vpn-operator knows {SCHEMA}: run the newer version again"
        ))),
        Err(Refused::Damaged(why) | Refused::Other(why)) => Err(DesiredError::Unavailable(format!("{shown}: {why}"))),
    }
}

/// Opens the file; makes it if there is none.
fn open_or_create(path: &Path) -> Result<(Connection, Connection), Refused> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            if fs::symlink_metadata(sqlite::log_of(path)).is_ok_and(|meta| meta.is_file()) {
                return Err(Refused::Damaged("it is gone, and its log is there".to_owned()));
            }
            build(path, None)?.place(path)?;
        }
        Err(error) => return Err(Fault::io("look at", path, &error).into()),
        Ok(_) => {}
    }
    open(path)
}

/// Opens a file that is there.
fn open(path: &Path) -> Result<(Connection, Connection), Refused> {
    let failed = |error: rusqlite::Error| Refused::of(&error);
    // Owners' names and addresses stand in it. SQLite gives the files beside it the same mode.
    if sqlite::tighten_modes(path)? == 0 {
        return Err(Refused::Damaged("it is empty".to_owned()));
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let writer = Connection::open_with_flags(path, flags).map_err(failed)?;
    sqlite::keep_log(&writer, true).map_err(failed)?;
    let version: i64 = writer
        .query_row("PRAGMA user_version", [], |row| row.get(0))
        .map_err(failed)?;
    if version > SCHEMA {
        return Err(Refused::Newer(version));
    }
    let is_ours = |db: &Connection| {
        let columns = if version < SCHEMA { FORMER_COLUMNS } else { COLUMNS };
        db.prepare(&format!("SELECT {columns} FROM objects LIMIT 0"))?;
        db.prepare(&format!("SELECT {FACT_COLUMNS} FROM facts LIMIT 0"))
            .map(drop)
    };
    is_ours(&writer).map_err(|error| match (&error, Refused::of(&error)) {
        (rusqlite::Error::SqlInputError { msg, .. }, _) => {
            Refused::Damaged(format!("it is not a record of this program: {msg}"))
        }
        (_, refused) => refused,
    })?;
    sqlite::quick_check(&writer, path)?;
    sqlite::keep_log(&writer, false).map_err(failed)?;
    writer
        .execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA temp_store = MEMORY;")
        .map_err(failed)?;
    if version < SCHEMA {
        let step =
            format!("BEGIN IMMEDIATE; ALTER TABLE objects ADD COLUMN hr TEXT; PRAGMA user_version = {SCHEMA}; COMMIT;");
        writer.execute_batch(&step).map_err(failed)?;
    }
    let reader = Connection::open_with_flags(path, flags).map_err(failed)?;
    // The log is made by the first look at the file.
    reader
        .query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))
        .map_err(failed)?;
    Ok((writer, reader))
}

/// Puts a new file in the place of a damaged one, with what could be read of it. Says what was done.
fn replace(path: &Path, now: Timestamp) -> (Result<(Connection, Connection), Refused>, String) {
    let files = "everything else is read from the files again";
    // Whole before anything is moved, so that a disk without room leaves everything as it is.
    let built = match build(path, Some(path)) {
        Ok(built) => built,
        Err(refused) => return (Err(refused), format!(", and cannot be replaced now; {files}")),
    };
    let rows = built.rows;
    let moved = sqlite::move_aside(path, "damaged", now);
    let aside = moved.as_ref().ok().and_then(|aside| aside.as_ref());
    let kept = aside.map_or_else(String::new, |aside| format!(" and was moved to {}", aside.display()));
    let opened = moved
        .map_err(Refused::from)
        .and_then(|_| built.place(path))
        .and_then(|()| open(path));
    let line = format!("{kept}. A new one was begun with {rows} objects that could be read of it; {files}");
    (opened, line)
}

/// A new file under another name.
struct Built {
    path: std::path::PathBuf,
    /// Objects that were copied.
    rows: usize,
}

impl Built {
    fn place(self, path: &Path) -> Result<(), Refused> {
        fs::rename(&self.path, path).map_err(|error| Fault::io("create", path, &error))?;
        Ok(sqlite::sync_folder(path)?)
    }
}

/// Makes a new file beside `path`, filled with what can be read of `from`.
fn build(path: &Path, from: Option<&Path>) -> Result<Built, Refused> {
    let new = sqlite::beside(path, ".new");
    for leftover in [sqlite::beside(&new, "-journal"), new.clone()] {
        match fs::remove_file(&leftover) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(Fault::io("remove", &leftover, &error).into()),
        }
    }
    let failed = |error: rusqlite::Error| Refused::of(&error);
    sqlite::create_private(&new)?;
    let mut db = Connection::open(&new).map_err(failed)?;
    db.execute_batch("PRAGMA synchronous = FULL;").map_err(failed)?;
    make_tables(&db).map_err(failed)?;
    let rows = from.map_or(Ok(0), |from| fill(&mut db, from)).map_err(failed)?;
    db.close().map_err(|(_, error)| failed(error))?;
    Ok(Built { path: new, rows })
}

fn make_tables(db: &Connection) -> rusqlite::Result<()> {
    db.execute_batch(&format!(
        "BEGIN IMMEDIATE;
         CREATE TABLE objects (
             id INTEGER PRIMARY KEY, kind INTEGER NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL,
             uid BLOB NOT NULL, generation INTEGER NOT NULL, version INTEGER NOT NULL, created INTEGER NOT NULL,
             deleted INTEGER, own INTEGER NOT NULL, file TEXT NOT NULL, digest BLOB NOT NULL, spec TEXT NOT NULL,
             notes TEXT, status TEXT, hr TEXT) STRICT;
         CREATE TABLE facts (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
         PRAGMA user_version = {SCHEMA};
         COMMIT;"
    ))
}

/// Copies what can be read of the record at `from`. Answers how many objects that is.
///
/// # Errors
/// `to` cannot be written.
fn fill(to: &mut Connection, from: &Path) -> rusqlite::Result<usize> {
    let into = std::cell::RefCell::new(to);
    let copied = sqlite::read_damaged(from, |from| {
        let mut into = into.borrow_mut();
        let transaction = into.transaction()?;
        let has_marks = from.prepare(&format!("SELECT {COLUMNS} FROM objects LIMIT 0")).is_ok();
        let columns = if has_marks { COLUMNS } else { FORMER_COLUMNS };
        let copied = copy_table(from, &transaction, "objects", columns, "id")
            .and_then(|rows| copy_table(from, &transaction, "facts", FACT_COLUMNS, "name").map(|_| rows));
        // A failure to write is an answer; nothing else that could be tried would help.
        Ok(copied.and_then(|rows| transaction.commit().map(|()| rows)))
    });
    copied.unwrap_or(Ok(0))
}

/// Copies rows from either end of a table; in between lies what cannot be read.
///
/// # Errors
/// `to` cannot be written.
fn copy_table(from: &Connection, to: &Connection, table: &str, columns: &str, key: &str) -> rusqlite::Result<usize> {
    let width = columns.split(',').count();
    let places: Vec<String> = (1..=width).map(|at| format!("?{at}")).collect();
    let mut insert = to.prepare(&format!(
        "INSERT OR IGNORE INTO {table} ({columns}) VALUES ({})",
        places.join(",")
    ))?;
    let mut copied = 0;
    for order in ["ASC", "DESC"] {
        let Ok(mut query) = from.prepare(&format!("SELECT {columns} FROM {table} ORDER BY {key} {order}")) else {
            return Ok(copied);
        };
        let Ok(mut rows) = query.query([]) else {
            return Ok(copied);
        };
        loop {
            match rows.next() {
                Ok(Some(row)) => {
                    let values: rusqlite::Result<Vec<Value>> = (0..width).map(|at| row.get(at)).collect();
                    let Ok(values) = values else { continue };
                    match insert.execute(params_from_iter(values)) {
                        Ok(new) => copied += new,
                        Err(error) if sqlite::is_environmental(&error) => return Err(error),
                        // Of a type that this program never writes.
                        Err(_) => {}
                    }
                }
                Ok(None) => return Ok(copied),
                Err(_) => break,
            }
        }
    }
    Ok(copied)
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
    make_tables(&writer)?;
    fill(&mut writer, path)?;
    let reader = Connection::open_with_flags(&name, flags)?;
    reader.execute_batch("PRAGMA read_uncommitted = ON;")?;
    Ok((writer, reader))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn read(db: &Connection) -> rusqlite::Result<i64> {
        db.query_row("SELECT value FROM facts", [], |row| row.get::<_, i64>(0))
    }

    /// A record of so many objects.
    fn filled(folder: &Path, objects: i64) -> PathBuf {
        let path = folder.join("desired.db");
        let db = connect(&path, NOW).unwrap().writer;
        db.execute("INSERT INTO facts VALUES ('kept', 7)", []).unwrap();
        db.execute(
            "WITH RECURSIVE number(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM number WHERE n + 1 < ?1)
             INSERT INTO objects SELECT n, 0, 'default', 'u' || n, zeroblob(16), 1, n, 0, NULL, 0, 'a.yaml', zeroblob(16),
             printf('%.*c', 200, 's'), NULL, NULL, NULL FROM number WHERE ?1 > 0",
            [objects],
        )
        .unwrap();
        path
    }

    fn count(db: &Connection) -> i64 {
        db.query_row("SELECT count(*) FROM objects", [], |row| row.get(0))
            .unwrap()
    }

    #[test]
    fn a_record_that_cannot_be_written_is_copied_into_memory() {
        let folder = tempfile::tempdir().unwrap();
        let path = filled(folder.path(), 0);
        // What SQLite wants to write beside the file is in the way, as when there is no room for it.
        fs::create_dir(sqlite::log_of(&path)).unwrap();

        let copy = connect(&path, NOW).unwrap();
        assert!(copy.stuck.unwrap().contains("make room"));
        assert_eq!(copy.found, None);
        copy.writer.execute("UPDATE facts SET value = value + 1", []).unwrap();
        assert_eq!(read(&copy.reader).unwrap(), 8);
        let file = Connection::open_with_flags(&path, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
        assert!(
            read(&file).is_err() || read(&file) == Ok(7),
            "the file is left as it was"
        );
    }

    /// Opens a damaged record: it was moved aside as it is, and the next start finds nothing wrong. Answers what could be read.
    fn replaced(path: &Path, said: &str) -> i64 {
        let original = fs::read(path).unwrap();
        let Opened {
            writer,
            reader,
            stuck,
            found,
        } = connect(path, NOW).unwrap();
        let found = found.unwrap();
        let aside = path.with_file_name("desired.db.damaged-19700101T000000Z");
        assert!(
            found.contains(said) && found.contains(aside.to_str().unwrap()),
            "{found}"
        );
        assert_eq!(stuck, None);
        assert_eq!(fs::read(&aside).unwrap(), original);
        let rows = count(&writer);
        assert!(found.contains(&format!("{rows} objects")), "{found}");
        drop((writer, reader));
        let again = connect(path, NOW).unwrap();
        assert_eq!((again.found, count(&again.reader)), (None, rows));
        rows
    }

    #[test]
    fn a_record_that_is_no_database_is_moved_aside_and_begun_anew() {
        for (content, said) in [(vec![b'x'; 8192], "not a database"), (Vec::new(), "it is empty")] {
            let folder = tempfile::tempdir().unwrap();
            let path = filled(folder.path(), 10);
            fs::write(&path, content).unwrap();
            assert_eq!(replaced(&path, said), 0);
        }
    }

    #[test]
    fn a_database_of_another_program_is_moved_aside() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("desired.db");
        let db = Connection::open(&path).unwrap();
        db.execute_batch(
            "CREATE TABLE objects (id INTEGER PRIMARY KEY, what TEXT); INSERT INTO objects VALUES (1, 'x')",
        )
        .unwrap();
        drop(db);
        assert_eq!(replaced(&path, "not a record of this program"), 0);
    }

    #[test]
    fn of_a_record_that_is_cut_what_is_left_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = filled(folder.path(), 3000);
        let file = fs::File::options().write(true).open(&path).unwrap();
        file.set_len(file.metadata().unwrap().len() / 2 + 7).unwrap();
        let rows = replaced(&path, "malformed");
        assert!((500..3000).contains(&rows), "{rows}");
    }

    #[test]
    fn a_damaged_page_costs_what_stands_on_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = filled(folder.path(), 3000);
        let mut bytes = fs::read(&path).unwrap();
        let middle = bytes.len() / 2 / 4096 * 4096;
        bytes[middle..middle + 4096].fill(0xa5);
        fs::write(&path, bytes).unwrap();
        let rows = replaced(&path, "");
        assert!((2900..3000).contains(&rows), "{rows}");
    }

    #[test]
    fn without_room_for_a_new_one_a_damaged_record_stays_and_what_is_left_of_it_is_used() {
        let folder = tempfile::tempdir().unwrap();
        let path = filled(folder.path(), 3000);
        let file = fs::File::options().write(true).open(&path).unwrap();
        file.set_len(file.metadata().unwrap().len() / 2).unwrap();
        let before = fs::read(&path).unwrap();
        // The name of the new file is taken by a folder that cannot be removed.
        fs::create_dir_all(folder.path().join("desired.db.new/full")).unwrap();
        let copy = connect(&path, NOW).unwrap();
        assert!(copy.stuck.is_some() && copy.found.unwrap().contains("cannot be replaced now"));
        assert!((500..3000).contains(&count(&copy.reader)));
        assert_eq!(fs::read(&path).unwrap(), before);
    }

    #[test]
    fn a_newer_record_is_refused_and_left_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = filled(folder.path(), 1);
        let db = Connection::open(&path).unwrap();
        db.pragma_update(None, "user_version", SCHEMA + 1).unwrap();
        drop(db);
        let before = fs::read(&path).unwrap();
        let error = connect(&path, NOW).err().unwrap().to_string();
        assert!(error.contains("newer"), "{error}");
        assert_eq!(fs::read(&path).unwrap(), before);
    }
}
