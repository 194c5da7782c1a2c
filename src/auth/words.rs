//! The words that the table of logins shares with those who fill it: which process decides, and where somebody has an account.

use std::sync::Arc;

use crate::{gateway::ANY, model::gateway::DEFAULT_GATEWAY};

/// Whose word counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Role {
    /// This process reconciles: it raises epochs, names the sessions that must go, and writes statuses.
    #[default]
    Controller,
    /// This process answers logins, and what statuses say is the controller's word. It names no session that must go.
    Follower,
}

/// The gateways on which a user has an account. Most have the default one alone, which takes no memory.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Gateways(Option<Arc<[Box<str>]>>);

impl Gateways {
    pub(crate) fn of(declared: Option<&[String]>) -> Self {
        let named = declared.filter(|names| !names.is_empty() && *names != [DEFAULT_GATEWAY]);
        Self(named.map(|names| names.iter().map(|name| name.as_str().into()).collect()))
    }

    /// Whether a node of this gateway may let the user in. A node that cannot be told apart from others may.
    pub(crate) fn admit(&self, gateway: &str) -> bool {
        gateway == ANY
            || match &self.0 {
                None => gateway == DEFAULT_GATEWAY,
                Some(names) => names.iter().any(|name| **name == *gateway),
            }
    }

    /// Their names; `None` for the default one alone.
    pub(crate) fn names(&self) -> Option<Vec<String>> {
        let names = self.0.as_ref()?;
        Some(names.iter().map(ToString::to_string).collect())
    }

    /// Whether every gateway of `other` is one of these.
    pub(crate) fn cover(&self, other: &Self) -> bool {
        match &other.0 {
            None => self.admit(DEFAULT_GATEWAY),
            Some(names) => names.iter().all(|name| self.admit(name)),
        }
    }
}
