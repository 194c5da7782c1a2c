//! Reports the phase of each hold, and lets go of holds whose loss was confirmed. Whether a hold denies is decided
//! elsewhere, from its times; nothing depends on what is reported here.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    pin::pin,
    sync::Arc,
    time::{Duration, Instant},
};

use futures::{StreamExt as _, stream};
use jiff::Timestamp;
use kube::{ResourceExt, runtime::reflector::ObjectRef};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::core::Core;
use crate::{
    desired::DesiredError,
    model::{
        FINALIZER,
        hold::{HoldPhase, VpnHoldSpec, VpnHoldStatus},
    },
};

/// How often deadlines are compared with the wall clock.
const TICK: Duration = Duration::from_secs(1);

/// How long a hold that was let go, and that is still there, is left alone: somebody else's finalizer keeps it.
const LET_GO_AGAIN: Duration = Duration::from_secs(60);

/// Where a hold stands in its life at a moment, and when that changes.
#[must_use]
pub fn phase(spec: &VpnHoldSpec, now: Timestamp) -> (HoldPhase, Option<Timestamp>) {
    if spec.until.is_some_and(|until| until <= now) {
        (HoldPhase::Expired, None)
    } else if let Some(from) = spec.from.filter(|from| *from > now) {
        (HoldPhase::Pending, Some(from))
    } else {
        (HoldPhase::Live, spec.until)
    }
}

/// When to look at which hold again: one moment for each name.
#[derive(Debug, Default)]
struct Deadlines {
    names: BTreeSet<(Timestamp, String)>,
    of: HashMap<String, Timestamp>,
}

impl Deadlines {
    /// What was set before for this name counts no more.
    fn set(&mut self, name: String, at: Option<Timestamp>) {
        if let Some(before) = self.of.remove(&name) {
            self.names.remove(&(before, name.clone()));
        }
        if let Some(at) = at {
            self.names.insert((at, name.clone()));
            self.of.insert(name, at);
        }
    }

    fn take_due(&mut self, now: Timestamp) -> BTreeSet<String> {
        let mut due = BTreeSet::new();
        while let Some((at, _)) = self.names.first()
            && *at <= now
            && let Some((_, name)) = self.names.pop_first()
        {
            self.of.remove(&name);
            due.insert(name);
        }
        due
    }
}

/// Lets go of holds whose tombstones have nothing left to say, unless this process may not act. `done` remembers which, and
/// since when.
async fn let_go(ctx: &Core, done: &mut HashMap<String, Instant>) {
    if !ctx.fence.is_open() {
        return;
    }
    let now = ctx.clock.monotonic();
    let lost: HashSet<String> = ctx.roster.lost_holds_confirmed().into_iter().collect();
    done.retain(|name, at| lost.contains(name) && now.saturating_duration_since(*at) < LET_GO_AGAIN);
    for name in lost {
        if done.contains_key(&name) {
            continue;
        }
        match ctx.desired.remove_hold_finalizer(&name).await {
            Ok(()) => drop(done.insert(name, now)),
            Err(error) => tracing::warn!(hold = name, %error, "a lost hold could not be let go"),
        }
    }
}

/// Holds that are reported at the same time. A feed may have placed thousands, and replicas wait for the word on each.
const AT_A_TIME: usize = 16;

/// Reports until `cancel`.
pub async fn run(ctx: Arc<Core>, mut touched: mpsc::UnboundedReceiver<String>, cancel: CancellationToken) {
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut deadlines = Deadlines::default();
    let mut gone = HashMap::new();
    loop {
        let mut names = BTreeSet::new();
        let mut changed = Vec::new();
        tokio::select! {
            () = cancel.cancelled() => return,
            count = touched.recv_many(&mut changed, 4 * AT_A_TIME) => {
                if count == 0 {
                    return;
                }
                for name in changed {
                    // Changed, or another one by the same name.
                    gone.remove(&name);
                    names.insert(name);
                }
            }
            _ = tick.tick() => {
                names.extend(deadlines.take_due(ctx.clock.now()));
                let_go(&ctx, &mut gone).await;
            }
        };
        let reports = stream::iter(names).map(async |name| (report(&name, &ctx).await, name));
        let mut reported = pin!(reports.buffer_unordered(AT_A_TIME));
        while let Some((at, name)) = reported.next().await {
            deadlines.set(name, at);
        }
    }
}

/// Reports one hold's phase if it differs, and answers when to look again.
async fn report(name: &str, ctx: &Core) -> Option<Timestamp> {
    let hold = ctx.holds.get(&ObjectRef::new(name).within(&ctx.namespace))?;
    if !ctx.roster.is_loaded() {
        // Nobody judged it yet. Every hold is looked at again when that is over.
        return None;
    }
    let verdict = ctx.roster.hold(name);
    let now = ctx.clock.now();
    let again = now.checked_add(Duration::from_secs(10)).ok();
    let has_finalizer =
        hold.finalizers().iter().any(|it| it == FINALIZER) || hold.metadata.deletion_timestamp.is_some();
    if !has_finalizer && let Err(error) = ctx.desired.add_hold_finalizer(&hold).await {
        tracing::warn!(hold = name, %error, "a hold could not be given its finalizer");
        return again;
    }
    let (phase, next) = phase(&hold.spec, now);
    let status = VpnHoldStatus {
        phase: Some(match phase {
            HoldPhase::Live if verdict.held_back.is_some() => HoldPhase::HeldBack,
            phase => phase,
        }),
        held_back: verdict.held_back,
        lost: verdict.lost,
    };
    if hold.status.as_ref() == Some(&status) {
        return next;
    }
    ctx.verdict_kept(verdict.verdict).await;
    match ctx.desired.report_hold(&hold, status).await {
        Ok(()) | Err(DesiredError::NotFound { .. }) => next,
        Err(error) => {
            tracing::warn!(hold = name, %error, "the phase of a hold could not be reported");
            again
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{access::HoldSpan, corporate_id::CorporateId};

    #[test]
    fn a_name_has_one_deadline_however_often_it_is_set() {
        let at = |second: i64| Timestamp::from_second(second).unwrap();
        let mut deadlines = Deadlines::default();
        for second in 1..50 {
            deadlines.set("hr-1".to_owned(), Some(at(second)));
        }
        deadlines.set("hr-2".to_owned(), Some(at(20)));
        deadlines.set("hr-3".to_owned(), Some(at(20)));
        deadlines.set("hr-3".to_owned(), None);
        assert_eq!(deadlines.take_due(at(48)), BTreeSet::from(["hr-2".to_owned()]));
        assert_eq!(deadlines.take_due(at(49)), BTreeSet::from(["hr-1".to_owned()]));
        assert!(deadlines.names.is_empty() && deadlines.of.is_empty());
    }

    #[test]
    fn the_phase_says_live_exactly_when_the_hold_denies() {
        let at = |second: i64| Timestamp::from_second(second).unwrap();
        for from in [None, Some(at(10)), Some(at(20))] {
            for until in [None, Some(at(15)), Some(at(30))] {
                let spec = VpnHoldSpec {
                    corporate_id: CorporateId::parse("AB123456").unwrap(),
                    source: "hr".to_owned(),
                    reason: None,
                    from,
                    until,
                };
                for second in 5..35 {
                    let (phase, next) = phase(&spec, at(second));
                    assert_eq!(phase == HoldPhase::Live, HoldSpan { from, until }.is_live(at(second)));
                    assert!(next.is_none_or(|next| next > at(second)));
                }
            }
        }
    }
}
