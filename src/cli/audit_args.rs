//! Arguments of `audit`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use jiff::Timestamp;

use super::{ask::Ask, complete, output::OutputArgs, values::past};
use crate::{config::optional_path, model::corporate_id::CorporateId};

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
    /// Check that nothing in the audit was changed, added, removed or cut off
    #[command(after_help = "\
Examples:
  vpn-operator audit verify
  vpn-operator audit verify --data /backup/2026-03-15 --audit-head /mnt/worm/audit-head.json
  vpn-operator audit verify --output json | jq '.findings[0]'

Reads the database, also while the operator runs. Exit code 1 names the first row that
does not fit; exit code 7 says that everything fits as far as it could be checked, and
that the master key that proves it is missing here (MASTER_KEY, MASTER_KEY_PREVIOUS, or
master.key in the data folder).")]
    Verify(Verify),
    /// Write the audit for another system: JSON Lines, CSV, or syslog
    #[command(after_help = "\
Examples:
  vpn-operator audit export --since 2026-01-01T00:00:00Z > audit.jsonl
  vpn-operator audit export --format csv --user AB123456 > ab123456.csv
  vpn-operator audit export --format syslog --to tls://siem.example.com:6514 \\
      --follow --cursor /var/lib/vpn-operator/siem.cursor

Rows come in the order of their numbers; --after goes on behind one. With --cursor the
number of the last row that is certain to have arrived is kept in a file, and the next
run goes on there: a row may come twice, none is left out.")]
    Export(Box<Export>),
    /// Remove a person's data (owner, mail address, network addresses, reasons); the ID and the chain stay
    #[command(after_help = "\
Examples:
  vpn-operator audit forget AB123456 --reason \"erasure request 2026-031\"
  vpn-operator audit forget AB123456 --reason \"erasure request 2026-031\" --yes
  vpn-operator audit forget AB123456 --reason \"erasure request 2026-031\" --offline --data ./data

Asks the running operator; with --offline it works in the folder of one that does not run.
Who ordered it and why becomes a row of the audit: put nothing about the person into
--reason. Backups keep what they have until they are rotated out. It cannot be undone.")]
    Forget(ForgetArgs),
    /// Take note of what was found broken, once it was put right or the loss is accepted
    #[command(after_help = "\
Examples:
  vpn-operator audit acknowledge --reason \"restored the backup of 2026-03-14 after the disk failed\"

Asks the running operator. What was found, who took note of it and why becomes a row of
the audit; from then on the audit counts as intact until something else is found.")]
    Acknowledge {
        /// Why; stands in the audit
        #[arg(long, value_name = "TEXT")]
        reason: String,
        /// Ask.
        #[command(flatten)]
        ask: Ask,
    },
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

/// Arguments of `audit forget`.
#[derive(Debug, Args)]
pub struct ForgetArgs {
    /// Corporate ID
    #[arg(add = complete::people())]
    pub id: CorporateId,
    /// Why; stands in the audit
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
    /// Do not ask: it is meant
    #[arg(long)]
    pub yes: bool,
    /// Do it in the data folder (--data), on which no operator runs, instead of asking one
    #[arg(long)]
    pub offline: bool,
    /// Ask.
    #[command(flatten)]
    pub ask: Ask,
}

/// Arguments of `audit verify`.
#[derive(Debug, Args)]
pub struct Verify {
    /// Folder with the database, and with the master key if it is not given otherwise
    #[arg(long = "data", env = "DATA_DIR", value_name = "PATH", default_value = "./data")]
    pub data_dir: PathBuf,
    /// File with the published end of the audit; `audit-head.json` in the data folder when absent
    #[arg(long = "audit-head", env = "AUDIT_HEAD_FILE", value_name = "PATH", value_parser = optional_path())]
    pub audit_head: Option<PathBuf>,
    /// Output.
    #[command(flatten)]
    pub output: OutputArgs,
}

/// The form of an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum ExportForm {
    /// One JSON object a line
    #[default]
    Jsonl,
    /// A table with a header, safe to open in a spreadsheet
    Csv,
    /// RFC 5424 with structured data
    Syslog,
}

/// Arguments of `audit export`.
#[derive(Debug, Args)]
pub struct Export {
    /// Form
    #[arg(long, value_enum, default_value_t, value_name = "FORM", hide_possible_values = false)]
    pub format: ExportForm,
    /// Only rows from this moment on, RFC 3339
    #[arg(long, value_name = "TIME")]
    pub since: Option<Timestamp>,
    /// Only rows before this moment
    #[arg(long, value_name = "TIME")]
    pub until: Option<Timestamp>,
    /// Only rows about this person
    #[arg(long, value_name = "ID", add = complete::people())]
    pub user: Option<CorporateId>,
    /// Only rows of exactly this actor
    #[arg(long, value_name = "NAME")]
    pub actor: Option<String>,
    /// Only rows behind this number
    #[arg(long, value_name = "SEQ", value_parser = clap::value_parser!(i64).range(0..))]
    pub after: Option<i64>,
    /// Go on with what is added, until interrupted
    #[arg(long)]
    pub follow: bool,
    /// Where to: `tcp://host:port` or `tls://host:port` (octet counting, RFC 6587 and 5425), for syslog; stdout when absent
    #[arg(long, value_name = "URL")]
    pub to: Option<String>,
    /// PEM certificates that are trusted besides the system's, for tls://
    #[arg(long, value_name = "PATH", value_parser = optional_path())]
    pub ca_cert: Option<PathBuf>,
    /// File that keeps how far everything is certain to have arrived
    #[arg(long, value_name = "PATH", value_parser = optional_path())]
    pub cursor: Option<PathBuf>,
    /// Folder with the database
    #[arg(long = "data", env = "DATA_DIR", value_name = "PATH", default_value = "./data")]
    pub data_dir: PathBuf,
}
