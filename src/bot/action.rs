//! What a button stands for. It is kept in the bot's own file: what Telegram carries is a number alone, so that nothing can be forged.

use serde::{Deserialize, Serialize};

use crate::api::role::Role;

/// What a button stands for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// A new password and subscription link for oneself.
    Rotate,
    /// Unlink oneself.
    Unlink,
    /// Something about another person.
    Order {
        /// What.
        order: Order,
        /// About whom.
        id: String,
        /// Why.
        reason: String,
    },
    /// Lift these holds.
    Release {
        /// Their names.
        names: Vec<String>,
        /// Why; empty where nothing was said.
        #[serde(default)]
        reason: String,
    },
    /// Confirm or cancel what the guard holds back of these people.
    Guard {
        /// Deny, or let them keep their access.
        confirm: bool,
        /// Those who were shown.
        ids: Vec<String>,
    },
}

/// What is ordered about a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// Place a hold.
    Hold,
    /// Withdraw access.
    Deactivate,
    /// Give it back.
    Activate,
    /// Revoke the ID.
    Revoke,
}

impl Action {
    /// Who may do it; `None` for what everybody does with their own access.
    #[must_use]
    pub const fn needs(&self) -> Option<Role> {
        match self {
            Self::Rotate | Self::Unlink => None,
            Self::Order { order: Order::Hold, .. } | Self::Release { .. } => Some(Role::Helpdesk),
            Self::Order { .. } | Self::Guard { .. } => Some(Role::Admin),
        }
    }
}
