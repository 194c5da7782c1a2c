//! From what was said to what is in force: causes are judged, the index is told, transitions are answered.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
};

use jiff::Timestamp;

use super::{
    conclude::Open,
    entry::{Entry, Hold, Key, LastReported, Touched, User},
    messages::{AccessChange, Loss, Transition},
    register::Register,
    tables::Tables,
};
use crate::{
    auth::{
        index::{Change, EpochRule, empty_revoke},
        words::Role,
    },
    model::{
        access::{Access, Reason, Terms, decide, reason_at},
        guard::Budget,
        session::Epoch,
    },
};

/// Accounts of users that are gone, to be forgotten.
type Released = Vec<(Key, Arc<str>, Arc<str>)>;

impl Tables {
    /// Brings everything about the touched IDs in force, as far as the guard lets it.
    pub(super) fn evaluate(&mut self, mut touched: Touched, now: Timestamp, mut loading: bool) -> Vec<Transition> {
        let mut transitions = Vec::new();
        if now < self.horizon && !loading {
            // The clock was set back: what was over may be in force again, for anybody.
            touched.extend(self.register.ids.keys().cloned());
        }
        self.horizon = now;
        self.judge_lost_holds(now);
        while !touched.is_empty() {
            let mut open = Vec::new();
            let mut granted = 0;
            for key in &touched {
                granted += self.judge_causes(key, now, loading, &mut open);
            }
            if !loading {
                granted = self.granted();
            }
            self.decide_open(&open, granted, now, loading);
            let mut released = Vec::new();
            for key in &touched {
                let users = self.register.ids.get(key).map_or(0, |entry| entry.users.len());
                for at in 0..users {
                    transitions.extend(self.enact(key, at, now, loading, &mut released));
                }
                self.turn_wheel(key, now);
            }
            touched = Touched::new();
            for (key, name, account) in released {
                self.register.remove_user(&key, &name, &account, &mut touched);
                self.turn_wheel(&key, now);
            }
            self.forget_removed(now);
            // Whoever comes next in line for an account or an ID.
            loading = false;
        }
        transitions
    }

    /// People who have access.
    pub(super) fn granted(&self) -> usize {
        let count = |reason| self.counts.get(&reason).copied().unwrap_or(0);
        count(Reason::Active) + count(Reason::GuardHeldBack)
    }

