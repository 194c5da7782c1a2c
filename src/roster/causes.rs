//! Finds the causes of each person, has them judged, and notes what was decided.

use std::cell::LazyCell;

use jiff::Timestamp;

use super::{
    conclude::{Open, Part},
    entry::{Hold, Key, User},
    judge::{Cause, Disposition, Knowledge, Report, judge},
    records::{hold_record, spec_record, spec_verdict, verdict_of},
    spec_terms::{SpecTerms, usage_key},
    tables::Tables,
    verdicts::{HoldJudged, Kept, StandingState, UsageStanding, UsageVerdict},
};
use crate::{
    auth::words::Role,
    model::{
        access::{Access, Reason, Usage, reason_at},
        guard::{Budget, GuardChange, Verdict},
        hold::HoldPhase,
    },
};

/// What becomes of what a user's object says.
enum Outcome {
    /// Nothing changed.
    Unchanged,
    InForce,
    Kept(Box<Kept>),
    Open(Box<SpecTerms>),
}

impl Tables {
    /// Judges every cause of one ID. What nobody decided yet is added to `open`. Answers how many users had access before.
    pub(super) fn judge_causes(&mut self, key: &Key, now: Timestamp, loading: bool, open: &mut Vec<Open>) -> usize {
        let (open_holds, ordered) = self.judge_holds(key, now, loading);
        let users = self.register.ids.get(key).map_or(0, |entry| entry.users.len());
        let mut had_access = 0;
        let mut feeds_take = false;
        for at in 0..users {
            let Some((had, was_granted)) = self.judge_user(key, at, now, loading, &open_holds, open) else {
                continue;
            };
            had_access += usize::from(had);
            feeds_take |= had;
            if was_granted && ordered {
                self.orders.charge(key, now);
            }
        }
        let Some(entry) = self.register.ids.get(key) else {
            return had_access;
        };
        open.extend(open_holds.into_iter().filter_map(|at| {
            let hold = entry.holds.get(at)?;
            Some(Open {
                key: key.clone(),
                part: Part::Hold(at),
                budget: hold.facts.feed?.into(),
                loses: feeds_take && hold.counts() && hold.facts.span.is_live(now),
                vanished: false,
            })
        }));
        had_access
    }

    /// Judges the holds of one ID. Answers which of them are open, and whether an order came into force.
    fn judge_holds(&mut self, key: &Key, now: Timestamp, loading: bool) -> (Vec<usize>, bool) {
        let mut open = Vec::new();
        let mut ordered = false;
        let role = self.register.role;
        let Some(entry) = self.register.ids.get_mut(key) else {
            return (open, ordered);
        };
        for (at, hold) in entry.holds.iter_mut().enumerate() {
            let unjudged = hold.judgement.state == HoldJudged::Unjudged;
            let Some(feed) = hold.facts.feed else {
                if unjudged {
                    hold.judgement.state = HoldJudged::InForce;
                    if hold.is_live(now) && !loading && role == Role::Controller {
                        ordered = true;
                        self.new_orders.push(hold.facts.source.clone());
                    }
                }
                continue;
            };
            if !unjudged && role == Role::Controller {
                continue;
            }
            let record = self
                .verdicts
                .remembered(&hold.facts.uid, feed.into())
                .filter(|_| unjudged);
            let reported = hold.facts.reported.as_deref();
            let knows = Knowledge {
                role,
                loading,
                verdict: record.map(|it| it.verdict).or_else(|| decided_here(hold)),
                report: match reported {
                    None => Report::Nothing,
                    Some(it) if it.phase == HoldPhase::HeldBack || it.held_back.is_some() => Report::HeldBack,
                    Some(_) => Report::InForce,
                },
                unopposed: false,
                over: false,
            };
            match judge(Cause::Feed(feed), knows) {
                Disposition::InForce => match hold.judgement.state {
                    HoldJudged::Undecided(_) if knows.report == Report::Nothing => {}
                    _ => hold.judgement.state = HoldJudged::InForce,
                },
                Disposition::HeldBack if knows.report == Report::Nothing && !unjudged => {}
                Disposition::HeldBack => {
                    let waiting = reported.and_then(|it| it.held_back.as_ref());
                    hold.judgement.state = HoldJudged::Kept {
                        since: record.map(|it| it.since).or(waiting.map(|it| it.since)).unwrap_or(now),
                        rejected: record.map_or_else(
                            || waiting.is_some_and(|it| it.rejected),
                            |it| it.verdict == Verdict::Rejected,
                        ),
                        undecided: None,
                    };
                }
                Disposition::Open => open.push(at),
            }
            let outdated = record.is_some_and(|it| it.verdict.keeps()) && !hold.judgement.keeps();
            hold.judgement.row |= record.is_some();
            let forgotten = hold.judgement.keeps() && !hold.judgement.row;
            if role == Role::Controller && (forgotten || outdated) {
                // The store has forgotten what the object says.
                let verdict = if outdated { Verdict::Passed } else { Verdict::HeldBack };
                let record = hold_record(hold, feed.into(), verdict, now);
                hold.judgement.change = self.verdicts.emit(GuardChange::Verdict(record));
                hold.judgement.row = true;
            }
        }
        (open, ordered)
    }

