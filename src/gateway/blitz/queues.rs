//! Where the next call of each account is found without looking at the others, and how many wait for what. Pure.

use std::{
    collections::{BTreeSet, HashSet},
    sync::Arc,
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
    /// It is to be deleted.
    Deletes,
    /// It is to be written, and somebody waits for it. In the order in which it came.
    Asked(Write, u64),
    /// It is to be written. In the order in which it came.
    Rest(Write, u64),
}

impl Place {
    const fn is_add(self) -> bool {
        matches!(self, Self::Asked(Write::Add, _) | Self::Rest(Write::Add, _))
    }
}

/// How an account is brought in line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Write {
    /// It is made.
    Add,
    /// It is changed.
    Change,
}

/// The accounts of a panel that something is to be done about, each in at most one place.
#[derive(Default)]
pub(super) struct Queues {
    blocks: BTreeSet<(Timestamp, Arc<str>)>,
    proves: HashSet<Arc<str>>,
    compares: HashSet<Arc<str>>,
    deletes: BTreeSet<Arc<str>>,
    asked: BTreeSet<(u64, Arc<str>)>,
    rest: BTreeSet<(u64, Arc<str>)>,
    /// How many of those that are to be written are to be made.
    adds: usize,
}

impl Queues {
    pub(super) fn put(&mut self, account: &Arc<str>, place: Place) {
        let account = account.clone();
        match place {
            Place::Nowhere => false,
            Place::Blocks(since) => self.blocks.insert((since, account)),
            Place::Proves => self.proves.insert(account),
            Place::Compares => self.compares.insert(account),
            Place::Deletes => self.deletes.insert(account),
            Place::Asked(_, number) => self.asked.insert((number, account)),
            Place::Rest(_, number) => self.rest.insert((number, account)),
        };
        self.adds += usize::from(place.is_add());
    }

    /// Takes an account from where it was put.
    pub(super) fn take(&mut self, account: &Arc<str>, place: Place) {
        match place {
            Place::Nowhere => false,
            Place::Blocks(since) => self.blocks.remove(&(since, account.clone())),
            Place::Proves => self.proves.remove(account),
            Place::Compares => self.compares.remove(account),
            Place::Deletes => self.deletes.remove(account),
            Place::Asked(_, number) => self.asked.remove(&(number, account.clone())),
            Place::Rest(_, number) => self.rest.remove(&(number, account.clone())),
        };
        self.adds -= usize::from(place.is_add());
    }

    /// The account that is to be blocked next.
    pub(super) fn block(&self) -> Option<&Arc<str>> {
        self.blocks.first().map(|(_, account)| account)
    }

    /// The account that is to be deleted next.
    pub(super) fn delete(&self) -> Option<&Arc<str>> {
        self.deletes.first()
    }

    /// The account that is to be made or changed next.
    pub(super) fn write(&self) -> Option<&Arc<str>> {
        self.asked
            .first()
            .or_else(|| self.rest.first())
            .map(|(_, account)| account)
    }

    /// Whether somebody waits for a list.
    pub(super) fn wait_for_a_list(&self) -> bool {
        !(self.proves.is_empty() && self.compares.is_empty())
    }

    /// How many accounts wait, by what for.
    pub(super) fn backlog(&self) -> Backlog {
        let writes = self.asked.len() + self.rest.len();
        Backlog::NONE
            .with(Work::Block, self.blocks.len())
            .with(Work::Prove, self.proves.len())
            .with(Work::Delete, self.deletes.len())
            .with(Work::Add, self.adds)
            .with(Work::Change, writes - self.adds)
            .with(Work::Compare, self.compares.len())
    }
}
