//! How the folder could be read so far.

use std::{collections::BTreeSet, time::Duration};

use jiff::Timestamp;

/// How the folder could be read so far.
pub(super) struct ReadingState {
    pub max_age: Duration,
    /// When the last whole reading was last noted in the record.
    pub noted: Option<Timestamp>,
    /// Sub-folders with problems in the source status.
    pub unreadable: BTreeSet<String>,
}

impl ReadingState {
    pub fn new(max_age: Duration) -> Self {
        Self {
            max_age,
            noted: None,
            unreadable: BTreeSet::new(),
        }
    }
}
