//! What is kept of one corporate ID: its user objects and its holds.

use std::{collections::BTreeSet, sync::Arc};

use jiff::Timestamp;

use super::facts::{HoldFacts, UserFacts};
use crate::{
    auth::password::Digest,
    model::{
        access::{Reason, Terms},
        corporate_id::CorporateId,
        session::Epoch,
    },
};

/// [`CorporateId::key`].
pub(super) type Key = Arc<str>;
/// IDs that something was said about.
pub(super) type Touched = BTreeSet<Key>;

/// One user object.
pub(super) struct User {
    pub(super) facts: UserFacts,
    /// The object is not there any more. Kept until its denial took effect.
    pub(super) gone: bool,
    /// A person let the object go after it was deleted. An annotation that was there before says nothing of this deletion.
    pub(super) let_go: bool,
    pub(super) password: Option<Digest>,
    /// What the index was told.
    pub(super) in_force: Option<Arc<Terms>>,
    pub(super) held_back: Option<HeldBack>,
    pub(super) shown: Option<Shown>,
}

impl User {
    pub(super) fn is_deleted(&self) -> bool {
        self.gone || self.facts.deleted
    }
}

/// The guard keeps a user's old terms in force.
pub(super) struct HeldBack {
    pub(super) since: Timestamp,
    pub(super) fingerprint: String,
    pub(super) cancelled: bool,
}

/// What the last transition of a user spoke of.
#[derive(PartialEq, Clone)]
pub(super) struct Shown {
    pub(super) reason: Reason,
    pub(super) epoch: Epoch,
    /// Hash of the names of live holds.
    pub(super) holds: u64,
    pub(super) generation: i64,
    pub(super) deleted: bool,
    /// Whether a person cancelled, if the guard holds something back.
    pub(super) held_back: Option<bool>,
    /// Percent of the traffic limit that are used. Finer steps are not worth a look.
    pub(super) used: Option<u64>,
}

/// One hold object.
pub(super) struct Hold {
    pub(super) facts: HoldFacts,
    /// The object is not there any more. Kept while the guard keeps the hold in force.
    pub(super) gone: bool,
    pub(super) state: HoldState,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum HoldState {
    /// As declared.
    InForce,
    /// It disappeared, and the guard has not looked at that yet.
    Lost,
    /// It disappeared, and stays in force.
    Kept { since: Timestamp, cancelled: bool },
    /// It counts no more.
    Lifted,
}

impl Hold {
    pub(super) fn counts(&self) -> bool {
        self.state != HoldState::Lifted
    }

    pub(super) fn is_live(&self, now: Timestamp) -> bool {
        self.counts() && self.facts.span.is_live(now)
    }

    pub(super) fn is_over(&self, now: Timestamp) -> bool {
        self.facts.span.until.is_some_and(|until| until <= now)
    }

    /// It was declared before it began, so that it denies because time passed.
    pub(super) fn was_announced(&self) -> bool {
        let HoldFacts { span, created, .. } = &self.facts;
        span.from.zip(*created).is_some_and(|(from, created)| created < from)
    }
}

/// Everything about one ID.
pub(super) struct Entry {
    pub(super) id: CorporateId,
    /// Ordered by claim: the first has the ID.
    pub(super) users: Vec<User>,
    /// Ordered by name.
    pub(super) holds: Vec<Hold>,
    /// When time alone changes something.
    pub(super) deadline: Option<Timestamp>,
}

impl Entry {
    /// The state of a user and its holds, as far as people declared it.
    pub(super) fn fingerprint(&self, user: &User) -> String {
        let mut text = format!("{}/{}/{}", user.facts.uid, user.facts.generation, user.is_deleted());
        for hold in self.holds.iter().filter(|hold| hold.counts()) {
            text.push('/');
            text.push_str(&hold.facts.name);
        }
        text
    }

    /// What the terms of a user who was granted access may have been before: the declared ones without what people
    /// declared against access. Deadlines stay, and so do holds that were announced ahead.
    pub(super) fn before_denial(&self, declared: &Terms, now: Timestamp) -> Terms {
        let exhausted = |terms: &Terms| {
            let used = |quota| terms.usage.in_period(quota, now);
            terms.quota.is_some_and(|quota| used(quota.period) >= quota.limit)
        };
        let stays = |hold: &&Hold| hold.counts() && (!hold.is_live(now) || hold.was_announced());
        Terms {
            active: true,
            deleted: false,
            conflict: false,
            quota: declared.quota.filter(|_| !exhausted(declared)),
            holds: self.holds.iter().filter(stays).map(|hold| hold.facts.span).collect(),
            ..declared.clone()
        }
    }
}
