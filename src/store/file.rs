//! Which file it is, and what is wrong with it in the words of [`StoreError`].

use std::{io, path::PathBuf};

use jiff::Timestamp;
use rusqlite::Connection;

use super::error::StoreError;
use crate::sqlite::Fault;

/// What stands in a file.
#[derive(Debug, Clone, Copy)]
pub struct Schema {
    /// For messages: `history`, `the inbox of HR events`, …
    pub name: &'static str,
    /// Marks the file as one of this kind (`PRAGMA application_id`).
    pub application_id: i64,
    /// Migrations in their order, each run in a transaction of its own. `PRAGMA user_version` is how many were run; one that
    /// was released is never edited.
    pub steps: &'static [&'static str],
    /// Removes what is past retention, a bounded number of rows a call. Run once a minute at most, in a transaction that
    /// writes anyway; that it fails harms nothing else.
    pub prune: fn(&Connection, Timestamp) -> rusqlite::Result<()>,
}

impl Schema {
    /// The version that this program reads and writes.
    pub(super) fn version(&self) -> i64 {
        i64::try_from(self.steps.len()).unwrap_or(i64::MAX)
    }
}

/// A file and what should stand in it.
#[derive(Debug, Clone)]
pub(super) struct File {
    pub path: PathBuf,
    pub schema: Schema,
}

impl File {
    pub fn damaged(&self, message: impl Into<String>) -> StoreError {
        StoreError::Damaged {
            path: self.path.display().to_string(),
            message: message.into(),
        }
    }

    pub fn newer(&self, found: i64) -> StoreError {
        StoreError::Newer {
            path: self.path.display().to_string(),
            found,
            known: self.schema.version(),
        }
    }

    pub fn unavailable(&self, why: impl std::fmt::Display) -> StoreError {
        StoreError::Unavailable(format!("{} is unavailable: {why}", self.schema.name))
    }

    pub fn fault(&self, fault: Fault) -> StoreError {
        match fault {
            Fault::Damaged { path, message } => StoreError::Damaged { path, message },
            Fault::InUse(message) | Fault::Unavailable(message) => self.unavailable(message),
        }
    }

    /// An error of the file system while doing `what` to the file.
    pub fn io(&self, what: &str, error: &io::Error) -> StoreError {
        self.fault(Fault::io(what, &self.path, error))
    }

    /// What an error of SQLite means for the person who runs the operator.
    pub fn sqlite(&self, error: &rusqlite::Error) -> StoreError {
        self.fault(Fault::sqlite(&self.path, error))
    }
}
