//! Users and holds, joined by corporate ID, and who claims which account.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};

use super::{
    entry::{Entry, Hold, HoldState, Key, Secrets, Touched, User},
    facts::{HoldFacts, UserFacts},
    spec_terms::SpecTerms,
    verdicts::HoldJudgement,
};
use crate::{
    auth::{password::Digest, words::Role},
    model::{
        access::{HoldSpan, Terms, Usage},
        corporate_id::CorporateId,
        guard::VerdictRecord,
        user::VpnUser,
    },
};

#[derive(Default)]
struct Account {
    /// Ordered: the first has the account.
    claims: Vec<(Timestamp, Arc<str>, Key)>,
    usage: Usage,
}

/// The joined tables.
#[derive(Default)]
pub(super) struct Register {
    pub(super) role: Role,
    pub(super) ids: BTreeMap<Key, Entry>,
    users: HashMap<Arc<str>, Key>,
    accounts: HashMap<Arc<str>, Account>,
    pub(super) holds: HashMap<Box<str>, Key>,
    /// Names of holds in [`HoldState::Lost`].
    pub(super) lost: Vec<Box<str>>,
    /// Names of holds whose tombstones have nothing left to say.
    pub(super) forgettable: BTreeSet<Box<str>>,
    /// Holds that are there no more and about which the guard's store has verdicts.
    pub(super) removed_holds: Vec<Hold>,
}

impl Register {
    pub(super) fn new(role: Role) -> Self {
        Self {
            role,
            ..Self::default()
        }
    }

    fn entry(&mut self, id: &CorporateId) -> (Key, &mut Entry) {
        let key: Key = match self.ids.get_key_value(id.key()) {
            Some((key, _)) => key.clone(),
            None => id.key().into(),
        };
        let entry = self.ids.entry(key.clone()).or_insert_with(|| Entry {
            id: id.clone(),
            users: Vec::new(),
            holds: Vec::new(),
            deadline: None,
        });
        (key, entry)
    }

    /// Takes a user as it is now.
    pub(super) fn put_user(&mut self, object: &VpnUser, secrets: &Secrets, touched: &mut Touched) {
        let facts = UserFacts::of(object);
        if let Some(before) = self
            .users
            .get(&facts.name)
            .filter(|key| ***key != *facts.id.key())
            .cloned()
        {
            self.mark_gone(&before, &facts.name, None, touched);
        }
        let role = self.role;
        let (key, entry) = self.entry(&facts.id);
        let known = entry
            .users
            .iter()
            .position(|user| user.facts.name == facts.name && user.facts.account == facts.account);
        let (name, account, created) = (facts.name.clone(), facts.account.clone(), facts.created);
        let known = known.map(|at| entry.users.remove(at));
        let moved = known.as_ref().is_none_or(|user| user.facts.created != created);
        let user = match known {
            Some(mut user) => {
                user.update(object, facts, secrets);
                if role == Role::Follower {
                    user.takes_word();
                }
                user
            }
            None => User::new(object, facts, secrets),
        };
        let at = entry
            .users
            .partition_point(|other| other.facts.claim() < user.facts.claim());
        insert_exact(&mut entry.users, at, user);
        self.mark_gone(&key, &name, Some(&account), touched);
        if moved {
            self.unclaim(&account, &name, None, touched);
            let account = self.accounts.entry(account).or_default();
            let claim = (created, name.clone(), key.clone());
            let at = account.claims.partition_point(|other| *other < claim);
            insert_exact(&mut account.claims, at, claim);
            touched.extend(account.claims.iter().map(|(_, _, key)| key.clone()));
        }
        self.users.insert(name, key.clone());
        touched.insert(key);
    }

    /// Takes a password that was read for one version of a user.
    pub(super) fn set_password(&mut self, name: &str, generation: i64, password: &SecretString, touched: &mut Touched) {
        let Some(key) = self.users.get(name).cloned() else {
            return;
        };
        let users = self.ids.get_mut(&key).map(|entry| &mut entry.users);
        let this = |user: &&mut User| {
            let facts = &user.facts;
            *facts.name == *name && !user.gone && facts.imported && facts.generation == generation
        };
        for user in users.into_iter().flatten().filter(this) {
            user.password = Some(Digest::of(password.expose_secret()));
            touched.insert(key.clone());
        }
    }

