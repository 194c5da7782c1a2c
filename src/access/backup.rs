//! A backup on order.

use std::{path::PathBuf, sync::Arc, time::Duration};

use serde_json::json;

use super::{AccessError, Caller, Result, UseCases, tell};
use crate::{
    backup::{Backups, Manifest},
    desired::DesiredError,
};

/// How long the caller waits for it; it goes on behind.
const WAIT: Duration = Duration::from_secs(20);

/// What became of the order.
#[derive(Debug)]
pub enum OrderedBackup {
    /// It was taken and checked.
    Taken {
        /// Where it is.
        folder: PathBuf,
        /// What is in it.
        manifest: Manifest,
    },
    /// It is being taken, into a folder in this one.
    Begun(PathBuf),
}

impl UseCases {
    /// Takes a backup now, beside those that are taken as planned. It is taken to its end whoever stops waiting for it.
    ///
    /// # Errors
    /// No backups are planned, so that there is no folder for one; or it could not be taken.
    pub async fn back_up(&self, caller: &Caller) -> Result<OrderedBackup> {
        let Some(backups) = self.dependencies.settings.backups.clone() else {
            return Err(AccessError::Invalid {
                field: "BACKUP_DIR",
                message: "is not set: the operator has no folder for backups".to_owned(),
            });
        };
        let folder = backups.plan().folder.clone();
        let (dependencies, entry) = (Arc::clone(&self.dependencies), caller.entry("history.backup", None));
        let taking = self.tasks.spawn(async move {
            let taken = Backups::take(&backups).await;
            if let Ok((folder, manifest)) = &taken {
                let mut entry = entry;
                entry.after = Some(tell::json(&json!({
                    "folder": folder.display().to_string(),
                    "audit": manifest.audit,
                })));
                dependencies.audit_denial(entry).await;
            }
            taken
        });
        match tokio::time::timeout(WAIT, taking).await {
            Ok(Ok(Ok((folder, manifest)))) => Ok(OrderedBackup::Taken { folder, manifest }),
            Ok(Ok(Err(error))) => Err(DesiredError::Unavailable(format!("no backup could be taken: {error}")).into()),
            Ok(Err(_)) => Err(AccessError::Interrupted),
            Err(_) => Ok(OrderedBackup::Begun(folder)),
        }
    }
}
