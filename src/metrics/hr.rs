//! What is counted of events of the HR system.

use std::time::Duration;

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

use super::Metrics;

/// Words of this program alone: what a sender wrote is no label.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReceivedLabels {
    state: &'static str,
    event_type: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CauseLabels {
    cause: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StateLabels {
    state: &'static str,
}

#[derive(Debug, Default)]
pub(super) struct HrMetrics {
    received: Family<ReceivedLabels, Counter>,
    repeated: Counter,
    refused: Family<CauseLabels, Counter>,
    waiting: Family<StateLabels, Gauge>,
    oldest: Gauge,
}

impl HrMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register(
            "hr_events",
            "Events of the HR system that were kept, by how they were answered",
            metrics.received.clone(),
        );
        registry.register(
            "hr_events_repeated",
            "Events of the HR system that were there already",
            metrics.repeated.clone(),
        );
        registry.register(
            "hr_events_refused",
            "Requests to the webhook that were refused, and not kept",
            metrics.refused.clone(),
        );
        registry.register(
            "hr_events_waiting",
            "Events of the HR system that are not carried out",
            metrics.waiting.clone(),
        );
        registry.register(
            "hr_events_oldest_pending_seconds",
            "How long the oldest event waits that was to be carried out by now; 0 when none does",
            metrics.oldest.clone(),
        );
        metrics
    }
}

impl Metrics {
    /// Counts an event that was kept: how it was answered, and its type, which is a word of this program.
    pub fn hr_received(&self, state: &'static str, event_type: &'static str) {
        let labels = ReceivedLabels { state, event_type };
        self.hr.received.get_or_create(&labels).inc();
    }

    /// Counts an event that was there already.
    pub fn hr_repeated(&self) {
        self.hr.repeated.inc();
    }

    /// Counts a request that was refused.
    pub fn hr_refused(&self, cause: &'static str) {
        self.hr.refused.get_or_create(&CauseLabels { cause }).inc();
    }

    /// How many events wait in each state, and how long the oldest does that was to be carried out by now.
    pub fn hr_waiting(&self, counts: &[(&'static str, u64)], oldest: Duration) {
        for (state, count) in counts {
            let gauge = self.hr.waiting.get_or_create(&StateLabels { state });
            gauge.set(i64::try_from(*count).unwrap_or(i64::MAX));
        }
        self.hr.oldest.set(i64::try_from(oldest.as_secs()).unwrap_or(i64::MAX));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_counted_by_answer_and_what_waits_is_shown() {
        let metrics = Metrics::new();
        metrics.hr_received("processed", "user_deactivated");
        metrics.hr_repeated();
        metrics.hr_refused("wrong");
        metrics.hr_waiting(&[("pending", 3), ("failed", 0)], Duration::from_secs(61));
        let text = metrics.encode();
        for line in [
            "vpn_operator_hr_events_total{state=\"processed\",event_type=\"user_deactivated\"} 1\n",
            "vpn_operator_hr_events_repeated_total 1\n",
            "vpn_operator_hr_events_refused_total{cause=\"wrong\"} 1\n",
            "vpn_operator_hr_events_waiting{state=\"pending\"} 3\n",
            "vpn_operator_hr_events_waiting{state=\"failed\"} 0\n",
            "vpn_operator_hr_events_oldest_pending_seconds 61\n",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
    }
}
