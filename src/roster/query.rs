//! Reading the roster: one person, all of them, and what the guard holds back.

use std::collections::{HashMap, HashSet, VecDeque};

use jiff::Timestamp;

use super::{
    Roster,
    apply::{access_change, is_held_back},
    entry::{Entry, Hold, HoldState, Key, Touched, User},
    messages::{AccessChange, GuardReport, HoldVerdict, PendingDenial, Person, Several},
    records::held_back_causes,
    register::spans,
    tables::Tables,
    verdicts::HoldJudged,
};
use crate::model::{
    access::{Access, Decision, Reason, Terms, decide},
    corporate_id::CorporateId,
    gateway::DEFAULT_GATEWAY,
    guard::{Budget, BudgetReport, WaitingHold},
    session::Epoch,
};

/// Cause of a denial that takes a gateway away and leaves others.
const NARROWED: &str = "GatewayRemoved";

/// How many people are read under one lock.
const PAGE: usize = 256;

impl Roster {
    /// One person, by ID.
    #[must_use]
    pub fn person(&self, id: &CorporateId) -> Option<Person> {
        let state = self.tables();
        state
            .register
            .ids
            .get(id.key())
            .map(|entry| state.person(entry, self.now()))
    }

    /// Whether a person is let in at this moment, as auth answers it.
    #[must_use]
    pub fn access(&self, id: &CorporateId) -> Access {
        let state = self.tables();
        let now = self.now();
        let Some(entry) = state.register.ids.get(id.key()) else {
            return Access::Denied;
        };
        let user = entry.users.first();
        let decision = match user.and_then(|user| user.in_force.as_ref()) {
            Some(in_force) => decide(in_force, now),
            None => state.decisions(entry, user, now).0,
        };
        decision.access
    }

    /// One person, by account on the gateway. The case of the name does not matter.
    #[must_use]
    pub fn person_by_account(&self, account: &str) -> Option<Person> {
        let state = self.tables();
        let account = account.to_ascii_lowercase();
        let entry = state.register.ids.get(state.register.by_account(&account)?)?;
        let user = entry.users.iter().find(|user| *user.facts.account == *account);
        Some(state.person_as(entry, user, self.now()))
    }

    /// One person, by name of the `VpnUser`, as this object stands: another object may have had the ID first.
    #[must_use]
    pub fn person_by_user(&self, name: &str) -> Option<Person> {
        let state = self.tables();
        let entry = state.register.ids.get(state.register.by_user(name)?)?;
        let named = entry.users.iter().filter(|user| *user.facts.name == *name);
        Some(state.person_as(entry, named.min_by_key(|user| user.gone), self.now()))
    }

    /// At most `limit` people in the order of their IDs, from the first one after `after`.
    #[must_use]
    pub fn people_after(&self, after: Option<&CorporateId>, limit: usize) -> Vec<Person> {
        let state = self.tables();
        let now = self.now();
        let from = after.map_or(std::ops::Bound::Unbounded, |id| std::ops::Bound::Excluded(id.key()));
        let page = state.register.ids.range::<str, _>((from, std::ops::Bound::Unbounded));
        page.take(limit).map(|(_, entry)| state.person(entry, now)).collect()
    }

    /// Everybody in the order of their IDs, read in pages: nothing is locked while the caller works, and who comes or goes
    /// meanwhile may be missed.
    pub fn people(&self) -> People<'_> {
        People {
            roster: self,
            page: VecDeque::new(),
            last: None,
            done: false,
        }
    }

    /// How the access of everybody who is declared stands at this moment, in the order of their IDs. What changed before it was
    /// asked for, and was not taken yet, is a part of it.
    pub fn access_in_force(&self) -> Vec<AccessChange> {
        let mut state = self.tables();
        state.access_changes.clear();
        let at = self.now();
        let entries = state.register.ids.values();
        entries
            .filter_map(|entry| {
                let user = entry.users.first()?;
                let last = user.last_reported.as_ref()?;
                Some(access_change(entry, user, last.reason, None, at))
            })
            .collect()
    }

    /// What the guard makes of the hold of this name.
    #[must_use]
    pub fn hold(&self, name: &str) -> HoldVerdict {
        let state = self.tables();
        let key = state.register.holds.get(name);
        let entry = key.and_then(|key| state.register.ids.get(key));
        let hold = entry.and_then(|entry| entry.holds.iter().find(|hold| *hold.facts.name == *name));
        hold.map(verdict).unwrap_or_default()
    }

    /// What the guard holds back: at most `most` things of each kind by name, and how many there are.
    #[must_use]
    pub fn guard(&self, most: usize) -> GuardReport {
        let now = self.now();
        self.tables().report(most, now)
    }
}

