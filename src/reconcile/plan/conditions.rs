//! What the conditions of a user say.

use jiff::Timestamp;

use super::{Facts, LET_GO, PAUSE, SecretOutcome, reasons, revocation::Awaited, words};
use crate::gateway::Obstacle;
use crate::model::{
    access::{Access, Reason},
    condition::{Condition, Conditions, texts, types},
    user::{AccountPresence, VpnUserStatus},
};

/// How far the gateways are, for [`conditions`].
pub(super) struct Progress<'a> {
    /// The object is being deleted, which Kubernetes cannot take back.
    pub tombstone: bool,
    /// Everything was handed over, and what had to be contained is.
    pub settled: bool,
    /// Whose word is missing.
    pub awaited: Awaited,
    /// Gateways that the spec names and that do not run, or do not exist.
    pub missing: &'a [&'a str],
    /// Why nobody can be let in on some gateway, by node.
    pub unusable: Vec<&'a str>,
    /// There is a gateway on which the user can be let in.
    pub usable: bool,
    /// A gateway on which the account cannot be brought in line, and why.
    pub obstacle: Option<(&'a str, &'a Obstacle)>,
    pub pause: Pause,
}

impl Progress<'_> {
    /// Why the gateways that are missing do not run, of those that exist.
    fn refused(&self, facts: &Facts<'_>) -> Option<String> {
        let refused = facts
            .refused
            .iter()
            .filter(|(name, _)| self.missing.contains(&name.as_str()));
        let lines: Vec<String> = refused.map(|(name, why)| format!("{name}: {why}")).collect();
        (!lines.is_empty()).then(|| lines.join("; "))
    }
}

/// Whether an annotation pauses the object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pause {
    No,
    /// It does, and there is nothing to do anyway.
    Idle,
    /// It does, and something is not done because of that.
    Withholding,
}

/// Writes the conditions that a status has.
pub(super) fn conditions(status: &mut VpnUserStatus, facts: &Facts<'_>, progress: &Progress<'_>, now: Timestamp) {
    let person = facts.person;
    let generation = status.observed_generation;
    let stalled = stalled(facts, progress);
    let working = working(status, facts, progress);
    let granted = granted(facts, progress);
    let mut list = Conditions::new(&mut status.conditions, generation, now);
    match granted {
        Ok(message) => list.set(types::GRANTED, true, person.effective.reason.as_str(), message),
        Err((reason, message)) => list.set(types::GRANTED, false, reason, message),
    };

    let (ready, reason, message) = match (&stalled, &working) {
        (Some((reason, message)), _) | (None, Some((reason, message))) => (false, *reason, message.clone()),
        (None, None) => (true, reasons::RECONCILED, texts::AGREED.to_owned()),
    };
    list.set(types::READY, ready, reason, message);
    let working = working.filter(|_| stalled.is_none());
    let paused = (progress.pause != Pause::No).then(|| {
        (
            reasons::PAUSED,
            format!(
                "the annotation {PAUSE} keeps the operator from writing accounts and the Secret; denials take effect"
            ),
        )
    });
    let states = [
        (types::STALLED, stalled),
        (types::RECONCILING, working),
        (types::PAUSED, paused),
    ];
    for (kind, state) in &states {
        if let Some((reason, message)) = state {
            list.set(kind, true, reason, message.clone());
        }
    }
    // These are there only while they are true, as kstatus has it.
    status.conditions.retain(|condition: &Condition| {
        states
            .iter()
            .all(|(kind, state)| condition.type_ != *kind || state.is_some())
    });
}

