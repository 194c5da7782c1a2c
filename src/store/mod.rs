//! One SQLite file: one thread that writes it and groups commits, and a few connections that read it.
//!
//! A job is any closure. It runs in a savepoint of the writer's next transaction, which it shares with whatever else waits, so
//! that all of them share one flush of the disk; each is answered its own result once that is durable. What stands in the file
//! is the business of the room that has it: it says so in a [`Schema`].
//!
//! A file that cannot be used as it is, is refused and left as it is. A room that can do without its file has a [`Keeper`]: then
//! it is moved aside, and a new one is begun with what could be read of it.
//!
//! It uses the clock and `sqlite`. It must never be waited for before a denial takes effect.

mod companion;
mod connection;
mod copy;
mod error;
mod file;
mod health;
mod inbox;
mod job;
mod lifecycle;
mod migrations;
mod outbox;
mod queue;
mod readers;
mod scrub;
#[cfg(test)]
mod tests;
mod transaction;
mod writer;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use jiff::Timestamp;
use rusqlite::Connection;

pub(crate) use self::outbox::outbox_table;
pub use self::{
    companion::{Companion, Keeper, Part, Run},
    error::StoreError,
    file::Schema,
    outbox::{Outbox, Waiting},
};
use self::{
    file::File,
    health::Health,
    lifecycle::{Beside, Lifecycle},
    queue::Queue,
    readers::Readers,
    writer::Writer,
};
use crate::{
    clock::{SharedClock, SystemClock},
    sqlite,
};

/// One SQLite file. Cheap to clone. When the last clone is dropped, what was handed over is written and the file is closed.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

/// Bytes on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    /// Of the file.
    pub file: u64,
    /// Of its write-ahead log.
    pub log: u64,
}

struct Inner {
    file: Arc<File>,
    clock: SharedClock,
    health: Arc<Health>,
    readers: Arc<Readers>,
    /// None when nothing can ever be written.
    queue: Option<Queue>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        // Before the writer closes: whoever closes last writes the log back.
        self.readers.forget();
    }
}

impl Store {
    /// Opens or creates the file and brings it to the present schema. Blocks on the disk.
    ///
    /// # Errors
    /// A newer, damaged, foreign, locked or unwritable file; nothing is changed then.
    pub fn open(path: &Path, schema: Schema, clock: SharedClock) -> Result<Self, StoreError> {
        Self::start(path, schema, clock, Beside::Nobody, true)
    }

    /// As [`Self::open`], but a file that cannot be opened stands in nobody's way: every call answers the error,
    /// [`Self::last_error`] shows it, and opening is tried again every second.
    ///
    /// # Errors
    /// No thread can be started.
    pub fn open_or_retry(path: &Path, schema: Schema, clock: SharedClock) -> Result<Self, StoreError> {
        Self::start(path, schema, clock, Beside::Nobody, false)
    }

    /// Opens the file with a companion, whose work goes into transactions in front of the jobs; as [`Self::open`] if it
    /// `must_open`, otherwise as [`Self::open_or_retry`].
    ///
    /// # Errors
    /// Those of the two.
    pub fn open_with(
        path: &Path,
        schema: Schema,
        clock: SharedClock,
        companion: Arc<dyn Companion>,
        must_open: bool,
    ) -> Result<Self, StoreError> {
        Self::start(path, schema, clock, Beside::Companion(companion), must_open)
    }

    /// Opens or creates a file that its keeper can do without: whatever is wrong with it stands in nobody's way. The keeper
    /// is told what stands in it before this returns; what becomes of it says [`Self::found`].
    ///
    /// # Errors
    /// No thread can be started.
    pub fn open_kept(
        path: &Path,
        schema: Schema,
        clock: SharedClock,
        keeper: Arc<dyn Keeper>,
    ) -> Result<Self, StoreError> {
        Self::start(path, schema, clock, Beside::Keeper(keeper), false)
    }

    fn start(
        path: &Path,
        schema: Schema,
        clock: SharedClock,
        beside: Beside,
        must_open: bool,
    ) -> Result<Self, StoreError> {
        let mut inner = Inner::without_writer(path.to_owned(), schema, clock);
        let mut writer = Writer::new(
            Arc::clone(&inner.file),
            Arc::clone(&inner.clock),
            Arc::clone(&inner.health),
            Arc::clone(&inner.readers),
            Lifecycle::new(Arc::clone(&inner.file), Arc::clone(&inner.health), beside),
        );
        match writer.start() {
            Err(error) if must_open => return Err(error),
            // What is wrong is known to everybody who asks.
            Ok(()) | Err(_) => {}
        }
        inner.queue = Some(Queue::serve(&inner.file, writer)?);
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Opens the file for reading, also while another process owns it: for `doctor` and the command line. Every write
    /// answers an error. Nothing is opened yet: the first question answers what is wrong with the file.
    #[must_use]
    pub fn open_read_only(path: &Path, schema: Schema, clock: SharedClock) -> Self {
        Self {
            inner: Arc::new(Inner::without_writer(path.to_owned(), schema, clock)),
        }
    }

    /// A store whose every call answers this error.
    #[must_use]
    pub fn degraded(schema: Schema, error: StoreError) -> Self {
        let inner = Inner::without_writer(PathBuf::new(), schema, Arc::new(SystemClock));
        inner.health.failed(error, true, inner.clock.now());
        Self { inner: Arc::new(inner) }
    }

    /// Runs a job in the writer's next transaction, in a savepoint of its own, and answers its result once it is durable.
    /// A job that fails leaves nothing behind and harms no other of its group. Jobs run in the order in which they were handed
    /// over; each sees what those before it wrote. A job that was handed over runs, also if nobody waits for its answer any
    /// more.
    ///
    /// What a job looks for and does not find is an answer of its own ([`rusqlite::OptionalExtension`]): an error without a
    /// code of SQLite means values that this program never writes, and is taken for damage.
    ///
    /// # Errors
    /// Nothing of this job was written.
    pub async fn write<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let inner = &self.inner;
        let refused = || match inner.health.last_error() {
            Some(error) => error,
            None => inner.file.unavailable("it was opened for reading only"),
        };
        let stopped = || inner.file.unavailable("the writer has stopped: restart vpn-operator");
        let queue = inner.queue.as_ref().ok_or_else(refused)?;
        queue.write(Box::new(job)).await.ok_or_else(stopped)?
    }

