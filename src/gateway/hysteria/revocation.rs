//! Revocations: what has to be cut on which node, and what is proved. Pure: no I/O and no clock.
//!
//! A revocation is *contained* when every node holds down every session that has to go, and *zero* when every node
//! showed none in a look that was begun after the denial and after auth's last yes. A node whose word counts for nothing (it
//! shows the sessions of another, or misses one that it should have) is waited for as one that is silent. A node that leaves
//! before it proved anything is left out, and the times that need its word stay open for good. After zero it is watched for
//! [`WATCH`]: auth may have said yes before the denial and the session register later. A node that says nothing keeps
//! it open, so that the times are always true.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::Timestamp;

use super::proof::Proof;
use crate::{
    gateway::{Moment, NodeName, RevocationProgress, Revoke, Standing},
    model::session::{Epoch, SessionId},
};

/// How long a revocation is watched closely after zero.
pub const WATCH: Duration = Duration::from_secs(15);
/// How often a session that may not live and belongs to no revocation is kicked.
const AGAIN: Duration = Duration::from_secs(1);

/// A session online that is not one of a permitted account's present sessions.
#[derive(Debug, Clone)]
pub struct Stranger {
    /// Id of the session.
    pub id: String,
    /// Connections that bear the id.
    pub connections: u32,
    /// What the ledger says of it.
    pub standing: Standing,
}

/// One look at who is online on a node.
#[derive(Debug)]
pub struct Look {
    /// Before the request was sent.
    pub begun: Instant,
    /// After the answer was there.
    pub answered: Instant,
    /// Sessions that are not permitted.
    pub strangers: Vec<Stranger>,
    /// Auth's last yes to each account that waits for this node, asked for after the answer was there.
    pub last_yes: HashMap<Arc<str>, Option<Instant>>,
    /// What the node shows may not be what is on it.
    pub doubted: bool,
    /// Accounts of which the node should have shown a session, and did not.
    pub missed: HashSet<Arc<str>>,
    /// Those of which the same is so, and that are to be gone: the node is left out, so that what is deleted can go.
    pub unwaited: HashSet<Arc<str>>,
}

/// One look at the counters of a node.
#[derive(Debug)]
pub struct Reading<'a> {
    /// Before the request was sent.
    pub begun: Instant,
    /// After the answer was there.
    pub answered: Instant,
    /// (tx, rx) by session id since the node started.
    pub counters: &'a HashMap<String, (u64, u64)>,
}

#[derive(Debug, Default)]
struct Node {
    /// The node has a statistics API.
    proves: bool,
    /// Accounts whose revocation this node has not proved.
    waiting: HashSet<Arc<str>>,
    /// Ids to kick now.
    due: HashSet<String>,
    /// Sessions online that may not live and belong to no revocation; when they were last kicked.
    strays: HashMap<String, Option<Instant>>,
}

#[derive(Debug)]
struct Revocation {
    below: Epoch,
    denied_at: Timestamp,
    /// The denial was in force before this.
    since: Instant,
    /// The account is refused as a whole, not only its former epochs.
    whole: bool,
    contained_at: Option<Timestamp>,
    zero_at: Option<Timestamp>,
    watch_until: Option<Instant>,
    /// By node; few. Empty once the watch is over.
    proofs: Vec<(NodeName, Proof)>,
    watched: bool,
    /// Nodes that left before everything was proved; whether they held everything down until then.
    left_out: BTreeMap<Box<str>, bool>,
    withdrawn_at: Option<Timestamp>,
}

impl Revocation {
    fn proof(&mut self, node: &NodeName) -> Option<&mut Proof> {
        self.proofs
            .iter_mut()
            .find_map(|(name, proof)| (name == node).then_some(proof))
    }

    fn concerns(&self, epoch: Epoch, standing: Standing) -> bool {
        epoch < self.below || (self.whole && standing == Standing::Revoked)
    }
}

/// Every revocation of a gateway.
#[derive(Debug, Default)]
pub struct Revocations {
    nodes: BTreeMap<NodeName, Node>,
    accounts: HashMap<Arc<str>, Revocation>,
    watches: BTreeSet<(Instant, Arc<str>)>,
}

