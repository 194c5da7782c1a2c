//! What can be typed about holds.

use std::time::Duration;

use clap::{Args, Subcommand};
use jiff::Timestamp;

use super::{
    ask::Ask,
    complete,
    values::{one_of, past, source},
};
use crate::{config::duration, model::corporate_id::CorporateId};

/// Arguments of `hold`.
#[derive(Debug, Args)]
pub struct Hold {
    /// What to do.
    #[command(subcommand)]
    pub command: HoldCommand,
}

/// What to do with holds.
#[derive(Debug, Subcommand)]
pub enum HoldCommand {
    /// List holds
    #[command(after_help = "\
Examples:
  vpn-operator hold list
  vpn-operator hold list AB123456
  vpn-operator hold list --phase HeldBack      what a feed placed and the guard keeps from denying")]
    List {
        /// Only holds on this corporate ID
        #[arg(value_name = "ID", add = complete::people())]
        id: Option<CorporateId>,
        /// Only holds in this phase
        #[arg(long, ignore_case = true, value_parser = one_of(["Pending", "Live", "Expired", "HeldBack"]))]
        phase: Option<String>,
        /// Ask.
        #[command(flatten)]
        ask: Ask,
    },
    /// Hold a person: deny access whatever is declared, until released
    #[command(after_help = "\
Examples:
  vpn-operator hold create AB123456 --reason \"audit\"
  vpn-operator hold create AB123456 --until 2027-01-01T00:00:00Z

Waits and ends as `user deactivate` does: exit code 6 when the denial was not proved
contained in time. A hold that begins later, or on somebody who is not declared,
has nothing to wait for.")]
    Create {
        /// Corporate ID; the person need not exist yet
        #[arg(add = complete::people())]
        id: CorporateId,
        /// Who holds; only the same source lifts it. `cli` when absent
        #[arg(long, value_parser = source)]
        source: Option<String>,
        /// Why, for people
        #[arg(long)]
        reason: Option<String>,
        /// The hold begins at this moment, RFC 3339
        #[arg(long, value_name = "TIME")]
        from: Option<Timestamp>,
        /// The hold ends at this moment, RFC 3339
        #[arg(long, value_name = "TIME")]
        until: Option<Timestamp>,
        /// How long to wait until it is proved that no session can pass another byte
        #[arg(long, default_value = "30s", value_name = "TIME", value_parser = duration)]
        wait: Duration,
        /// Ask.
        #[command(flatten)]
        ask: Ask,
    },
    /// Release a hold by its name, or every hold that a source placed from a moment on
    #[command(after_help = "\
Examples:
  vpn-operator hold release cli-held-ab123456
  vpn-operator hold release helpdesk-held-ab123456 --source helpdesk
  vpn-operator hold release --source helpdesk --since 2h --dry-run
      whom a wrong burst concerns, and what would still stand against access
  vpn-operator hold release --source helpdesk --since 2h --reason \"wrong list\"

Only the source that placed a hold lifts it. Exit code 4 when it was another one.
With --since, `spec.active` is set back too where a deactivation by that source
had set it to false; exit code 1 when something could not be taken back. What
could not is named, and asking again finds it. Exit code 3 when there is nothing to release.")]
    Release(Release),
}

/// Arguments of `hold release`.
#[derive(Debug, Args)]
pub struct Release {
    /// Name of the hold, as `hold list` shows it
    #[arg(required_unless_present = "since", conflicts_with = "since", add = complete::holds())]
    pub name: Option<String>,
    /// In whose name: the source that placed it. `cli` when absent
    #[arg(long, value_parser = source)]
    pub source: Option<String>,
    /// Every hold that the source placed at this moment or later: RFC 3339, or how long ago, like 30m or 2h
    #[arg(long, value_name = "TIME", value_parser = past, requires = "source")]
    pub since: Option<Timestamp>,
    /// Why, for people; stands in the audit
    #[arg(long)]
    pub reason: Option<String>,
    /// Only show whom it concerns and what it would come to
    #[arg(long, requires = "since")]
    pub dry_run: bool,
    /// Ask.
    #[command(flatten)]
    pub ask: Ask,
}
