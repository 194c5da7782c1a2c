//! Reading the roster: one person, all of them, and what the guard holds back.

use std::collections::{HashSet, VecDeque};

use jiff::Timestamp;

use super::{
    GuardReport, PendingDenial, Person, Roster,
    entry::{Entry, HeldBack, HoldState, Key, Touched, User},
    evaluate::State,
    guard::{GuardState, HeldBackDenial, KeptHold, limit},
};
use crate::model::{
    access::{HoldSpan, Reason, Terms, decide},
    corporate_id::CorporateId,
    session::Epoch,
};

/// How many people are read under one lock.
const PAGE: usize = 256;

impl Roster {
    /// One person, by ID.
    #[must_use]
    pub fn person(&self, id: &CorporateId) -> Option<Person> {
        let state = self.state();
        state
            .register
            .ids
            .get(id.key())
            .map(|entry| state.person(entry, self.now()))
    }

    /// One person, by account on the gateway. The case of the name does not matter.
    #[must_use]
    pub fn person_by_account(&self, account: &str) -> Option<Person> {
        let state = self.state();
        let account = account.to_ascii_lowercase();
        let entry = state.register.ids.get(state.register.by_account(&account)?)?;
        let user = entry.users.iter().find(|user| *user.facts.account == *account);
        Some(state.person_as(entry, user, self.now()))
    }

    /// One person, by name of the `VpnUser`, as this object stands: another object may have had the ID first.
    #[must_use]
    pub fn person_by_user(&self, name: &str) -> Option<Person> {
        let state = self.state();
        let entry = state.register.ids.get(state.register.by_user(name)?)?;
        let named = entry.users.iter().filter(|user| *user.facts.name == *name);
        Some(state.person_as(entry, named.min_by_key(|user| user.gone), self.now()))
    }

