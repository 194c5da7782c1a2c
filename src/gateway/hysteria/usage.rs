//! Usage by difference: what accounts moved between two looks at a node's counters. Pure.
//!
//! Counters run since the node's start and are never zeroed by us: a reader that dies loses nothing that way. They only
//! ever grow while the node runs, and an id that has moved a byte stays in the list; so a counter that is lower than
//! before, or an id that is no longer there, means that the node was restarted and everything it shows now was moved
//! since. What moved between the last look and the restart is lost. A restart after which *every* known id has
//! already moved more than before cannot be seen in the counters: then too little is counted, never too much.

use std::collections::HashMap;

use crate::{
    gateway::{Counters, UsageDelta},
    model::session::SessionId,
};

/// What one look at the counters brought. See [`crate::gateway::UsageSink::account`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Change {
    /// By account, those that moved a byte.
    pub deltas: Vec<UsageDelta>,
    /// Counters that differ from those kept.
    pub changed: HashMap<String, (u64, u64)>,
    /// The node was restarted: counters that are kept and not in `changed` are void.
    pub reset: bool,
}

/// The counters of one node when they were last accounted for.
#[derive(Debug, Clone, Default)]
pub struct UsageMeter {
    kept: HashMap<String, (u64, u64)>,
}

impl UsageMeter {
    /// Goes on from counters that are accounted for.
    #[must_use]
    pub fn new(baseline: Counters) -> Self {
        Self { kept: baseline.ids }
    }

    /// Takes the counters that a node shows. `None` when nothing changed. Ids that are not ours are passed over.
    #[must_use]
    pub fn read(&mut self, shown: &HashMap<String, (u64, u64)>) -> Option<Change> {
        let reset = self
            .kept
            .iter()
            .any(|(id, kept)| shown.get(id).is_none_or(|shown| shown.0 < kept.0 || shown.1 < kept.1));
        if reset {
            self.kept.clear();
        }
        let mut changed = HashMap::new();
        let mut moved: HashMap<&str, (u64, u64)> = HashMap::new();
        for (id, counter) in shown {
            let kept = self.kept.get(id).copied().unwrap_or_default();
            if *counter == kept {
                continue;
            }
            let Some(session) = SessionId::parse(id) else {
                continue;
            };
            let sum = moved.entry(session.account).or_default();
            sum.0 = sum.0.saturating_add(counter.0.saturating_sub(kept.0));
            sum.1 = sum.1.saturating_add(counter.1.saturating_sub(kept.1));
            changed.insert(id.clone(), *counter);
        }
        if changed.is_empty() && !reset {
            return None;
        }
        self.kept
            .extend(changed.iter().map(|(id, counter)| (id.clone(), *counter)));
        let deltas = moved
            .into_iter()
            .map(|(account, (upload, download))| UsageDelta {
                account: account.to_owned(),
                upload,
                download,
                earlier: false,
            })
            .collect();
        Some(Change { deltas, changed, reset })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(counters: &[(&str, u64, u64)]) -> HashMap<String, (u64, u64)> {
        counters
            .iter()
            .map(|(id, tx, rx)| ((*id).to_owned(), (*tx, *rx)))
            .collect()
    }

    fn delta(change: &Change, account: &str) -> Option<(u64, u64)> {
        let of: Vec<_> = change.deltas.iter().filter(|delta| delta.account == account).collect();
        assert!(of.len() <= 1, "one sum an account: {change:?}");
        of.first().map(|delta| (delta.upload, delta.download))
    }

    #[test]
    fn sessions_of_all_epochs_are_summed_by_account_and_upload_is_tx() {
        let mut meter = UsageMeter::default();
        let change = meter
            .read(&shown(&[
                ("corp_a.0.0", 1, 10),
                ("corp_a.0.1", 2, 20),
                ("corp_a.z9.0", 4, 40),
                ("corp_ab.0.0", 8, 80),
            ]))
            .unwrap();
        assert_eq!(delta(&change, "corp_a"), Some((7, 70)));
        assert_eq!(delta(&change, "corp_ab"), Some((8, 80)));
        assert!(!change.reset);
    }

    #[test]
    fn the_same_counters_again_change_nothing() {
        let mut meter = UsageMeter::default();
        let counters = shown(&[("corp_a.0.0", 1, 10)]);
        assert!(meter.read(&counters).is_some());
        assert_eq!(meter.read(&counters), None);
    }

    #[test]
    fn ids_of_others_are_passed_over() {
        let mut meter = UsageMeter::default();
        assert_eq!(meter.read(&shown(&[("somebody", 5, 5)])), None);
    }

    #[test]
    fn a_lower_counter_means_that_the_node_began_anew() {
        let mut meter = UsageMeter::new(Counters {
            ids: shown(&[("corp_a.0.0", 100, 100), ("corp_b.0.0", 50, 50)]),
        });
        let change = meter
            .read(&shown(&[("corp_a.0.0", 7, 3), ("corp_b.0.0", 60, 60)]))
            .unwrap();
        assert!(change.reset);
        assert_eq!(delta(&change, "corp_a"), Some((7, 3)));
        assert_eq!(delta(&change, "corp_b"), Some((60, 60)));
        assert_eq!(change.changed.len(), 2);
    }

    #[test]
    fn vanished_ids_mean_that_the_node_began_anew_even_if_nothing_moved_since() {
        let mut meter = UsageMeter::new(Counters {
            ids: shown(&[("corp_a.0.0", 100, 100)]),
        });
        let change = meter.read(&HashMap::new()).unwrap();
        assert!(change.reset && change.deltas.is_empty() && change.changed.is_empty());
        assert_eq!(meter.read(&HashMap::new()), None);
        assert_eq!(
            delta(&meter.read(&shown(&[("corp_a.0.0", 120, 1)])).unwrap(), "corp_a"),
            Some((120, 1))
        );
    }

    /// What happens between a node, the operator and its sink.
    #[derive(Debug, Clone)]
    enum Step {
        Move(usize, u64, u64),
        Read,
        NodeRestart,
        /// The operator begins anew from what the sink kept.
        OperatorRestart,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => (0..4usize, 0..1000u64, 1..1000u64).prop_map(|(id, tx, rx)| Step::Move(id, tx, rx)),
            3 => Just(Step::Read),
            1 => Just(Step::NodeRestart),
            1 => Just(Step::OperatorRestart),
        ]
    }