    /// Marks the user objects of this name as gone, except the one with account `but`.
    fn mark_gone(&mut self, key: &str, name: &str, but: Option<&str>, touched: &mut Touched) {
        let Some((key, _)) = self.ids.get_key_value(key) else {
            return;
        };
        let key = key.clone();
        let users = self.ids.get_mut(&key).map(|entry| &mut entry.users);
        for user in users.into_iter().flatten() {
            if *user.facts.name == *name && but != Some(&*user.facts.account) && !user.gone {
                let was_deleted = user.is_deleted();
                user.gone = true;
                user.standing
                    .changed(&user.facts.spec, was_deleted, &user.facts.spec, true);
                touched.insert(key.clone());
            }
        }
    }

    pub(super) fn user_gone(&mut self, name: &str, touched: &mut Touched) {
        if let Some(key) = self.users.get(name).cloned() {
            self.mark_gone(&key, name, None, touched);
        }
    }

    /// Drops the claim of an object, if `of` says so only while it is about that ID.
    fn unclaim(&mut self, account: &str, name: &str, of: Option<&Key>, touched: &mut Touched) {
        if let Some(account) = self.accounts.get_mut(account) {
            let this = |claimant: &str, key: &Key| claimant == name && of.is_none_or(|of| of == key);
            account.claims.retain(|(_, claimant, key)| !this(claimant, key));
            touched.extend(account.claims.iter().map(|(_, _, key)| key.clone()));
        }
    }

    /// Forgets a user that is gone. IDs that may have the account or the ID now are touched.
    pub(super) fn remove_user(&mut self, key: &Key, name: &str, account: &str, touched: &mut Touched) {
        self.unclaim(account, name, Some(key), touched);
        let unused = |it: &Account| it.claims.is_empty() && it.usage == Usage::default();
        if self.accounts.get(account).is_some_and(unused) {
            self.accounts.remove(account);
        }
        let Some(entry) = self.ids.get_mut(key) else { return };
        let this = |user: &User| user.gone && *user.facts.name == *name && *user.facts.account == *account;
        if let Some(at) = entry.users.iter().position(this) {
            entry.users.remove(at);
        }
        let named = entry.users.iter().any(|user| *user.facts.name == *name);
        if !named && self.users.get(name).is_some_and(|at| at == key) {
            self.users.remove(name);
        }
        if entry.users.is_empty() {
            self.drop_empty(key);
        } else {
            touched.insert(key.clone());
        }
    }

    fn drop_empty(&mut self, key: &Key) {
        let empty = |entry: &Entry| entry.users.is_empty() && entry.holds.is_empty();
        if self.ids.get(key).is_some_and(empty) {
            self.ids.remove(key);
        }
    }

    /// What a hold is that disappeared: a follower waits for the controller's word, which stands on the user.
    const fn disappeared(role: Role, left: bool) -> HoldState {
        match role {
            Role::Controller => HoldState::Lost,
            Role::Follower if left => HoldState::Lifted,
            // The controller lets go of it when the loss is confirmed.
            Role::Follower => HoldState::InForce,
        }
    }