impl Revocations {
    /// A node joins; every revocation that is still watched has to be proved by it as well. `proves` says that it has a
    /// statistics API. Answers the accounts about which something changed.
    pub fn add_node(&mut self, name: &NodeName, proves: bool, now: Moment) -> HashSet<String> {
        let mut node = Node {
            proves,
            ..Node::default()
        };
        let mut reopened = Vec::new();
        for (account, revocation) in self.accounts.iter_mut().filter(|(_, revocation)| revocation.watched) {
            let known: HashSet<&str> = revocation.proofs.iter().flat_map(|(_, proof)| proof.ids()).collect();
            if proves {
                node.due.extend(known.iter().map(|id| (*id).to_owned()));
                node.waiting.insert(account.clone());
            }
            let proof = Proof::expecting(known.into_iter().map(Into::into));
            revocation.proofs.push((name.clone(), proof));
            revocation.left_out.remove(&*name.0);
            // Not a claim that turned out to be wrong.
            revocation.contained_at = None;
            reopened.push(account.clone());
        }
        self.nodes.insert(name.clone(), node);
        self.judge_all(reopened, now)
    }

    /// A node is no longer part of the gateway: nothing waits for it any more, and what it did not prove stays unproved.
    pub fn remove_node(&mut self, name: &NodeName, now: Moment) -> HashSet<String> {
        self.nodes.remove(name);
        let mut freed = Vec::new();
        for (account, revocation) in &mut self.accounts {
            let Some(at) = revocation.proofs.iter().position(|(node, _)| node == name) else {
                continue;
            };
            let (_, proof) = revocation.proofs.remove(at);
            if !(proof.contained() && proof.zero()) {
                revocation.left_out.insert((*name.0).into(), proof.contained());
            }
            freed.push(account.clone());
        }
        self.judge_all(freed, now)
    }

    /// Opens the revocation that a cut orders, unless it is open or done already. A cut of a later epoch replaces the one
    /// before and takes over its ids. `whole` says that the account is refused as a whole. Answers whether anything changed.
    pub fn open(&mut self, account: &Arc<str>, revoke: &Revoke, whole: bool, now: Moment) -> bool {
        let mut known: HashSet<Box<str>> = revoke
            .known
            .iter()
            .filter(|id| is_before(id, account, revoke.below))
            .map(|id| id.as_str().into())
            .collect();
        let mut left_out: BTreeMap<Box<str>, bool> =
            revoke.left_out.iter().map(|it| (it.as_str().into(), false)).collect();
        if let Some(former) = self.accounts.get_mut(account) {
            if revoke.below <= former.below {
                former.whole = whole;
                return former.watched && former.zero_at.is_none() && self.learn(account, &known);
            }
            if former.watched {
                left_out.append(&mut former.left_out);
            }
            let ids = former.proofs.iter().flat_map(|(_, proof)| proof.ids());
            known.extend(ids.map(Box::from));
            if let Some(until) = former.watch_until {
                self.watches.remove(&(until, account.clone()));
            }
        }
        left_out.retain(|name, _| !self.nodes.keys().any(|node| *node.0 == **name));
        let revocation = Revocation {
            below: revoke.below,
            denied_at: revoke.denied_at,
            since: now.at,
            whole,
            contained_at: None,
            zero_at: None,
            watch_until: None,
            proofs: Vec::new(),
            watched: true,
            left_out,
            withdrawn_at: None,
        };
        self.accounts.insert(account.clone(), revocation);
        self.ask_every_node(account, &known);
        self.judge(account, now);
        true
    }

    /// The account is permitted again, or refused as a whole.
    pub fn set_whole(&mut self, account: &str, whole: bool) {
        if let Some(revocation) = self.accounts.get_mut(account) {
            revocation.whole = whole;
        }
    }

    /// Forgets an account.
    pub fn forget(&mut self, account: &str) {
        if let Some((account, revocation)) = self.accounts.remove_entry(account) {
            for node in self.nodes.values_mut() {
                node.waiting.remove(&account);
            }
            if let Some(until) = revocation.watch_until {
                self.watches.remove(&(until, account));
            }
        }
    }

    /// Takes the ids that are to be kicked now.
    pub fn take_due(&mut self, node: &NodeName) -> Vec<String> {
        self.nodes
            .get_mut(node)
            .map(|node| node.due.drain().collect())
            .unwrap_or_default()
    }

