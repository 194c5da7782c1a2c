//! What is answered before the operator may act: probes, and that it waits.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::State,
    http::{StatusCode, header},
    response::IntoResponse,
    routing::get,
};
use serde_json::json;

use super::{health, problem::Problem};
use crate::metrics::Metrics;

/// Routes of a process that is starting, or that waits until another one lets go of the lease.
pub fn waiting(metrics: Arc<Metrics>) -> Router {
    Router::new()
        .route("/livez", get(health::livez))
        .route(
            "/health",
            get(async || {
                Json(json!({
                    "status": "healthy", "version": env!("CARGO_PKG_VERSION"), "ready": false, "degraded": ["start"],
                }))
            }),
        )
        .route(
            "/metrics",
            get(async |State(metrics): State<Arc<Metrics>>| health::exposition(&metrics)),
        )
        .fallback(async || {
            let problem = Problem::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "starting",
                "Not ready",
                "this process is starting, or waits because another one holds the lease: try again",
            );
            ([(header::RETRY_AFTER, "1")], problem).into_response()
        })
        .with_state(metrics)
}
