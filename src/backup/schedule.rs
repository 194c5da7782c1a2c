//! Backups in the background.

use std::{
    fmt,
    path::PathBuf,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use tokio_util::sync::CancellationToken;

use super::{
    error::BackupError,
    manifest::Manifest,
    rotate::{list, rotate},
    take::{Source, take},
};
use crate::clock::SharedClock;

/// Longest pause before a backup that failed is tried again, and between two looks at the clock.
const PAUSE: Duration = Duration::from_secs(60);

/// Where backups go, how often, and how many are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Folder that holds a folder for each.
    pub folder: PathBuf,
    /// From one to the next.
    pub every: Duration,
    /// The latest so many are kept.
    pub keep: usize,
}

/// How backups go, for metrics and readiness.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BackupHealth {
    /// When the last good one was taken, by whichever process.
    pub last: Option<Timestamp>,
    /// Attempts that failed in this process.
    pub failures: u64,
    /// Why the last attempt failed, until one succeeds.
    pub failing: Option<String>,
}

impl BackupHealth {
    /// Whether the last good one is older than it should be by more than half.
    #[must_use]
    pub fn is_overdue(&self, plan: &Plan, now: Timestamp) -> bool {
        let every = SignedDuration::try_from(plan.every).unwrap_or(SignedDuration::MAX);
        let allowed = every.saturating_add(every / 2);
        self.last.is_some_and(|last| now.duration_since(last) > allowed)
    }
}

/// Takes backups as planned.
pub struct Backups {
    plan: Plan,
    source: Source,
    clock: SharedClock,
    health: Mutex<BackupHealth>,
    /// One is taken at a time.
    turn: tokio::sync::Mutex<()>,
}

impl fmt::Debug for Backups {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Backups")
            .field("plan", &self.plan)
            .finish_non_exhaustive()
    }
}

impl Backups {
    /// Backups of this source. Looks at what is in the folder already.
    #[must_use]
    pub fn new(plan: Plan, source: Source, clock: SharedClock) -> Self {
        let last = list(&plan.folder)
            .ok()
            .and_then(|found| found.last().map(|(at, _)| *at));
        Self {
            plan,
            source,
            clock,
            health: Mutex::new(BackupHealth {
                last,
                ..BackupHealth::default()
            }),
            turn: tokio::sync::Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, BackupHealth> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How backups go.
    #[must_use]
    pub fn health(&self) -> BackupHealth {
        self.lock().clone()
    }

    /// What is planned.
    #[must_use]
    pub const fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Takes one now, and removes those that are too many. Answers its folder and what is in it.
    ///
    /// # Errors
    /// None was taken, and none was removed.
    pub async fn take(&self) -> Result<(PathBuf, Manifest), BackupError> {
        let _turn = self.turn.lock().await;
        let now = self.clock.now();
        match take(&self.source, &self.plan.folder, now).await {
            Ok((folder, manifest)) => {
                tracing::info!(folder = %folder.display(), bytes = manifest.size(), "a backup was taken and checked");
                {
                    let mut health = self.lock();
                    health.last = Some(now);
                    health.failing = None;
                }
                if let Err(error) = rotate(&self.plan.folder, self.plan.keep) {
                    tracing::warn!(%error, "a backup that is too old could not be removed");
                }
                Ok((folder, manifest))
            }
            Err(error) => {
                tracing::error!(%error, "no backup could be taken");
                let mut health = self.lock();
                health.failures += 1;
                health.failing = Some(error.to_string());
                Err(error)
            }
        }
    }

    /// Takes backups until `cancel`: the first at once when the last one is older than planned.
    pub async fn run(&self, cancel: CancellationToken) {
        let mut failed = false;
        loop {
            let due = self.pause(failed);
            let slept = tokio::time::sleep(due.min(PAUSE));
            if cancel.run_until_cancelled(slept).await.is_none() {
                return;
            }
            if due <= PAUSE {
                let taken = cancel.run_until_cancelled(self.take()).await;
                failed = matches!(taken, Some(Err(_)));
            }
        }
    }

    /// How long to wait, by the wall clock: a machine may sleep.
    fn pause(&self, failed: bool) -> Duration {
        if failed {
            return self.plan.every.min(PAUSE);
        }
        let Some(last) = self.lock().last else {
            return Duration::ZERO;
        };
        let since = self.clock.now().duration_since(last);
        // A clock that was set back must not put the next one off.
        let since = Duration::try_from(since).unwrap_or(self.plan.every);
        self.plan.every.saturating_sub(since)
    }
}
