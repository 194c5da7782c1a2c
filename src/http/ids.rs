//! Corporate IDs.

use axum::{Json, extract::State, http::StatusCode};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{
    HttpState,
    auth::{Who, names_secret, wrong_secret},
    client::ClientAddr,
    denial::{checked_reason, detail, lag},
    extract::{Body, Params, RequestKey},
    order::{OrderOf, reason},
    problem::Problem,
    schemas::{IdPrefixText, IdStatusWord, RequestKeyText},
    value::{check_page, number},
};
use crate::{
    access::NewId,
    api::{
        ids::{
            ActivateIdBody, ActivatedIdBody, IdBody, IdDetailBody, IdsBody, NewIdBody, RevokeIdBody, RevokedIdBody,
            ValidityBody, WhichIdBody,
        },
        problem::ProblemBody,
        schemas::CorporateIdText,
    },
    model::corporate_id::{CorporateId, MAX_LEN},
    registry::{Owner, Search, Status},
};

/// Most IDs in a page.
const MAX_PAGE: u32 = 1000;

/// Which ID.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct WhichQuery {
    /// The ID.
    #[param(value_type = CorporateIdText)]
    id: String,
}

/// Whether an ID is good, and whose it is.
///
/// Without the secret the answer depends on nothing but the spelling of `id`: nothing is looked up, so that neither what is
/// answered nor how fast tells whether an ID exists. Such questions are counted by address, as failed attempts are.
#[utoipa::path(
    get, path = "/id/validate", operation_id = "validate_id", tag = "ids", security((), ("corporate_secret" = [])),
    params(WhichQuery),
    responses(
        (status = 200, description = "What is known; without the secret only how it is spelled", body = ValidityBody),
        (status = 403, description = "The secret is wrong", body = ProblemBody, content_type = "application/problem+json"),
        (status = 429, description = "Too many questions without the secret, or too many wrong secrets, from this address",
         body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn validate(
    State(state): State<HttpState>,
    request: axum::extract::Request,
) -> Result<Json<ValidityBody>, Problem> {
    let (mut parts, _) = request.into_parts();
    let ClientAddr(address) = ClientAddr::of(&parts.extensions, &parts.headers, &state.settings.trusted_proxies);
    let knows = state.principals.find(&parts.headers).is_some();
    if !knows {
        if names_secret(&parts.headers) {
            return Err(wrong_secret(&state, address));
        }
        let asked = state.id_questions.failed(address, state.clock.monotonic());
        asked.map_err(Problem::too_many)?;
    }
    let Params(WhichQuery { id }) =
        <Params<WhichQuery> as axum::extract::FromRequestParts<()>>::from_request_parts(&mut parts, &()).await?;
    let id = CorporateId::parse(id.trim());
    let well_formed = id.is_ok();
    Ok(Json(match id {
        _ if !knows => ValidityBody {
            valid: false,
            status: "unverified".to_owned(),
            owner: None,
            well_formed,
        },
        Err(_) => ValidityBody {
            valid: false,
            status: "unknown".to_owned(),
            owner: None,
            well_formed,
        },
        Ok(id) => {
            let validity = state.use_cases.validate_id(&id).await?;
            ValidityBody {
                valid: validity.valid,
                status: validity.status.to_owned(),
                owner: validity.owner,
                well_formed,
            }
        }
    }))
}

/// Issue an ID.
///
/// It was never issued before, and no user, no hold and no ID in the registry has it, in any case. Issuing gives no access. The one
/// call that is not safe to repeat without more: the same `Idempotency-Key` gets the same ID, however often it is sent.
#[utoipa::path(
    post, path = "/id/issue", operation_id = "issue_id", tag = "ids", request_body = NewIdBody,
    params(("Idempotency-Key" = Option<RequestKeyText>, Header, description = "The caller's own name of this request")),
    responses(
        (status = 200, description = "The ID", body = IdBody),
        (status = 409, description = "The key was used for somebody else", body = ProblemBody,
         content_type = "application/problem+json"),
        (status = 503, description = "Registry, history or desired state are unavailable: nothing was issued",
         body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn issue(
    State(state): State<HttpState>,
    Who(caller): Who,
    RequestKey(request_key): RequestKey,
    Body(body): Body<NewIdBody>,
) -> Result<Json<IdBody>, Problem> {
    let trimmed = |text: String| text.trim().to_owned();
    let new = NewId {
        owner: Owner {
            owner: Some(trimmed(body.owner)),
            email: body.email.map(trimmed),
            department: body.department.map(trimmed),
        },
        request_key,
        reason: checked_reason(body.reason)?,
    };
    Ok(Json(state.use_cases.issue_id(caller, new).await?.into()))
}

/// Say that somebody uses an ID, or give back a revoked one.
///
/// A revoked ID is given back only with `reinstate`, which lifts the hold of the revocation. Holds of others stay, and are listed.
#[utoipa::path(
    post, path = "/id/activate", operation_id = "activate_id", tag = "ids", request_body = ActivateIdBody,
    responses(
        (status = 200, description = "The ID is active", body = ActivatedIdBody),
        (status = 404, description = "There is no such ID", body = ProblemBody, content_type = "application/problem+json"),
        (status = 409, description = "It is revoked and `reinstate` is not set, it is archived, or somebody revoked it at the same time",
         body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn activate(
    State(state): State<HttpState>,
    Who(caller): Who,
    Body(body): Body<ActivateIdBody>,
) -> Result<Json<ActivatedIdBody>, Problem> {
    let (id, reason) = (id(&body.id)?, checked_reason(body.reason)?);
    if body.reinstate {
        let done = state.use_cases.reinstate_id(caller, id, reason).await?;
        return Ok(Json(ActivatedIdBody {
            id: done.entry.into(),
            released: done.released,
            remaining: Some(done.remaining),
        }));
    }
    let entry = state.use_cases.activate_id(caller, id, reason).await?;
    Ok(Json(ActivatedIdBody {
        id: entry.into(),
        released: Vec::new(),
        remaining: None,
    }))
}

/// Revoke an ID.
///
/// An order: places the hold `registry-revoked-<id>`, which denies whoever uses the ID at once, and then the registry says `revoked`.
/// The ID is never issued again. Its body is read in whatever encoding and of whatever content type it comes. An ID that the
/// registry does not know is entered if somebody is declared or held with it.
#[utoipa::path(
    post, path = "/id/revoke", operation_id = "revoke_id", tag = "ids", request_body = RevokeIdBody,
    responses(
        (status = 200, description = "The ID is revoked, and denied", body = RevokedIdBody),
        (status = 202, description = "The ID is revoked, and auth has not taken the denial in yet", body = RevokedIdBody),
        (status = 404, description = "There is no such ID, and nobody is declared with it", body = ProblemBody,
         content_type = "application/problem+json"),
        (status = 503, description = "The hold could not be placed; or it denies, and the registry could not say so: revoke again",
         body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn revoke(
    State(state): State<HttpState>,
    OrderOf { caller, body, remarks }: OrderOf<RevokeIdBody>,
) -> Result<(StatusCode, Json<RevokedIdBody>), Problem> {
    let why = reason(body.reason, remarks);
    let remarks = why.remarks.clone();
    let done = state.use_cases.revoke_id(caller, id(&body.id)?, why).await?;
    // Of somebody who is not declared nothing is to be refused: the hold stands for who is declared later.
    let code = if done.proof.in_force {
        StatusCode::OK
    } else {
        StatusCode::ACCEPTED
    };
    let body = RevokedIdBody {
        id: done.entry.into(),
        hold: done.hold,
        detail: detail(lag(&done.proof).map(str::to_owned).into_iter().chain(remarks)),
        proof: done.proof.into(),
    };
    Ok((code, Json(body)))
}

/// Put a revoked ID away for good.
///
/// Its hold stays, and nothing follows.
#[utoipa::path(
    post, path = "/id/archive", operation_id = "archive_id", tag = "ids", request_body = WhichIdBody,
    responses(
        (status = 200, description = "The ID is archived", body = IdBody),
        (status = 404, description = "There is no such ID", body = ProblemBody, content_type = "application/problem+json"),
        (status = 409, description = "It is in use: revoke it first", body = ProblemBody,
         content_type = "application/problem+json"),
    )
)]
pub(super) async fn archive(
    State(state): State<HttpState>,
    Who(caller): Who,
    Body(body): Body<WhichIdBody>,
) -> Result<Json<IdBody>, Problem> {
    let (id, reason) = (id(&body.id)?, checked_reason(body.reason)?);
    Ok(Json(state.use_cases.archive_id(caller, id, reason).await?.into()))
}

/// Which IDs to list.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct SearchQuery {
    /// Only IDs that begin with this, whatever the case.
    #[param(value_type = Option<IdPrefixText>)]
    id: Option<String>,
    /// Only IDs whose owner, mail address or department holds this text, whatever the case.
    q: Option<String>,
    /// Only IDs with this status.
    #[param(value_type = Option<IdStatusWord>)]
    status: Option<String>,
    /// At most so many IDs, up to 1000.
    #[serde(default = "page", deserialize_with = "number")]
    #[param(default = 100, minimum = 1, maximum = 1000)]
    limit: u32,
    /// `next` of the page before.
    after: Option<String>,
}

fn page() -> u32 {
    100
}

/// List IDs.
#[utoipa::path(
    get, path = "/id/search", operation_id = "search_ids", tag = "ids", params(SearchQuery),
    responses((status = 200, description = "A page of IDs", body = IdsBody))
)]
pub(super) async fn search(
    State(state): State<HttpState>,
    Params(query): Params<SearchQuery>,
) -> Result<Json<IdsBody>, Problem> {
    check_page(query.limit, MAX_PAGE)?;
    let spelled = |text: &str| {
        let good = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        text.len() <= MAX_LEN && text.bytes().all(good)
    };
    if !query.id.as_deref().is_none_or(spelled) {
        return Err(Problem::invalid(
            "id: give the beginning of a corporate ID: letters, digits, '.', '_' and '-'".to_owned(),
        ));
    }
    let status = query.status.map(|word| {
        Status::parse(&word).ok_or_else(|| {
            let words = Status::ALL.map(Status::as_str).join(", ");
            Problem::invalid(format!("status: must be one of {words}"))
        })
    });
    let some = |text: Option<String>| text.filter(|text| !text.is_empty());
    let search = Search {
        prefix: some(query.id),
        text: some(query.q),
        status: status.transpose()?,
    };
    let page = state.use_cases.ids(search, query.limit, query.after).await?;
    Ok(Json(IdsBody {
        ids: page.entries.into_iter().map(Into::into).collect(),
        next: page.next,
    }))
}

/// Everything that is known of an ID, with its history.
#[utoipa::path(
    get, path = "/id/show", operation_id = "show_id", tag = "ids", params(WhichQuery),
    responses(
        (status = 200, description = "The ID", body = IdDetailBody),
        (status = 404, description = "There is no such ID", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn show(
    State(state): State<HttpState>,
    Params(query): Params<WhichQuery>,
) -> Result<Json<IdDetailBody>, Problem> {
    Ok(Json(state.use_cases.id(&id(&query.id)?).await?.into()))
}

fn id(text: &str) -> Result<CorporateId, Problem> {
    CorporateId::parse(text.trim()).map_err(|error| Problem::invalid(format!("id: {error}")))
}
