//! Something to be written, and whom to tell what came of it.

use std::panic::{AssertUnwindSafe, catch_unwind};

use rusqlite::{Connection, ffi};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::error::StoreError;

/// What somebody wants of a connection.
pub(super) type Question<T> = Box<dyn FnOnce(&Connection) -> rusqlite::Result<T> + Send>;

/// A job in the queue.
pub(super) struct Job {
    asked: Box<dyn Asked>,
    /// One of the places in the queue.
    _place: OwnedSemaphorePermit,
}

impl Job {
    pub(super) fn new<T: Send + 'static>(
        work: Question<T>,
        reply: oneshot::Sender<Result<T, StoreError>>,
        place: OwnedSemaphorePermit,
    ) -> Self {
        let asked = Box::new(Typed {
            work: Some(work),
            found: None,
            reply,
        });
        Self { asked, _place: place }
    }

    /// Does the work, once.
    pub(super) fn run(&mut self, conn: &Connection) -> rusqlite::Result<()> {
        self.asked.run(conn)
    }

    /// Answers: what the work found, which is durable; or why nothing of it was written.
    pub(super) fn answer(self, outcome: Result<(), StoreError>) {
        self.asked.answer(outcome);
    }
}

trait Asked: Send {
    fn run(&mut self, conn: &Connection) -> rusqlite::Result<()>;
    fn answer(self: Box<Self>, outcome: Result<(), StoreError>);
}

struct Typed<T> {
    work: Option<Question<T>>,
    found: Option<T>,
    reply: oneshot::Sender<Result<T, StoreError>>,
}

impl<T: Send> Asked for Typed<T> {
    fn run(&mut self, conn: &Connection) -> rusqlite::Result<()> {
        let Some(work) = self.work.take() else {
            return Ok(());
        };
        // Its savepoint is rolled back, and others must not lose their writer.
        let found = catch_unwind(AssertUnwindSafe(|| work(conn))).unwrap_or_else(|_| Err(panicked()))?;
        self.found = Some(found);
        Ok(())
    }

    fn answer(self: Box<Self>, outcome: Result<(), StoreError>) {
        let answer = match (outcome, self.found) {
            (Ok(()), Some(found)) => Ok(found),
            (Err(error), _) => Err(error),
            // Dropping the reply says that there is nobody left who could write.
            (Ok(()), None) => return,
        };
        // Whoever asked may have stopped waiting.
        let _ = self.reply.send(answer);
    }
}

fn panicked() -> rusqlite::Error {
    let what = "the work ended in a panic: please report it, with the log".to_owned();
    rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_ERROR), Some(what))
}
