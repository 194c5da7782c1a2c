//! The table that every login is decided from.
//!
//! Reading takes no lock that accounts share. The one lock is an account's own, around its session slots, and it is taken
//! only after the password matched and access was found granted; the decision is then looked at again under it. A denial
//! takes the same lock to replace the policy, raise the epoch and collect the sessions. So each yes was either said before
//! the denial, and its session is among those that the denial names, or it is not said.
//!
//! **After a restart** it is not known which slots an earlier process gave out. Until every polled node has answered a poll
//! that began 12 s after the start, new slots come from a block of numbers that was drawn at random for this
//! process; afterwards what no node shows is free, and the lowest free number is used. A follower stays in its block, so that
//! replicas hand out disjoint slots.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use jiff::Timestamp;
use tokio::sync::watch;

use super::{
    account::{Account, GrantedWindow, Policy, Sessions},
    blocks::Blocks,
    inquiry::Inquiry,
    node::Node,
    password::Digest,
    slots::{BLOCK, BLOCKS, RESERVED, Request, TooMany},
    words::{Gateways, Role},
    wrong_form::{self, Form, Search, WrongForm},
};
use crate::{
    clock::SharedClock,
    gateway::{ANY, NodeName, Revoke, hysteria::pace::is_near},
    metrics::AuthOutcome,
    model::{
        access::{Reason, Terms},
        corporate_id::MAX_ACCOUNT_LEN,
        session::{Epoch, SessionId},
    },
};

/// A session that was let in. Displays as the id to be answered.
#[derive(Clone)]
pub struct Session {
    account: Arc<Account>,
    epoch: Epoch,
    slot: u32,
}

impl Session {
    /// Its id.
    #[must_use]
    pub fn id(&self) -> SessionId<'_> {
        SessionId {
            account: &self.account.name,
            epoch: self.epoch,
            slot: self.slot,
        }
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Session({})", self.id())
    }
}

/// What auth says to a login.
#[derive(Debug, Clone)]
pub enum Verdict {
    /// Yes, under this id.
    Granted(Session),
    /// No: another password.
    BadPassword,
    /// No: no such account.
    UnknownUser,
    /// No, for this reason.
    Denied(Reason),
    /// No: the user has no account on the gateway of this node.
    OtherGateway,
    /// No: as many devices as allowed are connected.
    TooManyDevices {
        /// What nodes show from then on says whether some of them are gone. `None`: that would change nothing.
        ask_after: Option<Instant>,
    },
    /// No: it is not known yet who may log in.
    NotLoaded,
    /// No: the right password, in a form that is not `username:password`.
    WrongForm(WrongForm),
    /// No: not `username:password`.
    Malformed,
}

impl Verdict {
    /// The outcome as it is counted.
    #[must_use]
    pub const fn outcome(&self) -> AuthOutcome {
        match self {
            Self::Granted(_) => AuthOutcome::Granted,
            Self::BadPassword => AuthOutcome::BadPassword,
            Self::UnknownUser => AuthOutcome::UnknownUser,
            // Nothing is denied for being active.
            Self::Denied(Reason::Active | Reason::GuardHeldBack) | Self::Malformed => AuthOutcome::Malformed,
            Self::Denied(Reason::Deleted) => AuthOutcome::Deleted,
            Self::Denied(Reason::Conflict) => AuthOutcome::Conflict,
            Self::Denied(Reason::Held) => AuthOutcome::Held,
            Self::Denied(Reason::Inactive) => AuthOutcome::Inactive,
            Self::Denied(Reason::NotYetValid) => AuthOutcome::NotYetValid,
            Self::Denied(Reason::Expired) => AuthOutcome::Expired,
            Self::Denied(Reason::OverQuota) => AuthOutcome::OverQuota,
            Self::OtherGateway => AuthOutcome::OtherGateway,
            Self::TooManyDevices { .. } => AuthOutcome::TooManyDevices,
            Self::NotLoaded => AuthOutcome::NotLoaded,
            Self::WrongForm(_) => AuthOutcome::WrongForm,
        }
    }
}

/// A new policy for an account.
pub(crate) struct Change {
    pub(crate) password: Option<Digest>,
    pub(crate) terms: Arc<Terms>,
    pub(crate) max_devices: Option<u32>,
    pub(crate) gateways: Gateways,
    /// Whether the terms grant access at this moment.
    pub(crate) granted: bool,
    pub(crate) epoch: EpochRule,
}

