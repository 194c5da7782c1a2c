//! SQLite: what happened, kept for auditors and for whoever is on call.
//!
//! One writer thread that groups commits, and a pool of readers. Nothing here decides anything; nothing that is needed to
//! answer a login is read from here. No secret is ever written.
//!
//! It uses the clock, the words of the model and the shapes of the gateway's counters. It must never be waited for before a
//! denial takes effect, and never fail one: see [`History::audit_or_spool`].

mod audit;
mod backup;
mod chain;
mod connection;
mod error;
mod health;
mod imported;
mod migrations;
mod queue;
mod readers;
mod redact;
mod revocations;
mod schema;
mod spool;
#[cfg(test)]
mod tests;
mod time;
mod traffic;
mod writer;

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use jiff::Timestamp;
use rusqlite::Connection;

use self::{
    audit::Stamped,
    chain::Walk,
    health::Health,
    queue::Queue,
    readers::Readers,
    spool::Spool,
    traffic::{Poll, Step},
    writer::{Work, Writer},
};
pub use self::{
    audit::{AuditEntry, AuditFilter, AuditRow, Page, RETENTION_DAYS as AUDIT_RETENTION_DAYS},
    backup::Stats,
    error::HistoryError,
    imported::{ImportedEvent, ImportedTraffic, Past},
    redact::redact,
    revocations::RevocationRow,
    traffic::{DAY_RETENTION_DAYS as TRAFFIC_RETENTION_DAYS, Totals, TrafficRow},
};
use crate::{
    clock::{SharedClock, SystemClock},
    gateway::{Counters, NodeName, UsageDelta},
    sqlite,
};

/// The database. Cheap to clone. When the last clone is dropped, what was handed over is written and the file is closed.
#[derive(Clone)]
pub struct History {
    inner: Arc<Inner>,
}

struct Inner {
    clock: SharedClock,
    health: Arc<Health>,
    readers: Arc<Readers>,
    /// None when nothing can ever be written.
    queue: Option<Queue>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        // Before the writer closes: whoever closes last writes the log back.
        self.readers.forget();
    }
}

impl History {
    /// Opens or creates the database and migrates it. Blocks on the disk.
    ///
    /// # Errors
    /// A newer, damaged, locked or unwritable file; nothing is changed then.
    pub fn open(path: &Path, clock: SharedClock) -> Result<Self, HistoryError> {
        Self::start(path, clock, true)
    }

    /// As [`Self::open`], but a database that cannot be opened stands in nobody's way: every call answers the error,
    /// [`Self::last_error`] shows it, and opening is tried again every second.
    ///
    /// # Errors
    /// No thread can be started.
    pub fn open_or_retry(path: &Path, clock: SharedClock) -> Result<Self, HistoryError> {
        Self::start(path, clock, false)
    }

