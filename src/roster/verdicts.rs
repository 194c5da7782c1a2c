//! What the guard decided: how each cause stands, what is remembered of a former process, and what is to be kept.

use std::collections::{HashMap, HashSet};

use jiff::{SignedDuration, Timestamp};

use super::spec_terms::SpecTerms;
use crate::model::guard::{Budget, GuardChange, GuardMemory, Verdict, VerdictRecord};

/// How long a verdict about an object that is not there is remembered.
const RETENTION: SignedDuration = SignedDuration::from_hours(90 * 24);

/// How what a user object says stands to what is in force.
pub(super) struct Standing {
    pub(super) state: StandingState,
    /// The guard's store has a verdict about it.
    pub(super) row: bool,
    /// The guard's change that has to be kept before what is in force may be reported.
    pub(super) change: u64,
}

pub(super) enum StandingState {
    /// Nothing is in force yet: the object is new to this process.
    New,
    /// What it says is in force.
    InForce,
    /// It says something else than before.
    Changed {
        /// What was in force until then.
        before: Box<SpecTerms>,
        /// A follower has it in force until the controller's word comes.
        undecided: Option<Undecided>,
    },
    /// What it said before stays in force.
    Kept(Box<Kept>),
}

/// What a user object said before, and that it stays in force.
pub(super) struct Kept {
    pub(super) spec: SpecTerms,
    /// [`SpecTerms::key`] of what is held back.
    pub(super) key: String,
    pub(super) since: Timestamp,
    pub(super) rejected: bool,
    /// A follower decided this by itself, because nobody leads.
    pub(super) undecided: Option<Undecided>,
}

/// The controller's word is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Undecided {
    /// Since when.
    pub(super) since: Timestamp,
    /// A follower decided by itself meanwhile.
    pub(super) settled: bool,
    /// Somebody lost access by it.
    pub(super) lost: bool,
}

impl Standing {
    pub(super) const NEW: Self = Self {
        state: StandingState::New,
        row: false,
        change: 0,
    };

    /// The object says something (else).
    pub(super) fn changed(&mut self, old: &SpecTerms, was_deleted: bool, new: &SpecTerms, deleted: bool) {
        if matches!(self.state, StandingState::InForce) && (old != new || was_deleted != deleted) {
            let before = SpecTerms {
                active: old.active && !was_deleted,
                ..old.clone()
            };
            self.state = StandingState::Changed {
                before: Box::new(before),
                undecided: None,
            };
        }
    }

    /// What was in force before the object said what it says now.
    pub(super) fn before(&self) -> Option<&SpecTerms> {
        match &self.state {
            StandingState::Changed { before, .. } => Some(before),
            StandingState::Kept(kept) => Some(&kept.spec),
            StandingState::New | StandingState::InForce => None,
        }
    }

    /// Since when the controller's word is missing.
    pub(super) fn undecided(&self) -> Option<Undecided> {
        match &self.state {
            StandingState::Changed { undecided, .. } => *undecided,
            StandingState::Kept(kept) => kept.undecided,
            StandingState::New | StandingState::InForce => None,
        }
    }

    /// What stays in force in place of what the object says.
    pub(super) fn kept(&self) -> Option<&SpecTerms> {
        self.held_back().map(|kept| &kept.spec)
    }

    pub(super) fn held_back(&self) -> Option<&Kept> {
        match &self.state {
            StandingState::Kept(kept) => Some(kept),
            StandingState::New | StandingState::InForce | StandingState::Changed { .. } => None,
        }
    }
}

/// A verdict about a limit that is used up.
#[derive(Clone)]
pub(super) struct UsageVerdict {
    pub(super) key: String,
    pub(super) verdict: Verdict,
    pub(super) since: Timestamp,
    /// The guard's store has it.
    pub(super) row: bool,
    pub(super) change: u64,
}

/// How a limit that is used up stands to what is in force. Nothing is known of most.
#[derive(Default)]
pub(super) struct UsageStanding(pub(super) Option<Box<UsageVerdict>>);

impl UsageStanding {
    /// Whether the limit does not take effect.
    pub(super) fn keeps(&self) -> bool {
        self.0.as_ref().is_some_and(|it| it.verdict.keeps())
    }

    /// What was decided about this very limit and period.
    pub(super) fn about(&self, key: &str) -> Option<Verdict> {
        self.0.as_ref().filter(|it| it.key == key).map(|it| it.verdict)
    }
}

/// What was decided about a hold.
#[derive(Clone, Default)]
pub(super) struct HoldJudgement {
    pub(super) state: HoldJudged,
    /// The guard's store has a verdict about it.
    pub(super) row: bool,
    pub(super) change: u64,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum HoldJudged {
    /// Nobody looked at it yet.
    #[default]
    Unjudged,
    /// It denies.
    InForce,
    /// A follower has it deny until the controller's word comes.
    Undecided(Undecided),
    /// It does not deny until a person confirms it.
    Kept {
        since: Timestamp,
        rejected: bool,
        /// A follower decided this by itself, because nobody leads.
        undecided: Option<Undecided>,
    },
}

impl HoldJudgement {
    /// Since when the controller's word is missing.
    pub(super) fn undecided(&self) -> Option<Undecided> {
        match self.state {
            HoldJudged::Undecided(undecided) => Some(undecided),
            HoldJudged::Kept { undecided, .. } => undecided,
            HoldJudged::Unjudged | HoldJudged::InForce => None,
        }
    }

    pub(super) fn keeps(&self) -> bool {
        matches!(self.state, HoldJudged::Kept { .. })
    }

