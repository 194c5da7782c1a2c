//! Backups of the running operator, and what readiness and metrics say of them.

use std::{sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;

use crate::{
    access::{Check, ProcessChecks},
    backup::{Backups, CopyOwned, Plan, Source},
    clock::SharedClock,
    config::Config,
    metrics::Metrics,
    verdicts::{GUARD_FILE, VerdictStore},
};

/// How often gauges are set.
const GAUGES: Duration = Duration::from_secs(5);

/// The backups of this process, as the settings say; `None` when none are planned.
pub fn planned(config: &Config, verdicts: &Arc<VerdictStore>, clock: &SharedClock) -> Option<Arc<Backups>> {
    let (folder, every, keep) = config.backup.plan()?;
    let verdicts = Arc::clone(verdicts);
    // No other process, and no other connection, can read this one while it is in use.
    let copy: CopyOwned = Arc::new(move |target| verdicts.backup_to(target));
    let source = Source {
        data: config.state.data_dir.clone(),
        owned: vec![(GUARD_FILE, copy)],
    };
    let plan = Plan { folder, every, keep };
    Some(Arc::new(Backups::new(plan, source, Arc::clone(clock))))
}

/// What the process checks, and backups.
pub fn checks(backups: Option<&Arc<Backups>>, process: &ProcessChecks, clock: &SharedClock) -> ProcessChecks {
    let (process, clock) = (Arc::clone(process), Arc::clone(clock));
    let Some(backups) = backups.cloned() else {
        return process;
    };
    Arc::new(move || {
        let mut checks = process();
        checks.push(check(&backups, &clock));
        checks
    })
}

/// Takes backups until `cancel`.
pub async fn run(backups: Arc<Backups>, metrics: Arc<Metrics>, clock: SharedClock, cancel: CancellationToken) {
    let gauges = async {
        let mut tick = tokio::time::interval(GAUGES);
        while cancel.run_until_cancelled(tick.tick()).await.is_some() {
            let health = backups.health();
            let overdue = health.failing.is_some() || health.is_overdue(backups.plan(), clock.now());
            metrics.backups(health.last, health.failures, overdue);
        }
    };
    tokio::join!(backups.run(cancel.clone()), gauges);
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
