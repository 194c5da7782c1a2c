//! The data folder: made, writable, and owned by one process. Whoever may not write it is told whose it is.

use std::{
    fs::{DirBuilder, Metadata},
    io::{self, ErrorKind},
    os::unix::fs::{DirBuilderExt, MetadataExt},
    path::{Path, PathBuf},
};

use rustix::process::{getegid, geteuid};

use crate::sqlite::{NotTaken, OwnerLock};

/// Name of the file in the data folder that the process which owns it has locked.
pub(super) const OWNER_FILE: &str = "operator.lock";

/// Why the data folder cannot be used. Nothing in it was changed.
#[derive(Debug, thiserror::Error)]
pub enum DataFolderError {
    /// It cannot be made, read or written.
    #[error("the data folder {path} cannot be used: {error}{advice}", path = path.display())]
    Unusable {
        /// The folder.
        path: PathBuf,
        /// What the operating system said.
        error: io::Error,
        /// What to do about it; begins with a separator, empty when nothing is known.
        advice: String,
    },
    /// Another operator runs on it.
    #[error(
        "the data folder {path} is in use by {owner}: stop that vpn-operator first, or give another --data",
        path = path.display()
    )]
    Owned {
        /// The folder.
        path: PathBuf,
        /// Who owns it.
        owner: String,
    },
}

/// Makes the folder if it is missing, closed to others, and owns it for as long as the answered lock lives.
///
/// # Errors
/// It cannot be made or written, with the users concerned and what to do; or another process owns it.
pub(in crate::cli) fn own(path: &Path) -> Result<OwnerLock, DataFolderError> {
    let unusable = |error: io::Error| DataFolderError::Unusable {
        path: path.to_owned(),
        advice: advice(path, error.kind()),
        error,
    };
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(unusable)?;
    OwnerLock::at(&path.join(OWNER_FILE)).map_err(|error| match error {
        NotTaken::Owned { owner } => DataFolderError::Owned {
            path: path.to_owned(),
            owner,
        },
        NotTaken::Failed(error) => unusable(error),
    })
}

/// What to do about an error with the folder.
fn advice(path: &Path, kind: ErrorKind) -> String {
    match kind {
        ErrorKind::PermissionDenied => not_ours(path),
        ErrorKind::ReadOnlyFilesystem => {
            ". It is on a read-only file system: mount a volume there that can be written, or give another --data"
                .into()
        }
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => ". Free some space".into(),
        _ => String::new(),
    }
}

/// Names who runs this and who may write: in a container nobody sees either from outside.
fn not_ours(path: &Path) -> String {
    let (uid, gid) = (geteuid().as_raw(), getegid().as_raw());
    let me = format!(". vpn-operator runs as user {uid}, group {gid}");
    // The lock may be somebody else's in a folder of our own: a backup that another user has restored.
    let concerned = [path.join(OWNER_FILE), path.to_owned()];
    let stranger = concerned.iter().find_map(|path| {
        let metadata = path.metadata().ok()?;
        (metadata.uid() != uid).then_some((path, metadata))
    });
    match stranger {
        Some((theirs, metadata)) => format!(
            "{me}; {} belongs to {}. Give the folder to this user, where it is mounted from: chown -R {uid}:{gid} {}",
            theirs.display(),
            owner(&metadata),
            path.display()
        ),
        None if path.exists() => format!("{me}, which owns the folder: chmod -R u+rwX {}", path.display()),
        None => format!("{me}, and may not make the folder: make it, and give it to this user with chown {uid}:{gid}"),
    }
}

fn owner(metadata: &Metadata) -> String {
    let (uid, gid, mode) = (metadata.uid(), metadata.gid(), metadata.mode() & 0o777);
    format!("user {uid}, group {gid}, mode {mode:04o}")
}