    /// Brings one user's terms in force.
    fn enact(
        &mut self,
        key: &Key,
        at: usize,
        now: Timestamp,
        loading: bool,
        released: &mut Released,
    ) -> Option<Transition> {
        let entry = self.register.ids.get(key)?;
        let user = entry.users.get(at)?;
        let permitted = self.register.permitted(entry, user);
        let terms = match &user.in_force {
            Some(present) if **present == permitted => present.clone(),
            _ if permitted == *self.unlimited => self.unlimited.clone(),
            _ => Arc::new(permitted),
        };
        let owner = self.register.has_account(user);
        let reason = reason_at(&terms, now);
        let granted = reason == Reason::Active;
        let kept = user.standing.kept();
        let leaves = user.gone && kept.is_none();
        let facts = &user.facts;
        let reported = &facts.reported;
        let (epoch, revoke) = if owner {
            let rotated = reported
                .credential_generation
                .is_some_and(|it| it != facts.credential_generation);
            let proved = reported.access == Some(Access::Denied) && (reported.epoch > Epoch(0) || reported.zero);
            let change = Change {
                password: user.password.filter(|_| !user.gone || granted),
                terms: terms.clone(),
                max_devices: facts.max_devices,
                gateways: kept.map_or(&facts.spec, |kept| kept).gateways.clone(),
                epoch: match self.register.role {
                    Role::Controller => EpochRule::Own {
                        start: reported.epoch,
                        raise: loading && (rotated || (reported.narrowed && kept.is_none()) || (!granted && !proved)),
                    },
                    Role::Follower => EpochRule::Reported(reported.access.map(|_| reported.epoch)),
                },
                granted,
            };
            let (epoch, revoke) = self.index.put(&facts.account, change, now);
            let again = || empty_revoke(epoch, reported.denied_at.unwrap_or(now));
            let again = || (loading && !granted && self.register.role == Role::Controller).then(again);
            (epoch, revoke.or_else(again))
        } else {
            let present = self.index.sessions(&facts.account);
            (present.map_or(reported.epoch, |(epoch, _)| epoch), None)
        };
        let last = LastReported {
            reason: if granted && is_held_back(&self.register, entry, at, now) {
                Reason::GuardHeldBack
            } else {
                reason
            },
            epoch,
            holds: holds_in_view(entry, now),
            generation: facts.generation,
            deleted: user.is_deleted(),
            held_back: [
                user.standing.held_back().map(|kept| kept.rejected),
                user.usage
                    .0
                    .as_ref()
                    .filter(|it| it.verdict.keeps())
                    .map(|it| it.verdict == crate::model::guard::Verdict::Rejected),
            ],
            used: used_percent(&terms, now),
        };
        let names = (facts.name.clone(), facts.account.clone());
        let loss = loss(&self.register, entry, at, &last, loading, now);
        // An object that came second for its ID says nothing of the person.
        let changed = (at == 0 && !loading && self.register.role == Role::Controller)
            .then(|| changed(entry, user, &last, now))
            .flatten();
        self.access_changes.extend(changed);
        let user = self.register.ids.get_mut(key)?.users.get_mut(at)?;
        user.in_force = Some(terms);
        let old = user.last_reported.replace(last.clone());
        if let Some(old) = &old {
            let count = self.counts.entry(old.reason).or_default();
            *count = count.saturating_sub(1);
        }
        if leaves {
            released.push((key.clone(), names.0.clone(), names.1.clone()));
        } else {
            *self.counts.entry(last.reason).or_default() += 1;
        }
        (revoke.is_some() || old != Some(last)).then(|| Transition {
            user: names.0.to_string(),
            account: names.1.to_string(),
            revoke,
            loss: loss.map(Box::new),
        })
    }

    /// Notes when time alone changes something about an ID, and whether the guard holds something back there.
    fn turn_wheel(&mut self, key: &Key, now: Timestamp) {
        let Some(entry) = self.register.ids.get(key) else {
            self.held_back.remove(key);
            self.undecided.remove(key);
            return;
        };
        let kept = |at: &User| at.standing.kept().is_some() || at.usage.keeps();
        let waits = entry.users.iter().any(kept) || entry.holds.iter().any(|hold| hold.judgement.keeps());
        let declared = entry.users.iter().filter(|_| waits);
        let declared = declared.map(|user| decide(&self.register.declared(entry, user), now).next_change);
        let in_force = entry.users.iter().filter_map(|user| user.in_force.as_ref());
        let changes = in_force.map(|terms| decide(terms, now).next_change).chain(declared);
        let deadline = changes.flatten().min();
        if waits {
            self.held_back.insert(key.clone());
        } else {
            self.held_back.remove(key);
        }
        match entry.undecided_since() {
            Some(since) => drop(self.undecided.insert(key.clone(), since)),
            None => drop(self.undecided.remove(key)),
        }
        if let Some(entry) = self.register.ids.get_mut(key)
            && entry.deadline != deadline
        {
            if let Some(old) = std::mem::replace(&mut entry.deadline, deadline) {
                self.wheel.remove(&(old, key.clone()));
            }
            self.wheel.extend(deadline.map(|at| (at, key.clone())));
        }
    }

    /// Takes out the IDs for which something changed by time alone until `now`.
    pub(super) fn take_due(&mut self, now: Timestamp) -> Touched {
        let mut due = Touched::new();
        while let Some((at, key)) = self.wheel.pop_first() {
            if at > now {
                self.wheel.insert((at, key));
                break;
            }
            due.insert(key);
        }
        due.extend(self.overdue(now));
        due
    }

