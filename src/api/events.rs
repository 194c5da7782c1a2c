//! Events of the HR system, as they come and as they are shown.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::schemas::ReasonText;

/// An event. Fields that are not known are left alone.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[schema(as = HrEvent)]
pub struct HrEventBody {
    /// `user_deactivated`, `user_suspended`, `user_role_changed` or `user_activated`.
    #[schema(example = "user_deactivated")]
    pub event_type: String,
    /// Whom it is about. The person need not be declared.
    #[schema(example = "AB123456")]
    pub corporate_id: String,
    /// `effective_date` (a time, or a day), and by type: `deactivation_reason`, `deactivated_by`; `suspension_reason`, `duration_days`;
    /// `new_role`, `old_role`, `changed_by`; `activation_reason`, `activated_by`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event_data: Option<Value>,
    /// When HR said so. Events about a person are ordered by it; without it, by their arrival.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "2026-05-01T12:00:00Z")]
    pub timestamp: Option<String>,
}

/// What became of an event.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ReceivedBody {
    /// `processed`, `pending`, `held_back`, `failed` or `discarded`.
    pub status: String,
    /// Number of the event.
    pub event_id: i64,
    /// It was there already, and changed nothing.
    pub repeated: bool,
    /// Whom it is about, as far as that could be read.
    pub corporate_id: Option<String>,
    /// The hold that keeps the person out.
    pub hold: Option<String>,
    /// Why, or what there is to know.
    pub detail: Option<String>,
}

/// An event in the inbox.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct EventBody {
    /// Its number.
    pub event_id: i64,
    /// `processed`, `pending`, `held_back`, `failed` or `discarded`.
    pub status: String,
    /// Why, or what there is to know.
    pub detail: Option<String>,
    /// Its type, as far as that could be read.
    pub event_type: Option<String>,
    /// Whom it is about, as far as that could be read.
    pub corporate_id: Option<String>,
    /// When it arrived.
    #[schema(value_type = String, format = DateTime)]
    pub received_at: Timestamp,
    /// When HR said so.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub timestamp: Option<Timestamp>,
    /// The moment by which it is ordered: the earlier of the two.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub ordered_at: Option<Timestamp>,
    /// When it came into the state in which it is.
    #[schema(value_type = String, format = DateTime)]
    pub changed_at: Timestamp,
    /// When it is tried next, while it is pending.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub due_at: Option<Timestamp>,
    /// How often it was tried.
    pub attempts: i64,
    /// The hold that it placed, or that does its work.
    pub hold: Option<String>,
    /// How it was signed: `hub`, `standard` or `unsigned`.
    pub scheme: String,
    /// The id that its sender gave it.
    pub webhook_id: Option<String>,
    /// SHA-256 of the body as it was sent, in hex.
    pub digest: String,
    /// Id of the request that brought it.
    pub request_id: Option<String>,
}

/// An event with what was sent.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct OneEventBody {
    /// The event.
    #[serde(flatten)]
    pub event: EventBody,
    /// The text of the body; null once it is past retention.
    pub body: Option<String>,
}

/// A page of events.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct EventsBody {
    /// The events, newest first.
    pub events: Vec<EventBody>,
    /// `before` of the next page; null at the end.
    pub next: Option<i64>,
}

/// How the webhook is.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct WebhookHealthBody {
    /// `healthy`: events are taken; `not_configured`: none are, because no secret is configured; `degraded`: `problems` says why.
    pub status: String,
    /// How events may be signed: `hub`, `standard`, or `unsigned`.
    pub schemes: Vec<String>,
    /// Events that are not carried out yet, those that take effect later included.
    pub pending: u64,
    /// Events that the guard holds back until a person decides.
    pub held_back: u64,
    /// Events that cannot be carried out as they are.
    pub failed: u64,
    /// What is wrong, one line each.
    pub problems: Vec<String>,
}

/// Why an event is discarded.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DiscardBody {
    /// Why, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<ReasonText>)]
    pub reason: Option<String>,
}
