mod crashes;
mod damage;
mod outages;

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use jiff::Timestamp;
use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::{
    clock::{Clock as _, ManualClock},
    model::{
        access::HoldSpan,
        corporate_id::CorporateId,
        guard::{Budget, Charge, KeptTerms, Verdict, VerdictRecord},
    },
};

const WINDOW: SignedDuration = SignedDuration::from_mins(10);
/// Far more than anything here takes.
const PATIENCE: Duration = Duration::from_secs(30);

fn now() -> Timestamp {
    "2026-08-01T12:00:00Z".parse().unwrap()
}

/// A folder for the file, and a clock that stands still.
struct House {
    folder: TempDir,
    clock: Arc<ManualClock>,
}

impl House {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            clock: ManualClock::at(now()),
        }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join(GUARD_FILE)
    }

    fn open(&self) -> (VerdictStore, GuardMemory) {
        let (store, memory) = VerdictStore::open(&self.path(), Arc::clone(&self.clock) as _, WINDOW);
        (store, sorted(memory))
    }

    /// What a process that starts now would know. The store must be closed.
    fn known(&self) -> GuardMemory {
        self.open().1
    }

    /// Names of the files that were moved aside.
    fn aside(&self, what: &str) -> Vec<String> {
        let names = std::fs::read_dir(self.folder.path()).unwrap();
        let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> = names
            .filter(|name| name.starts_with(&format!("{GUARD_FILE}.{what}-")) && !name.ends_with("-wal"))
            .collect();
        names.sort();
        names
    }
}

/// Writes, and waits until it is kept.
fn write(store: &VerdictStore, seq: u64, changes: Vec<GuardChange>) {
    store.write(seq, changes);
    until("it is kept", || *store.kept().borrow() >= seq);
}

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !is_so() {
        assert!(begin.elapsed() < PATIENCE, "in vain: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn sorted(mut memory: GuardMemory) -> GuardMemory {
    memory
        .verdicts
        .sort_by(|a, b| (&a.uid, a.budget).cmp(&(&b.uid, b.budget)));
    memory
        .charges
        .sort_by(|a, b| (&a.who, a.budget).cmp(&(&b.who, b.budget)));
    memory
}

/// What follows from changes, one after the other.
fn replay<'a>(changes: impl IntoIterator<Item = &'a GuardChange>) -> GuardMemory {
    let mut memory = GuardMemory::default();
    for change in changes {
        match change {
            GuardChange::Verdict(record) => {
                memory
                    .verdicts
                    .retain(|old| (&old.uid, old.budget) != (&record.uid, record.budget));
                memory.verdicts.push(record.clone());
            }
            GuardChange::Forget { uid, budget } => {
                memory.verdicts.retain(|old| (&old.uid, old.budget) != (uid, *budget));
            }
            GuardChange::Charge(charge) => {
                memory
                    .charges
                    .retain(|old| (&old.who, old.budget) != (&charge.who, charge.budget));
                memory.charges.push(charge.clone());
            }
        }
    }
    sorted(memory)
}

fn verdict(number: usize) -> GuardChange {
    GuardChange::Verdict(VerdictRecord {
        uid: format!("uid-{number:06}"),
        budget: Budget::Declared,
        key: "0123456789abcdef".to_owned(),
        verdict: Verdict::HeldBack,
        since: now(),
        corporate_id: CorporateId::parse("AB123456").unwrap(),
        name: format!("ab{number:06}"),
        kept: Some(KeptTerms::default()),
        span: None,
    })
}

fn verdicts(count: usize) -> Vec<GuardChange> {
    (0..count).map(verdict).collect()
}

fn charge(who: &str, at: Timestamp) -> GuardChange {
    GuardChange::Charge(Charge {
        budget: Budget::Hr,
        who: who.to_owned(),
        at,
    })
}

