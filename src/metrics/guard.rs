//! What is counted of the guard, and of the orders that it never holds back.

use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue},
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

use super::{Metrics, int, show};
use crate::model::guard::BudgetReport;

/// Who gave an order. Sources are free to choose, and a label is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
pub enum OrderSource {
    /// Callers of the HTTP API that say nothing else.
    Api,
    /// The command line.
    Cli,
    /// A bot.
    Bot,
    /// Any other source, a help desk for example.
    Other,
}

impl OrderSource {
    /// Every kind of source.
    pub const ALL: [Self; 4] = [Self::Api, Self::Cli, Self::Bot, Self::Other];

    /// The kind of the source of a hold, or of a request.
    #[must_use]
    pub fn of(source: &str) -> Self {
        match source {
            "api" => Self::Api,
            "cli" => Self::Cli,
            "bot" => Self::Bot,
            _ => Self::Other,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct BudgetLabels {
    budget: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OrderLabels {
    source: OrderSource,
}

#[derive(Debug, Default)]
pub(super) struct GuardMetrics {
    pending: Family<BudgetLabels, Gauge>,
    limit: Family<BudgetLabels, Gauge>,
    used: Family<BudgetLabels, Gauge>,
    store_failing: Gauge,
    orders: Family<OrderLabels, Counter>,
    orders_recent: Gauge,
}

impl GuardMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register(
            "guard_pending",
            "Denials and lost holds that wait for a person",
            metrics.pending.clone(),
        );
        registry.register(
            "guard_limit",
            "People who may lose access within the window without a person; absent where the guard is off",
            metrics.limit.clone(),
        );
        registry.register(
            "guard_used",
            "People who count against the limit at present",
            metrics.used.clone(),
        );
        registry.register(
            "guard_store_failing",
            "Whether what the guard decides cannot be kept (1) or can (0)",
            metrics.store_failing.clone(),
        );
        // An alert on an increase needs the number before it.
        for source in OrderSource::ALL {
            let _ = metrics.orders.get_or_create_owned(&OrderLabels { source });
        }
        registry.register("orders", "Denials that somebody ordered", metrics.orders.clone());
        registry.register(
            "orders_recent",
            "People whom orders denied within the window of the guard",
            metrics.orders_recent.clone(),
        );
        metrics
    }
}

impl Metrics {
    /// What each budget holds back, allows, and has used.
    pub fn guard(&self, reports: &[BudgetReport]) {
        for report in reports {
            let labels = BudgetLabels {
                budget: report.budget.as_str(),
            };
            self.guard.pending.get_or_create(&labels).set(int(report.waiting));
            self.guard.used.get_or_create(&labels).set(int(report.used));
            show(&self.guard.limit, &labels, report.limit.map(int));
        }
    }

    /// Whether what the guard decides cannot be kept at present.
    pub fn guard_store_failing(&self, failing: bool) {
        self.guard.store_failing.set(failing.into());
    }

    /// Counts an order.
    pub fn order(&self, source: OrderSource) {
        self.guard.orders.get_or_create(&OrderLabels { source }).inc();
    }

    /// How many people orders denied within the window of the guard.
    pub fn orders_recent(&self, people: usize) {
        self.guard.orders_recent.set(int(people));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::guard::Budget;

    #[test]
    fn every_budget_is_shown_and_one_that_is_off_has_no_limit() {
        let metrics = Metrics::new();
        let report = |budget, limit| BudgetReport {
            budget,
            limit,
            used: 3,
            waiting: 2,
        };
        metrics.guard(&[report(Budget::Hr, Some(10)), report(Budget::Usage, Some(10))]);
        metrics.guard(&[report(Budget::Usage, None)]);
        let text = metrics.encode();
        for line in [
            "vpn_operator_guard_pending{budget=\"Hr\"} 2\n",
            "vpn_operator_guard_limit{budget=\"Hr\"} 10\n",
            "vpn_operator_guard_used{budget=\"Hr\"} 3\n",
            "vpn_operator_guard_pending{budget=\"Usage\"} 2\n",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
        assert!(!text.contains("vpn_operator_guard_limit{budget=\"Usage\"}"), "{text}");
    }

    #[test]
    fn orders_are_counted_by_kinds_of_sources_from_zero_on() {
        let metrics = Metrics::new();
        for source in ["api", "helpdesk", "registry"] {
            metrics.order(OrderSource::of(source));
        }
        let text = metrics.encode();
        for (source, count) in [("Api", 1), ("Cli", 0), ("Bot", 0), ("Other", 2)] {
            let line = format!("vpn_operator_orders_total{{source=\"{source}\"}} {count}\n");
            assert!(text.contains(&line), "{line} is not in\n{text}");
        }
    }
}
