//! What must be done and reported about one user: a plain function of what is declared, decided and observed.

use jiff::Timestamp;
use kube::Resource as _;
use secrecy::SecretString;

use super::targets::{self, Known};
use crate::{
    gateway::{Observation, Target, WhyUnprovable, merged},
    model::{
        FINALIZER,
        access::{Access, Period, Reason},
        condition::{Condition, Conditions, texts, types},
        gateway::DEFAULT_GATEWAY,
        quantity::Bytes,
        user::{AccountPresence, GatewayState, Revocation, TrafficState, VpnUser, VpnUserStatus},
    },
    roster::Person,
};

pub use crate::model::{LET_GO, PAUSE, RECONCILE_NOW};

/// Most characters of the value of [`RECONCILE_NOW`] that the status repeats.
const MAX_REQUEST_LEN: usize = 256;

/// Reasons of conditions that are not reasons of a decision.
pub mod reasons {
    /// The gateways agree with the decision.
    pub const RECONCILED: &str = crate::model::condition::texts::RECONCILED;
    /// Sessions are being ended.
    pub const REVOKING: &str = "Revoking";
    /// A gateway has not said yet whether the account is there.
    pub const CONVERGING: &str = "Converging";
    /// `spec.gateways` names a gateway that does not exist.
    pub const GATEWAY_NOT_FOUND: &str = "GatewayNotFound";
    /// The guard holds a denial back until a person confirms it.
    pub const GUARD_HELD_BACK: &str = crate::model::condition::texts::GUARD_HELD_BACK;
    /// The `VpnGateway` cannot run as it is declared.
    pub const GATEWAY_NOT_RUNNING: &str = "GatewayNotRunning";
    /// A node cannot be run as it is declared.
    pub const NODE_NOT_RUNNING: &str = "NodeNotRunning";
    /// A node has no statistics API, so that sessions on it can neither be ended nor proved gone.
    pub const NO_STATISTICS: &str = "NoStatistics";
    /// An annotation pauses the object.
    pub const PAUSED: &str = "Paused";
    /// A Secret that belongs to somebody else has the name of the user's own.
    pub const SECRET_CONFLICT: &str = "SecretConflict";
    /// The user's Secret could not be written yet.
    pub const SECRET_PENDING: &str = "SecretPending";
    /// What `spec.credentialsFrom` names is being read for the first time.
    pub const CREDENTIALS_PENDING: &str = "CredentialsPending";
    /// What `spec.credentialsFrom` names cannot be read.
    pub const CREDENTIALS_NOT_FOUND: &str = "CredentialsNotFound";
    /// Another object had the account first.
    pub const ACCOUNT_CONFLICT: &str = "AccountConflict";
}

/// What is known about one user besides the object itself.
#[derive(Debug)]
pub struct Facts<'a> {
    /// What auth does, and what is declared.
    pub person: &'a Person,
    /// Traffic in the present period; `None` without a limit.
    pub used: Option<(u64, Period)>,
    /// Each gateway that the user has, or had at the last report, with what it shows; `None` where there is no such gateway.
    pub gateways: &'a [(String, Option<Observation>)],
    /// Why gateways that exist do not run as they are declared, by name.
    pub refused: &'a [(String, String)],
    /// What became of what the user is handed out.
    pub secret: &'a SecretOutcome,
    /// The password, where it is known. Gateways that keep accounts themselves need it.
    pub password: Option<SecretString>,
    /// Why the password that `spec.credentialsFrom` names is not known.
    pub unreadable: Option<&'a str>,
}

/// What became of what a user is handed out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretOutcome {
    /// Nothing is kept here for anybody.
    NotStored,
    /// It is as it was at the last report: nothing is known, or there is nothing to hand out yet.
    Unchanged,
    /// It is kept under this name.
    Stored(String),
    /// It would have to be written, and the object is paused.
    Withheld,
    /// Something that belongs to somebody else is in the way.
    Conflict(String),
    /// It could not be written, and is tried again.
    Failing(String),
}

/// What to do with the finalizer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FinalizerStep {
    /// It is as it should be.
    Keep,
    /// The object lacks it.
    Add,
    /// Access is proved gone: let the object go.
    Release,
}

/// What must be done.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// Targets to hand over.
    pub targets: Vec<(String, Target)>,
    /// What to do with the finalizer.
    pub finalizer: FinalizerStep,
    /// The status as it should be. Equal to the present one when there is nothing to report.
    pub status: VpnUserStatus,
}

