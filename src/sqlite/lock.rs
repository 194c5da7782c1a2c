//! One process owns a database, or a folder.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{self, Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use super::fault::Fault;

/// Held for as long as the process owns what the lock file stands for; the kernel lets go of it however the process ends.
#[derive(Debug)]
pub struct OwnerLock {
    file: File,
}

/// Why a lock file was not taken.
#[derive(Debug, thiserror::Error)]
pub enum NotTaken {
    /// Somebody else has it.
    #[error("in use by {owner}")]
    Owned {
        /// Who: `process ID` if that can be read.
        owner: String,
    },
    /// It cannot be made or locked.
    #[error(transparent)]
    Failed(#[from] io::Error),
}

impl OwnerLock {
    /// Takes the lock file beside the database (`history.db` → `history.lock`).
    ///
    /// # Errors
    /// Another process has it (its id is named if it can be read), or the folder cannot be written.
    pub fn take(database: &Path) -> Result<Self, Fault> {
        let path = database.with_extension("lock");
        Self::at(&path).map_err(|error| match error {
            NotTaken::Owned { owner } => Fault::InUse(format!(
                "{} is in use by {owner}: stop that vpn-operator first, one process owns the database",
                database.display()
            )),
            NotTaken::Failed(error) => Fault::io("lock", &path, &error),
        })
    }

    /// Takes this lock file, which is made if it is missing (mode 0600).
    ///
    /// # Errors
    /// Another process has it, or the folder cannot be written.
    pub fn at(path: &Path) -> Result<Self, NotTaken> {
        let mut options = OpenOptions::new();
        let options = options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let mut file = options.open(path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut owner = String::new();
                let known = file.read_to_string(&mut owner).is_ok() && owner.trim().parse::<u32>().is_ok();
                let owner = if known {
                    format!("process {}", owner.trim())
                } else {
                    "another process".to_owned()
                };
                return Err(NotTaken::Owned { owner });
            }
            Err(TryLockError::Error(error)) => return Err(error.into()),
        }
        // For people and for the message above only: a full disk must not stand in the way.
        let _ = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
        Ok(Self { file })
    }
}

impl Drop for OwnerLock {
    fn drop(&mut self) {
        // Not left to closing the file: a child process that is just being started may hold a copy of it for a moment.
        let _ = self.file.unlock();
    }
}