fn change() -> impl Strategy<Value = GuardChange> {
    let budget = || proptest::sample::select(Budget::ALL.to_vec());
    // To the nanosecond, and within the window.
    let moment =
        || (0..500_000_000_000i128).prop_map(|n| Timestamp::from_nanosecond(now().as_nanosecond() - n).unwrap());
    let verdict = proptest::sample::select(vec![Verdict::Passed, Verdict::HeldBack, Verdict::Rejected]);
    let kept = (
        proptest::option::of(moment()),
        proptest::option::of(Just(vec!["fra".to_owned()])),
    )
        .prop_map(|(valid_until, gateways)| KeptTerms {
            valid_until,
            gateways,
            ..KeptTerms::default()
        });
    let span = (proptest::option::of(moment()), proptest::option::of(moment()));
    let span = span.prop_map(|(from, until)| HoldSpan { from, until });
    let record = (
        (0..6u8, budget(), "[a-f0-9]{0,8}", verdict),
        (moment(), "[A-Z]{2}[0-9]{6}", "[a-z\u{e9}']{0,6}"),
        (proptest::option::of(kept), proptest::option::of(span)),
    );
    let record = record.prop_map(
        |((uid, budget, key, verdict), (since, id, name), (kept, span))| VerdictRecord {
            uid: format!("uid-{uid}"),
            budget,
            key,
            verdict,
            since,
            corporate_id: CorporateId::parse(&id).unwrap(),
            name,
            kept,
            span,
        },
    );
    prop_oneof![
        4 => record.prop_map(GuardChange::Verdict),
        1 => (0..6u8, budget()).prop_map(|(uid, budget)| GuardChange::Forget { uid: format!("uid-{uid}"), budget }),
        2 => (0..6u8, budget(), moment())
            .prop_map(|(who, budget, at)| GuardChange::Charge(Charge { budget, who: who.to_string(), at })),
    ]
}

/// Lists as they are handed over.
fn lists() -> impl Strategy<Value = Vec<Vec<GuardChange>>> {
    proptest::collection::vec(proptest::collection::vec(change(), 0..6), 1..8)
}

fn len(path: &Path) -> u64 {
    std::fs::metadata(path).unwrap().len()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn what_was_written_is_read_back(lists in lists()) {
        let house = House::new();
        let (store, nothing) = house.open();
        prop_assert_eq!(nothing, GuardMemory::default());
        for (list, seq) in lists.iter().zip(1..) {
            store.write(seq, list.clone());
        }
        // Dropping it flushes.
        drop(store);
        let (store, memory) = house.open();
        prop_assert_eq!(memory, replay(lists.iter().flatten()));
        prop_assert!(store.health().is_good(), "{:?}", store.health());
    }
}

#[test]
fn others_on_the_machine_cannot_read_it() {
    use std::os::unix::fs::PermissionsExt as _;
    let house = House::new();
    let (store, _) = house.open();
    write(&store, 1, verdicts(1));
    for file in ["", "-wal"] {
        let file = crate::sqlite::beside(&house.path(), file);
        let mode = std::fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", file.display());
    }
}

#[test]
fn a_number_without_changes_is_kept_behind_those_before_it() {
    let house = House::new();
    let (store, _) = house.open();
    store.write(1, verdicts(3));
    write(&store, 2, Vec::new());
    drop(store);
    assert_eq!(house.known(), replay(&verdicts(3)));
}

#[test]
fn a_write_costs_as_much_with_ten_thousand_charges_as_with_ten() {
    let pages_of_one_write = |charges: usize| {
        let house = House::new();
        let (store, _) = house.open();
        let charges = (0..charges).map(|n| charge(&format!("ab{n:06}"), now()));
        write(&store, 1, charges.collect());
        let log = crate::sqlite::beside(&house.path(), "-wal");
        // From the second write on nothing is pruned in between.
        write(&store, 2, vec![charge("first", now())]);
        let before = len(&log);
        write(&store, 3, vec![charge("second", now())]);
        let frame = 4096 + 24;
        (len(&log) - before) / frame
    };
    let (few, many) = (pages_of_one_write(10), pages_of_one_write(10_000));
    assert!((1..=4).contains(&few), "{few} pages");
    // The trees are two levels deeper at most.
    assert!((1..=few + 4).contains(&many), "{many} pages instead of {few}");
}

#[test]
fn charges_that_count_no_more_are_removed() {
    let house = House::new();
    let rows = |house: &House| {
        let conn = rusqlite::Connection::open(house.path()).unwrap();
        conn.query_row("SELECT count(*) FROM charges", [], |row| row.get::<_, i64>(0))
            .unwrap()
    };
    let (store, _) = house.open();
    store.write(
        1,
        vec![
            charge("early", now()),
            charge("of a clock that was wrong", Timestamp::MAX),
        ],
    );
    house.clock.advance(Duration::from_secs(300));
    store.write(2, vec![charge("late", house.clock.now())]);
    drop(store);

    house.clock.advance(Duration::from_secs(301));
    let late = replay(&[charge("late", now() + SignedDuration::from_secs(300))]);
    assert_eq!(house.known(), late, "at the opening");
    assert_eq!(rows(&house), 1);

    let (store, _) = house.open();
    house.clock.advance(Duration::from_secs(600));
    write(&store, 1, vec![charge("later", house.clock.now())]);
    drop(store);
    assert_eq!(rows(&house), 1, "with a write");
}
