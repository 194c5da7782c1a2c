//! One revocation out of those of all gateways, and whose word it waits for.

use crate::{
    gateway::{Observation, WhyUnprovable, merged},
    model::user::{Revocation, VpnUserStatus},
    roster::Person,
};

/// One revocation out of those of all gateways: done when the last is. Falls back on the last report, which outlives a restart.
pub(super) fn merged_revocation(
    gateways: &[(String, Option<Observation>)],
    before: &VpnUserStatus,
    person: &Person,
) -> Option<Revocation> {
    let observed = gateways.iter().filter_map(|(_, observation)| observation.as_ref());
    let Some(current) = merged(observed.filter_map(|it| it.revocation.clone())) else {
        return before.revocation.clone();
    };
    let kept = before.epoch.unwrap_or_default();
    let is_newer = i64::try_from(current.below.0).unwrap_or(i64::MAX) >= kept;
    let is_older = current.below < person.epoch && before.revocation.is_some();
    // The epoch may have gone on since: what is proved of the cut that was reported is told all the same.
    let reported = before.revocation.as_ref().filter(|r| r.denied_at == current.denied_at);
    if (!is_newer || is_older) && reported.is_none() {
        return before.revocation.clone();
    }
    Some(Revocation {
        denied_at: current.denied_at,
        contained_at: current.contained_at,
        sessions_zero_at: current.sessions_zero_at,
        waiting_for: current.waiting_for,
        left_out: current.left_out,
        withdrawn_at: current.withdrawn_at.max(reported.and_then(|r| r.withdrawn_at)),
    })
}

/// The nodes whose word a revocation that is not contained waits for.
#[derive(Debug, Default)]
pub(super) struct Awaited {
    /// Some revocation is not contained.
    open: bool,
    /// No node was asked yet.
    unasked: bool,
    /// Nodes that can give their word.
    provable: Vec<String>,
    /// Nodes without a statistics API.
    pub without_statistics: Vec<String>,
    /// Nodes that cannot be run as they are declared, each with the reason.
    pub not_running: Vec<String>,
}

impl Awaited {
    pub fn of(gateways: &[(String, Option<Observation>)], revocation: Option<&Revocation>) -> Self {
        let Some(revocation) = revocation.filter(|revocation| !revocation.is_settled()) else {
            return Self::default();
        };
        let mut awaited = Self {
            open: true,
            unasked: revocation.waiting_for.is_empty(),
            ..Self::default()
        };
        for node in &revocation.waiting_for {
            let observations = gateways.iter().filter_map(|(_, observation)| observation.as_ref());
            let unprovable = observations.flat_map(|it| &it.unprovable).find(|it| it.node == *node);
            match unprovable.map(|it| &it.why) {
                None => awaited.provable.push(node.clone()),
                Some(WhyUnprovable::NoStatistics) => awaited.without_statistics.push(node.clone()),
                Some(WhyUnprovable::NotRunning(why)) => awaited.not_running.push(format!("{node}: {why}")),
                // Where no server is declared there is none whose word could be missing.
                Some(WhyUnprovable::Undeclared) => {}
            }
        }
        awaited
    }

    /// Something may still be proved without anybody's doing.
    pub fn goes_on(&self) -> bool {
        self.open && (self.unasked || !self.provable.is_empty())
    }

    /// Nobody will ever prove more than is proved.
    pub fn is_all_that_can_be_proved(&self) -> bool {
        !self.goes_on() && self.not_running.is_empty()
    }

    /// Nothing is missing that the user has to be told of. Who has access is not held to account for former sessions on nodes
    /// that can prove nothing.
    pub fn is_settled(&self, granted: bool) -> bool {
        let nothing_to_say = self.without_statistics.is_empty() && self.not_running.is_empty();
        !self.goes_on() && (granted || nothing_to_say)
    }

    /// The nodes that may still give their word.
    pub fn provable(&self) -> Option<String> {
        (!self.provable.is_empty()).then(|| self.provable.join(", "))
    }
}
