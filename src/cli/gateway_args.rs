//! What can be typed about gateways.

use clap::{Args, Subcommand};

use super::{ask::Ask, render_args::RenderArgs};

/// Arguments of `gateway`.
#[derive(Debug, Args)]
pub struct Gateway {
    /// What to do.
    #[command(subcommand)]
    pub command: GatewayCommand,
}

/// What to do with gateways.
#[derive(Debug, Subcommand)]
pub enum GatewayCommand {
    /// Write a complete, commented Hysteria server configuration for a node
    #[command(after_help = "\
Examples:
  umask 077
  vpn-operator gateway render node-1 \\
      --acme vpn.example.com --acme-email it@example.com > hysteria.yaml
  vpn-operator gateway render fra --gateway europe \\
      --tls-cert /etc/hysteria/tls.crt --tls-key /etc/hysteria/tls.key
  vpn-operator gateway render node-1 --redact --hop 20000-50000 \\
      --acme vpn.example.com --acme-email it@example.com

The node is looked for in the desired folder's VpnGateways; when none is declared,
the environment defines node-1, node-2, … (one an entry of HYSTERIA_STATS_URLS).
The output holds secrets.")]
    Render(Box<RenderArgs>),
    /// Show how the gateways are: nodes, sessions, and what waits to be done
    #[command(after_help = "\
Examples:
  vpn-operator gateway status
  vpn-operator gateway status panel
  vpn-operator gateway status --output json | jq '.gateways[].waiting.total'

An account waits to be blocked (denied, and not cut yet), to be proved gone, deleted,
made or changed, or to be compared with what is there. The time left is an estimate
by what the calls took so far.")]
    Status {
        /// Only this gateway, with its nodes
        #[arg(value_name = "NAME")]
        name: Option<String>,
        /// Ask.
        #[command(flatten)]
        ask: Ask,
    },
}
