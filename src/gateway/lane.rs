//! The order in which targets go to a gateway that is called account by account.
//!
//! Hysteria needs no lane: its cuts are put straight into the state that the node tasks share, where a denial waits for
//! nothing. A gateway whose calls take long pops its work from here.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

/// How much a target presses, the most pressing first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Urgency {
    /// Access is taken away.
    Denial,
    /// Somebody waits for the answer.
    Awaited,
    /// Everything else.
    Routine,
}

/// Targets that wait: one an account, the latest wins. Within an urgency the account that has waited longest comes first,
/// however often its target was replaced.
#[derive(Debug)]
pub struct Lane<T> {
    waiting: HashMap<Arc<str>, (Urgency, u64, T)>,
    order: BTreeMap<(Urgency, u64), Arc<str>>,
    arrivals: u64,
}

impl<T> Default for Lane<T> {
    fn default() -> Self {
        Self {
            waiting: HashMap::new(),
            order: BTreeMap::new(),
            arrivals: 0,
        }
    }
}

impl<T> Lane<T> {
    /// Puts a target in, in place of the one that the account had.
    pub fn push(&mut self, account: &str, urgency: Urgency, target: T) {
        let (account, arrival) = if let Some((account, (before, arrival, _))) = self.waiting.remove_entry(account) {
            self.order.remove(&(before, arrival));
            (account, arrival)
        } else {
            self.arrivals += 1;
            (Arc::from(account), self.arrivals)
        };
        self.order.insert((urgency, arrival), account.clone());
        self.waiting.insert(account, (urgency, arrival, target));
    }

    /// Takes the most pressing target out.
    pub fn pop(&mut self) -> Option<(Arc<str>, T)> {
        let (_, account) = self.order.pop_first()?;
        let (account, (_, _, target)) = self.waiting.remove_entry(&account)?;
        Some((account, target))
    }

    /// Number of accounts that wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether nobody waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn drain(lane: &mut Lane<u32>) -> Vec<(String, u32)> {
        std::iter::from_fn(|| lane.pop())
            .map(|(account, target)| (account.to_string(), target))
            .collect()
    }

    #[test]
    fn denials_come_first_then_what_is_waited_for_then_the_rest_each_in_order_of_arrival() {
        let mut lane = Lane::default();
        for (account, urgency) in [
            ("a", Urgency::Routine),
            ("b", Urgency::Awaited),
            ("c", Urgency::Denial),
            ("d", Urgency::Routine),
            ("e", Urgency::Denial),
        ] {
            lane.push(account, urgency, 0);
        }
        let order: Vec<String> = drain(&mut lane).into_iter().map(|(account, _)| account).collect();
        assert_eq!(order, ["c", "e", "b", "a", "d"]);
    }

    #[test]
    fn the_latest_target_wins_and_keeps_the_place_of_the_first() {
        let mut lane = Lane::default();
        lane.push("a", Urgency::Routine, 1);
        lane.push("b", Urgency::Routine, 2);
        lane.push("a", Urgency::Routine, 3);
        assert_eq!(lane.len(), 2);
        assert_eq!(drain(&mut lane), [("a".to_owned(), 3), ("b".to_owned(), 2)]);
    }

    #[test]
    fn a_grant_after_a_denial_no_longer_goes_before_other_denials() {
        let mut lane = Lane::default();
        lane.push("a", Urgency::Denial, 1);
        lane.push("b", Urgency::Denial, 2);
        lane.push("a", Urgency::Routine, 3);
        assert_eq!(drain(&mut lane), [("b".to_owned(), 2), ("a".to_owned(), 3)]);
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_nothing_comes_twice(
            pushes in proptest::collection::vec((0..8u32, 0..3u32), 0..40),
        ) {
            let mut lane = Lane::default();
            let mut latest = BTreeMap::new();
            for (at, (account, urgency)) in (0u32..).zip(pushes) {
                let urgency = [Urgency::Denial, Urgency::Awaited, Urgency::Routine][urgency as usize];
                lane.push(&account.to_string(), urgency, at);
                latest.insert(account.to_string(), (urgency, at));
            }
            let drained = drain(&mut lane);
            prop_assert!(lane.is_empty());
            let urgencies: Vec<Urgency> = drained.iter().map(|(account, _)| latest[account].0).collect();
            prop_assert!(urgencies.is_sorted());
            let drained: BTreeMap<String, u32> = drained.into_iter().collect();
            let latest: BTreeMap<String, u32> = latest.into_iter().map(|(account, (_, at))| (account, at)).collect();
            prop_assert_eq!(drained, latest);
        }
    }
}
