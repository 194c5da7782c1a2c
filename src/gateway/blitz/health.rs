//! How a panel and its server answer.

use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};

use super::{Shared, client::CALL_TIMEOUT, lock};
use crate::{
    gateway::{NodeHealth, PATIENCE},
    model::gateway::Reachable,
};

impl Shared {
    pub(super) fn health(&self) -> NodeHealth {
        let now = self.context.now();
        let lane = self.lane();
        let patience = self.context.poll_interval * PATIENCE + CALL_TIMEOUT;
        let listed = lane.last_look();
        let asks_server = lock(&self.stats).is_some();
        let server = lock(&self.server);
        // The panel's word alone proves nothing where its server is asked.
        let look = listed.and_then(|(at, _)| {
            if asks_server {
                server.looked.map(|it| it.min(at))
            } else {
                Some(at)
            }
        });
        let age = |at: Instant| now.at.saturating_duration_since(at);
        NodeHealth {
            node: self.name.clone(),
            polled_at: look.and_then(|at| before(now.utc, age(at))),
            error: lane.error().or_else(|| server.error.clone()),
            sessions: listed.map_or(0, |(_, devices)| devices),
            proves: true,
            reachable: match look {
                Some(at) if age(at) <= patience && !lane.is_refused() => Reachable::True,
                None if lane.error().is_none() && server.error.is_none() => Reachable::Unknown,
                _ => Reachable::False,
            },
            faulty: false,
            undeclared: false,
        }
    }
}

fn before(now: Timestamp, age: Duration) -> Option<Timestamp> {
    now.checked_sub(SignedDuration::try_from(age).ok()?).ok()
}
