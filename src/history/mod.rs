//! SQLite: what happened, kept for auditors and for whoever is on call.
//!
//! One writer thread that groups commits, and a pool of readers. Nothing here decides anything; nothing that is needed to
//! answer a login is read from here. No secret is ever written.

use std::{collections::HashMap, path::Path};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    clock::SharedClock,
    gateway::{Counters, NodeName, UsageDelta},
    model::access::Usage,
};

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

/// One row of the audit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditEntry {
    /// Who: a name, an address, `operator`.
    pub actor: String,
    /// By which way in: `api`, `cli`, `folder`, `hr`, `bot`, `operator`.
    pub source: String,
    /// What: `grant`, `deactivate`, `activate`, `hold.create`, `hold.release`, `rotate`, `access.granted`, `access.denied`, `guard.confirm`, …
    pub action: String,
    /// Whom it concerns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub corporate_id: Option<String>,
    /// State before, as short JSON text without secrets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    /// State after.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// Why, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Id of the request that caused it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

/// An audit row as stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditRow {
    /// Number of the row, rising without gaps.
    pub seq: i64,
    /// When, UTC.
    pub at: Timestamp,
    /// The entry.
    #[serde(flatten)]
    pub entry: AuditEntry,
}

/// A person's revocation as stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RevocationRow {
    /// Whom it concerned.
    pub corporate_id: String,
    /// Account on the gateway.
    pub account: String,
    /// Sessions of epochs below this one had to go.
    pub epoch: i64,
    /// Why: a reason constant, or `Rotated`.
    pub reason: String,
    /// Auth refused from then on.
    pub denied_at: Timestamp,
    /// No session could pass another byte from then on.
    pub contained_at: Option<Timestamp>,
    /// No session was left from then on.
    pub sessions_zero_at: Option<Timestamp>,
}

/// Which rows to read. Newest first.
#[derive(Debug, Clone, Default)]
pub struct Page {
    /// At most so many rows.
    pub limit: u32,
    /// Only rows with a lower number.
    pub before: Option<i64>,
}

/// Traffic in one hour or day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TrafficRow {
    /// Start of the hour or day, UTC.
    pub start: Timestamp,
    /// Bytes from the user.
    pub upload: u64,
    /// Bytes to the user.
    pub download: u64,
}

/// An account's totals.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Bytes from the user since the account was first seen.
    pub upload: u64,
    /// Bytes to the user since then.
    pub download: u64,
    /// What counts against quotas.
    pub usage: Usage,
}

/// The database. Cheap to clone.
#[derive(Clone)]
pub struct History {}

#[allow(clippy::unused_async, reason = "to be written")]
impl History {
    /// Opens or creates the database and migrates it.
    ///
    /// # Errors
    /// A newer, damaged, locked or unwritable file; nothing is changed then.
    pub fn open(path: &Path, clock: SharedClock) -> Result<Self, HistoryError> {
        let _ = (path, clock);
        todo!()
    }

    /// Writes audit rows in one transaction. Durable when it returns.
    ///
    /// # Errors
    /// Nothing was written.
    pub async fn audit(&self, entries: Vec<AuditEntry>) -> Result<(), HistoryError> {
        let _ = entries;
        todo!()
    }

    /// Inserts or completes a revocation (key: account and epoch). Durable when it returns.
    ///
    /// # Errors
    /// Nothing was written.
    pub async fn record_revocation(&self, row: RevocationRow) -> Result<(), HistoryError> {
        let _ = row;
        todo!()
    }

    /// Adds traffic and keeps the node's counters in one transaction. Durable when it returns.
    ///
    /// # Errors
    /// Nothing was written.
    pub async fn account_traffic(
        &self,
        node: NodeName,
        deltas: Vec<UsageDelta>,
        changed: HashMap<String, (u64, u64)>,
        reset: bool,
    ) -> Result<(), HistoryError> {
        let _ = (node, deltas, changed, reset);
        todo!()
    }

    /// Counters of a node as last kept.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn counters(&self, node: NodeName) -> Result<Counters, HistoryError> {
        let _ = node;
        todo!()
    }

    /// Totals of every account that ever moved a byte. Read once at start.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn all_totals(&self) -> Result<HashMap<String, Totals>, HistoryError> {
        todo!()
    }

    /// Totals of one account.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn totals(&self, account: String) -> Result<Totals, HistoryError> {
        let _ = account;
        todo!()
    }

    /// Audit rows, of one person or of all.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn audit_rows(&self, corporate_id: Option<String>, page: Page) -> Result<Vec<AuditRow>, HistoryError> {
        let _ = (corporate_id, page);
        todo!()
    }

    /// Revocations of one person, newest first.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn revocations(&self, corporate_id: String, limit: u32) -> Result<Vec<RevocationRow>, HistoryError> {
        let _ = (corporate_id, limit);
        todo!()
    }

    /// Traffic of one account by day, newest first.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn traffic_by_day(&self, account: String, days: u32) -> Result<Vec<TrafficRow>, HistoryError> {
        let _ = (account, days);
        todo!()
    }

    /// Checks the audit chain; answers the number of rows, or the first row that does not fit.
    ///
    /// # Errors
    /// The database cannot be read, or the chain is broken.
    pub async fn verify(&self) -> Result<i64, HistoryError> {
        todo!()
    }

    /// The last error of the writer, while it lasts.
    #[must_use]
    pub fn last_error(&self) -> Option<HistoryError> {
        todo!()
    }
}
