//! The calls that a panel's lane makes. Pure.

use std::{slice, sync::Arc};

use super::client::{Change, NewAccount};

/// Accounts that are deleted with one call at most.
pub(super) const TOGETHER: usize = 100;

/// A call that is to be made.
#[derive(Debug, Clone)]
pub(super) enum Call {
    /// Who is there.
    List,
    /// Kick an account and refuse its logins.
    Block(Arc<str>),
    /// Make an account.
    Add(Arc<str>, NewAccount),
    /// Bring an account in line.
    Change(Arc<str>, Change),
    /// Delete accounts that nobody uses any more.
    Delete(Vec<Arc<str>>),
    /// Read the links of this account, which say what everybody's are.
    Links(Arc<str>),
}

impl Call {
    /// The accounts that it writes.
    pub(super) fn accounts(&self) -> &[Arc<str>] {
        match self {
            Self::Block(account) | Self::Add(account, _) | Self::Change(account, _) => slice::from_ref(account),
            Self::Delete(accounts) => accounts,
            Self::List | Self::Links(_) => &[],
        }
    }

    pub(super) const fn operation(&self) -> &'static str {
        match self {
            Self::List => "list",
            Self::Block(_) => "block",
            Self::Add(..) => "add",
            Self::Change(..) => "change",
            Self::Delete(_) => "delete",
            Self::Links(_) => "links",
        }
    }
}

/// What refuses an account's logins.
pub(super) fn block() -> Change {
    Change {
        blocked: Some(true),
        ..Change::default()
    }
}
