//! What the lane tells the auth guard: which accounts are not the operator's, and whether the panel's server asks at all.

use std::{collections::HashMap, sync::atomic::Ordering, time::Instant};

use super::{Shared, client::Entry, lock};

impl Shared {
    fn is_guarded(&self) -> bool {
        self.guarded.load(Ordering::Relaxed)
    }

    /// A target was taken, or an account forgotten.
    pub(super) fn tell_stranger(&self, account: &str) {
        if self.is_guarded() {
            // The lane is locked until it is told: two that tell of the same account do so in the order in which it was so.
            let lane = self.lane();
            let is_one = lane.is_stranger(account);
            self.context.ledger.stranger(&self.name, account, is_one);
        }
    }

    /// A list was taken in.
    pub(super) fn tell_strangers(&self) {
        if self.is_guarded() {
            let lane = self.lane();
            self.context.ledger.strangers(&self.name, &lane.strangers());
        }
    }

    /// Looks in a list whether devices came in that nobody asked about.
    pub(super) fn look_for_bypass(&self, begun: Instant, entries: &HashMap<String, Entry>) {
        if !self.is_guarded() {
            return;
        }
        let ours = self.lane().ours(entries);
        let mut bypass = lock(&self.bypass);
        let before = bypass.is_so(begun);
        bypass.listed(begun, entries, &ours, |account| self.context.ledger.last_yes(account));
        let is_so = bypass.is_so(begun);
        drop(bypass);
        if is_so && !before {
            tracing::warn!(
                panel = %self.name,
                "devices came online at a panel about which this process was not asked: does auth.http.url of its server lead to the \
                 operator, and not to the panel's own service or to a replica?"
            );
        }
        self.context.ledger.bypassed(&self.name, is_so);
    }
}