    /// Judges what one user's object says, and its traffic limit. Answers whether there is access without what is open, and
    /// whether there was before anything was judged.
    fn judge_user(
        &mut self,
        key: &Key,
        at: usize,
        now: Timestamp,
        loading: bool,
        open_holds: &[usize],
        open: &mut Vec<Open>,
    ) -> Option<(bool, bool)> {
        let entry = self.register.ids.get(key)?;
        let user = entry.users.get(at)?;
        let fresh = matches!(user.standing.state, StandingState::New);
        let was_granted = match &user.in_force {
            Some(terms) => {
                reason_at(terms, now) == Reason::Active || entry.undecided().any(|it| it.lost && !it.settled)
            }
            None => user.facts.reported.access == Some(Access::Granted),
        };
        let usage = self.register.usage_of(user);
        let outcome = self.judge_spec(user, usage, now, loading);
        let (spec, deleted) = match &outcome {
            Outcome::Unchanged | Outcome::InForce => {
                match user.standing.kept().filter(|_| matches!(outcome, Outcome::Unchanged)) {
                    Some(kept) => (kept.clone(), false),
                    None => (user.facts.spec.clone(), user.is_deleted()),
                }
            }
            Outcome::Kept(kept) => (kept.spec.clone(), false),
            Outcome::Open(before) => ((**before).clone(), false),
        };
        let is_open = |hold: &Hold| {
            let is_this = |at: &usize| entry.holds.get(*at).is_some_and(|it| std::ptr::eq(it, hold));
            open_holds.iter().any(is_this)
        };
        let counts = |hold: &Hold| hold.denies() && !is_open(hold);
        let mut base = self.register.terms(entry, user, (&spec, deleted), counts);
        let exhausted = base
            .quota
            .filter(|quota| usage.in_period(quota.period, now) >= quota.limit);
        let usage_cause = exhausted.map(|quota| usage_key(quota, now));
        let usage_judged = usage_cause
            .as_ref()
            .filter(|_| !matches!(outcome, Outcome::Open(_)))
            .map(|key| (key.clone(), self.judge_usage(user, key, fresh, was_granted, loading)));
        let keeps = |judged: &(String, Disposition)| judged.1 != Disposition::InForce;
        if usage_judged.as_ref().is_some_and(keeps) || (usage_judged.is_none() && user.usage.keeps()) {
            base.quota = None;
        }
        let had = was_granted && reason_at(&base, now) == Reason::Active;
        if let Outcome::Open(before) = &outcome {
            let facts = &user.facts;
            let after = self
                .register
                .terms(entry, user, (&facts.spec, user.is_deleted()), counts);
            let loses = had && (reason_at(&after, now) != Reason::Active || facts.spec.narrows(before));
            open.push(Open {
                key: key.clone(),
                part: Part::Spec(at, before.clone()),
                budget: Budget::Declared,
                loses,
                vanished: user.is_deleted() && (user.gone || !self.deletions_are_explicit),
            });
        }
        if let Some((usage_key, Disposition::Open)) = &usage_judged {
            open.push(Open {
                key: key.clone(),
                part: Part::Usage(at, usage_key.clone()),
                budget: Budget::Usage,
                loses: had,
                vanished: false,
            });
        }
        self.note_spec(key, at, outcome, now);
        self.note_usage(key, at, usage_cause.is_some(), usage_judged, now);
        Some((had, was_granted))
    }

