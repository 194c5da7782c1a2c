//! The process that judges and reports, with what it has not written yet.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use vpn_operator::{auth::words::Role, clock::ManualClock, model::access::Usage, roster::Input};

use super::{
    adapter,
    listener::Listener,
    stores::{GATEWAYS, Objects, PEOPLE},
};

/// A hold about which somebody waits for an answer.
pub struct Question {
    pub hold: String,
    /// The guard's change that has to be kept before the answer, and whether the hold waits by it; known when the hold was seen.
    pub needs: Option<(u64, bool)>,
}

/// Whom the leader lets in where, and what it goes by.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Seat {
    pub at: [bool; GATEWAYS.len()],
    pub until: Option<jiff::Timestamp>,
    pub limit: Option<u64>,
}

pub struct Leader {
    pub listener: Listener,
    /// In a folder: objects as the source has them by now. The record follows later.
    pub objects: Objects,
    /// Writes to the guard's store, with the number of the latest change in each.
    pub queue: VecDeque<(u64, adapter::Change)>,
    /// Number of the latest change that is in the guard's store.
    pub kept: u64,
    /// Number of the latest change.
    pub latest: u64,
    pub usage: BTreeMap<String, Usage>,
    pub questions: Vec<Question>,
    /// How everybody stood after the last step.
    pub seats: Option<Vec<Seat>>,
}

impl Leader {
    /// A process that read what it keeps beside the objects.
    pub fn new(
        explicit_deletions: bool,
        clock: &Arc<ManualClock>,
        memory: &adapter::Memory,
        usage: BTreeMap<String, Usage>,
    ) -> Self {
        let listener = Listener::new(Role::Controller, explicit_deletions, clock);
        adapter::restore(&listener.roster, memory);
        let inputs = usage.iter().map(|(account, usage)| Input::Usage {
            account: account.clone(),
            usage: *usage,
        });
        listener.roster.apply(inputs.collect());
        Self {
            listener,
            objects: Objects::default(),
            queue: VecDeque::new(),
            kept: 0,
            latest: 0,
            usage,
            questions: Vec::new(),
            seats: None,
        }
    }

    /// Queues what the guard's store has to take.
    pub fn note_changes(&mut self) {
        if let Some((number, change)) = adapter::changes(&self.listener.roster, self.latest) {
            self.latest = number;
            self.queue.push_back((number, change));
        }
    }

    pub fn is_kept(&self, number: u64) -> bool {
        number <= self.kept
    }

    /// How everybody stands now.
    pub fn look(&self) -> Vec<Seat> {
        let seat = |who| {
            let user = self.listener.seen.users.get(&super::stores::name_of(who));
            Seat {
                at: GATEWAYS.map(|gateway| self.listener.lets_in(who, gateway)),
                until: user.and_then(|user| user.spec.valid_until),
                limit: user.and_then(|user| Some(user.spec.traffic.as_ref()?.limit.get())),
            }
        };
        (0..PEOPLE).map(seat).collect()
    }
}
