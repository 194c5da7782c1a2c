//! What is reported of a gateway: a plain function of what is declared and seen.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::auth_guard::{GuardState, SILENT};
use crate::{
    gateway::{Backlog, NodeHealth, Work, declared::Refusal},
    model::{
        condition::{Condition, ConditionStatus, Conditions, Text, types},
        gateway::{NodeState, Reachable, VpnGateway, VpnGatewayStatus},
    },
};

/// Steps in which it is reported when a node that answers did so last.
const POLL_STEP: SignedDuration = SignedDuration::from_mins(10);

/// A roll-out that takes at least so long is reported.
const LARGE: Duration = Duration::from_secs(60);

/// How long a status stays that would only have other numbers.
pub(super) const NUMBERS: Duration = Duration::from_secs(60);

/// Reasons of conditions, of `Ready` unless another is named.
mod reasons {
    pub(super) const RUNNING: &str = "Running";
    pub(super) const IN_USE: &str = "InUse";
    pub(super) const NODE_NOT_RUNNING: &str = "NodeNotRunning";
    pub(super) const NODE_UNREACHABLE: &str = "NodeUnreachable";
    pub(super) const NO_STATISTICS: &str = "NoStatistics";
    pub(super) const NOT_ASKED_YET: &str = "NotAskedYet";
    /// Of `Reconciling`, beside a gateway that is ready.
    pub(super) const ROLLING_OUT: &str = "RollingOut";
    /// Of `Separated`.
    pub(super) const SHARED_AUTH_TOKEN: &str = "SharedAuthToken";
}

/// Users that keep a deleted gateway.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Users {
    /// Names of the first few.
    pub(super) first: Vec<String>,
    pub(super) count: usize,
}

impl Users {
    /// How many are named.
    pub(super) const NAMED: usize = 3;

    fn sentence(&self) -> String {
        let mut named = self.first.join(", ");
        if self.count > self.first.len() {
            named = format!("{named} and {} more", self.count.saturating_sub(self.first.len()));
        }
        format!("in use by {named}: take it out of their spec.gateways, then it goes")
    }
}

/// What a report is made of.
pub(super) struct GatewayFacts<'a> {
    /// Why the gateway as a whole does not run as it is declared.
    pub(super) refusal: Option<&'a Refusal>,
    /// Who keeps the gateway, which is being deleted.
    pub(super) users: Option<&'a Users>,
    /// What its nodes show.
    pub(super) nodes: &'a [NodeHealth],
    /// What waits to be done about its accounts.
    pub(super) backlog: Backlog,
    /// Why users cannot be kept to the gateways that they name, if they cannot.
    pub(super) not_separated: Option<&'a str>,
    /// How its auth guard is, if it has one.
    pub(super) guard: Option<&'a GuardState>,
}

