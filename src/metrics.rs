//! What the process counts, in one registry that `/metrics` shows in the `OpenMetrics` text format.
//!
//! Labels come from enums, and from names that an administrator declared (gateways, nodes) or that are compiled in (route
//! templates): never from users, addresses or anything that a client sends, so that the number of series is bounded and no
//! secret can get in.

mod audit;
mod auth_guard;
mod backups;
mod gateways;
mod guard;
mod hr;
mod linking;
mod listeners;

use std::{hash::Hash, time::Duration};

use jiff::Timestamp;
use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};

use self::{
    audit::AuditMetrics, auth_guard::AuthGuardMetrics, backups::BackupMetrics, gateways::GatewayMetrics,
    guard::GuardMetrics, hr::HrMetrics, linking::LinkingMetrics, listeners::ListenerMetrics,
};
pub use self::{guard::OrderSource, listeners::Listener};
use crate::model::access::{Access, Reason};

/// How a login ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, EncodeLabelValue)]
pub enum AuthOutcome {
    /// Yes.
    Granted,
    /// The account exists, the password is another.
    BadPassword,
    /// There is no such account.
    UnknownUser,
    /// Refused: being deleted.
    Deleted,
    /// Refused: another object had the account or ID first.
    Conflict,
    /// Refused: a live hold.
    Held,
    /// Refused: `active: false`.
    Inactive,
    /// Refused: before `validFrom`.
    NotYetValid,
    /// Refused: after `validUntil`.
    Expired,
    /// Refused: no traffic left.
    OverQuota,
    /// Refused: the user has no account on the gateway of this node.
    OtherGateway,
    /// Refused: as many devices as allowed are connected.
    TooManyDevices,
    /// Refused: desired state was not loaded yet.
    NotLoaded,
    /// Refused: the right password, but not as `username:password`.
    WrongForm,
    /// Refused: not `username:password`, or not a request that Hysteria sends.
    Malformed,
    /// 404: the token in the path is none of ours.
    WrongToken,
    /// Refused at a panel: its own auth service says no to an account that is permitted here.
    PanelRefused,
    /// Refused at a panel: its own auth service gave no answer that counts.
    PanelSilent,
    /// At a panel: not the operator's account, answered as the panel's own auth service did.
    Stranger,
}

impl AuthOutcome {
    /// Every outcome, in the order of their discriminants.
    pub const ALL: [Self; 19] = [
        Self::Granted,
        Self::BadPassword,
        Self::UnknownUser,
        Self::Deleted,
        Self::Conflict,
        Self::Held,
        Self::Inactive,
        Self::NotYetValid,
        Self::Expired,
        Self::OverQuota,
        Self::OtherGateway,
        Self::TooManyDevices,
        Self::NotLoaded,
        Self::WrongForm,
        Self::Malformed,
        Self::WrongToken,
        Self::PanelRefused,
        Self::PanelSilent,
        Self::Stranger,
    ];
}

/// How one reconcile ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
pub enum ReconcileOutcome {
    /// Everything agrees.
    Done,
    /// Something is under way, or is tried again.
    Waiting,
    /// An error that goes away by itself or by trying again.
    Retryable,
    /// An error that stays until a person acts.
    Terminal,
}

/// What was asked of a gateway's node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
pub enum GatewayOperation {
    /// Who is online.
    Online,
    /// Counters of transferred bytes.
    Traffic,
    /// Ending sessions.
    Kick,
    /// A panel's accounts.
    List,
    /// Ending sessions and refusing logins at a panel.
    Block,
    /// Making an account at a panel.
    Add,
    /// Changing an account at a panel.
    Change,
    /// Deleting an account at a panel.
    Delete,
    /// Links from a panel.
    Links,
}

/// How a call to a gateway's node ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
pub enum GatewayOutcome {
    /// Understood and done.
    Ok,
    /// No connection, or it broke.
    Unreachable,
    /// No answer in time.
    Timeout,
    /// Our secret was not accepted.
    Unauthorized,
    /// Another status than success.
    Refused,
    /// An answer that could not be read.
    Malformed,
}

