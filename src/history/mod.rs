//! SQLite: what happened, kept for auditors and for whoever is on call.
//!
//! A file of the engine in `store`. Nothing here decides anything; nothing that is needed to
//! answer a login is read from here. No secret is ever written.
//!
//! It uses the clock, the words of the model and the shapes of the gateway's counters. It must never be waited for before a
//! denial takes effect, and never fail one: see [`History::audit_or_spool`].

mod access;
#[cfg(test)]
mod access_tests;
mod agreement;
mod appender;
mod audit;
mod chain;
mod changeover;
mod emptied;
mod entry;
mod export;
mod finding;
mod forget;
#[cfg(test)]
mod forget_tests;
mod forgetting;
mod head;
mod imported;
mod keeping;
mod order;
mod own;
mod parts;
mod place;
mod redact;
mod retention;
mod revocations;
mod schema;
mod sealer;
mod spool;
mod standing;
mod stats;
mod story;
#[cfg(test)]
mod tamper_tests;
#[cfg(test)]
mod tests;
mod time;
mod traffic;
mod walk;
mod who;

use std::{collections::HashMap, path::Path, sync::Arc};

use jiff::Timestamp;
use rusqlite::Connection;

pub use self::{
    access::{DENIED as ACCESS_DENIED, GONE as ACCESS_GONE, GRANTED as ACCESS_GRANTED, KnownAccess},
    audit::{AuditFilter, AuditRow, Page},
    entry::AuditEntry,
    export::Bite,
    finding::Finding,
    forget::Forgetting,
    head::AuditHead,
    imported::{ImportedEvent, ImportedTraffic, Past},
    keeping::AuditState,
    own::OWN_SOURCE,
    place::{HeadFile, HeadPlace},
    redact::redact,
    revocations::RevocationRow,
    standing::Standing,
    stats::Stats,
    story::{MonthTraffic, Story},
    time::RETENTION_DAYS as AUDIT_RETENTION_DAYS,
    traffic::{DAY_RETENTION_DAYS as TRAFFIC_RETENTION_DAYS, Totals, TrafficRow},
    walk::Verified,
    who::{AccessOrder, HadAccess, Who, WhoQuestion},
};
use self::{
    entry::Stamped,
    keeping::Known,
    schema::SCHEMA,
    sealer::Sealer,
    spool::Spool,
    traffic::{Poll, Step},
};
pub use crate::store::StoreError as HistoryError;
use crate::{
    clock::{SharedClock, SystemClock},
    credentials::AuditKeys,
    gateway::{Counters, NodeName, UsageDelta},
    store::Store,
};

/// The database. Cheap to clone. When the last clone is dropped, what was handed over is written and the file is closed.
#[derive(Clone)]
pub struct History {
    store: Store,
    sealer: Arc<Sealer>,
    /// None when nothing can ever be written.
    spool: Option<Arc<Spool>>,
    known: Arc<Known>,
}

impl History {
    /// Opens or creates the database and migrates it. What is written to the audit is sealed with the present one of the keys. Blocks on
    /// the disk.
    ///
    /// # Errors
    /// A newer, damaged, locked or unwritable file; nothing is changed then.
    pub fn open(path: &Path, keys: AuditKeys, clock: SharedClock) -> Result<Self, HistoryError> {
        Self::start(path, keys, clock, true)
    }

    /// As [`Self::open`], but a database that cannot be opened stands in nobody's way: every call answers the error,
    /// [`Self::last_error`] shows it, and opening is tried again every second.
    ///
    /// # Errors
    /// No thread can be started.
    pub fn open_or_retry(path: &Path, keys: AuditKeys, clock: SharedClock) -> Result<Self, HistoryError> {
        Self::start(path, keys, clock, false)
    }

    fn start(path: &Path, keys: AuditKeys, clock: SharedClock, must_open: bool) -> Result<Self, HistoryError> {
        let sealer = Arc::new(Sealer::new(keys, Arc::clone(&clock)));
        let spool = Arc::new(Spool::beside(path, Arc::clone(&sealer)));
        let store = Store::open_with(path, SCHEMA, clock, Arc::clone(&spool) as _, must_open)?;
        Ok(Self {
            store,
            sealer,
            spool: Some(spool),
            known: Arc::default(),
        })
    }

    /// Opens the database for reading, also while another process owns it: for `doctor` and the command line. Every write
    /// answers an error; with keys it can be verified. Nothing is opened yet: the first question answers what is wrong with the file.
    #[must_use]
    pub fn open_read_only(path: &Path, keys: AuditKeys, clock: SharedClock) -> Self {
        Self {
            sealer: Arc::new(Sealer::new(keys, Arc::clone(&clock))),
            store: Store::open_read_only(path, SCHEMA, clock),
            spool: None,
            known: Arc::default(),
        }
    }