    fn decide_open(&mut self, open: &[Open], granted: usize, now: Timestamp, loading: bool) {
        if open.is_empty() {
            return;
        }
        let silent = self.is_silent(now);
        // While somebody leads a follower has everything in force until the controller's word comes.
        let judges = self.register.role == Role::Controller || loading || silent;
        for budget in Budget::ALL {
            let of: Vec<&Open> = open.iter().filter(|it| it.budget == budget).collect();
            if !of.is_empty() {
                let takes_effect = self.fits(budget, &of, granted, now, judges);
                for open in of {
                    self.conclude(open, takes_effect, silent, now);
                }
            }
        }
    }
}

/// Whether a user has access only because the guard holds something back, given that there is access.
pub(super) fn is_held_back(register: &Register, entry: &Entry, at: usize, now: Timestamp) -> bool {
    let Some(user) = entry.users.get(at) else {
        return false;
    };
    let narrower = |kept| user.facts.spec.narrows(kept);
    let waits =
        user.standing.kept().is_some() || user.usage.keeps() || entry.holds.iter().any(|it| it.judgement.keeps());
    waits
        && (user.standing.kept().is_some_and(narrower)
            || reason_at(&register.declared(entry, user), now) != Reason::Active)
}

/// How the access of a person changed by what is reported now.
fn changed(entry: &Entry, user: &User, last: &LastReported, now: Timestamp) -> Option<AccessChange> {
    let old = user.last_reported.as_ref();
    let same =
        old.is_some_and(|old| old.reason == last.reason && (old.holds == last.holds || last.reason != Reason::Held));
    (!same).then(|| access_change(entry, user, last.reason, old.map(|old| old.reason), now))
}

/// How the access of a person stands.
pub(super) fn access_change(
    entry: &Entry,
    user: &User,
    reason: Reason,
    before: Option<Reason>,
    now: Timestamp,
) -> AccessChange {
    let live = entry
        .holds
        .iter()
        .filter(|hold| reason == Reason::Held && hold.is_live(now));
    AccessChange {
        corporate_id: user.facts.id.clone(),
        user: user.facts.name.clone(),
        at: now,
        reason,
        before,
        holds: live.map(|hold| hold.facts.name.to_string()).collect(),
    }
}

/// What a user loses by what is reported now.
fn loss(
    register: &Register,
    entry: &Entry,
    at: usize,
    now_reported: &LastReported,
    loading: bool,
    now: Timestamp,
) -> Option<Loss> {
    let user = entry.users.get(at)?;
    let reported = &user.facts.reported;
    let before = match &user.last_reported {
        Some(old) => old.reason,
        None if loading && reported.access == Some(Access::Granted) => {
            let kept = Budget::ALL.iter().any(|cause| reported.held_back(*cause).is_some());
            if kept { Reason::GuardHeldBack } else { Reason::Active }
        }
        None => return None,
    };
    let has_access = |reason| matches!(reason, Reason::Active | Reason::GuardHeldBack);
    let held_back = now_reported.reason == Reason::GuardHeldBack;
    if !has_access(before) || before == now_reported.reason || now_reported.reason == Reason::Active {
        return None;
    }
    let waits = |hold: &Hold| hold.counts() && hold.judgement.keeps() && hold.facts.span.is_live(now);
    let holds = entry
        .holds
        .iter()
        .filter(|hold| if held_back { waits(hold) } else { hold.is_live(now) });
    Some(Loss {
        corporate_id: user.facts.id.clone(),
        reason: if held_back {
            reason_at(&register.declared(entry, user), now)
        } else {
            now_reported.reason
        },
        holds: holds.map(|hold| hold.facts.name.to_string()).collect(),
        held_back,
    })
}

fn used_percent(terms: &Terms, now: Timestamp) -> Option<u64> {
    let quota = terms.quota?;
    let used = terms.usage.in_period(quota.period, now);
    used.saturating_mul(100).checked_div(quota.limit)
}

fn holds_in_view(entry: &Entry, now: Timestamp) -> u64 {
    let mut hasher = DefaultHasher::new();
    for hold in entry
        .holds
        .iter()
        .filter(|hold| hold.counts() && hold.facts.span.is_live(now))
    {
        hold.facts.name.hash(&mut hasher);
        hold.judgement.keeps().hash(&mut hasher);
    }
    hasher.finish()
}
