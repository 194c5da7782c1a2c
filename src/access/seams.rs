//! What the use cases need of other rooms, each as narrow as it can be.

use std::{collections::BinaryHeap, sync::Arc};

use async_trait::async_trait;
use tokio::sync::watch;

use super::gateways::GatewayView;
use crate::{
    gateway::{NodeHealth, RevocationProgress},
    history::{
        AuditEntry, AuditRow, AuditState, Finding, Forgetting, History, HistoryError, Page, RevocationRow, Story,
        Totals, TrafficRow, Who, WhoQuestion,
    },
    model::{access::Access, corporate_id::CorporateId, hold::VpnHold, user::VpnUser},
    reconcile::{auth_guard::AuthGuard, denials::Orders},
    roster::{GuardReport, Person, Roster, Transition},
    verdicts::VerdictStore,
};

/// Everyone who is declared, and the guard. From memory, at once.
#[async_trait]
pub trait People: Send + Sync + 'static {
    /// The first full load is over. Before that nothing is known of anybody, and nobody is let in.
    fn is_loaded(&self) -> bool;
    /// One person.
    fn person(&self, id: &CorporateId) -> Option<Person>;
    /// Whether a person is let in at this moment. Nobody who is unknown is.
    fn access(&self, id: &CorporateId) -> Access;
    /// Rises with every change of anybody.
    fn changes(&self) -> watch::Receiver<u64>;
    /// What the guard holds back: at most `most` things of each kind by name, and how many there are.
    fn guard(&self, most: usize) -> GuardReport;
    /// Lets pending denials through, those named or all, and has the sessions cut.
    fn confirm(&self, ids: Option<&[CorporateId]>);
    /// Rejects pending denials, those named or all.
    fn cancel(&self, ids: Option<&[CorporateId]>);
    /// Waits until what the guard knows now would outlive a crash.
    async fn guard_kept(&self);
    /// What is wrong with the guard's store, one line each.
    fn guard_store(&self) -> Vec<String>;
    /// Somebody is about to place this hold: the line in the log that tells of a denial by it is to name them.
    fn order_begins(&self, hold: &str, by: &str);
    /// The hold is placed, or could not be. Answers whether a line told of it.
    fn order_ends(&self, hold: &str) -> bool;
}

/// The roster together with the way its transitions go to reconciler and gateways.
pub struct LivePeople {
    roster: Arc<Roster>,
    dispatch: Arc<dyn Fn(Vec<Transition>) + Send + Sync>,
    verdicts: Arc<VerdictStore>,
    orders: Arc<Orders>,
}

impl LivePeople {
    /// `dispatch` must hand the cuts to the gateways at once and queue the users to be reconciled, and tell of denials with the
    /// names in `orders`; `verdicts` keeps [`Roster::guard_changes`].
    #[must_use]
    pub fn new(
        roster: Arc<Roster>,
        dispatch: Arc<dyn Fn(Vec<Transition>) + Send + Sync>,
        verdicts: Arc<VerdictStore>,
        orders: Arc<Orders>,
    ) -> Self {
        Self {
            roster,
            dispatch,
            verdicts,
            orders,
        }
    }
}

#[async_trait]
impl People for LivePeople {
    fn is_loaded(&self) -> bool {
        self.roster.is_loaded()
    }
    fn person(&self, id: &CorporateId) -> Option<Person> {
        self.roster.person(id)
    }
    fn access(&self, id: &CorporateId) -> Access {
        self.roster.access(id)
    }
    fn changes(&self) -> watch::Receiver<u64> {
        self.roster.changes()
    }
    fn guard(&self, most: usize) -> GuardReport {
        self.roster.guard(most)
    }
    fn confirm(&self, ids: Option<&[CorporateId]>) {
        (self.dispatch)(self.roster.confirm(ids));
    }
    fn cancel(&self, ids: Option<&[CorporateId]>) {
        (self.dispatch)(self.roster.cancel(ids));
    }
    async fn guard_kept(&self) {
        let wanted = *self.roster.guard_changes().borrow();
        // The sender is gone only while the process drains.
        let _ = self.verdicts.kept().wait_for(|kept| *kept >= wanted).await;
    }
    fn guard_store(&self) -> Vec<String> {
        self.verdicts.health().lines()
    }
    fn order_begins(&self, hold: &str, by: &str) {
        self.orders.begins(hold, by);
    }
    fn order_ends(&self, hold: &str) -> bool {
        self.orders.ends(hold)
    }
}

