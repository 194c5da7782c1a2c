//! A few connections that only read, so that no question ever waits for the writer, nor the writer for it.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use rusqlite::Connection;
use tokio::sync::Semaphore;

use super::{connection, error::StoreError, file::File};

/// Questions that are answered at the same time.
const CONNECTIONS: usize = 4;

#[derive(Debug)]
pub(super) struct Readers {
    file: Arc<File>,
    idle: Mutex<Vec<(u64, Connection)>>,
    /// Connections of an earlier generation may look at a file that was since replaced.
    generation: AtomicU64,
    permits: Arc<Semaphore>,
}

impl Readers {
    pub(super) fn new(file: Arc<File>) -> Self {
        Self {
            file,
            idle: Mutex::default(),
            generation: AtomicU64::new(0),
            permits: Arc::new(Semaphore::new(CONNECTIONS)),
        }
    }

    /// Answers a question on a thread for blocking work.
    ///
    /// # Errors
    /// What the question met; its connection is not used again then.
    pub(super) async fn ask<T: Send + 'static>(
        self: &Arc<Self>,
        question: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let stopping = || self.file.unavailable("vpn-operator is stopping");
        let permit = Arc::clone(&self.permits)
            .acquire_owned()
            .await
            .map_err(|_| stopping())?;
        let readers = Arc::clone(self);
        tokio::task::spawn_blocking(move || {
            let _permit = permit;
            let (generation, conn) = readers.take()?;
            let answer = question(&conn)?;
            readers.give_back(generation, conn);
            Ok(answer)
        })
        .await
        .map_err(|_| stopping())?
    }

    /// Closes every connection; the next question opens the file anew.
    pub(super) fn forget(&self) {
        self.generation.fetch_add(1, Ordering::AcqRel);
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Rises when connections that were opened before are of no more use.
    pub(super) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// A new connection, and of which generation it is.
    pub(super) fn open(&self) -> Result<(u64, Connection), StoreError> {
        let generation = self.generation();
        Ok((generation, connection::open_reader(&self.file)?))
    }

    fn take(&self) -> Result<(u64, Connection), StoreError> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        idle.map_or_else(|| self.open(), Ok)
    }

    fn give_back(&self, generation: u64, conn: Connection) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if generation == self.generation() {
            idle.push((generation, conn));
        }
    }
}
