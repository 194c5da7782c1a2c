//! Usage by difference, by what the panel has counted for each account. Pure.
//!
//! The panel adds up what its server moved, and begins at nothing again when somebody resets an account or puts an older backup
//! back: a counter that is lower than before counts as a whole then.

use std::collections::HashMap;

use super::client::Entry;
use crate::gateway::{Counters, UsageDelta};

/// The counters of a panel's accounts when they were last accounted for.
#[derive(Debug)]
pub(super) struct PanelMeter {
    kept: HashMap<String, (u64, u64)>,
}

impl PanelMeter {
    pub(super) fn new(baseline: Counters) -> Self {
        Self { kept: baseline.ids }
    }

    /// Takes what a list shows of one account. `None` when nothing moved.
    pub(super) fn read(&mut self, account: &str, entry: &Entry) -> Option<UsageDelta> {
        let kept = self.kept.get(account).copied().unwrap_or_default();
        if entry.moved == kept {
            return None;
        }
        let since = |now: u64, kept: u64| now.checked_sub(kept).unwrap_or(now);
        let delta = UsageDelta {
            account: account.to_owned(),
            upload: since(entry.moved.0, kept.0),
            download: since(entry.moved.1, kept.1),
        };
        self.kept.insert(account.to_owned(), entry.moved);
        Some(delta)
    }
}
