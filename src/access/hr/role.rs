//! A change of the role: one field of the person's object.

use serde_json::json;

use super::{
    Task,
    outcome::{failed, processed},
};
use crate::{
    access::{Dependencies, Result, tell},
    desired::{DesiredError, UserPatch},
    inbox::Outcome,
    model::hr::{HrMarks, HrMarksPatch},
};

impl Dependencies {
    /// Carries out a change of the role, unless a newer one was.
    pub(super) async fn hr_change_role(&self, task: &Task, role: &str) -> Result<Outcome> {
        let Some(user) = self.desired.get_user(&task.id.object_name()).await? else {
            return Ok(failed(format!(
                "nobody is declared with the corporate ID {}: declare the person, and replay the event",
                task.id
            )));
        };
        let marks = HrMarks::of(user.metadata.annotations.as_ref());
        if let Some(newer) = marks.role_at.filter(|newer| *newer > task.at) {
            return Ok(processed(Some(format!(
                "it came late and changes nothing: HR changed the role at {newer}, and said this at {}",
                task.at
            ))));
        }
        let patch = UserPatch {
            role: Some(role.to_owned()),
            hr: HrMarksPatch {
                role_at: Some(task.at),
                ..HrMarksPatch::default()
            },
            ..UserPatch::default()
        };
        let mut entry = task.entry("role.change");
        entry.before = Some(tell::json(&json!({ "role": user.spec.role })));
        entry.after = Some(tell::json(&json!({ "role": role, "event": task.event })));
        if user.spec.role.as_deref() != Some(role) {
            // Before it is done, so that no crash leaves a change without its row.
            self.audit_denial(entry.clone()).await;
        }
        let name = user.spec.corporate_id.object_name();
        match self.desired.patch_user(&name, patch, task.caller.manager).await {
            Ok(_) => {}
            Err(error @ DesiredError::NotEditable { .. }) => {
                self.audit_failure(entry, &error).await;
                return Ok(failed(error.to_string()));
            }
            Err(error) => return Err(error.into()),
        }
        Ok(processed(None))
    }
}
