//! Running gateways, of whatever kind: started, replaced and stopped.

use std::sync::Arc;

use super::{
    Context, Gateway, NodeName,
    blitz::{BlitzGateway, PANEL, client::PanelError, config::PanelConfig},
    hysteria::{
        HysteriaGateway,
        client::{StatsEndpoint, StatsError},
        config::{NodeConfig, NodeFault},
    },
};

/// Polls of a node in the time of one list of a panel, which takes most of a second of the panel's time.
const POLLS_A_LIST: u32 = 6;

/// As what a gateway is to run, with its secrets read.
#[derive(Debug, Clone, PartialEq)]
pub enum Wanted {
    /// Nodes that ask the operator.
    Hysteria(Vec<NodeConfig>),
    /// A panel that keeps the accounts itself.
    Blitz(Box<PanelConfig>),
}

impl Wanted {
    /// The nodes that ask the operator.
    #[must_use]
    pub fn nodes(&self) -> &[NodeConfig] {
        match self {
            Self::Hysteria(nodes) => nodes,
            Self::Blitz(_) => &[],
        }
    }

    /// Everything that counts traffic, by name.
    #[must_use]
    pub fn counters(&self, gateway: &str) -> Vec<NodeName> {
        match self {
            Self::Hysteria(nodes) => nodes.iter().map(|node| NodeName::new(gateway, &node.name)).collect(),
            Self::Blitz(_) => vec![NodeName::new(gateway, PANEL), NodeName::imported()],
        }
    }

    /// The nodes with a statistics API, and where it is.
    pub fn polled(&self, gateway: &str) -> impl Iterator<Item = (NodeName, &StatsEndpoint)> {
        let nodes = self.nodes().iter();
        nodes.filter_map(move |node| Some((NodeName::new(gateway, &node.name), node.stats.as_ref()?)))
    }

    /// The nodes that cannot be run as they are declared, and why.
    pub fn faults(&self) -> impl Iterator<Item = (&str, &NodeFault)> {
        let nodes = self.nodes().iter();
        nodes.filter_map(|node| Some((node.name.as_str(), node.fault.as_ref()?)))
    }
}

/// Why a gateway cannot be started or changed. Nothing was changed then.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StartError {
    /// A node cannot be called.
    #[error(transparent)]
    Node(#[from] StatsError),
    /// The panel cannot be called.
    #[error(transparent)]
    Panel(#[from] PanelError),
}

impl StartError {
    /// A constant for the reason of a condition.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Node(_) => "InvalidNode",
            Self::Panel(_) => "InvalidPanel",
        }
    }
}

/// Something that runs as it is declared.
pub trait Running: Send + Sync + 'static {
    /// Goes on as is wanted. Answers false, and changes nothing, when that takes a gateway of another kind.
    ///
    /// # Errors
    /// It cannot be run like this; then nothing was changed.
    fn update(&self, wanted: &Wanted) -> Result<bool, StartError>;

    /// Nobody is to be asked any more. What is not proved stays unproved.
    fn leave(&self);
}

/// A gateway that acts.
pub trait Acting: Gateway + Running {}

impl<T: Gateway + Running> Acting for T {}

/// Starts a gateway. To be called within a tokio runtime.
///
/// # Errors
/// It cannot be run like this.
pub fn start(name: &str, wanted: &Wanted, context: Context) -> Result<Arc<dyn Acting>, StartError> {
    let context = Context {
        cancel: context.cancel.child_token(),
        ..context
    };
    Ok(match wanted {
        Wanted::Hysteria(nodes) => HysteriaGateway::start(name, nodes.clone(), context)?,
        Wanted::Blitz(panel) => {
            let poll_interval = context.poll_interval * POLLS_A_LIST;
            BlitzGateway::start(
                name,
                panel,
                Context {
                    poll_interval,
                    ..context
                },
            )?
        }
    })
}

impl Running for HysteriaGateway {
    fn update(&self, wanted: &Wanted) -> Result<bool, StartError> {
        let Wanted::Hysteria(nodes) = wanted else {
            return Ok(false);
        };
        Self::update(self, nodes.clone())?;
        Ok(true)
    }

    fn leave(&self) {
        // A gateway without a node has nothing left to prove, which is not a proof.
        if let Err(error) = Self::update(self, Vec::new()) {
            tracing::warn!(gateway = self.name(), %error, "a gateway that is gone could not be stopped in order");
        }
        self.stop();
    }
}

impl Running for BlitzGateway {
    fn update(&self, wanted: &Wanted) -> Result<bool, StartError> {
        let Wanted::Blitz(panel) = wanted else { return Ok(false) };
        Self::update(self, panel)?;
        Ok(true)
    }

    fn leave(&self) {
        self.stop();
    }
}
