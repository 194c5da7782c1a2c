//! Where desired state and the operator's own data live.

use std::path::{Path, PathBuf};

use clap::Args;

use super::values::{self, DesiredLocation};

/// Name of the file in the data folder that holds the generated `X-Corporate-Secret`.
pub const CORPORATE_SECRET_FILE: &str = "corporate-secret";
/// Name of the file in the data folder that holds the generated path secret of the auth listener.
pub const AUTH_TOKEN_FILE: &str = "hysteria-auth-token";
/// Name of the file in the data folder that holds the generated secret of the statistics APIs.
pub const STATS_SECRET_FILE: &str = "hysteria-stats-secret";
/// Name of the file in the data folder in which the end of the audit is published when no other is named.
pub const AUDIT_HEAD_FILE: &str = "audit-head.json";
/// Name of the database in the data folder.
pub const HISTORY_FILE: &str = "history.db";

/// Name of the file that marks a data folder as a simulation's.
pub const SIMULATED_FILE: &str = "simulated";

/// Where desired state and the operator's own data live.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "State")]
pub struct State {
    /// Where desired state lives: `folder:PATH` or `kubernetes`
    #[arg(long, env = "DESIRED", value_name = "SOURCE", default_value = "folder:./vpn")]
    pub desired: DesiredLocation,
    /// Folder for the database, the operator's own holds and generated secrets
    #[arg(long = "data", env = "DATA_DIR", value_name = "PATH", default_value = "./data")]
    pub data_dir: PathBuf,
    /// File in which the end of the audit is published, so that a database that was cut or exchanged is noticed: best on another
    /// disk than the data. `audit-head.json` in the data folder when absent
    #[arg(long = "audit-head", env = "AUDIT_HEAD_FILE", value_name = "PATH", value_parser = values::optional_path())]
    pub audit_head: Option<PathBuf>,
}

impl State {
    /// The file in which the end of the audit is published.
    #[must_use]
    pub fn audit_head(&self) -> PathBuf {
        let given = self.audit_head.clone().filter(|path| !path.as_os_str().is_empty());
        given.unwrap_or_else(|| self.data_dir.join(AUDIT_HEAD_FILE))
    }
}

/// The permission bits of a file that let others on the machine read or write it; 0 where there are none.
///
/// # Errors
/// The file cannot be looked at.
pub fn open_to_others(path: &Path) -> std::io::Result<u32> {
    use std::os::unix::fs::PermissionsExt;
    Ok(std::fs::metadata(path)?.permissions().mode() & 0o007)
}
