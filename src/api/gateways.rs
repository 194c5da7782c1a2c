//! How the gateways are.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The gateways that run or are declared.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct GatewaysBody {
    /// In the order of their names.
    pub gateways: Vec<GatewayStatusBody>,
}

/// How a gateway is.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct GatewayStatusBody {
    /// Its name.
    pub name: String,
    /// `hysteria` or `blitz`; null when it does not run.
    pub kind: Option<String>,
    /// How many of its nodes answer.
    pub reachable_nodes: usize,
    /// Sessions online at the last poll.
    pub sessions: u32,
    /// Accounts that wait for something to be done about them.
    pub waiting: WaitingBody,
    /// About how many seconds all of that takes, at the pace of the calls that were made so far; null while nothing waits, and
    /// while that is not known.
    pub seconds_left: Option<u64>,
    /// What is wrong at present.
    pub error: Option<String>,
    /// Its nodes; a panel is one.
    pub nodes: Vec<NodeBody>,
}

/// Accounts that wait, by what for. One waits for one thing at a time.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct WaitingBody {
    /// To be blocked: denied, and not cut yet.
    pub block: usize,
    /// Cut, and not proved gone yet.
    pub prove: usize,
    /// To be deleted.
    pub delete: usize,
    /// To be made.
    pub add: usize,
    /// To be changed.
    pub change: usize,
    /// To be compared with what is there, which is not known at present.
    pub compare: usize,
    /// All of them.
    pub total: usize,
}

/// How a node is.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct NodeBody {
    /// Its name.
    pub name: String,
    /// Whether it answers; null when it was not asked yet, or cannot be asked.
    pub reachable: Option<bool>,
    /// Sessions online at the last poll.
    pub sessions: u32,
    /// When it answered last.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_poll: Option<Timestamp>,
    /// What is wrong with it at present.
    pub error: Option<String>,
}
