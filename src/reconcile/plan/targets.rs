//! What each gateway is told to do.

use jiff::Timestamp;

use super::Facts;
use crate::{
    gateway::{Observation, Revoke, Target},
    model::{
        access::Access,
        user::{AccountPresence, VpnUserStatus},
    },
    roster::Person,
};

/// What gateways are told.
pub(super) struct Targets {
    /// Targets to hand over.
    pub given: Vec<(String, Target)>,
    /// Some are not given because the object is paused.
    pub withheld: bool,
}

/// The targets of all gateways that run. A paused object gives nobody access anew; denials take effect.
pub(super) fn targets(
    facts: &Facts<'_>,
    before: &VpnUserStatus,
    is_leaving: impl Fn(&str) -> bool,
    paused: bool,
    now: Timestamp,
) -> Targets {
    let mut targets = Targets {
        given: Vec::new(),
        withheld: false,
    };
    for (name, observation) in facts.gateways {
        let Some(observation) = observation else { continue };
        let known = reported(before, name) != AccountPresence::Unknown;
        match target_for(observation, known, before, facts.person, is_leaving(name), now) {
            Some(Target::Granted { revoke: None, .. }) if paused => targets.withheld = true,
            Some(target) => targets.given.push((name.clone(), target)),
            None => {}
        }
    }
    targets
}

/// What the last report says of the account on a gateway.
pub(super) fn reported(before: &VpnUserStatus, gateway: &str) -> AccountPresence {
    let state = before.gateways.iter().find(|state| state.name == gateway);
    state.map_or(AccountPresence::Unknown, |state| state.account)
}

/// The target to hand over, unless the gateway has it already or the last report, which `reported` says speaks of this
/// gateway, says that it was reached.
fn target_for(
    observation: &Observation,
    reported: bool,
    before: &VpnUserStatus,
    person: &Person,
    leaving: bool,
    now: Timestamp,
) -> Option<Target> {
    let epoch = person.epoch;
    let recorded = before.revocation.as_ref();
    let open = recorded.filter(|r| r.sessions_zero_at.is_none());
    let revoke = |denied_at| Revoke {
        below: epoch,
        denied_at,
        known: Vec::new(),
        // Who was left out stays so over a restart.
        left_out: recorded
            .filter(|r| r.denied_at == denied_at)
            .map(|r| r.left_out.clone())
            .unwrap_or_default(),
    };
    if person.effective.access == Access::Granted && !leaving {
        // A revocation that a former process did not see the end of is proved by this one.
        let unproved = open.filter(|_| observation.revocation.is_none());
        let missing = observation.account != AccountPresence::Present || unproved.is_some();
        return missing.then(|| Target::Granted {
            epoch,
            revoke: unproved.map(|r| revoke(r.denied_at)),
        });
    }
    let opened = observation.revocation.as_ref().is_some_and(|r| r.below >= epoch);
    if opened && (!leaving || observation.asked_to_leave) {
        return None;
    }
    let same = before.epoch.unwrap_or_default() >= i64::try_from(epoch.0).unwrap_or(i64::MAX)
        && before.access == Some(Access::Denied);
    let settled = same && reported && recorded.is_some_and(|r| r.sessions_zero_at.is_some());
    if settled && !leaving {
        return None;
    }
    if leaving && observation.account == AccountPresence::Absent {
        return None;
    }
    let revoke = revoke(recorded.filter(|_| same || open.is_some()).map_or(now, |r| r.denied_at));
    Some(if leaving {
        Target::Absent(revoke)
    } else {
        Target::Denied(revoke)
    })
}
