//! What waits to be done about the accounts of a gateway, and how long that will take. Pure.

use std::time::Duration;

/// What is done about an account, in the order in which a gateway does it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Work {
    /// Its sessions are ended and its logins refused.
    Block,
    /// Its denial is in force, and waits for what proves that nobody is left.
    Prove,
    /// It is deleted.
    Delete,
    /// It is made.
    Add,
    /// It is brought in line.
    Change,
    /// It is compared with what is there, which is not known at present.
    Compare,
}

impl Work {
    /// Every kind, in the order of their discriminants.
    pub const ALL: [Self; 6] = [
        Self::Block,
        Self::Prove,
        Self::Delete,
        Self::Add,
        Self::Change,
        Self::Compare,
    ];

    /// A constant for labels and sentences: "5 accounts to `add`".
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Block => "block",
            Self::Prove => "prove",
            Self::Delete => "delete",
            Self::Add => "add",
            Self::Change => "change",
            Self::Compare => "compare",
        }
    }
}

/// The accounts that wait, by what for. One waits for one thing at a time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Backlog {
    waiting: [usize; Work::ALL.len()],
    left: Option<Duration>,
}

impl Backlog {
    /// Nothing waits.
    pub const NONE: Self = Self {
        waiting: [0; Work::ALL.len()],
        left: None,
    };

    /// So many more accounts wait for this.
    #[must_use]
    pub const fn with(mut self, work: Work, accounts: usize) -> Self {
        self.waiting[work as usize] += accounts;
        self
    }

    /// So many accounts do not wait for this any more.
    #[must_use]
    pub const fn without(mut self, work: Work, accounts: usize) -> Self {
        self.waiting[work as usize] = self.waiting[work as usize].saturating_sub(accounts);
        self
    }

    /// All of it takes about so long. `None`: nothing is known of that.
    #[must_use]
    pub const fn taking(mut self, left: Option<Duration>) -> Self {
        self.left = left;
        self
    }

    /// How many accounts wait for this.
    #[must_use]
    pub const fn of(&self, work: Work) -> usize {
        self.waiting[work as usize]
    }

    /// What accounts wait for, and how many do.
    pub fn kinds(&self) -> impl Iterator<Item = (Work, usize)> + use<> {
        Work::ALL.into_iter().zip(self.waiting)
    }

    /// How many accounts wait.
    #[must_use]
    pub fn total(&self) -> usize {
        self.waiting.iter().sum()
    }

    /// About how long all of it takes, at the pace of the calls that were made so far. `None` while nobody waits, and while the
    /// gateway cannot be called.
    #[must_use]
    pub fn left(&self) -> Option<Duration> {
        self.left.filter(|_| self.total() > 0)
    }
}
