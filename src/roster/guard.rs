//! The guard: how much access may be taken away, or given back by lost holds, before a person has to agree.
//!
//! Pure. It knows numbers and times; whom they concern is the roster's business.

use std::collections::VecDeque;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// The time over which is counted.
pub const WINDOW: SignedDuration = SignedDuration::from_mins(10);
/// What passes in a [`WINDOW`] however few there are.
const SMALLEST_LIMIT: usize = 10;

/// How many may pass in a [`WINDOW`] out of so many: ten, or 5 % if that is more.
#[must_use]
pub const fn limit(population: usize) -> usize {
    let share = population / 20;
    if share > SMALLEST_LIMIT { share } else { SMALLEST_LIMIT }
}

/// What would happen at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Batch {
    /// How many.
    pub size: usize,
    /// How many of them because an object disappeared.
    pub disappeared: usize,
    /// Of how many in all.
    pub population: usize,
}

/// What the guard says to a batch. It is never divided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ruling {
    /// All of it takes effect, and is counted.
    Pass,
    /// None of it takes effect until a person confirms.
    HoldBack,
}

/// What passed lately.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recent(VecDeque<Timestamp>);

impl Recent {
    /// How many passed within the last [`WINDOW`]. A clock that was set back forgets nothing of the window before.
    #[must_use]
    pub fn count(&self, now: Timestamp) -> usize {
        self.0
            .iter()
            .filter(|at| now.duration_since(**at).abs() < WINDOW)
            .count()
    }

    /// Decides a batch, and counts it if it passes.
    pub fn judge(&mut self, batch: Batch, now: Timestamp) -> Ruling {
        self.0.retain(|at| now.duration_since(*at).abs() < WINDOW);
        let too_many = self.0.len() + batch.size > limit(batch.population);
        let nobody_left = batch.disappeared >= 2 && batch.size >= batch.population;
        if batch.size > 0 && (too_many || nobody_left) {
            return Ruling::HoldBack;
        }
        self.0.extend(std::iter::repeat_n(now, batch.size));
        Ruling::Pass
    }
}

impl From<Vec<Timestamp>> for Recent {
    fn from(times: Vec<Timestamp>) -> Self {
        Self(times.into())
    }
}

impl From<&Recent> for Vec<Timestamp> {
    fn from(recent: &Recent) -> Self {
        recent.0.iter().copied().collect()
    }
}

/// What of the guard has to outlive the process.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct GuardState {
    /// When denials passed.
    pub denials: Vec<Timestamp>,
    /// When losses of holds passed.
    pub lost_holds: Vec<Timestamp>,
    /// Denials that are held back.
    pub held_back: Vec<HeldBackDenial>,
    /// Lost holds that stay in force.
    pub kept_holds: Vec<KeptHold>,
}

/// One denial that is held back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HeldBackDenial {
    /// Name of the `VpnUser`.
    pub user: String,
    /// Since when.
    pub since: Timestamp,
    /// State of the object and its holds that this speaks of. Another state is judged anew.
    pub fingerprint: String,
    /// A person rejected it.
    pub cancelled: bool,
    /// First moment of access, as it was before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_from: Option<Timestamp>,
    /// First moment after access, as it was before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_until: Option<Timestamp>,
}

/// One lost hold that stays in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KeptHold {
    /// Name of the `VpnHold`.
    pub name: String,
    /// Whom it denies.
    pub corporate_id: crate::model::corporate_id::CorporateId,
    /// Begin of the hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Timestamp>,
    /// End of the hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// Since when it is lost.
    pub since: Timestamp,
    /// A person rejected the loss.
    pub cancelled: bool,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    proptest! {
        #[test]
        fn never_more_than_the_limit_passes_in_any_ten_minutes(
            steps in proptest::collection::vec((0..400i64, 0..40usize, 0..40usize, 0..2000usize), 1..60),
        ) {
            let mut recent = Recent::default();
            let mut now = 0;
            let mut passed: Vec<(i64, usize)> = Vec::new();
            for (pause, size, disappeared, more) in steps {
                now += pause;
                let population = size + more;
                let batch = Batch { size, disappeared: disappeared.min(size), population };
                let before: usize = passed.iter().filter(|(t, _)| now - t < 600).map(|(_, n)| n).sum();
                prop_assert_eq!(recent.count(at(now)), before);
                let fits = before + size <= limit(population);
                let empties = batch.disappeared >= 2 && more == 0;
                let ruling = recent.judge(batch, at(now));
                prop_assert_eq!(ruling == Ruling::Pass, size == 0 || (fits && !empties));
                if ruling == Ruling::Pass {
                    passed.push((now, size));
                    prop_assert!(size == 0 || before + size <= limit(population));
                }
            }
        }

        #[test]
        fn what_survives_a_restart_judges_as_before(times in proptest::collection::vec(0..1200i64, 0..30), size in 0..20usize) {
            let mut recent = Recent::from(times.iter().map(|t| at(*t)).collect::<Vec<_>>());
            let text = serde_json::to_string(&GuardState { denials: Vec::from(&recent), ..GuardState::default() }).unwrap();
            let mut restored = Recent::from(serde_json::from_str::<GuardState>(&text).unwrap().denials);
            let batch = Batch { size, disappeared: 0, population: 500 };
            prop_assert_eq!(recent.judge(batch, at(1200)), restored.judge(batch, at(1200)));
        }
    }

    #[test]
    fn one_of_one_passes_and_two_of_two_that_disappear_do_not() {
        let batch = |size, disappeared, population| Batch {
            size,
            disappeared,
            population,
        };
        assert_eq!(Recent::default().judge(batch(1, 1, 1), at(0)), Ruling::Pass);
        assert_eq!(Recent::default().judge(batch(2, 2, 2), at(0)), Ruling::HoldBack);
        assert_eq!(
            Recent::default().judge(batch(2, 0, 2), at(0)),
            Ruling::Pass,
            "edits are explicit"
        );
        assert_eq!(Recent::default().judge(batch(2, 2, 3), at(0)), Ruling::Pass);
    }

    #[test]
    fn the_limit_is_ten_or_a_twentieth() {
        assert_eq!(
            (limit(0), limit(200), limit(219), limit(220), limit(100_000)),
            (10, 10, 10, 11, 5000)
        );
    }

    #[test]
    fn a_clock_that_was_set_back_a_little_forgets_nothing() {
        let mut recent = Recent::default();
        assert_eq!(
            recent.judge(
                Batch {
                    size: 8,
                    disappeared: 0,
                    population: 100
                },
                at(100)
            ),
            Ruling::Pass
        );
        assert_eq!(
            recent.judge(
                Batch {
                    size: 8,
                    disappeared: 0,
                    population: 100
                },
                at(50)
            ),
            Ruling::HoldBack
        );
    }
}
