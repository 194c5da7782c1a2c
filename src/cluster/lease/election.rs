//! The calls of an election, and the task that renews.

use std::{fmt, time::Duration};

use k8s_openapi::api::coordination::v1::Lease;
use kube::{
    Api, Client,
    api::{ObjectMeta, PostParams},
    core::Status,
};
use tokio::{
    task::JoinHandle,
    time::{Instant, sleep, sleep_until, timeout},
};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{
    Times,
    candidate::{Candidate, Step},
    record,
};
use crate::{
    clock::SharedClock,
    fence::{Fence, FenceKeeper},
};

/// Calls in one attempt: read, write, and both once more after a conflict.
const CALLS: usize = 4;
/// How often the fence is looked at by who waits for its end: tokio's timers stand still while the machine sleeps.
const GLANCE: Duration = Duration::from_millis(500);

/// Why an attempt failed.
#[derive(Debug, thiserror::Error)]
enum LeaseError {
    #[error("the API server did not answer within {0:?}")]
    Timeout(Duration),
    #[error("the API server refused: {0}; the role needs get, create and update of leases in this namespace")]
    Forbidden(String),
    #[error("{0}")]
    Api(#[source] kube::Error),
}

impl From<kube::Error> for LeaseError {
    fn from(error: kube::Error) -> Self {
        match error {
            kube::Error::Api(status) if status.is_forbidden() => Self::Forbidden(status.message),
            error => Self::Api(error),
        }
    }
}

/// A process that wants the lease.
pub struct Election {
    api: Api<Lease>,
    name: String,
    times: Times,
    clock: SharedClock,
    candidate: Candidate,
    /// The lease as seen last, with what others wrote into it.
    lease: Lease,
    /// The holder that was logged last.
    logged: Option<String>,
}

impl fmt::Debug for Election {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Election")
            .field("name", &self.name)
            .field("candidate", &self.candidate)
            .finish_non_exhaustive()
    }
}

impl Election {
    /// A candidate for the lease `name`. Nothing is sent yet. `identity` must be no other process's: see [`super::identity`].
    #[must_use]
    pub fn new(
        client: Client,
        namespace: &str,
        name: &str,
        identity: String,
        times: Times,
        clock: SharedClock,
    ) -> Self {
        Self {
            api: Api::namespaced(client, namespace),
            name: name.to_owned(),
            times,
            clock,
            candidate: Candidate::new(identity, times),
            lease: Lease {
                metadata: ObjectMeta {
                    name: Some(name.to_owned()),
                    ..ObjectMeta::default()
                },
                ..Lease::default()
            },
            logged: None,
        }
    }

    /// Waits until the lease is this process's. Every failure is logged and tried again. `None` when cancelled.
    pub async fn acquire(mut self, cancel: &CancellationToken) -> Option<Leadership> {
        let mut failing = None;
        loop {
            let begun = Instant::now();
            let Some(attempt) = cancel.run_until_cancelled(self.attempt()).await else {
                // A write may have been under way: nobody is to wait for a process that goes.
                self.give_back().await;
                return None;
            };
            match attempt {
                Ok(_) => failing = None,
                Err(error) => {
                    let message = error.to_string();
                    if failing.as_ref() != Some(&message) {
                        tracing::warn!(lease = self.name, "the lease cannot be acquired: {message}; trying on");
                        failing = Some(message);
                    }
                }
            }
            if let Some(until) = self.candidate.held_until() {
                tracing::info!(
                    lease = self.name,
                    identity = self.candidate.identity(),
                    "this process holds the lease"
                );
                return Some(Leadership::begin(self, until));
            }
            self.log_holder();
            // Cancelled here, the next attempt is what notices.
            let pause = sleep_until(begun + jittered(self.times.retry));
            let _: Option<()> = cancel.run_until_cancelled(pause).await;
        }
    }

    /// Renews until the lease is lost or `stop`. The keeper is dropped at the end of it, however it ends.
    async fn hold(
        mut self,
        keeper: FenceKeeper,
        fence: Fence,
        lost: CancellationToken,
        stop: CancellationToken,
    ) -> Self {
        let mut begun = Instant::now();
        loop {
            let next = begun + jittered(self.times.retry);
            if stop.run_until_cancelled(sleep_until(next)).await.is_none() {
                break;
            }
            begun = Instant::now();
            // Not beyond the deadline: the next step finds that it is past.
            let attempt = timeout(fence.remaining(), self.attempt());
            match stop.run_until_cancelled(attempt).await {
                None => break,
                Some(Ok(Ok(Step::Lost(loss)))) => {
                    tracing::error!(
                        lease = self.name,
                        "this process has lost the lease and stops acting: {loss}"
                    );
                    drop(keeper);
                    lost.cancel();
                    return self;
                }
                Some(Ok(Err(error))) => {
                    tracing::warn!(lease = self.name, left = ?fence.remaining(), "the lease was not renewed: {error}");
                }
                Some(Ok(Ok(_)) | Err(_)) => {}
            }
            if let Some(until) = self.candidate.held_until() {
                keeper.open_until(until);
            }
        }
        drop(keeper);
        self
    }

    /// Gives the lease back, if it is or may be this process's, so that a successor need not wait for it to expire.
    async fn give_back(&mut self) {
        self.candidate.resign();
        let deadline = self.request_timeout() * 2;
        let resigned = timeout(deadline, async {
            loop {
                if let Err(error) = self.attempt().await {
                    tracing::debug!(lease = self.name, %error, "the lease was not given back yet");
                }
                if !self.candidate.may_hold() {
                    return;
                }
                sleep(self.times.retry / 4).await;
            }
        });
        if resigned.await.is_err() {
            tracing::warn!(
                lease = self.name,
                "the lease could not be given back: a successor waits {} seconds for it to expire",
                self.times.duration.as_secs()
            );
        }
    }

