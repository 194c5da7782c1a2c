//! Looking at a backup: whether it is what was written, and can be used.

use std::path::Path;

use super::{
    error::BackupError,
    manifest::Manifest,
    take::{HISTORY, audit_end, examine},
};

/// Compares every file with the manifest, looks at every page of the databases, and walks the chain of the audit.
///
/// # Errors
/// The first thing that is wrong.
pub async fn check(folder: &Path) -> Result<Manifest, BackupError> {
    let manifest = Manifest::read(folder)?;
    for file in &manifest.files {
        file.verify(folder)?;
        if file.schema_version.is_some() {
            examine(&folder.join(&file.name))?;
        }
    }
    if let Some(noted) = &manifest.audit {
        let path = folder.join(HISTORY);
        let found = audit_end(&path).await?;
        if found != *noted {
            return Err(BackupError::Broken {
                path,
                why: format!("its audit ends at row {}, the manifest says {}", found.seq, noted.seq),
            });
        }
    }
    Ok(manifest)
}
