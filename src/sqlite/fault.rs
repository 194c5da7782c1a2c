//! What can go wrong, in words that say what to do.

use std::{io, path::Path};

use rusqlite::ErrorCode;

/// Why a SQLite file could not be read or written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The file is damaged, or is no database.
    #[error("{path} is damaged: {message}")]
    Damaged {
        /// Path of the file.
        path: String,
        /// What SQLite said.
        message: String,
    },
    /// Another process owns the file.
    #[error("{0}")]
    InUse(String),
    /// Locked, full disk, no permission: trying again may help.
    #[error("{0}")]
    Unavailable(String),
}

impl Fault {
    /// The file is damaged, as `message` says.
    #[must_use]
    pub fn damaged(path: &Path, message: impl Into<String>) -> Self {
        Self::Damaged {
            path: path.display().to_string(),
            message: message.into(),
        }
    }

    /// An error of the file system while doing `what` to `path`.
    #[must_use]
    pub fn io(what: &str, path: &Path, error: &io::Error) -> Self {
        let advice = match error.kind() {
            io::ErrorKind::PermissionDenied => ": let the user that runs vpn-operator write there",
            io::ErrorKind::ReadOnlyFilesystem => ": the folder is read-only, choose another with --data",
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ": free some space",
            io::ErrorKind::NotFound => ": create the folder, or choose another with --data",
            _ => "",
        };
        Self::Unavailable(format!("cannot {what} {}: {error}{advice}", path.display()))
    }

    /// What an error of SQLite means for the person who runs the operator.
    #[must_use]
    pub fn sqlite(path: &Path, error: &rusqlite::Error) -> Self {
        let shown = path.display();
        let advice = match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                return Self::damaged(path, error.to_string());
            }
            // A value of a type or size that this program never writes.
            None => return Self::damaged(path, error.to_string()),
            Some(ErrorCode::DiskFull) => {
                format!("no space is left for {shown}: free some, writing goes on by itself then")
            }
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::FileLockingProtocolFailed) => {
                format!("another program holds a lock on {shown} (a database shell, a backup tool): close it")
            }
            Some(ErrorCode::ReadOnly) => {
                format!("{shown} or its folder is read-only: let the user that runs vpn-operator write there")
            }
            Some(ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => {
                format!("{shown} cannot be opened: see to it that its folder exists and can be written")
            }
            Some(ErrorCode::SystemIoFailure) => format!("reading or writing {shown} failed: look at the disk"),
            Some(_) => format!("{shown} refused the operation"),
        };
        Self::Unavailable(format!("{advice} ({error})"))
    }
}

/// Whether the cause lies outside of the one job that met it, so that the next job may meet it too.
#[must_use]
pub fn is_environmental(error: &rusqlite::Error) -> bool {
    !matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::ConstraintViolation | ErrorCode::TypeMismatch | ErrorCode::TooBig | ErrorCode::Unknown)
    )
}

/// Whether the connection is of no more use after this error.
#[must_use]
pub fn needs_reopen(error: &rusqlite::Error) -> bool {
    match error.sqlite_error_code() {
        Some(code) => matches!(
            code,
            ErrorCode::SystemIoFailure
                | ErrorCode::DatabaseCorrupt
                | ErrorCode::NotADatabase
                | ErrorCode::CannotOpen
                | ErrorCode::ReadOnly
                | ErrorCode::PermissionDenied
                | ErrorCode::FileLockingProtocolFailed
                | ErrorCode::OutOfMemory
                | ErrorCode::ApiMisuse
        ),
        None => true,
    }
}
