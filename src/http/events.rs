//! Looking at events of the HR system, and a person's word about one.

use axum::{Json, extract::State};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{
    HttpState,
    auth::Who,
    denial::checked_reason,
    extract::{OptionalBody, Params, Segment},
    problem::Problem,
    schemas::{EventStateWord, EventTypeText, MAX_EVENT_TYPE},
    value::{check_page, number, optional_number},
};
use crate::{
    api::{
        events::{DiscardBody, EventBody, EventsBody, OneEventBody},
        problem::ProblemBody,
        schemas::CorporateIdText,
    },
    inbox::{EventFilter, State as EventState},
    model::{corporate_id::CorporateId, syntax::fits},
};

/// Most events in a page.
const MAX_PAGE: u32 = 1000;
/// Largest number of an event that JSON carries everywhere.
const MAX_ID: i64 = (1 << 53) - 1;

/// Which events to read.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ListQuery {
    /// Only those in this state.
    #[param(value_type = Option<EventStateWord>)]
    state: Option<String>,
    /// Only those about this person.
    #[param(value_type = Option<CorporateIdText>)]
    corporate_id: Option<String>,
    /// Only those of this type.
    #[param(value_type = Option<EventTypeText>)]
    event_type: Option<String>,
    /// At most so many, up to 1000.
    #[serde(default = "page", deserialize_with = "number")]
    #[param(default = 100, minimum = 1, maximum = 1000)]
    limit: u32,
    /// `next` of the page before.
    #[serde(default, deserialize_with = "optional_number")]
    #[param(minimum = 0, maximum = 9_007_199_254_740_991_i64)]
    before: Option<i64>,
}

/// Which page of events that wait to read.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct PendingQuery {
    /// At most so many, up to 1000.
    #[serde(default = "page", deserialize_with = "number")]
    #[param(default = 100, minimum = 1, maximum = 1000)]
    limit: u32,
    /// `next` of the page before.
    #[serde(default, deserialize_with = "optional_number")]
    #[param(minimum = 0, maximum = 9_007_199_254_740_991_i64)]
    before: Option<i64>,
}

fn page() -> u32 {
    100
}

async fn events(state: &HttpState, filter: EventFilter, limit: u32) -> Result<Json<EventsBody>, Problem> {
    check_page(limit, MAX_PAGE)?;
    if filter.before.is_some_and(|before| !(0..=MAX_ID).contains(&before)) {
        return Err(Problem::invalid(format!("before: give a number from 0 to {MAX_ID}")));
    }
    let page = state.use_cases.hr_events(filter, limit).await?;
    Ok(Json(EventsBody {
        events: page.events.into_iter().map(Into::into).collect(),
        next: page.next,
    }))
}

/// List events of the HR system.
#[utoipa::path(
    get, path = "/webhooks/events", operation_id = "list_events", tag = "webhooks", params(ListQuery),
    responses((status = 200, description = "A page of events, newest first", body = EventsBody))
)]
pub(super) async fn list(
    State(state): State<HttpState>,
    Params(query): Params<ListQuery>,
) -> Result<Json<EventsBody>, Problem> {
    let word = |word: &String| {
        EventState::parse(word).ok_or_else(|| {
            let words: Vec<&str> = EventState::ALL.iter().map(|state| state.as_str()).collect();
            Problem::invalid(format!("state: must be one of {}", words.join(", ")))
        })
    };
    let is_type = |text: &str| fits(text, MAX_EVENT_TYPE) && !text.chars().any(char::is_control);
    if query.event_type.as_deref().is_some_and(|text| !is_type(text)) {
        return Err(Problem::invalid(format!(
            "event_type: one line of at most {MAX_EVENT_TYPE} characters"
        )));
    }
    let id = query.corporate_id.as_deref().map(CorporateId::parse).transpose()?;
    let filter = EventFilter {
        states: query.state.as_ref().map(word).transpose()?.into_iter().collect(),
        corporate_id: id.map(Into::into),
        event_type: query.event_type,
        before: query.before,
    };
    events(&state, filter, query.limit).await
}

