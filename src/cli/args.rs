//! What can be typed. Help is written for somebody who sees it for the first time.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand};

use super::{
    audit_args::Audit, events_args::Events, exit::EXIT_CODES, forward::Forward, gateway_args::Gateway,
    guard_args::Guard, history_args::HistoryArgs, hold_args::Hold, id_args::Id, import_args::Import,
    output::OutputArgs, user_args::User, values::one_of,
};
use crate::{
    config::{Logging, Settings, duration, optional_path},
    model::corporate_id::CorporateId,
};

/// Corporate VPN access over Hysteria2: declare who may use the VPN, and the VPN agrees
#[derive(Debug, Parser)]
#[command(
    name = "vpn-operator",
    version,
    propagate_version = true,
    max_term_width = 120,
    after_help = format!("{EXAMPLES}\n\n{EXIT_CODES}"),
    after_long_help = format!("{EXAMPLES}\n\n{SECRETS}\n\n{EXIT_CODES}")
)]
pub struct Cli {
    /// Logging.
    #[command(flatten)]
    pub logging: Logging,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const EXAMPLES: &str = "\
Examples:
  vpn-operator run --desired folder:./vpn     start with a folder of YAML
  vpn-operator check ./vpn                    find mistakes before the operator does
  vpn-operator user grant AB123456            let somebody in, print the links
  vpn-operator user deactivate AB123456       put somebody out, wait until that is proved
  vpn-operator doctor                         find out what is wrong, and what to do";

const SECRETS: &str = "\
Secrets are never flags. Each is read from its environment variable, or from the
file that the variable with _FILE behind its name names (see .env.example):
  CORPORATE_SECRET, CORPORATE_SECRET_PREVIOUS, MASTER_KEY, MASTER_KEY_PREVIOUS,
  HYSTERIA_AUTH_TOKEN, HYSTERIA_STATS_SECRET, HYSTERIA_OBFS_PASSWORD, WEBHOOK_SECRET,
  WEBHOOK_SECRETS, API_CLIENTS, SMTP_PASSWORD, TELEGRAM_BOT_TOKEN, API_TOKEN
One that is needed and missing is made on the first run and kept in the data
folder with mode 0600.";

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the operator
    #[command(after_help = "\
Examples:
  vpn-operator run
      desired state in ./vpn, data in ./data, the API on 127.0.0.1:8080,
      and Hysteria asks 127.0.0.1:8081
  vpn-operator run --desired folder:/srv/vpn --data /var/lib/vpn-operator
  vpn-operator run --simulate --desired folder:examples/quickstart
      no Hysteria needed: devices of the people declared log in, are cut, come back

SIGTERM and SIGINT drain; a second one ends at once. While the operator is down
nobody new can log in.", after_long_help = format!("{SECRETS}\n\n{EXIT_CODES}"))]
    Run(Box<Run>),
    /// Forward ports of one address of this machine to the same ports of its loopback
    #[command(after_help = "\
Examples:
  vpn-operator forward blitz 28260 28262 25413
      for an operator in another container than a Blitz panel: its API, its auth
      service and the statistics of its server listen on 127.0.0.1 alone

Whoever reaches HOST reaches what listens on loopback behind these ports: choose an
address on a network of which the operator alone is a member.")]
    Forward(Forward),
    /// A command that ends by itself.
    #[command(flatten)]
    Task(Box<Task>),
}

