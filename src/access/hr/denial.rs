//! A deactivation or a suspension: the hold denies, and everything else follows it.

use jiff::Timestamp;
use serde_json::json;

use super::{
    HrDesk, SOURCE, Task,
    outcome::{held_back, later, pending, processed},
    standing::{Seen, said_at},
};
use crate::{
    access::{Dependencies, Result, canonical, deactivate::DEACTIVATED, tell},
    desired::{DesiredError, UserPatch},
    inbox::{
        Outcome, State,
        order::{self, Denial},
    },
    model::{
        access::HoldSpan,
        hold::{VpnHoldSpec, hold_name},
        hr::{HrMarks, HrMarksPatch},
        user::VpnUser,
    },
};

/// Cause in the name of the hold that a suspension places; the beginning of the event's digest follows.
const SUSPENDED: &str = "suspended";

/// What a denial is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Denying {
    /// When it denies.
    pub span: HoldSpan,
    /// It clears `spec.active` as well: a deactivation.
    pub flips: bool,
}

impl Denying {
    const fn action(self) -> &'static str {
        if self.flips { "deactivate" } else { "suspend" }
    }
}

impl Dependencies {
    /// Carries out a denial. The hold is placed first, and in force before anything else is done.
    pub(super) async fn hr_deny(&self, desk: &HrDesk, task: &Task, denying: Denying) -> Result<Outcome> {
        let now = self.clock.now();
        let user = self.hr_user(task).await?;
        let activated = self.activated_at(desk, &task.id, user.as_ref()).await?;
        let standing = self.standing(&task.id);
        let counting: Vec<_> = standing
            .iter()
            .filter(|hold| !self.is_rejected(&task.id, &hold.name))
            .cloned()
            .collect();
        let (hold, placed) = match order::deny(task.at, denying.span, activated, &counting, now) {
            Denial::Late { activated } => {
                return Ok(processed(Some(format!(
                    "it came late and changes nothing: HR activated the person at {activated}, and said this at {}",
                    task.at
                ))));
            }
            Denial::Over => return Ok(processed(Some("it changes nothing: the suspension is over".to_owned()))),
            Denial::Stands(hold) => (hold, false),
            Denial::Place { .. } => self.place(task, denying).await?,
        };
        let is_own = self.directory.hold(&hold).is_none_or(|hold| said_at(&hold) == task.at);
        let begins = denying.span.from.filter(|from| *from > now);
        let seen = self.hold_seen(&task.id, &hold, begins.is_some()).await;
        if placed || (is_own && task.attempts == 0) {
            self.audit_hr_denial(task, denying, &hold, user.as_ref()).await;
        }
        let outcome = match (seen, begins) {
            (None, _) => pending(task, "the hold is placed, and not in force yet"),
            (Some(Seen::HeldBack), _) => {
                self.guard_kept().await;
                held_back(&task.id)
            }
            (Some(Seen::Rejected), _) => Outcome {
                state: State::Discarded,
                ..processed(Some("a person told the guard not to carry it out".to_owned()))
            },
            (_, Some(begins)) => later(begins),
            (Some(Seen::Live | Seen::Later), None) => {
                let note = self.behind_the_hold(task, denying, user.as_ref()).await?;
                let covered = order::superseded(task.at, denying.span, &counting, now);
                let covered: Vec<String> = covered.into_iter().filter(|name| *name != hold).collect();
                self.lift(task, covered.iter()).await?;
                // What comes next is not to be decided by holds that are gone.
                let gone = || self.are_gone(&task.id, &covered).then_some(());
                let _ = self.until(self.settings.grant_wait, gone).await;
                processed(note)
            }
        };
        Ok(Outcome {
            hold: Some(hold),
            ..outcome
        })
    }

    /// Places the hold of a denial, under a name of its own where the usual one is taken.
    async fn place(&self, task: &Task, denying: Denying) -> Result<(String, bool)> {
        let usual = format!("{DEACTIVATED}{}", task.digest);
        let causes = if denying.flips {
            vec![DEACTIVATED.to_owned(), usual]
        } else {
            vec![format!("{SUSPENDED}{}", task.digest)]
        };
        let last = causes.len() - 1;
        for (at, cause) in causes.iter().enumerate() {
            let name = hold_name(SOURCE, cause, &task.id);
            if at < last && self.directory.hold(&name).is_some() {
                continue;
            }
            let spec = VpnHoldSpec {
                corporate_id: canonical(&task.id),
                source: SOURCE.to_owned(),
                reason: task.reason.clone(),
                from: denying.span.from,
                until: denying.span.until,
            };
            match self.order(&task.caller, &name, spec, Some(task.at)).await {
                // An older event placed the same: an activation that was said in between would lift it.
                Ok(hold) if said_at(&hold) < task.at && at < last => {}
                Ok(_) => return Ok((name, true)),
                Err(DesiredError::AlreadyExists { .. }) if at < last => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(DesiredError::AlreadyExists {
            kind: "VpnHold",
            name: hold_name(SOURCE, DEACTIVATED, &task.id),
        }
        .into())
    }

    /// Clears `spec.active` behind a hold that denies. Answers what could not be done, for people: the hold does the work.
    async fn behind_the_hold(&self, task: &Task, denying: Denying, user: Option<&VpnUser>) -> Result<Option<String>> {
        let is_to_flip = |user: &&VpnUser| {
            let marks = HrMarks::of(user.metadata.annotations.as_ref());
            user.spec.active || marks.inactive_at.is_some_and(|at| at < task.at)
        };
        let Some(user) = user.filter(|_| denying.flips).filter(is_to_flip) else {
            return Ok(None);
        };
        let patch = UserPatch {
            active: user.spec.active.then_some(false),
            hr: HrMarksPatch {
                inactive_at: Some(task.at),
                ..HrMarksPatch::default()
            },
            ..UserPatch::default()
        };
        let name = user.spec.corporate_id.object_name();
        match self.desired.patch_user(&name, patch, task.caller.manager).await {
            Ok(_) | Err(DesiredError::NotFound { .. }) => Ok(None),
            Err(error) if error.is_retryable() => Err(error.into()),
            Err(error) => Ok(Some(format!(
                "the hold keeps the person out; spec.active stays as it is: {error}"
            ))),
        }
    }

    /// Lifts holds of HR that count for nothing any more.
    pub(super) async fn lift(&self, task: &Task, names: impl Iterator<Item = &String> + Send) -> Result<()> {
        for name in names {
            match self.desired.lift_hold(name, task.caller.manager).await {
                Ok(()) | Err(DesiredError::NotFound { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    async fn audit_hr_denial(&self, task: &Task, denying: Denying, hold: &str, user: Option<&VpnUser>) {
        let mut entry = task.entry(denying.action());
        let moment = |at: Option<Timestamp>| at.map(|at| at.to_string());
        entry.before = user.map(|user| tell::json(&json!({ "active": user.spec.active })));
        entry.after = Some(tell::json(&json!({
            "event": task.event, "hold": hold, "from": moment(denying.span.from), "until": moment(denying.span.until),
        })));
        self.audit_denial(entry).await;
    }
}
