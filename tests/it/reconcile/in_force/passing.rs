//! Time that passes, and what is heard meanwhile.

use std::time::Duration;

use super::{
    stores::PEOPLE,
    world::{Mode, World},
};

impl World {
    pub fn pass(&mut self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
        self.tick();
    }

    pub fn set_back(&mut self, seconds: i64) {
        self.clock.step_wall(self.later(-seconds));
        self.tick();
        // What was over may be in force again.
        self.losses.excused(0..PEOPLE);
    }

    /// Nobody leads, and the followers hear everything and wait for a word in vain.
    pub fn silence(&mut self) {
        if self.mode == Mode::Folder {
            return;
        }
        self.crash();
        self.out_before_silence = self
            .followers
            .iter()
            .map(|follower| {
                (0..PEOPLE)
                    .filter_map(|who| Some((who, follower.holds_out(who)?)))
                    .collect()
            })
            .collect();
        for follower in &mut self.followers {
            follower.hear(usize::MAX, usize::MAX);
        }
        self.pass(6);
        self.silent = true;
    }

    fn tick(&mut self) {
        let leader = self.leader.as_ref().map(|leader| &leader.listener);
        for listener in self.followers.iter().chain(leader) {
            listener.roster.tick();
        }
        // Of these time alone may decide something else.
        let holds = &self.ledger.holds;
        let timed = |who: usize| {
            let spec = self.declared(who);
            spec.is_none_or(|spec| spec.valid_from.or(spec.valid_until).is_some() || spec.traffic.is_some())
                || holds
                    .values()
                    .any(|it| it.who == who && it.span.from.or(it.span.until).is_some())
        };
        let over: Vec<usize> = self.ledger.waiting.keys().copied().filter(|who| timed(*who)).collect();
        for who in over {
            self.ledger.said(who);
        }
    }

    pub fn hear(&mut self, listener: usize, users: usize, holds: usize) {
        match listener.checked_sub(1) {
            None => {
                if let Some(leader) = &mut self.leader {
                    leader.listener.hear(users, holds);
                }
            }
            Some(at) => {
                if let Some(follower) = self.followers.get_mut(at) {
                    follower.hear(users, holds);
                }
            }
        }
    }

    pub fn relist(&mut self, listener: usize, users: bool) {
        let objects = self.record.get().clone();
        let leader = self.leader.as_mut().map(|leader| &mut leader.listener);
        let found = match listener.checked_sub(1) {
            None => leader,
            Some(at) => self.followers.get_mut(at),
        };
        if let Some(found) = found.filter(|_| self.mode == Mode::Cluster) {
            found.relist(&objects, users);
        }
    }
}
