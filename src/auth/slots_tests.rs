use std::collections::HashSet;

use proptest::prelude::*;

use super::*;

const EPOCH: Epoch = Epoch(7);

struct Bench {
    start: Instant,
    slots: Slots,
    node: Arc<NodeClock>,
    poll: u32,
    shown: HashSet<u32>,
    max: Option<u32>,
}

impl Bench {
    fn new(max: Option<u32>) -> Self {
        let start = Instant::now();
        let node = Arc::new(NodeClock::new(NodeName("default/a".into()), start));
        node.expect(true);
        node.set_vouched(true);
        Self {
            start,
            slots: Slots::default(),
            node,
            poll: 0,
            shown: HashSet::new(),
            max,
        }
    }

    fn at(&self, second: u64) -> Instant {
        self.start + Duration::from_secs(second)
    }

    fn login(&mut self, second: u64) -> Option<u32> {
        let ask = Request {
            epoch: EPOCH,
            now: self.at(second),
            node: &self.node,
            max_devices: self.max,
            first: 0,
        };
        self.slots.admit(&ask).ok()
    }

    /// A poll that began at one second and arrived at another.
    fn poll(&mut self, began: u64, arrived: u64, online: &[u32]) {
        self.poll += 1;
        let (began, arrived) = (self.at(began), self.at(arrived));
        for slot in online {
            self.slots.seen(EPOCH, *slot, &self.node, self.poll);
            self.slots.enforce(EPOCH, self.max, began, arrived);
        }
        for slot in std::mem::replace(&mut self.shown, online.iter().copied().collect()) {
            self.slots.expire(EPOCH, slot, &self.node, self.poll);
        }
        self.node.set_polled(began);
    }
}

#[test]
fn the_lowest_free_slot_is_used_again_once_it_is_known_to_be_gone() {
    let mut bench = Bench::new(None);
    assert_eq!((bench.login(0), bench.login(0)), (Some(0), Some(1)));
    bench.poll(2, 2, &[0, 1]);
    bench.poll(4, 4, &[1]);
    assert_eq!(
        bench.login(5),
        Some(2),
        "slot 0 is not shown, but was handed out less than 12 s ago"
    );
    bench.poll(13, 13, &[1, 2]);
    assert_eq!(bench.login(14), Some(0));
}

#[test]
fn a_poll_that_began_too_early_frees_nothing() {
    let mut bench = Bench::new(None);
    bench.poll(0, 0, &[]);
    assert_eq!(bench.login(1), Some(0));
    bench.poll(11, 30, &[]);
    assert_eq!(bench.login(31), Some(1));
    bench.poll(14, 32, &[]);
    assert_eq!(bench.login(33), Some(0));
}

#[test]
fn a_node_that_cannot_be_polled_keeps_its_slots_and_one_that_never_is_does_not() {
    let mut bench = Bench::new(None);
    assert_eq!(bench.login(0), Some(0));
    assert_eq!(bench.login(1000), Some(1));
    bench.node.expect(false);
    assert_eq!(bench.login(2000), Some(0));
}

#[test]
fn every_yes_is_a_session_of_its_own_however_many_come_from_one_address() {
    let mut bench = Bench::new(Some(4));
    let slots: Vec<_> = (0..6).map(|_| bench.login(0)).collect();
    assert_eq!(
        slots,
        [Some(0), Some(1), Some(2), Some(3), Some(4), None],
        "four, and one more for a while"
    );
}

#[test]
fn who_is_not_there_any_more_does_not_count_as_a_device_and_keeps_its_number() {
    let mut bench = Bench::new(Some(1));
    assert_eq!((bench.login(0), bench.login(1)), (Some(0), Some(1)));
    assert_eq!(bench.login(2), None);
    bench.poll(2, 2, &[]);
    assert_eq!(
        bench.login(3),
        Some(2),
        "both were closed, and their numbers may still turn up"
    );
    bench.poll(4, 4, &[2]);
    assert_eq!(
        (bench.login(5), bench.login(5)),
        (Some(3), None),
        "one is there, and one more for a while"
    );
}