/// Names of the gateways on which a user has an account.
#[must_use]
pub fn gateway_names(user: &VpnUser) -> Vec<String> {
    match &user.spec.gateways {
        Some(names) if !names.is_empty() => names.clone(),
        _ => vec![DEFAULT_GATEWAY.to_owned()],
    }
}

/// Plans for one user at one moment.
#[must_use]
pub fn plan(user: &VpnUser, facts: &Facts<'_>, now: Timestamp) -> Plan {
    let before = user.status.clone().unwrap_or_default();
    let person = facts.person;
    let wanted = person.kept_gateways.clone().unwrap_or_else(|| gateway_names(user));
    let epoch = person.epoch;
    let denied = person.effective.access == Access::Denied;
    let granted = !denied;
    let deleting = user.meta().deletion_timestamp.is_some() && !person.keeps_declared();

    let revocation = merged_revocation(facts.gateways, &before, person);
    let paused = is_set(user, PAUSE);
    let mut targets = Vec::new();
    let mut withheld = *facts.secret == SecretOutcome::Withheld;
    for (name, observation) in facts.gateways {
        let Some(observation) = observation else { continue };
        let known = Known {
            observation,
            before: &before,
            person,
            leaving: deleting || !wanted.contains(name),
            reported: targets::reported(&before, name) != AccountPresence::Unknown,
        };
        let account = targets::account(user, name, facts.password.clone());
        match targets::to_hand_over(&known, account, now) {
            Some(target) if paused && target.grants_only() => withheld = true,
            Some(target) => targets.push((name.clone(), target)),
            None => {}
        }
    }

    let missing: Vec<&str> = facts
        .gateways
        .iter()
        .filter(|(name, observation)| observation.is_none() && wanted.contains(name))
        .map(|(name, _)| name.as_str())
        .collect();
    let awaited = Awaited::of(facts.gateways, revocation.as_ref());
    let finalizer = finalizer_step(
        user,
        facts,
        deleting,
        denied && awaited.is_all_that_can_be_proved() && targets.is_empty(),
    );

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
                account: presence(&before, name, observation.as_ref()),
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
        settled: awaited.is_settled(granted) && targets.is_empty(),
        awaited,
        missing: &missing,
        unusable: if granted {
            unusable(facts.gateways, &wanted)
        } else {
            Vec::new()
        },
        usable: facts.gateways.iter().any(|(name, observation)| {
            let lets_in = observation.as_ref().is_some_and(|it| it.unusable.is_empty());
            lets_in && wanted.contains(name)
        }),
        pause: match (paused, withheld) {
            (false, _) => Pause::No,
            (true, false) => Pause::Idle,
            (true, true) => Pause::Withholding,
        },
    };
    conditions(&mut status, facts, &progress, now);
    Plan {
        targets,
        finalizer,
        status,
    }
}

/// Whether the account is on a gateway. One that is not running, or was not asked to do anything since the start, has
/// nothing to say against what was reported last.
fn presence(before: &VpnUserStatus, gateway: &str, observation: Option<&Observation>) -> AccountPresence {
    match observation.map(|it| it.account) {
        None | Some(AccountPresence::Unknown) => targets::reported(before, gateway),
        Some(seen) => seen,
    }
}

/// One revocation out of those of all gateways: done when the last is. Falls back on the last report, which outlives a restart.
fn merged_revocation(
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
struct Awaited {
    /// Some revocation is not contained.
    open: bool,
    /// No node was asked yet.
    unasked: bool,
    /// Nodes that can give their word.
    provable: Vec<String>,
    /// Nodes without a statistics API.
    without_statistics: Vec<String>,
    /// Nodes that cannot be run as they are declared, each with the reason.
    not_running: Vec<String>,
}

impl Awaited {
    fn of(gateways: &[(String, Option<Observation>)], revocation: Option<&Revocation>) -> Self {
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
    fn goes_on(&self) -> bool {
        self.open && (self.unasked || !self.provable.is_empty())
    }

    /// Nobody will ever prove more than is proved.
    fn is_all_that_can_be_proved(&self) -> bool {
        !self.goes_on() && self.not_running.is_empty()
    }

    /// Nothing is missing that the user has to be told of. Who has access is not held to account for former sessions on nodes
    /// that can prove nothing.
    fn is_settled(&self, granted: bool) -> bool {
        let nothing_to_say = self.without_statistics.is_empty() && self.not_running.is_empty();
        !self.goes_on() && (granted || nothing_to_say)
    }

    /// The nodes that may still give their word.
    fn provable(&self) -> Option<String> {
        (!self.provable.is_empty()).then(|| self.provable.join(", "))
    }
}

/// Why nobody can be let in on some gateway that the user has.
fn unusable<'a>(gateways: &'a [(String, Option<Observation>)], wanted: &[String]) -> Vec<&'a str> {
    let observations = gateways.iter().filter(|(name, _)| wanted.contains(name));
    let observations = observations.filter_map(|(_, observation)| observation.as_ref());
    observations.flat_map(|it| &it.unusable).map(String::as_str).collect()
}

