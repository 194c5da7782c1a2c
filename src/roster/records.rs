//! Verdicts as the guard's store and the statuses keep them.

use jiff::Timestamp;

use super::{
    entry::{Hold, User},
    spec_terms::SpecTerms,
    verdicts::{HoldJudged, Kept},
};
use crate::model::{
    corporate_id::CorporateId,
    guard::{Budget, HeldBackCause, Verdict, VerdictRecord},
};

pub(super) const fn verdict_of(rejected: bool) -> Verdict {
    if rejected { Verdict::Rejected } else { Verdict::HeldBack }
}

/// What is kept of a user's object that took effect: with what it says, so that a later version is compared with it.
pub(super) fn spec_verdict(user: &User, id: &CorporateId, key: String, since: Timestamp) -> VerdictRecord {
    let in_force = SpecTerms {
        active: user.facts.spec.active && !user.is_deleted(),
        ..user.facts.spec.clone()
    };
    VerdictRecord {
        uid: user.facts.uid.to_string(),
        budget: Budget::Declared,
        key,
        verdict: Verdict::Passed,
        since,
        corporate_id: id.clone(),
        name: user.facts.name.to_string(),
        kept: Some(in_force.kept()),
        span: None,
    }
}

/// What is kept of a verdict about a user's object: what stays in force while it is held back.
pub(super) fn spec_record(user: &User, id: &CorporateId, kept: &Kept, verdict: Verdict) -> VerdictRecord {
    let passed = spec_verdict(user, id, kept.key.clone(), kept.since);
    if verdict.keeps() {
        VerdictRecord {
            verdict,
            kept: Some(kept.spec.kept()),
            ..passed
        }
    } else {
        passed
    }
}

/// What is kept of a verdict about a hold.
pub(super) fn hold_record(hold: &Hold, budget: Budget, verdict: Verdict, now: Timestamp) -> VerdictRecord {
    let since = match hold.judgement.state {
        HoldJudged::Kept { since, .. } if budget != Budget::Holds => since,
        _ => now,
    };
    VerdictRecord {
        uid: hold.facts.uid.to_string(),
        budget,
        key: String::new(),
        verdict,
        since,
        corporate_id: hold.facts.id.clone(),
        name: hold.facts.name.to_string(),
        kept: None,
        span: Some(hold.facts.span),
    }
}

/// What of a user is held back, as its status has it.
pub(super) fn held_back_causes(user: &User) -> Vec<HeldBackCause> {
    let declared = user.standing.held_back().map(|kept| HeldBackCause {
        cause: Budget::Declared,
        key: kept.key.clone(),
        generation: user.facts.generation,
        since: kept.since,
        rejected: kept.rejected,
        kept: Some(kept.spec.kept()),
    });
    let usage = user.usage.0.as_ref().filter(|it| it.verdict.keeps());
    let usage = usage.map(|it| HeldBackCause {
        cause: Budget::Usage,
        key: it.key.clone(),
        generation: user.facts.generation,
        since: it.since,
        rejected: it.verdict == Verdict::Rejected,
        kept: None,
    });
    declared.into_iter().chain(usage).collect()
}
