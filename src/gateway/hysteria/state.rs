//! What a gateway remembers: accounts, revocations, and what each node showed last. Every question is answered from here.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use jiff::Timestamp;

use super::revocation::{Look, Moment, Revocations};
use crate::{
    gateway::{NodeHealth, NodeName, Observation, Target},
    model::{session::SessionId, user::AccountPresence},
};

/// What an account is to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Known,
    Absent,
}

/// The calls whose failures are remembered, the most telling first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Operation {
    Online,
    /// Not a call: whether what the node shows is what is on it.
    Identity,
    /// Not a call: whether a kick does what it says.
    Effect,
    Kick,
    Traffic,
}

impl Operation {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Online => "online",
            Self::Identity => "identity",
            Self::Effect => "effect",
            Self::Kick => "kick",
            Self::Traffic => "traffic",
        }
    }
}

/// What a node showed last.
#[derive(Debug, Default)]
struct View {
    /// It has no statistics API.
    without_statistics: bool,
    polled_at: Option<Timestamp>,
    errors: BTreeMap<Operation, String>,
    by_account: HashMap<Box<str>, u32>,
    sessions: u32,
}

#[derive(Debug, Default)]
pub(super) struct State {
    accounts: HashMap<Arc<str>, Kind>,
    pub(super) revocations: Revocations,
    views: BTreeMap<NodeName, View>,
}

impl State {
    /// Takes a target. Answers whether nodes have something to do.
    pub(super) fn submit(&mut self, account: &str, target: &Target, now: Moment) -> bool {
        let account = match self.accounts.get_key_value(account) {
            Some((account, _)) => account.clone(),
            None => account.into(),
        };
        let (kind, revoke, whole) = match target {
            Target::Granted { revoke, .. } => (Kind::Known, revoke.as_ref(), false),
            Target::Denied(revoke) => (Kind::Known, Some(revoke), true),
            Target::Absent(revoke) => (Kind::Absent, Some(revoke), true),
        };
        self.revocations.set_whole(&account, whole);
        let opened = revoke.is_some_and(|revoke| self.revocations.open(&account, revoke, whole, now));
        self.accounts.insert(account, kind);
        opened
    }

    pub(super) fn observe(&self, account: &str) -> Observation {
        let revocation = self.revocations.progress(account);
        let gone = self.revocations.is_over(account);
        Observation {
            account: match self.accounts.get(account) {
                Some(Kind::Absent) if gone => AccountPresence::Absent,
                Some(_) => AccountPresence::Present,
                None => AccountPresence::Unknown,
            },
            sessions: self
                .views
                .values()
                .filter_map(|view| view.by_account.get(account))
                .sum(),
            revocation,
            without_statistics: self
                .views
                .iter()
                .filter(|(_, view)| view.without_statistics)
                .map(|(name, _)| name.to_string())
                .collect(),
            asked_to_leave: self.accounts.get(account) == Some(&Kind::Absent),
        }
    }

    /// Whether nothing of the account is to be left.
    pub(super) fn is_leaving(&self, account: &str) -> bool {
        self.accounts.get(account) == Some(&Kind::Absent)
    }

    pub(super) fn forget(&mut self, account: &str) {
        self.accounts.remove(account);
        self.revocations.forget(account);
    }

    pub(super) fn add_node(&mut self, name: &NodeName, proves: bool, now: Moment) -> HashSet<String> {
        let mut view = View {
            without_statistics: !proves,
            ..View::default()
        };
        if !proves {
            let missing = "no statsUrl is declared: sessions cannot be ended, and nothing can be proved".to_owned();
            view.errors.insert(Operation::Online, missing);
        }
        self.views.insert(name.clone(), view);
        self.revocations.add_node(name, proves, now)
    }

    pub(super) fn remove_node(&mut self, name: &NodeName, now: Moment) -> HashSet<String> {
        self.views.remove(name);
        self.revocations.remove_node(name, now)
    }

    /// Takes a look at a node. Answers the accounts about which something became known.
    pub(super) fn looked(&mut self, name: &NodeName, look: &Look, online: Online, now: Moment) -> HashSet<String> {
        if let Some(view) = self.views.get_mut(name) {
            view.polled_at = Some(now.utc);
            view.by_account = online.by_account;
            view.sessions = online.sessions;
        }
        self.revocations.retire(now.at);
        self.revocations.looked(name, look, now)
    }

    /// Remembers how a call ended. Answers whether that differs from the last one of its kind.
    pub(super) fn called(&mut self, name: &NodeName, operation: Operation, error: Option<String>) -> bool {
        let Some(view) = self.views.get_mut(name) else {
            return false;
        };
        match error {
            Some(error) => view.errors.insert(operation, error).is_none(),
            None => view.errors.remove(&operation).is_some(),
        }
    }

    pub(super) fn health(&self) -> Vec<NodeHealth> {
        let health = |(node, view): (&NodeName, &View)| NodeHealth {
            node: node.clone(),
            polled_at: view.polled_at,
            error: view.errors.values().next().cloned(),
            sessions: view.sessions,
            proves: !view.without_statistics,
        };
        self.views.iter().map(health).collect()
    }
}

/// Connections online on a node, by account.
#[derive(Debug, Default)]
pub(super) struct Online {
    by_account: HashMap<Box<str>, u32>,
    sessions: u32,
}

impl Online {
    pub(super) const fn sessions(&self) -> u32 {
        self.sessions
    }

    pub(super) fn count(online: &HashMap<String, u32>) -> Self {
        let mut counted = Self::default();
        for (id, connections) in online {
            counted.sessions = counted.sessions.saturating_add(*connections);
            if let Some(session) = SessionId::parse(id) {
                if let Some(sum) = counted.by_account.get_mut(session.account) {
                    *sum = sum.saturating_add(*connections);
                } else {
                    counted.by_account.insert(session.account.into(), *connections);
                }
            }
        }
        counted
    }
}
