//! What each gateway is told to do, and the one place where that is said.

use jiff::Timestamp;
use secrecy::SecretString;

use super::Facts;
use crate::{
    gateway::{Account, Leaving, Observation, Revoke, Target, TargetAccess},
    model::{
        access::{Access, Period},
        user::{AccountPresence, Adopt, DeletionPolicy, VpnUser, VpnUserStatus},
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
    user: &VpnUser,
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
        let known = Known {
            observation,
            before,
            person: facts.person,
            leaving: is_leaving(name),
            reported: reported(before, name) != AccountPresence::Unknown,
        };
        match to_hand_over(&known, account(user, name, facts.password.clone()), now) {
            Some(target) if paused && target.grants_only() => targets.withheld = true,
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

/// The account of a user on a gateway, as gateways that keep accounts themselves have to know it.
fn account(user: &VpnUser, gateway: &str, password: Option<SecretString>) -> Account {
    let spec = &user.spec;
    let lifetime = spec
        .traffic
        .as_ref()
        .filter(|traffic| traffic.period == Period::Lifetime);
    Account {
        password,
        valid_until: spec.valid_until,
        limit: lifetime.map(|traffic| traffic.limit.get()),
        adopt: spec.adopt == Adopt::IfExists,
        reported: user
            .status
            .as_ref()
            .is_some_and(|status| reported(status, gateway) == AccountPresence::Present),
        leaving: match spec.deletion_policy {
            DeletionPolicy::Delete => Leaving::Delete,
            DeletionPolicy::Block => Leaving::Block,
            DeletionPolicy::Retain => Leaving::Retain,
        },
    }
}

/// What is known when a target is looked for.
struct Known<'a> {
    observation: &'a Observation,
    before: &'a VpnUserStatus,
    person: &'a Person,
    /// The user leaves this gateway.
    leaving: bool,
    /// The last report speaks of this gateway.
    reported: bool,
}

/// The target to hand over, unless the gateway has it already.
fn to_hand_over(known: &Known<'_>, account: Account, now: Timestamp) -> Option<Target> {
    let Known {
        observation,
        before,
        person,
        leaving,
        reported,
    } = *known;
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
    let access = match person.effective.access {
        _ if leaving => TargetAccess::Absent,
        Access::Granted => TargetAccess::Granted,
        Access::Denied => TargetAccess::Denied,
    };
    let has = observation
        .handed_over
        .is_none_or(|digest| digest == account.digest(access));
    let target = |revoke| Target {
        access,
        epoch,
        account: account.into(),
        revoke,
    };
    if access == TargetAccess::Granted {
        // A revocation that a former process did not see the end of is proved by this one.
        let unproved = open.filter(|_| observation.revocation.is_none());
        let missing = observation.account != AccountPresence::Present || unproved.is_some() || !has;
        let unproved = unproved.map(|r| revoke(r.denied_at));
        return missing.then(|| target(unproved));
    }
    let opened = observation.revocation.as_ref().is_some_and(|r| r.below >= epoch);
    if opened && has && (!leaving || observation.asked_to_leave) {
        return None;
    }
    let same = before.epoch.unwrap_or_default() >= i64::try_from(epoch.0).unwrap_or(i64::MAX)
        && before.access == Some(Access::Denied);
    let settled = same && reported && recorded.is_some_and(|r| r.sessions_zero_at.is_some());
    if settled && !leaving {
        // Nothing is left to prove. A gateway that keeps accounts itself has to know of it all the same.
        return (!has).then(|| target(None));
    }
    if leaving && observation.account == AccountPresence::Absent {
        return None;
    }
    let revoke = revoke(recorded.filter(|_| same || open.is_some()).map_or(now, |r| r.denied_at));
    Some(target(Some(revoke)))
}

/// The target that a gateway is given in the moment in which sessions are to end, before anything is planned. `None`: the user is
/// not on that gateway, and was not.
pub fn at_once(
    gateway: &str,
    user: Option<&VpnUser>,
    named: Option<&[String]>,
    granted: bool,
    revoke: Revoke,
) -> Option<Target> {
    let stays = named.is_some_and(|named| named.iter().any(|name| name == gateway));
    let status = user.and_then(|user| user.status.as_ref());
    let had = status.is_some_and(|status| status.gateways.iter().any(|state| state.name == gateway));
    let access = match named {
        Some(_) if !stays && !had => return None,
        Some(_) if !stays => TargetAccess::Absent,
        Some(_) if granted => TargetAccess::Granted,
        Some(_) | None => TargetAccess::Denied,
    };
    let account = user.map(|user| account(user, gateway, None)).unwrap_or_default();
    Some(Target {
        access,
        epoch: revoke.below,
        account: account.into(),
        revoke: Some(revoke),
    })
}
