//! Traffic of every account: summed up in memory for decisions, and handed to the history for keeping.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Duration,
};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::{
    clock::SharedClock,
    gateway::{Counters, NodeName, UsageDelta, UsageSink},
    history::{History, Totals},
    model::{
        access::{Period, Usage},
        user::VpnUser,
    },
    roster::{Input, account_of, reported_usage},
};

/// How long to wait before a write to a failing history is tried again.
const RETRY: Duration = Duration::from_secs(5);

/// What one node moved since the last write.
#[derive(Debug, Default)]
struct Pending {
    /// By account, and whether it was moved before anybody counted.
    deltas: HashMap<(String, bool), (u64, u64)>,
    changed: HashMap<String, (u64, u64)>,
    reset: bool,
}

#[derive(Debug, Default)]
struct Book {
    totals: HashMap<String, Totals>,
    baselines: HashMap<NodeName, Counters>,
    pending: HashMap<NodeName, Pending>,
    /// What was reported of accounts whose past is not known yet: they have used at least so much.
    reported: HashMap<String, Usage>,
    /// `totals` hold what the history holds.
    complete: bool,
    /// Nodes whose past counters could not be read yet.
    unread: HashSet<NodeName>,
}

impl Book {
    fn usage(&self, account: &str) -> Usage {
        let counted = self.totals.get(account).copied().unwrap_or_default().usage;
        let reported = self.reported.get(account);
        reported.map_or(counted, |reported| most(counted, *reported))
    }

    fn input(&self, account: &str) -> Input {
        Input::Usage {
            account: account.to_owned(),
            usage: self.usage(account),
        }
    }
}

/// The higher of two counts of one account; of a month, the later one.
fn most(one: Usage, other: Usage) -> Usage {
    let (month_start, month) = (one.month_start, one.month).max((other.month_start, other.month));
    Usage {
        lifetime: one.lifetime.max(other.lifetime),
        month,
        month_start,
    }
}

/// Who is told what accounts have used.
pub type UsageListener = Box<dyn Fn(Vec<Input>) + Send + Sync>;

/// Traffic of every account. One lock, held for a few map accesses and never over I/O.
pub struct UsageBook {
    book: Mutex<Book>,
    clock: SharedClock,
    history: History,
    wake: Notify,
    listener: OnceLock<UsageListener>,
}

impl UsageBook {
    /// A book with the totals that the history holds. A history that cannot be read is told in the log, and asked again
    /// until it can; no traffic is counted before.
    pub async fn open(history: History, clock: SharedClock) -> Arc<Self> {
        let read = history.all_totals().await.inspect_err(|error| {
            tracing::error!(%error, "past traffic cannot be read: limits on traffic are not in force until it can");
        });
        let book = Self {
            book: Mutex::new(Book {
                complete: read.is_ok(),
                totals: read.unwrap_or_default(),
                ..Book::default()
            }),
            clock,
            history,
            wake: Notify::new(),
            listener: OnceLock::new(),
        };
        if !book.lock().complete {
            book.wake.notify_one();
        }
        Arc::new(book)
    }

    /// Tells the book whom to inform. Once, when everything is wired.
    pub fn attach(&self, listener: UsageListener) {
        let _ = self.listener.set(listener);
    }

    /// What an account has used.
    #[must_use]
    pub fn usage(&self, account: &str) -> Usage {
        self.lock().usage(account)
    }

    /// What an account has moved.
    #[must_use]
    pub fn totals(&self, account: &str) -> Totals {
        self.lock().totals.get(account).copied().unwrap_or_default()
    }

    /// What an account has moved; `None` while what the history holds could not be read.
    #[must_use]
    pub fn known_totals(&self, account: &str) -> Option<Totals> {
        let book = self.lock();
        book.complete
            .then(|| book.totals.get(account).copied().unwrap_or_default())
    }

    /// Every account's usage, for the first load.
    #[must_use]
    pub fn inputs(&self) -> Vec<Input> {
        let book = self.lock();
        book.totals.keys().map(|account| book.input(account)).collect()
    }

