//! What must be done and reported about one user: a plain function of what is declared, decided and observed.

mod conditions;
pub mod reasons;
mod revocation;
mod status;
mod targets;
mod words;

use jiff::Timestamp;
use kube::Resource as _;
use secrecy::SecretString;

use self::{
    conditions::Pause,
    revocation::{Awaited, merged_revocation},
    status::{Outcome, status},
    targets::{Targets, targets},
};
use crate::{
    gateway::{Observation, Target},
    model::{
        FINALIZER,
        access::{Access, Period},
        user::{AccountPresence, VpnUser, VpnUserStatus},
    },
    roster::Person,
};

pub(super) use self::{targets::at_once, words::why};
pub use crate::model::{LET_GO, PAUSE, RECONCILE_NOW};

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

/// Plans for one user at one moment.
#[must_use]
pub fn plan(user: &VpnUser, facts: &Facts<'_>, now: Timestamp) -> Plan {
    let before = user.status.clone().unwrap_or_default();
    let person = facts.person;
    let wanted = person
        .kept_gateways
        .clone()
        .unwrap_or_else(|| user.spec.gateway_names());
    let denied = person.effective.access == Access::Denied;
    let deleting = user.meta().deletion_timestamp.is_some() && !person.keeps_declared();
    let paused = is_set(user, PAUSE);
    let is_leaving = |gateway: &str| deleting || !wanted.iter().any(|name| name == gateway);
    let Targets {
        given: targets,
        withheld,
    } = targets(user, facts, &before, is_leaving, paused, now);
    let withheld = withheld || *facts.secret == SecretOutcome::Withheld;

    let revocation = merged_revocation(facts.gateways, &before, person);
    let awaited = Awaited::of(facts.gateways, revocation.as_ref());
    let proved = denied && awaited.is_all_that_can_be_proved() && targets.is_empty();
    let outcome = Outcome {
        wanted,
        revocation,
        awaited,
        reached: targets.is_empty(),
        pause: match (paused, withheld) {
            (false, _) => Pause::No,
            (true, false) => Pause::Idle,
            (true, true) => Pause::Withholding,
        },
    };
    Plan {
        finalizer: finalizer_step(user, facts, deleting, proved),
        status: status(user, &before, facts, outcome, now),
        targets,
    }
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

#[cfg(test)]
mod tests;