    fn start(path: &Path, clock: SharedClock, must_open: bool) -> Result<Self, HistoryError> {
        let health = Arc::new(Health::default());
        let readers = Arc::new(Readers::new(path.to_owned()));
        let spool = Arc::new(Spool::beside(path));
        let mut writer = Writer::new(
            path.to_owned(),
            Arc::clone(&clock),
            Arc::clone(&health),
            Arc::clone(&readers),
            Arc::clone(&spool),
        );
        match writer.open() {
            Ok(()) => {}
            Err(error) if must_open => return Err(error),
            Err(error) => health.failed(error, true),
        }
        let queue = Some(Queue::serve(writer, spool)?);
        let inner = Inner {
            clock,
            health,
            readers,
            queue,
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Opens the database for reading, also while another process owns it: for `doctor` and the command line. Every write
    /// answers an error. Nothing is opened yet: the first question answers what is wrong with the file.
    #[must_use]
    pub fn open_read_only(path: &Path, clock: SharedClock) -> Self {
        Self::without_writer(path.to_owned(), clock, Health::default())
    }

    /// A history whose every call answers this error.
    #[must_use]
    pub fn degraded(error: HistoryError) -> Self {
        let health = Health::default();
        health.failed(error, true);
        Self::without_writer(PathBuf::new(), Arc::new(SystemClock), health)
    }

    fn without_writer(path: PathBuf, clock: SharedClock, health: Health) -> Self {
        Self {
            inner: Arc::new(Inner {
                clock,
                health: Arc::new(health),
                readers: Arc::new(Readers::new(path)),
                queue: None,
            }),
        }
    }

    /// Writes audit rows in one transaction. Durable when it returns. Links with credentials in them are redacted.
    ///
    /// # Errors
    /// Nothing was written.
    pub async fn audit(&self, entries: Vec<AuditEntry>) -> Result<(), HistoryError> {
        if entries.is_empty() {
            return Ok(());
        }
        self.write(Work::Audit(self.stamp(entries))).await
    }

    /// Writes audit rows, or keeps them to be written later in their order and with their time of now: for what must not
    /// fail because history does. Says whether they would survive a crash.
    ///
    /// While the database cannot be written they wait in memory (10,000 entries at most; how many are lost on top becomes an
    /// audit row) and in `audit-spool.jsonl` beside the database.
    pub async fn audit_or_spool(&self, entries: Vec<AuditEntry>) -> bool {
        if entries.is_empty() {
            return true;
        }
        let Some(queue) = &self.inner.queue else {
            tracing::error!(
                entries = entries.len(),
                "audit entries are lost: there is no history to write them to"
            );
            return false;
        };
        let stamped = self.stamp(entries);
        // Behind others that wait, so that the order stays.
        if queue.spool().is_empty() && queue.write(Work::Audit(stamped.clone())).await.is_ok() {
            return true;
        }
        queue.spool_later(stamped).await
    }

    /// Inserts or completes a revocation (key: account and epoch). Times that are set are never moved, unless they
    /// were taken back. Durable when it
    /// returns.
    ///
    /// # Errors
    /// Nothing was written.
    pub async fn record_revocation(&self, row: RevocationRow) -> Result<(), HistoryError> {
        self.write(Work::Revocation(Box::new(row))).await
    }

    /// Adds traffic and keeps the node's counters in one transaction. Durable when it returns. When it fails, the deltas
    /// and the counters must both be handed over again, or the traffic between two calls is lost or counted twice.
    ///
    /// # Errors
    /// Nothing was written.
    pub async fn account_traffic(
        &self,
        node: NodeName,
        deltas: Vec<UsageDelta>,
        changed: HashMap<String, (u64, u64)>,
        reset: bool,
    ) -> Result<(), HistoryError> {
        if deltas.is_empty() && changed.is_empty() && !reset {
            return Ok(());
        }
        self.write(Work::Traffic(Poll {
            at: self.inner.clock.now(),
            node,
            deltas,
            changed,
            reset,
        }))
        .await
    }

    /// Takes over what happened in another system: audit rows at the end of the chain, each with the time at which it happened,
    /// and traffic. What was taken over before is left out. Durable when it returns; links with credentials are redacted.
    ///
    /// # Errors
    /// Nothing was written.
    pub async fn import(&self, past: Vec<Past>) -> Result<(), HistoryError> {
        if past.is_empty() {
            return Ok(());
        }
        let now = self.inner.clock.now();
        self.write(Work::Import(past.into_iter().map(Past::redacted).collect(), now))
            .await
    }

    /// How much of this was taken over before.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn known_imports(&self, digests: Vec<[u8; 32]>) -> Result<u64, HistoryError> {
        self.read(move |conn| imported::known(conn, &digests)).await
    }

    /// Counters of a node as last kept.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn counters(&self, node: NodeName) -> Result<Counters, HistoryError> {
        self.read(move |conn| traffic::counters(conn, &node)).await
    }

