//! Which objects nobody has reported about for too long, as readiness says it.

use std::sync::{Mutex, PoisonError};

/// Most objects that are named.
const NAMED: usize = 5;

/// Objects that nobody has reported about for too long, for readiness.
#[derive(Debug, Default)]
pub struct Unobserved(Mutex<Vec<String>>);

impl Unobserved {
    /// One line each; the last one counts those that are not named.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set(&self, mut overdue: Vec<String>) {
        let left = overdue.len().saturating_sub(NAMED);
        overdue.truncate(NAMED);
        if left > 0 {
            overdue.push(format!("and {left} more"));
        }
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = overdue;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn not_everything_is_named() {
        let unobserved = Unobserved::default();
        unobserved.set((0..8).map(|number| format!("VpnUser {number}")).collect());
        let lines = unobserved.lines();
        assert_eq!((lines.len(), lines[5].as_str()), (6, "and 3 more"));
        unobserved.set(Vec::new());
        assert!(unobserved.lines().is_empty());
    }
}
