//! The one thread that writes. Whatever waits goes into one transaction, so that it shares one flush of the disk.

use std::{
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError, TryRecvError},
    },
    time::{Duration, Instant},
};

use rusqlite::{Connection, TransactionBehavior};

use super::{
    companion::{Companion, Part},
    connection::{self, Opening},
    error::StoreError,
    file::File,
    health::Health,
    job::Job,
    readers::Readers,
    transaction::{Results, transact},
};
use crate::{
    clock::SharedClock,
    sqlite::{self, OwnerLock},
};

/// Most jobs in one transaction.
const MAX_GROUP: usize = 512;
/// How often writing is tried again while it fails.
const RETRY: Duration = Duration::from_secs(1);
/// Longest wait for the companions of a job.
const MAX_LINGER: Duration = Duration::from_micros(500);
/// How often a writer that has nothing to do looks whether it could write.
const LOOK: Duration = Duration::from_secs(5);
/// How often rows past retention are looked for, in a transaction that writes anyway.
const PRUNE_EVERY: Duration = Duration::from_secs(60);

pub(super) enum Message {
    Job(Job),
    /// The companion has work.
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

pub(super) struct Writer {
    file: Arc<File>,
    clock: SharedClock,
    health: Arc<Health>,
    readers: Arc<Readers>,
    companion: Option<Arc<dyn Companion>>,
    lock: Option<OwnerLock>,
    conn: Option<Connection>,
    /// Once the file was open, a missing one is not replaced by an empty one.
    opening: Opening,
    // Real time: it paces the work and is never kept.
    next_open: Instant,
    next_prune: Option<Instant>,
    last_group: usize,
    last_commit: Duration,
}

impl Writer {
    pub(super) fn new(
        file: Arc<File>,
        clock: SharedClock,
        health: Arc<Health>,
        readers: Arc<Readers>,
        companion: Option<Arc<dyn Companion>>,
    ) -> Self {
        Self {
            file,
            clock,
            health,
            readers,
            companion,
            lock: None,
            conn: None,
            opening: Opening {
                create: true,
                suspect: false,
            },
            next_open: Instant::now(),
            next_prune: None,
            last_group: 0,
            last_commit: Duration::ZERO,
        }
    }

    /// Takes the lock and opens the file.
    ///
    /// # Errors
    /// What stands in the way; everything is as before then.
    pub(super) fn open(&mut self) -> Result<(), StoreError> {
        if self.lock.is_none() {
            let lock = OwnerLock::take(&self.file.path).map_err(|fault| self.file.fault(fault))?;
            self.lock = Some(lock);
            if let Some(companion) = &self.companion {
                companion.owned();
            }
        }
        self.conn = Some(connection::open_writer(&self.file, self.opening)?);
        self.opening = Opening {
            create: false,
            suspect: false,
        };
        Ok(())
    }

    /// Serves the inbox until nobody can send any more; everything that was sent is answered.
    pub(super) fn run(mut self, inbox: &Receiver<Message>) {
        loop {
            // In trouble after a pause, with work of the companion at once, otherwise when there is something to do or to see.
            let pause = match self.health.last_error() {
                Some(_) => RETRY,
                None if !self.companion_waits() => LOOK,
                None => Duration::ZERO,
            };
            let mut group = Vec::new();
            match next(inbox, pause) {
                Next::Nothing if pause == LOOK => {
                    self.look();
                    continue;
                }
                Next::Waited(Message::Job(job)) => self.gather(inbox, &mut group, job, false),
                Next::Ready(Message::Job(job)) => self.gather(inbox, &mut group, job, true),
                Next::Waited(Message::Wake) | Next::Ready(Message::Wake) | Next::Nothing => {}
                Next::Closed => break,
            }
            self.write(group);
        }
        // What the companion still has is written now if it can be.
        loop {
            self.write(Vec::new());
            if !self.companion_waits() || self.health.last_error().is_some() {
                break;
            }
        }
    }

    fn companion_waits(&self) -> bool {
        self.companion.as_ref().is_some_and(|companion| companion.waits())
    }

    /// Adds everything that waits, and gives a moment to those who are likely to come again: as many as were answered last.
    /// The moment is small against a flush, and without it they and those who wait already would take turns in two groups.
    fn gather(&self, inbox: &Receiver<Message>, group: &mut Vec<Job>, first: Job, others_wait: bool) {
        group.push(first);
        let deadline = Instant::now() + (self.last_commit / 4).min(MAX_LINGER);
        let mut expected = None;
        while group.len() < MAX_GROUP {
            let pause = match inbox.try_recv() {
                Ok(message) => {
                    group.extend(message.job());
                    continue;
                }
                Err(TryRecvError::Disconnected) => return,
                Err(TryRecvError::Empty) => deadline.saturating_duration_since(Instant::now()),
            };
            let waiting = if others_wait { group.len() } else { 0 };
            if group.len() >= *expected.get_or_insert(self.last_group + waiting) || pause.is_zero() {
                return;
            }
            match inbox.recv_timeout(pause) {
                Ok(message) => group.extend(message.job()),
                Err(_) => return,
            }
        }
    }

