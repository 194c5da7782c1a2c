//! Holds that are gone without having been lifted, and what a person decides about anything that is held back.

use jiff::Timestamp;

use super::{
    entry::{Hold, HoldState, Key, Row, Touched},
    guard::{Batch, passes},
    records::{hold_record, spec_record, verdict_of},
    tables::Tables,
    verdicts::{HoldJudged, StandingState},
};
use crate::model::guard::{Budget, Charge, Feed, GuardChange, Verdict, VerdictRecord};

impl Tables {
    fn hold(&self, key: &str, name: &str) -> Option<&Hold> {
        let holds = &self.register.ids.get(key)?.holds;
        holds.iter().find(|hold| *hold.facts.name == *name)
    }

    fn hold_mut(&mut self, key: &str, name: &str) -> Option<&mut Hold> {
        let holds = &mut self.register.ids.get_mut(key)?.holds;
        holds.iter_mut().find(|hold| *hold.facts.name == *name)
    }

    /// Judges holds that were lost: access would be given back by them.
    pub(super) fn judge_lost_holds(&mut self, now: Timestamp) {
        let mut lost: Vec<(Key, Box<str>)> = Vec::new();
        for name in std::mem::take(&mut self.register.lost) {
            if let Some(key) = self.register.holds.get(&name).cloned() {
                lost.push((key, name));
            }
        }
        lost.sort_unstable();
        lost.dedup();
        let mut open = Vec::new();
        for (key, name) in lost {
            let Some(hold) = self.hold(&key, &name).filter(|it| it.state == HoldState::Lost) else {
                continue;
            };
            let record = self.verdicts.remembered(&hold.facts.uid, Budget::Holds);
            let told = hold.facts.reported.as_ref().and_then(|it| it.lost.as_ref());
            let took_effect = record.is_some_and(|it| it.verdict == Verdict::Passed);
            if hold.is_over(now) || took_effect || self.is_held_back(hold) {
                self.register.lift(&key, &name);
            } else if let Some((since, rejected)) = record
                .map(|it| (it.since, it.verdict == Verdict::Rejected))
                .or_else(|| told.map(|it| (it.since, it.rejected)))
            {
                self.keep_hold(&key, &name, since, rejected);
            } else if hold.facts.own {
                // Nobody lifts a hold by removing a file that the operator keeps.
                self.keep_hold(&key, &name, now, false);
            } else {
                open.push((key, name));
            }
        }
        if open.is_empty() {
            return;
        }
        if self.losses_fit(&open, now) {
            for (key, name) in open {
                self.pass_loss(&key, &name, now);
            }
        } else {
            for (key, name) in open {
                self.keep_hold(&key, &name, now, false);
            }
        }
    }

    fn losses_fit(&mut self, open: &[(Key, Box<str>)], now: Timestamp) -> bool {
        let uids: Vec<Box<str>> = open
            .iter()
            .filter_map(|(key, name)| Some(self.hold(key, name)?.facts.uid.clone()))
            .collect();
        let population = self.register.denying_holds(now);
        let window = self.limits.window();
        let charged = self.charged.entry(Budget::Holds).or_default();
        let used = charged.used(now, window);
        let batch = Batch {
            fresh: uids.iter().filter(|uid| !charged.has(uid)).count(),
            size: uids.len(),
            disappeared: if self.deletions_are_explicit { 0 } else { uids.len() },
            population,
        };
        if !passes(batch, used, self.limits.allowed(Budget::Holds, population)) {
            return false;
        }
        for uid in uids {
            charged.charge(&uid, now);
            let charge = Charge {
                budget: Budget::Holds,
                who: uid.into(),
                at: now,
            };
            self.verdicts.emit(GuardChange::Charge(charge));
        }
        true
    }

    fn loss_record(&self, key: &str, name: &str, verdict: Verdict, since: Timestamp) -> Option<VerdictRecord> {
        let hold = self.hold(key, name)?;
        Some(hold_record(hold, Budget::Holds, verdict, since))
    }

    /// Keeps a lost hold in force until a person decides.
    fn keep_hold(&mut self, key: &Key, name: &str, since: Timestamp, rejected: bool) {
        let Some(record) = self.loss_record(key, name, verdict_of(rejected), since) else {
            return;
        };
        let known = self.verdicts.remembered(&record.uid, Budget::Holds);
        let change = if known.is_some_and(|it| it.verdict == record.verdict) {
            0
        } else {
            self.verdicts.emit(GuardChange::Verdict(record))
        };
        if let Some(hold) = self.hold_mut(key, name) {
            hold.loss_row = true;
            hold.state = HoldState::Kept {
                since,
                rejected,
                change,
            };
            self.kept.insert(name.into());
            self.changed_holds.insert(name.into());
        }
    }

    /// Lets the loss of a hold take effect.
    fn pass_loss(&mut self, key: &Key, name: &str, now: Timestamp) {
        if let Some(record) = self.loss_record(key, name, Verdict::Passed, now) {
            self.verdicts.emit(GuardChange::Verdict(record));
        }
        if let Some(hold) = self.hold_mut(key, name) {
            hold.loss_row = true;
        }
        self.kept.remove(name);
        self.register.lift(key, name);
    }

    /// Whether the guard keeps a hold from denying, so that nobody gets access by its loss.
    fn is_held_back(&self, hold: &Hold) -> bool {
        let Some(feed) = hold.facts.feed else { return false };
        let remembered = self.verdicts.remembered(&hold.facts.uid, feed.into());
        let unjudged = hold.judgement.state == HoldJudged::Unjudged;
        let reported = hold.facts.reported.as_ref().is_some_and(|it| it.held_back.is_some());
        hold.judgement.keeps() || (unjudged && remembered.map_or(reported, |it| it.verdict.keeps()))
    }

