//! What waits to be written: of each row the latest change, so that it does not grow while the disk refuses.

use std::collections::{HashMap, hash_map::Entry};

use crate::model::guard::{Budget, GuardChange};

/// Which row a change is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum RowKey {
    Verdict(String, Budget),
    Charge(String, Budget),
}

impl RowKey {
    fn of(change: &GuardChange) -> Self {
        match change {
            GuardChange::Verdict(record) => Self::Verdict(record.uid.clone(), record.budget),
            GuardChange::Forget { uid, budget } => Self::Verdict(uid.clone(), *budget),
            GuardChange::Charge(charge) => Self::Charge(charge.who.clone(), charge.budget),
        }
    }
}

#[derive(Debug, Clone, Default)]
pub(super) struct Pending {
    rows: HashMap<RowKey, GuardChange>,
    seq: u64,
}

impl Pending {
    /// Adds changes behind those that wait.
    pub(super) fn add(&mut self, seq: u64, changes: Vec<GuardChange>) {
        self.seq = self.seq.max(seq);
        self.rows
            .extend(changes.into_iter().map(|change| (RowKey::of(&change), change)));
    }

    /// Puts older changes below those that wait: for a row that has a later one they are of no more use.
    pub(super) fn put_below(&mut self, older: Vec<GuardChange>) {
        for change in older {
            if let Entry::Vacant(row) = self.rows.entry(RowKey::of(&change)) {
                row.insert(change);
            }
        }
    }

    /// Everything that waits. What is put back later goes below what came meanwhile.
    pub(super) fn take(&mut self) -> Self {
        Self {
            rows: std::mem::take(&mut self.rows),
            seq: self.seq,
        }
    }

    /// What was taken and could not be written.
    pub(super) fn put_back(&mut self, taken: Self) {
        if self.rows.is_empty() {
            self.rows = taken.rows;
        } else {
            self.put_below(taken.rows.into_values().collect());
        }
    }

    /// The changes, each of another row, so that their order means nothing.
    pub(super) fn changes(&self) -> impl Iterator<Item = &GuardChange> {
        self.rows.values()
    }

    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The highest number of what was added.
    pub(super) const fn seq(&self) -> u64 {
        self.seq
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forget(uid: &str) -> GuardChange {
        GuardChange::Forget {
            uid: uid.to_owned(),
            budget: Budget::Hr,
        }
    }

    #[test]
    fn what_is_put_back_goes_below_what_came_meanwhile() {
        let mut pending = Pending::default();
        let charge = |second| {
            GuardChange::Charge(crate::model::guard::Charge {
                budget: Budget::Hr,
                who: "ab123456".to_owned(),
                at: jiff::Timestamp::from_second(second).unwrap(),
            })
        };
        pending.add(1, vec![charge(1), forget("a")]);
        let taken = pending.take();
        assert!(pending.is_empty());
        pending.add(2, vec![charge(2)]);
        pending.put_back(taken);
        let mut changes: Vec<_> = pending.changes().cloned().collect();
        changes.sort_by_key(|change| matches!(change, GuardChange::Charge(_)));
        assert_eq!((changes, pending.seq()), (vec![forget("a"), charge(2)], 2));
    }

    #[test]
    fn a_row_that_changes_a_thousand_times_waits_once() {
        let mut pending = Pending::default();
        for seq in 0..1000 {
            pending.add(seq, vec![forget("a"), forget("b")]);
        }
        assert_eq!((pending.len(), pending.seq()), (2, 999));
    }
}
