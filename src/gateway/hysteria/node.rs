//! The task of one node: kicks, looks and traffic.
//!
//! Three loops, each with one call at a time. Kicks have a loop of their own, so that neither a slow look nor a slow
//! read of the counters delays them. Kick first, look after: a look that finds more wakes the kicks again.

use std::{
    collections::{HashMap, HashSet},
    panic::AssertUnwindSafe,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use futures::FutureExt as _;
use tokio::{sync::Notify, time::sleep};
use tokio_util::sync::CancellationToken;

use super::{
    Shared,
    client::{StatsClient, StatsEndpoint, StatsError},
    pace::{Limited, Pace},
    revocation::{Look, Reading, Stranger},
    state::{Online, Operation},
    usage::UsageMeter,
};
use crate::{
    gateway::{Call, NodeName, Standing, UsageDelta, retry::Backoff},
    model::session::SessionId,
};

/// Waits between looks while a revocation is open begin with this, and grow by half up to the poll interval.
const FASTEST_LOOK: Duration = Duration::from_millis(100);
/// Waits after failures.
pub(super) const BACKOFF: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(5));
/// A look under way at a denial proves nothing about it; after so long it is given up for a new one.
const STALE_LOOK_TIMEOUT: Duration = Duration::from_millis(50);
/// Ids in one kick.
const KICK_CHUNK: usize = 2_000;
/// Outcome of a kick that was acknowledged, and whose session moves on.
pub const WITHOUT_EFFECT: &str = "without_effect";
const KICK_WITHOUT_EFFECT: &str = "it acknowledges kicks, and sessions move on all the same: sessions on it cannot be ended until it is \
                                   restarted or the statistics API that answers is its own";
const NEVER_SHOWN: &str = "a session that was let in with its authToken never showed in its statistics, and no other has so far: \
                           compare statsUrl and authToken with the node; revocations that need its word stay open";

pub(super) struct Worker {
    name: NodeName,
    client: StatsClient,
    shared: Arc<Shared>,
    kick_wanted: Notify,
    look_wanted: Notify,
    /// The least that anybody who is online here has left; all ones when nobody has a limit.
    least_left: AtomicU64,
    counters_wanted: Notify,
    cancel: CancellationToken,
}

impl Worker {
    pub(super) fn new(name: NodeName, endpoint: &StatsEndpoint, shared: Arc<Shared>) -> Result<Arc<Self>, StatsError> {
        Ok(Arc::new(Self {
            name,
            client: StatsClient::new(endpoint, shared.context.fence.clone())?,
            cancel: shared.context.cancel.child_token(),
            shared,
            kick_wanted: Notify::new(),
            look_wanted: Notify::new(),
            least_left: AtomicU64::new(u64::MAX),
            counters_wanted: Notify::new(),
        }))
    }

    pub(super) fn spawn(self: &Arc<Self>) {
        let worker = self.clone();
        self.shared.context.tasks.spawn(async move {
            let loops = async {
                loop {
                    let round = async { tokio::join!(worker.kicks(), worker.looks(), worker.traffic()) };
                    // None of the three ends by itself. A node that is never looked at again would prove nothing any more.
                    if AssertUnwindSafe(round).catch_unwind().await.is_err() {
                        tracing::error!(node = %worker.name, "the loops of a node failed and begin anew: report this");
                    }
                    sleep(BACKOFF.1).await;
                }
            };
            let _: Option<()> = worker.cancel.run_until_cancelled(loops).await;
        });
    }

    pub(super) fn stop(&self) {
        self.cancel.cancel();
    }

    /// A revocation was opened.
    pub(super) fn wake(&self) {
        if self.shared.state().revocations.has_due(&self.name) {
            self.kick_wanted.notify_one();
        } else {
            self.look_wanted.notify_one();
        }
    }

    /// Somebody needs to know at once who is online.
    pub(super) fn look(&self) {
        self.look_wanted.notify_one();
    }

    async fn kicks(&self) {
        let mut backoff = Backoff::new(BACKOFF.0, BACKOFF.1);
        loop {
            let ids = self.shared.state().revocations.take_due(&self.name);
            if ids.is_empty() {
                self.kick_wanted.notified().await;
                continue;
            }
            let failed = self.kick(ids).await.err();
            self.look_wanted.notify_one();
            match failed {
                None => backoff.reset(),
                Some(error) => sleep(wait(&mut backoff, &error)).await,
            }
        }
    }

    async fn kick(&self, ids: Vec<String>) -> Result<(), StatsError> {
        let mut failed = Ok(());
        for chunk in ids.chunks(KICK_CHUNK) {
            if failed.is_ok() {
                let begun = self.shared.context.clock.monotonic();
                failed = self.call(Operation::Kick, self.client.kick(chunk)).await;
                if failed.is_ok() {
                    let now = self.shared.now();
                    let known = {
                        let mut state = self.shared.state();
                        if self.cancel.is_cancelled() {
                            // Another node may have the name by now, and has acknowledged nothing.
                            return Ok(());
                        }
                        state.revocations.kicked(&self.name, chunk, begun, now)
                    };
                    self.shared.context.complete(known);
                    continue;
                }
            }
            self.shared.state().revocations.kick_failed(&self.name, chunk.to_vec());
        }
        failed
    }

