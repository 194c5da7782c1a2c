//! The history of a scenario: the real one, in the world's data folder, and the faults that a scenario switches on.

use async_trait::async_trait;
use tokio::runtime::Handle;
use vpn_operator::{
    access::Journal,
    gateway::{NodeName, UsageDelta},
    history::{
        AuditEntry, AuditRow, AuditState, Finding, Forgetting, History, HistoryError, Page, RevocationRow, Story,
        Totals, TrafficRow, Who, WhoQuestion,
    },
};

use super::world::{World, id};

const EVERY_ROW: Page = Page {
    limit: u32::MAX,
    before: None,
};

/// Asks the history, which answers from threads of its own: while it works, a paused clock stands still.
async fn asked<T, F>(history: History, question: impl FnOnce(History) -> F) -> T
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let (answer, here) = (question(history), Handle::current());
    tokio::task::spawn_blocking(move || here.block_on(answer))
        .await
        .unwrap()
}

impl World {
    /// The history as it is now: without its database while a scenario says so.
    fn present(&self) -> History {
        let error = self.lock().history_error.clone();
        error.map_or_else(|| self.history.clone(), History::degraded)
    }

    /// Everything in the audit, in its order.
    pub async fn audit(&self) -> Vec<AuditRow> {
        let rows = asked(self.history.clone(), |it| async move {
            it.audit_rows(None, EVERY_ROW).await
        });
        let mut rows = rows.await.unwrap();
        rows.reverse();
        rows
    }

    /// What is in the audit, in its order.
    pub async fn actions(&self) -> Vec<String> {
        self.audit().await.into_iter().map(|row| row.entry.action).collect()
    }

    /// A node tells of bytes that somebody moved now; bytes from before anybody counted are `earlier`.
    pub async fn moved(&self, text: &str, (upload, download): (u64, u64), earlier: bool) {
        let account = id(text).account();
        let deltas = vec![UsageDelta {
            account: account.clone(),
            upload,
            download,
            earlier,
        }];
        let name = account.clone();
        let totals = asked(self.history.clone(), |it| async move {
            let node = NodeName("default/node0".into());
            it.account_traffic(node, deltas, std::collections::HashMap::new(), false)
                .await?;
            it.totals(name).await
        });
        let totals = totals.await.unwrap();
        self.lock().usage.insert(account, totals);
    }

    /// As [`Self::moved`], today.
    pub async fn used(&self, text: &str, upload: u64, download: u64) {
        self.moved(text, (upload, download), false).await;
    }

    /// As [`Self::used`], at the moments of these rows.
    pub async fn used_by_day(&self, text: &str, rows: impl IntoIterator<Item = TrafficRow>) {
        let now = self.clock_now();
        for row in rows {
            self.clock.step_wall(row.start);
            self.used(text, row.upload, row.download).await;
        }
        self.clock.step_wall(now);
    }

    /// A revocation is recorded.
    pub async fn revoked(&self, row: RevocationRow) {
        let done = asked(
            self.history.clone(),
            |it| async move { it.record_revocation(row).await },
        );
        done.await.unwrap();
    }
}

#[async_trait]
impl Journal for World {
    async fn audit(&self, entries: Vec<AuditEntry>) -> Result<(), HistoryError> {
        let (stuck, breaks) = {
            let inner = self.lock();
            (inner.history_stuck, inner.history_breaks)
        };
        if stuck {
            std::future::pending::<()>().await;
        }
        if breaks {
            return Err(HistoryError::Unavailable("the disk is full".to_owned()));
        }
        asked(self.present(), |it| async move { it.audit(entries).await }).await
    }
    async fn audit_denial(&self, entries: Vec<AuditEntry>) {
        if self.lock().history_stuck {
            std::future::pending::<()>().await;
        }
        asked(self.present(), |it| async move {
            Journal::audit_denial(&it, entries).await;
        })
        .await;
    }
    fn last_error(&self) -> Option<HistoryError> {
        self.present().last_error()
    }
    fn audit_state(&self) -> AuditState {
        self.present().audit_state()
    }
    async fn acknowledge(&self, who: AuditEntry) -> Result<Vec<Finding>, HistoryError> {
        asked(self.present(), |it| async move { it.acknowledge(who).await }).await
    }
    async fn forget(&self, order: AuditEntry, names: Vec<String>, always: bool) -> Result<u64, HistoryError> {
        asked(
            self.present(),
            |it| async move { it.forget(order, names, always).await },
        )
        .await
    }
    async fn to_forget(&self) -> Result<Vec<Forgetting>, HistoryError> {
        asked(self.present(), |it| async move { it.to_forget().await }).await
    }
    async fn forgotten(&self, corporate_id: String) -> Result<(), HistoryError> {
        asked(self.present(), |it| async move { it.forgotten(corporate_id).await }).await
    }
    async fn scrub(&self) -> Result<(), HistoryError> {
        asked(self.present(), |it| async move { it.scrub().await }).await
    }
    async fn totals(&self, account: String) -> Result<Totals, HistoryError> {
        asked(self.present(), |it| async move { it.totals(account).await }).await
    }
    async fn audit_rows(&self, corporate_id: Option<String>, page: Page) -> Result<Vec<AuditRow>, HistoryError> {
        asked(
            self.present(),
            |it| async move { it.audit_rows(corporate_id, page).await },
        )
        .await
    }
    async fn own_rows(&self, id: String, action: &'static str, limit: u32) -> Result<Vec<AuditRow>, HistoryError> {
        asked(self.present(), |it| async move { it.own_rows(id, action, limit).await }).await
    }
    async fn who(&self, question: WhoQuestion) -> Result<Who, HistoryError> {
        asked(self.present(), |it| async move { it.who(question).await }).await
    }
    async fn story(&self, corporate_id: String, account: String) -> Result<Story, HistoryError> {
        asked(
            self.present(),
            |it| async move { it.story(corporate_id, account).await },
        )
        .await
    }
    async fn revocations(&self, corporate_id: String, limit: u32) -> Result<Vec<RevocationRow>, HistoryError> {
        asked(
            self.present(),
            |it| async move { it.revocations(corporate_id, limit).await },
        )
        .await
    }
    async fn traffic_by_day(&self, account: String, days: u32) -> Result<Vec<TrafficRow>, HistoryError> {
        if self.lock().traffic_stuck {
            std::future::pending::<()>().await;
        }
        asked(
            self.present(),
            |it| async move { it.traffic_by_day(account, days).await },
        )
        .await
    }
}
