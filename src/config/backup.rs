//! Settings of backups.

use std::{path::PathBuf, time::Duration};

use clap::Args;

use super::values;

/// Backups that the operator takes while it runs.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Backups")]
pub struct Backup {
    /// Folder for backups of the data folder's databases and holds. None are taken when absent. Best on another disk
    #[arg(id = "backup-folder", long = "backup-dir", env = "BACKUP_DIR", value_name = "PATH", value_parser = values::optional_path())]
    pub folder: Option<PathBuf>,
    /// From one backup to the next
    #[arg(long = "backup-every", env = "BACKUP_EVERY", value_name = "TIME", default_value = "24h", value_parser = values::backup_interval)]
    pub every: Duration,
    /// How many backups are kept, the latest
    #[arg(
        long = "backup-keep",
        env = "BACKUP_KEEP",
        value_name = "N",
        default_value_t = 14,
        value_parser = clap::value_parser!(u32).range(1..=10_000)
    )]
    pub keep: u32,
}

impl Backup {
    /// Where backups go, how often, and how many are kept; `None` when none are wanted.
    #[must_use]
    pub fn plan(&self) -> Option<(PathBuf, Duration, usize)> {
        let folder = self.folder.clone().filter(|folder| !folder.as_os_str().is_empty())?;
        Some((folder, self.every, usize::try_from(self.keep).unwrap_or(usize::MAX)))
    }
}