    /// Asks and writes until there is nothing more to be done for now. Answers the last step. May be dropped at any point.
    async fn attempt(&mut self) -> Result<Step, LeaseError> {
        for _ in 0..CALLS {
            let begun = self.clock.since_boot();
            let step = self.candidate.next(begun, self.clock.now());
            match step {
                Step::Wait | Step::Lost(_) | Step::Resigned => return Ok(step),
                Step::Read => {
                    let read = self.bounded(self.api.get_opt(&self.name)).await?;
                    self.saw(read);
                }
                Step::Create(ref wanted) => {
                    let mut lease = self.lease.clone();
                    lease.metadata = ObjectMeta {
                        name: Some(self.name.clone()),
                        labels: lease.metadata.labels,
                        annotations: lease.metadata.annotations,
                        ..ObjectMeta::default()
                    };
                    record::write(&mut lease, wanted.clone());
                    let written = self.bounded(self.api.create(&PostParams::default(), &lease)).await;
                    if self.wrote(written, begun, Status::is_already_exists)? {
                        return Ok(step);
                    }
                }
                Step::Replace(ref wanted, ref version) => {
                    let mut lease = self.lease.clone();
                    lease.metadata.resource_version = Some(version.clone());
                    record::write(&mut lease, wanted.clone());
                    let written = self
                        .bounded(self.api.replace(&self.name, &PostParams::default(), &lease))
                        .await;
                    let raced = |status: &Status| status.is_conflict() || status.is_not_found();
                    if self.wrote(written, begun, raced)? {
                        return Ok(step);
                    }
                }
            }
        }
        Ok(Step::Wait)
    }

    fn saw(&mut self, lease: Option<Lease>) {
        self.candidate
            .read(lease.as_ref().map(record::seen), self.clock.since_boot());
        if let Some(lease) = lease {
            self.lease = lease;
        }
    }

    /// Takes the answer to a write. `false` when somebody else was faster.
    fn wrote(
        &mut self,
        written: Result<Lease, LeaseError>,
        begun: Duration,
        raced: impl Fn(&Status) -> bool,
    ) -> Result<bool, LeaseError> {
        match written {
            Ok(lease) => {
                self.candidate
                    .wrote(record::seen(&lease), begun, self.clock.since_boot());
                self.lease = lease;
                Ok(true)
            }
            Err(LeaseError::Api(kube::Error::Api(status))) if raced(&status) => {
                self.candidate.conflicted();
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    /// The client tries 429 and 503 again for minutes, and waits for an answer for ever.
    async fn bounded<T>(&self, call: impl Future<Output = kube::Result<T>>) -> Result<T, LeaseError> {
        let limit = self.request_timeout();
        timeout(limit, call)
            .await
            .map_err(|_| LeaseError::Timeout(limit))?
            .map_err(LeaseError::from)
    }

    /// So that three calls in a row may go unanswered before the deadline passes.
    fn request_timeout(&self) -> Duration {
        self.times.renew_deadline.mul_f32(0.3)
    }

    fn log_holder(&mut self) {
        let holder = self.candidate.holder();
        if holder != self.logged.as_deref() {
            if let Some(holder) = holder {
                tracing::info!(lease = self.name, holder, "another process holds the lease; waiting");
            }
            self.logged = holder.map(ToOwned::to_owned);
        }
    }
}

/// The lease is this process's, until it is lost. Dropping this ends the renewals and closes the fence.
#[derive(Debug)]
pub struct Leadership {
    fence: Fence,
    lost: CancellationToken,
    stop: DropGuard,
    renewals: JoinHandle<Election>,
}

impl Leadership {
    fn begin(election: Election, until: Duration) -> Self {
        let (keeper, fence) = Fence::closed(election.clock.clone());
        keeper.open_until(until);
        let (lost, stop) = (CancellationToken::new(), CancellationToken::new());
        let renewals = tokio::spawn(election.hold(keeper, fence.clone(), lost.clone(), stop.clone()));
        Self {
            fence,
            lost,
            stop: stop.drop_guard(),
            renewals,
        }
    }

    /// Open while this process may act.
    #[must_use]
    pub fn fence(&self) -> Fence {
        self.fence.clone()
    }

    /// Whether this process may act now.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.fence.is_open()
    }

    /// Resolves when the lease is lost: taken away, not renewed before the deadline, or the renewals ended. For good.
    pub fn lost(&self) -> impl Future<Output = ()> + Send + use<> {
        let (fence, lost) = (self.fence.clone(), self.lost.clone());
        async move {
            let closed = async {
                while fence.is_open() {
                    sleep(fence.remaining().min(GLANCE)).await;
                }
            };
            let _: Option<()> = lost.run_until_cancelled(closed).await;
        }
    }

    /// Closes the fence, joins the renewals and gives the lease back: a successor may act at once. To be called when
    /// nothing is under way any more that only the holder may do; also after the lease was lost. Takes a few seconds at most.
    pub async fn release(self) {
        drop(self.stop);
        match self.renewals.await {
            Ok(mut election) => election.give_back().await,
            Err(error) => tracing::error!(%error, "the renewals of the lease failed: report this"),
        }
    }
}

/// Up to a fifth more or less, so that candidates do not come in step.
fn jittered(pause: Duration) -> Duration {
    let random = f64::from(getrandom::u32().unwrap_or(u32::MAX / 2)) / f64::from(u32::MAX);
    pause.mul_f64(0.8 + 0.4 * random)
}

#[cfg(test)]
#[path = "election_tests.rs"]
mod tests;
