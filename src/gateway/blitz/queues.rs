//! Where the next call of each account is found without looking at the others. Pure.

use std::{
    collections::{BTreeSet, HashSet},
    sync::Arc,
};

use jiff::Timestamp;

/// Where the next call of an account is found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Place {
    /// There is none.
    #[default]
    Nowhere,
    /// It is to be blocked, as the oldest denial of those that are.
    Blocks(Timestamp),
    /// It waits for a list.
    Looks,
    /// It is to be deleted.
    Deletes,
    /// It is to be made or changed, and somebody waits for it. In the order in which it came.
    Asked(u64),
    /// It is to be made or changed. In the order in which it came.
    Rest(u64),
}

/// The accounts of a panel that something is to be done about, each in at most one place.
#[derive(Default)]
pub(super) struct Queues {
    blocks: BTreeSet<(Timestamp, Arc<str>)>,
    looks: HashSet<Arc<str>>,
    deletes: BTreeSet<Arc<str>>,
    asked: BTreeSet<(u64, Arc<str>)>,
    rest: BTreeSet<(u64, Arc<str>)>,
}

impl Queues {
    pub(super) fn put(&mut self, account: &Arc<str>, place: Place) {
        let account = account.clone();
        match place {
            Place::Nowhere => false,
            Place::Blocks(since) => self.blocks.insert((since, account)),
            Place::Looks => self.looks.insert(account),
            Place::Deletes => self.deletes.insert(account),
            Place::Asked(number) => self.asked.insert((number, account)),
            Place::Rest(number) => self.rest.insert((number, account)),
        };
    }

    /// Takes an account from where it was put.
    pub(super) fn take(&mut self, account: &Arc<str>, place: Place) {
        match place {
            Place::Nowhere => false,
            Place::Blocks(since) => self.blocks.remove(&(since, account.clone())),
            Place::Looks => self.looks.remove(account),
            Place::Deletes => self.deletes.remove(account),
            Place::Asked(number) => self.asked.remove(&(number, account.clone())),
            Place::Rest(number) => self.rest.remove(&(number, account.clone())),
        };
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
        !self.looks.is_empty()
    }
}
