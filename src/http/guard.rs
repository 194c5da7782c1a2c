//! The guard.

use axum::{Json, extract::State};

use super::{HttpState, auth::Who, extract::Body, problem::Problem, schemas::GuardWord};
use crate::{
    access::{Confirmed, GuardView, WaitingDenial},
    api::guard::{BudgetBody, DecideBody, DoneBody, GuardBody, PendingBody, WordBody},
    model::{
        corporate_id::CorporateId,
        guard::{Budget, BudgetReport},
    },
};

impl From<BudgetReport> for BudgetBody {
    fn from(report: BudgetReport) -> Self {
        Self {
            budget: report.budget.as_str().to_owned(),
            limit: report.limit,
            used: report.used,
            left: report.limit.map(|limit| limit.saturating_sub(report.used)),
            waiting: report.waiting,
        }
    }
}

impl From<WaitingDenial> for PendingBody {
    fn from(waiting: WaitingDenial) -> Self {
        let pending = waiting.denial;
        Self {
            owner: waiting.owner,
            from: waiting.from,
            decide: DecideBody::about(pending.corporate_id.as_str()),
            corporate_id: pending.corporate_id.into(),
            reason: pending.cause,
            budget: pending.budget.as_str().to_owned(),
            since: pending.since,
        }
    }
}

impl From<GuardView> for GuardBody {
    fn from(view: GuardView) -> Self {
        let declared = view.budgets.iter().find(|it| it.budget == Budget::Declared).copied();
        Self {
            pending_total: view.pending.total,
            pending: view.pending.map(Into::into).first,
            rejected_total: view.rejected.total,
            rejected: view.rejected.map(Into::into).first,
            budgets: view.budgets.into_iter().map(Into::into).collect(),
            orders: view.orders,
            window_seconds: view.window.as_secs(),
            recent: declared.map_or(0, |it| it.used),
            limit: declared.and_then(|it| it.limit),
        }
    }
}

impl WordBody {
    /// `None` is everybody.
    fn ids(self) -> Result<Option<Vec<CorporateId>>, Problem> {
        match (self.ids, self.all) {
            (None, true) => Ok(None),
            (Some(ids), false) if !ids.is_empty() => ids
                .iter()
                .map(|id| Ok(CorporateId::parse(id)?))
                .collect::<Result<_, _>>()
                .map(Some),
            _ => Err(Problem::invalid(
                "say about whom: {\"ids\": [\"AB123456\"]} names people, {\"all\": true} is everybody about whom something waits",
            )),
        }
    }
}

impl DoneBody {
    fn of(status: &'static str, done: Confirmed) -> Json<Self> {
        Json(Self {
            status: status.to_owned(),
            affected: done.affected.into_iter().map(Into::into).collect(),
            guard: done.report.into(),
        })
    }
}

/// Show what the guard holds back, and how much more it lets through.
#[utoipa::path(
    get, path = "/guard", operation_id = "show_guard", tag = "guard",
    responses((status = 200, description = "What waits for a person, and each budget", body = GuardBody))
)]
pub(super) async fn show(State(state): State<HttpState>) -> Json<GuardBody> {
    Json(state.use_cases.guard().await.into())
}

/// Let pending denials through.
#[utoipa::path(
    post, path = "/guard/confirm", operation_id = "confirm_guard", tag = "guard", request_body = GuardWord,
    responses((status = 200, description = "They are denied now", body = DoneBody))
)]
pub(super) async fn confirm(
    State(state): State<HttpState>,
    Who(caller): Who,
    Body(body): Body<WordBody>,
) -> Result<Json<DoneBody>, Problem> {
    let done = state.use_cases.confirm_guard(caller, body.ids()?).await?;
    Ok(DoneBody::of("confirmed", done))
}

/// Reject pending denials: the people keep their access until their objects change again.
#[utoipa::path(
    post, path = "/guard/cancel", operation_id = "cancel_guard", tag = "guard", request_body = GuardWord,
    responses((status = 200, description = "They keep their access", body = DoneBody))
)]
pub(super) async fn cancel(
    State(state): State<HttpState>,
    Who(caller): Who,
    Body(body): Body<WordBody>,
) -> Result<Json<DoneBody>, Problem> {
    let done = state.use_cases.cancel_guard(caller, body.ids()?).await?;
    Ok(DoneBody::of("cancelled", done))
}
