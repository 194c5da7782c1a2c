//! What can be typed after `import`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use jiff::tz::TimeZone;

use super::output::OutputArgs;
use crate::config::DesiredLocation;

/// Arguments of `import`.
#[derive(Debug, Args)]
pub struct Import {
    /// What to do.
    #[command(subcommand)]
    pub command: ImportCommand,
}

/// What to take over.
#[derive(Debug, Subcommand)]
pub enum ImportCommand {
    /// Take over the people of the former Python service: their passwords, who is out, history, issued IDs
    #[command(after_help = "\
Examples:
  vpn-operator import legacy automation_data/users.db --to folder:/srv/vpn --dry-run
  vpn-operator import legacy users.db --to folder:/srv/vpn --data /var/lib/vpn-operator \\
      --zone Europe/Berlin
  vpn-operator import legacy users.db --to kubernetes --namespace vpn

The database is only read, from a copy, also while the former service still writes to it. What
is there already stays as it is: a second run makes what the first one left, and
nothing else. With --data no operator may run on that folder meanwhile (exit code 5).
Every row of which nothing is made is named; exit code 1 when there are any.
Run it as the user that the operator runs as. See docs/moving.md.")]
    Legacy(Box<ImportLegacy>),
}

/// Arguments of `import legacy`.
#[derive(Debug, Args)]
pub struct ImportLegacy {
    /// The database of the former service
    #[arg(value_name = "USERS.DB")]
    pub path: PathBuf,
    /// Where people are declared: `folder:PATH`, with the path as the operator finds it, or `kubernetes`
    #[arg(long, value_name = "TARGET")]
    pub to: DesiredLocation,
    /// Data folder of the operator, for holds, history and issued IDs. ./data for a folder; in a cluster those stay
    /// behind when absent
    #[arg(long = "data", env = "DATA_DIR", value_name = "PATH")]
    pub data_dir: Option<PathBuf>,
    /// Time zone of the machine of the former service, like Europe/Berlin. That of this machine when absent
    #[arg(long, value_name = "ZONE", value_parser = zone)]
    pub zone: Option<TimeZone>,
    /// Only in a cluster: the namespace. The pod's own, else the kubeconfig's when absent
    #[arg(long, env = "VPN_NAMESPACE", value_name = "NAME")]
    pub namespace: Option<String>,
    /// Only say what would be done
    #[arg(long)]
    pub dry_run: bool,
    /// Output.
    #[command(flatten)]
    pub output: OutputArgs,
}

fn zone(text: &str) -> Result<TimeZone, String> {
    TimeZone::get(text).map_err(|_| format!("'{text}' is no time zone: give a name like Europe/Berlin, or UTC"))
}
