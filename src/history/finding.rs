//! What does not fit, in words, and told apart from everything else that does not.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::chain::hex;

/// Findings that are listed one by one; what comes on top is counted.
const LISTED: usize = 20;

/// Something in the audit that does not fit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// The audit row, where it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub row: Option<i64>,
    /// What is wrong, for people.
    pub what: String,
    /// Tells it apart: of what stands there, not of the words alone.
    pub mark: String,
}

impl Finding {
    /// A finding; `of` is what stands there.
    pub(super) fn new(row: Option<i64>, what: impl Into<String>, of: &[&[u8]]) -> Self {
        let what = what.into();
        let mut digest = Sha256::new();
        digest.update(row.unwrap_or(0).to_be_bytes());
        for part in [what.as_bytes()].iter().chain(of) {
            digest.update((part.len() as u64).to_be_bytes());
            digest.update(part);
        }
        let mark = hex(digest.finalize().get(..12).unwrap_or_default());
        Self { row, what, mark }
    }
}

/// Findings in the order in which they were met.
#[derive(Default)]
pub(super) struct Findings {
    listed: Vec<Finding>,
    more: u64,
    first: Option<i64>,
    rest: Sha256,
}

impl Findings {
    pub(super) fn add(&mut self, finding: Finding) {
        if self.listed.len() < LISTED {
            self.listed.push(finding);
            return;
        }
        self.more += 1;
        self.first = self.first.or(finding.row);
        self.rest.update(finding.mark.as_bytes());
    }

    /// Whether there is none.
    pub(super) const fn is_empty(&self) -> bool {
        self.listed.is_empty()
    }

    /// All of them; those that are not listed are one.
    pub(super) fn finish(self) -> Vec<Finding> {
        let mut all = self.listed;
        if self.more > 0 {
            let from = self.first.map_or_else(String::new, |row| format!(" from row {row} on"));
            let what = format!("{} more{from}", self.more);
            all.push(Finding::new(self.first, what, &[&self.rest.finalize()]));
        }
        all
    }
}
