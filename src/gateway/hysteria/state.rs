//! What a gateway remembers: accounts, revocations, and what each node showed last. Every question is answered from here.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::Timestamp;

use super::{
    config::NodeFault,
    revocation::{Look, Revocations},
};
use crate::{
    gateway::{Moment, NodeHealth, NodeName, Observation, Target, TargetAccess, Unprovable, WhyUnprovable},
    model::{gateway::Reachable, session::SessionId, user::AccountPresence},
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
#[derive(Debug)]
struct View {
    proves: bool,
    fault: Option<NodeFault>,
    undeclared: bool,
    polled_at: Option<Timestamp>,
    /// When it last answered a poll, or since when it is there.
    answered: Instant,
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
        let kind = match target.access {
            TargetAccess::Absent => Kind::Absent,
            TargetAccess::Granted | TargetAccess::Denied => Kind::Known,
        };
        let whole = target.access != TargetAccess::Granted;
        let revoke = target.revoke.as_ref();
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
            unprovable: self
                .views
                .iter()
                .filter_map(|(name, view)| {
                    Some(Unprovable {
                        node: name.to_string(),
                        why: view.unprovable()?,
                    })
                })
                .collect(),
            unusable: self.unusable(),
            handed_over: None,
            obstacle: None,
            asked_to_leave: self.is_leaving(account),
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
        let view = View {
            proves,
            fault: None,
            undeclared: false,
            polled_at: None,
            answered: now.at,
            errors: BTreeMap::new(),
            by_account: HashMap::new(),
            sessions: 0,
        };
        self.views.insert(name.clone(), view);
        self.revocations.add_node(name, proves, now)
    }

    /// What is to be said of a node beside what it shows.
    pub(super) fn describe(&mut self, name: &NodeName, fault: Option<NodeFault>, undeclared: bool) {
        if let Some(view) = self.views.get_mut(name) {
            view.fault = fault;
            view.undeclared = undeclared;
        }
    }

    /// Why nobody can be let in on any node.
    pub(super) fn unusable(&self) -> Vec<String> {
        let why = |(name, view): (&NodeName, &View)| {
            let fault = view.fault.as_ref().filter(|fault| !fault.goes_on)?;
            Some(format!("{name}: {}", fault.why))
        };
        // Nearly always the first node ends the look.
        self.views.iter().map(why).collect::<Option<_>>().unwrap_or_default()
    }

    pub(super) fn remove_node(&mut self, name: &NodeName, now: Moment) -> HashSet<String> {
        self.views.remove(name);
        self.revocations.remove_node(name, now)
    }

    /// Takes a look at a node. Answers the accounts about which something became known.
    pub(super) fn looked(&mut self, name: &NodeName, look: &Look, online: Online, now: Moment) -> HashSet<String> {
        if let Some(view) = self.views.get_mut(name) {
            view.polled_at = Some(now.utc);
            view.answered = now.at;
            view.by_account = online.by_account;
            view.sessions = online.sessions;
        }
        self.revocations.retire(now.at);
        self.revocations.looked(name, look, now)
    }

    /// On how many nodes an account was online at the last look; one at the least.
    pub(super) fn nodes_showing(&self, account: &str) -> usize {
        let showing = self.views.values().filter(|view| view.by_account.contains_key(account));
        showing.count().max(1)
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

    /// Whether a node did not answer for longer than `patience`. One that cannot be asked never counts as silent.
    pub(super) fn silent(&self, node: &NodeName, now: Instant, patience: Duration) -> bool {
        let view = self.views.get(node);
        view.is_some_and(|view| view.reachable(now, patience) == Reachable::False)
    }

    /// Health of each node at `now`. One that did not answer for longer than `patience` is unreachable.
    pub(super) fn health(&self, now: Instant, patience: Duration) -> Vec<NodeHealth> {
        let health = |(node, view): (&NodeName, &View)| NodeHealth {
            node: node.clone(),
            polled_at: view.polled_at,
            error: view.error(),
            sessions: view.sessions,
            proves: view.proves,
            reachable: view.reachable(now, patience),
            faulty: view.fault.is_some(),
            undeclared: view.undeclared,
        };
        self.views.iter().map(health).collect()
    }
}

impl View {
    fn unprovable(&self) -> Option<WhyUnprovable> {
        match &self.fault {
            _ if self.proves => None,
            _ if self.undeclared => Some(WhyUnprovable::Undeclared),
            Some(fault) => Some(WhyUnprovable::NotRunning(fault.why.clone())),
            None => Some(WhyUnprovable::NoStatistics),
        }
    }

    fn error(&self) -> Option<String> {
        let fault = self.fault.as_ref().map(|fault| {
            if fault.goes_on {
                format!("{}; until then it runs as it was declared before", fault.why)
            } else {
                fault.why.clone()
            }
        });
        let missing = (!self.proves && !self.undeclared)
            .then(|| "no statsUrl is declared: sessions cannot be ended, and nothing can be proved".to_owned());
        fault.or_else(|| self.errors.values().next().cloned()).or(missing)
    }

    fn reachable(&self, now: Instant, patience: Duration) -> Reachable {
        if !self.proves {
            Reachable::Unknown
        } else if now.saturating_duration_since(self.answered) > patience {
            Reachable::False
        } else if self.polled_at.is_some() {
            Reachable::True
        } else {
            Reachable::Unknown
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_silent_once_it_has_not_answered_for_so_long_and_only_where_it_can_be_asked() {
        let (asked, dark) = (NodeName::new("g", "asked"), NodeName::new("g", "dark"));
        let begun = Moment {
            at: Instant::now(),
            utc: Timestamp::UNIX_EPOCH,
        };
        let patience = Duration::from_secs(180);
        let mut state = State::default();
        let _ = state.add_node(&asked, true, begun);
        let _ = state.add_node(&dark, false, begun);
        let silent = |node: &NodeName, seconds: u64| {
            let now = begun.at + Duration::from_secs(seconds);
            state.silent(node, now, patience)
        };
        assert!(!silent(&asked, 180) && silent(&asked, 181));
        assert!(!silent(&dark, 10_000), "nobody knows");
        assert!(!silent(&NodeName::new("g", "gone"), 10_000));
    }
}