    /// Sees to it that nobody has used less than was reported: a history that was put back, or lost, gives no traffic back.
    /// Answers whose usage that raised, for the first load.
    pub fn at_least<'a>(&self, users: impl Iterator<Item = &'a VpnUser>) -> Vec<Input> {
        let mut book = self.lock();
        let mut raised = Vec::new();
        for user in users {
            let Some(status) = &user.status else { continue };
            let told = reported_usage(status);
            let reported = status.traffic.as_ref().map_or(0, |traffic| traffic.used.get());
            if reported == 0 {
                // A month in which nothing was used yet. That is so of most people, and nothing that could be lost.
                continue;
            }
            let account = account_of(user);
            let known = book.usage(&account);
            let rounded = match told.month_start {
                None => Usage {
                    lifetime: reported,
                    ..told
                },
                Some(_) => Usage {
                    month: reported,
                    ..told
                },
            };
            if most(known, rounded) == known {
                continue;
            }
            if book.complete {
                tracing::warn!(
                    account,
                    "less traffic is known than was reported: the history was put back or lost; what was reported counts"
                );
                let totals = book.totals.entry(account.clone()).or_default();
                totals.usage = most(totals.usage, told);
            } else {
                book.reported.insert(account.clone(), told);
            }
            raised.push(book.input(&account));
        }
        raised
    }

    /// Reads a node's counters before its gateway starts, so that nothing is counted twice.
    pub async fn prepare(&self, node: &NodeName) {
        if self.lock().baselines.contains_key(node) {
            return;
        }
        match self.history.counters(node.clone()).await {
            Ok(counters) => {
                self.lock().baselines.entry(node.clone()).or_insert(counters);
            }
            Err(error) => {
                tracing::warn!(node = %node.0, %error, "past counters cannot be read yet: traffic is not counted until they can");
                self.lock().unread.insert(node.clone());
                self.wake.notify_one();
            }
        }
    }

    /// Reads what could not be read before. Answers whether nothing is missing any more.
    async fn catch_up(&self) -> bool {
        let (complete, unread) = {
            let book = self.lock();
            (book.complete, book.unread.clone())
        };
        if !complete {
            let Ok(past) = self.history.all_totals().await else {
                return false;
            };
            {
                let mut book = self.lock();
                for (account, past) in past {
                    add_past(book.totals.entry(account).or_default(), &past);
                }
                book.complete = true;
            }
            tracing::info!("past traffic is known now");
            self.tell(self.inputs());
        }
        for node in unread {
            let Ok(counters) = self.history.counters(node.clone()).await else {
                return false;
            };
            let mut book = self.lock();
            book.unread.remove(&node);
            book.baselines.entry(node).or_insert(counters);
        }
        true
    }

    fn tell(&self, inputs: Vec<Input>) {
        if let Some(listener) = self.listener.get() {
            listener(inputs);
        }
    }

    /// Writes to the history what has come together, until `cancel`; then once more.
    pub async fn run(self: Arc<Self>, cancel: CancellationToken) {
        loop {
            tokio::select! {
                () = cancel.cancelled() => break,
                () = self.wake.notified() => {}
            }
            if !self.flush().await {
                tokio::select! {
                    () = cancel.cancelled() => break,
                    () = tokio::time::sleep(RETRY) => self.wake.notify_one(),
                }
            }
        }
        self.flush().await;
    }

    async fn flush(&self) -> bool {
        if !self.catch_up().await {
            return false;
        }
        let pending = std::mem::take(&mut self.lock().pending);
        let mut all_written = true;
        for (node, batch) in pending {
            let deltas = batch
                .deltas
                .iter()
                .map(|((account, earlier), (upload, download))| UsageDelta {
                    account: account.clone(),
                    upload: *upload,
                    download: *download,
                    earlier: *earlier,
                })
                .collect();
            if let Err(error) = self
                .history
                .account_traffic(node.clone(), deltas, batch.changed.clone(), batch.reset)
                .await
            {
                tracing::warn!(node = %node.0, %error, "traffic cannot be written yet: it is kept in memory");
                self.lock().pending.entry(node).or_default().put_before(batch);
                all_written = false;
            }
        }
        all_written
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pending {
    fn add(&mut self, deltas: &[UsageDelta], changed: HashMap<String, (u64, u64)>, reset: bool) {
        for delta in deltas {
            let sum = self.deltas.entry((delta.account.clone(), delta.earlier)).or_default();
            sum.0 = sum.0.saturating_add(delta.upload);
            sum.1 = sum.1.saturating_add(delta.download);
        }
        if reset {
            self.changed.clear();
            self.reset = true;
        }
        self.changed.extend(changed);
    }

    /// Puts an older batch that could not be written in front of this one.
    fn put_before(&mut self, older: Self) {
        for (key, (upload, download)) in older.deltas {
            let sum = self.deltas.entry(key).or_default();
            sum.0 = sum.0.saturating_add(upload);
            sum.1 = sum.1.saturating_add(download);
        }
        if !self.reset {
            for (id, counters) in older.changed {
                self.changed.entry(id).or_insert(counters);
            }
            self.reset = older.reset;
        }
    }
}

/// Adds what was counted before this process to what it counted.
fn add_past(totals: &mut Totals, past: &Totals) {
    totals.upload = totals.upload.saturating_add(past.upload);
    totals.download = totals.download.saturating_add(past.download);
    let (usage, past) = (&mut totals.usage, &past.usage);
    usage.lifetime = usage.lifetime.saturating_add(past.lifetime);
    if usage.month_start.is_none() || usage.month_start == past.month_start {
        usage.month = usage.month.saturating_add(past.month);
        usage.month_start = past.month_start;
    }
}

impl UsageSink for UsageBook {
    fn baseline(&self, node: &NodeName) -> Option<Counters> {
        self.lock().baselines.get(node).cloned()
    }

    fn account(&self, node: &NodeName, deltas: Vec<UsageDelta>, changed: HashMap<String, (u64, u64)>, reset: bool) {
        let month_start = Period::Month.start(self.clock.now());
        let mut inputs = Vec::with_capacity(deltas.len());
        {
            let mut book = self.lock();
            for delta in &deltas {
                let totals = book.totals.entry(delta.account.clone()).or_default();
                let moved = delta.upload.saturating_add(delta.download);
                totals.upload = totals.upload.saturating_add(delta.upload);
                totals.download = totals.download.saturating_add(delta.download);
                totals.usage.lifetime = totals.usage.lifetime.saturating_add(moved);
                if totals.usage.month_start != month_start {
                    totals.usage.month_start = month_start;
                    totals.usage.month = 0;
                }
                if !delta.earlier {
                    totals.usage.month = totals.usage.month.saturating_add(moved);
                }
            }
            inputs.extend(deltas.iter().map(|delta| book.input(&delta.account)));
            let counters = book.baselines.entry(node.clone()).or_default();
            if reset {
                counters.ids.clear();
            }
            counters
                .ids
                .extend(changed.iter().map(|(id, pair)| (id.clone(), *pair)));
            book.pending
                .entry(node.clone())
                .or_default()
                .add(&deltas, changed, reset);
        }
        self.wake.notify_one();
        self.tell(inputs);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{clock::SystemClock, credentials::AuditKeys};

    #[tokio::test]
    async fn only_who_used_more_than_is_known_is_raised() {
        let folder = tempfile::tempdir().unwrap();
        let clock: SharedClock = Arc::new(SystemClock);
        let history =
            History::open_or_retry(&folder.path().join("history.db"), AuditKeys::none(), clock.clone()).unwrap();
        let book = UsageBook::open(history, clock).await;
        let user = |used: &str| -> VpnUser {
            serde_json::from_value(json!({
                "apiVersion": "vpn-operator.io/v1alpha1", "kind": "VpnUser", "metadata": { "name": "ab123456" },
                "spec": { "corporateId": "AB123456" },
                "status": {
                    "observedGeneration": 1,
                    "traffic": { "used": used, "periodStart": "2026-05-01T00:00:00Z" },
                },
            }))
            .unwrap()
        };
        assert!(
            book.at_least([&user("0")].into_iter()).is_empty(),
            "a month without traffic"
        );
        assert_eq!(book.at_least([&user("3Mi")].into_iter()).len(), 1);
        assert!(book.at_least([&user("3Mi")].into_iter()).is_empty(), "it is known now");
    }
}