    const IDS: [&str; 4] = ["corp_a.0.0", "corp_a.0.1", "corp_a.1.0", "corp_b.0.0"];

    proptest! {
        #[test]
        fn every_byte_is_counted_at_most_once_and_only_those_before_a_restart_are_lost(
            steps in proptest::collection::vec(step(), 1..60),
        ) {
            let mut node: HashMap<String, (u64, u64)> = HashMap::new();
            // What the sink keeps, by the rule of `UsageSink::account`.
            let mut kept: HashMap<String, (u64, u64)> = HashMap::new();
            let mut meter = UsageMeter::default();
            let (mut total, mut counted, mut unread, mut lost, mut hidden) = (0u64, 0u64, 0u64, 0u64, false);
            let mut restarted = false;
            for step in steps.into_iter().chain([Step::Read]) {
                match step {
                    Step::Move(id, tx, rx) => {
                        let counter = node.entry(IDS[id].to_owned()).or_default();
                        counter.0 += tx;
                        counter.1 += rx;
                        total += tx + rx;
                        unread += tx + rx;
                    }
                    Step::Read => {
                        let reset = meter.read(&node).is_some_and(|change| {
                            counted += change.deltas.iter().map(|d| d.upload + d.download).sum::<u64>();
                            if change.reset {
                                kept.retain(|id, _| change.changed.contains_key(id));
                            }
                            kept.extend(change.changed);
                            change.reset
                        });
                        // A restart that no counter shows: too little is counted from here on.
                        hidden |= restarted && !reset && total - lost != counted;
                        restarted = false;
                        unread = 0;
                    }
                    Step::NodeRestart => {
                        lost += unread;
                        unread = 0;
                        restarted = true;
                        node.clear();
                    }
                    Step::OperatorRestart => meter = UsageMeter::new(Counters { ids: kept.clone() }),
                }
                prop_assert!(counted <= total);
            }
            prop_assert!(counted + lost <= total, "a lost byte was counted");
            if !hidden {
                prop_assert_eq!(counted + lost, total, "a byte was lost without a restart");
            }
        }
    }
}
