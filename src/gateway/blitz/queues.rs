//! Where the next call of each account is found without looking at the others, and how many wait for what. Pure.

use std::{
    collections::{BTreeSet, HashSet},
    sync::Arc,
    time::Instant,
};

use jiff::Timestamp;

use crate::gateway::{Backlog, Work};

/// Where the next call of an account is found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Place {
    /// There is none.
    #[default]
    Nowhere,
    /// It is to be blocked, as the oldest denial of those that are.
    Blocks(Timestamp),
    /// It is blocked, and waits for a list that shows who is left.
    Proves,
    /// It waits for a list that shows what is there.
    Compares,
    /// It is to be deleted, together with others.
    Deletes,
    /// It is to be deleted by itself: with others it failed.
    DeletesAlone,
    /// It is to be made or changed, and somebody waits for it. In the order in which it came.
    Asked(Work, u64),
    /// It is to be made or changed. In the order in which it came.
    Rest(Work, u64),
    /// Its last call failed: not before then it is tried again.
    Later(Work, Instant),
}

impl Place {
    /// What is done about an account there.
    pub(super) const fn work(self) -> Option<Work> {
        match self {
            Self::Nowhere => None,
            Self::Blocks(_) => Some(Work::Block),
            Self::Proves => Some(Work::Prove),
            Self::Compares => Some(Work::Compare),
            Self::Deletes | Self::DeletesAlone => Some(Work::Delete),
            Self::Asked(work, _) | Self::Rest(work, _) | Self::Later(work, _) => Some(work),
        }
    }
}

/// The accounts of a panel that something is to be done about, each in at most one place.
#[derive(Default)]
pub(super) struct Queues {
    blocks: BTreeSet<(Timestamp, Arc<str>)>,
    proves: HashSet<Arc<str>>,
    compares: HashSet<Arc<str>>,
    deletes: BTreeSet<Arc<str>>,
    deletes_alone: BTreeSet<Arc<str>>,
    asked: BTreeSet<(u64, Arc<str>)>,
    rest: BTreeSet<(u64, Arc<str>)>,
    later: BTreeSet<(Instant, Arc<str>)>,
    backlog: Backlog,
}

impl Queues {
    pub(super) fn put(&mut self, account: &Arc<str>, place: Place) {
        if let Some(work) = place.work() {
            self.backlog = self.backlog.with(work, 1);
        }
        let account = account.clone();
        match place {
            Place::Nowhere => false,
            Place::Blocks(since) => self.blocks.insert((since, account)),
            Place::Proves => self.proves.insert(account),
            Place::Compares => self.compares.insert(account),
            Place::Deletes => self.deletes.insert(account),
            Place::DeletesAlone => self.deletes_alone.insert(account),
            Place::Asked(_, number) => self.asked.insert((number, account)),
            Place::Rest(_, number) => self.rest.insert((number, account)),
            Place::Later(_, until) => self.later.insert((until, account)),
        };
    }

    /// Takes an account from where it was put.
    pub(super) fn take(&mut self, account: &Arc<str>, place: Place) {
        if let Some(work) = place.work() {
            self.backlog = self.backlog.without(work, 1);
        }
        let account = account.clone();
        match place {
            Place::Nowhere => false,
            Place::Blocks(since) => self.blocks.remove(&(since, account)),
            Place::Proves => self.proves.remove(&account),
            Place::Compares => self.compares.remove(&account),
            Place::Deletes => self.deletes.remove(&account),
            Place::DeletesAlone => self.deletes_alone.remove(&account),
            Place::Asked(_, number) => self.asked.remove(&(number, account)),
            Place::Rest(_, number) => self.rest.remove(&(number, account)),
            Place::Later(_, until) => self.later.remove(&(until, account)),
        };
    }

    /// The account that is to be blocked next.
    pub(super) fn block(&self) -> Option<&Arc<str>> {
        self.blocks.first().map(|(_, account)| account)
    }

    /// The accounts that are to be deleted with the next deletion, at most so many.
    pub(super) fn delete(&self, most: usize) -> Vec<Arc<str>> {
        let together: Vec<Arc<str>> = self.deletes.iter().take(most).cloned().collect();
        if together.is_empty() {
            return self.deletes_alone.first().cloned().into_iter().collect();
        }
        together
    }

    /// The account that is to be made or changed next.
    pub(super) fn write(&self) -> Option<&Arc<str>> {
        let next = self.asked.first().or_else(|| self.rest.first());
        next.map(|(_, account)| account)
    }

    /// The account that is to be tried again next, and not before when.
    pub(super) fn again(&self) -> Option<&(Instant, Arc<str>)> {
        self.later.first()
    }

    /// Whether somebody waits for a list.
    pub(super) fn wait_for_a_list(&self) -> bool {
        !(self.proves.is_empty() && self.compares.is_empty())
    }

    /// How many accounts wait, by what for.
    pub(super) const fn backlog(&self) -> Backlog {
        self.backlog
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_with_which_a_deletion_failed_are_neither_looked_at_nor_taken_along_while_others_are_to_go() {
        let mut queues = Queues::default();
        let name = |n: usize| -> Arc<str> { format!("corp_{n}").into() };
        for n in 0..5 {
            queues.put(&name(n), if n < 3 { Place::DeletesAlone } else { Place::Deletes });
        }
        assert_eq!(queues.delete(1), [name(3)]);
        assert_eq!(queues.delete(9), [name(3), name(4)]);
        assert_eq!(queues.backlog().of(Work::Delete), 5);
        for n in [3, 4] {
            queues.take(&name(n), Place::Deletes);
        }
        for n in 0..3 {
            assert_eq!(queues.delete(9), [name(n)], "one by one");
            queues.take(&name(n), Place::DeletesAlone);
        }
        assert!(queues.delete(9).is_empty());
        assert_eq!(queues.backlog().of(Work::Delete), 0);
    }
}
