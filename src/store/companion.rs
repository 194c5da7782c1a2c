//! Work that waits beside the queue, and goes into a transaction in front of its jobs.

use std::{sync::Arc, time::Instant};

use jiff::Timestamp;
use rusqlite::Connection;

/// Somebody whose work waits without a caller who waits for it: what could not be written before, or is written behind.
///
/// The writer asks after each message and each pause; [`Store::wake`](super::Store::wake) tells it of new work.
pub trait Companion: Send + Sync + 'static {
    /// This process owns the file from now on. Called once, before the file is opened.
    fn owned(&self);

    /// When its work is due, which may have been long ago; `None` if nothing waits. At the end of the process nothing waits for
    /// its time.
    fn due(&self) -> Option<Instant>;

    /// What goes into the next transaction; `None` if nothing waits.
    fn next(self: Arc<Self>, now: Timestamp) -> Option<Part>;
}

/// Work on the writer's connection.
pub type Run = Box<dyn FnOnce(&Connection) -> rusqlite::Result<()> + Send>;

/// A part of a transaction.
pub struct Part {
    /// Does the work, in a savepoint of its own.
    pub run: Run,
    /// Told once whether it is durable. If not, nothing of it was written (it was not even run if the file cannot be opened),
    /// and it is asked for again after a pause.
    pub done: Box<dyn FnOnce(bool) + Send>,
}

/// A companion that can do without the file: one that cannot be used is moved aside, and a new one is begun with what could be
/// read of it. Its [`next`](Companion::next) hands over everything that waits.
pub trait Keeper: Companion {
    /// Whether others read the file while it is open, [`Store::read`](super::Store::read) among them. If nobody does, SQLite
    /// needs nothing but the log beside it: a full disk has no room for more.
    fn is_shared(&self) -> bool;

    /// Whether a file of a newer version is moved aside as well, unread. If not, it is refused and left as it is.
    fn replaces_newer(&self) -> bool;

    /// Reads the file when the process starts.
    ///
    /// # Errors
    /// It is damaged.
    fn load(&self, conn: &Connection, now: Timestamp) -> rusqlite::Result<()>;

    /// Reads what can be read of a file that is going to be replaced. From then on it waits to be written to the new one,
    /// below what waits already.
    fn rescue(&self, conn: &Connection, now: Timestamp);

    /// With what the new file begins, for people: `12 objects that could be read of it; …`.
    fn rescued(&self) -> String;
}
