//! Decides causes that nobody decided about yet, together and against the budget of their kind, and notes what was decided.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use super::{
    entry::{Entry, Key, Touched},
    guard::{Batch, passes},
    records::{hold_record, spec_record},
    spec_terms::SpecTerms,
    tables::Tables,
    verdicts::{HoldJudged, Kept, StandingState, Undecided, UsageStanding, UsageVerdict},
};
use crate::{
    auth::words::Role,
    model::guard::{Budget, Charge, GuardChange, Verdict, VerdictRecord},
};

/// How long a follower waits for the controller's word before it takes it that nobody leads.
const SILENCE: SignedDuration = SignedDuration::from_secs(5);

/// A cause that nobody decided about yet.
pub(super) struct Open {
    pub(super) key: Key,
    pub(super) part: Part,
    pub(super) budget: Budget,
    /// Somebody would lose access by it.
    pub(super) loses: bool,
    /// The object is no longer to be found, which may be somebody's mistake.
    pub(super) vanished: bool,
}

/// What of an ID a cause is about.
pub(super) enum Part {
    /// What a user's object says; what was in force before.
    Spec(usize, Box<SpecTerms>),
    /// A user's traffic limit, and its [`usage_key`].
    Usage(usize, String),
    /// A hold.
    Hold(usize),
}

impl Tables {
    /// Whether the open causes of a budget take effect together. `granted` is how many people have access without them.
    pub(super) fn fits(
        &mut self,
        budget: Budget,
        open: &[&Open],
        granted: usize,
        now: Timestamp,
        judges: bool,
    ) -> bool {
        let follows = self.register.role == Role::Follower;
        if !judges {
            return true;
        }
        let people: BTreeSet<&Key> = open.iter().filter(|it| it.loses).map(|it| &it.key).collect();
        if people.is_empty() {
            return true;
        }
        let window = self.limits.window();
        let charged = self.charged.entry(budget).or_default();
        let used = charged.used(now, window);
        let batch = Batch {
            fresh: people.iter().filter(|who| !charged.has(who)).count(),
            size: people.len(),
            disappeared: open.iter().filter(|it| it.loses && it.vanished).count(),
            population: granted,
        };
        if !passes(batch, used, self.limits.allowed(budget, granted)) {
            return false;
        }
        for who in people {
            charged.charge(who, now);
            if !follows {
                let charge = Charge {
                    budget,
                    who: who.to_string(),
                    at: now,
                };
                self.verdicts.emit(GuardChange::Charge(charge));
            }
        }
        true
    }

    /// Notes what was decided about an open cause; `silent` says that nobody leads.
    pub(super) fn conclude(&mut self, open: &Open, takes_effect: bool, silent: bool, now: Timestamp) {
        let follows = self.register.role == Role::Follower;
        let settled = follows && (silent || !takes_effect);
        let Some(entry) = self.register.ids.get_mut(&open.key) else {
            return;
        };
        let id = entry.id.clone();
        let verdict = if takes_effect {
            Verdict::Passed
        } else {
            Verdict::HeldBack
        };
        let undecided = |before: Option<Undecided>| {
            follows.then(|| Undecided {
                since: before.map_or(now, |it| it.since),
                settled,
                lost: open.loses || before.is_some_and(|it| it.lost),
            })
        };
        match &open.part {
            Part::Spec(at, before) => {
                let Some(user) = entry.users.get_mut(*at) else { return };
                let undecided = undecided(user.standing.undecided());
                let kept = Kept {
                    spec: (**before).clone(),
                    key: user.facts.spec.key(user.is_deleted()),
                    since: now,
                    rejected: false,
                    undecided,
                };
                if !follows {
                    let record = spec_record(user, &id, &kept, verdict);
                    user.standing.change = self.verdicts.emit(GuardChange::Verdict(record));
                    user.standing.row = true;
                }
                user.standing.state = match takes_effect {
                    false => StandingState::Kept(Box::new(kept)),
                    true if follows => StandingState::Changed {
                        before: before.clone(),
                        undecided,
                    },
                    true => StandingState::InForce,
                };
            }
            Part::Usage(at, key) => {
                let Some(user) = entry.users.get_mut(*at) else { return };
                let record = VerdictRecord {
                    uid: user.facts.uid.to_string(),
                    budget: Budget::Usage,
                    key: key.clone(),
                    verdict,
                    since: now,
                    corporate_id: id,
                    name: user.facts.name.to_string(),
                    kept: None,
                    span: None,
                };
                user.usage = UsageStanding(Some(Box::new(UsageVerdict {
                    key: key.clone(),
                    verdict,
                    since: now,
                    row: true,
                    change: self.verdicts.emit(GuardChange::Verdict(record)),
                })));
            }
            Part::Hold(at) => {
                let Some(hold) = entry.holds.get_mut(*at) else { return };
                if !follows {
                    self.changed_holds.insert(hold.facts.name.clone());
                }
                let undecided = undecided(hold.judgement.undecided());
                hold.judgement.state = match (takes_effect, undecided) {
                    (false, undecided) => HoldJudged::Kept {
                        since: now,
                        rejected: false,
                        undecided,
                    },
                    (true, Some(undecided)) => HoldJudged::Undecided(undecided),
                    (true, None) => HoldJudged::InForce,
                };
                if !follows && takes_effect {
                    let (name, uid) = (hold.facts.name.clone(), hold.facts.uid.clone());
                    if !self.verdicts.forget_namesakes(open.budget, &name, &uid) {
                        // That it is in force need not be kept: a hold of which nothing is known is.
                        return;
                    }
                }
                // When objects are put back, another of its name may say that it is held back.
                if !follows {
                    let record = hold_record(hold, open.budget, verdict, now);
                    hold.judgement.change = self.verdicts.emit(GuardChange::Verdict(record));
                    hold.judgement.row = true;
                }
            }
        }
    }

    /// Whether the controller's word has been missing for so long that nobody leads.
    pub(super) fn is_silent(&self, now: Timestamp) -> bool {
        let late = |since: &Timestamp| now.duration_since(*since) >= SILENCE;
        self.undecided.values().any(late)
    }

    /// IDs about which a follower has to decide by itself, because nobody leads.
    pub(super) fn overdue(&self, now: Timestamp) -> Touched {
        if !self.is_silent(now) {
            return Touched::new();
        }
        let unsettled = |key: &&Key| {
            let entry = self.register.ids.get(&***key);
            entry.is_some_and(|entry| entry.undecided().any(|it| !it.settled))
        };
        self.undecided.keys().filter(unsettled).cloned().collect()
    }
}

impl Entry {
    /// Since when the controller's word is missing.
    pub(super) fn undecided_since(&self) -> Option<Timestamp> {
        self.undecided().map(|it| it.since).min()
    }
}
