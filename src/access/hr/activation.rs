//! An activation: HR's own older holds are lifted, and `spec.active` is set back where HR cleared it. Nothing else.

use serde_json::json;

use super::{
    HrDesk, Task,
    outcome::{pending, processed},
};
use crate::{
    access::{Dependencies, Result, tell},
    desired::{DesiredError, UserPatch},
    inbox::{Outcome, order},
    model::{
        hr::{HrMarks, HrMarksPatch},
        user::VpnUser,
    },
};

impl Dependencies {
    /// Carries out an activation. Its moment is durable before the first hold is lifted, so that a denial that HR said earlier and
    /// that arrives meanwhile comes late.
    pub(super) async fn hr_activate(&self, desk: &HrDesk, task: &Task) -> Result<Outcome> {
        let user = self.hr_user(task).await?;
        let former = self.activated_at(desk, &task.id, user.as_ref()).await?;
        let standing = self.standing(&task.id);
        let activation = order::activate(task.at, &standing);
        // A deactivation that HR said later keeps `active` cleared.
        let stays_out = standing
            .iter()
            .any(|hold| hold.span.until.is_none() && activation.stays.contains(&hold.name));
        let is_cleared = |user: &VpnUser| {
            let marks = HrMarks::of(user.metadata.annotations.as_ref());
            !user.spec.active && marks.inactive_at.is_some_and(|at| at < task.at)
        };
        let sets_back = user.as_ref().is_some_and(|user| is_cleared(user) && !stays_out);
        if sets_back || !activation.lifts.is_empty() {
            let mut entry = task.entry("activate");
            entry.before = Some(tell::json(&json!({ "active": !sets_back, "holds": activation.lifts })));
            entry.after = Some(tell::json(&json!({ "active": true, "event": task.event })));
            self.audit_before(entry).await?;
        }
        desk.inbox.activate(task.id.key().to_owned(), task.at).await?;
        let note = match &user {
            Some(user) => self.mark_active(task, user, sets_back).await?,
            None => None,
        };
        self.lift(task, activation.lifts.iter()).await?;
        let wait = self.settings.grant_wait;
        let gone = || self.are_gone(&task.id, &activation.lifts).then_some(());
        if self.until(wait, gone).await.is_none() {
            return Ok(pending(
                task,
                "the holds are lifted, and the change is not in force yet",
            ));
        }
        Ok(processed(note.or_else(|| self.told(task, &activation, former))))
    }

    /// Notes the activation on the person's object, and sets `active` back. Answers what could not be done, for people.
    async fn mark_active(&self, task: &Task, user: &VpnUser, sets_back: bool) -> Result<Option<String>> {
        let name = user.spec.corporate_id.object_name();
        let hr = HrMarksPatch {
            event_at: Some(task.at),
            ..HrMarksPatch::default()
        };
        let patch = UserPatch {
            active: sets_back.then_some(true),
            hr,
            ..UserPatch::default()
        };
        let manager = task.caller.manager;
        let error = match self.desired.patch_user(&name, patch, manager).await {
            Ok(_) | Err(DesiredError::NotFound { .. }) => return Ok(None),
            Err(error) if error.is_retryable() => return Err(error.into()),
            Err(error) => error,
        };
        let only_noted = UserPatch {
            hr,
            ..UserPatch::default()
        };
        match self.desired.patch_user(&name, only_noted, manager).await {
            Err(error) if error.is_retryable() => return Err(error.into()),
            Ok(_) | Err(_) => {}
        }
        Ok(sets_back.then(|| format!("spec.active stays false: {error}")))
    }

    /// What an activation comes to, where it is not simply done.
    fn told(&self, task: &Task, activation: &order::Activation, former: Option<jiff::Timestamp>) -> Option<String> {
        if !activation.stays.is_empty() {
            return Some(format!(
                "HR said later, or in the same moment: {}",
                activation.stays.join(", ")
            ));
        }
        if former.is_some_and(|former| former > task.at) && activation.lifts.is_empty() {
            return Some("it came late and changes nothing: HR activated the person later as well".to_owned());
        }
        let person = self.people.person(&task.id)?;
        let others: Vec<String> = person.live_holds;
        if !others.is_empty() {
            return Some(format!("others still deny the person: {}", others.join(", ")));
        }
        (person.user.is_none()).then(|| "nobody is declared with this ID at present".to_owned())
    }
}
