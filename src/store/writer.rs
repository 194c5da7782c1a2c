//! The one thread that writes. Whatever waits goes into one transaction, so that it shares one flush of the disk.

use std::{
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError, TryRecvError},
    },
    time::{Duration, Instant},
};

use rusqlite::TransactionBehavior;

use super::{
    companion::{Companion, Part},
    error::StoreError,
    file::File,
    health::Health,
    job::Job,
    lifecycle::{Lifecycle, Open},
    readers::Readers,
    transaction::{Results, transact},
};
use crate::{clock::SharedClock, sqlite};

/// Most jobs in one transaction.
const MAX_GROUP: usize = 512;
/// Pause after a first failure; it doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// Longest pause before writing is tried again while it fails.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
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
    lifecycle: Lifecycle,
    open: Option<Open>,
    // Real time: it paces the work and is never kept.
    pause: Duration,
    next_try: Instant,
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
        lifecycle: Lifecycle,
    ) -> Self {
        Self {
            file,
            clock,
            health,
            readers,
            companion: lifecycle.beside().companion(),
            lifecycle,
            open: None,
            pause: FIRST_PAUSE,
            next_try: Instant::now(),
            next_open: Instant::now(),
            next_prune: None,
            last_group: 0,
            last_commit: Duration::ZERO,
        }
    }

    /// Takes the lock and opens the file for the first time.
    ///
    /// # Errors
    /// What stands in the way; [`Self::run`] tries again.
    pub(super) fn start(&mut self) -> Result<(), StoreError> {
        let now = self.clock.now();
        let opened = self.lifecycle.start(now);
        self.opened(opened, Duration::ZERO)
    }

    /// Takes note of how opening went, which took so long.
    fn opened(&mut self, opened: Result<Open, StoreError>, took: Duration) -> Result<(), StoreError> {
        match opened {
            Ok(open) => {
                self.open = Some(open);
                self.health.opened();
            }
            Err(error) => {
                self.failed(error.clone(), true);
                // Checking a large damaged file takes its time: not to be at it all the time.
                self.next_open = Instant::now() + self.pause.max(took * 10);
                self.readers.forget();
                return Err(error);
            }
        }
        Ok(())
    }

    /// Writing failed: it is tried again after a pause.
    fn failed(&mut self, error: StoreError, closed: bool) {
        let before = self.health.last_error().map_or(Duration::ZERO, |_| self.pause);
        self.pause = (before * 2).clamp(FIRST_PAUSE, LONGEST_PAUSE);
        self.next_try = Instant::now() + self.pause;
        self.health.failed(error, closed, self.clock.now());
    }

    /// Serves the inbox until nobody can send any more; everything that was sent is answered.
    pub(super) fn run(mut self, inbox: &Receiver<Message>) {
        loop {
            // In trouble after a pause, with work of the companion at once, otherwise when there is something to do or to see.
            let pause = match self.health.last_error() {
                Some(_) => self.next_try.saturating_duration_since(Instant::now()),
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
            // What the companion has more, while nothing can be written, waits for the next attempt as well.
            let is_early = self.health.last_error().is_some() && Instant::now() < self.next_try;
            if !group.is_empty() || !is_early {
                self.write(group);
            }
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
        let Some(open) = self.open.as_mut() else { return };
        let taken = open
            .conn
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map(drop);
        if let Err(error) = taken {
            let shown = self.file.sqlite(&error);
            self.trouble(&error, shown);
        }
    }

    fn write(&mut self, group: Vec<Job>) {
        let troubled = self.health.last_error().is_some();
        let companion_waits = self.companion_waits();
        if group.is_empty() && !companion_waits && !troubled {
            return;
        }
        if let Err(error) = self.ensure_open() {
            return answer_all(group, &error);
        }
        // What fails again and again must not take the jobs with it.
        let apart = troubled && companion_waits && !group.is_empty();
        if apart {
            self.transact(Vec::new(), true);
        }
        self.transact(group, !apart);
    }

    /// Writes a group, and what its companion has.
    fn transact(&mut self, mut group: Vec<Job>, with_companion: bool) {
        let Some(open) = self.open.as_mut() else {
            let closed = self.health.last_error();
            return answer_all(group, &closed.unwrap_or_else(|| self.file.unavailable("it is closed")));
        };
        let now = self.clock.now();
        let due = self.next_prune.is_none_or(|next| next <= self.clock.monotonic());
        let prune = due && !group.is_empty();
        if prune {
            self.next_prune = Some(self.clock.monotonic() + PRUNE_EVERY);
        }
        // Not before the file is open: only then is the companion told that the file is this process's own.
        let companion = self.companion.as_ref().filter(|_| with_companion);
        let part = companion.and_then(|companion| Arc::clone(companion).next(now));
        let (run, done) = part.map(|Part { run, done }| (run, done)).unzip();
        let started = Instant::now();
        let outcome = transact(&mut open.conn, run, &mut group, prune.then_some((now, &self.file)));
        self.last_commit = started.elapsed();
        self.last_group = group.len();
        let durable = outcome.as_ref().is_ok_and(|results| results.part.is_ok());
        // Everybody is told when what they may ask about it is known.
        let tell = || done.into_iter().for_each(|done| done(durable));
        match outcome {
            Ok(results) => {
                self.health.committed();
                self.note(&results, with_companion);
                tell();
                for (job, result) in group.into_iter().zip(&results.jobs) {
                    let answer = result.as_ref().map_err(|error| self.file.sqlite(error));
                    job.answer(answer.copied());
                }
            }
            Err(error) => {
                let shown = self.file.sqlite(&error);
                self.trouble(&error, shown.clone());
                tell();
                answer_all(group, &shown);
            }
        }
    }

    /// Takes note of how a transaction went that was committed.
    fn note(&mut self, results: &Results, with_companion: bool) {
        let job_errors = results.jobs.iter().filter_map(|result| result.as_ref().err());
        let mut troubles = job_errors.filter(|error| sqlite::is_environmental(error));
        match results.part.as_ref().err().or_else(|| troubles.next()) {
            None if with_companion => self.health.works(),
            None => {}
            Some(error) => self.trouble(error, self.file.sqlite(error)),
        }
    }

    fn trouble(&mut self, error: &rusqlite::Error, shown: StoreError) {
        if sqlite::needs_reopen(error) {
            if matches!(shown, StoreError::Damaged { .. }) {
                self.lifecycle.suspect();
            }
            self.open = None;
            self.readers.forget();
            self.next_open = Instant::now();
        }
        self.failed(shown, false);
    }

    /// Opens the file if it is closed and it is time to try again. Lets go of one that was taken away.
    fn ensure_open(&mut self) -> Result<(), StoreError> {
        let now = self.clock.now();
        if let Some(gone) = self.open.take_if(|open| !self.lifecycle.is_in_place(open)) {
            self.readers.forget();
            self.lifecycle.let_go(&gone, now);
        }
        if self.open.is_some() {
            return Ok(());
        }
        if Instant::now() < self.next_open
            && let Some(error) = self.health.closed()
        {
            return Err(error);
        }
        let started = Instant::now();
        let opened = self.lifecycle.open(now);
        self.opened(opened, started.elapsed())
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
