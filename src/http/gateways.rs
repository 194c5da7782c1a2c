//! How the gateways are.

use axum::{Json, extract::State};
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    HttpState,
    extract::Segment,
    problem::{Problem, ProblemBody},
    schemas::GatewayNameText,
};
use crate::{
    access::GatewayView,
    gateway::{Backlog, NodeHealth, Work},
    model::gateway::Reachable,
};

/// The gateways that run or are declared.
#[derive(Serialize, ToSchema)]
pub(super) struct GatewaysBody {
    /// In the order of their names.
    gateways: Vec<GatewayStatusBody>,
}

/// How a gateway is.
#[derive(Serialize, ToSchema)]
pub(super) struct GatewayStatusBody {
    /// Its name.
    name: String,
    /// `hysteria` or `blitz`; null when it does not run.
    kind: Option<&'static str>,
    /// How many of its nodes answer.
    reachable_nodes: usize,
    /// Sessions online at the last poll.
    sessions: u32,
    /// Accounts that wait for something to be done about them.
    waiting: WaitingBody,
    /// About how many seconds all of that takes, at the pace of the calls that were made so far; null while nothing waits, and
    /// while that is not known.
    seconds_left: Option<u64>,
    /// What is wrong at present.
    error: Option<String>,
    /// Its nodes; a panel is one.
    nodes: Vec<NodeBody>,
}

/// Accounts that wait, by what for. One waits for one thing at a time.
#[derive(Serialize, ToSchema)]
pub(super) struct WaitingBody {
    /// To be blocked: denied, and not cut yet.
    block: usize,
    /// Cut, and not proved gone yet.
    prove: usize,
    /// To be deleted.
    delete: usize,
    /// To be made.
    add: usize,
    /// To be changed.
    change: usize,
    /// To be compared with what is there, which is not known at present.
    compare: usize,
    /// All of them.
    total: usize,
}

/// How a node is.
#[derive(Serialize, ToSchema)]
pub(super) struct NodeBody {
    /// Its name.
    name: String,
    /// Whether it answers; null when it was not asked yet, or cannot be asked.
    reachable: Option<bool>,
    /// Sessions online at the last poll.
    sessions: u32,
    /// When it answered last.
    #[schema(value_type = Option<String>, format = DateTime)]
    last_poll: Option<Timestamp>,
    /// What is wrong with it at present.
    error: Option<String>,
}

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
            kind: gateway.kind,
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