/// Where the epoch of an account comes from.
#[derive(Clone, Copy)]
pub(crate) enum EpochRule {
    /// This process raises it.
    Own {
        /// Epoch to begin with, if the account is new here.
        start: Epoch,
        /// Raise the epoch even if no session of the present one is known.
        raise: bool,
    },
    /// It is exactly what the controller said last: a session of any other epoch would be cut. `None`: it said nothing yet.
    Reported(Option<Epoch>),
}

/// How long another process may take to hear of a denial: until then it may have said yes.
const HEARING: Duration = Duration::from_secs(2);

/// The table of accounts. One for the process.
pub struct AuthIndex {
    accounts: papaya::HashMap<Arc<str>, Arc<Account>>,
    pub(super) nodes: papaya::HashMap<NodeName, Arc<Node>>,
    pub(super) clock: SharedClock,
    pub(super) started: Instant,
    loaded: AtomicBool,
    loaded_signal: watch::Sender<bool>,
    /// Every polled node has shown what an earlier process left behind.
    settled: AtomicBool,
    /// Whether this process ever uses numbers outside its block.
    leaves_block: bool,
    first_of_block: u32,
    search: Search,
    /// Counts logins of accounts that have little left.
    pub(super) near_limits: watch::Sender<u64>,
    /// Of the processes that let people in besides this one.
    pub(super) blocks: Blocks,
    inquiry: Inquiry,
}

impl AuthIndex {
    /// An empty table, that refuses everybody until it is loaded.
    pub(crate) fn new(clock: SharedClock, role: Role) -> Self {
        let mut random = [0; 4];
        if getrandom::fill(&mut random).is_err() {
            random = clock.now().subsec_nanosecond().to_le_bytes();
        }
        let first_of_block = BLOCK * (1 + u32::from_le_bytes(random) % BLOCKS);
        Self {
            accounts: papaya::HashMap::new(),
            nodes: papaya::HashMap::new(),
            started: clock.monotonic(),
            search: Search::new(clock.monotonic()),
            near_limits: watch::Sender::new(0),
            clock,
            loaded: AtomicBool::new(false),
            loaded_signal: watch::Sender::new(false),
            settled: AtomicBool::new(false),
            leaves_block: role == Role::Controller,
            first_of_block,
            blocks: Blocks::new(first_of_block),
            inquiry: Inquiry::default(),
        }
    }

    /// Whether logins are answered.
    #[must_use]
    pub fn is_loaded(&self) -> bool {
        self.loaded.load(Ordering::Acquire)
    }

    /// Waits until logins are answered.
    pub async fn wait_loaded(&self) {
        let mut signal = self.loaded_signal.subscribe();
        // The sender lives as long as `self`.
        let _ = signal.wait_for(|loaded| *loaded).await;
    }

    pub(crate) fn set_loaded(&self) {
        self.loaded.store(true, Ordering::Release);
        self.loaded_signal.send_replace(true);
    }

    /// Decides a login: `auth` is what the client sent, `username:password`. Every yes is a session of its own.
    pub fn login(&self, node: &Arc<Node>, auth: &str) -> Verdict {
        match self.decide(node, auth) {
            refusal @ (Verdict::BadPassword | Verdict::UnknownUser | Verdict::Malformed) => {
                self.wrong_form(auth).map_or(refusal, Verdict::WrongForm)
            }
            verdict => verdict,
        }
    }

    /// Whether a refused login has the right password all the same. Nobody but who knows it is told anything by that.
    pub(super) fn wrong_form(&self, auth: &str) -> Option<WrongForm> {
        if !self.is_loaded() {
            return None;
        }
        let decoded = wrong_form::decoded(auth);
        if let Some((username, password)) = decoded.as_deref().and_then(|decoded| decoded.split_once(':')) {
            let account = self.account_of_client(username)?;
            let known = account.policy.load().password;
            return Digest::of(password).matches(known.as_ref()).then(|| WrongForm {
                account: Arc::clone(&account.name),
                form: Form::Encoded,
            });
        }
        if auth.contains(':') || !self.search.may(self.clock.monotonic()) {
            return None;
        }
        let accounts = self.accounts.pin();
        let passwords = accounts
            .iter()
            .map(|(name, account)| (name, account.policy.load().password));
        let account = wrong_form::owner(decoded.as_deref().unwrap_or(auth), passwords)?;
        Some(WrongForm {
            account,
            form: Form::PasswordAlone,
        })
    }

