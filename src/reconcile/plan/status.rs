//! What is reported about a user.

use jiff::Timestamp;
use kube::Resource as _;

use super::{
    Facts, RECONCILE_NOW, SecretOutcome, annotation,
    conditions::{Pause, Progress, conditions},
    revocation::Awaited,
    targets::reported,
};
use crate::{
    gateway::{Observation, Obstacle},
    model::{
        access::Access,
        quantity::Bytes,
        user::{AccountPresence, GatewayState, Revocation, TrafficState, VpnUser, VpnUserStatus},
    },
};

/// Most characters of the value of [`RECONCILE_NOW`] that the status repeats.
const MAX_REQUEST_LEN: usize = 256;

/// What was found out about a user besides the [`Facts`].
pub(super) struct Outcome {
    /// Gateways that the user has.
    pub wanted: Vec<String>,
    /// The last revocation.
    pub revocation: Option<Revocation>,
    /// Whose word it waits for.
    pub awaited: Awaited,
    /// Every target was reached.
    pub reached: bool,
    /// Whether the object is paused, and what is not done because of that.
    pub pause: Pause,
}

/// The status as it should be.
pub(super) fn status(
    user: &VpnUser,
    before: &VpnUserStatus,
    facts: &Facts<'_>,
    outcome: Outcome,
    now: Timestamp,
) -> VpnUserStatus {
    let Outcome {
        wanted,
        revocation,
        awaited,
        reached,
        pause,
    } = outcome;
    let person = facts.person;
    let epoch = person.epoch;
    let granted = person.effective.access == Access::Granted;
    let missing: Vec<&str> = facts
        .gateways
        .iter()
        .filter(|(name, observation)| observation.is_none() && wanted.contains(name))
        .map(|(name, _)| name.as_str())
        .collect();
    let mut status = VpnUserStatus {
        observed_generation: user.meta().generation.unwrap_or_default(),
        access: Some(person.effective.access),
        reason: Some(person.reason()),
        username: Some(person.account.clone()),
        secret_name: match facts.secret {
            SecretOutcome::NotStored | SecretOutcome::Conflict(_) => None,
            SecretOutcome::Stored(name) => Some(name.clone()),
            _ => before.secret_name.clone(),
        },
        credential_generation: Some(user.spec.credential_generation),
        epoch: i64::try_from(epoch.0).ok().filter(|epoch| *epoch > 0),
        last_handled_reconcile_at: annotation(user, RECONCILE_NOW)
            .map(|value| value.chars().take(MAX_REQUEST_LEN).collect()),
        guard: person.held_back.clone(),
        gateways: facts
            .gateways
            .iter()
            .filter(|(name, observation)| {
                let there = observation.as_ref().map(|it| it.account);
                wanted.contains(name) || there.is_some_and(|it| it != AccountPresence::Absent)
            })
            .map(|(name, observation)| GatewayState {
                name: name.clone(),
                account: presence(before, name, observation.as_ref()),
            })
            .collect(),
        traffic: facts.used.map(|(bytes, period)| TrafficState {
            used: Bytes::coarse(bytes),
            period_start: period.start(now),
        }),
        revocation,
        conditions: before.conditions.clone(),
    };
    let progress = Progress {
        tombstone: user.meta().deletion_timestamp.is_some(),
        settled: awaited.is_settled(granted) && reached,
        awaited,
        missing: &missing,
        unusable: if granted {
            unusable(facts.gateways, &wanted)
        } else {
            Vec::new()
        },
        usable: facts
            .gateways
            .iter()
            .any(|(name, observation)| observation.as_ref().is_some_and(lets_in) && wanted.contains(name)),
        obstacle: if granted {
            obstacle(facts.gateways, &wanted)
        } else {
            None
        },
        pause,
    };
    conditions(&mut status, facts, &progress, now);
    status
}

/// Whether the account is on a gateway. One that is not running, or was not asked to do anything since the start, has
/// nothing to say against what was reported last.
fn presence(before: &VpnUserStatus, gateway: &str, observation: Option<&Observation>) -> AccountPresence {
    match observation.map(|it| it.account) {
        None | Some(AccountPresence::Unknown) => reported(before, gateway),
        Some(seen) => seen,
    }
}

/// Why nobody can be let in on some gateway that the user has.
fn unusable<'a>(gateways: &'a [(String, Option<Observation>)], wanted: &[String]) -> Vec<&'a str> {
    let observations = gateways.iter().filter(|(name, _)| wanted.contains(name));
    let observations = observations.filter_map(|(_, observation)| observation.as_ref());
    observations.flat_map(|it| &it.unusable).map(String::as_str).collect()
}

/// Whether a login can succeed there.
fn lets_in(observation: &Observation) -> bool {
    // A gateway that keeps accounts itself lets nobody in before the account is there.
    let there = observation.handed_over.is_none() || observation.account == AccountPresence::Present;
    there && observation.unusable.is_empty()
}

/// The first gateway that the user has on which the account cannot be brought in line, and why.
fn obstacle<'a>(gateways: &'a [(String, Option<Observation>)], wanted: &[String]) -> Option<(&'a str, &'a Obstacle)> {
    let mut observations = gateways.iter().filter(|(name, _)| wanted.contains(name));
    observations.find_map(|(name, observation)| Some((name.as_str(), observation.as_ref()?.obstacle.as_ref()?)))
}
