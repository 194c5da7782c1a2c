//! Stores that are put back to an earlier version, or lost, while nobody leads.

use std::collections::BTreeMap;

use vpn_operator::model::{
    access::{Access, HoldSpan},
    hold::VpnHoldSpec,
};

use super::{
    adapter,
    stores::{Objects, PEOPLE, Store, holds_of, name_of},
    world::{Mode, World},
};

/// Which store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Folder: what people wrote.
    Documents,
    /// Folder: the operator's own holds.
    Files,
    /// Folder: `desired.db`. Cluster: everything that the API server has.
    Record,
    Guard,
    History,
    /// Guard and history together, which share a volume.
    Volume,
}

/// What becomes of it.
#[derive(Debug, Clone, Copy)]
pub enum Damage {
    /// It is as it was before so many writes.
    PutBack(usize),
    Lost,
}

fn damage<T: Clone + Default>(store: &mut Store<T>, damage: Damage) {
    match damage {
        Damage::PutBack(writes) => store.put_back(writes),
        Damage::Lost => store.lose(),
    }
}

impl World {
    pub fn damage(&mut self, part: Part, how: Damage, start: bool) {
        self.crash();
        match part {
            Part::Documents => {
                damage(&mut self.documents, how);
                self.redeclare();
                let documents = self.documents.get().holds.clone();
                self.read_again(false, &documents);
            }
            Part::Files => {
                damage(&mut self.files, how);
                let files = self.files.get().clone();
                self.read_again(true, &files);
            }
            Part::Record => {
                damage(&mut self.record, how);
                self.record_failed();
            }
            Part::Guard => {
                damage(&mut self.guard, how);
                self.volume_failed();
            }
            Part::History => {
                damage(&mut self.history, how);
                self.volume_failed();
            }
            Part::Volume => {
                damage(&mut self.guard, how);
                damage(&mut self.history, how);
                self.volume_failed();
            }
        }
        if start {
            self.start();
        }
    }

    fn volume_failed(&mut self) {
        let objects = self.record.get();
        self.ledger.volume_failed(|who| says_so(objects, who));
    }

    fn record_failed(&mut self) {
        let objects = self.record.get().clone();
        if self.mode == Mode::Cluster {
            // What the store has not is not said any more, whatever else had the name before.
            let is_there = |name: &String, it: &super::ledger::Standing| {
                let object = objects.holds.get(name);
                object.is_some_and(|hold| hold.metadata.uid == it.uid)
            };
            self.ledger.holds.retain(|name, it| is_there(name, it));
            self.ledger.waiting.clear();
            self.redeclare();
            for who in 0..PEOPLE {
                if !objects.users.contains_key(&name_of(who)) {
                    self.ledger.gone(who);
                }
            }
        }
        let is_there =
            |who: usize| objects.users.contains_key(&name_of(who)) || self.documents.get().users.contains_key(&who);
        self.ledger
            .record_failed(|who| is_there(who) && says_nothing_else(&objects, who));
        for at in 0..self.followers.len() {
            self.followers[at] = self.new_follower();
        }
    }

    /// The documents speak anew.
    fn redeclare(&mut self) {
        for who in 0..PEOPLE {
            let spec = self.declared(who).cloned();
            self.ledger.declared(who, spec.as_ref());
        }
    }

    /// The holds of one kind are as these say: what is missing is lost, and another one may have had the name before.
    fn read_again(&mut self, own: bool, there: &BTreeMap<String, VpnHoldSpec>) {
        let of_kind = self.ledger.holds.iter().filter(|(_, it)| it.own == own && !it.lost);
        let names: Vec<String> = of_kind.map(|(name, _)| name.clone()).collect();
        for name in names {
            match there.get(&name) {
                None => self.ledger.lost(&name, own),
                Some(spec) => self.ledger.reads(
                    &name,
                    HoldSpan {
                        from: spec.from,
                        until: spec.until,
                    },
                ),
            }
        }
    }
}

/// Whether no status of a person's objects says that what waited is in force.
fn says_nothing_else(objects: &Objects, who: usize) -> bool {
    let status = objects.users.get(&name_of(who)).and_then(|user| user.status.as_ref());
    status.is_none_or(|status| status.access != Some(Access::Denied))
        && holds_of(objects, who).all(|hold| !adapter::says_live(hold))
}

/// Whether the statuses of all of a person's objects are written, and say what waits.
fn says_so(objects: &Objects, who: usize) -> bool {
    let status = objects.users.get(&name_of(who)).and_then(|user| user.status.as_ref());
    status.is_some_and(adapter::says_held_back) && holds_of(objects, who).all(|hold| hold.status.is_some())
}