/// See [`Roster::people`].
pub struct People<'a> {
    roster: &'a Roster,
    page: VecDeque<Person>,
    last: Option<CorporateId>,
    done: bool,
}

impl Iterator for People<'_> {
    type Item = Person;

    fn next(&mut self) -> Option<Person> {
        if self.page.is_empty() && !self.done {
            self.page = self.roster.people_after(self.last.as_ref(), PAGE).into();
            self.done = self.page.len() < PAGE;
            self.last = self.page.back().map(|person| person.corporate_id.clone());
        }
        self.page.pop_front()
    }
}

fn verdict(hold: &Hold) -> HoldVerdict {
    let (held_back, denial) = match hold.judgement.state {
        HoldJudged::Kept { since, rejected, .. } if hold.counts() => {
            (Some(WaitingHold { since, rejected }), hold.judgement.change)
        }
        _ => (None, hold.judgement.change),
    };
    let (lost, loss) = match hold.state {
        HoldState::Kept {
            since,
            rejected,
            change,
        } => (Some(WaitingHold { since, rejected }), change),
        HoldState::InForce | HoldState::Lost | HoldState::Lifted => (None, 0),
    };
    HoldVerdict {
        held_back,
        lost,
        verdict: denial.max(loss),
    }
}

fn names<'a>(holds: impl Iterator<Item = &'a Hold>) -> Vec<String> {
    holds.map(|hold| hold.facts.name.to_string()).collect()
}

impl Tables {
    fn person(&self, entry: &Entry, now: Timestamp) -> Person {
        self.person_as(entry, entry.users.first(), now)
    }

    fn person_as(&self, entry: &Entry, user: Option<&User>, now: Timestamp) -> Person {
        let holds = || entry.holds.iter();
        let waits = |hold: &&Hold| hold.counts() && hold.judgement.keeps() && hold.facts.span.is_live(now);
        let verdicts = holds().map(|hold| verdict(hold).verdict).max().unwrap_or(0);
        let (effective, declared) = self.decisions(entry, user, now);
        let nobody = Person {
            corporate_id: entry.id.clone(),
            user: None,
            account: entry.id.account(),
            effective,
            declared,
            held_back_since: None,
            held_back: Vec::new(),
            kept_gateways: None,
            live_holds: names(holds().filter(|hold| hold.is_live(now))),
            held_back_holds: names(holds().filter(waits)),
            rejected_holds: names(holds().filter(waits).filter(|hold| hold.judgement.is_rejected())),
            lost_holds: names(holds().filter(|hold| matches!(hold.state, HoldState::Kept { .. }))),
            other_holds: names(holds().filter(|hold| !hold.is_live(now) && !waits(hold))),
            verdict: verdicts,
            has_password: false,
            generation: 0,
            epoch: Epoch::default(),
            sessions: 0,
        };
        let Some(user) = user else { return nobody };
        let facts = &user.facts;
        let sessions = self
            .index
            .sessions(&facts.account)
            .filter(|_| self.register.has_account(user));
        let (epoch, sessions) = sessions.unwrap_or((facts.reported.epoch, 0));
        let at = entry.users.iter().position(|it| std::ptr::eq(it, user)).unwrap_or(0);
        let kept = effective.reason == Reason::Active && is_held_back(&self.register, entry, at, now);
        let since_holds = holds().filter(waits).filter_map(|hold| match hold.judgement.state {
            HoldJudged::Kept { since, .. } => Some(since),
            _ => None,
        });
        let held_back = held_back_causes(user);
        let since = held_back.iter().map(|held| held.since).chain(since_holds).min();
        let usage = user.usage.0.as_ref().map_or(0, |it| it.change);
        let narrower = |spec: &&super::spec_terms::SpecTerms| facts.spec.narrows(spec);
        Person {
            corporate_id: facts.id.clone(),
            user: Some(facts.name.to_string()),
            account: facts.account.to_string(),
            effective,
            declared,
            held_back_since: since.filter(|_| kept),
            kept_gateways: user.standing.kept().filter(narrower).map(|spec| {
                spec.gateways
                    .names()
                    .unwrap_or_else(|| vec![DEFAULT_GATEWAY.to_owned()])
            }),
            held_back,
            verdict: verdicts.max(user.standing.change).max(usage),
            has_password: user.password.is_some(),
            generation: facts.generation,
            epoch,
            sessions: u32::try_from(sessions).unwrap_or(u32::MAX),
            ..nobody
        }
    }

    /// What auth does, and what is declared.
    fn decisions(&self, entry: &Entry, user: Option<&User>, now: Timestamp) -> (Decision, Decision) {
        let Some(user) = user else {
            return (
                decide(&nobody(entry, Hold::denies), now),
                decide(&nobody(entry, Hold::counts), now),
            );
        };
        let terms = self.register.declared(entry, user);
        let declared = decide(&terms, now);
        // Nearly always the same, since nothing is held back.
        let other = user.in_force.as_ref().filter(|in_force| ***in_force != terms);
        (other.map_or(declared, |in_force| decide(in_force, now)), declared)
    }

