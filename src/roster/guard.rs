//! The guard's budgets: how many people may lose access by one kind of cause within a time before a person has to agree.
//!
//! Pure. It knows names and times; what becomes of a cause is decided in [`super::judge`].

use std::collections::{BTreeSet, HashMap};

use jiff::{SignedDuration, Timestamp};

/// Who counts against a budget at present: each once, from the latest time on. Every operation costs the same however many
/// were counted before.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Window {
    latest: HashMap<Box<str>, Timestamp>,
    by_time: BTreeSet<(Timestamp, Box<str>)>,
}

impl Window {
    /// Forgets who was counted longer ago than `window`. A clock that was set back forgets nothing of the window before.
    fn prune(&mut self, now: Timestamp, window: SignedDuration) {
        let over = |at: Timestamp| now.duration_since(at).abs() >= window;
        while let Some((at, _)) = self.by_time.first()
            && over(*at)
            && let Some((_, who)) = self.by_time.pop_first()
        {
            self.latest.remove(&who);
        }
        while let Some((at, _)) = self.by_time.last()
            && over(*at)
            && let Some((_, who)) = self.by_time.pop_last()
        {
            self.latest.remove(&who);
        }
    }

    /// How many count at `now`.
    pub fn used(&mut self, now: Timestamp, window: SignedDuration) -> usize {
        self.prune(now, window);
        self.latest.len()
    }

    /// Whether this one counts already.
    pub fn has(&self, who: &str) -> bool {
        self.latest.contains_key(who)
    }

    /// Counts somebody from now on.
    pub fn charge(&mut self, who: &str, at: Timestamp) {
        if let Some(before) = self.latest.insert(who.into(), at) {
            self.by_time.remove(&(before, who.into()));
        }
        self.by_time.insert((at, who.into()));
    }
}

/// What would happen at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Batch {
    /// Who would lose access and does not count yet.
    pub fresh: usize,
    /// Everybody who would lose access.
    pub size: usize,
    /// How many of them because an object disappeared, which may be somebody's mistake.
    pub disappeared: usize,
    /// Of how many in all.
    pub population: usize,
}

/// Whether a batch takes effect. It is never divided. `allowed` is the most that may count within the window; `None` switches
/// the guard off.
pub(super) fn passes(batch: Batch, used: usize, allowed: Option<usize>) -> bool {
    let Some(allowed) = allowed else { return true };
    let too_many = batch.fresh > 0 && used + batch.fresh > allowed;
    let nobody_left = batch.disappeared >= 2 && batch.size >= batch.population;
    !(too_many || nobody_left)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const WINDOW: SignedDuration = SignedDuration::from_mins(10);

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    proptest! {
        #[test]
        fn never_more_people_than_allowed_pass_in_any_window(
            steps in proptest::collection::vec((0..400i64, proptest::collection::btree_set(0..40u8, 0..12)), 1..80), allowed in 0..15usize,
        ) {
            let mut window = Window::default();
            let mut now = 0;
            let mut passed: Vec<(i64, u8)> = Vec::new();
            for (pause, people) in steps {
                now += pause;
                let used = window.used(at(now), WINDOW);
                let counted: BTreeSet<u8> = people.iter().copied().filter(|who| window.has(&who.to_string())).collect();
                let fresh = people.len() - counted.len();
                let batch = Batch { fresh, size: people.len(), disappeared: 0, population: 1000 };
                if passes(batch, used, Some(allowed)) {
                    for who in people {
                        window.charge(&who.to_string(), at(now));
                        passed.push((now, who));
                    }
                }
                let lately: BTreeSet<u8> = passed.iter().filter(|(t, _)| now - t < 600).map(|(_, who)| *who).collect();
                prop_assert_eq!(window.used(at(now), WINDOW), lately.len());
                prop_assert!(lately.len() <= allowed);
            }
        }
    }

    #[test]
    fn one_person_toggled_ten_times_counts_once() {
        let mut window = Window::default();
        for second in 0..10 {
            window.charge("ab123456", at(second));
        }
        assert_eq!(window.used(at(10), WINDOW), 1);
        assert_eq!(window.used(at(609), WINDOW), 0, "ten minutes after the last time");
    }

    #[test]
    fn one_of_one_passes_and_two_of_two_that_disappear_do_not() {
        let batch = |size, disappeared, population| {
            passes(
                Batch {
                    fresh: size,
                    size,
                    disappeared,
                    population,
                },
                0,
                Some(10),
            )
        };
        assert!(batch(1, 1, 1));
        assert!(!batch(2, 2, 2));
        assert!(batch(2, 0, 2), "edits are explicit");
        assert!(batch(2, 2, 3));
    }

    #[test]
    fn a_clock_that_was_set_back_a_little_forgets_nothing() {
        let mut window = Window::default();
        for who in 0..8 {
            window.charge(&who.to_string(), at(100));
        }
        assert_eq!(window.used(at(50), WINDOW), 8);
    }
}
