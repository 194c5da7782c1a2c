//! What the store met, for whoever asks.

use jiff::Timestamp;

/// That the file cannot be written at present.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failing {
    /// Since when.
    pub since: Timestamp,
    /// Why, and what to do.
    pub why: String,
}

/// What is wrong with the guard's store.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StoreHealth {
    /// While nothing can be kept.
    pub failing: Option<Failing>,
    /// What could not be read, where it was moved to, until the process ends.
    pub found: Vec<String>,
}

impl StoreHealth {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.failing.is_none() && self.found.is_empty()
    }

    /// What is wrong, one line each.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let failing = self.failing.iter().map(|Failing { since, why }| {
            format!("what the guard decides is not kept since {since}, and would be judged anew after a crash: {why}")
        });
        failing.chain(self.found.iter().cloned()).collect()
    }
}
