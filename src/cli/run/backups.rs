//! Backups of the running operator, and what readiness and metrics say of them.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use tokio_util::sync::CancellationToken;

use crate::{
    access::{Check, ProcessChecks},
    backup::{Backups, CopyOwned, Plan, Source},
    clock::SharedClock,
    config::Config,
    metrics::Metrics,
    sqlite::Fault,
    verdicts::{GUARD_FILE, VerdictStore},
};

/// How often gauges are set.
const GAUGES: Duration = Duration::from_secs(5);

/// The backups of this process; none when none are planned.
pub struct Scheduled {
    backups: Option<Arc<Backups>>,
    verdicts: Arc<OnceLock<Arc<VerdictStore>>>,
    clock: SharedClock,
}

impl Scheduled {
    /// As the settings say. The guard's store is given later.
    pub fn new(config: &Config, clock: &SharedClock) -> Self {
        let verdicts: Arc<OnceLock<Arc<VerdictStore>>> = Arc::default();
        let known = Arc::clone(&verdicts);
        // No other process, and no other connection, can read this one while it is in use.
        let copy: CopyOwned = Arc::new(move |target| {
            let store = known.get();
            let store = store.ok_or_else(|| Fault::Unavailable("the guard's store is not open yet".to_owned()))?;
            store.backup_to(target)
        });
        let backups = config.backup.plan().map(|(folder, every, keep)| {
            let source = Source {
                data: config.state.data_dir.clone(),
                owned: vec![(GUARD_FILE, copy)],
            };
            Arc::new(Backups::new(Plan { folder, every, keep }, source, Arc::clone(clock)))
        });
        Self {
            backups,
            verdicts,
            clock: Arc::clone(clock),
        }
    }

    /// What the process checks, and backups.
    pub fn checks(&self, process: ProcessChecks) -> ProcessChecks {
        let (backups, clock) = (self.backups.clone(), Arc::clone(&self.clock));
        let Some(backups) = backups else { return process };
        Arc::new(move || {
            let mut checks = process();
            checks.push(check(&backups, &clock));
            checks
        })
    }

    /// Takes backups until `cancel`.
    pub fn run(
        self,
        verdicts: &Arc<VerdictStore>,
        metrics: Arc<Metrics>,
        cancel: CancellationToken,
    ) -> Option<impl Future<Output = ()> + Send + use<>> {
        let _ = self.verdicts.set(Arc::clone(verdicts));
        let (backups, clock) = (self.backups?, self.clock);
        Some(async move {
            let gauges = async {
                let mut tick = tokio::time::interval(GAUGES);
                while cancel.run_until_cancelled(tick.tick()).await.is_some() {
                    let health = backups.health();
                    let overdue = health.failing.is_some() || health.is_overdue(backups.plan(), clock.now());
                    metrics.backups(health.last, health.failures, overdue);
                }
            };
            tokio::join!(backups.run(cancel.clone()), gauges);
        })
    }
}

fn check(backups: &Backups, clock: &SharedClock) -> Check {
    let (health, plan) = (backups.health(), backups.plan());
    let mut details: Vec<String> = health.failing.iter().cloned().collect();
    if health.is_overdue(plan, clock.now()) {
        details.push("the last good backup is older than it should be".to_owned());
    }
    let last = health.last.map_or_else(|| "none yet".to_owned(), |at| at.to_string());
    let note = format!(
        "last good one: {last}; every {:?}, {} are kept in {}",
        plan.every,
        plan.keep,
        plan.folder.display()
    );
    let advice =
        "what happens to the disk now costs what was recorded since: look at BACKUP_DIR, its room and its owner";
    Check::warns_with("backups", details, advice).note(note)
}