/// Objects of desired state as last seen. From memory, at once; may lag behind the source for a moment.
pub trait Directory: Send + Sync + 'static {
    /// A user by object name.
    fn user(&self, name: &str) -> Option<Arc<VpnUser>>;

    /// The first `limit` users that `keep` accepts, in the order of their names, from behind `after` on.
    ///
    /// [`select`] does this over a store that has no order.
    fn users(&self, after: Option<&str>, limit: usize, keep: &mut dyn FnMut(&VpnUser) -> bool) -> Vec<Arc<VpnUser>>;

    /// A hold by object name.
    fn hold(&self, name: &str) -> Option<Arc<VpnHold>>;

    /// Every hold. There are few, compared to users.
    fn holds(&self) -> Vec<Arc<VpnHold>>;

    /// Objects whose present spec no status speaks of for longer than a minute, one line each.
    fn unobserved(&self) -> Vec<String>;
}

/// The `limit` smallest of `users` by name that lie behind `after` and that `keep` accepts, in order. One pass, in
/// `O(users · log limit)`; `keep` is asked only about candidates.
pub fn select(
    users: impl Iterator<Item = Arc<VpnUser>>,
    after: Option<&str>,
    limit: usize,
    keep: &mut dyn FnMut(&VpnUser) -> bool,
) -> Vec<Arc<VpnUser>> {
    struct ByName(Arc<VpnUser>);
    impl ByName {
        fn name(&self) -> &str {
            self.0.metadata.name.as_deref().unwrap_or_default()
        }
    }
    impl PartialEq for ByName {
        fn eq(&self, other: &Self) -> bool {
            self.name() == other.name()
        }
    }
    impl Eq for ByName {}
    impl PartialOrd for ByName {
        fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
            Some(self.cmp(other))
        }
    }
    impl Ord for ByName {
        fn cmp(&self, other: &Self) -> std::cmp::Ordering {
            self.name().cmp(other.name())
        }
    }

    let mut smallest: BinaryHeap<ByName> = BinaryHeap::with_capacity(limit + 1);
    for user in users {
        let candidate = ByName(user);
        if after.is_some_and(|after| candidate.name() <= after) {
            continue;
        }
        let full = smallest.len() >= limit;
        if full && smallest.peek().is_none_or(|largest| *largest <= candidate) {
            continue;
        }
        if keep(&candidate.0) {
            smallest.push(candidate);
            if smallest.len() > limit {
                smallest.pop();
            }
        }
    }
    smallest
        .into_sorted_vec()
        .into_iter()
        .map(|ByName(user)| user)
        .collect()
}

/// The running gateways, from memory.
pub trait Links: Send + Sync + 'static {
    /// Why a user has no link, one line a cause: gateways that are missing or cannot run, nodes that cannot, a password that
    /// cannot be read. Empty where nothing is in the way.
    fn obstacles(&self, user: &VpnUser) -> Vec<String>;
    /// Gateways that cannot run as they are declared as a whole, by name, and why.
    fn refusals(&self) -> Vec<(String, String)>;
    /// Gateways to which users cannot be kept who name them alone, by name, and why.
    fn not_separated(&self) -> Vec<(String, String)>;
    /// How the auth guard of each panel is that has one.
    fn guards(&self) -> Vec<AuthGuard>;
    /// The revocation of an account that is under way, or the last one. Of several gateways: the slowest.
    fn revocation(&self, account: &str) -> Option<RevocationProgress>;
    /// What an account has moved, where it is in memory.
    fn totals(&self, account: &str) -> Option<Totals> {
        let _ = account;
        None
    }
    /// Sessions online at the last poll, on all gateways.
    fn sessions(&self, account: &str) -> u32;
    /// Health of every node.
    fn health(&self) -> Vec<NodeHealth>;
    /// How every gateway is that runs or is declared, in no order.
    fn gateways(&self) -> Vec<GatewayView>;
}

/// What the use cases read from and write to history.
#[async_trait]
pub trait Journal: Send + Sync + 'static {
    /// Writes audit rows. Durable when it returns.
    async fn audit(&self, entries: Vec<AuditEntry>) -> Result<(), HistoryError>;
    /// Writes audit rows of a denial as well as it can. Never fails, and goes on when nobody waits for it any more.
    async fn audit_denial(&self, entries: Vec<AuditEntry>);
    /// The last error of the writer, while it lasts.
    fn last_error(&self) -> Option<HistoryError>;
    /// How the audit is, as far as it is known.
    fn audit_state(&self) -> AuditState;
    /// Somebody takes note of everything that was found broken in the audit; answers what that was.
    async fn acknowledge(&self, who: AuditEntry) -> Result<Vec<Finding>, HistoryError>;
    /// Takes a person's data out of the audit; see [`History::forget`].
    async fn forget(&self, order: AuditEntry, names: Vec<String>, always: bool) -> Result<u64, HistoryError>;
    /// Orders to forget somebody that are not carried out everywhere yet.
    async fn to_forget(&self) -> Result<Vec<Forgetting>, HistoryError>;
    /// A person is forgotten everywhere.
    async fn forgotten(&self, corporate_id: String) -> Result<(), HistoryError>;
    /// Clears what changed rows left behind on the disk.
    async fn scrub(&self) -> Result<(), HistoryError>;
    /// Totals of one account.
    async fn totals(&self, account: String) -> Result<Totals, HistoryError>;
    /// Audit rows, of one person or of all, newest first.
    async fn audit_rows(&self, corporate_id: Option<String>, page: Page) -> Result<Vec<AuditRow>, HistoryError>;
    /// Rows of one person about what was done by their own address, with this action, newest first.
    async fn own_rows(
        &self,
        corporate_id: String,
        action: &'static str,
        limit: u32,
    ) -> Result<Vec<AuditRow>, HistoryError>;
    /// Who had access at a moment.
    async fn who(&self, question: WhoQuestion) -> Result<Who, HistoryError>;
    /// Everything that is kept about one person, who has this account.
    async fn story(&self, corporate_id: String, account: String) -> Result<Story, HistoryError>;
    /// Revocations of one person, newest first.
    async fn revocations(&self, corporate_id: String, limit: u32) -> Result<Vec<RevocationRow>, HistoryError>;
    /// Traffic of one account by day, newest first.
    async fn traffic_by_day(&self, account: String, days: u32) -> Result<Vec<TrafficRow>, HistoryError>;
}

