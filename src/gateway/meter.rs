//! Calls to nodes and panels, as they are counted.

use std::sync::Arc;

use super::{Meter, hysteria::WITHOUT_EFFECT};
use crate::metrics::{GatewayOperation, GatewayOutcome, Metrics};

/// Counts calls to nodes and panels.
#[must_use]
pub fn meter(metrics: &Arc<Metrics>) -> Meter {
    let metrics = Arc::clone(metrics);
    Arc::new(move |call| match call.outcome {
        WITHOUT_EFFECT => metrics.kick_without_effect(),
        made => metrics.gateway_call(operation(call.operation), outcome(made)),
    })
}

fn operation(name: &str) -> GatewayOperation {
    match name {
        "kick" => GatewayOperation::Kick,
        "traffic" => GatewayOperation::Traffic,
        "list" => GatewayOperation::List,
        "block" => GatewayOperation::Block,
        "add" => GatewayOperation::Add,
        "change" => GatewayOperation::Change,
        "delete" => GatewayOperation::Delete,
        "links" => GatewayOperation::Links,
        _ => GatewayOperation::Online,
    }
}

fn outcome(category: &str) -> GatewayOutcome {
    match category {
        "ok" => GatewayOutcome::Ok,
        "timeout" => GatewayOutcome::Timeout,
        "unauthorized" => GatewayOutcome::Unauthorized,
        "status" | "rejected" | "exists" | "no_such_account" | "wrong_path" | "database_down" | "traffic_api_down" => {
            GatewayOutcome::Refused
        }
        "malformed" | "too_large" => GatewayOutcome::Malformed,
        _ => GatewayOutcome::Unreachable,
    }
}