    /// Totals of every account that ever moved a byte. Read once at start.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn all_totals(&self) -> Result<HashMap<String, Totals>, HistoryError> {
        self.read(traffic::all_totals).await
    }

    /// Totals of one account.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn totals(&self, account: String) -> Result<Totals, HistoryError> {
        self.read(move |conn| traffic::totals(conn, &account)).await
    }

    /// Audit rows, of one person (in any case) or of all.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn audit_rows(&self, corporate_id: Option<String>, page: Page) -> Result<Vec<AuditRow>, HistoryError> {
        let filter = AuditFilter {
            corporate_id,
            ..AuditFilter::default()
        };
        self.audit_search(filter, page).await
    }

    /// Audit rows that fit a filter.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn audit_search(&self, filter: AuditFilter, page: Page) -> Result<Vec<AuditRow>, HistoryError> {
        self.read(move |conn| audit::search(conn, &filter, &page)).await
    }

    /// Revocations of one person (in any case), newest first.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn revocations(&self, corporate_id: String, limit: u32) -> Result<Vec<RevocationRow>, HistoryError> {
        self.read(move |conn| revocations::of_person(conn, &corporate_id, limit))
            .await
    }

    /// Revocations of people who were deleted since `since`, of whom it is not known when the last session was gone: latest first,
    /// at most `limit`.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn unseen_zeros(&self, since: Timestamp, limit: u32) -> Result<Vec<RevocationRow>, HistoryError> {
        self.read(move |conn| revocations::unseen(conn, since, limit)).await
    }

    /// Traffic of one account by day (UTC), newest first: today and the days before it, without days on which nothing moved.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn traffic_by_day(&self, account: String, days: u32) -> Result<Vec<TrafficRow>, HistoryError> {
        let now = self.inner.clock.now();
        self.read(move |conn| traffic::rows(conn, &account, now, Step::Day, days))
            .await
    }

    /// Traffic of one account by hour, newest first, without hours in which nothing moved.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn traffic_by_hour(&self, account: String, hours: u32) -> Result<Vec<TrafficRow>, HistoryError> {
        let now = self.inner.clock.now();
        self.read(move |conn| traffic::rows(conn, &account, now, Step::Hour, hours))
            .await
    }

    /// Checks the audit chain; answers the number of rows, or the first row that does not fit.
    ///
    /// # Errors
    /// The database cannot be read, or the chain is broken.
    pub async fn verify(&self) -> Result<i64, HistoryError> {
        let path = self.inner.readers.path().to_owned();
        match self.read(chain::walk).await? {
            Walk::Sound(rows) => Ok(rows),
            Walk::Broken(message) => Err(HistoryError::damaged(&path, message)),
        }
    }

    /// Looks at every page of the file.
    ///
    /// # Errors
    /// The database cannot be read, or the first thing that is wrong with it.
    pub async fn check(&self) -> Result<(), HistoryError> {
        let path = self.inner.readers.path().to_owned();
        self.ask(move |conn| Ok(sqlite::quick_check(conn, &path)?)).await
    }

    /// Sizes. Walks through every table once.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn stats(&self) -> Result<Stats, HistoryError> {
        let path = self.inner.readers.path().to_owned();
        let spooled = self.inner.queue.as_ref().map_or(0, |queue| queue.spool().waiting());
        self.ask(move |conn| backup::stats(conn, &path, spooled)).await
    }

    /// Copies the database as it is now to another file (mode 0600), which is replaced at once and whole. Nobody waits for it.
    ///
    /// # Errors
    /// The database cannot be read or the file not be written; what was there before is still there.
    pub async fn backup_to(&self, target: &Path) -> Result<(), HistoryError> {
        let path = self.inner.readers.path().to_owned();
        let target = target.to_owned();
        self.ask(move |conn| backup::copy(conn, &path, &target)).await
    }

    /// The last error of the writer, while it lasts.
    #[must_use]
    pub fn last_error(&self) -> Option<HistoryError> {
        self.inner.health.last_error()
    }

    /// Transactions that were committed since opening: many jobs share one.
    #[must_use]
    pub fn commits(&self) -> u64 {
        self.inner.health.commits()
    }

    fn stamp(&self, entries: Vec<AuditEntry>) -> Vec<Stamped> {
        let at = time::truncate(self.inner.clock.now());
        let stamped = |entry| Stamped {
            at,
            entry: redact::entry(entry),
        };
        entries.into_iter().map(stamped).collect()
    }

    async fn write(&self, work: Work) -> Result<(), HistoryError> {
        let refused = || match self.inner.health.last_error() {
            Some(error) => error,
            None => HistoryError::Unavailable("it was opened for reading only".to_owned()),
        };
        self.inner.queue.as_ref().ok_or_else(refused)?.write(work).await
    }

    async fn read<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, HistoryError> {
        let path = self.inner.readers.path().to_owned();
        self.ask(move |conn| question(conn).map_err(|error| HistoryError::sqlite(&path, &error)))
            .await
    }

    async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Connection) -> Result<T, HistoryError> + Send + 'static,
    ) -> Result<T, HistoryError> {
        if let Some(error) = self.inner.health.closed() {
            return Err(error);
        }
        self.inner.readers.ask(question).await
    }
}
