//! What the status of a user says: the word of the process that reported it.
//!
//! A controller takes from it where its predecessor stopped. A follower takes from it what it cannot know by itself: epochs,
//! traffic, and what the controller's guard decided.

use jiff::Timestamp;

use super::spec_terms::SpecTerms;
use crate::{
    auth::words::Gateways,
    model::{
        access::{Access, HoldSpan, Reason, Terms, Usage},
        condition::{texts, types},
        guard::{Budget, HeldBackCause},
        session::Epoch,
        user::{VpnUser, VpnUserStatus},
    },
};

/// What the status of a user says. Most statuses say nothing of the [`Details`].
#[derive(Clone)]
pub(super) struct Reported {
    pub(super) access: Option<Access>,
    pub(super) credential_generation: Option<i64>,
    pub(super) epoch: Epoch,
    pub(super) denied_at: Option<Timestamp>,
    /// Every session of the latest revocation was proved gone.
    pub(super) zero: bool,
    /// The spec was changed after this was written.
    pub(super) outdated: bool,
    /// It was changed so that a gateway was taken away.
    pub(super) narrowed: bool,
    pub(super) details: Option<Box<Details>>,
}

/// What few statuses say.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Details {
    /// Access is denied, for this reason.
    pub(super) denied: Option<Reason>,
    /// Names of the holds that the denial rests on.
    held_by: Box<[Box<str>]>,
    /// The most that may have been used.
    pub(super) usage: Usage,
    /// What the guard holds back.
    pub(super) held_back: Vec<HeldBackCause>,
    /// The gateways on which there was an account, when one was taken away since.
    pub(super) had_gateways: Vec<String>,
}

impl Reported {
    pub(super) fn of(user: &VpnUser, gateways: &Gateways) -> Self {
        let status = user.status.as_ref();
        let epoch = status.and_then(|status| status.epoch).unwrap_or(0);
        let outdated = status.is_some_and(|status| Some(status.observed_generation) != user.metadata.generation);
        let mut had = status.into_iter().flat_map(|status| &status.gateways);
        let narrowed = outdated && had.any(|state| !gateways.admit(&state.name));
        let revocation = status.and_then(|status| status.revocation.as_ref());
        Self {
            access: status.and_then(|status| status.access),
            credential_generation: status.and_then(|status| status.credential_generation),
            epoch: Epoch(u64::try_from(epoch).unwrap_or(0)),
            denied_at: revocation.map(|it| it.denied_at),
            zero: revocation.is_some_and(|it| it.sessions_zero_at.is_some()),
            outdated,
            narrowed,
            details: status.and_then(|status| Details::of(status, narrowed)),
        }
    }

    /// The reason of a denial that was reported.
    pub(super) fn denied(&self) -> Option<Reason> {
        self.details.as_ref().and_then(|it| it.denied)
    }

    /// Whether a status that speaks of the present spec was written.
    pub(super) fn is_present(&self) -> bool {
        self.access.is_some() && !self.outdated
    }

    /// What is held back of this kind.
    pub(super) fn held_back(&self, cause: Budget) -> Option<&HeldBackCause> {
        let details = self.details.as_ref()?;
        details.held_back.iter().find(|held| held.cause == cause)
    }

    /// The usage that was reported. Statuses round down.
    pub(super) fn usage(&self) -> Usage {
        self.details.as_ref().map_or_else(Usage::default, |it| it.usage)
    }

    /// Takes from the terms what the controller denies beyond what the objects say.
    pub(super) fn limit(&self, terms: &mut Terms, is_there: impl Fn(&str) -> bool) {
        let Some(details) = &self.details else { return };
        match details.denied {
            // The spans of holds that are there tell when the denial ends. One that is not there may be kept by the guard,
            // and a new version of the spec says nothing of that.
            Some(Reason::Held) if details.held_by.is_empty() || !details.held_by.iter().all(|name| is_there(name)) => {
                terms.holds.push(HoldSpan::default());
            }
            Some(Reason::Conflict) => terms.conflict = true,
            Some(Reason::Deleted) if !self.outdated => terms.deleted = true,
            Some(Reason::Inactive) if !self.outdated => terms.active = false,
            Some(Reason::Expired) if !self.outdated => terms.valid_until = Some(Timestamp::MIN),
            // Time ends these, and the terms say when.
            Some(_) | None => {}
        }
    }

    /// What was in force of the spec before its present version, as far as a status that says Granted tells: the version
    /// without what denies. Nobody can tell a deadline that came while nobody looked from one that was moved into the past.
    pub(super) fn before(&self, spec: &SpecTerms) -> SpecTerms {
        let had = self.details.as_ref().filter(|_| self.narrowed);
        SpecTerms {
            active: true,
            valid_from: None,
            valid_until: None,
            quota: spec.quota,
            gateways: had.map_or_else(|| spec.gateways.clone(), |it| Gateways::of(Some(&it.had_gateways))),
        }
    }
}

impl Details {
    fn of(status: &VpnUserStatus, narrowed: bool) -> Option<Box<Self>> {
        let denied = (status.access == Some(Access::Denied)).then(|| status.reason.unwrap_or(Reason::Inactive));
        let mut conditions = status.conditions.iter();
        let granted = conditions.find(|it| it.type_ == types::GRANTED && denied == Some(Reason::Held));
        let holders = granted.into_iter().flat_map(|it| texts::holders(&it.message));
        let had = status.gateways.iter().filter(|_| narrowed);
        let details = Self {
            denied,
            held_by: holders.map(Into::into).collect(),
            usage: usage(status),
            held_back: status.guard.clone(),
            had_gateways: had.map(|state| state.name.clone()).collect(),
        };
        (details != Self::default()).then(|| Box::new(details))
    }
}

/// Statuses round down. Of who is over the limit the most is taken that can be meant, so that a limit that was raised too
/// little lets nobody in.
pub(crate) fn usage(status: &VpnUserStatus) -> Usage {
    let Some(traffic) = &status.traffic else {
        return Usage::default();
    };
    let used = match status.reason {
        Some(Reason::OverQuota) => traffic.used.coarse_most(),
        _ => traffic.used.get(),
    };
    match traffic.period_start {
        None => Usage {
            lifetime: used,
            ..Usage::default()
        },
        month_start => Usage {
            month: used,
            month_start,
            ..Usage::default()
        },
    }
}