    /// Whether there are ids to be kicked now.
    pub fn has_due(&self, node: &NodeName) -> bool {
        self.nodes.get(node).is_some_and(|node| !node.due.is_empty())
    }

    /// A kick was not acknowledged: the ids are due again.
    pub fn kick_failed(&mut self, node: &NodeName, ids: Vec<String>) {
        if let Some(node) = self.nodes.get_mut(node) {
            node.due.extend(ids);
        }
    }

    /// A kick that was begun at `begun` was acknowledged. Answers the accounts about which something became known.
    pub fn kicked(&mut self, node: &NodeName, ids: &[String], begun: Instant, now: Moment) -> HashSet<String> {
        let mut touched: HashSet<Arc<str>> = HashSet::new();
        for id in ids {
            if let Some(kicked_at) = self.nodes.get_mut(node).and_then(|node| node.strays.get_mut(id)) {
                *kicked_at = Some(begun);
            }
            let Some((account, revocation)) =
                SessionId::parse(id).and_then(|session| get_mut(&mut self.accounts, session.account))
            else {
                continue;
            };
            if let Some(proof) = revocation.proof(node) {
                let before = proof.contained();
                proof.kicked(id, begun, now.at);
                if proof.contained() != before {
                    touched.insert(account);
                }
            }
        }
        for account in &touched {
            self.update_waiting(node, account);
        }
        self.judge_all(touched, now)
    }

    /// Accounts whose revocation this node has not proved, and the epochs below which sessions must go.
    pub fn waiting(&self, node: &NodeName) -> Vec<(Arc<str>, Epoch)> {
        let waiting = self.nodes.get(node).into_iter().flat_map(|node| &node.waiting);
        waiting
            .filter_map(|account| Some((account.clone(), self.accounts.get(account)?.below)))
            .collect()
    }

    /// How many accounts have a revocation that some node has not proved.
    pub fn unproved(&self) -> usize {
        let waiting: HashSet<&Arc<str>> = self.nodes.values().flat_map(|node| &node.waiting).collect();
        waiting.len()
    }

    /// Whether the counters of this node say more than a look at it: a session that is held down is still there.
    pub fn wants_counters(&self, node: &NodeName) -> bool {
        self.proofs_of(node).any(Proof::wants_counters)
    }

    /// Whether a session moves on although this node acknowledged its kick.
    pub fn is_defied(&self, node: &NodeName) -> bool {
        self.proofs_of(node).any(Proof::is_defied)
    }

    /// What is not proved yet.
    fn proofs_of(&self, name: &NodeName) -> impl Iterator<Item = &Proof> {
        let waiting = self.nodes.get(name).into_iter().flat_map(|node| &node.waiting);
        let proofs = waiting.filter_map(|account| self.accounts.get(account));
        proofs.filter_map(move |revocation| {
            revocation
                .proofs
                .iter()
                .find(|(node, _)| node == name)
                .map(|(_, proof)| proof)
        })
    }

    /// Takes a look at the counters of a node. A session that moves on although it is held down takes the claim back and is
    /// kicked again. Answers the accounts about which something became known, and how many sessions move on.
    pub fn counted(&mut self, name: &NodeName, reading: &Reading<'_>, now: Moment) -> (HashSet<String>, usize) {
        let mut touched = Vec::new();
        let mut defiant = Vec::new();
        for (account, revocation) in self.accounts.iter_mut().filter(|(_, revocation)| revocation.watched) {
            let Some(proof) = revocation.proof(name) else { continue };
            let ids = proof.count(reading.begun, reading.answered, reading.counters);
            if !ids.is_empty() {
                touched.push(account.clone());
                defiant.extend(ids);
            }
        }
        let found = defiant.len();
        if let Some(node) = self.nodes.get_mut(name) {
            node.due.extend(defiant);
        }
        for account in &touched {
            self.update_waiting(name, account);
        }
        (self.judge_all(touched, now), found)
    }

    /// Whether this node is to be looked at more often than usual.
    pub fn is_urgent(&self, node: &NodeName) -> bool {
        !self.watches.is_empty()
            || self
                .nodes
                .get(node)
                .is_some_and(|node| !node.waiting.is_empty() || !node.strays.is_empty())
    }