/// A reason and a message of a condition.
type ReasonMessage = (&'static str, String);

/// Whether a login would succeed, and what is said of it.
fn granted(facts: &Facts<'_>, progress: &Progress<'_>) -> Result<String, ReasonMessage> {
    let person = facts.person;
    if person.effective.access == Access::Denied {
        return Err((person.effective.reason.as_str(), words::granted(person)));
    }
    if !person.has_password {
        return Err(match facts.unreadable {
            Some(why) => (reasons::CREDENTIALS_NOT_FOUND, words::unreadable(why)),
            None => (reasons::CREDENTIALS_PENDING, words::PENDING.to_owned()),
        });
    }
    // Where one gateway lets the person in, a login succeeds.
    if progress.usable {
        return Ok(words::granted(person));
    }
    Err(gateway_trouble(facts, progress).unwrap_or_else(|| (reasons::CONVERGING, words::AWAITED.to_owned())))
}

/// Why a gateway that the user has is of no use.
fn gateway_trouble(facts: &Facts<'_>, progress: &Progress<'_>) -> Option<ReasonMessage> {
    if let Some(why) = progress.refused(facts) {
        Some((
            reasons::GATEWAY_NOT_RUNNING,
            format!("a VpnGateway cannot run as it is declared: {why}"),
        ))
    } else if !progress.missing.is_empty() {
        Some((
            reasons::GATEWAY_NOT_FOUND,
            format!(
                "no VpnGateway named {}: create it, or correct spec.gateways",
                progress.missing.join(", ")
            ),
        ))
    } else if !progress.unusable.is_empty() {
        Some((
            reasons::NODE_NOT_RUNNING,
            format!(
                "no node of a gateway can be run as it is declared: {}",
                progress.unusable.join("; ")
            ),
        ))
    } else {
        Some(match progress.obstacle? {
            (gateway, Obstacle::Foreign) => (
                reasons::ACCOUNT_CONFLICT,
                format!(
                    "gateway {gateway} has an account {} that the operator did not make: rename or delete it there, or take it over \
                     with spec.adopt: IfExists",
                    facts.person.account
                ),
            ),
            (gateway, Obstacle::Rejected(why)) => (reasons::ACCOUNT_REJECTED, format!("gateway {gateway}: {why}")),
        })
    }
}

/// Why nothing goes on until a person acts.
fn stalled(facts: &Facts<'_>, progress: &Progress<'_>) -> Option<ReasonMessage> {
    let person = facts.person;
    if person.held_back_since.is_some() || (progress.tombstone && person.keeps_declared()) {
        let id = &person.corporate_id;
        let why = match (person.declared.reason, person.held_back_holds.as_slice()) {
            (Reason::Held, holds @ [_, ..]) => format!("access would be denied by {}", holds.join(", ")),
            (Reason::Active, _) => "a gateway would be taken away".to_owned(),
            (reason, _) => format!("access would be denied ({})", reason.as_str()),
        };
        let for_good = if progress.tombstone {
            format!(
                ". A deletion cannot be taken back: when this was cancelled the object stays, and access with it, until `guard confirm {id}` or the annotation {LET_GO}"
            )
        } else {
            String::new()
        };
        Some((
            reasons::GUARD_HELD_BACK,
            format!(
                "{why} together with many others: see `vpn-operator guard show`, then `vpn-operator guard confirm {id}` or `vpn-operator guard cancel {id}`{for_good}"
            ),
        ))
    } else if person.effective.reason == Reason::Conflict {
        Some((
            reasons::ACCOUNT_CONFLICT,
            format!(
                "the account {} belongs to another VpnUser: delete one of the two",
                person.account
            ),
        ))
    } else if let Some(trouble) = gateway_trouble(facts, progress) {
        Some(trouble)
    } else if let Some(why) = facts.unreadable {
        Some((reasons::CREDENTIALS_NOT_FOUND, words::unreadable(why)))
    } else if let SecretOutcome::Conflict(why) = facts.secret {
        Some((reasons::SECRET_CONFLICT, why.clone()))
    } else if person.effective.access == Access::Granted || progress.awaited.goes_on() {
        None
    } else if !progress.awaited.not_running.is_empty() {
        Some((
            reasons::NODE_NOT_RUNNING,
            format!(
                "logins are refused, but sessions on a node that cannot be run as it is declared can be neither ended nor proved gone: {}",
                progress.awaited.not_running.join("; ")
            ),
        ))
    } else if !progress.awaited.without_statistics.is_empty() {
        let nodes = progress.awaited.without_statistics.join(", ");
        Some((
            reasons::NO_STATISTICS,
            format!(
                "logins are refused, but {nodes} has no statsUrl: sessions on it cannot be ended or proved gone. Declare statsUrl"
            ),
        ))
    } else {
        None
    }
}

/// What is under way.
fn working(status: &VpnUserStatus, facts: &Facts<'_>, progress: &Progress<'_>) -> Option<ReasonMessage> {
    let granted = facts.person.effective.access == Access::Granted;
    let unknown = status
        .gateways
        .iter()
        .any(|state| state.account == AccountPresence::Unknown && !progress.missing.contains(&state.name.as_str()));
    if progress.pause == Pause::Withholding && (progress.settled || granted) {
        Some((
            reasons::PAUSED,
            format!("something is to be written, and the annotation {PAUSE} keeps the operator from it: remove it"),
        ))
    } else if progress.settled && !unknown {
        match facts.secret {
            _ if granted && !facts.person.has_password => {
                Some((reasons::CREDENTIALS_PENDING, words::PENDING.to_owned()))
            }
            SecretOutcome::Failing(why) => Some((
                reasons::SECRET_PENDING,
                format!("the user's Secret could not be written yet, and is tried again: {why}"),
            )),
            _ => None,
        }
    } else if granted {
        Some(match progress.awaited.provable() {
            Some(nodes) => (
                reasons::CONVERGING,
                format!("sessions from before are being ended; still missing the word of {nodes}"),
            ),
            None => (reasons::CONVERGING, words::AWAITED.to_owned()),
        })
    } else {
        let of = progress
            .awaited
            .provable()
            .map_or_else(String::new, |nodes| format!("; still missing the word of {nodes}"));
        Some((
            reasons::REVOKING,
            format!("logins are refused, sessions are being ended{of}"),
        ))
    }
}
