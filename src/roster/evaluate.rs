//! From what was said to what is in force: the guard looks at the batch, the index is told, transitions are answered.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
};

use jiff::Timestamp;

use super::{
    Transition,
    entry::{Entry, HeldBack, HoldState, Key, Shown, Touched, User},
    guard::{Batch, HeldBackDenial, Recent, Ruling},
    register::{Register, Secrets},
};
use crate::{
    auth::{
        index::{AuthIndex, Change, EpochRule, empty_revoke},
        words::Role,
    },
    model::{
        access::{Access, Reason, Terms, decide, reason_at},
        session::Epoch,
    },
};

/// What the roster's mutex protects.
pub(super) struct State {
    pub(super) register: Register,
    pub(super) secrets: Secrets,
    pub(super) index: Arc<AuthIndex>,
    /// Terms of everybody against whom nothing is declared: one for all of them.
    pub(super) unlimited: Arc<Terms>,
    pub(super) denials: Recent,
    pub(super) losses: Recent,
    /// IDs of users whose denial is held back.
    pub(super) held_back: BTreeSet<Key>,
    /// Names of lost holds that stay in force.
    pub(super) kept: BTreeSet<Box<str>>,
    /// What the guard held back before the restart, by name of the user. Used up by the first load.
    pub(super) restored: HashMap<String, HeldBackDenial>,
    /// What changes when, if nothing but time passes.
    pub(super) wheel: BTreeSet<(Timestamp, Key)>,
    /// Users by effective reason.
    pub(super) counts: BTreeMap<Reason, usize>,
    /// The latest time at which anything was looked at.
    pub(super) horizon: Timestamp,
    /// Something of what the guard keeps over a restart changed.
    pub(super) guard_changed: bool,
    /// See [`super::Roster::trust_deletions`].
    pub(super) deletions_are_explicit: bool,
}

/// Why an evaluation takes place.
pub(super) enum Cause<'a> {
    /// Something was said, or time passed.
    Change,
    /// The first load is over.
    Load,
    /// A person confirmed for these IDs.
    Confirmed(&'a Touched),
}

/// What becomes of a plan.
pub(super) enum Fate {
    Take,
    Keep,
    Judge,
}

struct Plan {
    key: Key,
    at: usize,
    owner: bool,
    terms: Arc<Terms>,
    /// What is in force if the plan is not taken.
    before: Option<Arc<Terms>>,
    /// The object is no longer to be found, which may be somebody's mistake.
    vanished: bool,
    fate: Fate,
}

impl State {
    /// Brings everything about the touched IDs in force, as far as the guard lets it.
    pub(super) fn evaluate(&mut self, mut touched: Touched, now: Timestamp, mut cause: &Cause<'_>) -> Vec<Transition> {
        let mut transitions = Vec::new();
        if now < self.horizon && !matches!(cause, Cause::Load) {
            // The clock was set back: what was over may be in force again, for anybody.
            touched.extend(self.register.ids.keys().cloned());
        }
        self.horizon = now;
        self.judge_lost_holds(now);
        while !touched.is_empty() {
            let mut plans = Vec::with_capacity(touched.len());
            let mut population = 0;
            for key in &touched {
                let Some(entry) = self.register.ids.get(key) else {
                    continue;
                };
                for (at, user) in entry.users.iter().enumerate() {
                    plans.push(self.plan(key, entry, at, user, now, cause));
                    population += usize::from(user.facts.recorded.access == Some(Access::Granted));
                }
            }
            if !matches!(cause, Cause::Load) {
                population = self.counts.get(&Reason::Active).copied().unwrap_or(0);
            }
            let ruling = self.judge_denials(&plans, population, now);
            let mut released = Vec::new();
            for plan in plans {
                let keep = match plan.fate {
                    Fate::Take => false,
                    Fate::Keep => true,
                    Fate::Judge => ruling == Ruling::HoldBack,
                };
                transitions.extend(self.enact(&plan, keep, now, cause, &mut released));
            }
            for key in touched {
                self.turn_wheel(&key, now);
            }
            touched = Touched::new();
            for (key, name, account) in released {
                self.register.remove_user(&key, &name, &account, &mut touched);
                self.turn_wheel(&key, now);
            }
            // Whoever comes next in line for an account or an ID.
            cause = &Cause::Change;
        }
        transitions
    }

