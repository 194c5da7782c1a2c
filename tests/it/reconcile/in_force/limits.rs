//! How many people lose access by consequences, and whether the guard holds back only what it must.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use vpn_operator::{
    auth::index::Verdict,
    model::{
        access::{Access, Reason},
        guard::{Budget, Feed},
    },
};

use super::{
    adapter::{self, LIMIT, WINDOW},
    leader::{Leader, Seat},
    listener::Listener,
    stores::{GATEWAYS, Objects, PEOPLE, holds_of, id, name_of, person_of},
    world::World,
};

/// Who lost access to what, and when, in the life of one leader.
#[derive(Debug, Default)]
pub struct Losses {
    people: Vec<(Timestamp, Budget, usize)>,
    holds: Vec<(Timestamp, String)>,
    excused: Vec<usize>,
    /// Whom something was held back of after the last step.
    waiting: Option<BTreeMap<Budget, BTreeSet<usize>>>,
}

impl Losses {
    pub fn hold(&mut self, name: &str, at: Timestamp) {
        self.holds.push((at, name.to_owned()));
    }

    /// These may lose access by this step: a person said so, or the clock.
    pub fn excused(&mut self, people: impl IntoIterator<Item = usize>) {
        self.excused.extend(people);
    }
}

impl World {
    /// No more people than the limit lose access by one kind of consequence within the window.
    pub fn limit_holds(&mut self) -> Result<(), String> {
        self.limit_holds_without_a_leader()?;
        let now = self.now();
        let Some(leader) = &mut self.leader else {
            self.losses = Losses::default();
            return Ok(());
        };
        let seats = leader.look();
        match leader.seats.replace(seats.clone()) {
            None => self.losses = Losses::default(),
            Some(before) => {
                for who in (0..PEOPLE).filter(|who| !self.losses.excused.contains(who)) {
                    if let Some(budget) = lost_by(leader, who, &before[who], &seats[who], now) {
                        self.losses.people.push((now, budget, who));
                    }
                }
            }
        }
        self.losses.excused.clear();
        let window = SignedDuration::from_secs(WINDOW);
        let recent = |at: Timestamp| now.duration_since(at).abs() < window;
        self.losses.people.retain(|(at, ..)| recent(*at));
        self.losses.holds.retain(|(at, _)| recent(*at));
        for budget in Budget::ALL {
            let of = self.losses.people.iter().filter(|(_, it, _)| *it == budget);
            let people: BTreeSet<usize> = of.map(|(.., who)| *who).collect();
            if people.len() > LIMIT {
                return Err(format!("{} people lost access by {budget:?}: {people:?}", people.len()));
            }
        }
        if self.losses.holds.len() > LIMIT {
            return Err(format!("lost holds gave access back: {:?}", self.losses.holds));
        }
        self.nothing_waits_needlessly(&seats)
    }

    /// What is held back anew would have been too much, by what the guard itself counts.
    fn nothing_waits_needlessly(&mut self, seats: &[Seat]) -> Result<(), String> {
        let Some(leader) = &self.leader else { return Ok(()) };
        let roster = &leader.listener.roster;
        let mut waiting: BTreeMap<Budget, BTreeSet<usize>> = BTreeMap::new();
        for (budget, id) in adapter::waiting_denials(roster) {
            waiting.entry(budget).or_default().insert(person_of(&id));
        }
        let Some(before) = self.losses.waiting.replace(waiting.clone()) else {
            return Ok(());
        };
        let granted = seats.iter().filter(|seat| seat.at.contains(&true)).count();
        for (budget, people) in waiting {
            let old = before.get(&budget).cloned().unwrap_or_default();
            let fresh = people.difference(&old).count();
            let used = adapter::used(roster, budget);
            let empties = people.len() >= 2 && people.len() >= granted;
            if fresh > 0 && used + people.len() <= LIMIT && !empties {
                return Err(format!("{people:?} wait although only {used} count against {budget:?}"));
            }
        }
        Ok(())
    }

