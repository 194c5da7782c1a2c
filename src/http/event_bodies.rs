//! Events of the HR system, as they come and as they are shown.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::{
    access::{HrHealth, Received},
    inbox::StoredEvent,
};

/// An event. Fields that are not known are left alone.
#[derive(ToSchema)]
#[schema(as = HrEvent)]
#[expect(
    dead_code,
    reason = "only described: a body is read as far as it can be, and kept as it came"
)]
pub(super) struct HrEventBody {
    /// `user_deactivated`, `user_suspended`, `user_role_changed` or `user_activated`.
    #[schema(example = "user_deactivated")]
    event_type: String,
    /// Whom it is about. The person need not be declared.
    #[schema(example = "AB123456")]
    corporate_id: String,
    /// `effective_date` (a time, or a day), and by type: `deactivation_reason`, `deactivated_by`; `suspension_reason`, `duration_days`;
    /// `new_role`, `old_role`, `changed_by`; `activation_reason`, `activated_by`.
    event_data: Option<Value>,
    /// When HR said so. Events about a person are ordered by it; without it, by their arrival.
    #[schema(example = "2026-05-01T12:00:00Z")]
    timestamp: Option<String>,
}

/// What became of an event.
#[derive(Serialize, ToSchema)]
pub(super) struct ReceivedBody {
    /// `processed`, `pending`, `held_back`, `failed` or `discarded`.
    status: &'static str,
    /// Number of the event.
    event_id: i64,
    /// It was there already, and changed nothing.
    repeated: bool,
    /// Whom it is about, as far as that could be read.
    corporate_id: Option<String>,
    /// The hold that keeps the person out.
    hold: Option<String>,
    /// Why, or what there is to know.
    detail: Option<String>,
}

impl From<Received> for ReceivedBody {
    fn from(received: Received) -> Self {
        let Received { event, again } = received;
        Self {
            status: event.state.as_str(),
            event_id: event.id,
            repeated: again,
            corporate_id: event.corporate_id,
            hold: event.hold,
            detail: event.reason,
        }
    }
}

/// An event in the inbox.
#[derive(Serialize, ToSchema)]
pub(super) struct EventBody {
    /// Its number.
    event_id: i64,
    /// `processed`, `pending`, `held_back`, `failed` or `discarded`.
    status: &'static str,
    /// Why, or what there is to know.
    detail: Option<String>,
    /// Its type, as far as that could be read.
    event_type: Option<String>,
    /// Whom it is about, as far as that could be read.
    corporate_id: Option<String>,
    /// When it arrived.
    #[schema(value_type = String, format = DateTime)]
    received_at: Timestamp,
    /// When HR said so.
    #[schema(value_type = Option<String>, format = DateTime)]
    timestamp: Option<Timestamp>,
    /// The moment by which it is ordered: the earlier of the two.
    #[schema(value_type = Option<String>, format = DateTime)]
    ordered_at: Option<Timestamp>,
    /// When it came into the state in which it is.
    #[schema(value_type = String, format = DateTime)]
    changed_at: Timestamp,
    /// When it is tried next, while it is pending.
    #[schema(value_type = Option<String>, format = DateTime)]
    due_at: Option<Timestamp>,
    /// How often it was tried.
    attempts: i64,
    /// The hold that it placed, or that does its work.
    hold: Option<String>,
    /// How it was signed: `hub`, `standard` or `unsigned`.
    scheme: &'static str,
    /// The id that its sender gave it.
    webhook_id: Option<String>,
    /// SHA-256 of the body as it was sent, in hex.
    digest: String,
    /// Id of the request that brought it.
    request_id: Option<String>,
}

impl From<StoredEvent> for EventBody {
    fn from(event: StoredEvent) -> Self {
        Self {
            event_id: event.id,
            status: event.state.as_str(),
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
            scheme: event.scheme.as_str(),
            webhook_id: event.webhook_id,
            digest: event.digest,
            request_id: event.request_id,
        }
    }
}

/// An event with what was sent.
#[derive(Serialize, ToSchema)]
pub(super) struct OneEventBody {
    #[serde(flatten)]
    event: EventBody,
    /// The text of the body; null once it is past retention.
    body: Option<String>,
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

/// A page of events.
#[derive(Serialize, ToSchema)]
pub(super) struct EventsBody {
    /// The events, newest first.
    pub(super) events: Vec<EventBody>,
    /// `before` of the next page; null at the end.
    pub(super) next: Option<i64>,
}

/// How the webhook is.
#[derive(Serialize, ToSchema)]
pub(super) struct WebhookHealthBody {
    /// `healthy`: events are taken; `not_configured`: none are, because no secret is configured; `degraded`: `problems` says why.
    status: &'static str,
    /// How events may be signed: `hub`, `standard`, or `unsigned`.
    schemes: Vec<&'static str>,
    /// Events that are not carried out yet, those that take effect later included.
    pending: u64,
    /// Events that the guard holds back until a person decides.
    held_back: u64,
    /// Events that cannot be carried out as they are.
    failed: u64,
    /// What is wrong, one line each.
    problems: Vec<String>,
}

impl From<HrHealth> for WebhookHealthBody {
    fn from(health: HrHealth) -> Self {
        let status = match (health.schemes.is_empty(), health.problems.is_empty()) {
            (true, _) => "not_configured",
            (false, true) => "healthy",
            (false, false) => "degraded",
        };
        Self {
            status,
            schemes: health.schemes.iter().map(|scheme| scheme.as_str()).collect(),
            pending: health.waiting.pending,
            held_back: health.waiting.held_back,
            failed: health.waiting.failed,
            problems: health.problems,
        }
    }
}