    /// Answers a question from what is durable, on a thread for blocking work. Never waits for the writer.
    ///
    /// # Errors
    /// The file cannot be read.
    pub async fn read<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.ask(move |conn, file| question(conn).map_err(|error| file.sqlite(&error)))
            .await
    }

    /// A connection of one's own that only reads, for whoever reads on a thread of their own; and its generation: once
    /// [`Self::generation`] is another one, the file it reads may not be the one that is written any more.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn reader(&self) -> Result<(u64, Connection), StoreError> {
        match self.inner.health.closed() {
            Some(error) => Err(error),
            None => self.inner.readers.open(),
        }
    }

    /// Of which generation the connections are that read the file as it is now.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.inner.readers.generation()
    }

    /// Looks at every page of the file.
    ///
    /// # Errors
    /// The file cannot be read, or the first thing that is wrong with it.
    pub async fn check(&self) -> Result<(), StoreError> {
        self.ask(|conn, file| sqlite::quick_check(conn, &file.path).map_err(|fault| file.fault(fault)))
            .await
    }

    /// Copies the file as it is now to another one (mode 0600), which is replaced at once and whole. Nobody waits for it.
    ///
    /// # Errors
    /// The file cannot be read or the copy not be written; what was there before is still there.
    pub async fn backup_to(&self, target: &Path) -> Result<(), StoreError> {
        let target = target.to_owned();
        self.ask(move |conn, file| copy::copy(conn, file, &target)).await
    }

    /// Copies the file as [`Self::backup_to`] does, on the writer's own connection: for a file that no other one can read.
    /// Writing waits for it.
    ///
    /// # Errors
    /// As [`Self::backup_to`]; or the file is closed at present.
    pub async fn backup_by_writer(&self, target: &Path) -> Result<(), StoreError> {
        let inner = &self.inner;
        let (file, target) = (Arc::clone(&inner.file), target.to_owned());
        let closed = || match inner.health.last_error() {
            Some(error) => error,
            None => inner.file.unavailable("it is not open for writing"),
        };
        let queue = inner.queue.as_ref().ok_or_else(closed)?;
        let copied = queue.apart(move |conn| copy::copy(conn, &file, &target)).await;
        copied.ok_or_else(closed)?
    }

    /// Tells the writer that its companion has work.
    pub fn wake(&self) {
        if let Some(queue) = &self.inner.queue {
            queue.wake();
        }
    }

    /// Bytes on the disk; none for what is not there. Blocks on the disk for as long as it takes to look.
    #[must_use]
    pub fn sizes(&self) -> Sizes {
        let path = self.path();
        let size = |path: &Path| fs::metadata(path).map_or(0, |metadata| metadata.len());
        Sizes {
            file: size(path),
            log: size(&sqlite::log_of(path)),
        }
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.inner.file.path
    }

    /// The time by the clock that the store was opened with.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.inner.clock.now()
    }

    /// That the file is damaged, for whoever finds that what stands in it cannot be.
    #[must_use]
    pub fn damaged(&self, message: impl Into<String>) -> StoreError {
        self.inner.file.damaged(message)
    }

    /// What an error of SQLite means that somebody met on a [connection of their own](Self::reader).
    #[must_use]
    pub fn error(&self, error: &rusqlite::Error) -> StoreError {
        self.inner.file.sqlite(error)
    }

    /// The last error of the writer, while it lasts.
    #[must_use]
    pub fn last_error(&self) -> Option<StoreError> {
        self.inner.health.last_error()
    }

    /// The last error of the writer and since when nothing can be written, while that is so.
    #[must_use]
    pub fn failing(&self) -> Option<(Timestamp, StoreError)> {
        self.inner.health.failing()
    }

    /// What was found wrong with a file that was begun anew, and what became of it; until the process ends.
    #[must_use]
    pub fn found(&self) -> Vec<String> {
        self.inner.health.all_found()
    }

    /// Transactions that were committed since opening: many jobs share one.
    #[must_use]
    pub fn commits(&self) -> u64 {
        self.inner.health.commits()
    }

    async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Connection, &File) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let inner = &self.inner;
        if let Some(error) = inner.health.closed() {
            return Err(error);
        }
        let file = Arc::clone(&inner.file);
        inner.readers.ask(move |conn| question(conn, &file)).await
    }
}

impl Inner {
    fn without_writer(path: PathBuf, schema: Schema, clock: SharedClock) -> Self {
        let file = Arc::new(File { path, schema });
        Self {
            clock,
            health: Arc::new(Health::of(schema.name)),
            readers: Arc::new(Readers::new(Arc::clone(&file))),
            file,
            queue: None,
        }
    }
}