/// A moment of a revocation, measured from `deniedAt`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
pub enum RevocationStage {
    /// No session could pass another byte.
    Contained,
    /// No session was left.
    Zero,
}

/// The hundreds digit of an HTTP status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
pub enum StatusClass {
    /// 1xx.
    Informational,
    /// 2xx.
    Success,
    /// 3xx.
    Redirection,
    /// 4xx.
    ClientError,
    /// 5xx.
    ServerError,
}

impl StatusClass {
    /// The class of a status code.
    #[must_use]
    pub const fn of(status: u16) -> Self {
        match status {
            100..200 => Self::Informational,
            200..300 => Self::Success,
            300..400 => Self::Redirection,
            400..500 => Self::ClientError,
            _ => Self::ServerError,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AuthLabels {
    outcome: AuthOutcome,
}
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReconcileLabels {
    outcome: ReconcileOutcome,
}
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct NodeLabels {
    node: String,
}
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CallLabels {
    operation: GatewayOperation,
    outcome: GatewayOutcome,
}
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RevocationLabels {
    stage: RevocationStage,
}
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct UserLabels {
    access: &'static str,
    reason: &'static str,
}
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct HttpLabels {
    route: String,
    status: StatusClass,
}

type Histograms<L> = Family<L, Histogram, fn() -> Histogram>;

/// Everything that the process counts. One for the process, shared by reference; every method is cheap and never blocks
/// for long.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    auth: [Counter; AuthOutcome::ALL.len()],
    reconciles: Family<ReconcileLabels, Counter>,
    reconcile_seconds: Histograms<ReconcileLabels>,
    queue_depth: Gauge,
    drift_repaired: Counter,
    leading: Gauge,
    gateway_calls: Family<CallLabels, Counter>,
    revocation_seconds: Histograms<RevocationLabels>,
    users: Family<UserLabels, Gauge>,
    guard: GuardMetrics,
    hr: HrMetrics,
    linking: LinkingMetrics,
    source_problems: Gauge,
    unobserved: Gauge,
    source_refused_access_edits: Gauge,
    source_unreadable: Gauge,
    history_failing: Gauge,
    audit: AuditMetrics,
    backups: BackupMetrics,
    http_requests: Family<HttpLabels, Counter>,
    node_up: Family<NodeLabels, Gauge>,
    listeners: ListenerMetrics,
    gateways: GatewayMetrics,
    auth_guard: AuthGuardMetrics,
    kicks_without_effect: Counter,
}

fn reconcile_buckets() -> Histogram {
    Histogram::new([0.000_1, 0.001, 0.01, 0.1, 1.0, 10.0])
}

fn revocation_buckets() -> Histogram {
    Histogram::new([0.01, 0.05, 0.1, 0.3, 1.0, 5.0, 15.0, 60.0, 600.0, 3600.0])
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// A registry with every family in it.
    #[must_use]
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("vpn_operator");
        let auth = Family::<AuthLabels, Counter>::default();
        let metrics = Self {
            auth: AuthOutcome::ALL.map(|outcome| auth.get_or_create_owned(&AuthLabels { outcome })),
            reconciles: Family::default(),
            reconcile_seconds: Family::new_with_constructor(reconcile_buckets),
            queue_depth: Gauge::default(),
            drift_repaired: Counter::default(),
            leading: Gauge::default(),
            gateway_calls: Family::default(),
            revocation_seconds: Family::new_with_constructor(revocation_buckets),
            users: Family::default(),
            guard: GuardMetrics::register(&mut registry),
            hr: HrMetrics::register(&mut registry),
            linking: LinkingMetrics::register(&mut registry),
            listeners: ListenerMetrics::register(&mut registry),
            gateways: GatewayMetrics::register(&mut registry),
            auth_guard: AuthGuardMetrics::register(&mut registry),
            source_problems: Gauge::default(),
            unobserved: Gauge::default(),
            source_refused_access_edits: Gauge::default(),
            source_unreadable: Gauge::default(),
            history_failing: Gauge::default(),
            audit: AuditMetrics::register(&mut registry),
            backups: BackupMetrics::register(&mut registry),
            http_requests: Family::default(),
            node_up: Family::default(),
            kicks_without_effect: Counter::default(),
            registry: Registry::default(),
        };
        registry.register("auth_decisions", "Logins that nodes asked about", auth);
        registry.register("reconciles", "Reconciles", metrics.reconciles.clone());
        let seconds = metrics.reconcile_seconds.clone();
        registry.register("reconcile_seconds", "Seconds that one reconcile took", seconds);
        registry.register(
            "queue_depth",
            "Objects waiting to be reconciled",
            metrics.queue_depth.clone(),
        );
        let drift = metrics.drift_repaired.clone();
        registry.register("drift_repaired", "What somebody else changed and was put back", drift);
        let leading = metrics.leading.clone();
        registry.register(
            "leading",
            "Whether this process holds the lease (1) or not (0); 1 without a cluster",
            leading,
        );
        registry.register("gateway_calls", "Calls to gateways", metrics.gateway_calls.clone());
        let revocation = metrics.revocation_seconds.clone();
        registry.register(
            "revocation_seconds",
            "Seconds from a denial to a stage of its revocation",
            revocation,
        );
        registry.register("users", "Declared users by access and reason", metrics.users.clone());
        registry.register(
            "unobserved",
            "Objects whose present spec no status speaks of for longer than a minute",
            metrics.unobserved.clone(),
        );
        let problems = metrics.source_problems.clone();
        registry.register(
            "source_problems",
            "Documents that are not in force as written",
            problems,
        );
        let refused = metrics.source_refused_access_edits.clone();
        registry.register(
            "source_refused_access_edits",
            "Edits of active, validUntil or a hold that are not in force because their document is faulty",
            refused,
        );
        let unreadable = metrics.source_unreadable.clone();
        registry.register(
            "source_unreadable_since_seconds",
            "Since when desired state cannot be read, as UNIX time; 0 while it can",
            unreadable,
        );
        registry.register(
            "history_failing",
            "Failed reads and writes of history",
            metrics.history_failing.clone(),
        );
        registry.register(
            "http_requests",
            "Requests to the HTTP API",
            metrics.http_requests.clone(),
        );
        registry.register(
            "kicks_without_effect",
            "Sessions that moved on after a node acknowledged their kick",
            metrics.kicks_without_effect.clone(),
        );
        let up = metrics.node_up.clone();
        registry.register("node_up", "Whether a node answered its last poll (1) or not (0)", up);
        Self { registry, ..metrics }
    }

    /// Counts a login.
    pub fn auth(&self, outcome: AuthOutcome) {
        if let Some(counter) = self.auth.get(outcome as usize) {
            counter.inc();
        }
    }

    /// Counts a reconcile.
    pub fn reconciled(&self, outcome: ReconcileOutcome, took: Duration) {
        let labels = ReconcileLabels { outcome };
        self.reconciles.get_or_create(&labels).inc();
        self.reconcile_seconds
            .get_or_create(&labels)
            .observe(took.as_secs_f64());
    }

    /// Objects that wait to be reconciled.
    pub fn queue_depth(&self, depth: usize) {
        self.queue_depth.set(int(depth));
    }

    /// Somebody else changed what the operator keeps, and it was put back.
    pub fn drift_repaired(&self) {
        self.drift_repaired.inc();
    }

    /// Whether this process may act.
    pub fn leading(&self, leading: bool) {
        self.leading.set(leading.into());
    }

    /// Counts a call to a node of a gateway.
    pub fn gateway_call(&self, operation: GatewayOperation, outcome: GatewayOutcome) {
        self.gateway_calls
            .get_or_create(&CallLabels { operation, outcome })
            .inc();
    }

    /// A session moved on after a node acknowledged its kick.
    pub fn kick_without_effect(&self) {
        self.kicks_without_effect.inc();
    }

    /// A revocation reached a stage this long after the denial.
    pub fn revocation(&self, stage: RevocationStage, after: Duration) {
        let labels = RevocationLabels { stage };
        self.revocation_seconds
            .get_or_create(&labels)
            .observe(after.as_secs_f64());
    }

    /// How many users there are for each reason. Reasons that are not named have none.
    pub fn users(&self, counts: &[(Reason, usize)]) {
        for reason in Reason::ALL {
            let count = counts
                .iter()
                .find(|(named, _)| *named == reason)
                .map_or(0, |(_, count)| *count);
            let access = if matches!(reason, Reason::Active | Reason::GuardHeldBack) {
                Access::Granted
            } else {
                Access::Denied
            };
            let labels = UserLabels {
                access: access.as_str(),
                reason: reason.as_str(),
            };
            self.users.get_or_create(&labels).set(int(count));
        }
    }

    /// How many documents are not in force as written, how many edits of who may have access among them, and since when the
    /// source cannot be read.
    pub fn source(&self, problems: usize, refused_edits: usize, unreadable_since: Option<Timestamp>) {
        self.source_problems.set(int(problems));
        self.source_refused_access_edits.set(int(refused_edits));
        self.source_unreadable
            .set(unreadable_since.map_or(0, Timestamp::as_second));
    }

    /// How many objects nobody has reported about for longer than a minute.
    pub fn unobserved(&self, objects: usize) {
        self.unobserved.set(int(objects));
    }

    /// Whether history cannot be written at present.
    pub fn history_failing(&self, failing: bool) {
        self.history_failing.set(failing.into());
    }

    /// Counts an HTTP request. `route` is the route's template (`/user/{id}`), never the path that was asked for.
    pub fn http_request(&self, route: &str, status: u16) {
        let labels = HttpLabels {
            route: route.into(),
            status: StatusClass::of(status),
        };
        self.http_requests.get_or_create(&labels).inc();
    }

    /// Whether a node answered its last poll.
    pub fn node_up(&self, node: &str, up: bool) {
        self.node_up
            .get_or_create(&NodeLabels { node: node.into() })
            .set(up.into());
    }

    /// A node is no longer part of any gateway.
    pub fn node_removed(&self, node: &str) {
        self.node_up.remove(&NodeLabels { node: node.into() });
    }

    /// The text that `/metrics` answers (`application/openmetrics-text; version=1.0.0; charset=utf-8`).
    #[must_use]
    pub fn encode(&self) -> String {
        let mut text = String::with_capacity(8 * 1024);
        // Writing into a `String` cannot fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}

/// Shows a number, or that there is none.
fn show<L: Clone + Eq + Hash>(family: &Family<L, Gauge>, labels: &L, number: Option<i64>) {
    if let Some(number) = number {
        family.get_or_create(labels).set(number);
    } else {
        family.remove(labels);
    }
}

fn int(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_login_outcome_has_its_own_counter() {
        let metrics = Metrics::new();
        for (times, outcome) in AuthOutcome::ALL.into_iter().enumerate() {
            for _ in 0..=times {
                metrics.auth(outcome);
            }
        }
        let text = metrics.encode();
        for (times, outcome) in AuthOutcome::ALL.into_iter().enumerate() {
            let line = format!(
                "vpn_operator_auth_decisions_total{{outcome=\"{outcome:?}\"}} {}\n",
                times + 1
            );
            assert!(text.contains(&line), "{line} is not in\n{text}");
        }
    }

    #[test]
    fn a_reason_that_nobody_has_any_more_goes_back_to_zero() {
        let metrics = Metrics::new();
        metrics.users(&[(Reason::Held, 3)]);
        metrics.users(&[(Reason::Active, 3)]);
        let text = metrics.encode();
        assert!(
            text.contains("vpn_operator_users{access=\"Denied\",reason=\"Held\"} 0\n"),
            "{text}"
        );
        assert!(
            text.contains("vpn_operator_users{access=\"Granted\",reason=\"Active\"} 3\n"),
            "{text}"
        );
    }

    #[test]
    fn a_node_that_is_removed_is_no_longer_shown() {
        let metrics = Metrics::new();
        metrics.node_up("default/a", true);
        metrics.node_up("default/b", false);
        metrics.node_removed("default/a");
        let text = metrics.encode();
        assert!(
            !text.contains("default/a") && text.contains("vpn_operator_node_up{node=\"default/b\"} 0\n"),
            "{text}"
        );
    }
}
