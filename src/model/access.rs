//! The decision: what access a person has now, why, and when that changes. Plain functions of their arguments.

use jiff::{Timestamp, ToSpan, civil, tz::TimeZone};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a person may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Access {
    /// Logins are accepted.
    Granted,
    /// Logins are refused and no session may live.
    Denied,
}

/// Why. The order of the variants is the order in which causes of a denial are named when several hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Reason {
    /// Nothing stands against access.
    Active,
    /// The object is being deleted, or there is none.
    Deleted,
    /// Another object had the account or the ID first.
    Conflict,
    /// At least one live hold.
    Held,
    /// `spec.active` is false.
    Inactive,
    /// Before `spec.validFrom`.
    NotYetValid,
    /// From `spec.validUntil` on.
    Expired,
    /// The traffic limit of the period is used up.
    OverQuota,
    /// Access is granted only because the guard holds a denial back. Never the outcome of [`decide`].
    GuardHeldBack,
}

impl Access {
    /// The constant that stands in status, metrics and answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Granted => "Granted",
            Self::Denied => "Denied",
        }
    }
}

impl Reason {
    /// Every reason.
    pub const ALL: [Self; 9] = [
        Self::Active,
        Self::Deleted,
        Self::Conflict,
        Self::Held,
        Self::Inactive,
        Self::NotYetValid,
        Self::Expired,
        Self::OverQuota,
        Self::GuardHeldBack,
    ];

    /// The constant that stands in status, metrics and answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "Active",
            Self::Deleted => "Deleted",
            Self::Conflict => "Conflict",
            Self::Held => "Held",
            Self::Inactive => "Inactive",
            Self::NotYetValid => "NotYetValid",
            Self::Expired => "Expired",
            Self::OverQuota => "OverQuota",
            Self::GuardHeldBack => "GuardHeldBack",
        }
    }
}

/// When the count of transferred bytes starts anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum Period {
    /// Never.
    #[default]
    Lifetime,
    /// At the first of each month, 00:00 UTC.
    Month,
}

impl Period {
    /// Start of the period that holds `now`; `None` for a lifetime.
    #[must_use]
    pub fn start(self, now: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Lifetime => None,
            Self::Month => month(now).map(|(start, _)| start),
        }
    }

    /// End of the period that holds `now`; `None` for a lifetime.
    #[must_use]
    pub fn end(self, now: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Lifetime => None,
            Self::Month => month(now).map(|(_, end)| end),
        }
    }
}

fn month(now: Timestamp) -> Option<(Timestamp, Timestamp)> {
    let today = now.to_zoned(TimeZone::UTC).date();
    let first = civil::Date::new(today.year(), today.month(), 1).ok()?;
    let next = first.checked_add(1.month()).ok()?;
    let at = |date: civil::Date| date.to_zoned(TimeZone::UTC).map(|zoned| zoned.timestamp()).ok();
    Some((at(first)?, at(next)?))
}

/// A limit on transferred bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// Bytes in a period, both directions added up.
    pub limit: u64,
    /// When the count starts anew.
    pub period: Period,
}

/// Bytes used, and when they were counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Bytes over the account's whole life.
    pub lifetime: u64,
    /// Bytes in the month that begins at `month_start`.
    pub month: u64,
    /// Start of the month that `month` speaks of.
    pub month_start: Option<Timestamp>,
}

impl Usage {
    /// Bytes that count against a quota of this period at `now`.
    #[must_use]
    pub fn in_period(&self, period: Period, now: Timestamp) -> u64 {
        match period {
            Period::Lifetime => self.lifetime,
            // Most have used nothing yet, and the calendar is the dear part of the answer.
            Period::Month if self.month > 0 && self.month_start == period.start(now) => self.month,
            Period::Month => 0,
        }
    }
}

/// The span in which a hold denies: `from` (inclusive) until `until` (exclusive); absent means unbounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HoldSpan {
    /// First moment.
    pub from: Option<Timestamp>,
    /// First moment after.
    pub until: Option<Timestamp>,
}

impl HoldSpan {
    /// Whether the hold denies at `now`.
    #[must_use]
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.from.is_none_or(|from| from <= now) && self.until.is_none_or(|until| now < until)
    }
}

/// Everything on which one person's access depends, except the time.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Terms {
    /// `spec.active`.
    pub active: bool,
    /// The object carries a deletion timestamp.
    pub deleted: bool,
    /// Another object had the account first.
    pub conflict: bool,
    /// First moment of access.
    pub valid_from: Option<Timestamp>,
    /// First moment after access.
    pub valid_until: Option<Timestamp>,
    /// Limit on traffic.
    pub quota: Option<Quota>,
    /// Traffic so far.
    pub usage: Usage,
    /// Every hold on this ID, live or not.
    pub holds: Vec<HoldSpan>,
}

/// What [`decide`] says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decision {
    /// Granted or Denied.
    pub access: Access,
    /// Why.
    pub reason: Reason,
    /// The first moment after `now` at which access or reason differ, if nothing but time changes.
    pub next_change: Option<Timestamp>,
}

/// Decides access at a moment, without looking ahead: cheap enough for every login.
#[must_use]
pub fn reason_at(terms: &Terms, now: Timestamp) -> Reason {
    if terms.deleted {
        Reason::Deleted
    } else if terms.conflict {
        Reason::Conflict
    } else if terms.holds.iter().any(|hold| hold.is_live(now)) {
        Reason::Held
    } else if !terms.active {
        Reason::Inactive
    } else if terms.valid_from.is_some_and(|from| now < from) {
        Reason::NotYetValid
    } else if terms.valid_until.is_some_and(|until| until <= now) {
        Reason::Expired
    } else if terms
        .quota
        .is_some_and(|quota| terms.usage.in_period(quota.period, now) >= quota.limit)
    {
        Reason::OverQuota
    } else {
        Reason::Active
    }
}

