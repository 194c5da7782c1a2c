//! What a replica that only answers logins takes from the controller: its word, as the statuses of users have it.
//!
//! The controller alone raises epochs, accounts for traffic, and knows what a person confirmed. A replica decides by the same
//! terms at once, and beyond them by what the controller said last: a denial that it does not find in the objects itself (a
//! hold that is gone and that the guard keeps) stands until the controller says otherwise.

use jiff::Timestamp;

use super::{
    entry::{Entry, Hold, User},
    evaluate::{Fate, State},
};
use crate::{
    auth::words::Role,
    model::{
        access::{Access, HoldSpan, Reason, Terms, Usage, reason_at},
        condition::{texts, types},
        user::{VpnUser, VpnUserStatus},
    },
};

/// What a status says beyond access, epoch and generation. Most statuses say nothing of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Word {
    /// Access is denied, for this reason.
    denied: Option<Reason>,
    /// It speaks of the present spec.
    present: bool,
    /// Names of the holds that the denial rests on.
    held_by: Box<[Box<str>]>,
    /// The most that may have been used.
    pub(super) usage: Usage,
    /// Since when the guard holds a denial of the present spec back.
    kept: Option<Timestamp>,
}

impl Word {
    pub(super) fn of(user: &VpnUser) -> Option<Box<Self>> {
        let status = user.status.as_ref()?;
        let present = Some(status.observed_generation) == user.metadata.generation;
        let denied = (status.access == Some(Access::Denied)).then(|| status.reason.unwrap_or(Reason::Inactive));
        let condition = |kind: &str| status.conditions.iter().find(|it| it.type_ == kind);
        let held_by = condition(types::GRANTED).filter(|_| denied == Some(Reason::Held));
        let word = Self {
            denied,
            present,
            held_by: held_by
                .into_iter()
                .flat_map(|it| texts::holders(&it.message))
                .map(Into::into)
                .collect(),
            usage: usage(status),
            kept: condition(types::STALLED)
                .filter(|it| present && denied.is_none() && held_back(it))
                .map(|it| it.last_transition_time),
        };
        let nothing = Self {
            present,
            ..Self::default()
        };
        (word != nothing).then(|| Box::new(word))
    }

    /// Takes from the terms what the controller denies.
    pub(super) fn limit(&self, terms: &mut Terms, is_there: impl Fn(&str) -> bool) {
        match self.denied {
            // The spans of holds that are there tell when the denial ends. One that is not there may be kept by the guard,
            // and a new version of the spec says nothing of that.
            Some(Reason::Held) if self.held_by.is_empty() || !self.held_by.iter().all(|name| is_there(name)) => {
                terms.holds.push(HoldSpan::default());
            }
            Some(Reason::Conflict) => terms.conflict = true,
            Some(Reason::Deleted) if self.present => terms.deleted = true,
            Some(Reason::Inactive) if self.present => terms.active = false,
            Some(Reason::Expired) if self.present => terms.valid_until = Some(Timestamp::MIN),
            // Time ends these, and the terms say when.
            Some(_) | None => {}
        }
    }

    /// Whether the controller let the denial through that the terms ask for.
    fn confirms(&self) -> bool {
        match self.denied {
            Some(Reason::Held | Reason::Conflict) => true,
            Some(_) => self.present,
            None => false,
        }
    }

    /// What the guard of the controller held back was judged otherwise since then.
    pub(super) fn overtaken(&mut self) {
        self.kept = None;
    }
}

fn held_back(stalled: &crate::model::condition::Condition) -> bool {
    stalled.status == "True" && stalled.reason == texts::GUARD_HELD_BACK
}

/// Statuses round down. Of who is over the limit the most is taken that can be meant, so that a limit that was raised too
/// little lets nobody in.
fn usage(status: &VpnUserStatus) -> Usage {
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

impl State {
    /// What the controller's word makes of a user's new terms, if it says anything of them. `before` becomes what is in force
    /// while the controller's guard holds the denial back.
    pub(super) fn follow(
        &self,
        entry: &Entry,
        user: &User,
        declared: &Terms,
        before: &mut Option<std::sync::Arc<Terms>>,
        now: Timestamp,
    ) -> Option<Fate> {
        if self.register.role == Role::Controller || reason_at(declared, now) == Reason::Active {
            return None;
        }
        // An object with a finalizer goes when the controller lets it go.
        if user.gone {
            return Some(Fate::Take);
        }
        let word = user.facts.word.as_deref()?;
        if word.confirms() {
            return Some(Fate::Take);
        }
        let other = |held_back: &super::entry::HeldBack| held_back.fingerprint != entry.fingerprint(user);
        let kept_since = word.kept?;
        // The controller had not seen these yet.
        let newer = |hold: &Hold| hold.is_live(now) && hold.facts.created.is_some_and(|created| created > kept_since);
        if declared.conflict || user.held_back.as_ref().is_some_and(other) || entry.holds.iter().any(newer) {
            return None;
        }
        let grants = |terms: &std::sync::Arc<Terms>| reason_at(terms, now) == Reason::Active;
        if !before.as_ref().is_some_and(grants) {
            // What was refused here already stays so. The controller may have come later, and seen as one batch what came
            // one by one.
            if user.in_force.is_some() {
                return None;
            }
            // The deadlines of before are not known here. The controller says when they pass.
            let old = Terms {
                valid_from: None,
                valid_until: None,
                ..entry.before_denial(declared, now)
            };
            *before = Some(std::sync::Arc::new(old));
        }
        Some(Fate::Keep)
    }

    /// The controller grants access to this person: holds that are gone, and that the guard here keeps, are lost for good.
    pub(super) fn heed(&mut self, user: &VpnUser) {
        let granted = user
            .status
            .as_ref()
            .is_some_and(|it| it.access == Some(Access::Granted));
        if self.register.role == Role::Controller || self.kept.is_empty() || !granted {
            return;
        }
        let id = user.spec.corporate_id.key();
        let key = |name: &str| self.register.holds.get(name).filter(|key| ***key == *id);
        let lost: Vec<_> = self
            .kept
            .iter()
            .filter_map(|name| Some((key(name)?.clone(), name.clone())))
            .collect();
        for (key, name) in lost {
            self.kept.remove(&name);
            self.register.lift(&key, &name);
        }
    }
}
