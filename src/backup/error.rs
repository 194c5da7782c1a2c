//! What can go wrong, in words that say what to do.

use std::{
    io,
    path::{Path, PathBuf},
};

use crate::{sqlite::Fault, store::StoreError};

/// Why a backup was not taken, is no good, or was not put back.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The operating system refused.
    #[error("cannot {what} {path}: {error}", path = path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// With which file.
        path: PathBuf,
        /// What was said.
        error: io::Error,
    },
    /// A file of a backup is not as it should be.
    #[error("{path} cannot be used: {why}: take another backup", path = path.display())]
    Broken {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// A database cannot be read, copied or locked.
    #[error(transparent)]
    Database(#[from] Fault),
    /// The history in a backup cannot be read, or its chain is broken.
    #[error(transparent)]
    History(#[from] StoreError),
    /// There is nothing to copy.
    #[error("{path} has no database of the operator: is it the data folder?", path = path.display())]
    Nothing {
        /// The folder.
        path: PathBuf,
    },
    /// Part of the work was given up because the process is stopping.
    #[error("vpn-operator is stopping")]
    Stopping,
}

impl BackupError {
    pub(super) fn io(what: &'static str, path: &Path, error: io::Error) -> Self {
        Self::Io {
            what,
            path: path.to_owned(),
            error,
        }
    }
}
