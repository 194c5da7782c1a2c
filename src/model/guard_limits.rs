//! How much each budget of the guard lets through.

use jiff::SignedDuration;

use super::guard::Budget;

/// The limits of every budget, and the time over which is counted.
#[derive(Debug, Clone, PartialEq)]
pub struct GuardLimits {
    /// The time over which is counted.
    pub window: SignedDuration,
}

impl Default for GuardLimits {
    fn default() -> Self {
        Self {
            window: SignedDuration::from_mins(10),
        }
    }
}

impl GuardLimits {
    /// The most people that may count at a time, out of `population`; `None` when the budget is switched off.
    #[must_use]
    pub fn allowed(&self, _: Budget, population: usize) -> Option<usize> {
        Some((population / 20).max(10))
    }
}
