//! What the object store is asked to do. Calls of people overtake bulk work.

use std::{
    collections::VecDeque,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use jiff::Timestamp;
use tokio::sync::oneshot;

use super::{
    object::{FileKey, Kind, Row},
    scan::FileScan,
    walk::{Identity, Signatures},
};
use crate::{
    desired::{DesiredError, Version},
    model::hr::HrMarksPatch,
};

/// Answers one message.
pub(super) type Reply<T> = oneshot::Sender<Result<T, DesiredError>>;

/// An object as it stands.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub row: Arc<Row>,
    /// Line of its document.
    pub line: u32,
}

/// A message that somebody waits for.
pub(super) enum Urgent {
    /// A file was just written.
    Refresh(FileScan, Reply<()>),
    /// Reads one object.
    Get(Kind, String, Reply<Option<Found>>),
    /// Lets a tombstone go.
    Release(Kind, String, Reply<()>),
    /// A hold's file was removed on purpose: no tombstone, and no finalizer to wait for.
    Lift(FileScan, String, Reply<()>),
    /// What an event of HR leaves on a user.
    Mark(String, HrMarksPatch, Reply<()>),
    /// Tombstones with their resource versions are on disk.
    Durable(Vec<(u32, u64)>),
    /// What the first load saw of the files.
    Signatures(Reply<Signatures>),
}

/// A message that can wait its turn.
pub(super) enum Bulk {
    /// A file was read.
    Scan(FileScan),
    /// Status as JSON.
    Report(Kind, String, String, Reply<Version>),
    /// The folders were walked.
    Walked(Walked),
}

/// What a walk found.
#[derive(Debug)]
pub(super) struct Walked {
    /// Identity of the people's folder, or why it cannot be read.
    pub people: Result<Identity, String>,
    /// Sub-folders that cannot be listed, as people name them, with the reason.
    pub unreadable: Vec<(String, String)>,
    pub at: Timestamp,
}

/// A message.
pub(super) enum Message {
    Urgent(Urgent),
    Bulk(Box<Bulk>),
    /// The time that was given has come.
    Timeout,
    /// The source is being closed.
    Closed,
}

#[derive(Default)]
struct Slots {
    urgent: VecDeque<Urgent>,
    bulk: VecDeque<Bulk>,
    closed: bool,
}

/// Two queues. Cheap to share.
#[derive(Default)]
pub(super) struct Mailbox {
    slots: Mutex<Slots>,
    wake: Condvar,
}

impl Mailbox {
    fn lock(&self) -> MutexGuard<'_, Slots> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn urgent(&self, message: Urgent) {
        let mut slots = self.lock();
        if !slots.closed {
            slots.urgent.push_back(message);
            self.wake.notify_one();
        }
    }

    pub fn bulk(&self, message: Bulk) {
        let mut slots = self.lock();
        if !slots.closed {
            slots.bulk.push_back(message);
            self.wake.notify_one();
        }
    }

    /// No more messages; those that wait are dropped, and with them their answers.
    pub fn close(&self) {
        let mut slots = self.lock();
        *slots = Slots {
            closed: true,
            ..Slots::default()
        };
        self.wake.notify_all();
    }

    /// The next message, waiting until `until` at most.
    pub fn next(&self, until: Option<Instant>) -> Message {
        let mut slots = self.lock();
        loop {
            if slots.closed {
                return Message::Closed;
            }
            if let Some(message) = slots.urgent.pop_front() {
                return Message::Urgent(message);
            }
            let now = Instant::now();
            if until.is_some_and(|until| until <= now) {
                return Message::Timeout;
            }
            if let Some(message) = slots.bulk.pop_front() {
                return Message::Bulk(Box::new(message));
            }
            slots = match until {
                Some(until) => {
                    self.wake
                        .wait_timeout(slots, until - now)
                        .unwrap_or_else(PoisonError::into_inner)
                        .0
                }
                None => self.wake.wait(slots).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }

    /// What somebody waits for at this moment, in order.
    pub fn take_urgent(&self) -> VecDeque<Urgent> {
        std::mem::take(&mut self.lock().urgent)
    }

    /// Sends a message that is answered, and waits on this thread.
    pub fn ask<T>(&self, message: impl FnOnce(Reply<T>) -> Urgent) -> Result<T, DesiredError> {
        let (reply, answer) = oneshot::channel();
        self.urgent(message(reply));
        answer.blocking_recv().unwrap_or_else(|_| Err(closed()))
    }

    /// [`Self::ask`], without blocking.
    pub async fn ask_async<T>(&self, message: impl FnOnce(Reply<T>) -> Urgent) -> Result<T, DesiredError> {
        let (reply, answer) = oneshot::channel();
        self.urgent(message(reply));
        answer.await.unwrap_or_else(|_| Err(closed()))
    }
}

/// The answer of a source that is being closed.
pub(super) fn closed() -> DesiredError {
    DesiredError::Unavailable("the folder is being closed".to_owned())
}

/// A wish to have files read (again).
#[derive(Debug, Clone)]
pub(super) struct Wish {
    pub file: FileKey,
    /// Not before.
    pub due: Instant,
}
