//! How the gateways are.

use axum::{Json, extract::State};

use super::{HttpState, extract::Segment, problem::Problem, schemas::GatewayNameText};
use crate::{
    access::GatewayView,
    api::{
        gateways::{GatewayStatusBody, GatewaysBody, NodeBody, WaitingBody},
        problem::ProblemBody,
    },
    gateway::{Backlog, NodeHealth, Work},
    model::gateway::Reachable,
};

impl From<Backlog> for WaitingBody {
    fn from(backlog: Backlog) -> Self {
        Self {
            block: backlog.of(Work::Block),
            prove: backlog.of(Work::Prove),
            delete: backlog.of(Work::Delete),
            add: backlog.of(Work::Add),
            change: backlog.of(Work::Change),
            compare: backlog.of(Work::Compare),
            total: backlog.total(),
        }
    }
}

impl From<NodeHealth> for NodeBody {
    fn from(node: NodeHealth) -> Self {
        Self {
            name: node.node.node().to_owned(),
            reachable: match node.reachable {
                Reachable::True => Some(true),
                Reachable::False => Some(false),
                Reachable::Unknown => None,
            },
            sessions: node.sessions,
            last_poll: node.polled_at,
            error: node.error,
        }
    }
}

impl From<GatewayView> for GatewayStatusBody {
    fn from(gateway: GatewayView) -> Self {
        let answers = |node: &&NodeHealth| node.reachable == Reachable::True;
        Self {
            error: gateway.error().map(ToOwned::to_owned),
            name: gateway.name,
            kind: gateway.kind.map(str::to_owned),
            reachable_nodes: gateway.nodes.iter().filter(answers).count(),
            sessions: gateway.nodes.iter().map(|node| node.sessions).sum(),
            waiting: gateway.backlog.into(),
            seconds_left: gateway.backlog.left().map(|left| left.as_secs()),
            nodes: gateway.nodes.into_iter().map(Into::into).collect(),
        }
    }
}

/// How the gateways are: nodes, sessions, what waits and about how long it takes.
#[utoipa::path(
    get, path = "/gateways", operation_id = "list_gateways", tag = "gateways",
    responses((status = 200, description = "The gateways", body = GatewaysBody))
)]
pub(super) async fn list(State(state): State<HttpState>) -> Json<GatewaysBody> {
    let gateways = state.use_cases.gateways().into_iter().map(Into::into).collect();
    Json(GatewaysBody { gateways })
}

/// How one gateway is.
#[utoipa::path(
    get, path = "/gateways/{name}", operation_id = "show_gateway", tag = "gateways",
    params(("name" = GatewayNameText, Path, description = "Name of the gateway")),
    responses(
        (status = 200, description = "The gateway", body = GatewayStatusBody),
        (status = 404, description = "There is none of this name", body = ProblemBody,
         content_type = "application/problem+json"),
    )
)]
pub(super) async fn show(
    State(state): State<HttpState>,
    Segment(name): Segment,
) -> Result<Json<GatewayStatusBody>, Problem> {
    Ok(Json(state.use_cases.gateway(&name)?.into()))
}
