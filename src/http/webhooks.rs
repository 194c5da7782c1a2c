//! The webhook for events of the HR system.

use axum::{
    Json,
    extract::{FromRequest, Request, State},
    http::{HeaderMap, HeaderValue, StatusCode},
};

use super::{
    HttpState,
    body::{self, Cut, Packed},
    context::RequestId,
    problem::Problem,
};
use crate::{
    access::{AccessError, Delivery},
    api::{
        events::{HrEventBody, ReceivedBody, WebhookHealthBody},
        problem::ProblemBody,
    },
    inbox::{
        State as EventState,
        event::Instruction,
        signature::{HUB, ID, SIGNATURE, SignatureHeaders, TIMESTAMP},
    },
};

/// A request to the webhook: whole, with a good signature, and not yet kept.
pub(super) struct Delivered(Delivery);

impl FromRequest<HttpState> for Delivered {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &HttpState) -> Result<Self, Problem> {
        let refused = |cause: &'static str, problem: Problem| {
            state.metrics.hr_refused(cause);
            problem
        };
        let (parts, body) = request.into_parts();
        let limit = state.settings.max_body;
        let sent = body::take(body, limit)
            .await
            .map_err(|cut| refused("body", of_cut(cut)))?;
        let sender = state
            .use_cases
            .hr_sender(&signature_headers(&parts.headers), &sent)
            .map_err(|error| refused(cause(&error), error.into()))?;
        // What was not sent by somebody who is known is not unpacked.
        let read = body::read(&parts.headers, sent.clone(), limit);
        let text = read.map_err(|packed| refused("body", of_packed(&packed)))?.text;
        Ok(Self(Delivery {
            sender,
            body: sent,
            text,
            request_id: parts.extensions.get::<RequestId>().map(|id| id.0.to_string()),
        }))
    }
}

fn signature_headers(headers: &HeaderMap) -> SignatureHeaders<'_> {
    let all = |name: &str| headers.get_all(name).iter().map(HeaderValue::as_bytes).collect();
    SignatureHeaders {
        hub: all(HUB),
        id: all(ID),
        timestamp: all(TIMESTAMP),
        signature: all(SIGNATURE),
    }
}

fn cause(error: &AccessError) -> &'static str {
    match error {
        AccessError::WebhookRefused(refusal) => refusal.cause(),
        AccessError::NoWebhookSecret => "not_configured",
        _ => "unavailable",
    }
}

fn too_large(detail: String) -> Problem {
    Problem::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        "too-large",
        "The body is too large",
        detail,
    )
}

fn unreadable(detail: String) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "unreadable", "The body cannot be read", detail)
}

fn of_cut(cut: Cut) -> Problem {
    match cut {
        Cut::TooLarge(_) => too_large(cut.to_string()),
        Cut::BrokeOff | Cut::Late => unreadable(cut.to_string()),
    }
}

fn of_packed(packed: &Packed) -> Problem {
    match packed {
        Packed::TooLarge(_) => too_large(packed.to_string()),
        Packed::Unknown(_) | Packed::Broken(_) => unreadable(packed.to_string()),
    }
}

/// The type of an event, as a word of this program.
fn known_type(event_type: Option<&str>) -> &'static str {
    let known = Instruction::TYPES.into_iter().find(|known| Some(*known) == event_type);
    known.unwrap_or("unknown")
}

/// Receive an event of the HR system.
///
/// Signed with `X-Hub-Signature-256` or as Standard Webhooks say (`webhook-id`, `webhook-timestamp`, `webhook-signature`), over the
/// body as it is sent; every signature that is there must verify. The event is durable before it is answered, and the same event
/// again gets the answer that the first one has by now. `status` is `processed`, `pending` (it takes effect later, or is tried
/// again), `held_back` (the guard waits for a person) or `failed` (it cannot be carried out as it is; `detail` says why). What is
/// refused is not kept.
#[utoipa::path(
    post, path = "/webhooks/hr-events", operation_id = "receive_hr_event", tag = "webhooks", security(()),
    request_body = HrEventBody,
    responses(
        (status = 200, description = "The event is kept, and this is what became of it", body = ReceivedBody),
        (status = 400, description = "The body cannot be read", body = ProblemBody, content_type = "application/problem+json"),
        (status = 401, description = "The event is not signed, or not well", body = ProblemBody,
         content_type = "application/problem+json"),
        (status = 413, description = "The body is too large", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "Events are not taken, or cannot be kept now", body = ProblemBody,
         content_type = "application/problem+json"),
    )
)]
pub(super) async fn receive(
    State(state): State<HttpState>,
    Delivered(delivery): Delivered,
) -> Result<Json<ReceivedBody>, Problem> {
    let received = state.use_cases.receive_hr_event(delivery).await.map_err(|error| {
        state.metrics.hr_refused(cause(&error));
        Problem::from(error)
    })?;
    let event = &received.event;
    if received.again {
        state.metrics.hr_repeated();
    } else {
        let event_type = known_type(event.event_type.as_deref());
        state.metrics.hr_received(event.state.as_str(), event_type);
    }
    if event.state == EventState::Failed && !received.again {
        let why = event.reason.as_deref().unwrap_or_default();
        tracing::warn!(event = event.id, ?why, "an HR event cannot be carried out as it is");
    }
    Ok(Json(received.into()))
}

/// Whether events of the HR system are taken.
#[utoipa::path(
    get, path = "/webhooks/health", operation_id = "webhook_health", tag = "webhooks", security(()),
    responses((status = 200, description = "How the webhook is", body = WebhookHealthBody))
)]
pub(super) async fn health(State(state): State<HttpState>) -> Json<WebhookHealthBody> {
    Json(state.use_cases.hr_health().into())
}