    /// Takes up lost holds that a former process kept in force and of which no object is left.
    pub(super) fn resurrect_holds(&mut self) {
        for record in self.verdicts.remembered_losses() {
            let denied = |feed: Feed| {
                let verdict = self.verdicts.remembered(&record.uid, feed.into());
                verdict.is_none_or(|it| !it.verdict.keeps())
            };
            if Feed::ALL.into_iter().all(denied) && self.register.resurrect_hold(&record) {
                self.kept.insert(record.name.into());
            }
        }
    }

    /// A lost hold that appears again, or is lifted, is no longer kept by the guard.
    pub(super) fn look_at_kept(&mut self, name: &str) {
        let key = self.register.holds.get(name).cloned();
        let hold = key.as_ref().and_then(|key| self.hold_mut(key, name));
        let (kept, found) = match hold {
            Some(hold) => {
                let back = hold.state == HoldState::InForce && std::mem::take(&mut hold.loss_row);
                let kept = matches!(hold.state, HoldState::Kept { .. });
                (kept, back.then(|| hold.facts.uid.to_string()))
            }
            None => (false, None),
        };
        if !kept && self.kept.remove(name) {
            self.changed_holds.insert(name.into());
        }
        if let Some(uid) = found {
            let budget = Budget::Holds;
            self.verdicts.emit(GuardChange::Forget { uid, budget });
        }
    }

    /// Verdicts about holds that are there no more need not be remembered, unless they may come again.
    pub(super) fn forget_removed(&mut self, now: Timestamp) {
        for hold in std::mem::take(&mut self.register.removed_holds) {
            for row in hold.rows() {
                match row {
                    Row::Forgotten(budget) => {
                        let uid = hold.facts.uid.to_string();
                        self.verdicts.emit(GuardChange::Forget { uid, budget });
                    }
                    Row::Remembered(budget) => {
                        let verdict = verdict_of(hold.judgement.is_rejected());
                        self.verdicts.remember(hold_record(&hold, budget, verdict, now));
                    }
                }
            }
        }
    }

    /// Whether the denial is a deletion that nobody can take back, so that a rejected one waits for another word.
    pub(super) fn is_final(&self, deleted: bool) -> bool {
        self.deletions_are_explicit && deleted
    }

    /// Lets everything through that waits at these IDs.
    pub(super) fn confirm(&mut self, ids: &Touched, now: Timestamp) {
        for name in self.kept.clone() {
            let key = self.register.holds.get(&name).filter(|key| ids.contains(*key)).cloned();
            let Some(key) = key else { continue };
            let state = self.hold(&key, &name).map(|hold| hold.state);
            if matches!(state, Some(HoldState::Kept { rejected: false, .. })) {
                self.pass_loss(&key, &name, now);
            }
        }
        self.decide(ids, Verdict::Passed, now);
    }

    /// Rejects everything that waits at these IDs.
    pub(super) fn reject(&mut self, ids: &Touched, now: Timestamp) {
        for name in self.kept.clone() {
            let key = self.register.holds.get(&name).filter(|key| ids.contains(*key)).cloned();
            let Some(key) = key else { continue };
            if let Some(HoldState::Kept {
                since, rejected: false, ..
            }) = self.hold(&key, &name).map(|hold| hold.state)
            {
                self.keep_hold(&key, &name, since, true);
            }
        }
        self.decide(ids, Verdict::Rejected, now);
    }

    /// A person's word about causes of denials.
    fn decide(&mut self, ids: &Touched, verdict: Verdict, now: Timestamp) {
        let explicit = self.deletions_are_explicit;
        for key in ids {
            let Some(entry) = self.register.ids.get_mut(key) else {
                continue;
            };
            let id = entry.id.clone();
            for user in &mut entry.users {
                let last = explicit && user.is_deleted() && verdict == Verdict::Passed;
                if let Some(kept) = user.standing.held_back().filter(|kept| !kept.rejected || last) {
                    let record = spec_record(user, &id, kept, verdict);
                    user.standing.change = self.verdicts.emit(GuardChange::Verdict(record));
                    match (&mut user.standing.state, verdict) {
                        (StandingState::Kept(kept), Verdict::Rejected) => kept.rejected = true,
                        (state, _) => *state = StandingState::InForce,
                    }
                }
                if let Some(usage) = user.usage.0.as_mut().filter(|it| it.verdict == Verdict::HeldBack) {
                    usage.verdict = verdict;
                    usage.row = true;
                    usage.change = self.verdicts.emit(GuardChange::Verdict(VerdictRecord {
                        uid: user.facts.uid.to_string(),
                        budget: Budget::Usage,
                        key: usage.key.clone(),
                        verdict,
                        since: usage.since,
                        corporate_id: id.clone(),
                        name: user.facts.name.to_string(),
                        kept: None,
                        span: None,
                    }));
                }
            }
            for hold in &mut entry.holds {
                let (
                    Some(feed),
                    HoldJudged::Kept {
                        since,
                        rejected: false,
                        undecided,
                    },
                ) = (hold.facts.feed, hold.judgement.state)
                else {
                    continue;
                };
                let record = hold_record(hold, feed.into(), verdict, now);
                hold.judgement.change = self.verdicts.emit(GuardChange::Verdict(record));
                hold.judgement.row = true;
                self.changed_holds.insert(hold.facts.name.clone());
                hold.judgement.state = match verdict {
                    Verdict::Rejected => HoldJudged::Kept {
                        since,
                        rejected: true,
                        undecided,
                    },
                    Verdict::Passed | Verdict::HeldBack => HoldJudged::InForce,
                };
            }
        }
    }
}
