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
        access::{Access, Reason, Terms, reason_at},
        user::VpnUser,
    },
};

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