/// List events that are not carried out: pending, held back by the guard, or failed.
#[utoipa::path(
    get, path = "/webhooks/events/pending", operation_id = "list_pending_events", tag = "webhooks", params(PendingQuery),
    responses((status = 200, description = "A page of events, newest first", body = EventsBody))
)]
pub(super) async fn pending(
    State(state): State<HttpState>,
    Params(query): Params<PendingQuery>,
) -> Result<Json<EventsBody>, Problem> {
    let filter = EventFilter {
        states: vec![EventState::Pending, EventState::HeldBack, EventState::Failed],
        before: query.before,
        ..EventFilter::default()
    };
    events(&state, filter, query.limit).await
}

fn event_id(text: &str) -> Result<i64, Problem> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let id = digits.then(|| text.parse().ok()).flatten();
    id.filter(|id| (0..=MAX_ID).contains(id))
        .ok_or_else(|| Problem::invalid("id: give the number of an event, as GET /webhooks/events has it"))
}

/// Show an event with what was sent.
#[utoipa::path(
    get, path = "/webhooks/events/{id}", operation_id = "show_event", tag = "webhooks",
    params(("id" = i64, Path, description = "Number of the event", minimum = 0, maximum = 9_007_199_254_740_991_i64)),
    responses(
        (status = 200, description = "The event", body = OneEventBody),
        (status = 404, description = "There is no event of that number", body = ProblemBody,
         content_type = "application/problem+json"),
    )
)]
pub(super) async fn show(State(state): State<HttpState>, Segment(id): Segment) -> Result<Json<OneEventBody>, Problem> {
    Ok(Json(state.use_cases.hr_event(event_id(&id)?).await?.into()))
}

/// Carry an event out now.
///
/// Whatever became of it before; what is carried out already stays so. `status` says what became of it.
#[utoipa::path(
    post, path = "/webhooks/events/{id}/process", operation_id = "process_event", tag = "webhooks",
    params(("id" = i64, Path, description = "Number of the event", minimum = 0, maximum = 9_007_199_254_740_991_i64)),
    responses(
        (status = 200, description = "What became of it", body = EventBody),
        (status = 404, description = "There is no event of that number", body = ProblemBody,
         content_type = "application/problem+json"),
    )
)]
pub(super) async fn process(
    State(state): State<HttpState>,
    Who(caller): Who,
    Segment(id): Segment,
) -> Result<Json<EventBody>, Problem> {
    let id = event_id(&id)?;
    Ok(Json(state.use_cases.process_hr_event(caller, id).await?.into()))
}

/// Decide that an event is not carried out.
///
/// One that failed, or that is pending: a hold that it placed for a moment to come is lifted. What the guard holds back is dropped
/// there.
#[utoipa::path(
    post, path = "/webhooks/events/{id}/discard", operation_id = "discard_event", tag = "webhooks", request_body = DiscardBody,
    params(("id" = i64, Path, description = "Number of the event", minimum = 0, maximum = 9_007_199_254_740_991_i64)),
    responses(
        (status = 200, description = "It is discarded", body = EventBody),
        (status = 404, description = "There is no event of that number", body = ProblemBody,
         content_type = "application/problem+json"),
        (status = 409, description = "It is carried out, or the guard holds it back", body = ProblemBody,
         content_type = "application/problem+json"),
    )
)]
pub(super) async fn discard(
    State(state): State<HttpState>,
    Who(caller): Who,
    Segment(id): Segment,
    OptionalBody(body): OptionalBody<DiscardBody>,
) -> Result<Json<EventBody>, Problem> {
    let id = event_id(&id)?;
    let reason = checked_reason(body.reason)?;
    Ok(Json(state.use_cases.discard_hr_event(caller, id, reason).await?.into()))
}
