//! What is counted about backups.

use jiff::Timestamp;
use prometheus_client::{metrics::gauge::Gauge, registry::Registry};

use super::Metrics;

/// Gauges of backups.
#[derive(Debug)]
pub(super) struct BackupMetrics {
    last_success: Gauge,
    failed: Gauge,
    overdue: Gauge,
}

impl BackupMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            last_success: Gauge::default(),
            failed: Gauge::default(),
            overdue: Gauge::default(),
        };
        registry.register(
            "backup_last_success_timestamp_seconds",
            "When the last good backup was taken, in seconds since 1970; 0 when none is known or none are planned",
            metrics.last_success.clone(),
        );
        registry.register(
            "backup_attempts_failed",
            "Backups that this process could not take",
            metrics.failed.clone(),
        );
        registry.register(
            "backup_overdue",
            "Whether the last backup failed, or the last good one is older than planned by half",
            metrics.overdue.clone(),
        );
        metrics
    }
}

impl Metrics {
    /// When the last good backup was taken, how many this process could not take, and whether one is missing.
    pub fn backups(&self, last: Option<Timestamp>, failures: u64, overdue: bool) {
        let backups = &self.backups;
        backups.last_success.set(last.map_or(0, Timestamp::as_second));
        backups.failed.set(i64::try_from(failures).unwrap_or(i64::MAX));
        backups.overdue.set(overdue.into());
    }
}
