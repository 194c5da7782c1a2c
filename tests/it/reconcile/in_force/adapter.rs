//! Every call to the roster, its guard and what reports from them, in one place.

use std::{collections::BTreeMap, sync::Arc};

use jiff::Timestamp;
use secrecy::SecretString;
use vpn_operator::{
    auth::{index::Verdict, words::Role},
    clock::ManualClock,
    gateway::{NodeName, Observation, RevocationProgress},
    model::{
        OWN,
        access::{Access, Period, Reason, Usage},
        corporate_id::CorporateId,
        guard::{Budget, GuardChange, GuardMemory, VerdictRecord},
        hold::{HoldPhase, VpnHold, VpnHoldStatus},
        user::{AccountPresence, VpnUser, VpnUserStatus},
    },
    reconcile::{
        holds::phase,
        plan::{Facts, Plan, SecretOutcome, plan},
    },
    roster::{Derivation, PendingDenial, Person, Roster},
};

use super::stores::{Objects, PEOPLE};

/// What the guard's store holds.
pub type Memory = GuardMemory;
/// One write to the guard's store.
pub type Change = Vec<GuardChange>;

/// How many people may lose access by one kind of consequence within [`WINDOW`].
pub const LIMIT: usize = 10;
/// The time over which is counted, in seconds.
pub const WINDOW: i64 = 600;

/// Stands in for a master key.
struct Spelled;

impl Derivation for Spelled {
    fn password(&self, id: &CorporateId, generation: i64) -> SecretString {
        password(id, generation).into()
    }
}

fn password(id: &CorporateId, generation: i64) -> String {
    format!("pw-{}-{generation}", id.key())
}

/// A roster that knows nobody yet.
pub fn roster(role: Role, explicit_deletions: bool, clock: &Arc<ManualClock>) -> Roster {
    let roster = Roster::with_role(role, Arc::new(Spelled), Arc::new(|_: &VpnUser| None), clock.clone());
    if explicit_deletions {
        roster.trust_deletions();
    }
    roster
}

/// What a process is given of the guard's store when it starts.
pub fn restore(roster: &Roster, memory: &Memory) {
    roster.restore(memory.clone());
}

/// What the guard's store has to take since `last`, with the number of the latest change.
pub fn changes(roster: &Roster, last: u64) -> Option<(u64, Change)> {
    let (number, batch) = roster.take_guard_changes();
    (number > last && !batch.is_empty()).then_some((number, batch))
}

/// Writes to the guard's store.
pub fn write(memory: &mut Memory, change: Change) {
    for change in change {
        match change {
            GuardChange::Verdict(record) => {
                forget(memory, &record.uid, record.budget);
                memory.verdicts.push(record);
            }
            GuardChange::Forget { uid, budget } => forget(memory, &uid, budget),
            GuardChange::Charge(charge) => {
                memory
                    .charges
                    .retain(|it| (it.budget, &it.who) != (charge.budget, &charge.who));
                memory.charges.push(charge);
            }
        }
    }
}

fn forget(memory: &mut Memory, uid: &str, budget: Budget) {
    memory.verdicts.retain(|it| (&*it.uid, it.budget) != (uid, budget));
}

/// Whether the guard's store says that the loss of this hold is not to take effect.
pub fn keeps_lost(memory: &Memory, hold: &str) -> bool {
    let keeps = |it: &VerdictRecord| it.budget == Budget::Holds && it.verdict.keeps() && it.name == hold;
    memory.verdicts.iter().any(keeps)
}

/// Whether a hold says that its loss is not to take effect.
pub fn says_lost(hold: &VpnHold) -> bool {
    hold.status.as_ref().is_some_and(|status| status.lost.is_some())
}

/// Marks a hold whose file the operator keeps itself.
pub fn mark_own(hold: &mut VpnHold) {
    hold.metadata.annotations = Some([(OWN.to_owned(), "true".to_owned())].into());
}

/// Whether the guard holds something about this person back, whether or not it makes a difference, and whatever a person said
/// to it.
pub fn waits(person: &Person) -> bool {
    !person.held_back.is_empty() || !person.held_back_holds.is_empty()
}

/// Whether this person has access only because the guard holds something back.
pub fn is_in_by_the_guard(person: &Person) -> bool {
    person.held_back_since.is_some()
}

/// Whether a status says that the guard holds a denial back.
pub fn says_held_back(status: &VpnUserStatus) -> bool {
    status.reason == Some(Reason::GuardHeldBack)
}

/// Whether the guard keeps this hold from denying.
pub fn hold_waits(roster: &Roster, hold: &VpnHold) -> bool {
    let name = hold.metadata.name.as_deref().unwrap_or_default();
    roster.hold(name).held_back.is_some()
}

/// Names of lost holds that wait for a person.
pub fn lost_pending(roster: &Roster) -> Vec<String> {
    let lost = |it: PendingDenial| (it.budget == Budget::Holds).then_some(it.cause);
    roster
        .guard(usize::MAX)
        .pending
        .first
        .into_iter()
        .filter_map(lost)
        .collect()
}

/// People of whom something waits for a person.
pub fn pending(roster: &Roster) -> Vec<CorporateId> {
    roster
        .guard(usize::MAX)
        .pending
        .first
        .into_iter()
        .map(|it| it.corporate_id)
        .collect()
}

