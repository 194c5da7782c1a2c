//! Standing denials.

use axum::{Json, extract::State, http::StatusCode};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{
    HttpState,
    auth::{Acting, Who},
    denial::{checked_reason, detail, lag, progress},
    extract::{Params, Segment},
    order::{OrderOf, reason},
    problem::Problem,
    schemas::{HoldNameText, PhaseWord},
};
use crate::{
    access::{HoldFilter, HoldView, NewHold, Phase},
    api::{
        holds::{HoldBody, HoldsBody, NewHoldBody, PlacedBody, ReleasedBody},
        problem::ProblemBody,
        schemas::{CorporateIdText, ReasonText, SourceText},
    },
    model::{corporate_id::CorporateId, syntax::SOURCE},
};

/// Which holds to list.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ListQuery {
    /// Only those of this person.
    #[param(value_type = Option<CorporateIdText>)]
    corporate_id: Option<String>,
    /// Only those of this source.
    #[param(value_type = Option<SourceText>)]
    source: Option<String>,
    /// Only those in this phase: `Pending`, `Live`, `Expired` or `HeldBack`.
    #[param(value_type = Option<PhaseWord>)]
    phase: Option<Phase>,
}

/// List holds.
#[utoipa::path(
    get, path = "/holds", operation_id = "list_holds", tag = "holds", params(ListQuery),
    responses((status = 200, description = "The holds", body = HoldsBody))
)]
pub(super) async fn list(
    State(state): State<HttpState>,
    Params(query): Params<ListQuery>,
) -> Result<Json<HoldsBody>, Problem> {
    if query.source.as_deref().is_some_and(|source| !SOURCE.accepts(source)) {
        return Err(Problem::invalid(format!("source: must be {}", SOURCE.rule)));
    }
    let filter = HoldFilter {
        corporate_id: query.corporate_id.as_deref().map(CorporateId::parse).transpose()?,
        source: query.source,
        phase: query.phase,
    };
    let holds = state.use_cases.holds(&filter);
    let ids: Vec<CorporateId> = holds.iter().map(|hold| hold.spec.corporate_id.clone()).collect();
    let owners = state.use_cases.owners(&ids).await;
    let body = |(hold, id): (HoldView, &CorporateId)| HoldBody {
        owner: owners.get(id).and_then(|owner| owner.owner.clone()),
        ..hold.into()
    };
    let holds = holds.into_iter().zip(&ids).map(body).collect();
    Ok(Json(HoldsBody { holds }))
}

/// Place a hold.
///
/// Placing the same again succeeds. The person need not be declared. A hold is an order that denies: its body is read in
/// whatever encoding and of whatever content type it comes, and its reason as far as it can be; `detail` and the audit say so.
/// Whom it denies, in whose name and how long is never guessed: what is wrong there, or unknown, is refused.
#[utoipa::path(
    post, path = "/holds", operation_id = "create_hold", tag = "holds", request_body = NewHoldBody,
    responses(
        (status = 201, description = "The hold is placed, and in force unless it begins later", body = PlacedBody),
        (status = 202, description = "The hold is placed but not in force", body = PlacedBody),
        (status = 409, description = "Another hold has the name", body = ProblemBody,
         content_type = "application/problem+json"),
    )
)]
pub(super) async fn create(
    State(state): State<HttpState>,
    acting: Acting,
    OrderOf {
        mut caller,
        body,
        remarks,
    }: OrderOf<NewHoldBody>,
) -> Result<(StatusCode, Json<PlacedBody>), Problem> {
    acting.choose(&mut caller, body.source)?;
    let why = reason(body.reason, remarks);
    let hold = NewHold {
        corporate_id: CorporateId::parse(&body.corporate_id)?,
        cause: body.cause,
        why: why.clone(),
        from: body.from,
        until: body.until,
    };
    let placed = state.use_cases.place_hold(caller, hold).await?;
    let (code, status, lag) = if matches!(placed.hold.phase, Phase::Live | Phase::HeldBack) {
        let (code, status) = progress(&placed.proof, StatusCode::CREATED, "created");
        (code, status, lag(&placed.proof))
    } else {
        (StatusCode::CREATED, "created", None)
    };
    let body = PlacedBody {
        status: status.to_owned(),
        hold: placed.hold.into(),
        proof: placed.proof.into(),
        detail: detail(lag.map(str::to_owned).into_iter().chain(why.remarks)),
    };
    Ok((code, Json(body)))
}

/// In whose name, and why.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ReleaseQuery {
    /// In whose name, if not in the caller's: the source that placed the hold.
    #[param(value_type = Option<SourceText>)]
    source: Option<String>,
    /// Why, for people; stands in the audit.
    #[param(value_type = Option<ReasonText>)]
    reason: Option<String>,
}

/// Lift a hold of one's own source.
#[utoipa::path(
    delete, path = "/holds/{name}", operation_id = "release_hold", tag = "holds",
    params(("name" = HoldNameText, Path, description = "Name of the hold"), ReleaseQuery),
    responses(
        (status = 200, description = "The hold is gone", body = ReleasedBody),
        (status = 404, description = "There is no hold of that name", body = ProblemBody,
         content_type = "application/problem+json"),
        (status = 409, description = "Another source placed it", body = ProblemBody,
         content_type = "application/problem+json"),
    )
)]
pub(super) async fn release(
    State(state): State<HttpState>,
    acting: Acting,
    Who(mut caller): Who,
    Segment(name): Segment,
    Params(query): Params<ReleaseQuery>,
) -> Result<Json<ReleasedBody>, Problem> {
    acting.choose(&mut caller, query.source)?;
    let reason = checked_reason(query.reason)?;
    let done = state.use_cases.release_hold(caller, name, reason).await?;
    Ok(Json(ReleasedBody {
        status: "released".to_owned(),
        name: done.name,
        corporate_id: done.corporate_id.into(),
        remaining: done.remaining,
    }))
}
