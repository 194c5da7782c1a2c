//! The audit.

use prometheus_client::{metrics::gauge::Gauge, registry::Registry};

use super::Metrics;

/// What is shown of the audit.
#[derive(Debug, Default)]
pub(super) struct AuditMetrics {
    intact: Gauge,
    head: Gauge,
}

impl AuditMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register(
            "audit_intact",
            "Whether nothing speaks against the audit (1), or somebody has to look at it (0)",
            metrics.intact.clone(),
        );
        registry.register(
            "audit_head",
            "Number of the last audit row that was published outside of the database",
            metrics.head.clone(),
        );
        metrics
    }
}

impl Metrics {
    /// Whether nothing speaks against the audit, and the number of the row that was published last.
    pub fn audit(&self, intact: bool, head: i64) {
        self.audit.intact.set(intact.into());
        self.audit.head.set(head);
    }
}
