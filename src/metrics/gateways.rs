//! What waits at gateways.

use std::time::Duration;

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{family::Family, gauge::Gauge},
    registry::Registry,
};

use super::{Metrics, int, show};

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct WorkLabels {
    gateway: String,
    work: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct GatewayLabels {
    gateway: String,
}

/// What is counted of the accounts that wait at a gateway.
#[derive(Debug, Default)]
pub(super) struct GatewayMetrics {
    waiting: Family<WorkLabels, Gauge>,
    left: Family<GatewayLabels, Gauge>,
}

impl GatewayMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register(
            "gateway_waiting",
            "Accounts that wait for something to be done about them at a gateway",
            metrics.waiting.clone(),
        );
        registry.register(
            "gateway_seconds_left",
            "About how long what waits at a gateway takes; absent while nothing waits, or while that is not known",
            metrics.left.clone(),
        );
        metrics
    }
}

impl Metrics {
    /// How many accounts wait at a gateway for each kind of work, and about how long all of it takes.
    pub fn gateway_backlog(
        &self,
        gateway: &str,
        waiting: impl IntoIterator<Item = (&'static str, usize)>,
        left: Option<Duration>,
    ) {
        for (work, accounts) in waiting {
            let labels = WorkLabels {
                gateway: gateway.to_owned(),
                work,
            };
            self.gateways.waiting.get_or_create(&labels).set(int(accounts));
        }
        let labels = GatewayLabels {
            gateway: gateway.to_owned(),
        };
        let seconds = left.map(|left| i64::try_from(left.as_secs()).unwrap_or(i64::MAX));
        show(&self.gateways.left, &labels, seconds);
    }

    /// A gateway is not there any more, of which these kinds of work were counted.
    pub fn gateway_removed(&self, gateway: &str, works: impl IntoIterator<Item = &'static str>) {
        for work in works {
            let gateway = gateway.to_owned();
            self.gateways.waiting.remove(&WorkLabels { gateway, work });
        }
        let gateway = gateway.to_owned();
        self.gateways.left.remove(&GatewayLabels { gateway });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_is_shown_by_gateway_and_goes_with_it() {
        let metrics = Metrics::new();
        metrics.gateway_backlog("panel", [("add", 900), ("block", 0)], Some(Duration::from_secs(1260)));
        let text = metrics.encode();
        for line in [
            "vpn_operator_gateway_waiting{gateway=\"panel\",work=\"add\"} 900\n",
            "vpn_operator_gateway_waiting{gateway=\"panel\",work=\"block\"} 0\n",
            "vpn_operator_gateway_seconds_left{gateway=\"panel\"} 1260\n",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
        metrics.gateway_backlog("panel", [("add", 0)], None);
        assert!(!metrics.encode().contains("seconds_left{"));
        metrics.gateway_removed("panel", ["add", "block"]);
        assert!(!metrics.encode().contains("gateway=\"panel\""), "{}", metrics.encode());
    }
}
