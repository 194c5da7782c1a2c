//! What can be typed about denials that are held back.

use clap::{Args, Subcommand};

use super::{ask::Ask, complete};
use crate::model::corporate_id::CorporateId;

/// Arguments of `guard`.
#[derive(Debug, Args)]
pub struct Guard {
    /// What to do.
    #[command(subcommand)]
    pub command: GuardCommand,
}

/// What to do with denials that were held back.
#[derive(Debug, Subcommand)]
pub enum GuardCommand {
    /// Show the denials that wait for a person, and what each budget has left. Exit code 6 when any wait
    Show {
        /// Ask.
        #[command(flatten)]
        ask: Ask,
    },
    /// Let the denials happen
    #[command(after_help = "\
Examples:
  vpn-operator guard confirm AB123456 AB123457
  vpn-operator guard confirm --all")]
    Confirm(Decide),
    /// Drop the denials: these people keep access until something changes again
    Cancel(Decide),
}

/// Arguments of `guard confirm` and `guard cancel`.
#[derive(Debug, Args)]
pub struct Decide {
    /// Corporate IDs
    #[arg(value_name = "ID", required_unless_present = "all", conflicts_with = "all", add = complete::people())]
    pub ids: Vec<CorporateId>,
    /// Everything that waits now
    #[arg(long)]
    pub all: bool,
    /// Ask.
    #[command(flatten)]
    pub ask: Ask,
}
