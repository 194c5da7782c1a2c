//! Rows for the audit that were written with what they speak of, in the file that has it: from there they go to the audit.

use super::{Dependencies, Result};
use crate::{
    history::AuditEntry,
    store::{Outbox, Waiting},
};

/// A row as it is announced.
pub(super) fn row(entry: &AuditEntry) -> String {
    serde_json::to_string(entry).unwrap_or_default()
}

impl Dependencies {
    /// Writes rows to the audit that were announced.
    ///
    /// # Errors
    /// One of them is not in the audit: it is at the next start, unless it is taken back before.
    pub(super) async fn audit_announced(&self, outbox: &Outbox, numbers: &[i64]) -> Result<()> {
        for row in outbox.waiting_of(numbers).await? {
            self.audit_row(outbox, row).await?;
        }
        Ok(())
    }

    /// As [`Self::audit_announced`], of something that is done whether or not the audit can be written now.
    pub(super) async fn audit_announced_or_later(&self, outbox: &Outbox, numbers: &[i64]) {
        if let Err(error) = self.audit_announced(outbox, numbers).await {
            tracing::warn!(%error, "a row could not be written to the audit: it is at the next start");
        }
    }

    /// Writes what a former process announced and did not come to write. Answers how many rows that were.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(super) async fn audit_left_over(&self, outbox: &Outbox) -> Result<usize> {
        let waiting = outbox.waiting().await?;
        let count = waiting.len();
        for row in waiting {
            if let Err(error) = self.audit_row(outbox, row).await {
                tracing::warn!(%error, "a row of before could not be written to the audit: it is at the next start");
            }
        }
        Ok(count)
    }

    async fn audit_row(&self, outbox: &Outbox, row: Waiting) -> Result<()> {
        let number = row.number;
        if let Ok(entry) = serde_json::from_str::<AuditEntry>(&row.entry) {
            self.journal.audit(vec![entry]).await?;
        } else {
            tracing::error!(number, "a row cannot be read, and is left out of the audit");
        }
        if let Err(error) = outbox.done(number).await {
            tracing::warn!(%error, number, "a row may come to stand in the audit twice");
        }
        Ok(())
    }
}
