//! The way to the writer: a bounded queue, and the thread at its end.

use std::{
    sync::{Arc, mpsc},
    thread,
};

use tokio::sync::{Semaphore, oneshot};

use super::{
    audit::Stamped,
    error::HistoryError,
    spool::Spool,
    writer::{Job, Message, Work, Writer},
};

/// Jobs that may wait; whoever brings another one waits for a place.
pub(super) const PLACES: usize = 1024;

/// Dropping it waits until everything that was handed over is written.
pub(super) struct Queue {
    /// None only while it is dropped.
    sender: Option<mpsc::Sender<Message>>,
    pub(super) places: Arc<Semaphore>,
    spool: Arc<Spool>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Queue {
    /// Starts the thread.
    ///
    /// # Errors
    /// The system has no thread to give.
    pub(super) fn serve(writer: Writer, spool: Arc<Spool>) -> Result<Self, HistoryError> {
        let (sender, inbox) = mpsc::channel();
        let thread = thread::Builder::new()
            .name("history-writer".to_owned())
            .spawn(move || writer.run(&inbox))
            .map_err(|error| HistoryError::Unavailable(format!("no thread can be started for history: {error}")))?;
        Ok(Self {
            sender: Some(sender),
            places: Arc::new(Semaphore::new(PLACES)),
            spool,
            thread: Some(thread),
        })
    }

    pub(super) fn spool(&self) -> &Spool {
        &self.spool
    }

    /// Hands work over and waits until it is durable.
    ///
    /// # Errors
    /// Nothing was written.
    pub(super) async fn write(&self, work: Work) -> Result<(), HistoryError> {
        let stopped = || HistoryError::Unavailable("the writer has stopped: restart vpn-operator".to_owned());
        let place = Arc::clone(&self.places).acquire_owned().await.map_err(|_| stopped())?;
        let (reply, answer) = oneshot::channel();
        let job = Job {
            work,
            reply,
            _place: place,
        };
        self.sender
            .as_ref()
            .and_then(|sender| sender.send(Message::Job(job)).ok())
            .ok_or_else(stopped)?;
        answer.await.map_err(|_| stopped())?
    }

    /// Keeps entries for later. Says whether they would survive a crash.
    pub(super) async fn spool_later(&self, entries: Vec<Stamped>) -> bool {
        let spool = Arc::clone(&self.spool);
        let durable = tokio::task::spawn_blocking(move || spool.push(entries)).await;
        if let Some(sender) = &self.sender {
            // The writer lives for as long as this does.
            let _ = sender.send(Message::Wake);
        }
        durable.unwrap_or(false)
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
