//! Settings of an operator in a cluster.

use clap::{Args, ValueEnum};

/// What of the operator runs in this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Components {
    /// Everything.
    #[default]
    All,
    /// The endpoint that nodes ask, and nothing else. Kubernetes only; as many replicas as wanted
    Auth,
    /// The Telegram bot, and nothing else: it asks the operator at `API_URL`
    Bot,
}

/// Where and as what the operator runs in a cluster.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Kubernetes")]
pub struct Cluster {
    /// What of the operator runs in this process
    #[arg(long, env = "COMPONENTS", value_enum, default_value_t, hide_possible_values = false)]
    pub components: Components,
    /// The one namespace that is watched. The pod's own, else the kubeconfig's when absent
    #[arg(long, env = "VPN_NAMESPACE", value_name = "NAME")]
    pub namespace: Option<String>,
    /// Name of the Lease that the acting operator holds
    #[arg(long, env = "LEASE_NAME", value_name = "NAME", default_value = "vpn-operator")]
    pub lease_name: String,
}
