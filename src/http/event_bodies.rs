//! Events of the HR system, as they are answered.

use crate::{
    access::{HrHealth, Received},
    api::events::{EventBody, OneEventBody, ReceivedBody, WebhookHealthBody},
    inbox::StoredEvent,
};

impl From<Received> for ReceivedBody {
    fn from(received: Received) -> Self {
        let Received { event, again } = received;
        Self {
            status: event.state.as_str().to_owned(),
            event_id: event.id,
            repeated: again,
            corporate_id: event.corporate_id,
            hold: event.hold,
            detail: event.reason,
        }
    }
}

impl From<StoredEvent> for EventBody {
    fn from(event: StoredEvent) -> Self {
        Self {
            event_id: event.id,
            status: event.state.as_str().to_owned(),
            detail: event.reason,
            event_type: event.event_type,
            corporate_id: event.corporate_id,
            received_at: event.received_at,
            timestamp: event.said_at,
            ordered_at: event.ordered_at,
            changed_at: event.changed_at,
            due_at: event.due_at,
            attempts: event.attempts,
            hold: event.hold,
            scheme: event.scheme.as_str().to_owned(),
            webhook_id: event.webhook_id,
            digest: event.digest,
            request_id: event.request_id,
        }
    }
}

impl From<StoredEvent> for OneEventBody {
    fn from(mut event: StoredEvent) -> Self {
        let body = event.text.take();
        Self {
            event: event.into(),
            body,
        }
    }
}

impl From<HrHealth> for WebhookHealthBody {
    fn from(health: HrHealth) -> Self {
        let status = match (health.schemes.is_empty(), health.problems.is_empty()) {
            (true, _) => "not_configured",
            (false, true) => "healthy",
            (false, false) => "degraded",
        };
        Self {
            status: status.to_owned(),
            schemes: health.schemes.iter().map(|scheme| scheme.as_str().to_owned()).collect(),
            pending: health.waiting.pending,
            held_back: health.waiting.held_back,
            failed: health.waiting.failed,
            problems: health.problems,
        }
    }
}
