use super::*;

const WALL: Timestamp = Timestamp::UNIX_EPOCH;

fn at(seconds: u64) -> Duration {
    Duration::from_secs(1_000 + seconds)
}

fn candidate() -> Candidate {
    Candidate::new("me".to_owned(), Times::default())
}

fn record(holder: &str) -> Record {
    Record {
        holder: holder.to_owned(),
        duration_seconds: 15,
        acquired: Some(WALL),
        renewed: Some(WALL),
        transitions: 3,
    }
}

fn seen(holder: &str, version: &str) -> Seen {
    Seen {
        record: record(holder),
        version: version.to_owned(),
    }
}

fn later(seconds: i64) -> Timestamp {
    WALL + jiff::SignedDuration::from_secs(seconds)
}

/// One that has held the lease since `at(0)`.
fn holder() -> Candidate {
    let mut me = candidate();
    assert_eq!(me.next(at(0), WALL), Step::Read);
    me.read(None, at(0));
    let Step::Create(record) = me.next(at(0), WALL) else {
        panic!("a lease that is missing is free");
    };
    let version = "1".to_owned();
    me.wrote(Seen { record, version }, at(0), at(1));
    me
}

#[test]
fn a_missing_lease_is_created_and_held_from_the_beginning_of_the_call() {
    let me = holder();
    assert_eq!((me.held_until(), me.holder()), (Some(at(10)), Some("me")));
}

#[test]
fn an_empty_holder_is_free_at_once_and_the_transition_counts() {
    let mut me = candidate();
    me.next(at(0), WALL);
    me.read(Some(seen("", "7")), at(0));
    let expected = Record {
        holder: "me".to_owned(),
        duration_seconds: 15,
        acquired: Some(later(60)),
        renewed: Some(later(60)),
        transitions: 4,
    };
    assert_eq!(me.next(at(0), later(60)), Step::Replace(expected, "7".to_owned()));
}

#[test]
fn anothers_lease_is_taken_only_after_it_was_seen_unchanged_for_its_whole_duration() {
    let mut me = candidate();
    let wall_is_hours_ahead = later(36_000);
    for (now, version, waits) in [
        (0, "7", true),
        (14, "7", true),
        (15, "8", true),
        (29, "8", true),
        (30, "8", false),
    ] {
        assert_eq!(me.next(at(now), wall_is_hours_ahead), Step::Read);
        me.read(Some(seen("other", version)), at(now));
        assert_eq!(
            me.next(at(now), wall_is_hours_ahead) == Step::Wait,
            waits,
            "after {now} s"
        );
    }
}

#[test]
fn a_longer_lease_is_respected_and_a_shorter_one_is_not_believed() {
    for (says, from) in [(40, 40), (1, 15), (-5, 15)] {
        let mut me = candidate();
        let mut lease = seen("other", "7");
        lease.record.duration_seconds = says;
        for (now, waits) in [(0, true), (from - 1, true), (from, false)] {
            me.next(at(now), WALL);
            me.read(Some(lease.clone()), at(now));
            assert_eq!(me.next(at(now), WALL) == Step::Wait, waits, "{says} s, after {now} s");
        }
    }
}

#[test]
fn a_lease_that_is_deleted_frees_nobodys_fence_before_its_time() {
    let mut me = candidate();
    me.next(at(0), WALL);
    me.read(Some(seen("other", "7")), at(0));
    me.next(at(0), WALL);
    for (now, waits) in [(2, true), (14, true), (15, false)] {
        assert_eq!(me.next(at(now), WALL), Step::Read);
        me.read(None, at(now));
        assert_eq!(me.next(at(now), WALL) == Step::Wait, waits, "after {now} s");
    }
}

#[test]
fn a_renewal_keeps_the_time_of_acquiring_and_the_transitions() {
    let mut me = holder();
    let Step::Replace(record, version) = me.next(at(2), later(2)) else {
        panic!("the holder renews without reading");
    };
    assert_eq!(version, "1");
    assert_eq!(
        (record.acquired, record.renewed, record.transitions),
        (Some(WALL), Some(later(2)), 0)
    );
    me.wrote(
        Seen {
            record,
            version: "2".to_owned(),
        },
        at(2),
        at(4),
    );
    assert_eq!(me.held_until(), Some(at(12)));
}

