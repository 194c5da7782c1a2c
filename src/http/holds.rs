//! Standing denials.

use axum::{Json, extract::State, http::StatusCode};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    HttpState,
    activation::{ProofBody, checked_reason, lag, progress},
    auth::{Who, check_source},
    extract::{Body, Params, Segment},
    problem::{Problem, ProblemBody},
};
use crate::{
    access::{HoldFilter, HoldView, NewHold, Phase},
    model::corporate_id::CorporateId,
};

/// A hold.
#[derive(Serialize, ToSchema)]
pub(super) struct HoldBody {
    /// Name of the object: `<source>-<cause>-<id>`.
    name: String,
    /// Whom it denies.
    corporate_id: String,
    /// Who placed it. Only the same source lifts it.
    source: String,
    /// Why, for people.
    reason: Option<String>,
    /// When it begins.
    #[schema(value_type = Option<String>, format = DateTime)]
    from: Option<Timestamp>,
    /// When it ends.
    #[schema(value_type = Option<String>, format = DateTime)]
    until: Option<Timestamp>,
    /// `Pending`, `Live`, `Expired`, or `HeldBack`: placed by a feed together with many others, and not denying until it is
    /// confirmed.
    phase: &'static str,
}

impl From<HoldView> for HoldBody {
    fn from(hold: HoldView) -> Self {
        Self {
            name: hold.name,
            corporate_id: hold.spec.corporate_id.into(),
            source: hold.spec.source,
            reason: hold.spec.reason,
            from: hold.spec.from,
            until: hold.spec.until,
            phase: match hold.phase {
                Phase::Pending => "Pending",
                Phase::Live => "Live",
                Phase::Expired => "Expired",
                Phase::HeldBack => "HeldBack",
            },
        }
    }
}

/// Which holds to list.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ListQuery {
    /// Only those of this person.
    corporate_id: Option<String>,
    /// Only those of this source.
    source: Option<String>,
    /// Only those in this phase: `Pending`, `Live`, `Expired` or `HeldBack`.
    #[param(value_type = Option<String>)]
    phase: Option<Phase>,
}

/// Holds.
#[derive(Serialize, ToSchema)]
pub(super) struct HoldsBody {
    /// The holds, in the order of their names.
    holds: Vec<HoldBody>,
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
    let filter = HoldFilter {
        corporate_id: query.corporate_id.as_deref().map(CorporateId::parse).transpose()?,
        source: query.source,
        phase: query.phase,
    };
    let holds = state.use_cases.holds(&filter).into_iter().map(Into::into).collect();
    Ok(Json(HoldsBody { holds }))
}

/// A hold to be placed.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewHoldBody {
    /// Whom it denies. The person need not be declared yet.
    #[schema(example = "AB123456")]
    corporate_id: String,
    /// A short word that becomes part of the name; `held` when absent.
    #[serde(default = "held")]
    #[schema(default = "held", pattern = "^[a-z][a-z0-9]{0,19}$")]
    cause: String,
    /// In whose name, if not in the caller's: a short word like `helpdesk`. Only the same source lifts the hold.
    source: Option<String>,
    /// Why, for people.
    reason: Option<String>,
    /// When it begins; at once when absent.
    #[schema(value_type = Option<String>, format = DateTime)]
    from: Option<Timestamp>,
    /// When it ends; never when absent.
    #[schema(value_type = Option<String>, format = DateTime)]
    until: Option<Timestamp>,
}

fn held() -> String {
    "held".to_owned()
}

/// What became of a hold that was to be placed.
#[derive(Serialize, ToSchema)]
pub(super) struct PlacedBody {
    /// `created`; `held_back` while the guard waits for a person; `accepted` while auth has not taken it in yet.
    status: &'static str,
    #[serde(flatten)]
    hold: HoldBody,
    #[serde(flatten)]
    proof: ProofBody,
    /// What is waited for.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'static str>,
}

/// Place a hold.
///
/// Placing the same again succeeds. The person need not be declared.
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
    Who(mut caller): Who,
    Body(body): Body<NewHoldBody>,
) -> Result<(StatusCode, Json<PlacedBody>), Problem> {
    if let Some(source) = body.source {
        check_source(&source)?;
        caller.source = source;
    }
    let hold = NewHold {
        corporate_id: CorporateId::parse(&body.corporate_id)?,
        cause: body.cause,
        reason: checked_reason(body.reason)?,
        from: body.from,
        until: body.until,
    };
    let placed = state.use_cases.place_hold(caller, hold).await?;
    let (code, status, detail) = if placed.hold.phase == Phase::Live {
        let (code, status) = progress(&placed.proof, StatusCode::CREATED, "created");
        (code, status, lag(&placed.proof))
    } else {
        (StatusCode::CREATED, "created", None)
    };
    let body = PlacedBody {
        status,
        hold: placed.hold.into(),
        proof: placed.proof.into(),
        detail,
    };
    Ok((code, Json(body)))
}

/// In whose name.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ReleaseQuery {
    /// In whose name, if not in the caller's: the source that placed the hold.
    source: Option<String>,
}

/// What became of a hold that was to be lifted.
#[derive(Serialize, ToSchema)]
pub(super) struct ReleasedBody {
    /// `released`
    status: &'static str,
    /// Name of the hold.
    name: String,
    /// Whom it denied.
    corporate_id: String,
    /// Holds that still deny.
    remaining: Vec<String>,
}

/// Lift a hold of one's own source.
#[utoipa::path(
    delete, path = "/holds/{name}", operation_id = "release_hold", tag = "holds",
    params(("name" = String, Path, description = "Name of the hold"), ReleaseQuery),
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
    Who(mut caller): Who,
    Segment(name): Segment,
    Params(query): Params<ReleaseQuery>,
) -> Result<Json<ReleasedBody>, Problem> {
    if let Some(source) = query.source {
        check_source(&source)?;
        caller.source = source;
    }
    let done = state.use_cases.release_hold(caller, name).await?;
    Ok(Json(ReleasedBody {
        status: "released",
        name: done.name,
        corporate_id: done.corporate_id.into(),
        remaining: done.remaining,
    }))
}
