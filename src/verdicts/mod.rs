//! SQLite: what the guard decided, so that a cause is judged once and not again after a restart.
//!
//! [`VerdictStore::write`] takes changes and never makes its caller wait; one thread groups what is queued into one
//! transaction, so that it shares one flush of the disk; [`VerdictStore::kept`] says up to where it is durable. It uses the
//! words of the model and the clock. It must never decide anything, and never keep the process from starting or logins from
//! being answered: what cannot be read is moved aside and said, and what cannot be written is kept in memory and tried again.
//!
//! At every moment the file holds what was handed over up to some number, whole, and nothing of what came after it.

mod database;
mod health;
mod open;
mod pending;
mod rows;
#[cfg(test)]
mod tests;
mod writer;

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc},
    thread::{self, JoinHandle},
    time::Duration,
};

use jiff::SignedDuration;
use tokio::sync::watch;

pub use self::health::{Failing, StoreHealth};
use self::{database::Database, health::Health, pending::Pending, writer::Writer};
use crate::{
    clock::SharedClock,
    model::guard::{GuardChange, GuardMemory},
    sqlite::Fault,
};

/// How long a copy of the file may take.
const COPY_TIMEOUT: Duration = Duration::from_secs(30);

/// Name of the file in the data folder.
pub const GUARD_FILE: &str = "guard.db";

/// The file of the guard's verdicts. Dropping it waits until what was handed over is written, or cannot be.
pub struct VerdictStore {
    shared: Arc<Shared>,
    kept: watch::Receiver<u64>,
    thread: Option<JoinHandle<()>>,
}

/// What the writer shares with those who hand over and ask.
#[derive(Default)]
struct Shared {
    inbox: Mutex<Inbox>,
    wake: Condvar,
    health: Health,
}

#[derive(Default)]
struct Inbox {
    pending: Pending,
    /// Something was handed over that the writer did not look at yet.
    fresh: bool,
    closing: bool,
    /// Copies that are wanted.
    copies: Vec<WantedCopy>,
    /// As little room as a full disk leaves.
    #[cfg(test)]
    most_pages: Option<u32>,
}

/// A copy of the file, and who waits for it.
struct WantedCopy {
    target: PathBuf,
    done: mpsc::SyncSender<Result<(), Fault>>,
}

impl Shared {
    fn inbox(&self) -> MutexGuard<'_, Inbox> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl VerdictStore {
    /// Opens or creates the file and answers what it knows. Blocks on the disk; never fails: what stands in the way is in
    /// the log and in [`Self::health`], and the process goes on with what could be read. Charges that are older than
    /// `max_age` are left out, and removed now and then.
    #[must_use]
    pub fn open(path: &Path, clock: SharedClock, max_age: SignedDuration) -> (Self, GuardMemory) {
        let shared = Arc::new(Shared::default());
        let now = clock.now();
        let mut database = Database::new(path.to_owned(), max_age);
        let (memory, trouble) = database.start(now);
        shared.health.found(database.take_found());
        {
            let mut inbox = shared.inbox();
            inbox.pending.put_below(database.take_rescued());
            inbox.fresh = !inbox.pending.is_empty();
        }
        if let Some(fault) = &trouble {
            shared.health.failed(fault, now);
        }
        let (sender, kept) = watch::channel(0);
        let writer = Writer::new(database, Arc::clone(&shared), clock, sender);
        let thread = thread::Builder::new()
            .name("verdict-writer".to_owned())
            .spawn(move || writer.run(trouble.is_some()));
        let thread = match thread {
            Ok(thread) => Some(thread),
            Err(error) => {
                let line = format!("no thread can be started for the guard's store, so nothing is kept: {error}");
                tracing::error!("{line}");
                shared.health.found(vec![line]);
                None
            }
        };
        (Self { shared, kept, thread }, memory)
    }

    /// Takes changes in their order. `seq` rises from call to call; [`Self::kept`] shows it when these changes and all before
    /// them are durable. Never waits for the disk.
    pub fn write(&self, seq: u64, changes: Vec<GuardChange>) {
        let mut inbox = self.shared.inbox();
        inbox.pending.add(seq, changes);
        inbox.fresh = true;
        drop(inbox);
        self.shared.wake.notify_one();
    }

    /// The highest `seq` that would survive a crash.
    #[must_use]
    pub fn kept(&self) -> watch::Receiver<u64> {
        self.kept.clone()
    }

    /// Copies the file as it is to another one (mode 0600), with everything in it that was handed over before. No other process
    /// can read it meanwhile. Blocks on the disk.
    ///
    /// # Errors
    /// The file cannot be read at present, or the copy not be written.
    pub fn backup_to(&self, target: &Path) -> Result<(), Fault> {
        let (done, answer) = mpsc::sync_channel(1);
        {
            let mut inbox = self.shared.inbox();
            inbox.copies.push(WantedCopy {
                target: target.to_owned(),
                done,
            });
            inbox.fresh = true;
        }
        self.shared.wake.notify_one();
        let stopped = || Fault::Unavailable("the guard's store is not running: see the log".to_owned());
        answer.recv_timeout(COPY_TIMEOUT).map_err(|_| stopped())?
    }

    /// What is wrong with the file at present, and what was wrong with it when it was opened.
    #[must_use]
    pub fn health(&self) -> StoreHealth {
        self.shared.health.get()
    }
}

impl Drop for VerdictStore {
    fn drop(&mut self) {
        self.shared.inbox().closing = true;
        self.shared.wake.notify_one();
        if let Some(thread) = self.thread.take() {
            // It has no panic of its own to report.
            let _ = thread.join();
        }
    }
}
