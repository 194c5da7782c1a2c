//! One process owns the database.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use super::fault::Fault;

/// Held for as long as the process owns the database; the kernel lets go of it however the process ends.
#[derive(Debug)]
pub struct OwnerLock {
    file: File,
}

impl OwnerLock {
    /// Takes the lock file beside the database (`history.db` → `history.lock`).
    ///
    /// # Errors
    /// Another process has it (its id is named if it can be read), or the folder cannot be written.
    pub fn take(database: &Path) -> Result<Self, Fault> {
        let path = database.with_extension("lock");
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(|error| Fault::io("open", &path, &error))?;
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
                return Err(Fault::InUse(format!(
                    "{} is in use by {owner}: stop that vpn-operator first, one process owns the database",
                    database.display()
                )));
            }
            Err(TryLockError::Error(error)) => return Err(Fault::io("lock", &path, &error)),
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
