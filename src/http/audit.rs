//! The audit.

use axum::{Json, extract::State};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{
    HttpState,
    auth::Who,
    extract::{Body, Params},
    problem::Problem,
    value::{check_page, number, optional_number},
};
use crate::{
    api::{
        audit::{AcknowledgeBody, AcknowledgedBody, AuditBody, AuditPageBody, FindingBody},
        problem::ProblemBody,
        schemas::CorporateIdText,
    },
    history::{AuditRow, Finding},
    model::corporate_id::CorporateId,
};

/// Most rows in a page.
const MAX_PAGE: u32 = 1000;
/// Largest number of a row that JSON carries everywhere.
const MAX_SEQ: i64 = (1 << 53) - 1;

/// Longest reason, in characters.
const MAX_REASON: usize = 1000;

/// Which rows to read.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ListQuery {
    /// Only rows about this person.
    #[param(value_type = Option<CorporateIdText>)]
    corporate_id: Option<String>,
    /// At most so many rows, up to 1000.
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

impl From<AuditRow> for AuditBody {
    fn from(row: AuditRow) -> Self {
        let entry = row.entry;
        Self {
            seq: row.seq,
            at: row.at,
            actor: entry.actor,
            source: entry.source,
            action: entry.action,
            corporate_id: entry.corporate_id,
            before: entry.before,
            after: entry.after,
            reason: entry.reason,
            request_id: entry.request_id,
            address: entry.address,
            event: entry.event,
        }
    }
}

/// Read the audit.
#[utoipa::path(
    get, path = "/audit", operation_id = "list_audit", tag = "audit", params(ListQuery),
    responses(
        (status = 200, description = "A page of rows, newest first", body = AuditPageBody),
        (status = 503, description = "History cannot be read", body = ProblemBody,
         content_type = "application/problem+json"),
    )
)]
pub(super) async fn list(
    State(state): State<HttpState>,
    Params(query): Params<ListQuery>,
) -> Result<Json<AuditPageBody>, Problem> {
    check_page(query.limit, MAX_PAGE)?;
    if query.before.is_some_and(|before| !(0..=MAX_SEQ).contains(&before)) {
        return Err(Problem::invalid(format!("before: give a number from 0 to {MAX_SEQ}")));
    }
    let id = query.corporate_id.as_deref().map(CorporateId::parse).transpose()?;
    let page = state.use_cases.audit(id.as_ref(), query.limit, query.before).await?;
    Ok(Json(AuditPageBody {
        rows: page.rows.into_iter().map(Into::into).collect(),
        next: page.next,
    }))
}

impl From<Finding> for FindingBody {
    fn from(finding: Finding) -> Self {
        Self {
            row: finding.row,
            what: finding.what,
        }
    }
}

/// Take note of what was found broken in the audit: it counts as intact from then on.
#[utoipa::path(
    post, path = "/audit/acknowledge", operation_id = "acknowledge_audit", tag = "audit", request_body = AcknowledgeBody,
    responses(
        (status = 200, description = "It is a row of the audit now", body = AcknowledgedBody),
        (status = 503, description = "History cannot be written", body = ProblemBody,
         content_type = "application/problem+json"),
    )
)]
pub(super) async fn acknowledge(
    State(state): State<HttpState>,
    Who(caller): Who,
    Body(body): Body<AcknowledgeBody>,
) -> Result<Json<AcknowledgedBody>, Problem> {
    let reason = body.reason.trim();
    if reason.is_empty() || reason.chars().count() > MAX_REASON {
        return Err(Problem::invalid(format!(
            "reason: say in at most {MAX_REASON} characters why the audit counts as intact again"
        )));
    }
    let findings = state.use_cases.acknowledge_audit(&caller, reason.to_owned()).await?;
    Ok(Json(AcknowledgedBody {
        findings: findings.into_iter().map(Into::into).collect(),
    }))
}
