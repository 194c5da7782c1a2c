//! Looking at events, and a person's word about one.

use jiff::Timestamp;
use serde_json::json;

use super::SOURCE;
use crate::{
    access::{AccessError, Caller, Dependencies, Result, UseCases, tell},
    desired::DesiredError,
    inbox::{EventFilter, Outcome, State, StoredEvent, Waiting, signature::Scheme},
    model::corporate_id::CorporateId,
};

/// A page of events, newest first.
#[derive(Debug, Clone)]
pub struct EventPage {
    /// The events.
    pub events: Vec<StoredEvent>,
    /// `before` of the next page, if there may be one.
    pub next: Option<i64>,
}

/// How the webhook is.
#[derive(Debug, Clone, Default)]
pub struct HrHealth {
    /// How events may be signed; none when none are taken.
    pub schemes: Vec<Scheme>,
    /// What is wrong, one line each. Empty when events are taken and carried out.
    pub problems: Vec<String>,
    /// How many events wait.
    pub waiting: Waiting,
}

impl UseCases {
    /// Events of the inbox.
    ///
    /// # Errors
    /// The inbox cannot be read.
    pub async fn hr_events(&self, filter: EventFilter, limit: u32) -> Result<EventPage> {
        let desk = self.dependencies.desk()?;
        let events = desk.inbox.list(filter, limit).await?;
        let full = u32::try_from(events.len()).is_ok_and(|len| len >= limit);
        let next = events.last().filter(|_| full).map(|event| event.id);
        Ok(EventPage { events, next })
    }

    /// One event.
    ///
    /// # Errors
    /// There is none of that number, or the inbox cannot be read.
    pub async fn hr_event(&self, id: i64) -> Result<StoredEvent> {
        self.dependencies.event(id).await
    }

    /// Carries an event out now, whatever became of it before, unless it is carried out already. Answers what became of it.
    ///
    /// # Errors
    /// There is none of that number, or history or the inbox is unavailable.
    pub async fn process_hr_event(&self, caller: Caller, id: i64) -> Result<StoredEvent> {
        let dependencies = self.dependencies.clone();
        self.to_the_end(async move {
            let stored = dependencies.event(id).await?;
            if stored.state == State::Processed {
                return Ok(stored);
            }
            dependencies.audit_word(&caller, "event.replay", &stored).await?;
            let desk = dependencies.desk()?;
            let done = dependencies.carry_out_event(desk, stored, true).await;
            desk.wake.notify_one();
            done
        })
        .await
    }

    /// Decides that an event is not carried out. A hold that it placed for a moment to come is lifted.
    ///
    /// # Errors
    /// There is none of that number, it was carried out already, the guard holds it back, or history or the inbox is unavailable.
    pub async fn discard_hr_event(&self, caller: Caller, id: i64, reason: Option<String>) -> Result<StoredEvent> {
        let dependencies = self.dependencies.clone();
        self.to_the_end(async move { dependencies.discard(&caller, id, reason).await })
            .await
    }

    /// How the webhook is, from memory.
    #[must_use]
    pub fn hr_health(&self) -> HrHealth {
        self.dependencies.hr_health()
    }
}

impl Dependencies {
    async fn event(&self, id: i64) -> Result<StoredEvent> {
        let found = self.desk()?.inbox.get(id).await?;
        found.ok_or(AccessError::UnknownEvent(id))
    }

    async fn audit_word(&self, caller: &Caller, action: &str, stored: &StoredEvent) -> Result<()> {
        let id = stored
            .corporate_id
            .as_deref()
            .and_then(|id| CorporateId::parse(id).ok());
        let mut entry = caller.entry(action, id.as_ref());
        entry.before = Some(tell::json(
            &json!({ "event": stored.id, "state": stored.state.as_str() }),
        ));
        self.audit_before(entry).await
    }

    async fn discard(&self, caller: &Caller, id: i64, reason: Option<String>) -> Result<StoredEvent> {
        let desk = self.desk()?;
        let stored = self.event(id).await?;
        match stored.state {
            State::Discarded => return Ok(stored),
            State::Processed | State::HeldBack => {
                return Err(AccessError::EventState {
                    id,
                    state: stored.state,
                });
            }
            State::Pending | State::Failed => {}
        }
        let Some(_busy) = desk.take_up(id) else {
            return Err(
                DesiredError::Unavailable("the event is being carried out: look at it again".to_owned()).into(),
            );
        };
        self.audit_word(caller, "event.discard", &stored).await?;
        if let Some(hold) = stored.hold.as_ref().filter(|_| stored.scheduled)
            && self.directory.hold(hold).is_some_and(|hold| hold.spec.source == SOURCE)
        {
            match self.desired.lift_hold(hold, caller.manager).await {
                Ok(()) | Err(DesiredError::NotFound { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let by = format!("{} discarded it", caller.actor);
        let outcome = Outcome {
            state: State::Discarded,
            reason: Some(reason.map_or_else(|| by.clone(), |reason| format!("{by}: {reason}"))),
            hold: None,
            due_at: None,
            scheduled: false,
        };
        let settled = desk.inbox.settle(id, outcome, false).await?;
        settled.ok_or(AccessError::UnknownEvent(id))
    }

    pub(in crate::access) fn hr_health(&self) -> HrHealth {
        let Ok(desk) = self.desk() else {
            return HrHealth::default();
        };
        let (keys, waiting) = (&desk.settings.keys, desk.waiting());
        let mut health = HrHealth {
            schemes: keys.schemes(),
            waiting,
            ..HrHealth::default()
        };
        if keys.is_empty() && desk.settings.allow_unsigned {
            health.schemes = vec![Scheme::Unsigned];
            health.problems.push(
                "events of HR are taken without a signature (WEBHOOK_ALLOW_UNSIGNED): whoever reaches the port can lock people out, \
                 and let back in whom HR locked out"
                    .to_owned(),
            );
        }
        if let Some(error) = desk.inbox.last_error() {
            health.problems.push(format!("events are not taken: {error}"));
        }
        let overdue = waiting
            .oldest_due
            .map(|since| self.clock.now().duration_since(since).as_secs());
        if let Some(seconds) = overdue.filter(|seconds| *seconds >= 60) {
            health.problems.push(format!(
                "an event of HR waits for {seconds} seconds to be carried out: vpn-operator events list --state pending"
            ));
        }
        if waiting.failed > 0 {
            health.problems.push(format!(
                "{} events of HR failed: vpn-operator events list --state failed, then replay or discard each",
                waiting.failed
            ));
        }
        health
    }
}

/// Since when the oldest event waits, in seconds.
pub(super) fn age(waiting: Waiting, now: Timestamp) -> i64 {
    let since = waiting.oldest_due.map(|since| now.duration_since(since).as_secs());
    since.unwrap_or(0).max(0)
}
