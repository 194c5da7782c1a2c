//! What a list brought. Pure.

use std::collections::HashSet;

/// How an account is that is not as the operator left it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Drifted {
    /// It is not there any more.
    Gone,
    /// It is not as it was.
    Changed,
    /// It was deleted, and is there again.
    Returned,
}

/// What somebody else did to accounts that the operator had brought in line, or put an older backup back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Drift {
    pub(super) gone: usize,
    pub(super) changed: usize,
    pub(super) returned: usize,
}

impl Drift {
    pub(super) const fn add(&mut self, drifted: Drifted) {
        match drifted {
            Drifted::Gone => self.gone += 1,
            Drifted::Changed => self.changed += 1,
            Drifted::Returned => self.returned += 1,
        }
    }
}

/// What a list brought.
#[derive(Debug, Default)]
pub(super) struct Listed {
    /// Accounts about which something became known.
    pub(super) completed: HashSet<String>,
    pub(super) drift: Drift,
}