    fn decide(&self, node: &Arc<Node>, auth: &str) -> Verdict {
        let Some((username, password)) = auth.split_once(':') else {
            return Verdict::Malformed;
        };
        if !self.is_loaded() {
            return Verdict::NotLoaded;
        }
        let digest = Digest::of(password);
        let Some(account) = self.account_of_client(username) else {
            digest.matches(None);
            return Verdict::UnknownUser;
        };
        let policy = account.policy.load();
        if let Err(refusal) = self.look_at(&policy, &digest, node) {
            return refusal;
        }
        let mut sessions = account.sessions();
        let present = account.policy.load();
        if !Arc::ptr_eq(&policy, &present)
            && let Err(refusal) = self.look_at(&present, &digest, node)
        {
            return refusal;
        }
        let settled = self.settled.load(Ordering::Acquire);
        let admitted = sessions.slots.admit(&Request {
            epoch: present.epoch,
            now: self.clock.monotonic(),
            node: &node.clock,
            max_devices: present.max_devices,
            first: if settled { 0 } else { self.first_of_block },
        });
        drop(sessions);
        if present.remaining_at(self.clock.now()).is_some_and(is_near) {
            self.near_limits.send_modify(|count| *count = count.wrapping_add(1));
        }
        match admitted {
            Ok(slot) => Verdict::Granted(Session {
                epoch: present.epoch,
                account,
                slot,
            }),
            Err(TooMany { ask_after }) => Verdict::TooManyDevices { ask_after },
        }
    }

    pub(super) fn look_at(&self, policy: &Policy, digest: &Digest, node: &Node) -> Result<(), Verdict> {
        if !digest.matches(policy.password.as_ref()) {
            return Err(Verdict::BadPassword);
        }
        match policy.reason_at(self.clock.now()) {
            Reason::Active if policy.gateways.admit(node.name().gateway()) => Ok(()),
            Reason::Active => Err(Verdict::OtherGateway),
            reason => Err(Verdict::Denied(reason)),
        }
    }

    /// Older clients spell the account as the ID was declared, so the case of a user name does not matter.
    pub(super) fn account_of_client(&self, username: &str) -> Option<Arc<Account>> {
        if username.len() > MAX_ACCOUNT_LEN {
            return None;
        }
        if username.bytes().any(|byte| byte.is_ascii_uppercase()) {
            self.account(&username.to_ascii_lowercase())
        } else {
            self.account(username)
        }
    }

    pub(super) fn account(&self, name: &str) -> Option<Arc<Account>> {
        self.accounts.pin().get(name).cloned()
    }

    /// Puts a policy in force, and answers the order to end what it no longer permits. A session that may live under the
    /// new policy is not touched. When this returns no login is permitted that the new policy denies.
    pub(crate) fn put(&self, name: &Arc<str>, change: Change, now: Timestamp) -> (Epoch, Option<Revoke>) {
        let Some(account) = self.account(name) else {
            let (epoch, raise) = match change.epoch {
                EpochRule::Own { start, raise: true } => (next_epoch(start, now), true),
                EpochRule::Own { start, raise: false } => (start, false),
                EpochRule::Reported(said) => (said.unwrap_or_default(), false),
            };
            let account = Account {
                name: Arc::clone(name),
                sessions: Mutex::new(Sessions {
                    granted: change.granted,
                    ..Sessions::default()
                }),
                policy: ArcSwap::from_pointee(change.into_policy(epoch, now)),
            };
            self.accounts.pin().insert(Arc::clone(name), Arc::new(account));
            let revoke = raise.then(|| empty_revoke(epoch, now));
            return (epoch, revoke);
        };
        let mut sessions = account.sessions();
        let old = account.policy.load();
        let used = sessions.granted || sessions.slots.any_of(old.epoch);
        // Without a password nobody was let in: one that becomes known ends nothing.
        let rotated = old.password.is_some() && old.password != change.password;
        // Nobody sees from a session's id on which gateway it lives: taking a gateway away ends the sessions on all of them.
        let narrowed = !change.gateways.cover(&old.gateways);
        let ends = used && (rotated || narrowed || !change.granted);
        let (epoch, raise) = match change.epoch {
            EpochRule::Own { raise, .. } if raise || ends => (next_epoch(old.epoch, now), true),
            EpochRule::Own { .. } => (old.epoch, false),
            EpochRule::Reported(said) => (said.unwrap_or(old.epoch), false),
        };
        sessions.granted = change.granted;
        let policy = change.into_policy(epoch, now);
        if policy != **old {
            account.policy.store(Arc::new(policy));
        }
        let revoke = raise.then(|| {
            let at = self.clock.monotonic();
            let (mut known, left_out) = sessions.slots.take_known(&account.name, epoch, at);
            let others = self.blocks.others(at);
            if !others.is_empty() {
                known.extend(sessions.slots.next(&account.name, old.epoch, &others));
                sessions.slots.doubt_until(at + HEARING);
            }
            Revoke {
                below: epoch,
                denied_at: now,
                known,
                left_out: left_out.iter().map(ToString::to_string).collect(),
            }
        });
        (epoch, revoke)
    }

