//! Files that are not as they should be, disks that refuse, and others who use the file.

use std::os::unix::fs::PermissionsExt as _;

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_writes_nothing_of_a_job_and_is_over_by_itself_when_there_is_room() {
    let fixture = Fixture::new();
    fixture.store.write(note("first")).await.unwrap();
    fixture.limit_pages(1).await;
    let half = |conn: &Connection| {
        note("half")(conn)?;
        note(large())(conn)
    };
    let error = fixture.store.write(half).await.unwrap_err().to_string();
    assert!(
        error.starts_with("the notebook is unavailable: no space is left for"),
        "{error}"
    );
    assert!(fixture.store.last_error().is_some());
    assert_eq!(fixture.store.read(count).await.unwrap(), 1, "reading goes on");
    fixture.limit_pages(1_000_000).await;
    until("the error is over without a job", async || {
        fixture.store.last_error().is_none()
    })
    .await;
    fixture.store.write(note(large())).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_of_another_program_is_named_and_over_when_it_is_let_go() {
    let fixture = Fixture::new();
    let other = Connection::open(fixture.path()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let error = fixture.store.write(note("refused")).await.unwrap_err().to_string();
    assert!(error.contains("another program holds a lock"), "{error}");
    assert_eq!(fixture.store.read(count).await.unwrap(), 0, "reading goes on");
    other.execute_batch("ROLLBACK").unwrap();
    until("the error is over", async || fixture.store.last_error().is_none()).await;
    assert_eq!(fixture.store.write(note("written")).await.unwrap(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_owner_is_refused_by_name_and_may_read() {
    let Fixture { store, folder, clock } = Fixture::new();
    let path = folder.path().join("notes.db");
    store.write(note("one")).await.unwrap();
    let error = Store::open(&path, NOTES, clock.clone()).err().unwrap().to_string();
    let owner = format!("in use by process {}", std::process::id());
    assert!(error.contains(&owner), "{error}");
    let second = Store::open_or_retry(&path, NOTES, clock.clone()).unwrap();
    assert!(second.write(note("two")).await.is_err());

    let reader = Store::open_read_only(&path, NOTES, clock);
    assert_eq!(reader.read(count).await.unwrap(), 1);
    reader.check().await.unwrap();
    let error = reader.write(note("two")).await.unwrap_err().to_string();
    assert!(error.contains("opened for reading only"), "{error}");
    let trick = |conn: &Connection| conn.execute("DELETE FROM notes", []);
    assert!(reader.read(trick).await.is_err(), "a question writes nothing");

    drop(store);
    until("the second takes over", async || second.last_error().is_none()).await;
    assert_eq!(second.write(note("two")).await.unwrap(), 2);
}

#[tokio::test]
async fn a_newer_file_is_refused_and_left_as_it_is() {
    let Fixture { store, folder, clock } = Fixture::new();
    store.write(note("one")).await.unwrap();
    drop(store);
    let path = folder.path().join("notes.db");
    let conn = Connection::open(&path).unwrap();
    conn.pragma_update(None, "user_version", 3).unwrap();
    conn.close().unwrap();
    let before = fs::read(&path).unwrap();
    let error = Store::open(&path, NOTES, clock.clone()).err().unwrap();
    assert!(matches!(error, StoreError::Newer { found: 3, known: 2, .. }), "{error}");
    let reader = Store::open_read_only(&path, NOTES, clock);
    assert!(matches!(
        reader.read(count).await,
        Err(StoreError::Newer { found: 3, .. })
    ));
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[tokio::test]
async fn an_older_file_is_brought_up_to_date_by_its_owner_and_refused_to_readers() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("notes.db");
    let clock = ManualClock::at(NOON.parse().unwrap());
    let older = Schema {
        steps: &["CREATE TABLE notes (text TEXT NOT NULL UNIQUE) STRICT"],
        prune: |_, _| Ok(()),
        ..NOTES
    };
    let store = Store::open(&path, older, clock.clone()).unwrap();
    store.write(note("kept")).await.unwrap();
    drop(store);
    let error = Store::open_read_only(&path, NOTES, clock.clone()).read(count).await;
    let error = error.unwrap_err().to_string();
    assert!(error.contains("schema version 1, older than 2"), "{error}");
    let store = Store::open(&path, NOTES, clock.clone()).unwrap();
    assert_eq!(store.write(note("new")).await.unwrap(), 2);
    drop(store);
    assert!(matches!(
        Store::open(&path, older, clock),
        Err(StoreError::Newer { found: 2, known: 1, .. })
    ));
}

#[tokio::test]
async fn damaged_and_foreign_files_are_named_and_left_as_they_are() {
    let fixture = Fixture::new();
    for number in 0..50 {
        fixture.store.write(note(format!("{number}{}", large()))).await.unwrap();
    }
    let Fixture { store, folder, clock } = fixture;
    drop(store);
    let path = folder.path().join("notes.db");
    let good = fs::read(&path).unwrap();
    let half = good.len() / 2;
    let mut overwritten = good.clone();
    overwritten[half..half + 40_960].fill(0xA5);
    let foreign = folder.path().join("foreign.db");
    Connection::open(&foreign)
        .unwrap()
        .execute_batch("CREATE TABLE notes (text TEXT)")
        .unwrap();
    let cases = [
        ("cut", good[..half].to_vec()),
        ("overwritten", overwritten),
        ("text", b"this is not a database, but somebody's notes".to_vec()),
        ("foreign", fs::read(&foreign).unwrap()),
    ];
    for (name, bytes) in cases {
        fs::write(&path, &bytes).unwrap();
        let error = Store::open(&path, NOTES, clock.clone()).err().unwrap();
        assert!(matches!(error, StoreError::Damaged { .. }), "{name}: {error}");
        assert!(error.to_string().contains("notes.db"), "{name}: {error}");
        assert_eq!(fs::read(&path).unwrap(), bytes, "{name}");
    }
    fs::write(&path, good).unwrap();
    let store = Store::open(&path, NOTES, clock).unwrap();
    assert_eq!(store.read(count).await.unwrap(), 50);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_cannot_be_opened_yet_is_taken_up_when_it_can_be() {
    let fixture = Fixture::new();
    fixture.store.write(note("one")).await.unwrap();
    let backup = fixture.folder.path().join("backup.db");
    fixture.store.backup_to(&backup).await.unwrap();
    let mode = fs::metadata(&backup).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let Fixture { store, folder, clock } = fixture;
    drop(store);
    let path = folder.path().join("notes.db");
    fs::write(&path, "no database").unwrap();
    let store = Store::open_or_retry(&path, NOTES, clock).unwrap();
    for error in [
        store.last_error().unwrap(),
        store.write(note("two")).await.unwrap_err(),
        store.read(count).await.unwrap_err(),
    ] {
        assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
    }
    fs::rename(&backup, &path).unwrap();
    until("it is open", async || store.last_error().is_none()).await;
    assert_eq!(store.write(note("two")).await.unwrap(), 2);
    assert!(store.sizes().file > 0 && store.sizes().log > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_written_into_a_file_that_was_taken_away() {
    let fixture = Fixture::new();
    fixture.store.write(note("one")).await.unwrap();
    let aside = fixture.folder.path().join("aside.db");
    fixture.store.backup_to(&aside).await.unwrap();
    fs::remove_file(fixture.path()).unwrap();
    let error = fixture.store.write(note("two")).await.unwrap_err().to_string();
    assert!(
        error.contains("was taken away") && error.contains("put it back"),
        "{error}"
    );
    assert!(!fixture.path().exists(), "it is not replaced by an empty one");
    fs::rename(&aside, fixture.path()).unwrap();
    until("it is taken up", async || fixture.store.last_error().is_none()).await;
    assert_eq!(fixture.store.write(note("two")).await.unwrap(), 2);
    let fixture = fixture.reopened(|_| {}).unwrap();
    assert_eq!(fixture.store.read(count).await.unwrap(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_was_taken_away_is_written_back() {
    let fixture = Fixture::new();
    fixture.store.write(note("one")).await.unwrap();
    assert_eq!(fixture.store.read(count).await.unwrap(), 1);
    fs::remove_file(sqlite::log_of(&fixture.path())).unwrap();
    assert_eq!(fixture.store.write(note("two")).await.unwrap(), 2);
    let image = TempDir::new().unwrap();
    for name in ["notes.db", "notes.db-wal"] {
        fs::copy(fixture.folder.path().join(name), image.path().join(name)).unwrap();
    }
    let copy = Connection::open(image.path().join("notes.db")).unwrap();
    assert_eq!(count(&copy).unwrap(), 2, "a crash now would lose nothing");
}

#[tokio::test]
async fn a_log_without_its_file_is_never_taken_for_that_of_a_new_one() {
    let fixture = Fixture::new();
    fixture.store.write(note("one")).await.unwrap();
    let log = fs::read(sqlite::log_of(&fixture.path())).unwrap();
    let opened = fixture.reopened(|path| {
        fs::remove_file(path).unwrap();
        fs::write(sqlite::log_of(path), &log).unwrap();
    });
    let error = opened.err().unwrap().to_string();
    assert!(error.contains("it is gone, and its log is there"), "{error}");
}