    fn plan(&self, key: &Key, entry: &Entry, at: usize, user: &User, now: Timestamp, cause: &Cause<'_>) -> Plan {
        let declared = self.register.declared(entry, user);
        let reason = reason_at(&declared, now);
        let terms = match &user.in_force {
            Some(present) if **present == declared => present.clone(),
            _ if declared == *self.unlimited => self.unlimited.clone(),
            _ => Arc::new(declared),
        };
        let mut before = user.in_force.clone();
        let mut held_back = user.held_back.as_ref().map(|it| it.fingerprint.as_str());
        if matches!(cause, Cause::Load)
            && user.facts.recorded.access == Some(Access::Granted)
            && reason != Reason::Active
        {
            let mut old = entry.before_denial(&terms, now);
            if user.facts.recorded.outdated {
                // Nobody can tell a deadline that came while no process ran from one that was moved into the past.
                old.valid_from = None;
                old.valid_until = None;
            }
            if let Some(restored) = self.restored.get(&*user.facts.name) {
                old.valid_from = restored.valid_from;
                old.valid_until = restored.valid_until;
                held_back = Some(&restored.fingerprint);
            }
            before = Some(Arc::new(old));
        }
        let followed = self.follow(entry, user, &terms, &mut before, now);
        let was_granted = before
            .as_ref()
            .is_some_and(|before| reason_at(before, now) == Reason::Active);
        let confirmed = matches!(cause, Cause::Confirmed(ids) if ids.contains(key))
            && user
                .held_back
                .as_ref()
                .is_some_and(|it| !it.cancelled || self.is_final(user));
        // Each of these objects was let go by a person, and none can come back.
        let let_go = user.let_go || (user.gone && user.facts.deleted && self.deletions_are_explicit);
        // Of the terms that are kept, only the count of bytes may have moved on.
        let used_up = user.held_back.is_some()
            && user.in_force.as_ref().and_then(|kept| kept.quota).is_some_and(|quota| {
                let usage = self.register.usage_of(user);
                usage.in_period(quota.period, now) >= quota.limit
            });
        // An account that another object had first cannot be kept: there is only one.
        let fate = if let_go {
            Fate::Take
        } else if let Some(fate) = followed {
            fate
        } else if reason == Reason::Active || reason == Reason::Conflict || !was_granted || confirmed {
            Fate::Take
        } else if !used_up && held_back.is_some_and(|old| *old == entry.fingerprint(user)) {
            Fate::Keep
        } else {
            Fate::Judge
        };
        Plan {
            key: key.clone(),
            at,
            owner: self.register.has_account(user),
            vanished: terms.deleted && (user.gone || !self.deletions_are_explicit),
            terms,
            before,
            fate,
        }
    }

    /// Whether the denial is a deletion that nobody can take back, so that a rejected one waits for another word.
    pub(super) fn is_final(&self, user: &User) -> bool {
        self.deletions_are_explicit && user.is_deleted()
    }

    fn judge_denials(&mut self, plans: &[Plan], population: usize, now: Timestamp) -> Ruling {
        let batch = plans.iter().filter(|plan| matches!(plan.fate, Fate::Judge));
        let (size, disappeared) = batch.fold((0, 0), |(size, gone), plan| {
            (size + 1, gone + usize::from(plan.vanished))
        });
        if size == 0 {
            return Ruling::Pass;
        }
        self.guard_changed = true;
        let batch = Batch {
            size,
            disappeared,
            population,
        };
        self.denials.judge(batch, now)
    }

    fn judge_lost_holds(&mut self, now: Timestamp) {
        let names = std::mem::take(&mut self.register.lost);
        if names.is_empty() {
            return;
        }
        let mut lost: Vec<(Key, Box<str>)> = Vec::new();
        for name in names {
            let Some(key) = self.register.holds.get(&name).cloned() else {
                continue;
            };
            let holds = self
                .register
                .ids
                .get(&key)
                .map(|entry| entry.holds.as_slice())
                .unwrap_or_default();
            match holds.iter().find(|hold| hold.facts.name == name) {
                Some(hold) if hold.state == HoldState::Lost && hold.is_over(now) => self.register.lift(&key, &name),
                Some(hold) if hold.state == HoldState::Lost => lost.push((key, name)),
                _ => {}
            }
        }
        lost.sort_unstable();
        lost.dedup();
        let ids = self.register.ids.values();
        let counting = ids
            .flat_map(|entry| &entry.holds)
            .filter(|hold| hold.counts() && !hold.is_over(now));
        let batch = Batch {
            size: lost.len(),
            disappeared: if self.deletions_are_explicit { 0 } else { lost.len() },
            population: counting.count(),
        };
        let ruling = self.losses.judge(batch, now);
        self.guard_changed |= !lost.is_empty();
        for (key, name) in lost {
            if ruling == Ruling::Pass {
                self.register.lift(&key, &name);
            } else if let Some(entry) = self.register.ids.get_mut(&key) {
                let holds = entry.holds.iter_mut().filter(|hold| hold.facts.name == name);
                let kept = HoldState::Kept {
                    since: now,
                    cancelled: false,
                };
                holds.for_each(|hold| hold.state = kept);
                self.kept.insert(name);
            }
        }
    }

