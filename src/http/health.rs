//! Probes and metrics. Open to anybody who reaches the port, and without secrets.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{FromRef, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    HttpState, Routes,
    extract::Params,
    problem::{Problem, ProblemBody},
};
use crate::{
    access::{Check, Health},
    metrics::Metrics,
};

/// What probes are answered from.
#[derive(Clone)]
pub struct Probes {
    /// Looks at everything.
    pub health: Arc<dyn Fn() -> Health + Send + Sync>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
}

impl FromRef<HttpState> for Probes {
    fn from_ref(state: &HttpState) -> Self {
        let use_cases = state.use_cases.clone();
        Self {
            health: Arc::new(move || use_cases.health()),
            metrics: Arc::clone(&state.metrics),
        }
    }
}

/// Probes and metrics, and nothing else.
pub fn probes(probes: Probes) -> Router {
    super::with_routes(routes())
        .fallback(async || StatusCode::NOT_FOUND)
        .with_state(probes)
}

/// Routes that anybody may ask, and that answer however busy the service is.
pub(super) fn routes<S>() -> Routes<S>
where
    S: Clone + Send + Sync + 'static,
    Probes: FromRef<S>,
{
    vec![
        ("/health", get(health)),
        ("/livez", get(livez)),
        ("/readyz", get(readyz)),
        ("/metrics", get(metrics)),
    ]
}

/// Health for people and for earlier callers.
#[derive(Serialize, ToSchema)]
pub(super) struct HealthBody {
    /// `healthy`
    status: &'static str,
    /// Version of the operator.
    version: &'static str,
    /// Whether desired state was loaded.
    ready: bool,
    /// Names of the checks that found something wrong; `/readyz?verbose` says what.
    degraded: Vec<String>,
}

/// Whether the process answers.
#[utoipa::path(
    get, path = "/health", tag = "health", security(()),
    responses((status = 200, description = "The process answers", body = HealthBody))
)]
pub(super) async fn health(State(probes): State<Probes>) -> Json<HealthBody> {
    let health = (probes.health)();
    Json(HealthBody {
        status: "healthy",
        version: env!("CARGO_PKG_VERSION"),
        ready: health.ready,
        degraded: health
            .checks
            .into_iter()
            .filter(|check| !check.ok)
            .map(|check| check.name)
            .collect(),
    })
}

/// Whether the process lives.
#[derive(Serialize, ToSchema)]
pub(super) struct StatusBody {
    /// `alive`
    status: &'static str,
}

/// Whether the process lives.
#[utoipa::path(
    get, path = "/livez", tag = "health", security(()),
    responses((status = 200, description = "The process lives", body = StatusBody))
)]
pub(super) async fn livez() -> Json<StatusBody> {
    Json(StatusBody { status: "alive" })
}

/// One thing that was looked at.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct CheckBody {
    /// What was looked at.
    name: String,
    /// Whether it is as it should be.
    ok: bool,
    /// What is wrong and where.
    details: Vec<String>,
}

impl From<Check> for CheckBody {
    fn from(check: Check) -> Self {
        Self {
            name: check.name,
            ok: check.ok,
            details: check.details,
        }
    }
}

/// How much to say.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct ReadyQuery {
    /// List each check; give it without a value.
    verbose: Option<String>,
}

/// Whether requests are served rightly.
#[derive(Serialize, ToSchema)]
pub(super) struct ReadyBody {
    /// `ready`
    status: &'static str,
    /// What was looked at, when `verbose` was asked for. A fault of a node, a document or history does not end readiness.
    #[serde(skip_serializing_if = "Option::is_none")]
    checks: Option<Vec<CheckBody>>,
}

/// Whether requests are served rightly: desired state was loaded.
#[utoipa::path(
    get, path = "/readyz", tag = "health", security(()), params(ReadyQuery),
    responses(
        (status = 200, description = "Ready", body = ReadyBody),
        (status = 503, description = "Not ready", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn readyz(
    State(probes): State<Probes>,
    Params(query): Params<ReadyQuery>,
) -> Result<Json<ReadyBody>, Problem> {
    let health = (probes.health)();
    let checks: Vec<CheckBody> = health.checks.into_iter().map(Into::into).collect();
    if health.ready {
        let checks = query.verbose.map(|_| checks);
        return Ok(Json(ReadyBody {
            status: "ready",
            checks,
        }));
    }
    let problem = Problem::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "not-ready",
        "Not ready",
        "the first full load of desired state is not over: ?verbose says what is missing",
    );
    Err(match query.verbose {
        Some(_) => problem.checks(checks),
        None => problem,
    })
}

/// Metrics in the text format of `OpenMetrics`.
#[utoipa::path(
    get, path = "/metrics", tag = "health", security(()),
    responses((status = 200, description = "Metrics", body = String, content_type = "application/openmetrics-text"))
)]
pub(super) async fn metrics(State(probes): State<Probes>) -> Response {
    exposition(&probes.metrics)
}

/// What the process counts, as an answer.
pub(super) fn exposition(metrics: &Metrics) -> Response {
    let content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, content_type)], metrics.encode()).into_response()
}
