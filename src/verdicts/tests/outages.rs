//! A disk that refuses, a file that is taken away, another process: it goes on in memory, says so, and catches up.

use std::fs;

use super::*;

/// Leaves room for so many pages.
fn limit_pages(store: &VerdictStore, most: u32) {
    let limit =
        move |conn: &rusqlite::Connection| conn.pragma_update_and_check(None, "max_page_count", most, |_| Ok(()));
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(store.store.as_ref().unwrap().write(limit)).unwrap();
}

fn failing(store: &VerdictStore) -> Option<String> {
    store.health().failing.map(|failing| failing.why)
}

#[test]
fn a_folder_that_is_missing_is_used_once_it_is_there() {
    let mut house = House::new();
    let parent = house.folder;
    house.folder = tempfile::tempdir_in(parent.path()).unwrap();
    fs::remove_dir(house.folder.path()).unwrap();
    let (store, memory) = house.open();
    assert_eq!(memory, GuardMemory::default());
    assert!(
        failing(&store).unwrap().contains("create the folder"),
        "{:?}",
        store.health()
    );
    store.write(1, verdicts(3));

    fs::create_dir(house.folder.path()).unwrap();
    until("it is kept", || *store.kept().borrow() == 1);
    until("it is said", || store.health().failing.is_none());
    drop(store);
    assert_eq!(house.known(), replay(&verdicts(3)));
}

#[test]
fn a_full_disk_keeps_the_latest_of_each_row_until_there_is_room() {
    let house = House::new();
    let (store, _) = house.open();
    write(&store, 1, verdicts(5));
    limit_pages(&store, 1);
    let mut all = verdicts(2000);
    store.write(2, all.clone());
    until("it is said", || {
        failing(&store).is_some_and(|why| why.contains("free some"))
    });
    for seq in 3..100 {
        let change = charge("ab123456", now() + SignedDuration::from_secs(seq));
        all.push(change.clone());
        store.write(seq.unsigned_abs(), vec![change]);
    }
    assert_eq!(*store.kept().borrow(), 1);
    let waits = || store.ledger.waiting();
    until("one of each row waits", || waits() == 2001);
    assert!(
        store.health().lines()[0].contains("no space is left"),
        "{:?}",
        store.health()
    );

    limit_pages(&store, 1_000_000);
    until("all is kept", || *store.kept().borrow() == 99);
    assert!(store.health().is_good(), "{:?}", store.health());
    drop(store);
    assert_eq!(house.known(), replay(&all));
}

#[test]
fn a_file_that_cannot_be_written_is_read_and_replaced_later() {
    let house = House::new();
    let (store, _) = house.open();
    store.write(1, verdicts(50));
    drop(store);
    // What SQLite wants to write beside the file is in the way, as when there is no room for it.
    let [log, new] = ["-wal", ".new"].map(|suffix| crate::sqlite::beside(&house.path(), suffix));
    fs::create_dir(&log).unwrap();
    fs::create_dir_all(new.join("full")).unwrap();
    let (store, memory) = house.open();
    assert_eq!(memory, replay(&verdicts(50)));
    assert!(failing(&store).is_some());
    store.write(1, vec![verdict(50)]);
    assert_eq!(*store.kept().borrow(), 0);

    fs::remove_dir(&log).unwrap();
    fs::remove_dir_all(&new).unwrap();
    until("it is kept", || *store.kept().borrow() == 1);
    drop(store);
    assert_eq!(house.known(), replay(&verdicts(51)));
    assert_eq!(house.aside("unread").len(), 1);
}

#[test]
fn a_file_that_is_taken_away_is_written_anew_and_whole() {
    for file in ["", "-wal"] {
        let house = House::new();
        let (store, _) = house.open();
        write(&store, 1, verdicts(20));
        fs::remove_file(crate::sqlite::beside(&house.path(), file)).unwrap();
        write(&store, 2, vec![verdict(20)]);
        let found = store.health().found.join("");
        assert!(found.contains("taken away"), "{found}");
        drop(store);
        assert_eq!(house.known(), replay(&verdicts(21)), "{file}");
    }
}

#[test]
fn a_file_that_is_put_in_its_place_is_kept_and_not_believed() {
    let (house, other) = (House::new(), House::new());
    let (store, _) = other.open();
    store.write(1, vec![verdict(7)]);
    drop(store);
    let (store, _) = house.open();
    write(&store, 1, verdicts(3));
    fs::rename(other.path(), house.path()).unwrap();
    write(&store, 2, vec![charge("ab123456", now())]);
    drop(store);
    let mut all = verdicts(3);
    all.push(charge("ab123456", now()));
    assert_eq!(house.known(), replay(&all));
    assert_eq!(house.aside("unread").len(), 1);
}

#[test]
fn two_processes_never_write_one_file() {
    let house = House::new();
    let (first, _) = house.open();
    write(&first, 1, verdicts(3));
    let (second, memory) = house.open();
    assert_eq!(memory, GuardMemory::default());
    let owner = format!("in use by process {}", std::process::id());
    assert!(failing(&second).unwrap().contains(&owner), "{:?}", second.health());
    second.write(1, vec![verdict(9)]);
    write(&first, 2, vec![verdict(3)]);
    assert_eq!(*second.kept().borrow(), 0);

    // The second knows nothing of what the first wrote, so it keeps that, and begins its own.
    drop(first);
    until("the second takes over", || *second.kept().borrow() == 1);
    assert_eq!(house.aside("unread").len(), 1);
    drop(second);
    assert_eq!(house.known(), replay(&[verdict(9)]));
}

#[test]
fn an_end_while_the_disk_refuses_waits_for_nothing() {
    let house = House::new();
    let (store, _) = house.open();
    write(&store, 1, verdicts(3));
    limit_pages(&store, 1);
    store.write(2, verdicts(2000));
    until("it is said", || failing(&store).is_some());
    drop(store);
    assert_eq!(house.known(), replay(&verdicts(3)));
}
