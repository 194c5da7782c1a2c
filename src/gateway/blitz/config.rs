//! As what a panel is to run.

use super::client::PanelEndpoint;
use crate::gateway::hysteria::client::StatsEndpoint;

/// A panel, with its secrets read.
#[derive(Debug, Clone, PartialEq)]
pub struct PanelConfig {
    /// Where the panel's API is.
    pub panel: PanelEndpoint,
    /// Where the statistics API of its server is.
    pub stats: Option<StatsEndpoint>,
    /// Its servers are to ask the operator's auth listener first.
    pub guarded: bool,
}
