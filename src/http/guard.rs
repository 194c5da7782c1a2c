//! The guard.

use axum::{Json, extract::State};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{HttpState, auth::Who, decide::DecideBody, extract::Body, problem::Problem, schemas::GuardWord};
use crate::{
    access::{Confirmed, GuardView, WaitingDenial},
    model::{
        corporate_id::CorporateId,
        guard::{Budget, BudgetReport},
    },
};

/// What the guard holds back, and how much more it lets through.
#[derive(Serialize, ToSchema)]
pub(super) struct GuardBody {
    /// Denials and lost holds that wait for a person, by ID: at most 1000.
    #[schema(max_items = 1000)]
    pending: Vec<PendingBody>,
    /// How many there are.
    pending_total: usize,
    /// Rejected denials of people whose objects are deleted for good: they keep access until somebody confirms. At most 1000.
    #[schema(max_items = 1000)]
    rejected: Vec<PendingBody>,
    /// How many there are.
    rejected_total: usize,
    /// What each kind of consequence may do within the window. One that is used up leaves the others as they are.
    budgets: Vec<BudgetBody>,
    /// People who were denied by orders within the window. Orders are never held back and use up no budget.
    orders: usize,
    /// The time over which is counted, in seconds.
    window_seconds: i64,
    /// `used` of the budget `Declared`.
    recent: usize,
    /// `limit` of the budget `Declared`.
    limit: Option<usize>,
}

/// How much of a budget is used.
#[derive(Serialize, ToSchema)]
pub(super) struct BudgetBody {
    /// `Declared`, `Hr`, `Scim`, `Usage` or `Holds`.
    budget: &'static str,
    /// The most people who may lose access within the window; null when the budget is switched off.
    limit: Option<usize>,
    /// How many did.
    used: usize,
    /// How many more may; null when the budget is switched off.
    left: Option<usize>,
    /// How many wait for a person.
    waiting: usize,
}

impl From<BudgetReport> for BudgetBody {
    fn from(report: BudgetReport) -> Self {
        Self {
            budget: report.budget.as_str(),
            limit: report.limit,
            used: report.used,
            left: report.limit.map(|limit| limit.saturating_sub(report.used)),
            waiting: report.waiting,
        }
    }
}

/// One thing that the guard holds back.
#[derive(Serialize, ToSchema)]
pub(super) struct PendingBody {
    /// Whom it concerns.
    corporate_id: String,
    /// Text that is shown to admins.
    owner: Option<String>,
    /// Why the person would be denied: a reason, or the name of a hold. For a lost hold, its name.
    reason: String,
    /// The file that declares it, or the reason that the hold was given; null when neither is known.
    from: Option<String>,
    /// The budget that it was too much for.
    budget: &'static str,
    /// Since when.
    #[schema(value_type = String, format = DateTime)]
    since: Timestamp,
    /// The commands that decide.
    decide: DecideBody,
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
            budget: pending.budget.as_str(),
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

/// Whom a word to the guard concerns: people by name, or expressly everybody.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WordBody {
    /// Corporate IDs, at least one.
    ids: Option<Vec<String>>,
    /// `true`: everybody about whom something waits.
    #[serde(default)]
    all: bool,
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

/// What became of a word to the guard.
#[derive(Serialize, ToSchema)]
pub(super) struct DoneBody {
    /// `confirmed` or `cancelled`.
    status: &'static str,
    /// Whom it concerned.
    affected: Vec<String>,
    #[serde(flatten)]
    guard: GuardBody,
}

impl DoneBody {
    fn of(status: &'static str, done: Confirmed) -> Json<Self> {
        Json(Self {
            status,
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
