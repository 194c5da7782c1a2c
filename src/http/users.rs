//! Looking people up.

use axum::{Json, extract::State};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{
    HttpState,
    extract::{Params, PathId},
    problem::Problem,
    schemas::{AccessWord, ReasonWord},
    value::{check_page, number},
};
use crate::{
    access::UserFilter,
    api::{
        problem::ProblemBody,
        schemas::CorporateIdText,
        users::{UserDetailBody, UsersBody},
    },
    model::access::{Access, Reason},
};

/// Most people in a page.
const MAX_PAGE: usize = 1000;

/// Whom to list.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ListQuery {
    /// Only people with this access: `Granted` or `Denied`.
    #[param(value_type = Option<AccessWord>)]
    access: Option<Access>,
    /// Only people for this reason: `Active`, `Held`, `Inactive`, `NotYetValid`, `Expired`, `OverQuota`, …
    #[param(value_type = Option<ReasonWord>)]
    reason: Option<Reason>,
    /// Only people with a live hold (`true`), or without (`false`).
    held: Option<bool>,
    /// Only people with a session at the last poll of the nodes (`true`), or of whom none is known (`false`).
    online: Option<bool>,
    /// Only people whose ID, owner, email or role holds this text.
    q: Option<String>,
    /// At most so many people, up to 1000.
    #[serde(default = "page", deserialize_with = "number")]
    #[param(default = 100, minimum = 1, maximum = 1000)]
    limit: usize,
    /// `next` of the page before.
    after: Option<String>,
}

fn page() -> usize {
    100
}

/// List people.
#[utoipa::path(
    get, path = "/users", operation_id = "list_users", tag = "people", params(ListQuery),
    responses((status = 200, description = "A page of people", body = UsersBody))
)]
pub(super) async fn list(
    State(state): State<HttpState>,
    Params(query): Params<ListQuery>,
) -> Result<Json<UsersBody>, Problem> {
    check_page(query.limit, MAX_PAGE)?;
    let filter = UserFilter {
        access: query.access,
        reason: query.reason,
        held: query.held,
        online: query.online,
        q: query.q.filter(|q| !q.is_empty()),
    };
    let page = state.use_cases.users(filter, query.limit, query.after).await?;
    Ok(Json(UsersBody {
        users: page.users.into_iter().map(Into::into).collect(),
        next: page.next,
    }))
}

/// Everything that is known of a person, without secrets.
#[utoipa::path(
    get, path = "/user/{corporate_id}", operation_id = "show_user", tag = "people",
    params(("corporate_id" = CorporateIdText, Path, description = "Corporate ID; case does not matter")),
    responses(
        (status = 200, description = "The person", body = UserDetailBody),
        (status = 404, description = "Nobody is declared with this ID; of somebody who was deleted, `deleted_at` and `revocation` \
         say when, and how far it is proved that access is gone", body = ProblemBody,
         content_type = "application/problem+json"),
    )
)]
pub(super) async fn show(State(state): State<HttpState>, PathId(id): PathId) -> Result<Json<UserDetailBody>, Problem> {
    Ok(Json(state.use_cases.user(&id).await?.into()))
}
