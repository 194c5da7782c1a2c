//! The one thread that writes. Whatever waits goes into one transaction, so that it shares one flush of the disk.

use std::{
    sync::{Arc, PoisonError},
    time::{Duration, Instant},
};

use rusqlite::TransactionBehavior;

use super::{
    companion::{Companion, Part},
    error::StoreError,
    file::File,
    health::Health,
    inbox::{AllApart, Inbox, LastGroup, Message, Next},
    job::Job,
    lifecycle::{Lifecycle, Open},
    readers::Readers,
    transaction::{Results, transact},
};
use crate::{clock::SharedClock, sqlite};

/// Pause after a first failure; it doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// Longest pause before writing is tried again while it fails.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// How often a writer that has nothing to do looks whether it could write.
const LOOK: Duration = Duration::from_secs(5);
/// How often rows past retention are looked for, in a transaction that writes anyway.
const PRUNE_EVERY: Duration = Duration::from_secs(60);

pub(super) struct Writer {
    file: Arc<File>,
    clock: SharedClock,
    health: Arc<Health>,
    readers: Arc<Readers>,
    companion: Option<Arc<dyn Companion>>,
    lifecycle: Lifecycle,
    apart: AllApart,
    open: Option<Open>,
    // Real time: it paces the work and is never kept.
    pause: Duration,
    next_try: Instant,
    next_open: Instant,
    next_prune: Option<Instant>,
    last: LastGroup,
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
            apart: AllApart::default(),
            open: None,
            pause: FIRST_PAUSE,
            next_try: Instant::now(),
            next_open: Instant::now(),
            next_prune: None,
            last: LastGroup::default(),
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
                self.next_try = self.next_open;
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
    pub(super) fn run(mut self, inbox: &Inbox) {
        loop {
            // In trouble after a pause, with work of the companion when it is due, otherwise when there is something to do or to see.
            let pause = match self.health.last_error() {
                Some(_) => self.next_try.saturating_duration_since(Instant::now()),
                None => self
                    .due()
                    .map_or(LOOK, |due| due.saturating_duration_since(Instant::now()).min(LOOK)),
            };
            let group = match inbox.next(pause) {
                Next::Nothing if pause == LOOK => {
                    self.look();
                    continue;
                }
                Next::Waited(Message::Job(job)) => inbox.gather(job, false, self.last),
                Next::Ready(Message::Job(job)) => inbox.gather(job, true, self.last),
                Next::Waited(Message::Wake) | Next::Ready(Message::Wake) | Next::Nothing => Vec::new(),
                Next::Closed => break,
            };
            let is_time = match self.health.last_error() {
                // What the companion has more, while nothing can be written, waits for the next attempt as well.
                Some(_) => self.next_try <= Instant::now(),
                None => self.due().is_some_and(|due| due <= Instant::now()),
            };
            if !group.is_empty() || is_time {
                self.write(group);
            }
            self.do_apart();
        }
        // What the companion still has is written now if it can be.
        while self.due().is_some() || self.health.last_error().is_some() {
            self.write(Vec::new());
            if self.health.last_error().is_some() {
                break;
            }
        }
    }

    /// What is to be done between two transactions.
    pub(super) fn apart(&self) -> AllApart {
        Arc::clone(&self.apart)
    }

    /// Does what is to be done between two transactions. Of a closed file nothing is: dropping it says so.
    fn do_apart(&mut self) {
        let wanted = std::mem::take(&mut *self.apart.lock().unwrap_or_else(PoisonError::into_inner));
        if let Some(open) = &self.open {
            for work in wanted {
                work(&open.conn);
            }
        }
    }

    /// When the companion's work is due.
    fn due(&self) -> Option<Instant> {
        self.companion.as_ref().and_then(|companion| companion.due())
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
        if let Err(error) = self.ensure_open() {
            return answer_all(group, &error);
        }
        // What fails again and again must not take the jobs with it.
        let apart = troubled && !group.is_empty() && self.due().is_some();
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
        self.last = LastGroup {
            jobs: group.len(),
            took: started.elapsed(),
        };
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
            // Its keeper has everything before its readers lose it.
            self.lifecycle.let_go(&gone, now);
            self.readers.forget();
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
        // Another file may stand in its place since they were told to forget it.
        self.readers.forget();
        let opened = self.opened(opened, started.elapsed());
        // Whoever waits for an attempt is told of this one.
        if opened.is_err()
            && let Some(part) = self
                .companion
                .as_ref()
                .and_then(|companion| Arc::clone(companion).next(now))
        {
            (part.done)(false);
        }
        opened
    }
}

fn answer_all(group: Vec<Job>, error: &StoreError) {
    for job in group {
        job.answer(Err(error.clone()));
    }
}