#[async_trait]
impl Journal for History {
    async fn audit(&self, entries: Vec<AuditEntry>) -> Result<(), HistoryError> {
        Self::audit(self, entries).await
    }
    async fn audit_denial(&self, entries: Vec<AuditEntry>) {
        let history = self.clone();
        // A task of its own: who stops waiting for a stuck database must not take the rows away.
        let written = tokio::spawn(async move { history.audit_or_spool(entries).await });
        if let Err(error) = written.await {
            tracing::error!(%error, "the audit of a denial was cut off");
        }
    }
    fn last_error(&self) -> Option<HistoryError> {
        Self::last_error(self)
    }
    fn audit_state(&self) -> AuditState {
        Self::audit_state(self)
    }
    async fn acknowledge(&self, who: AuditEntry) -> Result<Vec<Finding>, HistoryError> {
        Self::acknowledge(self, who).await
    }
    async fn forget(&self, order: AuditEntry, names: Vec<String>, always: bool) -> Result<u64, HistoryError> {
        Self::forget(self, order, names, always).await
    }
    async fn to_forget(&self) -> Result<Vec<Forgetting>, HistoryError> {
        Self::to_forget(self).await
    }
    async fn forgotten(&self, corporate_id: String) -> Result<(), HistoryError> {
        Self::forgotten(self, corporate_id).await
    }
    async fn scrub(&self) -> Result<(), HistoryError> {
        Self::scrub(self).await
    }
    async fn totals(&self, account: String) -> Result<Totals, HistoryError> {
        Self::totals(self, account).await
    }
    async fn audit_rows(&self, corporate_id: Option<String>, page: Page) -> Result<Vec<AuditRow>, HistoryError> {
        Self::audit_rows(self, corporate_id, page).await
    }
    async fn own_rows(
        &self,
        corporate_id: String,
        action: &'static str,
        limit: u32,
    ) -> Result<Vec<AuditRow>, HistoryError> {
        Self::own_rows(self, corporate_id, action, limit).await
    }
    async fn who(&self, question: WhoQuestion) -> Result<Who, HistoryError> {
        Self::who(self, question).await
    }
    async fn story(&self, corporate_id: String, account: String) -> Result<Story, HistoryError> {
        Self::story(self, corporate_id, account).await
    }
    async fn revocations(&self, corporate_id: String, limit: u32) -> Result<Vec<RevocationRow>, HistoryError> {
        Self::revocations(self, corporate_id, limit).await
    }
    async fn traffic_by_day(&self, account: String, days: u32) -> Result<Vec<TrafficRow>, HistoryError> {
        Self::traffic_by_day(self, account, days).await
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn user(name: &str) -> Arc<VpnUser> {
        let spec = serde_json::from_value(serde_json::json!({ "corporateId": name })).unwrap();
        Arc::new(VpnUser::new(name, spec))
    }

    proptest! {
        #[test]
        fn pages_without_an_order_are_the_pages_of_the_sorted_list(
            names in proptest::collection::hash_set("[a-d]{1,3}", 0..40), limit in 1..9usize,
        ) {
            let users: Vec<Arc<VpnUser>> = names.iter().map(|name| user(name)).collect();
            let mut expected: Vec<&String> = names.iter().filter(|name| !name.contains('c')).collect();
            expected.sort_unstable();
            let mut paged: Vec<String> = Vec::new();
            loop {
                let after = paged.last().cloned();
                let keep = &mut |user: &VpnUser| !user.spec.corporate_id.key().contains('c');
                let page = select(users.iter().cloned(), after.as_deref(), limit, keep);
                prop_assert!(page.len() <= limit);
                paged.extend(page.iter().filter_map(|user| user.metadata.name.clone()));
                if page.len() < limit {
                    break;
                }
            }
            prop_assert_eq!(paged.iter().collect::<Vec<_>>(), expected);
        }
    }
}
