//! Arguments of `events`.

use clap::{Args, Subcommand};

use super::{ask::Ask, complete};
use crate::model::corporate_id::CorporateId;

/// Arguments of `events`.
#[derive(Debug, Args)]
pub struct Events {
    /// What to do.
    #[command(subcommand)]
    pub command: EventsCommand,
}

/// What to do with events of the HR system.
#[derive(Debug, Subcommand)]
pub enum EventsCommand {
    /// List events, newest first
    #[command(after_help = "\
Examples:
  vpn-operator events list --state failed
  vpn-operator events list --id AB123456")]
    List {
        /// Only those in this state
        #[arg(long, value_parser = ["pending", "processed", "held_back", "failed", "discarded"])]
        state: Option<String>,
        /// Only those about this person
        #[arg(long, value_name = "ID", add = complete::people())]
        id: Option<CorporateId>,
        /// Only those of this type, like `user_deactivated`
        #[arg(long = "type", value_name = "TYPE")]
        event_type: Option<String>,
        /// At most so many
        #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1000))]
        limit: u32,
        /// Only events before this number
        #[arg(long, value_name = "EVENT")]
        before: Option<u64>,
        /// Ask.
        #[command(flatten)]
        ask: Ask,
    },
    /// Show an event with what was sent
    Show {
        /// Number of the event
        event: u64,
        /// Ask.
        #[command(flatten)]
        ask: Ask,
    },
    /// Carry an event out now: what failed, once the cause is mended; what waits; what was discarded
    #[command(after_help = "\
Examples:
  vpn-operator events replay 17

Exit code 6 when it is still not carried out. What is carried out already stays as it is.")]
    Replay {
        /// Number of the event
        event: u64,
        /// Ask.
        #[command(flatten)]
        ask: Ask,
    },
    /// Decide that an event is not carried out
    Discard {
        /// Number of the event
        event: u64,
        /// Why
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
        /// Ask.
        #[command(flatten)]
        ask: Ask,
    },
}
