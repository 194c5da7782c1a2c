//! The judge: whether a cause takes effect. A plain function of what is known about the cause.
//!
//! An order is in force. A consequence is judged once: by what was decided about it before, by the word of the controller, or,
//! when nobody decided yet, by the budget of its kind. When two memories contradict each other, the denial wins.

use crate::{
    auth::words::Role,
    model::guard::{Feed, Verdict},
};

/// What asks for a denial.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    /// Somebody gave an order: a hold of any source that is no feed.
    Order,
    /// The object is gone, or says something else.
    Declared,
    /// A feed placed a hold.
    Feed(Feed),
    /// The traffic limit is used up.
    Usage,
}

/// What the objects say of a cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Report {
    /// Nothing: whoever reports has not seen it yet.
    Nothing,
    /// It was reported as in force.
    InForce,
    /// It was reported as held back.
    HeldBack,
}

/// What is known about a cause.
#[derive(Debug, Clone, Copy)]
pub(super) struct Knowledge {
    pub(super) role: Role,
    /// The first full load is being judged: what happened before it is not known.
    pub(super) loading: bool,
    /// What was decided about this very cause, by this process or a former one.
    pub(super) verdict: Option<Verdict>,
    pub(super) report: Report,
    /// Nothing says that there was access before, or only time passed: there is nothing to protect.
    pub(super) unopposed: bool,
    /// There is nothing left to protect: somebody let the object go, or what it said before has come to its own end.
    pub(super) over: bool,
}

/// What becomes of a cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Disposition {
    /// It takes effect.
    InForce,
    /// It does not, until a person says so.
    HeldBack,
    /// Nobody decided yet: its budget does.
    Open,
}

/// Judges a cause that would deny.
pub(super) fn judge(cause: Cause, knows: Knowledge) -> Disposition {
    if cause == Cause::Order || knows.over {
        return Disposition::InForce;
    }
    // There is one judge: what a follower decided by itself counts until the controller's word comes.
    let verdict = knows
        .verdict
        .filter(|_| knows.role == Role::Controller || knows.report == Report::Nothing);
    match (verdict, knows.report) {
        (Some(Verdict::Passed), _) | (_, Report::InForce) => Disposition::InForce,
        (Some(Verdict::HeldBack | Verdict::Rejected), _) | (_, Report::HeldBack) => Disposition::HeldBack,
        (None, Report::Nothing) if knows.unopposed => Disposition::InForce,
        // A hold that exists when nothing is known is in force.
        (None, Report::Nothing)
            if matches!(cause, Cause::Feed(_)) && knows.loading && knows.role == Role::Controller =>
        {
            Disposition::InForce
        }
        (None, Report::Nothing) => Disposition::Open,
    }
}

#[cfg(test)]
mod tests {
    use proptest::{prelude::*, sample::select};

    use super::*;

    prop_compose! {
        fn knowledge()(
            role in select(vec![Role::Controller, Role::Follower]), loading in any::<bool>(),
            verdict in select(vec![None, Some(Verdict::Passed), Some(Verdict::HeldBack), Some(Verdict::Rejected)]),
            report in select(vec![Report::Nothing, Report::InForce, Report::HeldBack]),
            unopposed in any::<bool>(), over in any::<bool>(),
        ) -> Knowledge {
            Knowledge { role, loading, verdict, report, unopposed, over }
        }
    }

    fn cause() -> impl Strategy<Value = Cause> {
        select(vec![
            Cause::Order,
            Cause::Declared,
            Cause::Feed(Feed::Hr),
            Cause::Feed(Feed::Scim),
            Cause::Usage,
        ])
    }

    proptest! {
        #[test]
        fn an_order_is_in_force_whatever_is_known(knows in knowledge()) {
            prop_assert_eq!(judge(Cause::Order, knows), Disposition::InForce);
        }

        #[test]
        fn what_passed_by_any_memory_stays_in_force(cause in cause(), knows in knowledge()) {
            let knows = Knowledge { role: Role::Controller, ..knows };
            if knows.verdict == Some(Verdict::Passed) || knows.report == Report::InForce {
                prop_assert_eq!(judge(cause, knows), Disposition::InForce);
            }
        }

        #[test]
        fn what_is_held_back_by_one_memory_and_passed_by_none_stays_held_back(cause in cause(), knows in knowledge()) {
            let knows = Knowledge { role: Role::Controller, ..knows };
            let passed = knows.verdict == Some(Verdict::Passed) || knows.report == Report::InForce;
            let kept = knows.verdict.is_some_and(Verdict::keeps) || knows.report == Report::HeldBack;
            if kept && !passed && !knows.over && cause != Cause::Order {
                prop_assert_eq!(judge(cause, knows), Disposition::HeldBack);
            }
        }

        #[test]
        fn a_follower_does_as_the_controller_says(cause in cause(), knows in knowledge()) {
            let knows = Knowledge { role: Role::Follower, ..knows };
            if knows.report == Report::HeldBack && cause != Cause::Order && !knows.over {
                prop_assert_eq!(judge(cause, knows), Disposition::HeldBack);
            }
            if knows.report == Report::InForce {
                prop_assert_eq!(judge(cause, knows), Disposition::InForce);
            }
        }

        #[test]
        fn nothing_is_judged_twice(cause in cause(), knows in knowledge()) {
            if knows.verdict.is_some() || knows.report != Report::Nothing {
                prop_assert_ne!(judge(cause, knows), Disposition::Open);
            }
        }

        #[test]
        fn a_hold_that_exists_when_nothing_is_known_is_in_force(knows in knowledge()) {
            let knows = Knowledge { role: Role::Controller, loading: true, verdict: None, report: Report::Nothing, ..knows };
            prop_assert_eq!(judge(Cause::Feed(Feed::Hr), knows), Disposition::InForce);
        }
    }
}
