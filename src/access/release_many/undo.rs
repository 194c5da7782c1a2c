//! One person's part of taking holds back: what is to be done, the doing, and what it comes to.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{ReleasedOne, ReleasedPerson};
use crate::{
    access::{Caller, Dependencies, Result, canonical, tell},
    desired::DesiredError,
    history::{AuditEntry, AuditRow, Page},
    model::{
        access::{Access, HoldSpan, Quota, Reason, Terms, reason_at},
        corporate_id::CorporateId,
        user::VpnUser,
    },
    roster::Person,
};

/// Audit rows of a person that are read at a time.
const PAGE: u32 = 100;

/// What is to be done, and later what was done.
pub(super) struct Undo {
    id: CorporateId,
    user: Option<VpnUser>,
    holds: Vec<ReleasedOne>,
    reactivates: bool,
    error: Option<String>,
}

impl Undo {
    /// Names of the holds.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.holds.iter().map(|hold| hold.name.as_str())
    }

    /// The audit row of this person.
    pub(super) fn entry(&self, caller: &Caller) -> AuditEntry {
        let mut entry = caller.entry("hold.release", Some(&self.id));
        let active = self.user.as_ref().map(|user| user.spec.active);
        let names: Vec<&str> = self.names().collect();
        entry.before = Some(tell::json(&json!({ "holds": names, "active": active })));
        if self.reactivates {
            entry.after = Some(tell::json(&json!({ "active": true })));
        }
        entry
    }

    fn shown(self, reason: Reason, remaining: Vec<String>) -> ReleasedPerson {
        let granted = matches!(reason, Reason::Active | Reason::GuardHeldBack);
        ReleasedPerson {
            corporate_id: self.id,
            holds: self.holds,
            reactivates: self.reactivates,
            error: self.error,
            access: if granted { Access::Granted } else { Access::Denied },
            reason,
            remaining,
        }
    }
}

impl Dependencies {
    /// What is to be done for a person.
    ///
    /// # Errors
    /// History cannot be read.
    pub(super) async fn plan(
        &self,
        source: &str,
        since: Timestamp,
        id: CorporateId,
        holds: Vec<ReleasedOne>,
    ) -> Result<Undo> {
        let (user, error) = match self.desired.get_user(&id.object_name()).await {
            Ok(user) => (user, None),
            Err(error) => (None, Some(error.to_string())),
        };
        let inactive = user
            .as_ref()
            .is_some_and(|user| !user.spec.active && user.metadata.deletion_timestamp.is_none());
        Ok(Undo {
            reactivates: inactive && self.was_deactivated(source, since, &id).await?,
            id,
            user,
            holds,
            error,
        })
    }

    /// Whether the last deactivation that took `spec.active` away is one of this source, and not older than `since`.
    async fn was_deactivated(&self, source: &str, since: Timestamp, id: &CorporateId) -> Result<bool> {
        let key: String = canonical(id).into();
        let mut page = Page {
            limit: PAGE,
            before: None,
        };
        loop {
            let rows = self.journal.audit_rows(Some(key.clone()), page.clone()).await?;
            if let Some(row) = rows.iter().find(|row| took_active_away(row)) {
                return Ok(row.at >= since && row.entry.source == source);
            }
            page.before = rows.last().filter(|row| row.at >= since).map(|row| row.seq);
            if page.before.is_none() {
                return Ok(false);
            }
        }
    }

    /// Does it. `spec.active` first: a hold that is gone would not be found again if the rest failed.
    pub(super) async fn carry_out(&self, caller: &Caller, mut undo: Undo) -> Undo {
        if undo.error.is_some() {
            return undo;
        }
        let entry = undo.entry(caller);
        if undo.reactivates
            && let Err(error) = self.flip(caller, undo.user.as_ref(), true).await
        {
            undo.reactivates = false;
            self.audit_failure(entry, &error).await;
            undo.error = Some(format!("spec.active could not be set back to true: {error}"));
            return undo;
        }
        for hold in &mut undo.holds {
            match self.desired.lift_hold(&hold.name, caller.manager).await {
                Ok(()) | Err(DesiredError::NotFound { .. }) => hold.released = true,
                Err(error) => {
                    self.audit_failure(entry.clone(), &error).await;
                    undo.error = Some(format!("{} could not be lifted: {error}", hold.name));
                }
            }
        }
        undo
    }

    /// Whether memory shows what was done.
    pub(super) fn is_taken_in(&self, undo: &Undo) -> bool {
        let released = undo.holds.iter().filter(|hold| hold.released);
        let names: Vec<String> = released.map(|hold| hold.name.clone()).collect();
        if undo.reactivates {
            self.lifted(&undo.id, &names)
        } else {
            self.are_gone(&undo.id, &names)
        }
    }

    /// What it came to.
    pub(super) fn outcome(&self, undo: Undo) -> ReleasedPerson {
        let person = self.people.person(&undo.id);
        let reason = person.as_ref().map_or(Reason::Deleted, Person::reason);
        undo.shown(reason, person.map(|person| person.live_holds).unwrap_or_default())
    }

    /// What it would come to.
    pub(super) async fn foresee(&self, undo: Undo) -> ReleasedPerson {
        let person = self.people.person(&undo.id);
        let named = |name: &String| undo.names().any(|it| it == name);
        let live = person.as_ref().map(|person| person.live_holds.clone());
        let remaining: Vec<String> = live.into_iter().flatten().filter(|name| !named(name)).collect();
        let mut terms = Terms {
            deleted: true,
            conflict: person.is_some_and(|person| person.declared.reason == Reason::Conflict),
            holds: remaining.iter().map(|_| HoldSpan::default()).collect(),
            ..Terms::default()
        };
        if let Some(user) = &undo.user {
            let spec = &user.spec;
            terms.deleted = user.metadata.deletion_timestamp.is_some();
            terms.active = spec.active || undo.reactivates;
            (terms.valid_from, terms.valid_until) = (spec.valid_from, spec.valid_until);
            if let Some(traffic) = &spec.traffic {
                let totals = self.traffic(&spec.account()).await;
                terms.usage = totals.map(|totals| totals.usage).unwrap_or_default();
                terms.quota = Some(Quota {
                    limit: traffic.limit.get(),
                    period: traffic.period,
                });
            }
        }
        undo.shown(reason_at(&terms, self.clock.now()), remaining)
    }
}

fn took_active_away(row: &AuditRow) -> bool {
    let before = row.entry.before.as_deref().unwrap_or_default();
    let before: Value = serde_json::from_str(before).unwrap_or_default();
    row.entry.action == "deactivate" && before["active"] == true
}
