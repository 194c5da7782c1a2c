//! Work that waits beside the queue, and goes into a transaction in front of its jobs.

use std::sync::Arc;

use jiff::Timestamp;
use rusqlite::Connection;

/// Somebody whose work waits without a caller who waits for it: what could not be written before, or is written behind.
///
/// The writer asks after each message and each pause; [`Store::wake`](super::Store::wake) tells it of new work.
pub trait Companion: Send + Sync + 'static {
    /// This process owns the file from now on. Called once, before the file is opened.
    fn owned(&self);

    /// Whether something waits.
    fn waits(&self) -> bool;

    /// What goes into the next transaction; `None` if nothing waits.
    fn next(self: Arc<Self>, now: Timestamp) -> Option<Part>;
}

/// Work on the writer's connection.
pub type Run = Box<dyn FnOnce(&Connection) -> rusqlite::Result<()> + Send>;

/// A part of a transaction.
pub struct Part {
    /// Does the work, in a savepoint of its own.
    pub run: Run,
    /// Told whether it is durable. If not, nothing of it was written, and it is asked for again after a pause.
    pub done: Box<dyn FnOnce(bool) + Send>,
}
