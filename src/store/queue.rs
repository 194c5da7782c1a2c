//! The way to the writer: a bounded queue, and the thread at its end.

use std::{
    sync::{Arc, PoisonError, mpsc},
    thread,
};

use rusqlite::Connection;
use tokio::sync::{Semaphore, oneshot};

use super::{
    error::StoreError,
    file::File,
    inbox::{AllApart, Apart, Inbox, Message},
    job::{Job, Question},
    writer::Writer,
};

/// Jobs that may wait; whoever brings another one waits for a place.
pub(super) const PLACES: usize = 1024;

/// Dropping it waits until everything that was handed over is written.
pub(super) struct Queue {
    /// None only while it is dropped.
    sender: Option<mpsc::Sender<Message>>,
    pub(super) places: Arc<Semaphore>,
    apart: AllApart,
    thread: Option<thread::JoinHandle<()>>,
}

impl Queue {
    /// Starts the thread.
    ///
    /// # Errors
    /// The system has no thread to give.
    pub(super) fn serve(file: &File, writer: Writer) -> Result<Self, StoreError> {
        let (sender, inbox) = mpsc::channel();
        let apart = writer.apart();
        let stem = file.path.file_stem().unwrap_or_default().to_string_lossy();
        let thread = thread::Builder::new()
            .name(format!("{stem}-writer"))
            .spawn(move || writer.run(&Inbox(inbox)))
            .map_err(|error| file.unavailable(format!("no thread can be started: {error}")))?;
        Ok(Self {
            sender: Some(sender),
            places: Arc::new(Semaphore::new(PLACES)),
            apart,
            thread: Some(thread),
        })
    }

    /// Hands a job over and waits until it is durable. `None` if the writer has stopped.
    pub(super) async fn write<T: Send + 'static>(&self, job: Question<T>) -> Option<Result<T, StoreError>> {
        let place = Arc::clone(&self.places).acquire_owned().await.ok()?;
        let (reply, answer) = oneshot::channel();
        let job = Job::new(job, reply, place);
        self.sender.as_ref()?.send(Message::Job(job)).ok()?;
        answer.await.ok()
    }

    /// Does something on the writer's connection between two transactions, and answers it. `None` if the file is closed, or the
    /// writer has stopped.
    pub(super) async fn apart<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> T + Send + 'static,
    ) -> Option<T> {
        let (reply, answer) = oneshot::channel();
        let work: Apart = Box::new(move |conn| {
            // Whoever asked may have stopped waiting.
            let _ = reply.send(work(conn));
        });
        self.apart.lock().unwrap_or_else(PoisonError::into_inner).push(work);
        self.wake();
        answer.await.ok()
    }

    /// Tells the writer that its companion has work.
    pub(super) fn wake(&self) {
        if let Some(sender) = &self.sender {
            // The writer lives for as long as this does.
            let _ = sender.send(Message::Wake);
        }
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        self.sender = None;
        if let Some(thread) = self.thread.take() {
            // It has no panic of its own to report.
            let _ = thread.join();
        }
    }
}
