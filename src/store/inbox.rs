//! What is handed over, on its way to the writer.

use std::{
    sync::{
        Arc, Mutex,
        mpsc::{Receiver, RecvTimeoutError, TryRecvError},
    },
    time::{Duration, Instant},
};

use rusqlite::Connection;

use super::job::Job;

/// What somebody does with the writer's connection between two transactions.
pub(super) type Apart = Box<dyn FnOnce(&Connection) + Send>;

/// What is to be done between two transactions.
pub(super) type AllApart = Arc<Mutex<Vec<Apart>>>;

/// Most jobs in one transaction.
const MAX_GROUP: usize = 512;
/// Longest wait for the others of a job.
const MAX_LINGER: Duration = Duration::from_micros(500);

pub(super) enum Message {
    Job(Job),
    /// The companion has work, or something is to be done apart.
    Wake,
}

impl Message {
    fn job(self) -> Option<Job> {
        match self {
            Self::Job(job) => Some(job),
            Self::Wake => None,
        }
    }
}

/// What comes next.
pub(super) enum Next {
    /// It was there already.
    Ready(Message),
    /// It came.
    Waited(Message),
    Nothing,
    Closed,
}

/// The last transaction.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct LastGroup {
    /// How many jobs were in it.
    pub jobs: usize,
    /// How long it took.
    pub took: Duration,
}

/// The end of the queue at which the writer sits.
pub(super) struct Inbox(pub Receiver<Message>);

impl Inbox {
    /// The next message, if it comes before the pause is over.
    pub(super) fn next(&self, pause: Duration) -> Next {
        match self.0.try_recv() {
            Ok(message) => return Next::Ready(message),
            Err(TryRecvError::Disconnected) => return Next::Closed,
            Err(TryRecvError::Empty) => {}
        }
        match self.0.recv_timeout(pause) {
            Ok(message) => Next::Waited(message),
            Err(RecvTimeoutError::Timeout) => Next::Nothing,
            Err(RecvTimeoutError::Disconnected) => Next::Closed,
        }
    }

    /// Adds everything that waits, and gives a moment to those who are likely to come again: as many as were answered last.
    /// The moment is small against a flush, and without it they and those who wait already would take turns in two groups.
    pub(super) fn gather(&self, first: Job, others_wait: bool, last: LastGroup) -> Vec<Job> {
        let mut group = vec![first];
        let deadline = Instant::now() + (last.took / 4).min(MAX_LINGER);
        let mut expected = None;
        while group.len() < MAX_GROUP {
            let pause = match self.0.try_recv() {
                Ok(message) => {
                    group.extend(message.job());
                    continue;
                }
                Err(TryRecvError::Disconnected) => break,
                Err(TryRecvError::Empty) => deadline.saturating_duration_since(Instant::now()),
            };
            let waiting = if others_wait { group.len() } else { 0 };
            if group.len() >= *expected.get_or_insert(last.jobs + waiting) || pause.is_zero() {
                break;
            }
            match self.0.recv_timeout(pause) {
                Ok(message) => group.extend(message.job()),
                Err(_) => break,
            }
        }
        group
    }
}
