//! What the leader writes: the guard's memory, statuses, traffic, and the end of objects that are gone.

use vpn_operator::{
    model::{FINALIZER, RELEASED},
    reconcile::plan::FinalizerStep,
};

use super::{
    adapter,
    listener::Event,
    stores::{PEOPLE, name_of},
    world::{Mode, World},
};

/// Rounds after which everything must have come to rest.
const ROUNDS: usize = 30;

impl World {
    /// The guard's store takes the first of the writes that wait. Answers whether there was one.
    pub fn keep_one(&mut self) -> bool {
        let Some(leader) = &mut self.leader else { return false };
        let Some((number, change)) = leader.queue.pop_front() else {
            return false;
        };
        leader.kept = number;
        self.guard.write(|memory| adapter::write(memory, change));
        true
    }

    /// The guard's store takes everything.
    pub fn keep_all(&mut self) {
        while self.keep_one() {}
    }

    /// The history takes what was counted.
    pub fn write_history(&mut self) {
        if let Some(leader) = &self.leader
            && leader.usage != *self.history.get()
        {
            let usage = leader.usage.clone();
            self.history.write(|history| *history = usage);
        }
    }

    /// Everybody and every hold is reconciled. Answers whether there was anything to write.
    pub fn report_all(&mut self) -> bool {
        let mut busy = false;
        for who in 0..PEOPLE {
            busy |= self.report(who);
        }
        let names: Vec<String> = self.objects().holds.keys().cloned().collect();
        for name in names {
            busy |= self.report_hold(&name);
        }
        busy | self.let_go()
    }

    /// Reconciles one user as the leader sees the object. Answers whether there was anything to write.
    pub fn report(&mut self, who: usize) -> bool {
        let name = name_of(who);
        let now = self.now();
        let Some(leader) = &self.leader else { return false };
        let Some(seen) = leader.listener.seen.users.get(&name) else {
            return false;
        };
        let Some(present) = self
            .objects()
            .users
            .get(&name)
            .filter(|it| it.metadata.uid == seen.metadata.uid)
        else {
            return false;
        };
        // What it reported last it knows, whether or not it heard of that.
        let mut seen = (**seen).clone();
        seen.status.clone_from(&present.status);
        let used = seen.spec.traffic.as_ref().map(|limit| {
            let usage = leader
                .usage
                .get(&seen.spec.corporate_id.account())
                .copied()
                .unwrap_or_default();
            (usage.in_period(limit.period, now), limit.period)
        });
        let Some((plan, needs)) = adapter::user_plan(&leader.listener.roster, &seen, used, now) else {
            return false;
        };
        if !leader.is_kept(needs) {
            return false;
        }
        let mut next = (**present).clone();
        match plan.finalizer {
            FinalizerStep::Release if next.metadata.deletion_timestamp.is_some() => {
                self.change(vec![Event::UserGone(name)]);
                // The source answers when it is durable.
                self.write_record();
                self.ledger.let_go(who);
                return true;
            }
            FinalizerStep::Add if next.metadata.deletion_timestamp.is_none() => {
                next.metadata.finalizers = Some(vec![FINALIZER.to_owned()]);
            }
            FinalizerStep::Add | FinalizerStep::Keep | FinalizerStep::Release => {}
        }
        next.status = Some(plan.status);
        if next == **present {
            return false;
        }
        let event = self.stamped_user(next);
        self.change(vec![event.clone()]);
        if let (Mode::Cluster, Event::User(user)) = (self.mode, event) {
            self.take_down(&user);
        }
        true
    }

    /// Reports one hold. Answers whether there was anything to write.
    pub fn report_hold(&mut self, name: &str) -> bool {
        let now = self.now();
        let Some(leader) = &self.leader else { return false };
        let Some(seen) = leader.listener.seen.holds.get(name).cloned() else {
            return false;
        };
        let (status, needs) = adapter::hold_status(&leader.listener.roster, &seen, now);
        let Some(present) = self.objects().holds.get(name) else {
            return false;
        };
        if !leader.is_kept(needs) || present.metadata.uid != seen.metadata.uid {
            return false;
        }
        let mut next = (**present).clone();
        if next.metadata.deletion_timestamp.is_none() {
            next.metadata.finalizers = Some(vec![FINALIZER.to_owned()]);
        }
        next.status = Some(status);
        if next == **present {
            return false;
        }
        self.put_hold(next);
        true
    }

    /// Lets go of holds that count no more. Answers whether there were any.
    pub fn let_go(&mut self) -> bool {
        let now = self.now();
        let Some(leader) = &self.leader else { return false };
        let names = leader.listener.roster.lost_holds_confirmed();
        let mut busy = false;
        for name in names {
            let is_tombstone = self
                .objects()
                .holds
                .get(&name)
                .is_some_and(|hold| hold.metadata.deletion_timestamp.is_some());
            if !is_tombstone {
                continue;
            }
            busy = true;
            let released = self.objects().holds[&name]
                .metadata
                .annotations
                .iter()
                .flatten()
                .any(|(it, _)| it == RELEASED);
            self.change(vec![Event::HoldGone {
                name: name.clone(),
                released: true,
            }]);
            if !released
                && let Some(standing) = self.ledger.holds.get(&name)
                && standing.lost
                && !standing.stays
            {
                if standing.told && standing.span.is_live(now) {
                    self.losses.hold(&name, now);
                }
                self.ledger.lifted(&name);
            }
        }
        busy
    }

    /// Everything is heard, written and reported, until nothing is left to do.
    pub fn settle(&mut self) -> Result<(), String> {
        self.start();
        for _ in 0..ROUNDS {
            let leader = self.leader.as_mut().map(|leader| &mut leader.listener);
            for listener in self.followers.iter_mut().chain(leader) {
                listener.hear(usize::MAX, usize::MAX);
            }
            self.notice();
            self.keep_all();
            self.answer();
            let busy = self.report_all();
            self.write_record();
            self.write_history();
            let heard = self
                .followers
                .iter()
                .all(super::listener::Listener::has_heard_everything);
            let leader = self.leader.as_ref().unwrap();
            if !busy && heard && leader.listener.has_heard_everything() && leader.queue.is_empty() {
                self.ledger.healed();
                return Ok(());
            }
        }
        Err("the statuses never come to rest".to_owned())
    }

    /// Queues what the guard has to remember.
    pub fn notice(&mut self) {
        if let Some(leader) = &mut self.leader {
            leader.note_changes();
        }
    }

    /// Lost holds that the guard was reported to keep stay in force.
    pub fn notice_kept_losses(&mut self) {
        let (guard, record) = (self.guard.get(), self.record.get());
        for (name, standing) in self.ledger.holds.iter_mut().filter(|(_, it)| it.lost && !it.stays) {
            let reported = record.holds.get(name).is_some_and(|hold| adapter::says_lost(hold));
            standing.stays = reported && adapter::keeps_lost(guard, name);
        }
    }
}
