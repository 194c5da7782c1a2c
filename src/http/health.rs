//! Probes and metrics. Open to anybody who reaches the port, and without secrets.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{FromRef, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{HttpState, Routes, extract::Params, problem::Problem};
use crate::{
    access::Health,
    api::{
        health::{CheckBody, HealthBody, ReadyBody, StatusBody},
        problem::ProblemBody,
    },
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

/// Whether the process answers.
#[utoipa::path(
    get, path = "/health", tag = "health", security(()),
    responses((status = 200, description = "The process answers", body = HealthBody))
)]
pub(super) async fn health(State(probes): State<Probes>) -> Json<HealthBody> {
    let health = (probes.health)();
    Json(HealthBody {
        status: "healthy".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ready: health.ready,
        degraded: health
            .checks
            .into_iter()
            .filter(|check| !check.is_ok())
            .map(|check| check.name)
            .collect(),
    })
}

/// Whether the process lives.
#[utoipa::path(
    get, path = "/livez", tag = "health", security(()),
    responses((status = 200, description = "The process lives", body = StatusBody))
)]
pub(super) async fn livez() -> Json<StatusBody> {
    Json(StatusBody {
        status: "alive".to_owned(),
    })
}

/// How much to say.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct ReadyQuery {
    /// List each check; give it without a value.
    verbose: Option<String>,
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
            status: "ready".to_owned(),
            checks,
        }));
    }
    let problem = Problem::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "not-ready",
        "Not ready",
        format!("{}: ?verbose says what is missing", health.missing),
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