/// The status as it should be. `before` is the one that was reported last.
pub(super) fn status(
    gateway: &VpnGateway,
    before: &VpnGatewayStatus,
    facts: &GatewayFacts<'_>,
    now: Timestamp,
) -> VpnGatewayStatus {
    let generation = gateway.metadata.generation.unwrap_or_default();
    let verdict = verdict(facts);
    let known = before.observed_generation == generation && !before.conditions.is_empty();
    if verdict.reason == reasons::NOT_ASKED_YET && known {
        // What was reported last stands until something is known: a restart is no news of a node.
        return before.clone();
    }
    let nodes: Vec<NodeState> = facts.nodes.iter().map(node_state).collect();
    let answering = nodes.iter().filter(|node| node.reachable == Reachable::True).count();
    let mut status = VpnGatewayStatus {
        observed_generation: generation,
        reachable_nodes: Some(format!("{answering}/{}", nodes.len())),
        sessions: Some(coarse(facts.nodes.iter().map(|node| node.sessions).sum())),
        nodes,
        conditions: before.conditions.clone(),
    };
    let mut conditions = Conditions::new(&mut status.conditions, generation, now);
    conditions.set(types::READY, verdict.ready, verdict.reason, verdict.message.clone());
    let state = match (verdict.ready, verdict.needs_somebody) {
        (ConditionStatus::True, _) => {
            roll_out(before, facts.backlog).map(|message| (types::RECONCILING, reasons::ROLLING_OUT, message))
        }
        (_, true) => Some((types::STALLED, verdict.reason, verdict.message)),
        (_, false) => Some((types::RECONCILING, verdict.reason, verdict.message)),
    };
    let shown = state.as_ref().map(|(type_, ..)| *type_);
    if let Some((type_, reason, message)) = state {
        conditions.set(type_, true, reason, message);
    }
    if let Some(message) = facts.not_separated {
        let message = message.to_owned();
        conditions.set(types::SEPARATED, false, reasons::SHARED_AUTH_TOKEN, message);
    } else {
        status.conditions.retain(|it| it.type_ != types::SEPARATED);
    }
    guarded(&mut status, facts.guard, known, now);
    // These are there only while they are true, as kstatus has it.
    status.conditions.retain(|condition| {
        ![types::STALLED, types::RECONCILING].contains(&&*condition.type_) || shown == Some(&*condition.type_)
    });
    status
}

/// Says how the auth guard is, where there is one.
fn guarded(status: &mut VpnGatewayStatus, guard: Option<&GuardState>, known: bool, now: Timestamp) {
    let Some(guard) = guard else {
        status.conditions.retain(|it| it.type_ != types::GUARDED);
        return;
    };
    let said = status.conditions.iter().any(|it| it.type_ == types::GUARDED);
    if *guard == GuardState::NotAskedYet && known && said {
        // A restart is no news of the panel's servers.
        return;
    }
    let generation = status.observed_generation;
    let mut conditions = Conditions::new(&mut status.conditions, generation, now);
    conditions.set(types::GUARDED, guard.status(), guard.reason(), guard.message());
}

/// Whether two statuses say the same but for numbers and errors of the moment, which need not be shown at once.
pub(super) fn differ_in_numbers_only(one: &VpnGatewayStatus, other: &VpnGatewayStatus) -> bool {
    let without_numbers = |status: &VpnGatewayStatus| {
        let mut status = status.clone();
        status.sessions = None;
        for node in &mut status.nodes {
            node.sessions = 0;
            node.last_poll = None;
        }
        // Of a node or service that does not answer every attempt may meet another error, and a roll-out has other counts all the
        // time.
        let of_the_moment = |condition: &&mut Condition| {
            [reasons::NODE_UNREACHABLE, reasons::ROLLING_OUT, SILENT].contains(&&*condition.reason)
        };
        for condition in status.conditions.iter_mut().filter(of_the_moment) {
            condition.message = Text::default();
        }
        status
    };
    without_numbers(one) == without_numbers(other)
}

struct Verdict {
    ready: ConditionStatus,
    reason: &'static str,
    message: String,
    needs_somebody: bool,
}

