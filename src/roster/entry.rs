//! What is kept of one corporate ID: its user objects and its holds.

use std::{collections::BTreeSet, sync::Arc};

use jiff::Timestamp;
use secrecy::ExposeSecret;

use super::{
    facts::{HoldFacts, UserFacts},
    messages::{Derivation, Passwords},
    verdicts::{HoldJudgement, Standing, StandingState, Undecided, UsageStanding},
};
use crate::{
    auth::password::Digest,
    model::{
        access::{Reason, Terms},
        corporate_id::CorporateId,
        guard::Budget,
        session::Epoch,
        user::VpnUser,
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
    /// How what the object says stands to what is in force.
    pub(super) standing: Standing,
    /// How a limit that is used up stands to what is in force.
    pub(super) usage: UsageStanding,
    /// What the index was told.
    pub(super) in_force: Option<Arc<Terms>>,
    pub(super) last_reported: Option<LastReported>,
}

impl User {
    pub(super) fn new(object: &VpnUser, facts: UserFacts, secrets: &Secrets) -> Self {
        Self {
            password: secrets.of(object, &facts),
            facts,
            gone: false,
            let_go: false,
            standing: Standing::NEW,
            usage: UsageStanding::default(),
            in_force: None,
            last_reported: None,
        }
    }

    /// Takes the object as it is now.
    pub(super) fn update(&mut self, object: &VpnUser, facts: UserFacts, secrets: &Secrets) {
        let old = &self.facts;
        if facts.imported || old.imported || old.credential_generation != facts.credential_generation {
            self.password = secrets.of(object, &facts);
        }
        let same = facts.let_go && facts.deleted && old.uid == facts.uid;
        self.let_go = same && (self.let_go || (old.deleted && !old.let_go));
        if old.uid != facts.uid {
            self.standing.row = false;
        }
        let was_deleted = self.is_deleted();
        self.gone = false;
        self.standing
            .changed(&self.facts.spec, was_deleted, &facts.spec, facts.deleted);
        self.facts = facts;
    }

    /// Of a follower: takes the controller's word that what the object says now is in force. Said here, because the next version
    /// may come before anything is judged, and is to be compared with this one.
    pub(super) fn takes_word(&mut self) {
        let reported = &self.facts.reported;
        let unjudged = matches!(self.standing.state, StandingState::Changed { undecided: None, .. });
        if unjudged && reported.is_present() && reported.held_back(Budget::Declared).is_none() {
            self.standing.state = StandingState::InForce;
        }
    }

    pub(super) fn is_deleted(&self) -> bool {
        self.gone || self.facts.deleted
    }
}

/// What the last transition of a user spoke of.
#[derive(PartialEq, Clone)]
pub(super) struct LastReported {
    pub(super) reason: Reason,
    pub(super) epoch: Epoch,
    /// Hash of the names of live holds, and of what is held back of them.
    pub(super) holds: u64,
    pub(super) generation: i64,
    pub(super) deleted: bool,
    /// What the guard holds back, and whether a person rejected it.
    pub(super) held_back: [Option<bool>; 2],
    /// Percent of the traffic limit that are used. Finer steps are not worth a look.
    pub(super) used: Option<u64>,
}

/// One hold object.
pub(super) struct Hold {
    pub(super) facts: HoldFacts,
    /// The object is not there any more. Kept while the guard keeps the hold in force.
    pub(super) gone: bool,
    pub(super) state: HoldState,
    /// The guard's store has a verdict about its loss.
    pub(super) loss_row: bool,
    pub(super) judgement: HoldJudgement,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum HoldState {
    /// As declared.
    InForce,
    /// It disappeared, and the guard has not looked at that yet.
    Lost,
    /// It disappeared, and stays in force.
    Kept {
        since: Timestamp,
        rejected: bool,
        change: u64,
    },
    /// It counts no more.
    Lifted,
}

impl Hold {
    /// Verdicts about it that the guard's store has. What is held back of a hold that nobody lifted is still so when its file or
    /// object comes again.
    pub(super) fn rows(&self) -> impl Iterator<Item = Row> {
        let denial = self.facts.feed.filter(|_| self.judgement.row).map(Budget::from);
        let loss = self.loss_row.then_some(Budget::Holds);
        let keeps = self.judgement.keeps() && !self.facts.released;
        let row = move |budget| {
            if keeps && budget != Budget::Holds {
                Row::Remembered(budget)
            } else {
                Row::Forgotten(budget)
            }
        };
        denial.into_iter().chain(loss).map(row)
    }

    /// Whether it is declared, or kept though it was lost.
    pub(super) fn counts(&self) -> bool {
        self.state != HoldState::Lifted
    }

    /// Whether it counts and the guard does not keep it from denying.
    pub(super) fn denies(&self) -> bool {
        self.counts() && !self.judgement.keeps()
    }

    pub(super) fn is_live(&self, now: Timestamp) -> bool {
        self.denies() && self.facts.span.is_live(now)
    }

    pub(super) fn is_over(&self, now: Timestamp) -> bool {
        self.facts.span.until.is_some_and(|until| until <= now)
    }
}

/// What becomes of a verdict about a hold that is there no more.
pub(super) enum Row {
    Forgotten(Budget),
    Remembered(Budget),
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
    /// What waits for the controller's word.
    pub(super) fn undecided(&self) -> impl Iterator<Item = Undecided> {
        let users = self.users.iter().filter_map(|user| user.standing.undecided());
        users.chain(self.holds.iter().filter_map(|hold| hold.judgement.undecided()))
    }
}

/// Where passwords come from.
pub(super) struct Secrets {
    pub(super) derivation: Arc<dyn Derivation>,
    pub(super) imported: Passwords,
}

impl Secrets {
    fn of(&self, object: &VpnUser, facts: &UserFacts) -> Option<Digest> {
        let password = if facts.imported {
            (self.imported)(object)?
        } else {
            self.derivation.password(&facts.id, facts.credential_generation)
        };
        Some(Digest::of(password.expose_secret()))
    }
}