    /// Present epoch of an account, and how many sessions are not known to be gone.
    pub(crate) fn sessions(&self, name: &str) -> Option<(Epoch, usize)> {
        let account = self.account(name)?;
        let sessions = account.sessions();
        Some((
            account.policy.load().epoch,
            sessions.slots.count(self.clock.monotonic()),
        ))
    }

    /// The node of this name, to be given to [`Self::login`].
    pub fn node(&self, name: &NodeName) -> Arc<Node> {
        let nodes = self.nodes.pin();
        nodes
            .get_or_insert_with(name.clone(), || Arc::new(Node::new(name.clone(), self.started)))
            .clone()
    }

    /// Names every node that is polled. To be called before the first login, and whenever the set changes; nodes that were
    /// never named free their slots by time alone, and before it was called once no low slot is used.
    pub fn expect_polls_of(&self, names: &HashSet<NodeName>) {
        for name in names {
            for name in [
                name.clone(),
                NodeName::new(name.gateway(), ANY),
                NodeName::new(ANY, ANY),
            ] {
                self.node(&name);
            }
        }
        for (shown, node) in &self.nodes.pin() {
            node.clock.expect(names.iter().any(|name| shown.stands_for(name)));
        }
        self.settle();
    }

    /// Names the nodes that are declared with the statistics address of another, each with that other one. What they show proves
    /// nothing.
    pub fn declare_alike(&self, alike: &HashMap<NodeName, NodeName>) {
        for (name, node) in &self.nodes.pin() {
            node.set_alike(alike.get(name).cloned());
        }
    }

    /// Whether a poll of this node that was begun at that moment or later has been taken in.
    pub fn was_polled(&self, name: &NodeName, since: Instant) -> bool {
        self.nodes
            .pin()
            .get(name)
            .is_some_and(|node| node.clock.polled_since(since))
    }

    /// How nodes are asked who is online before a login is refused for too many devices.
    pub fn inquiry(&self) -> &Inquiry {
        &self.inquiry
    }

    /// Whether every node that is polled has answered a poll that was begun at that moment or later.
    pub(super) fn all_polled_since(&self, since: Instant) -> bool {
        let nodes = self.nodes.pin();
        let mut expected = nodes.values().filter(|node| node.clock.is_expected());
        expected.all(|node| node.clock.polled_since(since))
    }

    /// Looks whether every polled node has shown what an earlier process left behind. A name that stands for several nodes
    /// was polled when the last of them was.
    pub(super) fn settle(&self) {
        let nodes = self.nodes.pin();
        for (shared, node) in nodes.iter().filter(|(name, _)| name.is_shared()) {
            let members = nodes
                .iter()
                .filter(|(name, _)| !name.is_shared() && shared.stands_for(name));
            let expected = members.filter(|(_, member)| member.clock.is_expected());
            node.clock.follow(expected.map(|(_, member)| &*member.clock));
        }
        let mut polled = nodes.values().filter(|node| node.clock.is_expected()).peekable();
        let settled = polled.peek().is_some() && polled.all(|node| node.clock.polled_since(self.started + RESERVED));
        self.settled.store(settled && self.leaves_block, Ordering::Release);
    }
}

impl Change {
    fn into_policy(self, epoch: Epoch, now: Timestamp) -> Policy {
        Policy {
            granted: GrantedWindow::of(&self.terms, now),
            password: self.password,
            terms: self.terms,
            max_devices: self.max_devices,
            gateways: self.gateways,
            epoch,
        }
    }
}

/// The order to end what an earlier process let in.
pub(crate) fn empty_revoke(below: Epoch, denied_at: Timestamp) -> Revoke {
    Revoke {
        below,
        denied_at,
        known: Vec::new(),
        left_out: Vec::new(),
    }
}

fn next_epoch(old: Epoch, now: Timestamp) -> Epoch {
    Epoch(u64::try_from(now.as_millisecond()).unwrap_or(0).max(old.0 + 1))
}

#[cfg(test)]
#[path = "index_tests.rs"]
mod tests;