    async fn looks(&self) {
        let interval = self.shared.context.poll_interval;
        let mut backoff = Backoff::new(BACKOFF.0, BACKOFF.1);
        let mut pace = FASTEST_LOOK;
        let mut given_up = false;
        loop {
            let begun = self.shared.context.clock.monotonic();
            let mut wanted = false;
            let answer = {
                let mut call = pin!(self.call(Operation::Online, self.client.online()));
                let overtaken = async {
                    self.look_wanted.notified().await;
                    wanted = true;
                    sleep(STALE_LOOK_TIMEOUT).await;
                };
                tokio::select! {
                    answer = &mut call => Some(answer),
                    // Never twice in a row, or a stream of denials would keep every look from ending.
                    () = overtaken, if !given_up => None,
                }
            };
            given_up = answer.is_none();
            let next = match answer {
                None => continue,
                Some(Err(error)) => {
                    sleep(wait(&mut backoff, &error)).await;
                    continue;
                }
                Some(Ok(online)) => {
                    backoff.reset();
                    if self.looked(begun, &online) { pace } else { interval }
                }
            };
            pace = if next == interval {
                FASTEST_LOOK
            } else {
                pace.mul_f32(1.5).min(interval)
            };
            if wanted {
                pace = FASTEST_LOOK;
                continue;
            }
            tokio::select! {
                () = sleep(next.min(interval)) => {}
                () = self.look_wanted.notified() => pace = FASTEST_LOOK,
            }
        }
    }

    /// Takes a look. Answers whether the next one is urgent.
    fn looked(&self, begun: Instant, online: &HashMap<String, u32>) -> bool {
        let context = &self.shared.context;
        let answered = context.clock.monotonic();
        if self.cancel.is_cancelled() {
            return false;
        }
        // First: what the ledger says of the node rests on this look as well.
        context.ledger.observed(&self.name, begun, online);
        let doubt = context.ledger.doubt(&self.name);
        let strangers = online.iter().filter_map(|(id, connections)| {
            let standing = context.ledger.standing(&self.name, id);
            (standing != Standing::Permitted && *connections > 0).then(|| Stranger {
                id: id.clone(),
                connections: *connections,
                standing,
            })
        });
        let strangers = strangers.collect();
        // The ledger is never asked while the state is locked: it may be locked itself while it hands over a cut.
        let waiting = self.shared.state().revocations.waiting(&self.name);
        let mut missed = HashSet::new();
        let mut last_yes = HashMap::with_capacity(waiting.len());
        for (account, below) in waiting {
            if context.ledger.misses(&self.name, &account, below) {
                missed.insert(account.clone());
            }
            let yes = context.ledger.last_yes(&account);
            last_yes.insert(account, yes);
        }
        let misses = (!missed.is_empty()).then(|| NEVER_SHOWN.to_owned());
        let (unwaited, missed): (HashSet<_>, HashSet<_>) = {
            let state = self.shared.state();
            missed.into_iter().partition(|account| state.is_leaving(account))
        };
        let look = Look {
            begun,
            answered,
            strangers,
            last_yes,
            doubted: doubt.is_some(),
            missed,
            unwaited,
        };
        let counted = Online::count(online);
        let (known, urgent, due, counters) = {
            let now = self.shared.now();
            let mut state = self.shared.state();
            if self.cancel.is_cancelled() {
                return false;
            }
            let known = state.looked(&self.name, &look, counted, now);
            let revocations = &state.revocations;
            (
                known,
                revocations.is_urgent(&self.name),
                revocations.has_due(&self.name),
                revocations.wants_counters(&self.name),
            )
        };
        self.note_least_left(online);
        self.note(Operation::Identity, doubt.map(|doubt| doubt.to_string()).or(misses));
        self.note_effect();
        if due {
            self.kick_wanted.notify_one();
        }
        if counters {
            self.counters_wanted.notify_one();
        }
        self.shared.context.complete(known);
        urgent
    }

    /// Looks whether sessions that are held down have moved.
    fn counted(&self, begun: Instant, counters: &HashMap<String, (u64, u64)>) {
        let now = self.shared.now();
        let reading = Reading {
            begun,
            answered: now.at,
            counters,
        };
        let (known, defiant) = {
            let mut state = self.shared.state();
            if self.cancel.is_cancelled() {
                return;
            }
            state.revocations.counted(&self.name, &reading, now)
        };
        for _ in 0..defiant {
            (self.shared.context.meter)(&Call {
                node: &self.name,
                operation: Operation::Kick.as_str(),
                outcome: WITHOUT_EFFECT,
                took: Duration::ZERO,
            });
        }
        if defiant > 0 {
            self.note_effect();
            self.kick_wanted.notify_one();
        }
        self.shared.context.complete(known);
    }