fn verdict(facts: &GatewayFacts<'_>) -> Verdict {
    let not_ready = |reason, message, needs_somebody| Verdict {
        ready: ConditionStatus::False,
        reason,
        message,
        needs_somebody,
    };
    if let Some(refusal) = facts.refusal {
        return not_ready(refusal.reason, refusal.message.clone(), true);
    }
    if let Some(users) = facts.users {
        return not_ready(reasons::IN_USE, users.sentence(), true);
    }
    let of = |is: fn(&NodeHealth) -> bool| facts.nodes.iter().filter(move |node| is(node));
    let each = |is: fn(&NodeHealth) -> bool, say: fn(&NodeHealth) -> String| {
        let lines: Vec<String> = of(is)
            .map(|node| format!("{}: {}", node.node.node(), say(node)))
            .collect();
        (!lines.is_empty()).then(|| lines.join("; "))
    };
    let error = |node: &NodeHealth| node.error.clone().unwrap_or_default();
    if let Some(message) = each(|node| node.faulty, error) {
        return not_ready(reasons::NODE_NOT_RUNNING, message, true);
    }
    if let Some(message) = each(|node| node.reachable == Reachable::False, silence) {
        return not_ready(reasons::NODE_UNREACHABLE, message, false);
    }
    if let Some(message) = each(|node| !node.proves && !node.undeclared, error) {
        return not_ready(reasons::NO_STATISTICS, message, true);
    }
    if facts.nodes.is_empty()
        || of(|node| node.proves && node.reachable == Reachable::Unknown)
            .next()
            .is_some()
    {
        return Verdict {
            ready: ConditionStatus::Unknown,
            reason: reasons::NOT_ASKED_YET,
            message: "the nodes are being asked for the first time".to_owned(),
            needs_somebody: false,
        };
    }
    Verdict {
        ready: ConditionStatus::True,
        reason: reasons::RUNNING,
        message: "every node answers".to_owned(),
        needs_somebody: false,
    }
}

/// What is said of a roll-out that is large, until nothing of it is left.
fn roll_out(before: &VpnGatewayStatus, backlog: Backlog) -> Option<String> {
    // What waits for a proof may wait for a silent device, as long as that likes.
    let work = backlog
        .kinds()
        .filter(|(work, accounts)| *work != Work::Prove && *accounts > 0);
    let counts: Vec<String> = work
        .map(|(work, accounts)| {
            let accounts = u32::try_from(accounts).unwrap_or(u32::MAX);
            format!("{} to {}", coarse(accounts), work.as_str())
        })
        .collect();
    let begun = before.conditions.iter().any(|it| it.reason == reasons::ROLLING_OUT);
    if counts.is_empty() || !(begun || backlog.left().is_some_and(|left| left >= LARGE)) {
        return None;
    }
    let left = backlog.left().map_or_else(
        || "how long that takes is not known at present".to_owned(),
        |left| {
            let minutes = u32::try_from(left.as_secs().div_ceil(60)).unwrap_or(u32::MAX);
            format!("about {} min left", coarse(minutes))
        },
    );
    Some(format!("accounts: about {}; {left}", counts.join(", ")))
}

/// What is said of a node that does not answer.
fn silence(node: &NodeHealth) -> String {
    let since = node.polled_at.map_or_else(
        || "has never answered".to_owned(),
        |at| format!("has not answered since {}", whole_second(at)),
    );
    let why = node.error.as_deref().unwrap_or("no answer came");
    format!("{since}: {why}")
}

fn node_state(node: &NodeHealth) -> NodeState {
    NodeState {
        name: node.node.node().to_owned(),
        reachable: node.reachable,
        sessions: coarse(node.sessions),
        last_poll: node.polled_at.map(|at| match node.reachable {
            Reachable::True => floor(at, POLL_STEP),
            Reachable::False | Reachable::Unknown => whole_second(at),
        }),
    }
}

fn whole_second(at: Timestamp) -> Timestamp {
    floor(at, SignedDuration::from_secs(1))
}

fn floor(at: Timestamp, step: SignedDuration) -> Timestamp {
    let second = at.as_second();
    let step = step.as_secs().max(1);
    Timestamp::from_second(second.saturating_sub(second.rem_euclid(step))).unwrap_or(at)
}

/// The number in steps that rarely change: exact up to ten, then 10, 15, 20, … 95, 100, 150, 200, …
fn coarse(sessions: u32) -> u32 {
    let (mut rest, mut unit) = (sessions, 1u32);
    while rest >= 100 {
        rest /= 10;
        unit = unit.saturating_mul(10);
    }
    let step = if rest < 10 { 1 } else { 5 };
    (rest / step * step).saturating_mul(unit)
}

#[cfg(test)]
mod tests;