/// How far the gateways are, for [`conditions`].
struct Progress<'a> {
    /// The object is being deleted, which Kubernetes cannot take back.
    tombstone: bool,
    /// Everything was handed over, and what had to be contained is.
    settled: bool,
    /// Whose word is missing.
    awaited: Awaited,
    /// Gateways that the spec names and that do not run, or do not exist.
    missing: &'a [&'a str],
    /// Why nobody can be let in on some gateway, by node.
    unusable: Vec<&'a str>,
    /// There is a gateway on which the user can be let in.
    usable: bool,
    pause: Pause,
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
enum Pause {
    No,
    /// It does, and there is nothing to do anyway.
    Idle,
    /// It does, and something is not done because of that.
    Withholding,
}

/// Value of an annotation of a user.
fn annotation<'a>(user: &'a VpnUser, name: &str) -> Option<&'a str> {
    user.meta().annotations.as_ref()?.get(name).map(String::as_str)
}

/// Whether an annotation of a user says `true`.
#[must_use]
pub fn is_set(user: &VpnUser, name: &str) -> bool {
    annotation(user, name) == Some("true")
}

fn finalizer_step(user: &VpnUser, facts: &Facts<'_>, deleting: bool, proved: bool) -> FinalizerStep {
    let has = user.meta().finalizers.iter().flatten().any(|f| f == FINALIZER);
    if !deleting {
        let tombstone = user.meta().deletion_timestamp.is_some();
        return if has || tombstone {
            FinalizerStep::Keep
        } else {
            FinalizerStep::Add
        };
    }
    let let_go = is_set(user, LET_GO);
    let gone_gateway = facts.gateways.iter().any(|(name, observation)| {
        let had = user.status.as_ref().is_some_and(|s| {
            s.gateways
                .iter()
                .any(|g| g.name == *name && g.account == AccountPresence::Present)
        });
        observation.is_none() && had
    });
    if let_go || (proved && !gone_gateway) {
        FinalizerStep::Release
    } else {
        FinalizerStep::Keep
    }
}

fn conditions(status: &mut VpnUserStatus, facts: &Facts<'_>, progress: &Progress<'_>, now: Timestamp) {
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
        return Err((person.effective.reason.as_str(), granted_message(person)));
    }
    if !person.has_password {
        return Err(match facts.unreadable {
            Some(why) => (reasons::CREDENTIALS_NOT_FOUND, unreadable_message(why)),
            None => (reasons::CREDENTIALS_PENDING, PENDING.to_owned()),
        });
    }
    // Where one gateway lets the person in, a login succeeds.
    match gateway_trouble(facts, progress) {
        Some(trouble) if !progress.usable => Err(trouble),
        _ => Ok(granted_message(person)),
    }
}

const PENDING: &str = "the password in spec.credentialsFrom is being read";

fn unreadable_message(why: &str) -> String {
    format!("the password in spec.credentialsFrom cannot be read: {why}")
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
        None
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
        Some((reasons::CREDENTIALS_NOT_FOUND, unreadable_message(why)))
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
            _ if granted && !facts.person.has_password => Some((reasons::CREDENTIALS_PENDING, PENDING.to_owned())),
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
            None => (
                reasons::CONVERGING,
                "waiting for the gateways to show the account".to_owned(),
            ),
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

fn granted_message(person: &Person) -> String {
    why(person.effective.reason, &person.live_holds)
}

/// A decision in words.
pub(super) fn why(reason: Reason, holds: &[String]) -> String {
    match reason {
        Reason::Active | Reason::GuardHeldBack => texts::ACCEPTED.into(),
        Reason::Held => texts::held_by(holds),
        Reason::Inactive => texts::INACTIVE.into(),
        Reason::NotYetValid => "spec.validFrom is still to come".to_owned(),
        Reason::Expired => texts::EXPIRED.into(),
        Reason::OverQuota => "the traffic limit of the period is used up".to_owned(),
        Reason::Deleted => "the VpnUser is being deleted".to_owned(),
        Reason::Conflict => "another VpnUser had the account first".to_owned(),
    }
}

#[cfg(test)]
mod tests;
