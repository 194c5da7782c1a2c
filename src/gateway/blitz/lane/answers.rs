//! What a lane answers about itself and its accounts, from memory.

use std::{collections::HashMap, sync::Arc, time::Instant};

use secrecy::SecretString;

use super::Lane;
use crate::{
    gateway::{
        Backlog, Observation,
        blitz::{client::Entry, managed::Managed},
    },
    model::user::AccountPresence,
};

impl Lane {
    /// Whether people are let in with this account, as a list showed.
    pub(in crate::gateway::blitz) fn lets_in(&self, account: &str) -> bool {
        self.accounts.get(account).is_some_and(Managed::lets_in)
    }

    /// The password of an account, as it was listed.
    pub(in crate::gateway::blitz) fn password(&self, account: &str) -> Option<SecretString> {
        Some(self.seen.entry(account)?.password.clone())
    }

    /// The operator's accounts among those that are listed.
    pub(in crate::gateway::blitz) fn ours(&self, entries: &HashMap<String, Entry>) -> Vec<Arc<str>> {
        let ours = self.accounts.iter().filter(|(name, managed)| {
            let entry = entries.get(&***name);
            entry.is_some_and(|entry| managed.is_ours(entry))
        });
        ours.map(|(name, _)| name.clone()).collect()
    }

    /// What keeps the panel from being called.
    pub(in crate::gateway::blitz) fn error(&self) -> Option<String> {
        self.rest.error().map(ToString::to_string)
    }

    /// Whether only a person can mend what keeps the panel from being called.
    pub(in crate::gateway::blitz) fn is_refused(&self) -> bool {
        self.rest.error().is_some_and(|error| !error.is_retryable())
    }

    /// When the last list was begun, and how many devices it showed.
    pub(in crate::gateway::blitz) fn last_look(&self) -> Option<(Instant, u32)> {
        Some((self.looked?, self.seen.devices))
    }

    /// What waits, and about how long it takes.
    pub(in crate::gateway::blitz) fn backlog(&self) -> Backlog {
        let backlog = self.queues.backlog();
        if self.rest.error().is_some() {
            return backlog;
        }
        backlog.taking(self.estimate.left(backlog, self.pace.quiet))
    }

    pub(in crate::gateway::blitz) fn observe(&self, account: &str) -> Observation {
        let entry = self.seen.entry(account);
        if let Some(managed) = self.accounts.get(account) {
            return managed.observe(entry, self.seen.is_known(), &self.panel);
        }
        Observation {
            account: AccountPresence::Unknown,
            sessions: entry.map_or(0, |entry| entry.online),
            revocation: None,
            unprovable: Vec::new(),
            unusable: Vec::new(),
            obstacle: None,
            handed_over: Some(0),
            asked_to_leave: false,
        }
    }
}