    /// A history whose every call answers this error.
    #[must_use]
    pub fn degraded(error: HistoryError) -> Self {
        Self {
            store: Store::degraded(SCHEMA, error),
            sealer: Arc::new(Sealer::new(AuditKeys::none(), Arc::new(SystemClock))),
            spool: None,
            known: Arc::default(),
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
        let (entries, sealer) = (self.stamp(entries), Arc::clone(&self.sealer));
        self.store
            .write(move |conn| audit::append(conn, &sealer, &entries))
            .await
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
        let stamped = self.stamp(entries);
        self.write_or_spool(stamped, |conn, sealer, rows| audit::append(conn, sealer, rows))
            .await
    }

    async fn write_or_spool(
        &self,
        stamped: Vec<Stamped>,
        write: impl FnOnce(&Connection, &Sealer, &[Stamped]) -> rusqlite::Result<()> + Send + 'static,
    ) -> bool {
        let Some(spool) = &self.spool else {
            let entries = stamped.len();
            tracing::error!(entries, "audit entries are lost: there is no history to write them to");
            return false;
        };
        // Behind others that wait, so that the order stays.
        if spool.is_empty() {
            let entries = stamped.clone();
            let sealer = Arc::clone(&self.sealer);
            if self
                .store
                .write(move |conn| write(conn, &sealer, &entries))
                .await
                .is_ok()
            {
                return true;
            }
        }
        let spool = Arc::clone(spool);
        let durable = tokio::task::spawn_blocking(move || spool.push(stamped)).await;
        self.store.wake();
        durable.unwrap_or(false)
    }

    /// Writes how people's access stands from the moment that each entry has, in this order: rows with the actions
    /// [`ACCESS_GRANTED`] and [`ACCESS_DENIED`], with their state in `after`. What is known already is not written again. What
    /// cannot be written waits as in [`Self::audit_or_spool`], and it is answered whether it would survive a crash.
    pub async fn record_access(&self, entries: Vec<(Timestamp, AuditEntry)>) -> bool {
        if entries.is_empty() {
            return true;
        }
        let stamped: Vec<Stamped> = entries
            .into_iter()
            .map(|(at, entry)| Stamped {
                at: time::truncate(at),
                entry: redact::entry(entry),
            })
            .collect();
        self.write_or_spool(stamped, |conn, sealer, rows| {
            for row in rows {
                if access::is_news(conn, row)? {
                    let correlated = access::correlated(conn, row)?;
                    audit::append(conn, sealer, [correlated.as_ref().unwrap_or(row)])?;
                }
            }
            Ok(())
        })
        .await
    }

    /// How the access of everybody who is not known to be gone stands, as last written.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn known_access(&self) -> Result<Vec<KnownAccess>, HistoryError> {
        self.store.read(access::known).await
    }

    /// Everybody's access is written down as it stands, and every change will be: from now on it is known who had access. What
    /// was noted before stays.
    ///
    /// # Errors
    /// Nothing was written.
    pub async fn access_is_complete(&self) -> Result<(), HistoryError> {
        if self.store.read(access::known_from).await?.is_some() {
            return Ok(());
        }
        let now = self.store.now();
        self.store.write(move |conn| access::complete_from(conn, now)).await
    }

