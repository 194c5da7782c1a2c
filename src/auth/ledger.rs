//! What gateways learn from, and tell, the index about sessions.

use std::{
    collections::{HashMap, HashSet},
    sync::PoisonError,
    time::Instant,
};

use tokio::sync::watch;

use super::{index::AuthIndex, node::Node, slots::Sighting};
use crate::{
    gateway::{Doubt, NodeName, SessionLedger, Standing},
    model::{
        access::Reason,
        session::{Epoch, SessionId},
    },
};

impl SessionLedger for AuthIndex {
    fn standing(&self, node: &NodeName, id: &str) -> Standing {
        let Some(id) = SessionId::parse(id).filter(|_| self.is_loaded()) else {
            return Standing::Foreign;
        };
        let Some(account) = self.account(id.account) else {
            return Standing::Revoked;
        };
        let mut sessions = account.sessions();
        let policy = account.policy.load();
        let permitted = policy.epoch == id.epoch
            // A token that several gateways share lets in wherever the person has an account; this does not.
            && policy.gateways.admit(node.gateway())
            && policy.reason_at(self.clock.now()) == Reason::Active
            && !sessions.slots.is_surplus(id.epoch, id.slot);
        if permitted {
            Standing::Permitted
        } else {
            Standing::Revoked
        }
    }

    /// Before the first yes of this process it is its start: an earlier one may have said yes until then.
    fn last_yes(&self, account: &str) -> Option<Instant> {
        let account = self.account(account);
        let said = account.and_then(|account| account.sessions().slots.last_yes());
        Some(said.unwrap_or(self.started))
    }

    fn remaining(&self, account: &str) -> Option<u64> {
        let policy = self.account(account)?.policy.load_full();
        policy.remaining_at(self.clock.now())
    }

    fn logins_near_limits(&self) -> watch::Receiver<u64> {
        self.near_limits.subscribe()
    }

    fn doubt(&self, node: &NodeName) -> Option<Doubt> {
        self.nodes.pin().get(node)?.doubt()
    }

    fn misses(&self, node: &NodeName, account: &str, below: Epoch) -> bool {
        let Some(node) = self.nodes.pin().get(node).cloned() else {
            return false;
        };
        let account = self.account(account);
        account.is_some_and(|account| account.sessions().slots.misses(&node.clock, below))
    }

    fn observed(&self, node: &NodeName, polled: Instant, online: &HashMap<String, u32>) {
        let node = self.node(node);
        let mut last_poll = node.last_poll.lock().unwrap_or_else(PoisonError::into_inner);
        if last_poll.poll > 0 && node.clock.polled_after(polled) {
            return;
        }
        let now = self.clock.monotonic();
        let poll = last_poll.poll.wrapping_add(1).max(1);
        let mut sessions = Vec::with_capacity(online.len());
        let (mut own, mut doubt) = (false, None);
        for (id, _) in online.iter().filter(|(_, devices)| **devices > 0) {
            let Some(id) = SessionId::parse(id) else { continue };
            let Some(account) = self.account(id.account) else {
                continue;
            };
            let mut at = account.sessions();
            let policy = account.policy.load();
            let sighting = at.slots.seen(id.epoch, id.slot, &node.clock, poll);
            at.slots.enforce(policy.epoch, policy.max_devices, polled, now);
            drop(at);
            sessions.push((account, id.epoch, id.slot));
            match sighting {
                Sighting::Handed(other) => doubt = Some(Doubt::SessionsOf(other)),
                Sighting::Also(other) if doubt.is_none() && !self.shows_others(&other) => {
                    doubt = Some(Doubt::SameAs(other));
                }
                Sighting::Here | Sighting::Also(_) => own = true,
            }
        }
        self.judge_node(&node, own, doubt);
        self.blocks.saw(sessions.iter().map(|(_, _, slot)| *slot), now);
        last_poll.poll = poll;
        let before = std::mem::replace(&mut last_poll.sessions, sessions);
        for (account, epoch, slot) in &before {
            account.sessions().slots.expire(*epoch, *slot, &node.clock, poll);
        }
        // After the last mark is gone, because from then on what this poll did not show counts as gone.
        node.clock.set_polled(polled);
        let gone_later = before
            .into_iter()
            .filter(|(account, epoch, slot)| account.sessions().slots.forget_if_gone(*epoch, *slot, now));
        last_poll.sessions.extend(gone_later);
        drop(last_poll);
        self.settle();
        self.inquiry().polled();
    }

    fn strangers(&self, panel: &NodeName, accounts: &HashSet<&str>) {
        self.node(panel).strangers.replace(accounts);
    }

    fn stranger(&self, panel: &NodeName, account: &str, is_one: bool) {
        if is_one {
            self.node(panel).strangers.set(account, true);
        } else if let Some(panel) = self.nodes.pin().get(panel) {
            panel.strangers.set(account, false);
        }
    }

    fn bypassed(&self, panel: &NodeName, bypassed: bool) {
        self.node(panel).set_bypassed(bypassed);
    }

    fn node_removed(&self, name: &NodeName) {
        let nodes = self.nodes.pin();
        let removed = nodes.remove(name).cloned();
        let Some(node) = removed else { return };
        node.clock.remove();
        for other in nodes.values() {
            other.no_longer_doubted_for(name);
        }
        drop(nodes);
        let now = self.clock.monotonic();
        let sessions = std::mem::take(&mut node.last_poll.lock().unwrap_or_else(PoisonError::into_inner).sessions);
        for (account, epoch, slot) in sessions {
            account.sessions().slots.lost_sight(epoch, slot, &node.clock, now);
        }
        self.settle();
    }
}

impl AuthIndex {
    /// Whether what a node shows was let in with the token of another.
    fn shows_others(&self, node: &NodeName) -> bool {
        let nodes = self.nodes.pin();
        let doubt = nodes.get(node).and_then(|node| node.doubt());
        matches!(doubt, Some(Doubt::SessionsOf(_)))
    }

    /// Whether a node's word counts, after it showed sessions of its own, or one that gives cause for doubt. A node that shows
    /// nothing leaves it as it was.
    fn judge_node(&self, node: &Node, own: bool, doubt: Option<Doubt>) {
        if let Some(Doubt::SameAs(other)) = &doubt
            && let Some(other) = self.nodes.pin().get(other)
        {
            // Which of the two answers is not known.
            other.set_doubt(Some(Doubt::SameAs(node.name().clone())));
            other.clock.set_vouched(false);
        }
        if doubt.is_some() || own {
            node.clock.set_vouched(doubt.is_none());
            node.set_doubt(doubt);
        }
    }
}
