//! The stores, the processes, and what passes between them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use jiff::Timestamp;
use vpn_operator::{
    auth::words::Role,
    clock::{Clock as _, ManualClock},
    model::{
        access::Usage,
        hold::{VpnHold, VpnHoldSpec},
        user::{VpnUser, VpnUserSpec},
    },
};

use super::{
    adapter, folder,
    leader::Leader,
    ledger::{Ledger, Waiting},
    limits::Losses,
    listener::{Event, Listener},
    stores::{Objects, PEOPLE, Store, first_spec, holds_of, name_of, new_user, person_of},
};

/// A quarter of an hour before a month ends.
const START: &str = "2026-04-30T23:45:00Z";

/// Where desired state lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Folder,
    Cluster,
}

/// What happens by itself after each step. What does not happens when a step says so.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// The leader hears everything.
    pub hears: bool,
    /// What the guard remembers is written.
    pub keeps: bool,
    /// Statuses and traffic are written.
    pub reports: bool,
}

/// What people write in the folder.
#[derive(Debug, Clone, Default)]
pub struct Documents {
    pub users: BTreeMap<usize, VpnUserSpec>,
    pub holds: BTreeMap<String, VpnHoldSpec>,
}

pub struct World {
    pub mode: Mode,
    pub clock: Arc<ManualClock>,
    /// Folder: what people wrote.
    pub documents: Store<Documents>,
    /// Folder: the operator's own holds.
    pub files: Store<BTreeMap<String, VpnHoldSpec>>,
    /// Folder: the record of objects and statuses. Cluster: the objects themselves.
    pub record: Store<Objects>,
    pub guard: Store<adapter::Memory>,
    pub history: Store<BTreeMap<String, Usage>>,
    pub leader: Option<Leader>,
    pub followers: Vec<Listener>,
    pub ledger: Ledger,
    pub losses: Losses,
    /// People whose objects went before they got a finalizer: nothing is left that could carry the leader's word.
    pub vanished: BTreeSet<usize>,
    /// Nobody led for so long that followers decide by themselves, and they heard everything.
    pub silent: bool,
    /// Of each follower, whom it refused when the silence began, and whether for a hold: what it heard then took nothing away
    /// from them.
    pub out_before_silence: Vec<BTreeMap<usize, bool>>,
    /// Everything was heard, written and reported by the last step.
    pub settled: bool,
}

impl World {
    /// Everybody is declared, and that was reported.
    pub fn new(mode: Mode) -> Self {
        let clock = ManualClock::at(START.parse().unwrap());
        let mut world = Self {
            mode,
            clock,
            documents: Store::default(),
            files: Store::default(),
            record: Store::default(),
            guard: Store::default(),
            history: Store::default(),
            leader: None,
            followers: Vec::new(),
            ledger: Ledger::default(),
            losses: Losses::default(),
            vanished: BTreeSet::new(),
            silent: false,
            out_before_silence: Vec::new(),
            settled: false,
        };
        match mode {
            Mode::Folder => world.documents.write(|it| {
                it.users = (0..PEOPLE).map(|who| (who, first_spec(who))).collect();
            }),
            Mode::Cluster => {
                let now = world.now();
                for who in 0..PEOPLE {
                    let user = new_user(first_spec(who), world.number(), now);
                    world.put_user(user);
                }
                for _ in 0..2 {
                    let follower = world.new_follower();
                    world.followers.push(follower);
                }
            }
        }
        world.settle().unwrap();
        world
    }

    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub fn later(&self, seconds: i64) -> Timestamp {
        self.now() + jiff::SignedDuration::from_secs(seconds)
    }

    pub fn number(&mut self) -> u64 {
        self.ledger.number += 1;
        self.ledger.number
    }

    pub fn new_follower(&self) -> Listener {
        let mut follower = Listener::new(Role::Follower, true, &self.clock);
        follower.load(self.record.get());
        follower
    }

    /// Objects as they are now, written or not.
    pub fn objects(&self) -> &Objects {
        match (&self.leader, self.mode) {
            (Some(leader), Mode::Folder) => &leader.objects,
            (_, Mode::Cluster) | (None, Mode::Folder) => self.record.get(),
        }
    }

    /// What is declared of a person.
    pub fn declared(&self, who: usize) -> Option<&VpnUserSpec> {
        match self.mode {
            Mode::Folder => self.documents.get().users.get(&who),
            Mode::Cluster => {
                let user = self.record.get().users.get(&name_of(who))?;
                user.metadata.deletion_timestamp.is_none().then_some(&user.spec)
            }
        }
    }

    /// Changes objects in one go, and has it told to whoever watches.
    #[expect(clippy::needless_pass_by_value, reason = "callers make the list for this")]
    pub fn change(&mut self, events: Vec<Event>) {
        let apply = |objects: &mut Objects| {
            for event in events.clone() {
                match event {
                    Event::User(user) => drop(objects.users.insert(user.metadata.name.clone().unwrap(), user)),
                    Event::UserGone(name) => drop(objects.users.remove(&name)),
                    Event::Hold(hold) => drop(objects.holds.insert(hold.metadata.name.clone().unwrap(), hold)),
                    Event::HoldGone { name, .. } => drop(objects.holds.remove(&name)),
                }
            }
        };
        match (self.mode, &mut self.leader) {
            (Mode::Folder, Some(leader)) => apply(&mut leader.objects),
            (Mode::Folder, None) => panic!("nobody keeps the folder's objects"),
            (Mode::Cluster, _) => self.record.write(apply),
        }
        let leader = self.leader.as_mut().map(|leader| &mut leader.listener);
        for listener in self.followers.iter_mut().chain(leader) {
            for event in &events {
                listener.tell(event.clone());
            }
        }
    }

