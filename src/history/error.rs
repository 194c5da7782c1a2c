//! What can go wrong, in words that say what to do.

use std::{io, path::Path};

use crate::sqlite::Fault;

/// Why history could not be read or written.
#[derive(Debug, Clone, thiserror::Error)]
pub enum HistoryError {
    /// The database was written by a newer version of the operator.
    #[error(
        "{path} has schema version {found}, this version of vpn-operator knows {known}: run the newer version again, or restore the backup made before the upgrade"
    )]
    Newer {
        /// Path of the file.
        path: String,
        /// Version in the file.
        found: i64,
        /// Version of the binary.
        known: i64,
    },
    /// The file is damaged, or is no database.
    #[error("{path} is damaged: {message}: move it away and restore a backup (see docs/history.md)")]
    Damaged {
        /// Path of the file.
        path: String,
        /// What SQLite said.
        message: String,
    },
    /// Locked, full disk, no permission: trying again may help.
    #[error("history is unavailable: {0}")]
    Unavailable(String),
}

impl HistoryError {
    pub(super) fn damaged(path: &Path, message: impl Into<String>) -> Self {
        Self::Damaged {
            path: path.display().to_string(),
            message: message.into(),
        }
    }

    /// An error of the file system while doing `what` to `path`.
    pub(super) fn io(what: &str, path: &Path, error: &io::Error) -> Self {
        Fault::io(what, path, error).into()
    }

    /// What an error of SQLite means for the person who runs the operator.
    pub(super) fn sqlite(path: &Path, error: &rusqlite::Error) -> Self {
        Fault::sqlite(path, error).into()
    }
}

impl From<Fault> for HistoryError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Damaged { path, message } => Self::Damaged { path, message },
            Fault::InUse(message) | Fault::Unavailable(message) => Self::Unavailable(message),
        }
    }
}
