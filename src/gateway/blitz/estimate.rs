//! How long a panel's calls take, by those that were made, and how long those will take that wait. Pure.

use std::{collections::HashMap, time::Duration};

use super::{call::TOGETHER, proof::BLIND};
use crate::gateway::{Backlog, Work};

/// One of so many is the newest call's part in what a call is thought to take.
const PART: u32 = 5;

/// What calls take.
#[derive(Debug, Default)]
pub(super) struct Estimate {
    by_operation: HashMap<&'static str, Duration>,
    of_any: Option<Duration>,
}

fn moved(known: Option<Duration>, took: Duration) -> Duration {
    known.map_or(took, |known| (known * (PART - 1) + took) / PART)
}

impl Estimate {
    /// A call was answered in the time that it takes when nothing is wrong.
    pub(super) fn made(&mut self, operation: &'static str, took: Duration) {
        let known = self.by_operation.get(operation).copied();
        self.by_operation.insert(operation, moved(known, took));
        self.of_any = Some(moved(self.of_any, took));
    }

    /// What one call takes; one that was never made is thought to take what others do.
    fn one(&self, operation: &str) -> Option<Duration> {
        self.by_operation.get(operation).copied().or(self.of_any)
    }

    /// How long the calls take that a backlog needs. `None` before the first call.
    pub(super) fn left(&self, backlog: Backlog, cycle: Duration) -> Option<Duration> {
        let lists = usize::from(backlog.of(Work::Prove) + backlog.of(Work::Compare) > 0);
        let calls = [
            ("block", backlog.of(Work::Block).saturating_mul(BLIND as usize)),
            ("list", lists),
            ("delete", backlog.of(Work::Delete).div_ceil(TOGETHER)),
            ("add", backlog.of(Work::Add)),
            ("change", backlog.of(Work::Change)),
        ];
        self.all(&calls, cycle)
    }

    /// How long these calls take one after the other, with the list that comes between them once in `cycle`. `None` before the
    /// first call.
    fn all(&self, calls: &[(&'static str, usize)], cycle: Duration) -> Option<Duration> {
        let of = |(operation, count): &(&'static str, usize)| {
            let count = u32::try_from(*count).unwrap_or(u32::MAX);
            Some(self.one(operation)?.saturating_mul(count))
        };
        let calls: Duration = calls.iter().map(of).sum::<Option<Duration>>()?;
        let lists = calls.as_secs_f64() / cycle.as_secs_f64().max(f64::MIN_POSITIVE);
        let between = self.one("list")?.as_secs_f64() * lists.floor();
        Some(calls.saturating_add(Duration::try_from_secs_f64(between).unwrap_or(Duration::MAX)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CYCLE: Duration = Duration::from_secs(30);

    fn seconds(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    #[test]
    fn nothing_is_said_before_the_first_call_and_one_that_was_never_made_is_as_the_others() {
        let mut estimate = Estimate::default();
        assert_eq!(estimate.all(&[("add", 3)], CYCLE), None);
        estimate.made("list", seconds(0.8));
        assert_eq!(estimate.all(&[("add", 3)], CYCLE), Some(seconds(2.4)));
        estimate.made("add", seconds(1.4));
        assert_eq!(estimate.all(&[("add", 3), ("list", 1)], CYCLE), Some(seconds(5.0)));
    }

    #[test]
    fn the_list_that_comes_once_in_a_cycle_is_counted() {
        let mut estimate = Estimate::default();
        estimate.made("list", seconds(1.0));
        estimate.made("add", seconds(1.5));
        assert_eq!(estimate.all(&[("add", 1000)], CYCLE), Some(seconds(1550.0)));
    }

    #[test]
    fn a_panel_that_becomes_slower_is_soon_known_to_be_and_one_slow_call_changes_little() {
        let mut estimate = Estimate::default();
        for _ in 0..20 {
            estimate.made("add", seconds(1.0));
        }
        estimate.made("add", seconds(2.0));
        assert_eq!(estimate.one("add"), Some(seconds(1.2)));
        for _ in 0..20 {
            estimate.made("add", seconds(2.0));
        }
        assert!(estimate.one("add") > Some(seconds(1.95)));
    }
}
