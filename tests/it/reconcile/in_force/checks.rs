//! The promises, each checked after every step.

use jiff::Timestamp;
use vpn_operator::{
    auth::index::Verdict,
    model::{access::HoldSpan, guard::Feed, hold::VpnHold},
};

use super::{
    adapter,
    ledger::{Ledger, Standing},
    listener::Listener,
    stores::{GATEWAYS, Objects, PEOPLE, id, name_of, person_of},
    world::World,
};

/// A promise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Promise {
    /// Nobody whose denial was answered or reported is let in without an instruction that permits it.
    ToldStays,
    /// Whoever is held by an order is refused by everybody who heard of it.
    NoOrderWaits,
    /// When everything was heard, every listener gives the same answer.
    ListenersAgree,
    /// What the guard holds back is reported, and found again.
    HeldBackIsFound,
    /// No more people than the limit lose access by one kind of consequence within the window.
    LimitHolds,
}

impl World {
    pub fn check(&mut self, promises: &[Promise]) -> Result<(), String> {
        for promise in promises {
            match promise {
                Promise::ToldStays => self.told_stays()?,
                Promise::NoOrderWaits => self.no_order_waits()?,
                Promise::ListenersAgree => self.listeners_agree()?,
                Promise::HeldBackIsFound => self.held_back_is_found()?,
                Promise::LimitHolds => self.limit_holds()?,
            }
        }
        self.settled = false;
        self.silent = false;
        Ok(())
    }

    fn told_stays(&self) -> Result<(), String> {
        let now = self.now();
        for who in 0..PEOPLE {
            for gateway in GATEWAYS {
                if let Some(leader) = &self.leader {
                    let hold = self
                        .ledger
                        .told_hold(who, now)
                        .map(|name| format!("{name} was answered or reported"));
                    let claim = || self.ledger.refuses(who, gateway, now, |_| true);
                    refused(&leader.listener, "the leader", who, gateway, hold.or_else(claim))?;
                }
                for (at, follower) in self.followers.iter().enumerate() {
                    let seen = follower.seen.users.get(&name_of(who));
                    let version = seen.map_or(0, |user| super::stores::version(&user.metadata));
                    let claim = self.ledger.refuses(who, gateway, now, |told| told <= version);
                    let claim = claim.or_else(|| live_phase(&self.ledger, self.record.get(), follower, who, now));
                    refused(follower, &format!("follower {at}"), who, gateway, claim)?;
                }
            }
        }
        Ok(())
    }

    fn no_order_waits(&self) -> Result<(), String> {
        let now = self.now();
        let leader = self.leader.as_ref().map(|leader| ("leader", &leader.listener));
        let followers = self.followers.iter().map(|follower| ("follower", follower));
        for (name, listener) in leader.into_iter().chain(followers) {
            for hold in listener.seen.holds.values().filter(|hold| is_live_order(hold, now)) {
                let who = person_of(&hold.spec.corporate_id);
                let why = || format!("{} is an order", hold.metadata.name.as_deref().unwrap_or_default());
                for gateway in GATEWAYS {
                    refused(listener, &format!("a {name}"), who, gateway, Some(why()))?;
                }
            }
        }
        Ok(())
    }

    /// Once everything was heard.
    fn listeners_agree(&self) -> Result<(), String> {
        let Some(leader) = self.leader.as_ref().filter(|_| self.settled) else {
            return Ok(());
        };
        for (at, follower) in self.followers.iter().enumerate() {
            for gateway in GATEWAYS {
                let ours = adapter::logins(&leader.listener.roster, gateway);
                let theirs = adapter::logins(&follower.roster, gateway);
                for (who, (ours, theirs)) in ours.iter().zip(&theirs).enumerate() {
                    if !self.vanished.contains(&who)
                        && matches!(ours, Verdict::Granted(_)) != matches!(theirs, Verdict::Granted(_))
                    {
                        let user = leader.listener.seen.users.get(&name_of(who));
                        let status = user.and_then(|user| user.status.as_ref());
                        return Err(format!(
                            "at {gateway} person {who} gets {ours:?} from the leader and {theirs:?} from follower {at}: {status:?}"
                        ));
                    }
                }
            }
        }
        Ok(())
    }

    fn held_back_is_found(&self) -> Result<(), String> {
        let Some(leader) = &self.leader else { return Ok(()) };
        for (who, waiting) in &self.ledger.waiting {
            let person = leader.listener.roster.person(&id(*who));
            if !person.as_ref().is_some_and(adapter::waits) {
                return Err(format!("person {who} was told to wait ({waiting:?}): {person:?}"));
            }
        }
        if !self.settled {
            return Ok(());
        }
        for who in 0..PEOPLE {
            let person = leader.listener.roster.person(&id(who));
            let Some(user) = self.record.get().users.get(&name_of(who)) else {
                continue;
            };
            let waits = person.as_ref().is_some_and(adapter::is_in_by_the_guard);
            let says = user.status.as_ref().is_some_and(adapter::says_held_back);
            if waits != says {
                return Err(format!(
                    "person {who} waits: {waits}, and the status: {:?}",
                    user.status
                ));
            }
        }
        for hold in self.record.get().holds.values() {
            adapter::agrees(&leader.listener.roster, hold)?;
        }
        Ok(())
    }
}

fn refused(listener: &Listener, name: &str, who: usize, gateway: &str, why: Option<String>) -> Result<(), String> {
    match why {
        Some(why) if listener.lets_in(who, gateway) => {
            let person = listener.roster.person(&id(who));
            Err(format!(
                "{name} lets person {who} in at {gateway}, although {why}: {person:?}"
            ))
        }
        Some(_) | None => Ok(()),
    }
}

fn is_live_order(hold: &VpnHold, now: Timestamp) -> bool {
    let span = HoldSpan {
        from: hold.spec.from,
        until: hold.spec.until,
    };
    Feed::of_source(&hold.spec.source).is_none() && hold.metadata.deletion_timestamp.is_none() && span.is_live(now)
}

/// A hold that was answered as in force, and of which a follower heard that.
fn live_phase(ledger: &Ledger, objects: &Objects, follower: &Listener, who: usize, now: Timestamp) -> Option<String> {
    let heard = |name: &String| {
        let (seen, present) = (follower.seen.holds.get(name)?, objects.holds.get(name)?);
        let same = seen.metadata.uid == present.metadata.uid && seen.metadata.deletion_timestamp.is_none();
        (same && adapter::says_live(seen)).then(|| format!("{name} was reported as live"))
    };
    let denies = |it: &Standing| it.who == who && it.told && !it.lost && it.span.is_live(now);
    let mut of = ledger.holds.iter().filter(|(_, it)| denies(it));
    of.find_map(|(name, _)| heard(name))
}