#[test]
fn a_renewal_is_a_change_also_when_the_wall_clock_stands_still() {
    let mut me = holder();
    let Step::Replace(record, _) = me.next(at(2), WALL) else {
        panic!("the holder renews");
    };
    assert!(record.renewed > Some(WALL));
}

#[test]
fn a_holder_that_was_refused_or_not_answered_reads_before_it_writes() {
    let mut me = holder();
    assert!(matches!(me.next(at(2), WALL), Step::Replace(..)));
    assert_eq!(me.next(at(5), WALL), Step::Read, "no answer came");
    me.read(Some(seen("me", "2")), at(5));
    assert!(matches!(me.next(at(5), WALL), Step::Replace(_, version) if version == "2"));
    me.conflicted();
    assert_eq!(me.next(at(5), WALL), Step::Read);
    assert_eq!(me.held_until(), Some(at(10)), "a read renews nothing");
}

#[test]
fn a_holder_that_sees_another_has_lost() {
    for other in ["other", ""] {
        let mut me = holder();
        me.next(at(2), WALL);
        me.conflicted();
        assert_eq!(me.next(at(2), WALL), Step::Read);
        me.read(Some(seen(other, "9")), at(2));
        assert_eq!(me.next(at(2), WALL), Step::Lost(Loss::Taken(other.to_owned())));
    }
}

#[test]
fn a_holder_creates_its_lease_anew_when_it_was_deleted() {
    let mut me = holder();
    me.next(at(2), WALL);
    me.conflicted();
    me.next(at(2), WALL);
    me.read(None, at(2));
    let Step::Create(record) = me.next(at(2), later(2)) else {
        panic!("the lease is still its own");
    };
    assert_eq!((record.acquired, record.transitions), (Some(WALL), 0));
}

#[test]
fn after_the_deadline_nothing_brings_a_term_back() {
    let mut me = holder();
    let Step::Replace(record, _) = me.next(at(9), WALL) else {
        panic!("the holder renews");
    };
    let version = "2".to_owned();
    me.wrote(Seen { record, version }, at(9), at(10));
    assert_eq!(me.next(at(10), WALL), Step::Lost(Loss::Deadline));
}

#[test]
fn an_answer_after_the_deadline_begins_no_term() {
    let mut me = candidate();
    me.next(at(0), WALL);
    me.read(None, at(0));
    me.next(at(0), WALL);
    me.wrote(seen("me", "1"), at(0), at(10));
    assert_eq!(me.held_until(), None);
    assert!(matches!(me.next(at(12), WALL), Step::Replace(..)), "it renews first");
    me.wrote(seen("me", "2"), at(12), at(13));
    assert_eq!(me.held_until(), Some(at(22)));
}

#[test]
fn giving_back_empties_the_holder_and_ends() {
    let mut me = holder();
    me.resign();
    assert_eq!(me.held_until(), None);
    let Step::Replace(record, version) = me.next(at(3), later(3)) else {
        panic!("the lease is its own");
    };
    let expected = Record {
        holder: String::new(),
        duration_seconds: 1,
        acquired: Some(later(3)),
        renewed: Some(later(3)),
        transitions: 0,
    };
    assert_eq!((record.clone(), version.as_str()), (expected, "1"));
    let version = "2".to_owned();
    me.wrote(Seen { record, version }, at(3), at(3));
    assert_eq!(me.next(at(3), WALL), Step::Resigned);
}

#[test]
fn who_may_hold_it_by_an_answer_that_was_lost_gives_it_back_too() {
    let mut me = candidate();
    me.next(at(0), WALL);
    me.read(None, at(0));
    assert!(!me.may_hold());
    assert!(matches!(me.next(at(0), WALL), Step::Create(_)));
    assert!(me.may_hold());
    me.resign();
    assert_eq!(me.next(at(1), WALL), Step::Read);
    me.read(Some(seen("me", "1")), at(1));
    assert!(matches!(me.next(at(1), WALL), Step::Replace(record, _) if record.holder.is_empty()));
}

#[test]
fn what_another_holds_is_not_given_back() {
    let mut me = holder();
    me.next(at(2), WALL);
    me.resign();
    assert_eq!(me.next(at(2), WALL), Step::Read);
    me.read(Some(seen("other", "9")), at(2));
    assert_eq!(me.next(at(2), WALL), Step::Resigned);
}
