//! What people declare, what they use up, and what they say to the guard.

use vpn_operator::{
    model::{
        access::{Period, Usage},
        quantity::Bytes,
        user::{TrafficLimit, VpnUser, VpnUserSpec},
    },
    roster::Input,
};

use super::{
    adapter,
    listener::Event,
    stores::{GATEWAYS, first_spec, id, name_of, new_user, person_of, time},
    world::{Mode, World},
};

/// A change of a spec.
#[derive(Debug, Clone)]
pub enum Edit {
    Active(bool),
    /// From so many seconds on.
    From(Option<i64>),
    /// For so many seconds.
    Until(Option<i64>),
    Limit(Option<u64>),
    /// To the first gateway alone, or to all.
    Narrow(bool),
    /// Nothing about access.
    Owner,
}

impl World {
    fn edited(&mut self, spec: &mut VpnUserSpec, edit: &Edit) {
        match edit {
            Edit::Active(active) => spec.active = *active,
            Edit::From(seconds) => spec.valid_from = seconds.map(|seconds| self.later(seconds)),
            Edit::Until(seconds) => spec.valid_until = seconds.map(|seconds| self.later(seconds)),
            Edit::Limit(limit) => {
                spec.traffic = limit.map(|limit| TrafficLimit {
                    limit: Bytes::parse(&limit.to_string()).unwrap(),
                    period: if limit % 2 == 0 {
                        Period::Month
                    } else {
                        Period::Lifetime
                    },
                });
            }
            Edit::Narrow(narrow) => {
                let names = if *narrow { &GATEWAYS[..1] } else { &GATEWAYS[..] };
                spec.gateways = Some(names.iter().map(ToString::to_string).collect());
            }
            Edit::Owner => spec.owner = Some(format!("owner {}", self.number())),
        }
    }

    /// One commit that edits the documents of these people.
    pub fn edit(&mut self, people: impl Iterator<Item = usize>, edit: &Edit) {
        let mut specs = Vec::new();
        for who in people {
            if let Some(mut spec) = self.declared(who).cloned() {
                self.edited(&mut spec, edit);
                specs.push((who, spec));
            }
        }
        self.write_specs(specs);
    }

    fn write_specs(&mut self, specs: Vec<(usize, VpnUserSpec)>) {
        for (who, spec) in &specs {
            self.ledger.declared(*who, Some(spec));
        }
        match self.mode {
            Mode::Folder => {
                self.documents.write(|documents| documents.users.extend(specs));
                self.read_folder();
            }
            Mode::Cluster => {
                let now = self.now();
                let mut events = Vec::new();
                for (who, spec) in specs {
                    let user = match self.record.get().users.get(&name_of(who)) {
                        None => {
                            self.vanished.remove(&who);
                            new_user(spec, self.number(), now)
                        }
                        Some(user) if user.spec == spec => continue,
                        Some(user) => {
                            let mut user = VpnUser::clone(user);
                            user.spec = spec;
                            *user.metadata.generation.as_mut().unwrap() += 1;
                            user
                        }
                    };
                    events.push(self.stamped_user(user));
                }
                self.change(events);
            }
        }
    }

    pub fn delete(&mut self, people: impl Iterator<Item = usize>) {
        let people: Vec<usize> = people.filter(|who| self.declared(*who).is_some()).collect();
        for who in &people {
            self.ledger.declared(*who, None);
        }
        match self.mode {
            Mode::Folder => {
                self.documents
                    .write(|documents| documents.users.retain(|who, _| !people.contains(who)));
                self.read_folder();
            }
            Mode::Cluster => {
                let now = self.now();
                let mut events = Vec::new();
                for who in people {
                    let name = name_of(who);
                    let mut user = VpnUser::clone(&self.record.get().users[&name]);
                    if user.metadata.finalizers.is_none() {
                        events.push(Event::UserGone(name));
                        self.ledger.gone(who);
                        self.vanished.insert(who);
                        continue;
                    }
                    user.metadata.deletion_timestamp = time(now);
                    *user.metadata.generation.as_mut().unwrap() += 1;
                    events.push(self.stamped_user(user));
                }
                self.change(events);
            }
        }
    }

    /// People who are not declared are declared again, as they were at first.
    pub fn declare(&mut self, people: impl Iterator<Item = usize>) {
        let mut specs = Vec::new();
        for who in people {
            let there = self.mode == Mode::Cluster && self.record.get().users.contains_key(&name_of(who));
            if self.declared(who).is_none() && !there {
                specs.push((who, first_spec(who)));
            }
        }
        self.write_specs(specs);
    }

    /// A node tells how much these people moved.
    pub fn use_up(&mut self, people: impl Iterator<Item = usize>, bytes: u64) {
        let now = self.now();
        let month = Period::Month.start(now);
        let Some(leader) = &mut self.leader else { return };
        let mut inputs = Vec::new();
        for who in people {
            let account = id(who).account();
            let usage: &mut Usage = leader.usage.entry(account.clone()).or_default();
            if usage.month_start != month {
                usage.month_start = month;
                usage.month = 0;
            }
            usage.lifetime += bytes;
            usage.month += bytes;
            inputs.push(Input::Usage { account, usage: *usage });
            self.ledger.said(who);
        }
        leader.listener.roster.apply(inputs);
    }

    pub fn confirm(&mut self, who: Option<usize>) {
        let Some(leader) = &mut self.leader else { return };
        let concerned: Vec<usize> = match who {
            Some(who) => vec![who],
            None => adapter::pending(&leader.listener.roster)
                .iter()
                .map(person_of)
                .collect(),
        };
        let lost = adapter::lost_pending(&leader.listener.roster);
        let ids = who.map(|who| [id(who)]);
        leader.listener.roster.confirm(ids.as_ref().map(<[_; 1]>::as_slice));
        self.losses.excused(concerned.iter().copied());
        for who in &concerned {
            self.ledger.said(*who);
        }
        for name in lost {
            if self
                .ledger
                .holds
                .get(&name)
                .is_some_and(|it| concerned.contains(&it.who))
            {
                self.ledger.lifted(&name);
            }
        }
    }

    pub fn cancel(&mut self, who: Option<usize>) {
        let Some(leader) = &mut self.leader else { return };
        let pending: Vec<usize> = adapter::pending(&leader.listener.roster)
            .iter()
            .map(person_of)
            .collect();
        let ids = who.map(|who| [id(who)]);
        leader.listener.roster.cancel(ids.as_ref().map(<[_; 1]>::as_slice));
        for who in pending.into_iter().filter(|it| who.is_none_or(|who| who == *it)) {
            self.ledger.said(who);
            self.ledger.claims.retain(|claim| claim.who != who);
        }
    }
}