    /// Takes the right to write and gives it back, so that a lock of another program is known before anybody is refused.
    fn look(&mut self) {
        let Some(conn) = self.conn.as_mut() else { return };
        let taken = conn.transaction_with_behavior(TransactionBehavior::Immediate).map(drop);
        if let Err(error) = taken {
            let shown = self.file.sqlite(&error);
            self.trouble(&error, shown);
        }
    }

    fn write(&mut self, mut group: Vec<Job>) {
        let troubled = self.health.last_error().is_some();
        if group.is_empty() && !self.companion_waits() && !troubled {
            return;
        }
        if let Err(error) = self.ensure_open() {
            return answer_all(group, &error);
        }
        let now = self.clock.now();
        let prune = !group.is_empty() && self.prune_is_due();
        // Not before the file is open: only then is the companion told that the file is this process's own.
        let companion = self.companion.as_ref();
        let part = companion.and_then(|companion| Arc::clone(companion).next(now));
        let (run, done) = part.map(|Part { run, done }| (run, done)).unzip();
        let Some(conn) = self.conn.as_mut() else { return };
        let started = Instant::now();
        let outcome = transact(conn, run, &mut group, prune.then_some((now, &self.file)));
        self.last_commit = started.elapsed();
        self.last_group = group.len();
        let durable = outcome.as_ref().is_ok_and(|results| results.part.is_ok());
        match outcome {
            Ok(results) => {
                self.health.committed();
                if let Some(done) = done {
                    done(durable);
                }
                self.settle(group, &results);
            }
            Err(error) => {
                let shown = self.file.sqlite(&error);
                self.trouble(&error, shown.clone());
                if let Some(done) = done {
                    done(false);
                }
                answer_all(group, &shown);
            }
        }
    }

    /// Takes note of how it went, and then tells everybody what became of their job in a transaction that was committed.
    fn settle(&mut self, group: Vec<Job>, results: &Results) {
        let job_errors = results.jobs.iter().filter_map(|result| result.as_ref().err());
        let mut troubles = job_errors.filter(|error| sqlite::is_environmental(error));
        match results.part.as_ref().err().or_else(|| troubles.next()) {
            None => self.health.works(),
            Some(error) => self.trouble(error, self.file.sqlite(error)),
        }
        for (job, result) in group.into_iter().zip(&results.jobs) {
            let answer = result.as_ref().map_err(|error| self.file.sqlite(error));
            job.answer(answer.copied());
        }
    }

    fn trouble(&mut self, error: &rusqlite::Error, shown: StoreError) {
        let close = sqlite::needs_reopen(error);
        if close {
            self.opening.suspect |= matches!(shown, StoreError::Damaged { .. });
            self.conn = None;
            self.readers.forget();
            self.next_open = Instant::now();
        }
        self.health.failed(shown, false);
    }

    /// Opens the file if it is closed and it is time to try again.
    fn ensure_open(&mut self) -> Result<(), StoreError> {
        if self.conn.is_some() {
            return Ok(());
        }
        if Instant::now() < self.next_open
            && let Some(error) = self.health.closed()
        {
            return Err(error);
        }
        let started = Instant::now();
        if let Err(error) = self.open() {
            // Checking a large damaged file takes its time: not to be at it all the time.
            self.next_open = Instant::now() + RETRY.max(started.elapsed() * 10);
            self.readers.forget();
            self.health.failed(error.clone(), true);
            return Err(error);
        }
        self.health.works();
        Ok(())
    }

    fn prune_is_due(&mut self) -> bool {
        let now = self.clock.monotonic();
        let due = self.next_prune.is_none_or(|next| next <= now);
        if due {
            self.next_prune = Some(now + PRUNE_EVERY);
        }
        due
    }
}

enum Next {
    /// It was there already.
    Ready(Message),
    /// It came.
    Waited(Message),
    Nothing,
    Closed,
}

/// The next message, if it comes before the pause is over.
fn next(inbox: &Receiver<Message>, pause: Duration) -> Next {
    match inbox.try_recv() {
        Ok(message) => return Next::Ready(message),
        Err(TryRecvError::Disconnected) => return Next::Closed,
        Err(TryRecvError::Empty) => {}
    }
    match inbox.recv_timeout(pause) {
        Ok(message) => Next::Waited(message),
        Err(RecvTimeoutError::Timeout) => Next::Nothing,
        Err(RecvTimeoutError::Disconnected) => Next::Closed,
    }
}

fn answer_all(group: Vec<Job>, error: &StoreError) {
    for job in group {
        job.answer(Err(error.clone()));
    }
}
