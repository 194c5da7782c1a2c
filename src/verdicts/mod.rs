//! SQLite: what the guard decided, so that a cause is judged once and not again after a restart.
//!
//! [`VerdictStore::write`] takes changes and never makes its caller wait; the writer of the file, which is one of the engine in
//! `store`, takes what waits in one transaction; [`VerdictStore::kept`] says up to where it is durable. It uses the words of the
//! model and the clock. It must never decide anything, and never keep the process from starting or logins from being answered:
//! what cannot be read is moved aside and said, and what cannot be written is kept in memory and tried again.
//!
//! At every moment the file holds what was handed over up to some number, whole, and nothing of what came after it.

mod health;
mod ledger;
mod pending;
mod rows;
#[cfg(test)]
mod tests;

use std::{path::Path, sync::Arc};

use jiff::SignedDuration;
use tokio::sync::watch;

pub use self::health::{Failing, StoreHealth};
use self::{ledger::Ledger, rows::SCHEMA};
use crate::{
    clock::SharedClock,
    model::guard::{GuardChange, GuardMemory},
    sqlite::Fault,
    store::Store,
};

/// Name of the file in the data folder.
pub const GUARD_FILE: &str = "guard.db";

/// The file of the guard's verdicts. Dropping it waits until what was handed over is written, or cannot be.
pub struct VerdictStore {
    ledger: Arc<Ledger>,
    /// None if it has no writer.
    store: Option<Store>,
}

impl VerdictStore {
    /// Opens or creates the file and answers what it knows. Blocks on the disk; never fails: what stands in the way is in
    /// the log and in [`Self::health`], and the process goes on with what could be read. Charges that are older than
    /// `max_age` are left out, and removed with the next write.
    #[must_use]
    pub fn open(path: &Path, clock: SharedClock, max_age: SignedDuration) -> (Self, GuardMemory) {
        let ledger = Arc::new(Ledger::new(max_age));
        let store = match Store::open_kept(path, SCHEMA, clock, Arc::clone(&ledger) as _) {
            Ok(store) => Some(store),
            Err(error) => {
                ledger.say(format!("nothing of what the guard decides is kept: {error}"));
                None
            }
        };
        let memory = ledger.start();
        (Self { ledger, store }, memory)
    }

    /// Takes changes in their order. `seq` rises from call to call; [`Self::kept`] shows it when these changes and all before
    /// them are durable. Never waits for the disk.
    pub fn write(&self, seq: u64, changes: Vec<GuardChange>) {
        self.ledger.add(seq, changes);
        if let Some(store) = &self.store {
            store.wake();
        }
    }

    /// The highest `seq` that would survive a crash.
    #[must_use]
    pub fn kept(&self) -> watch::Receiver<u64> {
        self.ledger.kept()
    }

    /// Copies the file as it is to another one (mode 0600), with everything in it that was handed over before. Blocks on the disk.
    ///
    /// # Errors
    /// The file cannot be read at present, or the copy not be written.
    pub fn backup_to(&self, target: &Path) -> Result<(), Fault> {
        let stopped = || Fault::Unavailable("the guard's store is not running: see the log".to_owned());
        let store = self.store.as_ref().ok_or_else(stopped)?;
        // Before the copy, what was handed over is written.
        let written = futures::executor::block_on(async {
            store.write(|_| Ok(())).await?;
            store.backup_by_writer(target).await
        });
        written.map_err(|error| Fault::Unavailable(error.to_string()))
    }

    /// What is wrong with the file at present, and what was wrong with it when it was opened.
    #[must_use]
    pub fn health(&self) -> StoreHealth {
        let store = self.store.as_ref();
        let failing = store.and_then(Store::failing).map(|(since, error)| Failing {
            since,
            why: error.to_string(),
        });
        let mut found = store.map(Store::found).unwrap_or_default();
        found.extend(self.ledger.found());
        StoreHealth { failing, found }
    }
}

impl Drop for VerdictStore {
    fn drop(&mut self) {
        self.store = None;
        let changes = self.ledger.waiting();
        if changes > 0 {
            tracing::error!(changes, "what the guard decided last could not be kept");
        }
    }
}
