//! Files that cannot be used as they are, and disks that refuse.

use std::{
    fs,
    path::PathBuf,
    time::{Duration, Instant},
};

use jiff::Timestamp;

use super::*;
use crate::{
    clock::ManualClock,
    desired::folder::object::{FileKey, Kind, Root},
    model::hr::HrMarks,
    sqlite,
};

fn opened(folder: &Path) -> Record {
    open(folder, ManualClock::at(Timestamp::UNIX_EPOCH)).unwrap()
}

fn row(id: u32) -> Arc<Row> {
    Arc::new(Row {
        id,
        kind: Kind::User,
        namespace: "default".into(),
        name: format!("u{id}").into(),
        uid: [7; 16],
        generation: 1,
        version: id.into(),
        created: Timestamp::UNIX_EPOCH,
        deleted: None,
        file: FileKey {
            root: Root::People,
            path: "a.yaml".into(),
        },
        digest: Default::default(),
        spec: "s".repeat(200).into(),
        notes: None,
        status: None,
        hr: HrMarks::default(),
    })
}

/// A record of so many objects.
fn filled(folder: &Path, objects: u32) -> PathBuf {
    let record = opened(folder);
    record.writer.fact(Fact::Version, 7);
    (0..objects).for_each(|id| record.writer.put(row(id)));
    drop(record);
    folder.join("desired.db")
}

fn count(record: &Record) -> usize {
    let mut rows = 0;
    record.reader.each(|_| rows += 1).unwrap();
    rows
}

fn until(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !condition() {
        assert!(Instant::now() < deadline, "not within 10 s: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Names of what was moved aside.
fn aside(folder: &Path, what: &str) -> Vec<String> {
    let names = fs::read_dir(folder).unwrap();
    let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names
        .filter(|name| name.starts_with(&format!("desired.db.{what}-")) && !name.ends_with("-wal"))
        .collect()
}

#[test]
fn a_record_that_cannot_be_written_is_read_and_written_again_when_it_can_be() {
    let folder = tempfile::tempdir().unwrap();
    let path = filled(folder.path(), 30);
    let before = fs::read(&path).unwrap();
    // What SQLite wants to write beside the file is in the way, as when there is no room for it.
    let (log, new) = (sqlite::log_of(&path), sqlite::beside(&path, ".new"));
    fs::create_dir(&log).unwrap();
    fs::create_dir_all(new.join("full")).unwrap();

    let record = opened(folder.path());
    assert!(record.writer.problems()[0].contains("cannot be written"));
    record.writer.put(row(30));
    record.writer.forget(3);
    record.writer.flush_and_wait();
    assert_eq!(record.reader.fact(Fact::Version).unwrap(), Some(7));
    let known = |id| record.reader.get(id).unwrap().is_some();
    assert!(known(2) && !known(3) && known(30));
    assert_eq!(fs::read(&path).unwrap(), before, "the file is left as it was");

    fs::remove_dir(&log).unwrap();
    fs::remove_dir_all(&new).unwrap();
    until("it is written", || record.writer.store.last_error().is_none());
    drop(record);
    let record = opened(folder.path());
    assert_eq!((count(&record), record.writer.problems()), (30, Vec::new()));
    assert_eq!(record.reader.fact(Fact::Version).unwrap(), Some(7));
    assert_eq!(aside(folder.path(), "unread").len(), 1);
}

/// Opens a damaged record: it was moved aside as it is, and the next start finds nothing wrong. Answers how much could be read.
fn replaced(path: &Path, said: &str) -> usize {
    let folder = path.parent().unwrap();
    let original = fs::read(path).unwrap();
    let record = opened(folder);
    let found = record.writer.problems().join("\n");
    let aside = path.with_file_name("desired.db.damaged-19700101T000000Z");
    assert!(
        found.contains(said) && found.contains(aside.to_str().unwrap()),
        "{found}"
    );
    assert!(record.writer.store.last_error().is_none());
    assert_eq!(fs::read(&aside).unwrap(), original);
    let rows = count(&record);
    assert!(found.contains(&format!("{rows} objects")), "{found}");
    drop(record);
    let again = opened(folder);
    assert_eq!((again.writer.problems(), count(&again)), (Vec::new(), rows));
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
    db.execute_batch("CREATE TABLE objects (id INTEGER PRIMARY KEY, what TEXT); INSERT INTO objects VALUES (1, 'x')")
        .unwrap();
    drop(db);
    assert_eq!(replaced(&path, "another program"), 0);
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
    let taken = folder.path().join("desired.db.new");
    fs::create_dir_all(taken.join("full")).unwrap();
    let record = opened(folder.path());
    assert!(record.writer.problems().join("\n").contains("desired.db.new"));
    let rows = count(&record);
    assert!((500..3000).contains(&rows), "{rows}");
    assert_eq!(fs::read(&path).unwrap(), before);

    fs::remove_dir_all(&taken).unwrap();
    until("it is replaced", || record.writer.store.last_error().is_none());
    assert_eq!(aside(folder.path(), "damaged").len(), 1);
    drop(record);
    assert_eq!(count(&opened(folder.path())), rows);
}

#[test]
fn a_newer_record_is_refused_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = filled(folder.path(), 1);
    let db = Connection::open(&path).unwrap();
    db.pragma_update(None, "user_version", i64::try_from(SCHEMA.steps.len()).unwrap() + 1)
        .unwrap();
    drop(db);
    let before = fs::read(&path).unwrap();
    let error = open(folder.path(), ManualClock::at(Timestamp::UNIX_EPOCH));
    let error = error.err().unwrap().to_string();
    assert!(error.contains("newer"), "{error}");
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
fn a_flush_is_answered_when_it_is_durable_and_when_it_failed_once() {
    let folder = tempfile::tempdir().unwrap();
    let record = opened(folder.path());
    record.writer.put(row(1));
    record.writer.flush_and_wait();
    let commits = record.writer.store.commits();
    let file = Connection::open(folder.path().join("desired.db")).unwrap();
    let rows = |db: &Connection| db.query_row("SELECT count(*) FROM objects", [], |row| row.get::<_, i64>(0));
    assert_eq!(rows(&file).unwrap(), 1);
    file.execute_batch("BEGIN IMMEDIATE").unwrap();
    record.writer.put(row(2));
    record.writer.flush_and_wait();
    assert!(record.writer.problems()[0].contains("another program holds a lock"));
    assert!(record.reader.get(2).unwrap().is_some());
    file.execute_batch("ROLLBACK").unwrap();
    until("it is written", || record.writer.store.commits() > commits);
    assert_eq!(rows(&file).unwrap(), 2);
}

/// Makes a record what it was before events of HR left anything on objects.
fn as_the_first_schema(path: &Path) {
    let conn = Connection::open(path).unwrap();
    conn.execute_batch("ALTER TABLE objects DROP COLUMN hr; PRAGMA user_version = 1;")
        .unwrap();
}

#[test]
fn a_record_of_the_first_schema_is_taken_over_and_rescued() {
    let folder = tempfile::tempdir().unwrap();
    let path = filled(folder.path(), 300);
    as_the_first_schema(&path);
    let record = opened(folder.path());
    assert_eq!((count(&record), record.writer.problems().len()), (300, 0));
    drop(record);
    assert_eq!(aside(folder.path(), "damaged"), [""; 0]);

    as_the_first_schema(&path);
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    let record = opened(folder.path());
    let rescued = count(&record);
    assert!((1..300).contains(&rescued), "{rescued}");
}
