//! What is carried out while no sender waits: what was in the way, what takes effect later, and what a person let the guard do.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures::{StreamExt as _, stream};
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use super::{HrDesk, answers::age, standing::Seen};
use crate::{
    access::{Dependencies, Result, UseCases},
    inbox::{StoredEvent, Waiting},
    model::corporate_id::CorporateId,
};

/// Events that are read at a time.
const BATCH: u32 = 256;
/// Events that are carried out at a time, beside those whose senders wait.
const AT_ONCE: usize = 16;
/// Longest pause between two looks: the wall clock may be set.
pub(super) const TICK: Duration = Duration::from_secs(1);
/// Shortest pause between two looks at what the guard holds back.
const BREATH: Duration = Duration::from_millis(100);

/// Shortest pause between two counts of what waits.
const REST: Duration = Duration::from_millis(250);

/// Where is counted how many events wait, and since when.
pub type HrGauges = Arc<dyn Fn(Waiting, Duration) + Send + Sync>;

/// What was looked at last.
#[derive(Default)]
struct Looked {
    /// The inbox as it was counted.
    counted: Option<(u64, Instant)>,
    /// The inbox and the roster as they were when everything was looked at that the guard holds back.
    decided: Option<(u64, u64)>,
}

impl UseCases {
    /// Carries out events that nobody waits for, until cancelled. One that has begun is carried out to its end.
    pub async fn carry_out_hr_events(self, gauges: HrGauges, end: CancellationToken) {
        let Some(desk) = self.dependencies.hr.clone() else {
            return end.cancelled().await;
        };
        let mut changes = self.dependencies.people.changes();
        let mut looked = Looked::default();
        loop {
            let change = *changes.borrow_and_update();
            let done = tokio::select! {
                done = self.look(&desk, &gauges, change, &mut looked) => done,
                () = end.cancelled() => return,
            };
            let pause = match done {
                Ok(pause) => pause,
                Err(error) => {
                    tracing::warn!(%error, "the inbox of HR events cannot be looked through");
                    TICK
                }
            };
            let holds_back = desk.waiting().held_back > 0;
            tokio::select! {
                () = end.cancelled() => return,
                () = desk.wake.notified() => {}
                () = tokio::time::sleep(pause) => {}
                changed = changes.changed(), if holds_back => {
                    if changed.is_err() {
                        return end.cancelled().await;
                    }
                    tokio::time::sleep(BREATH).await;
                }
            }
        }
    }

    /// Carries out what is due. Answers how long nothing will be.
    async fn look(&self, desk: &Arc<HrDesk>, gauges: &HrGauges, change: u64, looked: &mut Looked) -> Result<Duration> {
        let dependencies = &self.dependencies;
        if dependencies.people.is_loaded() {
            loop {
                let due = desk.inbox.due(dependencies.clock.now(), BATCH).await?;
                let full = u32::try_from(due.len()).is_ok_and(|len| len >= BATCH);
                if self.all(desk, due).await == 0 || !full {
                    break;
                }
            }
            let state = (desk.inbox.version(), change);
            if looked.decided != Some(state) {
                self.decided(desk).await?;
                looked.decided = Some(state);
            }
        }
        let (version, now) = (desk.inbox.version(), dependencies.clock.now());
        let is_stale = looked.counted.is_none_or(|(counted, _)| counted != version)
            || desk.waiting().next_due.is_some_and(|due| due <= now);
        let rests = looked.counted.is_none_or(|(_, at)| at.elapsed() >= REST);
        if is_stale && rests {
            desk.set_waiting(desk.inbox.waiting().await?);
            looked.counted = Some((version, Instant::now()));
        }
        let waiting = desk.waiting();
        gauges(waiting, Duration::from_secs(age(waiting, now).unsigned_abs()));
        let pause = pause(waiting, now);
        Ok(if is_stale && !rests {
            pause.clamp(Duration::from_millis(1), REST)
        } else {
            pause
        })
    }

    /// Carries out what a person decided about of what the guard holds back.
    async fn decided(&self, desk: &Arc<HrDesk>) -> Result<()> {
        let mut after = 0;
        loop {
            let held = desk.inbox.held_back(after, BATCH).await?;
            let Some(last) = held.last().map(|event| event.id) else {
                return Ok(());
            };
            after = last;
            let decided = held.into_iter().filter(|event| self.dependencies.is_decided(event));
            self.all(desk, decided.collect()).await;
        }
    }

    /// Carries events out, several at a time. Answers of how many something became.
    async fn all(&self, desk: &Arc<HrDesk>, events: Vec<StoredEvent>) -> usize {
        stream::iter(events)
            .map(|event| async move {
                let (id, attempts) = (event.id, event.attempts);
                let (dependencies, desk) = (self.dependencies.clone(), Arc::clone(desk));
                let work = async move { dependencies.carry_out_event(&desk, event, false).await };
                match self.to_the_end(work).await {
                    Ok(done) => done.attempts > attempts,
                    Err(error) => {
                        tracing::warn!(event = id, %error, "what became of an HR event could not be kept");
                        false
                    }
                }
            })
            .buffer_unordered(AT_ONCE)
            .filter(|moved| std::future::ready(*moved))
            .count()
            .await
    }
}

impl Dependencies {
    /// Whether the guard does not hold an event back any more.
    fn is_decided(&self, event: &StoredEvent) -> bool {
        let id = event.corporate_id.as_deref().and_then(|id| CorporateId::parse(id).ok());
        let (Some(id), Some(hold)) = (id, &event.hold) else {
            return true;
        };
        match self.seen_now(&id, hold) {
            Some(Seen::HeldBack) => false,
            Some(Seen::Live | Seen::Rejected | Seen::Later) => true,
            None => self.directory.hold(hold).is_none(),
        }
    }
}

/// Until the next event is due, a tick at the most.
fn pause(waiting: Waiting, now: Timestamp) -> Duration {
    let until = waiting
        .next_due
        .map(|due| due.duration_since(now).max(jiff::SignedDuration::ZERO));
    until.map_or(TICK, |until| until.unsigned_abs().min(TICK))
}
