//! Where VPN accounts live: one trait, and the gateways of each kind.
//!
//! Only the operator's core calls this room, and nothing in it waits for a gateway on the caller's time: targets are
//! handed over and observed later, from memory. It may use the model and the clock. It never decides who may have
//! access, never writes desired state, and never lets a secret into a log, an error or a metric.

pub mod askers;
mod backlog;
pub mod blitz;
pub mod certificate;
mod context;
pub mod declared;
pub mod fleet;
pub mod hysteria;
mod merged;
pub mod meter;
pub mod names;
mod percent;
pub mod redact;
pub mod retry;
pub mod running;
pub mod server;
mod transport;
pub mod watched;

pub use backlog::{Backlog, Work};
pub use context::{Call, Context, Meter};
pub use merged::merged;

use std::{
    collections::{HashMap, HashSet},
    fmt,
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
    time::Instant,
};

use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::watch;

use self::server::{Hopping, Server};
use crate::model::{gateway::Reachable, session::Epoch, user::AccountPresence};

/// What an account should be on a gateway. The latest target of an account wins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Whether the account lets people in.
    pub access: TargetAccess,
    /// Present epoch.
    pub epoch: Epoch,
    /// The account, for gateways that keep accounts themselves.
    pub account: Arc<Account>,
    /// Sessions that must go. `None`: nothing is known that would have to be proved.
    pub revoke: Option<Revoke>,
}

impl Target {
    /// See [`Account::digest`].
    #[must_use]
    pub fn digest(&self) -> u64 {
        self.account.digest(self.access)
    }

    /// Whether it lets people in and ends nothing, so that it may wait.
    #[must_use]
    pub fn grants_only(&self) -> bool {
        self.access == TargetAccess::Granted && self.revoke.is_none()
    }
}

/// Whether an account lets people in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TargetAccess {
    /// It does.
    Granted,
    /// It refuses everybody.
    Denied,
    /// It refuses everybody, and once that is proved nothing of it is to be left on the gateway, but for what
    /// [`Account::leaving`] says.
    Absent,
}

/// What a gateway that keeps accounts itself has to know of one.
#[derive(Clone, Default)]
pub struct Account {
    /// Password; `None` while it is not known.
    pub password: Option<SecretString>,
    /// When access ends, UTC. The operator sees to that; the gateway may have it as a backstop.
    pub valid_until: Option<Timestamp>,
    /// Bytes that may be moved in all, up and down together. As `valid_until`.
    pub limit: Option<u64>,
    /// Whether an account of this name that the operator did not make is taken over.
    pub adopt: bool,
    /// The last report says that the operator has this account there.
    pub reported: bool,
    /// What is left of it when it is to go.
    pub leaving: Leaving,
}

/// What is left of an account that is to go.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Leaving {
    /// Nothing.
    #[default]
    Delete,
    /// The account, without access.
    Block,
    /// The account as it is. It is not the operator's any more.
    Retain,
}

impl Account {
    /// A number that differs, but for chance, when the access or anything of the account does. The same within one process only.
    #[must_use]
    pub fn digest(&self, access: TargetAccess) -> u64 {
        let mut hasher = DefaultHasher::new();
        (access, self.parts()).hash(&mut hasher);
        hasher.finish()
    }

    fn parts(&self) -> (Option<&str>, Option<Timestamp>, Option<u64>, bool, Leaving) {
        let password = self.password.as_ref().map(ExposeSecret::expose_secret);
        (password, self.valid_until, self.limit, self.adopt, self.leaving)
    }
}

impl PartialEq for Account {
    fn eq(&self, other: &Self) -> bool {
        self.parts() == other.parts() && self.reported == other.reported
    }
}

impl Eq for Account {}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account")
            .field("valid_until", &self.valid_until)
            .field("limit", &self.limit)
            .field("adopt", &self.adopt)
            .field("leaving", &self.leaving)
            .finish_non_exhaustive()
    }
}

/// One moment on both clocks.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    /// Monotonic.
    pub at: Instant,
    /// Wall clock.
    pub utc: Timestamp,
}