#[test]
fn a_refused_login_says_from_when_on_nodes_know_better() {
    let mut bench = Bench::new(Some(1));
    assert_eq!((bench.login(0), bench.login(5)), (Some(0), Some(1)));
    bench.poll(5, 5, &[0]);
    let (node, now) = (bench.node.clone(), bench.at(5));
    let mut ask = |max_devices| {
        bench.slots.admit(&Request {
            epoch: EPOCH,
            now,
            node: &node,
            max_devices,
            first: 0,
        })
    };
    let ask_after = Some(now + SETTLE);
    assert_eq!(
        ask(Some(1)),
        Err(TooMany { ask_after }),
        "a poll that began with our yes says nothing"
    );
    assert_eq!(ask(Some(0)), Err(TooMany { ask_after: None }), "nobody may");
}

#[test]
fn what_a_node_does_not_show_is_there_until_it_has_shown_anything() {
    let mut bench = Bench::new(None);
    bench.node.set_vouched(false);
    assert_eq!(bench.login(0), Some(0));
    bench.poll(20, 20, &[]);
    assert_eq!(bench.login(20), Some(1));
    let now = bench.at(21);
    let (ids, left) = bench.slots.take_known("corp_a", Epoch(8), now);
    assert_eq!((ids.len(), left.len()), (2, 0));
    assert!(bench.slots.misses(&bench.node, Epoch(8)));
    assert!(
        !bench.slots.misses(&bench.node, EPOCH),
        "sessions of the present epoch may live"
    );
    bench.node.set_vouched(true);
    assert!(!bench.slots.misses(&bench.node, Epoch(8)));
}

#[test]
fn a_session_that_could_not_be_seen_yet_is_not_missed() {
    let mut bench = Bench::new(None);
    bench.node.set_vouched(false);
    assert_eq!(bench.login(1), Some(0));
    bench.poll(5, 5, &[]);
    let now = bench.at(6);
    bench.slots.take_known("corp_a", Epoch(8), now);
    bench.poll(7, 7, &[]);
    assert!(
        !bench.slots.misses(&bench.node, Epoch(8)),
        "it may have been cut before it was seen"
    );
}

#[test]
fn who_was_on_a_node_that_is_gone_is_named_once_with_it() {
    let mut bench = Bench::new(None);
    assert_eq!((bench.login(0), bench.login(0)), (Some(0), Some(1)));
    bench.poll(13, 13, &[0]);
    let (node, now) = (bench.node.clone(), bench.at(20));
    node.remove();
    bench.slots.lost_sight(EPOCH, 0, &node, now);
    let now = bench.at(4000);
    let (ids, left) = bench.slots.take_known("corp_a", Epoch(8), now);
    assert_eq!(ids, ["corp_a.7.0"], "the other was gone before");
    assert_eq!(left, [NodeName("default/a".into())]);
    assert_eq!(bench.slots.take_known("corp_a", Epoch(9), now), (vec![], vec![]));
}

#[test]
fn a_phone_that_changes_networks_gets_one_extra_session_and_no_second() {
    let mut bench = Bench::new(Some(1));
    assert_eq!(bench.login(0), Some(0));
    bench.poll(1, 1, &[0]);
    assert_eq!(bench.login(20), Some(1));
    bench.poll(21, 21, &[0, 1]);
    assert_eq!(bench.login(22), None);
    bench.poll(50, 50, &[1]);
    assert!(!bench.slots.is_surplus(EPOCH, 1), "the old session went away in time");
    assert_eq!(bench.login(51), Some(0), "and the next change of networks is welcome");
}

#[test]
fn a_surplus_that_stays_is_cut_and_not_allowed_again_for_ten_minutes() {
    let mut bench = Bench::new(Some(2));
    assert_eq!(
        (bench.login(0), bench.login(0), bench.login(20)),
        (Some(0), Some(1), Some(2))
    );
    for second in 21..60 {
        bench.poll(second, second, &[0, 1, 2]);
        assert!(!bench.slots.is_surplus(EPOCH, 2), "at {second}");
    }
    bench.poll(61, 61, &[0, 1, 2]);
    assert_eq!(
        [0, 1, 2].map(|slot| bench.slots.is_surplus(EPOCH, slot)),
        [false, false, true]
    );
    bench.poll(62, 62, &[0, 1]);
    assert_eq!(bench.login(80), None);
    bench.poll(660, 660, &[0, 1]);
    assert_eq!(
        bench.login(662),
        Some(3),
        "slot 2 was kicked, and a kick may be left over"
    );
}

