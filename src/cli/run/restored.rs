//! A backup that was put back while nothing ran becomes a row of the audit.

use std::path::PathBuf;

use tokio_util::sync::CancellationToken;

use crate::{
    backup::{NotedRestore, forget_restores, noted_restores},
    history::{AuditEntry, History},
};

/// Action of the row.
const ACTION: &str = "history.restored";

/// Says in the audit what was restored since the last start, and waits for `cancel`. Who crashes in between says it twice rather
/// than never.
pub async fn tell(history: History, data: PathBuf, cancel: CancellationToken) {
    match noted_restores(&data) {
        Ok(restores) if restores.is_empty() => {}
        Ok(restores) => {
            for restore in &restores {
                tracing::warn!(taken_at = %restore.taken_at, by = restore.by, "a backup was put back before this start");
            }
            if history.audit_or_spool(restores.into_iter().map(entry).collect()).await
                && let Err(error) = forget_restores(&data)
            {
                tracing::warn!(%error, "that a backup was put back will be said again at the next start");
            }
        }
        Err(error) => tracing::warn!(%error, "what was restored before this start cannot be read"),
    }
    cancel.cancelled().await;
}

fn entry(restore: NotedRestore) -> AuditEntry {
    AuditEntry {
        reason: Some(format!(
            "the backup of {} was put back at {}",
            restore.taken_at, restore.at
        )),
        // Nothing in it can fail.
        after: serde_json::to_string(&restore).ok(),
        actor: restore.by,
        source: "cli".to_owned(),
        action: ACTION.to_owned(),
        ..AuditEntry::default()
    }
}