/// Decides access at a moment, and says when the decision changes by itself.
#[must_use]
pub fn decide(terms: &Terms, now: Timestamp) -> Decision {
    let reason = reason_at(terms, now);
    // The month of the count may lie ahead when the clock was set back.
    let month = terms.quota.and(terms.usage.month_start);
    let boundaries = [
        terms.valid_from,
        terms.valid_until,
        terms.quota.and_then(|quota| quota.period.end(now)),
        month,
        month.and_then(|start| Period::Month.end(start)),
    ];
    let mut ahead: Vec<Timestamp> = boundaries
        .into_iter()
        .chain(terms.holds.iter().flat_map(|hold| [hold.from, hold.until]))
        .flatten()
        .filter(|at| *at > now)
        .collect();
    ahead.sort_unstable();
    Decision {
        access: if reason == Reason::Active {
            Access::Granted
        } else {
            Access::Denied
        },
        reason,
        next_change: ahead.into_iter().find(|at| reason_at(terms, *at) != reason),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const YEAR_2026: i64 = 1_767_225_600;

    fn moment() -> impl Strategy<Value = Timestamp> {
        (0..8_000_000i64).prop_map(|s| Timestamp::from_second(YEAR_2026 + s).unwrap())
    }
    fn hold() -> impl Strategy<Value = HoldSpan> {
        (proptest::option::of(moment()), proptest::option::of(moment()))
            .prop_map(|(from, until)| HoldSpan { from, until })
    }
    fn quota() -> impl Strategy<Value = Quota> {
        (1..100u64, prop_oneof![Just(Period::Lifetime), Just(Period::Month)])
            .prop_map(|(limit, period)| Quota { limit, period })
    }
    fn usage() -> impl Strategy<Value = Usage> {
        (0..120u64, 0..120u64, proptest::option::of(moment())).prop_map(|(lifetime, month, at)| Usage {
            lifetime,
            month,
            month_start: at.and_then(|at| Period::Month.start(at)),
        })
    }
    prop_compose! {
        fn terms()(
            active in proptest::bool::weighted(0.8), deleted in proptest::bool::weighted(0.1),
            conflict in proptest::bool::weighted(0.1), valid_from in proptest::option::of(moment()),
            valid_until in proptest::option::of(moment()), quota in proptest::option::of(quota()),
            usage in usage(), holds in proptest::collection::vec(hold(), 0..3),
        ) -> Terms {
            Terms { active, deleted, conflict, valid_from, valid_until, quota, usage, holds }
        }
    }

    proptest! {
        #[test]
        fn granted_means_that_nothing_stands_against_it(terms in terms(), now in moment()) {
            let decision = decide(&terms, now);
            let clear = terms.active && !terms.deleted && !terms.conflict
                && terms.holds.iter().all(|h| h.from.is_some_and(|f| now < f) || h.until.is_some_and(|u| u <= now))
                && terms.valid_from.is_none_or(|f| f <= now) && terms.valid_until.is_none_or(|u| now < u)
                && terms.quota.is_none_or(|q| terms.usage.in_period(q.period, now) < q.limit);
            prop_assert_eq!(decision.access == Access::Granted, clear);
            prop_assert_eq!(decision.access == Access::Granted, decision.reason == Reason::Active);
        }

        #[test]
        fn another_hold_never_grants(terms in terms(), extra in hold(), now in moment()) {
            let before = decide(&terms, now).access;
            let mut more = terms;
            more.holds.push(extra);
            prop_assert!(before == Access::Denied || decide(&more, now).access == before || extra.is_live(now));
            if before == Access::Denied {
                prop_assert_eq!(decide(&more, now).access, Access::Denied);
            }
        }

        #[test]
        fn the_order_of_holds_does_not_matter(terms in terms(), now in moment()) {
            let mut turned = terms.clone();
            turned.holds.reverse();
            prop_assert_eq!(decide(&terms, now), decide(&turned, now));
        }

        #[test]
        fn nothing_changes_before_the_next_change_and_something_changes_at_it(
            terms in terms(), now in moment(), fraction in 0.0..1.0f64,
        ) {
            let decision = decide(&terms, now);
            if let Some(at) = decision.next_change {
                prop_assert!(at > now);
                prop_assert_ne!(reason_at(&terms, at), decision.reason);
                let span = at.as_second() - now.as_second() - 1;
                #[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "test arithmetic")]
                let within = Timestamp::from_second(now.as_second() + (span as f64 * fraction) as i64).unwrap();
                prop_assert_eq!(reason_at(&terms, within), decision.reason);
                let last = Timestamp::from_nanosecond(at.as_nanosecond() - 1).unwrap();
                prop_assert_eq!(reason_at(&terms, last), decision.reason);
            } else {
                let later = Timestamp::from_second(YEAR_2026 + 400_000_000).unwrap();
                if terms.quota.is_none_or(|q| q.period == Period::Lifetime) {
                    prop_assert_eq!(reason_at(&terms, later), decision.reason);
                }
            }
        }
    }

    #[test]
    fn a_month_begins_and_ends_at_midnight_utc() {
        let now: Timestamp = "2026-02-28T23:59:59Z".parse().unwrap();
        assert_eq!(Period::Month.start(now).unwrap().to_string(), "2026-02-01T00:00:00Z");
        assert_eq!(Period::Month.end(now).unwrap().to_string(), "2026-03-01T00:00:00Z");
        assert_eq!(Period::Lifetime.end(now), None);
    }
}