    /// At most `limit` people in the order of their IDs, from the first one after `after`.
    #[must_use]
    pub fn people_after(&self, after: Option<&CorporateId>, limit: usize) -> Vec<Person> {
        let state = self.state();
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

    /// What the guard holds back.
    #[must_use]
    pub fn guard(&self) -> GuardReport {
        let state = self.state();
        let now = self.now();
        let granted = state.counts.get(&Reason::Active).copied().unwrap_or(0);
        GuardReport {
            pending: state.report(now),
            rejected: state.rejected(now),
            recent: state.denials.count(now),
            limit: limit(granted),
        }
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

impl State {
    fn person(&self, entry: &Entry, now: Timestamp) -> Person {
        self.person_as(entry, entry.users.first(), now)
    }

    fn person_as(&self, entry: &Entry, user: Option<&User>, now: Timestamp) -> Person {
        let live = entry.holds.iter().filter(|hold| hold.is_live(now));
        let live_holds = live.map(|hold| hold.facts.name.to_string()).collect();
        let Some(user) = user else {
            let nobody = decide(&nobody(entry), now);
            return Person {
                corporate_id: entry.id.clone(),
                user: None,
                account: entry.id.account(),
                effective: nobody,
                declared: nobody,
                held_back_since: None,
                live_holds,
                generation: 0,
                epoch: Epoch::default(),
                sessions: 0,
            };
        };
        let facts = &user.facts;
        let declared = decide(&self.register.declared(entry, user), now);
        let effective = user.in_force.as_ref().map_or(declared, |terms| decide(terms, now));
        let sessions = self
            .index
            .sessions(&facts.account)
            .filter(|_| self.register.has_account(user));
        let (epoch, sessions) = sessions.unwrap_or((facts.recorded.epoch, 0));
        Person {
            corporate_id: facts.id.clone(),
            user: Some(facts.name.to_string()),
            account: facts.account.to_string(),
            effective,
            declared,
            held_back_since: user.held_back.as_ref().map(|it| it.since),
            live_holds,
            generation: facts.generation,
            epoch,
            sessions: u32::try_from(sessions).unwrap_or(u32::MAX),
        }
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

    fn held_back_users(&self) -> impl Iterator<Item = (&Entry, &User)> {
        let entries = self.held_back.iter().filter_map(|key| self.register.ids.get(key));
        entries.flat_map(|entry| entry.users.iter().map(move |user| (entry, user)))
    }

    /// Since when a lost hold is kept in force, and whether a person rejected the loss.
    pub(super) fn kept_since(&self, name: &str) -> Option<(Timestamp, bool)> {
        let entry = self.register.ids.get(self.register.holds.get(name)?)?;
        let hold = entry.holds.iter().find(|hold| *hold.facts.name == *name)?;
        match hold.state {
            HoldState::Kept { since, cancelled } => Some((since, cancelled)),
            HoldState::InForce | HoldState::Lost | HoldState::Lifted => None,
        }
    }

    fn report(&self, now: Timestamp) -> Vec<PendingDenial> {
        let denials = self.held_back_users().filter_map(|(entry, user)| {
            let held_back = user.held_back.as_ref().filter(|it| !it.cancelled)?;
            Some(self.denial(entry, user, held_back, now))
        });
        let losses = self.kept.iter().filter_map(|name| {
            let (since, _) = self.kept_since(name).filter(|(_, cancelled)| !cancelled)?;
            let entry = self.register.ids.get(self.register.holds.get(name)?)?;
            Some(PendingDenial {
                corporate_id: entry.id.clone(),
                cause: name.to_string(),
                since,
            })
        });
        denials.chain(losses).collect()
    }

    /// What was rejected of those whose objects cannot come back.
    fn rejected(&self, now: Timestamp) -> Vec<PendingDenial> {
        let denials = self.held_back_users().filter_map(|(entry, user)| {
            let held_back = user
                .held_back
                .as_ref()
                .filter(|it| it.cancelled && self.is_final(user))?;
            Some(self.denial(entry, user, held_back, now))
        });
        denials.collect()
    }

    fn denial(&self, entry: &Entry, user: &User, held_back: &HeldBack, now: Timestamp) -> PendingDenial {
        let declared = decide(&self.register.declared(entry, user), now);
        PendingDenial {
            corporate_id: user.facts.id.clone(),
            cause: declared.reason.as_str().into(),
            since: held_back.since,
        }
    }

    pub(super) fn guard_state(&self) -> GuardState {
        let held_back = self.held_back_users().filter_map(|(_, user)| {
            let held_back = user.held_back.as_ref()?;
            let before = user.in_force.as_ref();
            Some(HeldBackDenial {
                user: user.facts.name.to_string(),
                since: held_back.since,
                fingerprint: held_back.fingerprint.clone(),
                cancelled: held_back.cancelled,
                valid_from: before.and_then(|terms| terms.valid_from),
                valid_until: before.and_then(|terms| terms.valid_until),
            })
        });
        let kept = self.kept.iter().filter_map(|name| {
            let (since, cancelled) = self.kept_since(name)?;
            let entry = self.register.ids.get(self.register.holds.get(name)?)?;
            let HoldSpan { from, until } = entry.holds.iter().find(|hold| hold.facts.name == *name)?.facts.span;
            Some(KeptHold {
                name: name.to_string(),
                corporate_id: entry.id.clone(),
                from,
                until,
                since,
                cancelled,
            })
        });
        GuardState {
            denials: (&self.denials).into(),
            lost_holds: (&self.losses).into(),
            held_back: held_back.collect(),
            kept_holds: kept.collect(),
        }
    }
}

/// Terms of an ID for which there is no user.
fn nobody(entry: &Entry) -> Terms {
    Terms {
        deleted: true,
        holds: entry
            .holds
            .iter()
            .filter(|hold| hold.counts())
            .map(|hold| hold.facts.span)
            .collect(),
        ..Terms::default()
    }
}