    fn judge_spec(&self, user: &User, usage: Usage, now: Timestamp, loading: bool) -> Outcome {
        let (facts, reported, role) = (&user.facts, &user.facts.reported, self.register.role);
        let deleted = user.is_deleted();
        let fresh = matches!(user.standing.state, StandingState::New);
        let last = fresh
            .then(|| self.verdicts.remembered(&facts.uid, Budget::Declared))
            .flatten();
        let waiting = reported.held_back(Budget::Declared);
        if matches!(user.standing.state, StandingState::InForce) && (waiting.is_none() || role == Role::Controller) {
            return Outcome::Unchanged;
        }
        let key = LazyCell::new(|| facts.spec.key(deleted));
        let record = last.filter(|it| it.key == *key);
        // A status that speaks of this very version and holds nothing back says that it is in force.
        let reported_in_force = reported.is_present() && waiting.is_none();
        let waiting = waiting.filter(|it| it.generation == facts.generation || it.key == *key);
        // The version that was in force last, if its verdict was kept: whom it denied was not granted access, whatever an
        // older status says.
        let former = last
            .filter(|it| it.verdict == Verdict::Passed)
            .and_then(|it| it.kept.as_ref());
        // The last version that passed denies as well, or this one takes nothing away from it: it is in force, whatever a
        // status that was put back lists as held back.
        if fresh
            && role == Role::Controller
            && let Some(former) = former.map(SpecTerms::of_kept)
            && (reason_at(&former.alone(false, usage), now) != Reason::Active
                || (reason_at(&facts.spec.alone(deleted, usage), now) == Reason::Active
                    && !facts.spec.narrows(&former)))
        {
            return Outcome::InForce;
        }
        let remembered = record
            .filter(|it| it.verdict.keeps())
            .and_then(|it| it.kept.as_ref())
            .or_else(|| waiting.and_then(|it| it.kept.as_ref()));
        let before = match (user.standing.before(), remembered) {
            // A follower may have missed versions in between.
            (Some(_), Some(kept)) if role == Role::Follower => SpecTerms::of_kept(kept),
            (Some(before), _) => before.clone(),
            (None, Some(kept)) => SpecTerms::of_kept(kept),
            (None, None) => former.map_or_else(|| reported.before(&facts.spec), SpecTerms::of_kept),
        };
        let denies = facts.spec.denies_unlike(deleted, &before, usage, now);
        if !denies && !facts.spec.narrows(&before) {
            return Outcome::InForce;
        }
        let here = user.standing.held_back().filter(|kept| kept.key == *key);
        let settled = user.standing.undecided().is_some_and(|it| it.settled);
        let by_time = matches!(
            reason_at(&facts.spec.alone(deleted, usage), now),
            Reason::Expired | Reason::NotYetValid
        );
        let alone_denies = matches!(
            reported.denied(),
            Some(Reason::Deleted | Reason::Inactive | Reason::NotYetValid | Reason::Expired)
        );
        let knows = Knowledge {
            role,
            loading,
            verdict: match (record, here) {
                (Some(record), _) => Some(record.verdict),
                (None, Some(kept)) => Some(verdict_of(kept.rejected)),
                (None, None) => settled.then_some(Verdict::Passed),
            },
            report: match role {
                _ if waiting.is_some() && (fresh || role == Role::Follower) => Report::HeldBack,
                Role::Controller if fresh && (alone_denies || reported_in_force) => Report::InForce,
                Role::Follower if alone_denies || reported.is_present() => Report::InForce,
                Role::Controller | Role::Follower => Report::Nothing,
            },
            unopposed: fresh
                && (reported.access != Some(Access::Granted)
                    || (role == Role::Controller && !loading)
                    || (by_time && !reported.outdated)),
            over: reason_at(&before.alone(false, Usage::default()), now) == Reason::Expired
                // Each of these objects was let go by somebody, and none can come back.
                || user.let_go
                || (user.gone && facts.deleted && self.deletions_are_explicit)
                || (user.gone && role == Role::Follower),
        };
        match judge(Cause::Declared, knows) {
            Disposition::InForce if settled && knows.report == Report::Nothing && !knows.over => Outcome::Unchanged,
            Disposition::InForce => Outcome::InForce,
            Disposition::HeldBack if here.is_some() && knows.report == Report::Nothing => Outcome::Unchanged,
            Disposition::HeldBack => Outcome::Kept(Box::new(Kept {
                spec: before,
                key: key.clone(),
                since: record.map(|it| it.since).or(waiting.map(|it| it.since)).unwrap_or(now),
                rejected: record.map_or_else(
                    || waiting.is_some_and(|it| it.rejected),
                    |it| it.verdict == Verdict::Rejected,
                ),
                undecided: None,
            })),
            Disposition::Open => Outcome::Open(Box::new(before)),
        }
    }

    fn judge_usage(&self, user: &User, key: &str, fresh: bool, was_granted: bool, loading: bool) -> Disposition {
        let reported = &user.facts.reported;
        let first = fresh || user.usage.0.is_none();
        let record = first
            .then(|| self.verdicts.remembered(&user.facts.uid, Budget::Usage))
            .flatten();
        let role = self.register.role;
        let waiting = reported.held_back(Budget::Usage);
        let knows = Knowledge {
            role,
            loading,
            verdict: user
                .usage
                .about(key)
                .or_else(|| record.filter(|it| it.key == key).map(|it| it.verdict)),
            report: match role {
                _ if waiting.is_some_and(|it| it.key == key) && (fresh || role == Role::Follower) => Report::HeldBack,
                // The count itself comes from the controller.
                Role::Follower => Report::InForce,
                Role::Controller if fresh && reported.denied() == Some(Reason::OverQuota) => Report::InForce,
                Role::Controller => Report::Nothing,
            },
            unopposed: !was_granted,
            over: false,
        };
        judge(Cause::Usage, knows)
    }