    /// Brings one user's plan in force.
    fn enact(
        &mut self,
        plan: &Plan,
        keep: bool,
        now: Timestamp,
        cause: &Cause<'_>,
        released: &mut Vec<(Key, Arc<str>, Arc<str>)>,
    ) -> Option<Transition> {
        let entry = self.register.ids.get_mut(&plan.key)?;
        let holds = live_holds(entry, now);
        let fingerprint = entry
            .users
            .get(plan.at)
            .filter(|_| keep)
            .map(|user| entry.fingerprint(user));
        let user = entry.users.get_mut(plan.at)?;
        let mut leaves = false;
        if let Some(fingerprint) = fingerprint {
            let restored = self.restored.remove(&*user.facts.name);
            let restored = restored.filter(|it| it.fingerprint == fingerprint).map(|it| HeldBack {
                since: it.since,
                fingerprint: it.fingerprint,
                cancelled: it.cancelled,
            });
            let before = user.held_back.take().or(restored);
            let cancelled = before
                .as_ref()
                .is_some_and(|it| it.cancelled && it.fingerprint == fingerprint);
            user.held_back = Some(HeldBack {
                since: before.as_ref().map_or(now, |it| it.since),
                fingerprint,
                cancelled,
            });
            user.in_force.clone_from(&plan.before);
        } else {
            self.guard_changed |= user.held_back.take().is_some();
            user.in_force = Some(plan.terms.clone());
            if let Some(word) = &mut user.facts.word {
                word.overtaken();
            }
            leaves = user.gone;
            if leaves {
                released.push((plan.key.clone(), user.facts.name.clone(), user.facts.account.clone()));
            }
        }
        let in_force = user.in_force.clone().unwrap_or_else(|| plan.terms.clone());
        let reason = reason_at(&in_force, now);
        let used = used_percent(&in_force, now);
        let (epoch, revoke) = if plan.owner {
            let facts = &user.facts;
            let recorded = facts.recorded;
            let granted = reason == Reason::Active;
            let load = matches!(cause, Cause::Load);
            let rotated = recorded
                .credential_generation
                .is_some_and(|it| it != facts.credential_generation);
            let proved = recorded.access == Some(Access::Denied) && (recorded.epoch > Epoch(0) || recorded.zero);
            let change = Change {
                password: user.password.filter(|_| !user.gone || granted),
                terms: in_force,
                max_devices: facts.max_devices,
                gateways: facts.gateways.clone(),
                epoch: match self.register.role {
                    Role::Controller => EpochRule::Own {
                        start: recorded.epoch,
                        raise: load && (rotated || recorded.narrowed || (!granted && !proved)),
                    },
                    Role::Follower => EpochRule::Said(recorded.access.map(|_| recorded.epoch)),
                },
                granted,
            };
            let (epoch, revoke) = self.index.put(&facts.account, change, now);
            let again = || empty_revoke(epoch, recorded.denied_at.unwrap_or(now));
            let again = || (load && !granted && self.register.role == Role::Controller).then(again);
            (epoch, revoke.or_else(again))
        } else {
            let present = self.index.sessions(&user.facts.account);
            (present.map_or(user.facts.recorded.epoch, |(epoch, _)| epoch), None)
        };
        let shown = Shown {
            reason,
            epoch,
            holds,
            generation: user.facts.generation,
            deleted: user.is_deleted(),
            held_back: user.held_back.as_ref().map(|it| it.cancelled),
            used,
        };
        let old = user.shown.replace(shown.clone());
        if let Some(old) = &old {
            let count = self.counts.entry(old.reason).or_default();
            *count = count.saturating_sub(1);
        }
        if !leaves {
            *self.counts.entry(reason).or_default() += 1;
        }
        (revoke.is_some() || old != Some(shown)).then(|| Transition {
            user: user.facts.name.to_string(),
            account: user.facts.account.to_string(),
            revoke,
        })
    }

    /// Notes when time alone changes something about an ID, and whether the guard holds something back there.
    fn turn_wheel(&mut self, key: &Key, now: Timestamp) {
        let Some(entry) = self.register.ids.get(key) else {
            self.held_back.remove(key);
            return;
        };
        let declared = entry.users.iter().filter(|user| user.held_back.is_some());
        let declared = declared.map(|user| decide(&self.register.declared(entry, user), now).next_change);
        let in_force = entry.users.iter().filter_map(|user| user.in_force.as_ref());
        let changes = in_force.map(|terms| decide(terms, now).next_change).chain(declared);
        let deadline = changes.flatten().min();
        if entry.users.iter().any(|user| user.held_back.is_some()) {
            self.held_back.insert(key.clone());
        } else {
            self.held_back.remove(key);
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
        due
    }
}

fn used_percent(terms: &Terms, now: Timestamp) -> Option<u64> {
    let quota = terms.quota?;
    let used = terms.usage.in_period(quota.period, now);
    used.saturating_mul(100).checked_div(quota.limit)
}

fn live_holds(entry: &Entry, now: Timestamp) -> u64 {
    let mut hasher = DefaultHasher::new();
    for hold in entry.holds.iter().filter(|hold| hold.is_live(now)) {
        hold.facts.name.hash(&mut hasher);
    }
    hasher.finish()
}