    /// Takes a hold as it is now.
    pub(super) fn put_hold(&mut self, facts: HoldFacts, touched: &mut Touched) {
        if self.holds.get(&facts.name).is_some_and(|key| **key != *facts.id.key()) {
            // The same name speaks of somebody else now: for the one before it has disappeared.
            self.hold_gone(&facts.name.clone(), false, touched);
        }
        let name = facts.name.clone();
        let role = self.role;
        let (key, entry) = self.entry(&facts.id);
        let at = entry.holds.partition_point(|hold| hold.facts.name < name);
        let known = entry.holds.get(at).filter(|hold| hold.facts.name == name);
        let before = known.map(|hold| hold.state);
        let same = known.filter(|hold| hold.facts.uid == facts.uid);
        let judgement = same.map_or_else(HoldJudgement::default, |hold| hold.judgement.clone());
        let loss_row = same.is_some_and(|hold| hold.loss_row);
        let state = match before {
            _ if !facts.deleted => HoldState::InForce,
            _ if facts.released => HoldState::Lifted,
            None | Some(HoldState::InForce) => Self::disappeared(role, false),
            Some(state) => state,
        };
        let hold = Hold {
            facts,
            gone: false,
            state,
            loss_row,
            judgement,
        };
        let mut replaced = None;
        match entry.holds.get_mut(at).filter(|_| before.is_some()) {
            Some(place) => {
                let old = std::mem::replace(place, hold);
                if old.facts.uid != place.facts.uid {
                    replaced = Some(old);
                }
            }
            None => insert_exact(&mut entry.holds, at, hold),
        }
        match state {
            HoldState::Lost => self.lost.push(name.clone()),
            HoldState::Lifted => drop(self.forgettable.insert(name.clone())),
            HoldState::InForce | HoldState::Kept { .. } => drop(self.forgettable.remove(&name)),
        }
        self.removed_holds.extend(replaced);
        self.holds.insert(name, key.clone());
        touched.insert(key);
    }

    /// The hold object of this name is not there any more.
    pub(super) fn hold_gone(&mut self, name: &str, released: bool, touched: &mut Touched) {
        self.forgettable.remove(name);
        let Some(key) = self.holds.get(name).cloned() else {
            return;
        };
        let role = self.role;
        let Some(entry) = self.ids.get_mut(&key) else { return };
        touched.insert(key.clone());
        if let Some(hold) = entry.holds.iter_mut().find(|hold| *hold.facts.name == *name) {
            hold.gone = true;
            match hold.state {
                HoldState::InForce | HoldState::Lost | HoldState::Kept { .. } if released => {
                    hold.facts.released = true;
                    hold.state = HoldState::Lifted;
                }
                HoldState::InForce => hold.state = Self::disappeared(role, true),
                HoldState::Lost | HoldState::Kept { .. } | HoldState::Lifted => {}
            }
            match hold.state {
                HoldState::Lost => self.lost.push(name.into()),
                HoldState::Lifted => self.remove_hold(&key, name),
                HoldState::InForce | HoldState::Kept { .. } => {}
            }
        }
    }

    /// Lets a hold that disappeared count no more.
    pub(super) fn lift(&mut self, key: &Key, name: &str) {
        let Some(entry) = self.ids.get_mut(key) else { return };
        let Some(hold) = entry.holds.iter_mut().find(|hold| *hold.facts.name == *name) else {
            return;
        };
        hold.state = HoldState::Lifted;
        if hold.gone {
            self.remove_hold(key, name);
        } else {
            self.forgettable.insert(name.into());
        }
    }

    /// Takes up a lost hold that was kept in force before a restart and of which nothing else is left.
    pub(super) fn resurrect_hold(&mut self, record: &VerdictRecord) -> bool {
        if self.holds.contains_key(record.name.as_str()) {
            return false;
        }
        let (key, entry) = self.entry(&record.corporate_id);
        let at = entry.holds.partition_point(|hold| *hold.facts.name < *record.name);
        let facts = HoldFacts {
            name: record.name.as_str().into(),
            id: record.corporate_id.clone(),
            uid: record.uid.as_str().into(),
            span: record.span.unwrap_or_default(),
            deleted: true,
            released: false,
            feed: None,
            source: Box::default(),
            own: true,
            reported: None,
        };
        let hold = Hold {
            facts,
            gone: true,
            state: HoldState::Kept {
                since: record.since,
                rejected: record.verdict == crate::model::guard::Verdict::Rejected,
                change: 0,
            },
            loss_row: true,
            judgement: HoldJudgement::default(),
        };
        insert_exact(&mut entry.holds, at, hold);
        self.holds.insert(record.name.as_str().into(), key);
        true
    }

    fn remove_hold(&mut self, key: &Key, name: &str) {
        if let Some(entry) = self.ids.get_mut(key)
            && let Some(at) = entry.holds.iter().position(|hold| *hold.facts.name == *name)
        {
            let hold = entry.holds.remove(at);
            self.removed_holds.push(hold);
        }
        if self.holds.get(name).is_some_and(|at| at == key) {
            self.holds.remove(name);
        }
        self.drop_empty(key);
    }