/// Traffic that a process knows of when it starts.
pub fn usage_at_start(history: &BTreeMap<String, Usage>, objects: &Objects) -> BTreeMap<String, Usage> {
    let mut totals = history.clone();
    for user in objects.users.values() {
        let Some(status) = &user.status else { continue };
        let Some(traffic) = &status.traffic else { continue };
        let used = match status.reason {
            Some(Reason::OverQuota) => traffic.used.coarse_most(),
            _ => traffic.used.get(),
        };
        let known = totals.entry(user.spec.corporate_id.account()).or_default();
        match traffic.period_start {
            None => known.lifetime = known.lifetime.max(used),
            Some(start) if known.month_start == Some(start) => known.month = known.month.max(used),
            Some(start) if known.month_start.is_none_or(|known| known < start) => {
                known.month_start = Some(start);
                known.month = used;
            }
            Some(_) => {}
        }
    }
    totals
}

/// Denials that wait for a person, with what they were judged against.
pub fn waiting_denials(roster: &Roster) -> impl Iterator<Item = (Budget, CorporateId)> {
    let pending = roster.guard(usize::MAX).pending.first.into_iter();
    pending
        .filter(|it| it.budget != Budget::Holds)
        .map(|it| (it.budget, it.corporate_id))
}

/// How many people count against a budget.
pub fn used(roster: &Roster, budget: Budget) -> usize {
    let budgets = roster.guard(0).budgets;
    budgets.iter().find(|it| it.budget == budget).map_or(0, |it| it.used)
}

/// The plan for a user, and the guard's change that has to be kept before it is carried out.
pub fn user_plan(roster: &Roster, user: &VpnUser, used: Option<(u64, Period)>, now: Timestamp) -> Option<(Plan, u64)> {
    let person = roster.person_by_user(user.metadata.name.as_deref()?)?;
    if Some(person.generation) != user.metadata.generation {
        return None;
    }
    let gateways = agreeing_gateways(user, &person, now);
    let facts = Facts {
        person: &person,
        password: None,
        used,
        gateways: &gateways,
        refused: &[],
        secret: &SecretOutcome::NotStored,
        unreadable: None,
    };
    Some((plan(user, &facts, now), person.verdict))
}

/// What is to be reported of a hold, and the guard's change that has to be kept before.
pub fn hold_status(roster: &Roster, hold: &VpnHold, now: Timestamp) -> (VpnHoldStatus, u64) {
    let verdict = roster.hold(hold.metadata.name.as_deref().unwrap_or_default());
    let status = VpnHoldStatus {
        phase: Some(match phase(&hold.spec, now).0 {
            HoldPhase::Live if verdict.held_back.is_some() => HoldPhase::HeldBack,
            phase => phase,
        }),
        held_back: verdict.held_back,
        lost: verdict.lost,
    };
    (status, verdict.verdict)
}

/// Gateways that do at once whatever they are asked for.
fn agreeing_gateways(user: &VpnUser, person: &Person, now: Timestamp) -> Vec<(String, Option<Observation>)> {
    let status = user.status.clone().unwrap_or_default();
    let mut wanted = user.spec.gateway_names();
    wanted.extend(person.kept_gateways.iter().flatten().cloned());
    let mut names = wanted.clone();
    names.sort_unstable();
    names.dedup();
    for state in &status.gateways {
        if !names.contains(&state.name) {
            names.push(state.name.clone());
        }
    }
    let deleting = user.metadata.deletion_timestamp.is_some() && !person.keeps_declared();
    let denied = person.effective.access == Access::Denied;
    let same_epoch = status.epoch.and_then(|epoch| u64::try_from(epoch).ok()) == Some(person.epoch.0);
    let reported = status.revocation.filter(|_| same_epoch);
    let denied_at = reported.map_or(now, |it| it.denied_at);
    let observe = |name: String| {
        let leaving = deleting || !wanted.contains(&name);
        let revocation = (denied || leaving).then(|| RevocationProgress {
            below: person.epoch,
            denied_at,
            contained_at: Some(denied_at),
            sessions_zero_at: Some(denied_at),
            waiting_for: Vec::new(),
            left_out: Vec::new(),
            withdrawn_at: None,
        });
        let observation = Observation {
            account: if leaving {
                AccountPresence::Absent
            } else {
                AccountPresence::Present
            },
            sessions: 0,
            revocation,
            unprovable: Vec::new(),
            unusable: Vec::new(),
            handed_over: None,
            obstacle: None,
            asked_to_leave: leaving,
        };
        (name, Some(observation))
    };
    names.into_iter().map(observe).collect()
}

/// What a listener answers to each person on a node of a gateway.
pub fn logins(roster: &Roster, gateway: &str) -> Vec<Verdict> {
    (0..PEOPLE).map(|who| login(roster, who, gateway)).collect()
}

/// What a listener answers to a person.
pub fn login(roster: &Roster, who: usize, gateway: &str) -> Verdict {
    let id = super::stores::id(who);
    let index = roster.index();
    let node = index.node(&NodeName(format!("{gateway}/a").into()));
    let auth = format!("{}:{}", id.account(), password(&id, 1));
    index.login(&node, &auth)
}

/// Whether the status of a hold says that it denies.
pub fn says_live(hold: &VpnHold) -> bool {
    hold.status
        .as_ref()
        .is_some_and(|status| status.phase == Some(HoldPhase::Live))
}

/// Whether what a hold's status says of the guard is so.
pub fn agrees(roster: &Roster, hold: &VpnHold) -> Result<(), String> {
    let name = hold.metadata.name.as_deref().unwrap_or_default();
    let verdict = roster.hold(name);
    let status = hold.status.clone().unwrap_or_default();
    if (&verdict.held_back, &verdict.lost) == (&status.held_back, &status.lost) {
        Ok(())
    } else {
        Err(format!("hold {name} is {verdict:?}, and its status says {status:?}"))
    }
}
