//! Carrying one event out: its turn, its instruction, and what becomes of it.

use std::sync::Arc;

use jiff::{Timestamp, tz::TimeZone};

use super::{
    HrDesk, Task,
    denial::Denying,
    outcome::{discarded, failed, later, processed, retry},
    standing::Seen,
};
use crate::{
    access::{AccessError, Dependencies, Result},
    desired::DesiredError,
    inbox::{
        Outcome, State, StoredEvent,
        event::{self, HrEvent, Instruction},
        order,
    },
    model::{access::HoldSpan, user::VpnUser},
};

impl Dependencies {
    /// Carries an event out as far as it goes now, and keeps what became of it. `again`: a person wants it, so what was decided
    /// about it before counts no more. Answers the event as it stands then; nothing becomes of one on which somebody works.
    pub(super) async fn carry_out_event(
        &self,
        desk: &Arc<HrDesk>,
        stored: StoredEvent,
        again: bool,
    ) -> Result<StoredEvent> {
        let Some(_busy) = desk.take_up(stored.id) else {
            return Ok(stored);
        };
        let id = stored.id;
        // Somebody else may have been faster.
        let present = desk.inbox.get(id).await?.ok_or(AccessError::UnknownEvent(id))?;
        if present.state == State::Processed || (present.state.is_final() && !again) {
            return Ok(present);
        }
        let now = self.clock.now();
        let outcome = self.outcome_of(desk, &present, again, now).await;
        let settled = desk.inbox.settle(id, outcome, again).await?;
        settled.ok_or(AccessError::UnknownEvent(id))
    }

    async fn outcome_of(&self, desk: &HrDesk, stored: &StoredEvent, again: bool, now: Timestamp) -> Outcome {
        match self.attempt(desk, stored, again, now).await {
            Ok(outcome) => outcome,
            Err(error) if is_retryable(&error) => {
                tracing::warn!(event = stored.id, %error, "an HR event could not be carried out yet: it is tried again");
                retry(stored.attempts, now, error.to_string())
            }
            Err(error) => failed(error.to_string()),
        }
    }

    async fn attempt(&self, desk: &HrDesk, stored: &StoredEvent, again: bool, now: Timestamp) -> Result<Outcome> {
        let zone = desk.zone();
        let Some(text) = &stored.text else {
            return Ok(failed("the body is no text, or past retention".to_owned()));
        };
        let event = match event::read(text, &zone).event {
            Ok(event) => event,
            Err(error) => return Ok(failed(error.to_string())),
        };
        // What came from the future is ordered by the word of the person who wants it now.
        let at = order::ordered_at(event.at, stored.received_at);
        let at = match at.or_else(|error| {
            if again {
                order::ordered_at(event.at, now)
            } else {
                Err(error)
            }
        }) {
            Ok(at) => at,
            Err(error) => return Ok(failed(error.to_string())),
        };
        self.loaded().await?;
        let task = Task::of(stored, &event, at, now);
        let _turn = desk.turn(event.corporate_id.key()).await;
        desk.fence
            .check()
            .map_err(|error| DesiredError::Unavailable(error.to_string()))?;
        // The hold was seen before: where it is gone, it was lifted, and is not placed anew.
        let waited = stored.state == State::HeldBack || (stored.scheduled && !again);
        if let Some(hold) = stored.hold.as_ref().filter(|_| waited)
            && self.seen_now(&task.id, hold).is_none_or(|seen| seen == Seen::Rejected)
            && self.is_settled_otherwise(&task, hold)
        {
            return self.overtaken(desk, &task, hold).await;
        }
        if let Some(at) = event.waits_until(now) {
            return Ok(later(at));
        }
        let begins = event.effective.filter(|effective| *effective > now);
        match &event.instruction {
            Instruction::Deactivate | Instruction::Suspend { .. } => match denying(&event, at, begins, &zone) {
                Some(denying) => self.hr_deny(desk, &task, denying).await,
                None => Ok(failed("event_data.duration_days: it ends beyond all time".to_owned())),
            },
            Instruction::Activate => self.hr_activate(desk, &task).await,
            Instruction::ChangeRole { role } => self.hr_change_role(&task, role).await,
        }
    }

    /// Whether the hold that an event placed is not there any more, or was rejected: then it is not placed anew.
    fn is_settled_otherwise(&self, task: &Task, hold: &str) -> bool {
        self.is_rejected(&task.id, hold) || self.directory.hold(hold).is_none()
    }

    async fn overtaken(&self, desk: &HrDesk, task: &Task, hold: &str) -> Result<Outcome> {
        if self.is_rejected(&task.id, hold) {
            return Ok(discarded("a person told the guard not to carry it out"));
        }
        let user = self.hr_user(task).await?;
        let activated = self.activated_at(desk, &task.id, user.as_ref()).await?;
        if activated.is_some_and(|activated| activated > task.at) {
            return Ok(processed(Some("HR activated the person later".to_owned())));
        }
        Ok(discarded("its hold was lifted before it took effect"))
    }

    /// The person's object. A source that cannot be read now keeps no known person in.
    pub(super) async fn hr_user(&self, task: &Task) -> Result<Option<VpnUser>> {
        match self.desired.get_user(&task.id.object_name()).await {
            Ok(user) => Ok(user.filter(|user| user.metadata.deletion_timestamp.is_none())),
            Err(error) => match self.known_user(&task.id) {
                Some(user) => Ok(Some((*user).clone())),
                None => Err(error.into()),
            },
        }
    }
}

fn denying(event: &HrEvent, at: Timestamp, begins: Option<Timestamp>, zone: &TimeZone) -> Option<Denying> {
    let (until, flips) = match &event.instruction {
        Instruction::Suspend { days } => {
            let from = event.effective.unwrap_or(at);
            (Some(event::end_of(from, *days, zone)?), false)
        }
        _ => (None, true),
    };
    // A moment that has passed is no announcement: the guard is to judge what begins at once.
    let span = HoldSpan { from: begins, until };
    Some(Denying { span, flips })
}

/// Whether the same may succeed later without anybody changing anything.
fn is_retryable(error: &AccessError) -> bool {
    match error {
        AccessError::Desired(error) => error.is_retryable(),
        AccessError::Store(_) | AccessError::Interrupted => true,
        _ => false,
    }
}
