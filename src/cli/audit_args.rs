//! Arguments of `audit`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use jiff::Timestamp;

use super::{ask::Ask, complete, values::past};
use crate::model::corporate_id::CorporateId;

/// Arguments of `audit`.
#[derive(Debug, Args)]
pub struct Audit {
    /// What to do.
    #[command(subcommand)]
    pub command: AuditCommand,
}

/// What to ask of the audit.
#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// List who had access at a moment, since when, and why
    #[command(after_help = "\
Examples:
  vpn-operator audit who                              now
  vpn-operator audit who --at 2026-03-01T09:00:00Z
  vpn-operator audit who --at 2h --denied             and who had none, and why not
  vpn-operator audit who --at 2026-03-01T09:00:00Z --file /backup/history.db --output json

ORDER names who gave the order, and the row of the audit. Without one it was a change in
desired state (Git, kubectl), a limit, or time.")]
    Who(WhoArgs),
    /// Tell everything that is kept about one person, in order
    #[command(after_help = "\
Examples:
  vpn-operator audit user AB123456
  vpn-operator audit user AB123456 --output json
  vpn-operator audit user AB123456 --file /backup/history.db")]
    User(StoryArgs),
}

/// Arguments of `audit who`.
#[derive(Debug, Args)]
pub struct WhoArgs {
    /// The moment: RFC 3339, or how long ago it was, like 2h
    #[arg(long, value_name = "TIME", value_parser = past)]
    pub at: Option<Timestamp>,
    /// Also those who had no access, and why not
    #[arg(long)]
    pub denied: bool,
    /// Read this history.db, or a copy of one, instead of asking the operator
    #[arg(long, value_name = "PATH")]
    pub file: Option<PathBuf>,
    /// Ask.
    #[command(flatten)]
    pub ask: Ask,
}

/// Arguments of `audit user`.
#[derive(Debug, Args)]
pub struct StoryArgs {
    /// Corporate ID
    #[arg(add = complete::people())]
    pub id: CorporateId,
    /// Read this history.db, or a copy of one, instead of asking the operator
    #[arg(long, value_name = "PATH")]
    pub file: Option<PathBuf>,
    /// Ask.
    #[command(flatten)]
    pub ask: Ask,
}