    /// Followers that hear of no leader take no more than the limit away by themselves.
    fn limit_holds_without_a_leader(&self) -> Result<(), String> {
        if !self.silent {
            return Ok(());
        }
        for (at, follower) in self.followers.iter().enumerate() {
            let mut taken: BTreeMap<Budget, BTreeSet<usize>> = BTreeMap::new();
            let out_before = &self.out_before_silence[at];
            for who in 0..PEOPLE {
                let by = taken_without_a_word(self.record.get(), follower, who);
                // Who was out already counts only for what it was.
                let by = by.filter(|budget| {
                    out_before
                        .get(&who)
                        .is_none_or(|held| *held != (*budget == Budget::Declared))
                });
                if let Some(budget) = by {
                    taken.entry(budget).or_default().insert(who);
                }
            }
            if let Some((budget, people)) = taken.into_iter().find(|(_, people)| people.len() > LIMIT) {
                return Err(format!(
                    "follower {at} takes access from {people:?} by {budget:?} while nobody leads"
                ));
            }
        }
        Ok(())
    }
}

/// By which kind of consequence a person lost access to a gateway, if so. Time, orders and a person's word are none.
fn lost_by(leader: &Leader, who: usize, before: &Seat, after: &Seat, now: Timestamp) -> Option<Budget> {
    let at = (0..GATEWAYS.len()).find(|at| before.at[*at] && !after.at[*at])?;
    let roster = &leader.listener.roster;
    // Whatever else is declared since, and held back: what stays in force meanwhile ends as it was announced.
    let over = before.until == after.until && before.until.is_some_and(|until| until <= now);
    if over || leader.listener.ordered(who) {
        return None;
    }
    match adapter::login(roster, who, GATEWAYS[at]) {
        Verdict::Denied(Reason::Held) => {
            let person = roster.person(&id(who))?;
            let began = |name: &String| {
                let hold = leader.listener.seen.holds.get(name)?;
                let feed = Feed::of_source(&hold.spec.source)?;
                Some((feed, hold.spec.from))
            };
            let feeds: Option<Vec<_>> = person.live_holds.iter().map(began).collect();
            let feeds = feeds?;
            // One that was announced ahead denies because time passed.
            let announced = feeds.iter().any(|(_, from)| from.is_some());
            feeds
                .first()
                .filter(|_| !announced)
                .map(|(feed, _)| Budget::from(*feed))
        }
        Verdict::Denied(Reason::OverQuota) if before.limit == after.limit => Some(Budget::Usage),
        Verdict::Denied(_) | Verdict::OtherGateway | Verdict::UnknownUser => Some(Budget::Declared),
        _ => None,
    }
}

/// By which kind of consequence a follower refuses a person who has access by all that was reported, if so.
fn taken_without_a_word(objects: &Objects, follower: &Listener, who: usize) -> Option<Budget> {
    if follower.ordered(who) {
        return None;
    }
    let user = objects.users.get(&name_of(who))?;
    let status = user.status.as_ref().filter(|it| it.access == Some(Access::Granted))?;
    let outdated = Some(status.observed_generation) != user.metadata.generation;
    let live: Vec<_> = holds_of(objects, who)
        .filter(|hold| hold.metadata.deletion_timestamp.is_none())
        .collect();
    match adapter::login(&follower.roster, who, GATEWAYS[0]) {
        // Whoever is held as well lost access by that.
        Verdict::Denied(Reason::Inactive | Reason::Deleted) if outdated && live.is_empty() => Some(Budget::Declared),
        Verdict::Denied(Reason::Held | Reason::Inactive | Reason::Deleted) => {
            // One that was announced ahead denies because time passed.
            let unreported = live
                .iter()
                .all(|hold| hold.status.is_none() && hold.spec.from.is_none());
            let feeds: Option<Vec<Feed>> = live.iter().map(|hold| Feed::of_source(&hold.spec.source)).collect();
            feeds?.first().filter(|_| unreported).map(|feed| Budget::from(*feed))
        }
        _ => None,
    }
}