    /// Who had access at a moment, and why.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn who(&self, question: WhoQuestion) -> Result<Who, HistoryError> {
        self.store.read(move |conn| who::who(conn, &question)).await
    }

    /// Everything that is kept about one person, who has this account.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn story(&self, corporate_id: String, account: String) -> Result<Story, HistoryError> {
        let now = self.store.now();
        self.store
            .read(move |conn| story::story(conn, &corporate_id, &account, now))
            .await
    }

    /// Inserts or completes a revocation (key: account and epoch). Times that are set are never moved, unless they were taken
    /// back. Durable when it returns.
    ///
    /// # Errors
    /// Nothing was written.
    pub async fn record_revocation(&self, row: RevocationRow) -> Result<(), HistoryError> {
        let sealer = Arc::clone(&self.sealer);
        self.store.write(move |conn| audit::record(conn, &sealer, &row)).await
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
        let poll = Poll {
            at: self.store.now(),
            node,
            deltas,
            changed,
            reset,
        };
        self.store.write(move |conn| traffic::account(conn, &poll)).await
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
        let past: Vec<Past> = past.into_iter().map(Past::redacted).collect();
        let sealer = Arc::clone(&self.sealer);
        self.store
            .write(move |conn| imported::take_over(conn, &sealer, &past))
            .await
    }

    /// How much of this was taken over before.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn known_imports(&self, digests: Vec<[u8; 32]>) -> Result<u64, HistoryError> {
        self.store.read(move |conn| imported::known(conn, &digests)).await
    }

    /// Counters of a node as last kept.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn counters(&self, node: NodeName) -> Result<Counters, HistoryError> {
        self.store.read(move |conn| traffic::counters(conn, &node)).await
    }

    /// Totals of every account that ever moved a byte. Read once at start.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn all_totals(&self) -> Result<HashMap<String, Totals>, HistoryError> {
        self.store.read(traffic::all_totals).await
    }

    /// Totals of one account.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn totals(&self, account: String) -> Result<Totals, HistoryError> {
        self.store.read(move |conn| traffic::totals(conn, &account)).await
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
        self.store.read(move |conn| audit::search(conn, &filter, &page)).await
    }

    /// Rows of one person (in any case) about what was done by their own address ([`OWN_SOURCE`]), with this action, newest first.
    /// However many other rows there are, none of them is looked at.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn own_rows(
        &self,
        corporate_id: String,
        action: &'static str,
        limit: u32,
    ) -> Result<Vec<AuditRow>, HistoryError> {
        let key = corporate_id.to_ascii_lowercase();
        self.store.read(move |conn| own::rows(conn, &key, action, limit)).await
    }

    /// Revocations of one person (in any case), newest first.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn revocations(&self, corporate_id: String, limit: u32) -> Result<Vec<RevocationRow>, HistoryError> {
        self.store
            .read(move |conn| revocations::of_person(conn, &corporate_id, limit))
            .await
    }

    /// Revocations of people who were deleted since `since`, of whom it is not known when the last session was gone: latest first,
    /// at most `limit`.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn unseen_zeros(&self, since: Timestamp, limit: u32) -> Result<Vec<RevocationRow>, HistoryError> {
        self.store
            .read(move |conn| revocations::unseen(conn, since, limit))
            .await
    }

    /// Traffic of one account by day (UTC), newest first: today and the days before it, without days on which nothing moved.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn traffic_by_day(&self, account: String, days: u32) -> Result<Vec<TrafficRow>, HistoryError> {
        let now = self.store.now();
        self.store
            .read(move |conn| traffic::rows(conn, &account, now, Step::Day, days))
            .await
    }

    /// Traffic of one account by hour, newest first, without hours in which nothing moved.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn traffic_by_hour(&self, account: String, hours: u32) -> Result<Vec<TrafficRow>, HistoryError> {
        let now = self.store.now();
        self.store
            .read(move |conn| traffic::rows(conn, &account, now, Step::Hour, hours))
            .await
    }

    /// Checks the audit chain; answers the number of rows, or the first row that does not fit.
    ///
    /// # Errors
    /// The database cannot be read, or the chain is broken.
    pub async fn verify(&self) -> Result<u64, HistoryError> {
        let verified = self.verified().await?;
        match verified.findings.first() {
            None => Ok(verified.rows),
            Some(first) => Err(self.store.damaged(&*first.what)),
        }
    }

    /// Looks at every page of the file.
    ///
    /// # Errors
    /// The database cannot be read, or the first thing that is wrong with it.
    pub async fn check(&self) -> Result<(), HistoryError> {
        self.store.check().await
    }

    /// Sizes. Walks through every table once.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn stats(&self) -> Result<Stats, HistoryError> {
        let spooled = self.spool.as_ref().map_or(0, |spool| spool.waiting());
        let sizes = self.store.sizes();
        self.store.read(move |conn| stats::stats(conn, sizes, spooled)).await
    }

    /// Copies the database as it is now to another file (mode 0600), which is replaced at once and whole. Nobody waits for it.
    ///
    /// # Errors
    /// The database cannot be read or the file not be written; what was there before is still there.
    pub async fn backup_to(&self, target: &Path) -> Result<(), HistoryError> {
        self.store.backup_to(target).await
    }

    /// The last error of the writer, while it lasts.
    #[must_use]
    pub fn last_error(&self) -> Option<HistoryError> {
        self.store.last_error()
    }

    /// Transactions that were committed since opening: many jobs share one.
    #[must_use]
    pub fn commits(&self) -> u64 {
        self.store.commits()
    }

    fn stamp(&self, entries: Vec<AuditEntry>) -> Vec<Stamped> {
        let at = time::truncate(self.store.now());
        let stamped = |entry| Stamped {
            at,
            entry: redact::entry(entry),
        };
        entries.into_iter().map(stamped).collect()
    }
}
