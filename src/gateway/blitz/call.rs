//! The calls that a panel's lane makes. Pure.

use std::sync::Arc;

use super::client::{Change, NewAccount};

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
    /// Delete an account that nobody uses any more.
    Delete(Arc<str>),
    /// Read the links of this account, which say what everybody's are.
    Links(Arc<str>),
}

impl Call {
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
