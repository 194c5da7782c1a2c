//! Where the head of the audit is published: a place that whoever can write the database cannot write.

use std::{
    fs::{self, OpenOptions},
    io::{ErrorKind, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use async_trait::async_trait;

use crate::sqlite;

/// A place for one short text.
#[async_trait]
pub trait HeadPlace: Send + Sync + 'static {
    /// Its name, for people and for the audit.
    fn name(&self) -> String;

    /// Shortest time between two writes.
    fn pace(&self) -> Duration;

    /// What stands there; `None` if nothing was ever written.
    ///
    /// # Errors
    /// It cannot be read: why, and what to do.
    async fn read(&self) -> Result<Option<String>, String>;

    /// Replaces what stands there, whole or not at all. Durable when it returns.
    ///
    /// # Errors
    /// What stood there is still there: why, and what to do.
    async fn write(&self, text: String) -> Result<(), String>;
}

/// A file. On another disk, or a mount that only the operator's user may write, it is worth more than beside the database.
#[derive(Debug)]
pub struct HeadFile(PathBuf);

impl HeadFile {
    /// The file at this path; its folder must be there.
    #[must_use]
    pub fn new(path: &Path) -> Self {
        // One place has one name, from wherever it is looked at.
        Self(std::path::absolute(path).unwrap_or_else(|_| path.to_owned()))
    }
}

#[async_trait]
impl HeadPlace for HeadFile {
    fn name(&self) -> String {
        self.0.display().to_string()
    }

    fn pace(&self) -> Duration {
        Duration::from_secs(1)
    }

    async fn read(&self) -> Result<Option<String>, String> {
        let path = self.0.clone();
        on_disk(move || read_file(&path)).await
    }

    async fn write(&self, text: String) -> Result<(), String> {
        let path = self.0.clone();
        on_disk(move || write_file(&path, &text)).await
    }
}

async fn on_disk<T: Send + 'static>(work: impl FnOnce() -> Result<T, String> + Send + 'static) -> Result<T, String> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|_| Err("vpn-operator is stopping".to_owned()))
}

fn read_file(path: &Path) -> Result<Option<String>, String> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        // Not text: read as something that nobody of us wrote.
        Err(error) if error.kind() == ErrorKind::InvalidData => Ok(Some(String::new())),
        Err(error) => Err(sqlite::Fault::io("read", path, &error).to_string()),
    }
}

fn write_file(path: &Path, text: &str) -> Result<(), String> {
    let temporary = sqlite::beside(path, ".new");
    let written = || {
        let mut options = OpenOptions::new();
        // Nothing in it is secret, and auditors may collect it.
        let mut file = options
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o644)
            .open(&temporary)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&temporary, path)
    };
    written()
        .map_err(|error| sqlite::Fault::io("write", path, &error))
        .and_then(|()| sqlite::sync_folder(path))
        .map_err(|fault| fault.to_string())
}