/// The order to end every session of an account below an epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revoke {
    /// Sessions of epochs below this one must go.
    pub below: Epoch,
    /// When auth began to refuse, UTC.
    pub denied_at: Timestamp,
    /// Ids of the sessions that were handed out and are not known to be gone. More may show up on a node.
    pub known: Vec<String>,
    /// Nodes that had some of these sessions when they were taken out of their gateway, and cannot be asked.
    pub left_out: Vec<String>,
}

/// How far a revocation has come, as proved by the nodes. Times are UTC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RevocationProgress {
    /// Sessions of epochs below this one must go.
    pub below: Epoch,
    /// From then on auth refused.
    pub denied_at: Timestamp,
    /// Every node acknowledged a kick of every live session.
    pub contained_at: Option<Timestamp>,
    /// A poll of every node, later than the last yes of auth, showed none.
    pub sessions_zero_at: Option<Timestamp>,
    /// Nodes whose word is missing.
    pub waiting_for: Vec<String>,
    /// Nodes that were taken out of their gateway before their word was there. Nobody can say what passes through them, so
    /// the times that need their word are absent.
    pub left_out: Vec<String>,
    /// When `contained_at` was last taken back, because something moved on or turned up.
    pub withdrawn_at: Option<Timestamp>,
}

/// What is known of an account on a gateway, from memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observation {
    /// Whether the account is there, as read back.
    pub account: AccountPresence,
    /// Sessions online at the last poll.
    pub sessions: u32,
    /// The revocation under way, or the last one until it is replaced.
    pub revocation: Option<RevocationProgress>,
    /// Nodes that can prove nothing.
    pub unprovable: Vec<Unprovable>,
    /// Why nobody can be let in on any node, by node. Empty while there is one on which people can.
    pub unusable: Vec<String>,
    /// [`Account::digest`] of what was handed over last, 0 before the first. `None` on a gateway that keeps no accounts
    /// itself, and needs to know nothing of them.
    pub handed_over: Option<u64>,
    /// Why the account cannot be brought in line, without secrets.
    pub obstacle: Option<Obstacle>,
    /// The last target was [`TargetAccess::Absent`].
    pub asked_to_leave: bool,
}

/// Why an account cannot be brought in line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Obstacle {
    /// There is one of this name that the operator did not make and may not take over.
    Foreign,
    /// The gateway does not accept it; why.
    Rejected(String),
}

/// A node that can prove nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unprovable {
    /// Its name, as it stands in [`RevocationProgress::waiting_for`].
    pub node: String,
    /// Why.
    pub why: WhyUnprovable,
}

/// Why a node can prove nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WhyUnprovable {
    /// It has no statistics API.
    NoStatistics,
    /// It cannot be run as it is declared; names the field and what to do.
    NotRunning(String),
    /// It stands in for servers that nobody has declared yet.
    Undeclared,
}

/// Whether a session that a node shows may live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It is one of a permitted account's present sessions.
    Permitted,
    /// The account is refused, there or altogether, the epoch is over, or the session is one too many: kick it.
    Revoked,
    /// The id is not one that this operator hands out, or the account is unknown before the first full load: leave it alone.
    Foreign,
}

/// Why what a node shows proves nothing. Displays as a sentence for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Doubt {
    /// It shows sessions that auth handed to another node.
    SessionsOf(NodeName),
    /// It and another node show one and the same session, which is on one server only.
    SameAs(NodeName),
    /// It is declared with the same statistics address as another node.
    SameAddress(NodeName),
}

impl Doubt {
    /// The other node.
    #[must_use]
    pub const fn other(&self) -> &NodeName {
        match self {
            Self::SessionsOf(other) | Self::SameAs(other) | Self::SameAddress(other) => other,
        }
    }
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SessionsOf(other) => write!(
                f,
                "statsUrl leads to another node: its statistics show sessions that were let in by {other}, so nothing can be \
                 proved; compare statsUrl and authToken of the two"
            ),
            Self::SameAs(other) => write!(
                f,
                "its statistics and those of {other} show the same session, so nothing can be proved on either; one of the two \
                 has the wrong statsUrl"
            ),
            Self::SameAddress(other) => write!(
                f,
                "statsUrl is that of {other} too, and one address speaks of one server, so nothing can be proved on either; give \
                 each its own"
            ),
        }
    }
}

