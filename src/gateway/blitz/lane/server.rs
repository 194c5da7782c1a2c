//! What the panel's own server shows of the accounts, whose sessions are to be ended there, and which accounts are not the operator's.
//! Pure.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Instant,
};

use super::Lane;
use crate::gateway::{
    Moment,
    blitz::{difference, managed::Managed},
};

impl Lane {
    /// Whether the panel's server is asked and kicked as well, from now on.
    pub(in crate::gateway::blitz) fn ask_server(&mut self, asked: bool, now: Moment) {
        self.server = asked;
        let keys: Vec<Arc<str>> = self.ending.iter().cloned().collect();
        for key in keys {
            if let Some(managed) = self.accounts.get_mut(&key) {
                managed.ask_server(asked, now);
            }
            self.file(&key, now);
        }
    }

    /// A look at the panel's server that was begun at `begun` shows so many devices of each account that has any. Answers the
    /// accounts about which something became known.
    pub(in crate::gateway::blitz) fn served(
        &mut self,
        online: &HashMap<String, u32>,
        begun: Instant,
        now: Moment,
    ) -> HashSet<String> {
        let shown = online.iter().filter(|(_, devices)| **devices > 0);
        let shown = shown.filter_map(|(name, _)| Some(self.accounts.get_key_value(&**name)?.0.clone()));
        let concerned: HashSet<Arc<str>> = shown.chain(self.ending.iter().cloned()).collect();
        let mut completed = HashSet::new();
        for key in concerned {
            let Some(managed) = self.accounts.get_mut(&key) else {
                continue;
            };
            let before = managed.facts(&self.panel);
            let devices = online.get(&*key).copied().unwrap_or(0);
            managed.served(devices, begun, self.seen.is_known(), now);
            if before != managed.facts(&self.panel) {
                completed.insert(key.to_string());
            }
            self.file(&key, now);
        }
        completed
    }

    /// Whether sessions of some account have to go.
    pub(in crate::gateway::blitz) fn ends_sessions(&self) -> bool {
        !self.ending.is_empty()
    }

    /// The accounts that are online although their sessions have to go, with their devices. Only those that are known to be the
    /// operator's.
    pub(in crate::gateway::blitz) fn ending(&self, online: &HashMap<String, u32>) -> HashMap<String, u32> {
        let ours = |name: &&Arc<str>| self.accounts.get(*name).is_some_and(Managed::was_there);
        let there = |name: &Arc<str>| Some((name.to_string(), *online.get(&**name)?));
        let there = self.ending.iter().filter(ours).filter_map(there);
        there.filter(|(_, devices)| *devices > 0).collect()
    }

    /// The server acknowledged a kick of these accounts that was begun at `begun`. Answers the accounts about which something
    /// became known.
    pub(in crate::gateway::blitz) fn kicked(
        &mut self,
        accounts: &[String],
        begun: Instant,
        now: Moment,
    ) -> HashSet<String> {
        let mut completed = HashSet::new();
        for account in accounts {
            let Some(managed) = self.accounts.get_mut(&**account) else {
                continue;
            };
            let before = managed.facts(&self.panel);
            managed.kicked(begun, now);
            if before != managed.facts(&self.panel) {
                completed.insert(account.clone());
            }
        }
        completed
    }

    /// Whether an account that is listed, or was, is not the operator's: somebody else made it, or it was let go. One with the mark
    /// that nothing is wanted of yet may still be.
    pub(in crate::gateway::blitz) fn is_stranger(&self, account: &str) -> bool {
        if let Some(managed) = self.accounts.get(account) {
            return managed.is_stranger();
        }
        let entry = self.seen.entry(account);
        entry.is_some_and(|entry| self.let_go.contains(account) || !difference::is_marked(entry))
    }

    /// Every one of them.
    pub(in crate::gateway::blitz) fn strangers(&self) -> HashSet<&str> {
        let names = self.seen.entries.keys().map(String::as_str);
        names.filter(|name| self.is_stranger(name)).collect()
    }
}
