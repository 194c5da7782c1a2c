//! How the gateways are, for people.

use super::{AccessError, Result, UseCases};
use crate::gateway::{Backlog, NodeHealth};

/// How a gateway is.
#[derive(Debug, Clone)]
pub struct GatewayView {
    /// Its name.
    pub name: String,
    /// Of which kind it is, in one word; `None` when it does not run.
    pub kind: Option<&'static str>,
    /// Its nodes; a panel is one.
    pub nodes: Vec<NodeHealth>,
    /// What waits to be done about its accounts.
    pub backlog: Backlog,
    /// Why it does not run as it is declared as a whole.
    pub refusal: Option<String>,
}

impl GatewayView {
    /// A gateway that cannot be run.
    #[must_use]
    pub const fn refused(name: String, why: String) -> Self {
        Self {
            name,
            kind: None,
            nodes: Vec::new(),
            backlog: Backlog::NONE,
            refusal: Some(why),
        }
    }

    /// What is wrong with it at present, without secrets.
    #[must_use]
    pub fn error(&self) -> Option<&str> {
        let of_nodes = self.nodes.iter().find_map(|node| node.error.as_deref());
        self.refusal.as_deref().or(of_nodes)
    }
}

impl UseCases {
    /// How every gateway is that runs or is declared, in the order of their names.
    #[must_use]
    pub fn gateways(&self) -> Vec<GatewayView> {
        let mut gateways = self.dependencies.links.gateways();
        gateways.sort_by(|one, other| one.name.cmp(&other.name));
        gateways
    }

    /// How one gateway is.
    ///
    /// # Errors
    /// There is none of this name.
    pub fn gateway(&self, name: &str) -> Result<GatewayView> {
        let gateways = self.dependencies.links.gateways();
        let found = gateways.into_iter().find(|gateway| gateway.name == name);
        found.ok_or_else(|| AccessError::UnknownGateway(name.to_owned()))
    }
}