    pub(super) fn is_rejected(&self) -> bool {
        matches!(self.state, HoldJudged::Kept { rejected: true, .. })
    }
}

/// What is remembered, and what is to be kept in the guard's store.
#[derive(Default)]
pub(super) struct Verdicts {
    remembered: HashMap<Box<str>, Vec<VerdictRecord>>,
    /// Names of objects that are not there and about which something is remembered.
    leftovers: HashSet<Box<str>>,
    outgoing: Vec<GuardChange>,
    /// Something was emitted since the last batch ended.
    open: bool,
    sequence: u64,
}

impl Verdicts {
    pub(super) fn restore(&mut self, memory: GuardMemory) {
        for record in memory.verdicts {
            self.remembered
                .entry(record.uid.as_str().into())
                .or_default()
                .push(record);
        }
    }

    /// Whether nothing is remembered.
    pub(super) fn is_empty(&self) -> bool {
        self.remembered.is_empty()
    }

    /// Whether nothing of a former process is left to be taken over.
    pub(super) fn remember_nothing(&self) -> bool {
        self.remembered.is_empty()
    }

    /// What a former process decided about an object.
    pub(super) fn remembered(&self, uid: &str, budget: Budget) -> Option<&VerdictRecord> {
        self.remembered.get(uid)?.iter().find(|record| record.budget == budget)
    }

    /// Takes over what was decided about an object that is known by another uid now, because the record of objects was lost or
    /// put back. `present` says whether there is an object of a uid, `now_called` the uid of the object that is called so now.
    pub(super) fn adopt(
        &mut self,
        present: impl Fn(&str) -> bool,
        now_called: impl Fn(&VerdictRecord) -> Option<Box<str>>,
    ) {
        let strangers: Vec<Box<str>> = self.remembered.keys().filter(|uid| !present(uid)).cloned().collect();
        for uid in strangers {
            let records = self.remembered.remove(&uid).unwrap_or_default();
            for record in records {
                let other = now_called(&record).filter(|other| self.remembered(other, record.budget).is_none());
                let Some(other) = other else {
                    self.remembered.entry(uid.clone()).or_default().push(record);
                    continue;
                };
                let (old, budget) = (record.uid.clone(), record.budget);
                let record = VerdictRecord {
                    uid: other.to_string(),
                    ..record
                };
                self.emit(GuardChange::Verdict(record.clone()));
                self.emit(GuardChange::Forget { uid: old, budget });
                self.remembered.entry(other).or_default().push(record);
            }
        }
    }

    /// Remembers what was decided about a hold that is there no more, and may come again.
    pub(super) fn remember(&mut self, record: VerdictRecord) {
        self.leftovers.insert(record.name.as_str().into());
        self.remembered
            .entry(record.uid.as_str().into())
            .or_default()
            .push(record);
    }

    /// What was decided about others of this name counts no more: this one was judged by itself. Answers whether anything was.
    pub(super) fn forget_namesakes(&mut self, budget: Budget, name: &str, uid: &str) -> bool {
        if !self.leftovers.contains(name) {
            return false;
        }
        let is_namesake = |it: &VerdictRecord| it.budget == budget && it.name == name && it.uid != uid;
        let namesakes: Vec<String> = self
            .remembered
            .values()
            .flatten()
            .filter(|it| is_namesake(it))
            .map(|it| it.uid.clone())
            .collect();
        let any = !namesakes.is_empty();
        for uid in namesakes {
            if let Some(records) = self.remembered.get_mut(uid.as_str()) {
                records.retain(|it| !is_namesake(it));
                if records.is_empty() {
                    self.remembered.remove(uid.as_str());
                }
            }
            self.emit(GuardChange::Forget { uid, budget });
        }
        any
    }

    /// What a former process decided about lost holds.
    pub(super) fn remembered_losses(&self) -> Vec<VerdictRecord> {
        let records = self.remembered.values().flatten();
        let lost = records.filter(|it| it.budget == Budget::Holds && it.verdict.keeps());
        lost.cloned().collect()
    }

    /// Forgets what was remembered and has been taken over. What concerns nobody who is known stays in the store for a while:
    /// its object may only be unreadable at present, or come back with a backup.
    pub(super) fn taken_over(&mut self, now: Timestamp, is_known: impl Fn(&str) -> bool) {
        for (uid, records) in std::mem::take(&mut self.remembered) {
            if is_known(&uid) {
                continue;
            }
            let is_late = |record: &VerdictRecord| now.duration_since(record.since) < RETENTION;
            let (kept, over): (Vec<_>, Vec<_>) = records.into_iter().partition(is_late);
            for record in over {
                self.emit(GuardChange::Forget {
                    uid: record.uid,
                    budget: record.budget,
                });
            }
            if !kept.is_empty() {
                self.leftovers
                    .extend(kept.iter().map(|record| record.name.as_str().into()));
                self.remembered.insert(uid, kept);
            }
        }
    }

    /// Has a change kept, and answers its number.
    pub(super) fn emit(&mut self, change: GuardChange) -> u64 {
        self.outgoing.push(change);
        self.open = true;
        self.sequence + 1
    }

    /// Ends a batch; the number of its changes, if there were any.
    pub(super) fn close(&mut self) -> Option<u64> {
        std::mem::take(&mut self.open).then(|| {
            self.sequence += 1;
            self.sequence
        })
    }

    /// Every change since the last call, and the number of the latest.
    pub(super) fn take(&mut self) -> (u64, Vec<GuardChange>) {
        (self.sequence, std::mem::take(&mut self.outgoing))
    }
}
