//! Arguments of `history`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{ask::Ask, output::OutputArgs};
use crate::config::optional_path;

/// Arguments of `history`.
#[derive(Debug, Args)]
pub struct HistoryArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: HistoryCommand,
}

/// What to do with what the operator has recorded.
#[derive(Debug, Subcommand)]
pub enum HistoryCommand {
    /// Take a backup of a data folder; the operator that runs on it, if one does, takes it into its `BACKUP_DIR`
    #[command(after_help = "\
Examples:
  vpn-operator history backup --to /backup
  vpn-operator history backup --data /var/lib/vpn-operator --to /backup

A folder with the date is made there, with every database, the holds, and manifest.json.
It is checked before it gets its name. Secrets are not in it: keep them apart. While an
operator runs on the folder it is asked, and takes the backup into its own BACKUP_DIR.")]
    Backup(TakeArgs),
    /// Put a backup back into a data folder that no operator runs on
    #[command(after_help = "\
Examples:
  vpn-operator history restore /backup/2026-03-15T020000Z --data /var/lib/vpn-operator

The backup is checked first. Databases that are there are moved aside, never deleted. Holds
that are there stay, and those of the backup come on top: a denial is never undone by this.
docs/recovery.md has the whole order of a recovery.")]
    Restore(RestoreArgs),
    /// Check a backup, or the data folder: files, pages, and the chain of the audit
    #[command(after_help = "\
Examples:
  vpn-operator history check
  vpn-operator history check /backup/2026-03-15T020000Z
  vpn-operator history check /backup/history.db")]
    Check(CheckArgs),
}

/// Arguments of `history backup`.
#[derive(Debug, Args)]
pub struct TakeArgs {
    /// Folder in which the backup gets a folder of its own
    #[arg(long, env = "BACKUP_DIR", value_name = "PATH", value_parser = optional_path())]
    pub to: Option<PathBuf>,
    /// Ask.
    #[command(flatten)]
    pub ask: Ask,
}

/// Arguments of `history restore`.
#[derive(Debug, Args)]
pub struct RestoreArgs {
    /// Folder of the backup
    #[arg(value_name = "FROM")]
    pub from: PathBuf,
    /// Data.
    #[command(flatten)]
    pub data: DataArgs,
    /// Output.
    #[command(flatten)]
    pub output: OutputArgs,
}

/// Arguments of `history check`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// Folder of a backup, or a history.db; that of the data folder when absent
    #[arg(value_name = "PATH")]
    pub path: Option<PathBuf>,
    /// Data.
    #[command(flatten)]
    pub data: DataArgs,
    /// Output.
    #[command(flatten)]
    pub output: OutputArgs,
}

/// Which data folder.
#[derive(Debug, Args)]
pub struct DataArgs {
    /// Data folder of the operator
    #[arg(long = "data", env = "DATA_DIR", value_name = "PATH", default_value = "./data")]
    pub data_dir: PathBuf,
}
