//! A process that ends at any moment leaves a state that there was, and never less than was kept.

use std::fs;

use super::*;

/// The house as a crash would leave it at this moment.
fn crashed(house: &House) -> House {
    let image = House::new();
    for file in ["", "-wal"] {
        let copy = |path: PathBuf| crate::sqlite::beside(&path, file);
        fs::copy(copy(house.path()), copy(image.path())).unwrap();
    }
    image
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn what_is_kept_survives_a_crash(lists in lists()) {
        let house = House::new();
        let (store, _) = house.open();
        let (mut written, mut before) = (Vec::new(), 0);
        for (list, seq) in lists.into_iter().zip(1..) {
            written.extend(list.clone());
            write(&store, seq, list);
            let kept = *store.kept().borrow();
            prop_assert!(before < kept && kept == seq, "{} after {}", kept, before);
            before = kept;
            prop_assert_eq!(crashed(&house).known(), replay(&written));
        }
    }

    #[test]
    fn a_log_that_is_cut_anywhere_is_a_state_that_there_was(lists in lists(), cut in 0.0..1.0f64) {
        let house = House::new();
        let (store, _) = house.open();
        let mut states = vec![GuardMemory::default()];
        let mut written = Vec::new();
        for (list, seq) in lists.into_iter().zip(1..) {
            written.extend(list.clone());
            write(&store, seq, list);
            states.push(replay(&written));
        }
        let image = crashed(&house);
        let log = crate::sqlite::beside(&image.path(), "-wal");
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "a part of a file's length")]
        let length = (len(&log) as f64 * cut) as u64;
        fs::File::options().write(true).open(&log).unwrap().set_len(length).unwrap();
        let (store, memory) = image.open();
        prop_assert!(states.contains(&memory), "{:?} is none of {:?}", memory, states);
        prop_assert!(store.health().is_good(), "{:?}", store.health());
    }
}

#[test]
fn changes_that_are_queued_together_share_one_flush_and_are_whole() {
    let house = House::new();
    let (store, _) = house.open();
    let log = crate::sqlite::beside(&house.path(), "-wal");
    let before = len(&log);
    for seq in 1..=2000 {
        store.write(seq, vec![charge("ab123456", now()), charge("ab123457", now())]);
    }
    until("all is kept", || *store.kept().borrow() == 2000);
    // Each flush writes at least one page of 4 KB.
    let flushes = (len(&log) - before) / 4096;
    assert!(flushes < 1000, "{flushes} flushes for 2000 writes");
    let both = replay(&[charge("ab123456", now()), charge("ab123457", now())]);
    assert_eq!(crashed(&house).known(), both);
}

#[test]
fn a_crash_while_the_file_was_made_leaves_nothing_to_complain_of() {
    let house = House::new();
    fs::write(house.folder.path().join("guard.db.new"), "half").unwrap();
    fs::write(house.folder.path().join("guard.db.new-journal"), "half").unwrap();
    let (store, memory) = house.open();
    assert_eq!(
        (memory, store.health()),
        (GuardMemory::default(), StoreHealth::default())
    );
    write(&store, 1, verdicts(1));
    drop(store);
    assert_eq!(house.known(), replay(&verdicts(1)));
}