    /// A user as it is now, with the number of this write.
    pub fn stamped_user(&mut self, mut user: VpnUser) -> Event {
        user.metadata.resource_version = Some(self.number().to_string());
        Event::User(Arc::new(user))
    }

    /// A hold as it is now, with the number of this write.
    pub fn stamped_hold(&mut self, mut hold: VpnHold) -> Event {
        hold.metadata.resource_version = Some(self.number().to_string());
        Event::Hold(Arc::new(hold))
    }

    pub fn put_user(&mut self, user: VpnUser) {
        let event = self.stamped_user(user);
        self.change(vec![event]);
    }

    pub fn put_hold(&mut self, hold: VpnHold) {
        let event = self.stamped_hold(hold);
        self.change(vec![event]);
    }

    /// A process becomes the leader.
    pub fn start(&mut self) {
        if self.leader.is_some() {
            return;
        }
        self.forget_what_stands_nowhere();
        let explicit = self.mode == Mode::Cluster;
        let usage = adapter::usage_at_start(self.history.get(), self.record.get());
        let mut leader = Leader::new(explicit, &self.clock, self.guard.get(), usage);
        match self.mode {
            Mode::Cluster => leader.listener.load(self.record.get()),
            Mode::Folder => {
                leader.objects = self.record.get().clone();
                self.leader = Some(leader);
                self.read_folder();
                leader = self.leader.take().unwrap();
                let objects = leader.objects.clone();
                leader.listener.forget_events();
                leader.listener.load(&objects);
            }
        }
        leader.note_changes();
        self.leader = Some(leader);
    }

    /// The leader is gone, with everything that it had not written.
    pub fn crash(&mut self) {
        self.leader = None;
    }

    /// Takes over what the files of the folder say. What is gone is in the record before anybody hears of it.
    pub fn read_folder(&mut self) {
        if self.mode == Mode::Cluster || self.leader.is_none() {
            return;
        }
        let (events, gone) = folder::read(self);
        if events.is_empty() {
            return;
        }
        self.change(events);
        if gone {
            self.write_record();
        }
        if let Some(leader) = &mut self.leader {
            leader.listener.hear(usize::MAX, usize::MAX);
        }
    }

    /// Folder: the record takes everything that changed since it was written last.
    pub fn write_record(&mut self) {
        let Some(leader) = self.leader.as_ref().filter(|_| self.mode == Mode::Folder) else {
            return;
        };
        if leader.objects == *self.record.get() {
            return;
        }
        let (before, objects) = (self.record.get().clone(), leader.objects.clone());
        self.record.write(|record| *record = objects);
        for (name, user) in self.record.get().users.clone() {
            if before.users.get(&name) != Some(&user) {
                self.take_down(&user);
            }
        }
    }

    /// Notes what a written status tells people.
    pub fn take_down(&mut self, user: &VpnUser) {
        let who = person_of(&user.spec.corporate_id);
        let Some(status) = &user.status else { return };
        let speaks_of_now = match self.declared(who) {
            Some(spec) => *spec == user.spec && user.metadata.deletion_timestamp.is_none(),
            None => user.metadata.deletion_timestamp.is_some(),
        };
        if !speaks_of_now || Some(status.observed_generation) != user.metadata.generation {
            return;
        }
        let version = super::stores::version(&user.metadata);
        let leader = self.leader.as_ref();
        let account = user.spec.corporate_id.account();
        let usage = leader.and_then(|leader| leader.usage.get(&account).copied());
        let period = user.spec.traffic.as_ref().map(|it| it.period);
        let now = self.now();
        let used = usage
            .zip(period)
            .map_or(0, |(usage, period)| usage.in_period(period, now));
        self.ledger.reported(who, version, user, used, now);
        if !self.ledger.is_fresh(who, version) || !self.leader_knows(who) {
            return;
        }
        self.ledger.reported_holds(user);
        if adapter::says_held_back(status) {
            let by_guard = self.leader.as_ref().is_some_and(|leader| leader.queue.is_empty());
            self.ledger.waiting.insert(who, Waiting { by_guard });
        }
    }

    /// Whether the leader heard everything about a person.
    fn leader_knows(&self, who: usize) -> bool {
        let Some(leader) = &self.leader else { return false };
        let state = |objects: &Objects| {
            let user = objects.users.get(&name_of(who));
            let user = user.map(|user| (user.metadata.uid.clone(), user.metadata.generation));
            let hold = |hold: &Arc<VpnHold>| {
                let meta = &hold.metadata;
                (meta.uid.clone(), meta.deletion_timestamp.is_some())
            };
            (user, holds_of(objects, who).map(hold).collect::<Vec<_>>())
        };
        state(self.objects()) == state(&leader.listener.seen)
    }

    /// Holds that are lost, and of which no store knows any more that they were there, cannot stay in force. Nor do those that
    /// are over by now, should the clock be set back.
    fn forget_what_stands_nowhere(&mut self) {
        let now = self.now();
        let (guard, record) = (self.guard.get(), self.record.get());
        let (files, documents) = (self.files.get(), self.documents.get());
        self.ledger.holds.retain(|name, standing| {
            let kept = adapter::keeps_lost(guard, name);
            let object = record.holds.get(name);
            if standing.lost && !standing.own {
                standing.stays &= kept || object.is_some_and(|hold| adapter::says_lost(hold));
            }
            let over = standing.lost && standing.span.until.is_some_and(|until| until <= now);
            !over && (kept || object.is_some() || files.contains_key(name) || documents.holds.contains_key(name))
        });
    }
}