#[test]
fn a_limit_that_is_lowered_cuts_the_newest_sessions() {
    let mut bench = Bench::new(None);
    for second in 0..4 {
        assert!(bench.login(second).is_some());
    }
    bench.poll(5, 5, &[0, 1, 2, 3]);
    bench.max = Some(2);
    bench.poll(20, 20, &[0, 1, 2, 3]);
    bench.poll(59, 59, &[0, 1, 2, 3]);
    assert!(!bench.slots.is_surplus(EPOCH, 3));
    bench.poll(60, 60, &[0, 1, 2, 3]);
    assert_eq!(
        [0, 1, 2, 3].map(|slot| bench.slots.is_surplus(EPOCH, slot)),
        [false, false, true, true]
    );
}

#[test]
fn an_account_has_no_more_than_so_many_slots() {
    let mut bench = Bench::new(None);
    for number in 0..1024 {
        assert_eq!(bench.login(0), Some(number));
    }
    assert_eq!(bench.login(0), None);
}

#[test]
fn who_logs_in_without_end_and_never_connects_is_still_let_in() {
    let mut bench = Bench::new(None);
    for _ in 0..1024 {
        assert!(bench.login(0).is_some());
    }
    assert_eq!(bench.login(1), None);
    bench.poll(1, 1, &[]);
    assert!(bench.login(1).is_some());
}

#[test]
fn sessions_of_past_epochs_are_named_until_they_are_known_to_be_gone() {
    let mut bench = Bench::new(None);
    bench.login(0);
    bench.login(0);
    bench.poll(1, 1, &[0, 1]);
    let now = bench.at(2);
    let known = |bench: &mut Bench, below, now| bench.slots.take_known("corp_a", Epoch(below), now).0;
    assert_eq!(known(&mut bench, 8, now), ["corp_a.7.0", "corp_a.7.1"]);
    bench.poll(13, 13, &[1]);
    let now = bench.at(14);
    assert_eq!(known(&mut bench, 9, now), ["corp_a.7.1"]);
    bench.poll(15, 15, &[]);
    let now = bench.at(16);
    assert!(known(&mut bench, 9, now).is_empty());
}

proptest! {
    /// Sessions register up to ten seconds after the yes, live as long as they like, and are polled at odd moments.
    #[test]
    fn two_live_sessions_never_share_a_slot(
        steps in proptest::collection::vec((0..8u64, 0..4u8, 0..10u64, 0..12u64), 1..150),
        max in proptest::option::of(0..5u32),
    ) {
        let mut bench = Bench::new(max);
        let mut now = 0;
        let mut live: Vec<(u32, u64, u64)> = Vec::new();
        let mut began: Option<(u64, Vec<u32>)> = None;
        for (pause, what, late, pick) in steps {
            now += pause;
            match what {
                0 => {
                    if let Some(slot) = bench.login(now) {
                        prop_assert!(live.iter().all(|(taken, _, _)| *taken != slot), "slot {slot} at {now}: {live:?}");
                        live.push((slot, now, now + late));
                    }
                    // Of who registers late, polls knew nothing.
                    if let Some(max) = max && live.iter().all(|(_, said, registers)| said == registers) {
                        let shown = live.iter().filter(|(_, at, _)| now < at + 12).count();
                        prop_assert!(shown <= max as usize + 1);
                    }
                }
                1 => began = Some((now, live.iter().filter(|it| it.2 <= now).map(|it| it.0).collect())),
                2 => if let Some((at, online)) = began.take() {
                    bench.poll(at, now, &online);
                },
                _ => if !live.is_empty() {
                    let at = usize::try_from(pick).unwrap() % live.len();
                    if live[at].2 <= now {
                        live.swap_remove(at);
                    }
                },
            }
        }
    }
}