    /// Says whether the node's kicks do what they should.
    fn note_effect(&self) {
        let defied = self.shared.state().revocations.is_defied(&self.name);
        self.note(Operation::Effect, defied.then(|| KICK_WITHOUT_EFFECT.to_owned()));
    }

    async fn traffic(&self) {
        let context = &self.shared.context;
        let mut meter = None;
        let mut backoff = Backoff::new(BACKOFF.0, BACKOFF.1);
        let mut logins = context.ledger.logins_near_limits();
        let mut login_at: Option<Instant> = None;
        let mut last_read: Option<Instant> = None;
        loop {
            let begun = context.clock.monotonic();
            match self.call(Operation::Traffic, self.client.traffic()).await {
                Ok(counters) => {
                    backoff.reset();
                    self.counted(begun, &counters);
                    meter = meter.or_else(|| context.usage.baseline(&self.name).map(UsageMeter::new));
                    let mut moved = Vec::new();
                    if let Some(change) = meter.as_mut().and_then(|meter| meter.read(&counters)) {
                        let bytes = |delta: &UsageDelta| delta.upload.saturating_add(delta.download);
                        moved = change
                            .deltas
                            .iter()
                            .map(|delta| (delta.account.clone(), bytes(delta)))
                            .collect();
                        context
                            .usage
                            .account(&self.name, change.deltas, change.changed, change.reset);
                    }
                    let elapsed = last_read.map(|last| begun.saturating_duration_since(last));
                    last_read = Some(begun);
                    let pace = Pace {
                        interval: context.poll_interval,
                        took: context.clock.monotonic().saturating_duration_since(begun),
                        after_login: login_at
                            .is_some_and(|at| begun.saturating_duration_since(at) < context.poll_interval),
                    };
                    tokio::select! {
                        () = sleep(pace.wait(self.limited(&moved, elapsed).into_iter())) => {}
                        // Never ends when nobody counts.
                        Ok(()) = logins.changed() => {
                            login_at = Some(context.clock.monotonic());
                            sleep(pace.floor()).await;
                        }
                        () = self.counters_wanted.notified() => {}
                    }
                }
                Err(error) => sleep(wait(&mut backoff, &error)).await,
            }
        }
    }

    /// Who has a limit, of those that moved bytes and of those that are online. The ledger knows by now what was moved.
    fn limited(&self, moved: &[(String, u64)], elapsed: Option<Duration>) -> Vec<Limited> {
        let seconds = elapsed.map_or(0.0, |elapsed| elapsed.as_secs_f64());
        let of = |(account, bytes): &(String, u64)| {
            let remaining = self.shared.context.ledger.remaining(account)?;
            let nodes = self.shared.state().nodes_showing(account);
            #[expect(clippy::cast_precision_loss, reason = "a speed is estimated")]
            let rate = if seconds > 0.0 {
                *bytes as f64 / seconds * nodes as f64
            } else {
                0.0
            };
            // Who has nothing left is cut already.
            (remaining > 0).then_some(Limited { remaining, rate })
        };
        let least = self.least_left.load(Ordering::Relaxed);
        let silent = Limited {
            remaining: least,
            rate: 0.0,
        };
        let silent = (0 < least && least < u64::MAX).then_some(silent);
        moved.iter().filter_map(of).chain(silent).collect()
    }

    fn note_least_left(&self, online: &HashMap<String, u32>) {
        let ledger = &self.shared.context.ledger;
        let sessions = online.keys().filter_map(|id| SessionId::parse(id));
        let left = sessions
            .filter_map(|session| ledger.remaining(session.account))
            .filter(|left| *left > 0);
        self.least_left.store(left.min().unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Makes a call and remembers how it ended.
    async fn call<T>(
        &self,
        operation: Operation,
        call: impl Future<Output = Result<T, StatsError>>,
    ) -> Result<T, StatsError> {
        let begun = Instant::now();
        let answer = call.await;
        if let Err(StatsError::Fenced(_)) = &answer {
            // No call was made, and it says nothing about the node.
            return answer;
        }
        (self.shared.context.meter)(&Call {
            node: &self.name,
            operation: operation.as_str(),
            outcome: answer.as_ref().err().map_or("ok", StatsError::category),
            took: begun.elapsed(),
        });
        self.note(operation, answer.as_ref().err().map(ToString::to_string));
        answer
    }

    /// Remembers what is wrong with the node, and says it once.
    fn note(&self, operation: Operation, error: Option<String>) {
        let said = error.clone();
        let changed = self.shared.state().called(&self.name, operation, error);
        match said {
            Some(error) if changed => {
                tracing::warn!(node = %self.name, operation = operation.as_str(), %error, "a node does not answer as it should");
            }
            None if changed => {
                tracing::info!(node = %self.name, operation = operation.as_str(), "the node answers again");
            }
            _ => {}
        }
    }
}

pub(super) fn wait(backoff: &mut Backoff, error: &StatsError) -> Duration {
    if error.is_retryable() {
        backoff.wait()
    } else {
        backoff.longest()
    }
}
