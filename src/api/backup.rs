//! A backup on order.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What became of an ordered backup.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct BackupBody {
    /// `taken`, or `accepted` while it is still being taken.
    pub status: String,
    /// Folder of the backup; while it is being taken, the folder that it will lie in.
    pub folder: String,
    /// Files in it; null while it is being taken.
    pub files: Option<usize>,
    /// Bytes; null while it is being taken.
    pub size: Option<u64>,
    /// Number of the last audit row in it.
    pub audit_row: Option<i64>,
    /// The hash of that row.
    pub audit_hash: Option<String>,
}