/// What gateways need to know of the sessions that auth hands out, and tell it. Implemented by the auth index.
///
/// Every method answers from memory at once and is safe from any thread.
pub trait SessionLedger: Send + Sync + 'static {
    /// Whether a session may live on the node that shows it.
    fn standing(&self, node: &NodeName, id: &str) -> Standing;

    /// When auth last said yes to this account.
    fn last_yes(&self, account: &str) -> Option<Instant>;

    /// Bytes that an account has left in its period; `None` without a limit.
    fn remaining(&self, account: &str) -> Option<u64>;

    /// Counts logins of accounts that have little left.
    fn logins_near_limits(&self) -> watch::Receiver<u64>;

    /// Everything that a node shows online, from a poll that was begun at `polled`. Slots that no node shows become free.
    fn observed(&self, node: &NodeName, polled: Instant, online: &HashMap<String, u32>);

    /// Why what this node shows proves nothing, by what nodes showed so far.
    fn doubt(&self, node: &NodeName) -> Option<Doubt>;

    /// Whether a session of this account, of an epoch below `below`, was handed out to this very node, which should have shown it
    /// by now and has shown neither it nor any other. It may be on a server that the node's statistics do not speak of.
    fn misses(&self, node: &NodeName, account: &str, below: Epoch) -> bool;

    /// The accounts at a panel that are not the operator's, of which the panel alone decides; all others that auth knows are the
    /// operator's there.
    fn strangers(&self, panel: &NodeName, accounts: &HashSet<&str>);

    /// Whether this account at a panel is one of them.
    fn stranger(&self, panel: &NodeName, account: &str, is_one: bool);

    /// Whether a panel let devices of the operator's accounts in of which auth knows nothing.
    fn bypassed(&self, panel: &NodeName, bypassed: bool);

    /// A node that was there is no longer part of any gateway, or another server answers under its name.
    fn node_removed(&self, node: &NodeName);
}

/// Bytes that an account moved since the last report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageDelta {
    /// Account on the gateway.
    pub account: String,
    /// Bytes from the user (`tx` of the statistics API).
    pub upload: u64,
    /// Bytes to the user (`rx`).
    pub download: u64,
    /// It was moved before anybody counted, nobody knows when: a part of the account's whole life, and of no month, day or hour.
    pub earlier: bool,
}

/// The counters of one node when they were last accounted for, so that a restart of the operator counts nothing twice.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counters {
    /// Per session id: (tx, rx).
    pub ids: HashMap<String, (u64, u64)>,
}

/// Where usage goes, and where counters are kept. One call a poll; `changed` holds only the ids that moved.
pub trait UsageSink: Send + Sync + 'static {
    /// Counters of a node as they were last accounted for; `None` while that cannot be read. Nothing is to be accounted for
    /// then: the node counts on, and what it shows later is the same and more.
    fn baseline(&self, node: &NodeName) -> Option<Counters>;

    /// Accounts for what moved and keeps the new counters in one step. `reset` means that the node was restarted: every
    /// counter that is kept and not in `changed` is void.
    fn account(&self, node: &NodeName, deltas: Vec<UsageDelta>, changed: HashMap<String, (u64, u64)>, reset: bool);
}

/// Stands for a gateway or node that cannot be told apart from others. No resource can have this name.
pub const ANY: &str = "*";

/// A node's name, unique in the whole installation: `<gateway>/<node>`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeName(pub Arc<str>);

impl NodeName {
    /// Name of a node of a gateway.
    #[must_use]
    pub fn new(gateway: &str, node: &str) -> Self {
        Self(format!("{gateway}/{node}").into())
    }

    /// The panel of a system that was moved over from, as it counted until then. No node has this name: it has no slash.
    #[must_use]
    pub fn imported() -> Self {
        Self("imported".into())
    }

    /// Whether this stands for several nodes that cannot be told apart.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        self.0.rsplit('/').next() == Some(ANY)
    }

    /// Whether this is the other node, or a name that may mean it.
    #[must_use]
    pub fn stands_for(&self, other: &Self) -> bool {
        self == other || (self.is_shared() && (self.gateway() == ANY || self.gateway() == other.gateway()))
    }

    /// The node's part of the name.
    #[must_use]
    pub fn node(&self) -> &str {
        self.0.split_once('/').map_or(&*self.0, |(_, node)| node)
    }

    /// The gateway's part of the name.
    #[must_use]
    pub fn gateway(&self) -> &str {
        self.0.split('/').next().unwrap_or_default()
    }
}

