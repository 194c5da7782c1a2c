//! Reading the audit.

use super::{Caller, Result, UseCases, canonical};
use crate::{
    history::{AuditRow, Finding, Page},
    model::corporate_id::CorporateId,
};

/// A page of audit rows, newest first.
#[derive(Debug, Clone)]
pub struct AuditPage {
    /// The rows.
    pub rows: Vec<AuditRow>,
    /// `before` of the next page, if there may be one.
    pub next: Option<i64>,
}

impl UseCases {
    /// Somebody takes note of everything that was found broken in the audit: it counts as intact from then on. Answers what that
    /// was; nothing if there was nothing.
    ///
    /// # Errors
    /// History cannot be written.
    pub async fn acknowledge_audit(&self, caller: &Caller, reason: String) -> Result<Vec<Finding>> {
        let mut entry = caller.entry("audit.acknowledged", None);
        entry.reason = Some(reason);
        Ok(self.dependencies.journal.acknowledge(entry).await?)
    }

    /// Audit rows, of one person or of all.
    ///
    /// # Errors
    /// History cannot be read.
    pub async fn audit(&self, id: Option<&CorporateId>, limit: u32, before: Option<i64>) -> Result<AuditPage> {
        let id = id.map(|id| canonical(id).into());
        let rows = self.dependencies.journal.audit_rows(id, Page { limit, before }).await?;
        let full = u32::try_from(rows.len()).is_ok_and(|len| len >= limit);
        let next = rows.last().filter(|_| full).map(|row| row.seq);
        Ok(AuditPage { rows, next })
    }
}