    pub(super) fn set_usage(&mut self, account: &str, usage: Usage, touched: &mut Touched) {
        let account = match self.accounts.get_mut(account) {
            Some(account) => account,
            None => self.accounts.entry(account.into()).or_default(),
        };
        if account.usage != usage && account.usage.lifetime <= usage.lifetime {
            account.usage = usage;
            touched.extend(account.claims.iter().map(|(_, _, key)| key.clone()));
        }
    }

    /// What a user has used: as it was told here, or as the controller says.
    pub(super) fn usage_of(&self, user: &User) -> Usage {
        match self.role {
            Role::Controller => {
                let account = self.accounts.get(&user.facts.account);
                account.map_or_else(Usage::default, |it| it.usage)
            }
            Role::Follower => user.facts.reported.usage(),
        }
    }

    /// Whether this user is the first to claim its account.
    pub(super) fn has_account(&self, user: &User) -> bool {
        let facts = &user.facts;
        let first = self.accounts.get(&facts.account).and_then(|it| it.claims.first());
        facts.has_usable_account()
            && first.is_some_and(|(_, name, key)| *name == facts.name && **key == *facts.id.key())
    }

    /// The terms of a user whose object says `spec`, with those holds for which `counts` is true.
    pub(super) fn terms(
        &self,
        entry: &Entry,
        user: &User,
        (spec, deleted): (&SpecTerms, bool),
        counts: impl Fn(&Hold) -> bool,
    ) -> Terms {
        let first = entry.users.first().is_some_and(|first| std::ptr::eq(first, user));
        let mut terms = Terms {
            conflict: !first || !self.has_account(user),
            holds: spans(entry, counts),
            ..spec.alone(deleted, self.usage_of(user))
        };
        if self.role == Role::Follower {
            // The user's status may speak of a hold before the hold's own status does.
            let there = |hold: &&Hold| hold.denies() && !hold.gone;
            let is_there = |name: &str| entry.holds.iter().filter(there).any(|hold| *hold.facts.name == *name);
            user.facts.reported.limit(&mut terms, is_there);
        }
        terms
    }

    /// The terms of a user if the guard held nothing back.
    pub(super) fn declared(&self, entry: &Entry, user: &User) -> Terms {
        self.terms(entry, user, (&user.facts.spec, user.is_deleted()), Hold::counts)
    }

    /// The terms of a user as far as the guard lets them take effect.
    pub(super) fn permitted(&self, entry: &Entry, user: &User) -> Terms {
        let declared = (&user.facts.spec, user.is_deleted());
        let spec = user.standing.kept().map_or(declared, |kept| (kept, false));
        let mut terms = self.terms(entry, user, spec, Hold::denies);
        if user.usage.keeps() {
            terms.quota = None;
        }
        terms
    }

    /// How many holds deny, now or later.
    pub(super) fn denying_holds(&self, now: Timestamp) -> usize {
        let named = self.holds.iter().filter_map(|(name, key)| {
            let holds = &self.ids.get(key)?.holds;
            holds.iter().find(|hold| hold.facts.name == *name)
        });
        named.filter(|hold| hold.denies() && !hold.is_over(now)).count()
    }

    pub(super) fn by_user(&self, name: &str) -> Option<&Key> {
        self.users.get(name)
    }

    pub(super) fn by_account(&self, account: &str) -> Option<&Key> {
        self.accounts.get(account)?.claims.first().map(|(_, _, key)| key)
    }
}

pub(super) fn spans(entry: &Entry, counts: impl Fn(&Hold) -> bool) -> Vec<HoldSpan> {
    let counting = entry.holds.iter().filter(|hold| counts(hold));
    counting.map(|hold| hold.facts.span).collect()
}

/// Inserts without room for more: nearly every ID has one user, and there are as many lists as IDs.
fn insert_exact<T>(list: &mut Vec<T>, at: usize, item: T) {
    list.reserve_exact(1);
    list.insert(at, item);
}
