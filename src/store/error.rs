//! What can go wrong, in words that say what to do.

/// Why a store could not be read or written.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// The file was written by a newer version of the operator.
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
    /// The file is damaged, or is no database of this program.
    #[error("{path} is damaged: {message}: move it away and restore a backup")]
    Damaged {
        /// Path of the file.
        path: String,
        /// What is wrong with it.
        message: String,
    },
    /// Locked, full disk, no permission: trying again may help. The text says of which store, why, and what to do.
    #[error("{0}")]
    Unavailable(String),
}
