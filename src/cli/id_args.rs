//! What can be typed about corporate IDs.

use std::{path::PathBuf, time::Duration};

use clap::{Args, Subcommand};

use super::{ask::Ask, complete, values::one_of};
use crate::{config::duration, model::corporate_id::CorporateId};

/// Arguments of `id`.
#[derive(Debug, Args)]
pub struct Id {
    /// What to do.
    #[command(subcommand)]
    pub command: IdCommand,
}

/// What to do with IDs.
#[derive(Debug, Subcommand)]
pub enum IdCommand {
    /// Issue an ID that nobody ever had
    #[command(after_help = "\
Examples:
  vpn-operator id issue --owner \"Anna Example\" --email anna@example.com
  vpn-operator id issue --owner \"Anna Example\" --key 2f0c7d52 --output json
      the same key gets the same ID, however often it is sent

Issuing gives no access: `user grant` does, or whoever declares the person.")]
    Issue {
        /// Whose it will be, usually a name
        #[arg(long)]
        owner: String,
        /// Mail address
        #[arg(long)]
        email: Option<String>,
        /// Where the person works
        #[arg(long)]
        department: Option<String>,
        /// Why, for people; stands in the audit
        #[arg(long)]
        reason: Option<String>,
        /// Your own name of this request, like a UUID: sent again, it gets the same ID
        #[arg(long, value_name = "KEY")]
        key: Option<String>,
        /// Ask.
        #[command(flatten)]
        ask: Ask,
    },
    /// Say whether an ID is good, and whose it is: exit code 0, or 4 when it is not
    Validate {
        /// The ID
        #[arg(add = complete::ids())]
        id: CorporateId,
        /// Ask.
        #[command(flatten)]
        ask: Ask,
    },
    /// Say that somebody uses an ID, or give back one that was revoked
    #[command(after_help = "\
Examples:
  vpn-operator id activate AB123456
  vpn-operator id activate AB123456 --reinstate --reason \"badge was found\"
      lifts the hold of the revocation; other holds stay, and are named")]
    Activate {
        /// The ID
        #[arg(add = complete::ids())]
        id: CorporateId,
        /// Give back an ID that was revoked
        #[arg(long)]
        reinstate: bool,
        /// Why, for people; stands in the audit
        #[arg(long)]
        reason: Option<String>,
        /// Ask.
        #[command(flatten)]
        ask: Ask,
    },
    /// Take an ID away: whoever uses it is put out, and it is never issued again
    #[command(after_help = "\
Examples:
  vpn-operator id revoke AB123456 --reason \"lost badge\"

Waits and ends as `user deactivate` does: exit code 6 when the denial was not proved
contained in time. Give it back with: id activate ID --reinstate")]
    Revoke {
        /// The ID
        #[arg(add = complete::ids())]
        id: CorporateId,
        /// Why, for people
        #[arg(long)]
        reason: Option<String>,
        /// How long to wait until it is proved that no session can pass another byte
        #[arg(long, default_value = "30s", value_name = "TIME", value_parser = duration)]
        wait: Duration,
        /// Ask.
        #[command(flatten)]
        ask: Ask,
    },
    /// Put a revoked ID away for good
    Archive {
        /// The ID
        #[arg(add = complete::ids())]
        id: CorporateId,
        /// Why, for people; stands in the audit
        #[arg(long)]
        reason: Option<String>,
        /// Ask.
        #[command(flatten)]
        ask: Ask,
    },
    /// Show an ID with everything that was done with it
    Show {
        /// The ID
        #[arg(add = complete::ids())]
        id: CorporateId,
        /// Ask.
        #[command(flatten)]
        ask: Ask,
    },
    /// Find IDs
    #[command(after_help = "\
Examples:
  vpn-operator id search anna
  vpn-operator id search --id AB12 --status active")]
    Search {
        /// Text in the owner, the mail address or the department
        #[arg(value_name = "TEXT")]
        query: Option<String>,
        /// How the ID begins
        #[arg(long, value_name = "BEGINNING")]
        id: Option<String>,
        /// Only IDs with this status
        #[arg(long, ignore_case = true, value_parser = one_of(["issued", "active", "revoked", "archived"]))]
        status: Option<String>,
        /// At most so many
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1000))]
        limit: u32,
        /// Begin behind this ID
        #[arg(long, value_name = "ID")]
        after: Option<String>,
        /// Ask.
        #[command(flatten)]
        ask: Ask,
    },
    /// Take a CSV file of IDs in: all of it or nothing
    #[command(after_help = "\
Examples:
  vpn-operator id import ids.csv --dry-run
  vpn-operator id import ids.csv --reason \"moved from the spreadsheet\"
  vpn-operator id export | vpn-operator id import -      changes nothing

The first line names the columns: id, owner, email, department, status, issued_at,
updated_at; only id has to be there. Every line that cannot be taken is named, and
nothing is changed then: exit code 2.")]
    Import {
        /// The file; - for stdin
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// Only say what it would do
        #[arg(long)]
        dry_run: bool,
        /// Why, for people; stands in the audit
        #[arg(long)]
        reason: Option<String>,
        /// Ask.
        #[command(flatten)]
        ask: Ask,
    },
    /// Write the registry as CSV
    #[command(after_help = "\
Examples:
  vpn-operator id export > ids.csv
  vpn-operator id export --to ids.csv      mode 0600: it holds names and mail addresses")]
    Export {
        /// The file; stdout when absent. One that is there is left alone
        #[arg(long, value_name = "FILE")]
        to: Option<PathBuf>,
        /// Ask.
        #[command(flatten)]
        ask: Ask,
    },
}