    /// Takes a look at a node. Answers the accounts about which something became known.
    pub fn looked(&mut self, name: &NodeName, look: &Look, now: Moment) -> HashSet<String> {
        let by_account = self.sort_strangers(name, look);
        let mut accounts: HashSet<Arc<str>> = self.waiting(name).into_iter().map(|(account, _)| account).collect();
        accounts.extend(by_account.keys().cloned());
        if look.doubted {
            // What it proved so far is no better than what it shows now.
            let proved = self.accounts.iter().filter(|(_, revocation)| revocation.watched);
            accounts.extend(proved.map(|(account, _)| account.clone()));
        }
        let mut touched = Vec::new();
        for account in accounts {
            let online = by_account.get(&account).map_or(&[][..], Vec::as_slice);
            if !online.is_empty() && self.accounts.get(&account).is_some_and(|r| !r.watched) {
                self.reopen(&account, look.begun, now);
            }
            let Some(revocation) = self.accounts.get_mut(&account) else {
                continue;
            };
            if look.begun < revocation.since {
                continue;
            }
            if look.unwaited.contains(&account) {
                revocation.left_out.insert((*name.0).into(), false);
            }
            let Some(proof) = revocation.proof(name) else {
                continue;
            };
            let before = (proof.contained(), proof.zero());
            let last_yes = look.last_yes.get(&account);
            let settled = last_yes.is_some_and(|yes| yes.is_none_or(|yes| yes < look.begun));
            let believed = !look.doubted && !look.missed.contains(&account);
            let kick = proof.look(look.answered, online, settled, believed);
            if before != (proof.contained(), proof.zero()) {
                touched.push(account.clone());
            }
            if let Some(node) = self.nodes.get_mut(name) {
                node.due.extend(kick);
            }
            self.update_waiting(name, &account);
        }
        self.judge_all(touched, now)
    }

    /// Ends the watches that are over.
    pub fn retire(&mut self, now: Instant) {
        while self.watches.first().is_some_and(|(until, _)| *until <= now) {
            let Some((_, account)) = self.watches.pop_first() else {
                return;
            };
            if let Some(revocation) = self.accounts.get_mut(&account) {
                revocation.watched = false;
                revocation.watch_until = None;
                revocation.proofs = Vec::new();
            }
        }
    }

    /// How far the revocation of an account has come: the one under way, or the last one.
    pub fn progress(&self, account: &str) -> Option<RevocationProgress> {
        let revocation = self.accounts.get(account)?;
        let uncontained = revocation.left_out.values().any(|contained| !contained);
        let missing = |proof: &Proof| match revocation.contained_at {
            // That the last session is gone will never be said.
            Some(_) if !uncontained => !proof.zero(),
            _ => !proof.contained(),
        };
        Some(RevocationProgress {
            below: revocation.below,
            denied_at: revocation.denied_at,
            contained_at: revocation.contained_at.filter(|_| !uncontained),
            sessions_zero_at: revocation.zero_at.filter(|_| revocation.left_out.is_empty()),
            left_out: revocation.left_out.keys().map(ToString::to_string).collect(),
            withdrawn_at: revocation.withdrawn_at,
            waiting_for: revocation
                .proofs
                .iter()
                .filter(|(_, proof)| missing(proof))
                .map(|(node, _)| node.to_string())
                .collect(),
        })
    }

    /// Whether every node that can be asked shows none of the sessions any more.
    pub fn is_over(&self, account: &str) -> bool {
        let revocation = self.accounts.get(account);
        revocation.is_some_and(|revocation| revocation.zero_at.is_some())
    }

