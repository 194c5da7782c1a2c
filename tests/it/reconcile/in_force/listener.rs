//! A process that answers logins, and what it has still to hear.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use vpn_operator::{
    auth::{index::Verdict, words::Role},
    clock::ManualClock,
    model::{access::Reason, guard::Feed, hold::VpnHold, user::VpnUser},
    roster::{Input, Roster},
};

use super::{
    adapter,
    stores::{GATEWAYS, Objects, holds_of},
};

/// What a watch tells.
#[derive(Debug, Clone)]
pub enum Event {
    User(Arc<VpnUser>),
    UserGone(String),
    Hold(Arc<VpnHold>),
    HoldGone { name: String, released: bool },
}

impl Event {
    pub fn is_about_user(&self) -> bool {
        matches!(self, Self::User(_) | Self::UserGone(_))
    }

    fn input(&self) -> Input {
        match self.clone() {
            Self::User(user) => Input::User(user),
            Self::UserGone(name) => Input::UserGone(name),
            Self::Hold(hold) => Input::Hold(hold),
            Self::HoldGone { name, released } => Input::HoldGone { name, released },
        }
    }
}

pub struct Listener {
    pub roster: Roster,
    /// What was heard.
    pub seen: Objects,
    /// What is still to be heard: of users, of holds. Each kind comes in order.
    users: VecDeque<Event>,
    holds: VecDeque<Event>,
}

impl Listener {
    /// A process that has not listed anything yet.
    pub fn new(role: Role, explicit_deletions: bool, clock: &Arc<ManualClock>) -> Self {
        Self {
            roster: adapter::roster(role, explicit_deletions, clock),
            seen: Objects::default(),
            users: VecDeque::new(),
            holds: VecDeque::new(),
        }
    }

    /// The first full load.
    pub fn load(&mut self, objects: &Objects) {
        let users = objects.users.values().cloned().map(Input::User);
        let holds = objects.holds.values().cloned().map(Input::Hold);
        self.roster.apply(users.chain(holds).collect());
        self.roster.loaded();
        self.seen = objects.clone();
    }

    pub fn tell(&mut self, event: Event) {
        if event.is_about_user() {
            self.users.push_back(event);
        } else {
            self.holds.push_back(event);
        }
    }

    /// Hears so many events of each kind, in one batch.
    pub fn hear(&mut self, users: usize, holds: usize) {
        let users = users.min(self.users.len());
        let holds = holds.min(self.holds.len());
        let batch: Vec<Event> = self.users.drain(..users).chain(self.holds.drain(..holds)).collect();
        if batch.is_empty() {
            return;
        }
        let inputs = batch.iter().map(Event::input).collect();
        for event in batch {
            self.see(event);
        }
        self.roster.apply(inputs);
    }

    fn see(&mut self, event: Event) {
        match event {
            Event::User(user) => drop(self.seen.users.insert(user.metadata.name.clone().unwrap(), user)),
            Event::UserGone(name) => drop(self.seen.users.remove(&name)),
            Event::Hold(hold) => drop(self.seen.holds.insert(hold.metadata.name.clone().unwrap(), hold)),
            Event::HoldGone { name, .. } => drop(self.seen.holds.remove(&name)),
        }
    }

    /// Lists everything of one kind anew: what happened in between is not told any more.
    pub fn relist(&mut self, objects: &Objects, users: bool) {
        let events: Vec<Event> = if users {
            self.users.clear();
            let gone = missing(&self.seen.users, &objects.users).map(Event::UserGone);
            let there = objects.users.values().cloned().map(Event::User);
            there.chain(gone).collect()
        } else {
            self.holds.clear();
            let gone = missing(&self.seen.holds, &objects.holds).map(|name| Event::HoldGone { name, released: false });
            let there = objects.holds.values().cloned().map(Event::Hold);
            there.chain(gone).collect()
        };
        for event in events {
            self.tell(event);
        }
        self.hear(if users { usize::MAX } else { 0 }, if users { 0 } else { usize::MAX });
    }

    /// What was told is part of what is listed.
    pub fn forget_events(&mut self) {
        self.users.clear();
        self.holds.clear();
    }

    pub fn has_heard_everything(&self) -> bool {
        self.users.is_empty() && self.holds.is_empty()
    }

    /// Whether somebody ordered, as far as was heard, that this person has no access.
    pub fn ordered(&self, who: usize) -> bool {
        holds_of(&self.seen, who).any(|hold| Feed::of_source(&hold.spec.source).is_none())
    }

    pub fn lets_in(&self, who: usize, gateway: &str) -> bool {
        matches!(adapter::login(&self.roster, who, gateway), Verdict::Granted(_))
    }

    /// Whether it refuses a person for a hold; `None` if it lets the person in.
    pub fn holds_out(&self, who: usize) -> Option<bool> {
        match adapter::login(&self.roster, who, GATEWAYS[0]) {
            Verdict::Granted(_) => None,
            verdict => Some(matches!(verdict, Verdict::Denied(Reason::Held))),
        }
    }

    pub fn lets_in_anywhere(&self, who: usize) -> bool {
        GATEWAYS.iter().any(|gateway| self.lets_in(who, gateway))
    }
}

fn missing<T>(before: &BTreeMap<String, T>, now: &BTreeMap<String, T>) -> impl Iterator<Item = String> {
    before.keys().filter(|name| !now.contains_key(*name)).cloned()
}
