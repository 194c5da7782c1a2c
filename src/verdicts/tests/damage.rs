//! Files that cannot be used as they are: the process starts, says so, keeps them, and goes on with what could be read.

use std::fs;

use super::*;

/// A house whose file holds so many verdicts.
fn filled(count: usize) -> House {
    let house = House::new();
    let (store, _) = house.open();
    // In the order of time, as they come: what came first stands in front.
    for (group, seq) in verdicts(count).chunks(100).zip(1..) {
        write(&store, seq, group.to_vec());
    }
    drop(store);
    house
}

/// Opens it, and sees to it that the file was moved aside and a new one works. Answers what could be read.
fn replaced(house: &House, what: &str, said: &str) -> Vec<VerdictRecord> {
    let original = fs::read(house.path()).unwrap();
    let (store, memory) = house.open();
    let found = store.health().found.join("\n");
    let aside = house.aside(what);
    assert_eq!(aside.len(), 1, "{aside:?}: {found}");
    assert!(found.contains(said) && found.contains(&aside[0]), "{found}");
    assert!(store.health().failing.is_none(), "{:?}", store.health());
    assert_eq!(fs::read(house.folder.path().join(&aside[0])).unwrap(), original);

    write(&store, 1, vec![charge("ab123456", now())]);
    assert!(!store.health().is_good(), "it is said until the process ends");
    drop(store);
    let (store, after) = house.open();
    assert_eq!(after.verdicts, memory.verdicts);
    assert_eq!(after.charges.len(), 1);
    assert!(store.health().is_good(), "{:?}", store.health());
    memory.verdicts
}

#[test]
fn an_empty_file_is_moved_aside() {
    let house = filled(10);
    fs::write(house.path(), "").unwrap();
    assert_eq!(replaced(&house, "damaged", "it is empty"), []);
}

#[test]
fn a_file_that_is_no_database_is_moved_aside() {
    let house = filled(10);
    fs::write(house.path(), vec![b'x'; 8192]).unwrap();
    assert_eq!(replaced(&house, "damaged", "not a database"), []);
}

#[test]
fn a_database_of_another_program_is_moved_aside() {
    let house = House::new();
    let conn = rusqlite::Connection::open(house.path()).unwrap();
    conn.execute_batch("CREATE TABLE verdicts (uid TEXT); INSERT INTO verdicts VALUES ('a');")
        .unwrap();
    drop(conn);
    assert_eq!(replaced(&house, "damaged", "another program"), []);
}

#[test]
fn a_newer_file_is_moved_aside_unread() {
    let house = filled(10);
    let conn = rusqlite::Connection::open(house.path()).unwrap();
    conn.pragma_update(None, "user_version", 2).unwrap();
    conn.close().unwrap();
    assert_eq!(replaced(&house, "newer", "newer version of vpn-operator"), []);
}

#[test]
fn of_a_file_that_is_cut_what_is_left_is_read() {
    // Few enough that one page leads to all of them; what it leads to behind the cut is lost.
    let house = filled(700);
    let file = fs::File::options().write(true).open(house.path()).unwrap();
    file.set_len(len(&house.path()) / 2 + 7).unwrap();
    let read = replaced(&house, "damaged", "damaged");
    let all = replay(&verdicts(700)).verdicts;
    assert!((100..700).contains(&read.len()), "{}", read.len());
    assert!(read.iter().all(|record| all.contains(record)));
}

#[test]
fn a_damaged_page_costs_what_stands_on_it() {
    let house = filled(2000);
    let mut bytes = fs::read(house.path()).unwrap();
    let middle = bytes.len() / 2 / 4096 * 4096;
    bytes[middle..middle + 4096].fill(0xa5);
    fs::write(house.path(), bytes).unwrap();
    let read = replaced(&house, "damaged", "damaged");
    assert!((1900..2000).contains(&read.len()), "{}", read.len());
}

#[test]
fn a_row_that_cannot_be_read_is_left_out_and_counted() {
    let house = filled(10);
    let conn = rusqlite::Connection::open(house.path()).unwrap();
    let faults = [
        "verdict = 'Maybe'",
        "kept = '{'",
        "since = 'yesterday'",
        "corporate_id = '?'",
    ];
    for (fault, number) in faults.iter().zip(6..) {
        let rows = conn.execute(
            &format!("UPDATE verdicts SET {fault} WHERE uid = 'uid-00000{number}'"),
            [],
        );
        assert_eq!(rows.unwrap(), 1, "{fault}");
    }
    conn.close().unwrap();
    let (store, memory) = house.open();
    assert_eq!(memory, replay(&verdicts(6)));
    let found = store.health().found;
    assert!(
        matches!(&found[..], [line] if line.starts_with("4 rows of ")),
        "{found:?}"
    );
}

#[test]
fn what_was_moved_aside_before_stays() {
    let house = House::new();
    for content in ["first", "second", "third"] {
        fs::write(house.path(), content).unwrap();
        drop(house.open());
    }
    let aside = house.aside("damaged");
    let contents: Vec<_> = aside
        .iter()
        .map(|name| fs::read_to_string(house.folder.path().join(name)).unwrap())
        .collect();
    assert_eq!(
        (aside, contents),
        (
            ["", "-2", "-3"]
                .map(|again| format!("guard.db.damaged-20260801T120000Z{again}"))
                .into(),
            ["first", "second", "third"].map(str::to_owned).into()
        )
    );
}

#[test]
fn a_log_without_its_file_is_never_taken_for_that_of_another() {
    let house = House::new();
    let (store, _) = house.open();
    write(&store, 1, verdicts(100));
    let image = House::new();
    let log = crate::sqlite::beside(&image.path(), "-wal");
    fs::copy(crate::sqlite::beside(&house.path(), "-wal"), &log).unwrap();
    drop(store);

    let (store, memory) = image.open();
    assert_eq!(memory, GuardMemory::default());
    assert!(
        store.health().found.join("").contains("its log is there"),
        "{:?}",
        store.health()
    );
    write(&store, 1, vec![verdict(1)]);
    drop(store);
    assert_eq!(image.known(), replay(&[verdict(1)]));
}