    /// IDs, out of those named or of all, for which something waits for a person.
    pub(super) fn pending(&self, ids: Option<&[CorporateId]>) -> Touched {
        let named: Option<HashSet<&str>> = ids.map(|ids| ids.iter().map(CorporateId::key).collect());
        let wanted = |key: &Key| named.as_ref().is_none_or(|named| named.contains(&**key));
        let lost = self.kept.iter().filter_map(|name| self.register.holds.get(name));
        self.held_back
            .iter()
            .chain(lost)
            .filter(|key| wanted(key))
            .cloned()
            .collect()
    }

    fn report(&mut self, most: usize, now: Timestamp) -> GuardReport {
        let Waiting {
            pending,
            rejected,
            by_budget,
        } = self.waiting(most, now);
        let granted = self.granted();
        let holds = self.register.denying_holds(now);
        let window = self.limits.window();
        let budgets = Budget::ALL.map(|budget| {
            let population = if budget == Budget::Holds { holds } else { granted };
            BudgetReport {
                budget,
                limit: self.limits.allowed(budget, population),
                used: self
                    .charged
                    .get_mut(&budget)
                    .map_or(0, |charged| charged.used(now, window)),
                waiting: by_budget.get(&budget).copied().unwrap_or(0),
            }
        });
        GuardReport {
            pending,
            rejected,
            budgets: budgets.into(),
            orders: self.orders.used(now, window),
            window,
        }
    }

    /// What waits for a person, and what was rejected of those whose objects cannot come back: in the order of their IDs,
    /// lost holds at the end.
    fn waiting(&self, most: usize, now: Timestamp) -> Waiting {
        let mut waiting = Waiting {
            pending: Several::none(),
            rejected: Several::none(),
            by_budget: HashMap::new(),
        };
        for entry in self.held_back.iter().filter_map(|key| self.register.ids.get(key)) {
            for user in &entry.users {
                for held in held_back_causes(user) {
                    let denial = || PendingDenial {
                        corporate_id: user.facts.id.clone(),
                        cause: self.cause(user, held.cause, now).to_owned(),
                        budget: held.cause,
                        since: held.since,
                    };
                    if !held.rejected {
                        waiting.add(held.cause, most, denial);
                    } else if held.cause == Budget::Declared && self.is_final(user.is_deleted()) {
                        waiting.rejected.add(most, denial);
                    }
                }
            }
            for hold in &entry.holds {
                let held_back = verdict(hold).held_back.filter(|it| !it.rejected);
                let (Some(held_back), Some(feed)) = (held_back, hold.facts.feed) else {
                    continue;
                };
                waiting.add(feed.into(), most, || PendingDenial {
                    corporate_id: entry.id.clone(),
                    cause: hold.facts.name.to_string(),
                    budget: feed.into(),
                    since: held_back.since,
                });
            }
        }
        for name in &self.kept {
            let entry = self.register.holds.get(name).and_then(|key| self.register.ids.get(key));
            let hold = entry.and_then(|entry| entry.holds.iter().find(|hold| hold.facts.name == *name));
            let Some(hold) = hold else { continue };
            let Some(lost) = verdict(hold).lost.filter(|it| !it.rejected) else {
                continue;
            };
            waiting.add(Budget::Holds, most, || PendingDenial {
                corporate_id: hold.facts.id.clone(),
                cause: name.to_string(),
                budget: Budget::Holds,
                since: lost.since,
            });
        }
        waiting
    }

    /// Why a user would be denied.
    fn cause(&self, user: &User, held_back: Budget, now: Timestamp) -> &'static str {
        let terms = || user.facts.spec.alone(user.is_deleted(), self.register.usage_of(user));
        match held_back {
            Budget::Usage => Reason::OverQuota.as_str(),
            _ => match decide(&terms(), now).reason {
                Reason::Active => NARROWED,
                reason => reason.as_str(),
            },
        }
    }
}

/// What is held back.
struct Waiting {
    pending: Several<PendingDenial>,
    rejected: Several<PendingDenial>,
    /// How many are pending.
    by_budget: HashMap<Budget, usize>,
}

impl Waiting {
    fn add(&mut self, budget: Budget, most: usize, denial: impl FnOnce() -> PendingDenial) {
        *self.by_budget.entry(budget).or_default() += 1;
        self.pending.add(most, denial);
    }
}

/// Terms of an ID for which there is no user.
fn nobody(entry: &Entry, counts: impl Fn(&Hold) -> bool) -> Terms {
    Terms {
        deleted: true,
        holds: spans(entry, counts),
        ..Terms::default()
    }
}
