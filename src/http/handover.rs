//! Making, listing and withdrawing links that are handed over. Where they are opened is [`super::open`].

use axum::{
    Json,
    extract::{FromRequestParts, Path, State},
    http::{StatusCode, request::Parts},
};
use jiff::SignedDuration;
use secrecy::ExposeSecret as _;
use serde::Deserialize;
use utoipa::IntoParams;

use super::{
    HttpState,
    auth::Who,
    denial::checked_reason,
    extract::{OptionalBody, Params, PathId, RequestKey},
    problem::Problem,
    schemas::RequestKeyText,
};
use crate::{
    access,
    api::{
        handover::{HandedOver, Handover, Handovers, NewHandover},
        problem::ProblemBody,
        schemas::{CorporateIdText, ReasonText},
    },
    handover,
    model::corporate_id::CorporateId,
};

/// The person and the number of a link in the path.
pub(super) struct LinkOf(CorporateId, i64);

impl<S: Send + Sync> FromRequestParts<S> for LinkOf {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let found = Path::<(String, String)>::from_request_parts(parts, state).await;
        let Ok(Path((id, number))) = found else {
            return Err(Problem::invalid("the path is not valid UTF-8"));
        };
        let id = CorporateId::parse(&id)?;
        let number = number.parse();
        number
            .map(|number| Self(id, number))
            .map_err(|_| Problem::invalid("link: give the number of a link, as the list has it"))
    }
}

/// Make a link that opens a person's page, to hand it over.
///
/// Its address is in the answer and nowhere else; whoever opens it is in the audit. It may be made for somebody who has no access at
/// present: they see that in place of the page, and nothing is used up. The same `Idempotency-Key` of the same caller gets the same
/// link, however often it is sent, and makes none good again that was opened or withdrawn.
#[utoipa::path(
    post, path = "/user/{corporate_id}/links", operation_id = "hand_over", tag = "people", request_body = NewHandover,
    params(
        ("corporate_id" = CorporateIdText, Path, description = "Corporate ID; case does not matter"),
        ("Idempotency-Key" = Option<RequestKeyText>, Header, description = "The caller's own name of this request"),
    ),
    responses(
        (status = 201, description = "The link", body = HandedOver),
        (status = 404, description = "Nobody is declared with this ID", body = ProblemBody,
         content_type = "application/problem+json"),
        (status = 503, description = "History or the links are unavailable: no link was made", body = ProblemBody,
         content_type = "application/problem+json"),
    )
)]
pub(super) async fn make(
    State(state): State<HttpState>,
    Who(caller): Who,
    PathId(id): PathId,
    RequestKey(request): RequestKey,
    OptionalBody(body): OptionalBody<NewHandover>,
) -> Result<(StatusCode, Json<HandedOver>), Problem> {
    let reason = checked_reason(body.reason)?;
    let valid = body.ttl.as_deref().map(span).transpose()?;
    let made = state
        .use_cases
        .hand_over(caller, id, valid, body.uses, reason, request)
        .await?;
    let access::HandedOver {
        handover,
        address,
        denied,
    } = made;
    let answer = HandedOver {
        id: handover.number,
        url: address.expose_secret().to_owned(),
        corporate_id: handover.id.into(),
        valid_until: handover.valid_until,
        uses: handover.uses,
        denied: denied.map(|denial| denial.reason.as_str().to_owned()),
    };
    Ok((StatusCode::CREATED, Json(answer)))
}

fn span(text: &str) -> Result<SignedDuration, Problem> {
    text.parse()
        .map_err(|_| Problem::invalid("ttl: give a time from 1m to 720h (30 days), like 24h"))
}

/// Links that open a person's page at present.
#[utoipa::path(
    get, path = "/user/{corporate_id}/links", operation_id = "list_handovers", tag = "people",
    params(("corporate_id" = CorporateIdText, Path, description = "Corporate ID; case does not matter")),
    responses(
        (status = 200, description = "Links, without what opens them", body = Handovers),
        (status = 404, description = "Nobody is declared with this ID", body = ProblemBody,
         content_type = "application/problem+json"),
    )
)]
pub(super) async fn list(State(state): State<HttpState>, PathId(id): PathId) -> Result<Json<Handovers>, Problem> {
    let found = state.use_cases.handovers(&id).await?;
    Ok(Json(Handovers {
        links: found.into_iter().map(one).collect(),
    }))
}

fn one(link: handover::Handover) -> Handover {
    Handover {
        id: link.number,
        uses_left: link.uses_left(),
        made_by: link.made_by,
        made_at: link.made_at,
        valid_until: link.valid_until,
        uses: link.uses,
        opened_at: link.opened_at,
    }
}

/// Why a link is withdrawn.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct WithdrawQuery {
    /// Why, for the audit.
    #[param(value_type = Option<ReasonText>)]
    reason: Option<String>,
}

/// Withdraw a link, so that it opens nothing any more.
///
/// Whoever has opened it has the page: a new subscription link ends that.
#[utoipa::path(
    delete, path = "/user/{corporate_id}/links/{link}", operation_id = "withdraw_handover", tag = "people",
    params(
        ("corporate_id" = CorporateIdText, Path, description = "Corporate ID; case does not matter"),
        ("link" = i64, Path, description = "Number of the link"),
        WithdrawQuery,
    ),
    responses(
        (status = 204, description = "It opens nothing any more"),
        (status = 404, description = "The person has no such link", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn withdraw(
    State(state): State<HttpState>,
    Who(caller): Who,
    LinkOf(id, number): LinkOf,
    Params(query): Params<WithdrawQuery>,
) -> Result<StatusCode, Problem> {
    let reason = checked_reason(query.reason)?;
    state.use_cases.withdraw_handover(caller, id, number, reason).await?;
    Ok(StatusCode::NO_CONTENT)
}
