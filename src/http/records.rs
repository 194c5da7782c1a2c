//! Who had access when, and everything that is kept about one person.

use axum::{Json, extract::State};
use jiff::Timestamp;
use serde::Deserialize;
use utoipa::IntoParams;

use super::{
    HttpState,
    extract::{Params, PathId},
    problem::Problem,
    value::{check_page, number},
};
use crate::{
    api::{
        problem::ProblemBody,
        records::{AccessOrderBody, HadAccessBody, MonthTrafficBody, PastRevocationBody, StoryBody, WhoBody},
        schemas::CorporateIdText,
    },
    history::{AccessOrder, HadAccess, MonthTraffic, RevocationRow, Story, Who, WhoQuestion},
    model::corporate_id::CorporateId,
};

/// Most people in a page.
const MAX_PAGE: u32 = 10_000;

/// Which moment, and whom.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct WhoQuery {
    /// The moment, RFC 3339; now when absent.
    #[param(value_type = Option<String>, format = DateTime, nullable = false,
        pattern = "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\\.[0-9]{1,9})?(Z|[+-][0-9]{2}:[0-9]{2})$")]
    at: Option<Timestamp>,
    /// Also the people who had no access, and why not.
    #[serde(default)]
    #[param(default = false)]
    denied: bool,
    /// At most so many people, up to 10000.
    #[serde(default = "page", deserialize_with = "number")]
    #[param(default = 10_000, minimum = 1, maximum = 10_000)]
    limit: u32,
    /// `next` of the page before.
    #[param(value_type = Option<CorporateIdText>, nullable = false)]
    after: Option<String>,
}

fn page() -> u32 {
    MAX_PAGE
}

impl WhoBody {
    /// As it is answered, for a page of at most `limit` people.
    #[must_use]
    pub fn of(who: Who, limit: u32) -> Self {
        let full = u32::try_from(who.people.len()).is_ok_and(|len| len >= limit);
        let next = who.people.last().filter(|_| full).map(|it| it.corporate_id.clone());
        Self {
            at: who.at,
            known_from: who.known_from,
            people: who.people.into_iter().map(Into::into).collect(),
            next,
        }
    }
}

impl From<HadAccess> for HadAccessBody {
    fn from(it: HadAccess) -> Self {
        Self {
            corporate_id: it.corporate_id,
            access: if it.granted { "Granted" } else { "Denied" }.to_owned(),
            reason: it.reason,
            why: it.why,
            since: it.since,
            reason_since: it.reason_since,
            seq: it.seq,
            order: it.order.map(Into::into),
        }
    }
}

impl From<AccessOrder> for AccessOrderBody {
    fn from(it: AccessOrder) -> Self {
        Self {
            seq: it.seq,
            at: it.at,
            actor: it.actor,
            source: it.source,
            action: it.action,
            request_id: it.request_id,
            event: it.event,
        }
    }
}

impl From<RevocationRow> for PastRevocationBody {
    fn from(row: RevocationRow) -> Self {
        Self {
            account: row.account,
            reason: row.reason,
            denied_at: row.denied_at,
            contained_at: row.contained_at,
            sessions_zero_at: row.sessions_zero_at,
            left_out: row.left_out,
            withdrawn_at: row.withdrawn_at,
            deleted_at: row.deleted_at,
        }
    }
}

impl From<MonthTraffic> for MonthTrafficBody {
    fn from(it: MonthTraffic) -> Self {
        Self {
            month: it.month,
            account: it.account,
            upload: it.upload,
            download: it.download,
        }
    }
}

impl From<Story> for StoryBody {
    fn from(it: Story) -> Self {
        Self {
            corporate_id: it.corporate_id,
            known_from: it.known_from,
            rows: it.rows.into_iter().map(Into::into).collect(),
            cut: it.cut,
            revocations: it.revocations.into_iter().map(Into::into).collect(),
            traffic: it.traffic.into_iter().map(Into::into).collect(),
        }
    }
}

/// Read who had access at a moment, and why.
#[utoipa::path(
    get, path = "/audit/who", operation_id = "who_had_access", tag = "audit", params(WhoQuery),
    responses(
        (status = 200, description = "A page of people", body = WhoBody),
        (status = 503, description = "History cannot be read", body = ProblemBody,
         content_type = "application/problem+json"),
    )
)]
pub(super) async fn who(
    State(state): State<HttpState>,
    Params(query): Params<WhoQuery>,
) -> Result<Json<WhoBody>, Problem> {
    check_page(query.limit, MAX_PAGE)?;
    let after = query.after.as_deref().map(CorporateId::parse).transpose()?;
    let question = WhoQuestion {
        at: query.at.unwrap_or_else(|| state.clock.now()),
        denied: query.denied,
        after: after.map(|id| id.key().to_owned()),
        limit: query.limit,
    };
    Ok(Json(WhoBody::of(state.use_cases.who(question).await?, query.limit)))
}

/// Read everything that is kept about one person.
#[utoipa::path(
    get, path = "/audit/user/{corporate_id}", operation_id = "story_of_user", tag = "audit",
    params(("corporate_id" = CorporateIdText, Path, description = "Corporate ID")),
    responses(
        (status = 200, description = "Everything, oldest first", body = StoryBody),
        (status = 404, description = "Nothing is known of the person", body = ProblemBody,
         content_type = "application/problem+json"),
        (status = 503, description = "History cannot be read", body = ProblemBody,
         content_type = "application/problem+json"),
    )
)]
pub(super) async fn story(State(state): State<HttpState>, PathId(id): PathId) -> Result<Json<StoryBody>, Problem> {
    Ok(Json(state.use_cases.story(&id).await?.into()))
}