impl fmt::Display for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An account's credentials.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// Account on the gateway.
    pub username: String,
    /// Password.
    pub password: SecretString,
}

impl Credentials {
    /// Name and password as they stand in a link, encoded.
    #[must_use]
    pub fn userinfo(&self) -> String {
        let (name, password) = (&self.username, self.password.expose_secret());
        // Room for all of it: it is made for every fetch of a subscription.
        let mut userinfo = String::with_capacity(3 * (name.len() + password.len()) + 1);
        userinfo.extend(percent::pieces(name));
        userinfo.push(':');
        userinfo.extend(percent::pieces(password));
        userinfo
    }
}

/// One client link. It is written when somebody wants to see it: most of what people fetch is made of the server alone.
#[derive(Debug, Clone)]
pub struct Link {
    /// The server to which it leads.
    pub server: Arc<Server>,
    /// It may tell clients not to verify the certificate.
    pub insecure: bool,
    /// The server has not answered for minutes.
    pub silent: bool,
}

impl Link {
    /// A link to a server that answers.
    #[must_use]
    pub const fn new(server: Arc<Server>) -> Self {
        Self {
            server,
            insecure: true,
            silent: false,
        }
    }

    /// Name shown in clients.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.server.name
    }

    /// `hysteria2://…` as the official client reads it, with the credentials in it.
    #[must_use]
    pub fn url(&self, credentials: &Credentials) -> SecretString {
        let userinfo = credentials.userinfo();
        let url = self
            .server
            .uri(&userinfo, self.name(), Hopping::InAuthority, self.insecure);
        url.into()
    }
}

/// Client links of an account.
#[derive(Debug, Clone)]
pub enum Links {
    /// They are known, one a node.
    Known(Vec<Link>),
    /// The account is not there yet, or its links were not read yet. Whoever asks is served before others.
    Pending,
}

impl Links {
    /// Those that are known.
    #[must_use]
    pub fn known(self) -> Vec<Link> {
        match self {
            Self::Known(links) => links,
            Self::Pending => Vec::new(),
        }
    }
}

/// Health of one node, for `/readyz?verbose`, `doctor` and metrics.
#[derive(Debug, Clone)]
pub struct NodeHealth {
    /// Name of the node.
    pub node: NodeName,
    /// Last successful poll, UTC.
    pub polled_at: Option<Timestamp>,
    /// Why the node cannot be reached, or cannot be run as it is declared, without secrets.
    pub error: Option<String>,
    /// Sessions online at the last poll.
    pub sessions: u32,
    /// It has a statistics API. Without one it can never prove anything.
    pub proves: bool,
    /// Whether it answered one of the last [`PATIENCE`] polls.
    pub reachable: Reachable,
    /// The node cannot be run as it is declared.
    pub faulty: bool,
    /// It stands in for servers that nobody has declared yet.
    pub undeclared: bool,
}

/// Polls that a node may leave unanswered, before it counts as unreachable.
pub const PATIENCE: u32 = 3;

/// A place where VPN accounts live.
pub trait Gateway: Send + Sync + 'static {
    /// Name of the resource.
    fn name(&self) -> &str;

    /// Of which kind it is, in the word of its spec.
    fn kind(&self) -> &'static str;

    /// Hands over what an account should be. Returns at once; when something becomes known the account's name is sent on
    /// the channel that the gateway was made with. Handing over the same target again does nothing.
    fn submit(&self, account: &str, target: Target);

    /// Has every node say at once who is online.
    fn look(&self);

    /// What is known of an account, from memory.
    fn observe(&self, account: &str) -> Observation;

    /// Forgets an account that is gone for good.
    fn forget(&self, account: &str);

    /// Client links for an account, one a node.
    fn links(&self, credentials: &Credentials) -> Links;

    /// Why nobody can be let in on any node, by node. Empty while there is one on which people can.
    fn unusable(&self) -> Vec<String>;

    /// Health of each node.
    fn health(&self) -> Vec<NodeHealth>;

    /// What waits to be done about its accounts, and how long that takes.
    fn backlog(&self) -> Backlog;
}

/// Accounts about which a gateway learned something.
pub type Completions = tokio::sync::mpsc::UnboundedSender<HashSet<String>>;
