//! One revocation out of those of all gateways, and whose word it waits for.

use jiff::Timestamp;

use crate::{
    gateway::{Observation, RevocationProgress, WhyUnprovable},
    model::user::{Revocation, VpnUserStatus},
    roster::Person,
};

/// One revocation out of those of all gateways: done when the last is. Falls back on the last report, which outlives a restart.
pub(super) fn merged_revocation(
    gateways: &[(String, Option<Observation>)],
    before: &VpnUserStatus,
    person: &Person,
) -> Option<Revocation> {
    let running: Vec<&RevocationProgress> = gateways
        .iter()
        .filter_map(|(_, observation)| observation.as_ref()?.revocation.as_ref())
        .collect();
    let newest = running.iter().map(|r| r.below).max();
    let current: Vec<&&RevocationProgress> = running.iter().filter(|r| Some(r.below) == newest).collect();
    let Some(denied_at) = current.iter().map(|r| r.denied_at).min() else {
        return before.revocation.clone();
    };
    let kept = before.epoch.unwrap_or_default();
    let is_newer = newest.is_some_and(|below| i64::try_from(below.0).unwrap_or(i64::MAX) >= kept);
    let is_older = newest.is_some_and(|below| below < person.epoch && before.revocation.is_some());
    // The epoch may have gone on since: what is proved of the cut that was reported is told all the same.
    let is_reported = before.revocation.as_ref().is_some_and(|r| r.denied_at == denied_at);
    if (!is_newer || is_older) && !is_reported {
        return before.revocation.clone();
    }
    let latest = |times: Vec<Option<Timestamp>>| times.into_iter().collect::<Option<Vec<_>>>()?.into_iter().max();
    let mut waiting_for: Vec<String> = current.iter().flat_map(|r| r.waiting_for.iter().cloned()).collect();
    waiting_for.sort_unstable();
    waiting_for.dedup();
    let mut left_out: Vec<String> = current.iter().flat_map(|r| r.left_out.iter().cloned()).collect();
    left_out.sort_unstable();
    left_out.dedup();
    let kept = before.revocation.as_ref().filter(|r| r.denied_at == denied_at);
    let withdrawn = current.iter().map(|r| r.withdrawn_at);
    let withdrawn_at = withdrawn.chain([kept.and_then(|r| r.withdrawn_at)]).flatten().max();
    Some(Revocation {
        denied_at,
        contained_at: latest(current.iter().map(|r| r.contained_at).collect()),
        sessions_zero_at: latest(current.iter().map(|r| r.sessions_zero_at).collect()),
        waiting_for,
        left_out,
        withdrawn_at,
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
