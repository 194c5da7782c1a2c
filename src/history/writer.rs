//! The one thread that writes. Whatever waits goes into one transaction, so that it shares one flush of the disk.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError, TryRecvError},
    },
    time::{Duration, Instant},
};

use jiff::Timestamp;
use rusqlite::{Connection, Transaction, TransactionBehavior};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::{
    audit::{self, Stamped},
    connection::{self, Opening},
    error::HistoryError,
    health::Health,
    imported::{self, Past},
    readers::Readers,
    revocations::{self, RevocationRow},
    spool::{self, Batch, Spool},
    traffic::{self, Poll},
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

/// What is to be written.
pub(super) enum Work {
    Audit(Vec<Stamped>),
    Revocation(Box<RevocationRow>),
    Traffic(Poll),
    Import(Vec<Past>, Timestamp),
    #[cfg(test)]
    Run(TestJob),
}

/// Anything, on the writer's connection.
#[cfg(test)]
pub(super) type TestJob = Box<dyn Fn(&Connection) -> rusqlite::Result<()> + Send>;

/// Work, and whom to tell when it is durable.
pub(super) struct Job {
    pub work: Work,
    pub reply: oneshot::Sender<Result<(), HistoryError>>,
    /// One of the places in the queue.
    pub _place: OwnedSemaphorePermit,
}

pub(super) enum Message {
    Job(Job),
    /// Something was spooled.
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
    path: PathBuf,
    clock: SharedClock,
    health: Arc<Health>,
    readers: Arc<Readers>,
    spool: Arc<Spool>,
    lock: Option<OwnerLock>,
    conn: Option<Connection>,
    /// Once the database was open, a missing file is not replaced by an empty one.
    opening: Opening,
    // Real time: it paces the work and is never kept.
    next_open: Instant,
    next_prune: Option<Instant>,
    last_group: usize,
    last_commit: Duration,
}

impl Writer {
    pub(super) fn new(
        path: PathBuf,
        clock: SharedClock,
        health: Arc<Health>,
        readers: Arc<Readers>,
        spool: Arc<Spool>,
    ) -> Self {
        Self {
            path,
            clock,
            health,
            readers,
            spool,
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

    /// Takes the lock and opens the database.
    ///
    /// # Errors
    /// What stands in the way; everything is as before then.
    pub(super) fn open(&mut self) -> Result<(), HistoryError> {
        if self.lock.is_none() {
            self.lock = Some(OwnerLock::take(&self.path)?);
            self.spool.adopt();
        }
        self.conn = Some(connection::open_writer(&self.path, self.opening)?);
        self.opening = Opening {
            create: false,
            suspect: false,
        };
        Ok(())
    }

    /// Serves the inbox until nobody can send any more; everything that was sent is answered.
    pub(super) fn run(mut self, inbox: &Receiver<Message>) {
        loop {
            // In trouble after a pause, with entries in the spool at once, otherwise when there is something to do or to see.
            let pause = match self.health.last_error() {
                Some(_) => RETRY,
                None if self.spool.is_empty() => LOOK,
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
        // What is spooled outlives the process in its file; what never got there is written now if it can be.
        loop {
            self.write(Vec::new());
            if self.spool.is_empty() || self.health.last_error().is_some() {
                break;
            }
        }
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
            let shown = HistoryError::sqlite(&self.path, &error);
            self.trouble(&error, shown);
        }
    }

    fn write(&mut self, group: Vec<Job>) {
        let troubled = self.health.last_error().is_some();
        if group.is_empty() && self.spool.is_empty() && !troubled {
            return;
        }
        if let Err(error) = self.ensure_open() {
            return answer_all(group, &error);
        }
        let now = self.clock.now();
        let prune = !group.is_empty() && self.prune_is_due();
        // Not before the database is open: opening puts what an earlier process spooled in front.
        let spooled = self.spool.peek(now);
        let Some(conn) = self.conn.as_mut() else { return };
        let started = Instant::now();
        let outcome = transact(conn, spooled.as_ref(), &group, prune.then_some(now));
        self.last_commit = started.elapsed();
        self.last_group = group.len();
        match outcome {
            Ok(results) => {
                self.health.committed();
                self.settle(spooled.as_ref(), group, &results);
            }
            Err(error) => {
                let shown = HistoryError::sqlite(&self.path, &error);
                self.trouble(&error, shown.clone());
                answer_all(group, &shown);
            }
        }
    }

    /// Takes note of how it went, and then tells everybody what became of their job in a transaction that was committed.
    fn settle(&mut self, spooled: Option<&Batch>, group: Vec<Job>, results: &Results) {
        if let (Some(batch), Ok(())) = (spooled, &results.spooled) {
            self.spool.done(batch);
        }
        let job_errors = results.jobs.iter().filter_map(|result| result.as_ref().err());
        let mut troubles = job_errors.filter(|error| sqlite::is_environmental(error));
        match results.spooled.as_ref().err().or_else(|| troubles.next()) {
            None => self.health.works(),
            Some(error) => self.trouble(error, HistoryError::sqlite(&self.path, error)),
        }
        for (job, result) in group.into_iter().zip(&results.jobs) {
            let answer = result.as_ref().map_err(|error| HistoryError::sqlite(&self.path, error));
            // Whoever asked may have stopped waiting.
            let _ = job.reply.send(answer.copied());
        }
    }

    fn trouble(&mut self, error: &rusqlite::Error, shown: HistoryError) {
        let close = sqlite::needs_reopen(error);
        if close {
            self.opening.suspect |= matches!(shown, HistoryError::Damaged { .. });
            self.conn = None;
            self.readers.forget();
            self.next_open = Instant::now();
        }
        self.health.failed(shown, false);
    }

    /// Opens the database if it is closed and it is time to try again.
    fn ensure_open(&mut self) -> Result<(), HistoryError> {
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

fn answer_all(group: Vec<Job>, error: &HistoryError) {
    for job in group {
        let _ = job.reply.send(Err(error.clone()));
    }
}

/// What became of each part of a committed transaction.
struct Results {
    spooled: rusqlite::Result<()>,
    jobs: Vec<rusqlite::Result<()>>,
}

/// Writes everything in one transaction, each job in a savepoint of its own.
///
/// # Errors
/// Nothing was written.
fn transact(
    conn: &mut Connection,
    spooled: Option<&Batch>,
    group: &[Job],
    prune: Option<Timestamp>,
) -> rusqlite::Result<Results> {
    let mut tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let spooled = match spooled {
        Some(batch) => contained(&mut tx, |conn| spool::take_over(conn, batch))?,
        None if group.is_empty() => contained(&mut tx, probe)?,
        None => Ok(()),
    };
    let mut jobs = Vec::with_capacity(group.len());
    for job in group {
        jobs.push(contained(&mut tx, |conn| apply(conn, &job.work))?);
    }
    if let Some(now) = prune
        && let Err(error) = contained(&mut tx, |conn| prune_all(conn, now))?
    {
        tracing::warn!(%error, "old history could not be removed");
    }
    tx.commit()?;
    Ok(Results { spooled, jobs })
}

/// Runs a part in a savepoint. The outer error means that SQLite gave up the whole transaction.
fn contained(
    tx: &mut Transaction<'_>,
    part: impl FnOnce(&Connection) -> rusqlite::Result<()>,
) -> rusqlite::Result<rusqlite::Result<()>> {
    let savepoint = tx.savepoint()?;
    let result = part(&savepoint);
    if savepoint.is_autocommit() {
        return Err(result.err().unwrap_or(rusqlite::Error::InvalidQuery));
    }
    match result {
        Ok(()) => savepoint.commit().map(Ok),
        Err(error) => savepoint.finish().map(|()| Err(error)),
    }
}

fn apply(conn: &Connection, work: &Work) -> rusqlite::Result<()> {
    match work {
        Work::Audit(entries) => audit::append(conn, entries),
        Work::Revocation(row) => revocations::record(conn, row),
        Work::Traffic(poll) => traffic::account(conn, poll),
        Work::Import(past, now) => imported::take_over(conn, past, *now),
        #[cfg(test)]
        Work::Run(run) => run(conn),
    }
}

fn prune_all(conn: &Connection, now: Timestamp) -> rusqlite::Result<()> {
    audit::prune(conn, now)?;
    revocations::prune(conn, now)?;
    traffic::prune(conn, now)
}

/// Takes up some space and gives it back: fails for as long as there is none.
fn probe(conn: &Connection) -> rusqlite::Result<()> {
    conn.execute(
        "INSERT INTO meta (key, value) VALUES ('probe', printf('%.*c', 65536, 'x'))",
        [],
    )?;
    conn.execute("DELETE FROM meta WHERE key = 'probe'", [])?;
    Ok(())
}