    /// Sorts what may not live into sessions of revocations and strays, and makes strays due.
    fn sort_strangers<'a>(&mut self, name: &NodeName, look: &'a Look) -> HashMap<Arc<str>, Vec<(&'a str, u32)>> {
        let mut by_account: HashMap<Arc<str>, Vec<(&str, u32)>> = HashMap::new();
        let mut strays = HashMap::new();
        let Some(node) = self.nodes.get_mut(name) else {
            return by_account;
        };
        for stranger in &look.strangers {
            let Some(session) = SessionId::parse(&stranger.id) else {
                continue;
            };
            match self.accounts.get_key_value(session.account) {
                Some((account, revocation)) if revocation.concerns(session.epoch, stranger.standing) => {
                    let online = by_account.entry(account.clone()).or_default();
                    online.push((&stranger.id, stranger.connections));
                }
                _ if stranger.standing == Standing::Revoked => {
                    let kicked_at = node.strays.get(&stranger.id).copied().flatten();
                    if kicked_at.is_none_or(|at| look.answered.saturating_duration_since(at) >= AGAIN) {
                        node.due.insert(stranger.id.clone());
                    }
                    strays.insert(stranger.id.clone(), kicked_at);
                }
                _ => {}
            }
        }
        node.strays = strays;
        by_account
    }

    /// A session came back after the watch: everything is to be proved anew.
    fn reopen(&mut self, account: &Arc<str>, since: Instant, now: Moment) {
        if let Some(revocation) = self.accounts.get_mut(account) {
            revocation.since = since;
            if revocation.contained_at.take().is_some() {
                revocation.withdrawn_at = Some(now.utc);
            }
            revocation.zero_at = None;
            revocation.watched = true;
            self.ask_every_node(account, &HashSet::new());
        }
    }

    fn ask_every_node(&mut self, account: &Arc<str>, known: &HashSet<Box<str>>) {
        let Some(revocation) = self.accounts.get_mut(account) else {
            return;
        };
        revocation.proofs = Vec::with_capacity(self.nodes.len());
        for (name, node) in &mut self.nodes {
            revocation
                .proofs
                .push((name.clone(), Proof::expecting(known.iter().cloned())));
            if node.proves {
                node.due.extend(known.iter().map(ToString::to_string));
                node.waiting.insert(account.clone());
            }
        }
    }

    /// Further ids of an open revocation. Answers whether any is new.
    fn learn(&mut self, account: &Arc<str>, ids: &HashSet<Box<str>>) -> bool {
        let mut learned = false;
        let Some(revocation) = self.accounts.get_mut(account) else {
            return false;
        };
        for (name, proof) in &mut revocation.proofs {
            for id in ids {
                if proof.expect(id) {
                    learned = true;
                    if let Some(node) = self.nodes.get_mut(name).filter(|node| node.proves) {
                        node.due.insert(id.to_string());
                        node.waiting.insert(account.clone());
                    }
                }
            }
        }
        learned
    }

    fn update_waiting(&mut self, name: &NodeName, account: &Arc<str>) {
        let proved = self
            .accounts
            .get_mut(account)
            .and_then(|revocation| revocation.proof(name))
            .is_none_or(|proof| proof.contained() && proof.zero());
        if let Some(node) = self.nodes.get_mut(name) {
            if proved {
                node.waiting.remove(account);
            } else if !node.waiting.contains(account) {
                node.waiting.insert(account.clone());
            }
        }
    }

    fn judge_all(&mut self, accounts: impl IntoIterator<Item = Arc<str>>, now: Moment) -> HashSet<String> {
        accounts
            .into_iter()
            .map(|account| {
                self.judge(&account, now);
                account.to_string()
            })
            .collect()
    }

    /// Sets or clears the two times by what the nodes have proved.
    fn judge(&mut self, account: &Arc<str>, now: Moment) {
        let Some(revocation) = self.accounts.get_mut(account).filter(|revocation| revocation.watched) else {
            return;
        };
        let contained = revocation.proofs.iter().all(|(_, proof)| proof.contained());
        let zero = contained && revocation.proofs.iter().all(|(_, proof)| proof.zero());
        if revocation.contained_at.is_some() && !contained {
            revocation.withdrawn_at = Some(now.utc);
        }
        revocation.contained_at = contained.then(|| revocation.contained_at.unwrap_or(now.utc));
        if zero == revocation.zero_at.is_some() {
            return;
        }
        if let Some(until) = revocation.watch_until.take() {
            self.watches.remove(&(until, account.clone()));
        }
        revocation.zero_at = zero.then_some(now.utc);
        if zero {
            let until = now.at + WATCH;
            revocation.watch_until = Some(until);
            self.watches.insert((until, account.clone()));
        }
    }
}

fn get_mut<'a>(accounts: &'a mut HashMap<Arc<str>, Revocation>, name: &str) -> Option<(Arc<str>, &'a mut Revocation)> {
    let (account, _) = accounts.get_key_value(name)?;
    let account = account.clone();
    Some((account, accounts.get_mut(name)?))
}

fn is_before(id: &str, account: &str, below: Epoch) -> bool {
    SessionId::parse(id).is_some_and(|session| session.account == account && session.epoch < below)
}

#[cfg(test)]
mod tests;