    /// Notes what became of what a user's object says, unless it is open.
    fn note_spec(&mut self, key: &Key, at: usize, outcome: Outcome, now: Timestamp) {
        let controls = self.register.role == Role::Controller;
        let Some(entry) = self.register.ids.get_mut(key) else {
            return;
        };
        let id = entry.id.clone();
        let Some(user) = entry.users.get_mut(at) else { return };
        let record = self.verdicts.remembered(&user.facts.uid, Budget::Declared);
        let state = match outcome {
            Outcome::Unchanged | Outcome::Open(_) => return,
            Outcome::InForce => StandingState::InForce,
            Outcome::Kept(kept) => StandingState::Kept(kept),
        };
        if matches!(user.standing.state, StandingState::New) {
            user.standing.row = record.is_some();
        }
        let before = std::mem::replace(&mut user.standing.state, state);
        let change = match (&user.standing.state, before) {
            (StandingState::Kept(kept), _) if record.is_none_or(|it| it.key != kept.key || !it.verdict.keeps()) => {
                // The store has forgotten what the object says.
                Some(GuardChange::Verdict(spec_record(
                    user,
                    &id,
                    kept,
                    verdict_of(kept.rejected),
                )))
            }
            (StandingState::InForce, before) => {
                let spec = &user.facts.spec;
                match before {
                    // That it denies, or will by time alone, passed with this version.
                    StandingState::Changed { .. } | StandingState::Kept(_) if spec.may_deny(user.is_deleted(), now) => {
                        let record = spec_verdict(user, &id, spec.key(user.is_deleted()), now);
                        Some(GuardChange::Verdict(record))
                    }
                    // It came into force while nobody looked, or the store was lost: from now on it is remembered.
                    StandingState::New
                        if spec.may_deny(user.is_deleted(), now)
                            && record.is_none_or(|it| {
                                it.verdict != Verdict::Passed || it.key != spec.key(user.is_deleted())
                            }) =>
                    {
                        let record = spec_verdict(user, &id, spec.key(user.is_deleted()), now);
                        Some(GuardChange::Verdict(record))
                    }
                    _ if spec.may_deny(user.is_deleted(), now) || !user.standing.row => None,
                    _ => Some(GuardChange::Forget {
                        uid: user.facts.uid.to_string(),
                        budget: Budget::Declared,
                    }),
                }
            }
            _ => None,
        };
        if let Some(change) = change.filter(|_| controls) {
            user.standing.row = matches!(change, GuardChange::Verdict(_));
            user.standing.change = self.verdicts.emit(change);
        }
    }

    /// Notes what became of a user's traffic limit, unless that is open.
    fn note_usage(
        &mut self,
        key: &Key,
        at: usize,
        exhausted: bool,
        judged: Option<(String, Disposition)>,
        now: Timestamp,
    ) {
        let Some(entry) = self.register.ids.get_mut(key) else {
            return;
        };
        let Some(user) = entry.users.get_mut(at) else { return };
        let uid = &user.facts.uid;
        if !exhausted {
            if user.usage.0.take().is_some_and(|it| it.row) {
                self.verdicts.emit(GuardChange::Forget {
                    uid: uid.to_string(),
                    budget: Budget::Usage,
                });
            }
            return;
        }
        let Some((usage_key, disposition)) = judged else { return };
        if disposition == Disposition::Open || user.usage.about(&usage_key).is_some() {
            return;
        }
        let record = self
            .verdicts
            .remembered(uid, Budget::Usage)
            .filter(|it| it.key == usage_key);
        let waiting = user
            .facts
            .reported
            .held_back(Budget::Usage)
            .filter(|it| it.key == usage_key);
        let verdict = match disposition {
            Disposition::HeldBack => {
                record.map_or_else(|| verdict_of(waiting.is_some_and(|it| it.rejected)), |it| it.verdict)
            }
            Disposition::InForce | Disposition::Open => Verdict::Passed,
        };
        user.usage = UsageStanding(Some(Box::new(UsageVerdict {
            key: usage_key,
            verdict,
            since: record.map(|it| it.since).or(waiting.map(|it| it.since)).unwrap_or(now),
            row: record.is_some(),
            change: 0,
        })));
    }
}

/// What a follower decided by itself about a hold.
fn decided_here(hold: &Hold) -> Option<Verdict> {
    match hold.judgement.state {
        HoldJudged::Kept { rejected, .. } => Some(verdict_of(rejected)),
        HoldJudged::Undecided(it) if it.settled => Some(Verdict::Passed),
        HoldJudged::Undecided(_) | HoldJudged::Unjudged | HoldJudged::InForce => None,
    }
}