/// A command that ends by itself.
#[derive(Debug, Subcommand)]
pub enum Task {
    /// Check a folder of desired state without running anything
    #[command(after_help = "\
Examples:
  vpn-operator check ./vpn
  vpn-operator check ./vpn --output json | jq -r '.problems[].message'

Every problem names file, line and field. Exit code 2 when there is one: use it
in CI, before a merge.")]
    Check(Check),
    /// Print the Kubernetes custom resource definitions
    #[command(after_help = "\
Examples:
  vpn-operator crd | kubectl apply --server-side -f -
  vpn-operator crd VpnUser")]
    Crd(Crd),
    /// Print the OpenAPI description of the HTTP API as JSON
    Openapi,
    /// Work with VPN gateways
    Gateway(Gateway),
    /// Show people, let them in, put them out
    User(User),
    /// Show, create and release holds: what keeps people out whatever is declared
    Hold(Hold),
    /// Corporate IDs: issue, look up, revoke, and files of them
    Id(Id),
    /// Decide about denials that were held back because they were too many at once
    Guard(Guard),
    /// Look at events of the HR system, carry them out, or decide against them
    Events(Events),
    /// Ask the audit who had access when and what happened to one person; check it, and hand it to other systems
    Audit(Audit),
    /// Back up what the operator has recorded, check a backup, put one back
    History(HistoryArgs),
    /// Seal a password that exists already, so that it can be kept with the declarations
    #[command(after_help = "\
Examples:
  vpn-operator seal AB123456 < password.txt > vpn/ab123456.sealed
  ssh panel read-password anna | vpn-operator seal AB123456 --data /var/lib/vpn-operator

The password is read from stdin, without its line end. What is printed can only be
opened with the master key of this operator, and only for this person. Name it in
the VpnUser: `credentialsFrom: { file: vpn/ab123456.sealed }`, as the operator's
process finds the file.")]
    Seal(Seal),
    /// Take over what another system has
    Import(Import),
    /// Find out what is wrong, and what to do about it
    #[command(after_help = "\
Examples:
  vpn-operator doctor
  vpn-operator doctor --cert /etc/hysteria/server.crt
  vpn-operator doctor --output json | jq '.checks[] | select(.result == \"failed\")'

Takes the same settings as `run`; changes nothing. Exit code 1 when a check fails.")]
    Doctor(Box<Doctor>),
    /// Say whether the operator on this machine is ready: exit code 0, or 5
    #[command(after_help = "\
Examples:
  vpn-operator health
  vpn-operator health --listen 127.0.0.1:9000

It asks /readyz, needs no secret, and is what the health check of the container
runs. With TLS it trusts the certificate of TLS_CERT_FILE under any name.")]
    Health(Health),
    /// Print a shell completion script
    #[command(after_help = "\
Examples:
  vpn-operator completions bash > /etc/bash_completion.d/vpn-operator
  vpn-operator completions zsh > \"${fpath[1]}/_vpn-operator\"

The script asks this program, and the program asks the operator that VPN_OPERATOR_URL,
LISTEN_ADDR and DATA_DIR name for corporate IDs and names of holds.")]
    Completions(Completions),
    /// Print the manual page, or write one a command into a folder
    #[command(after_help = "\
Examples:
  vpn-operator man | man -l -
  vpn-operator man --dir /usr/local/share/man/man1")]
    Man(Man),
}

/// Arguments of `run`.
#[derive(Debug, Args)]
pub struct Run {
    /// For trying out: with a simulated node and simulated devices, in this process, instead of a real node
    #[arg(long)]
    pub simulate: bool,
    /// Settings.
    #[command(flatten)]
    pub settings: Settings,
}

/// Arguments of `check`.
#[derive(Debug, Args)]
pub struct Check {
    /// The folder, or one file
    #[arg(value_name = "PATH")]
    pub path: PathBuf,
    /// Read the variables and files that nodes and people name as well: here and now, so in the environment of the operator
    #[arg(long)]
    pub strict: bool,
    /// Data folder of the operator, where no document may read
    #[arg(long = "data", env = "DATA_DIR", value_name = "PATH", default_value = "./data")]
    pub data_dir: PathBuf,
    /// Output.
    #[command(flatten)]
    pub output: OutputArgs,
}

/// Arguments of `crd`.
#[derive(Debug, Args)]
pub struct Crd {
    /// Only this kind
    #[arg(value_name = "KIND", ignore_case = true, value_parser = one_of(["VpnUser", "VpnHold", "VpnGateway"]))]
    pub kind: Option<String>,
}

/// Arguments of `completions`.
#[derive(Debug, Args)]
pub struct Completions {
    /// The shell
    pub shell: clap_complete::Shell,
}

/// Arguments of `man`.
#[derive(Debug, Args)]
pub struct Man {
    /// Folder to write the pages of all commands into
    #[arg(long, value_name = "PATH")]
    pub dir: Option<PathBuf>,
}

/// Arguments of `seal`.
#[derive(Debug, Args)]
pub struct Seal {
    /// Corporate ID of the person whose password it is
    pub id: CorporateId,
    /// Data folder of the operator, for its master key
    #[arg(long = "data", env = "DATA_DIR", value_name = "PATH", default_value = "./data")]
    pub data_dir: PathBuf,
}

/// Arguments of `health`.
#[derive(Debug, Args)]
pub struct Health {
    /// Address that the operator on this machine listens at
    #[arg(long, env = "LISTEN_ADDR", value_name = "ADDR", default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,
    /// PEM certificate of its API; `https` is spoken when it is set
    #[arg(long, env = "TLS_CERT_FILE", value_name = "PATH", value_parser = optional_path())]
    pub tls_cert: Option<PathBuf>,
    /// How long to wait for the answer
    #[arg(long, default_value = "3s", value_name = "TIME", value_parser = duration)]
    pub timeout: Duration,
}

/// Arguments of `doctor`.
#[derive(Debug, Args)]
pub struct Doctor {
    /// A server certificate in PEM, to compare with the pins of the nodes
    #[arg(long, value_name = "PATH")]
    pub cert: Option<PathBuf>,
    /// Output.
    #[command(flatten)]
    pub output: OutputArgs,
    /// Settings.
    #[command(flatten)]
    pub settings: Settings,
}
