//! What every running gateway works with.

use std::{sync::Arc, time::Duration};

use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{Completions, Moment, NodeName, SessionLedger, UsageSink};
use crate::{clock::SharedClock, fence::Fence};

/// One call to a node or panel, for metrics.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    /// The node.
    pub node: &'a NodeName,
    /// A constant word for what was asked for, like `online` or `block`.
    pub operation: &'static str,
    /// `ok`, or the category of the error.
    pub outcome: &'static str,
    /// How long it took.
    pub took: Duration,
}

/// Told of every call to a node or panel.
pub type Meter = Arc<dyn Fn(&Call<'_>) + Send + Sync>;

/// What a gateway works with.
#[derive(Clone)]
pub struct Context {
    /// The sessions that auth hands out.
    pub ledger: Arc<dyn SessionLedger>,
    /// Where usage goes.
    pub usage: Arc<dyn UsageSink>,
    /// Told the accounts about which something became known.
    pub completions: Completions,
    /// The clock.
    pub clock: SharedClock,
    /// No call to a node begins while it is closed.
    pub fence: Fence,
    /// Told of every call to a node.
    pub meter: Meter,
    /// How often a quiet node is polled.
    pub poll_interval: Duration,
    /// Ends the tasks. Calls under way are abandoned: nothing is half-applied by that.
    pub cancel: CancellationToken,
    /// The tasks are joined here.
    pub tasks: TaskTracker,
}

impl Context {
    /// Now, on both clocks.
    #[must_use]
    pub fn now(&self) -> Moment {
        Moment {
            at: self.clock.monotonic(),
            utc: self.clock.now(),
        }
    }

    /// Says that something became known about these accounts.
    pub fn complete(&self, accounts: std::collections::HashSet<String>) {
        if !accounts.is_empty() && self.completions.send(accounts).is_err() {
            tracing::debug!("nobody listens to completions any more");
        }
    }
}
