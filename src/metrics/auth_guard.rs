//! The auth guards of panels.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{family::Family, gauge::Gauge},
    registry::Registry,
};

use super::Metrics;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    gateway: String,
}

/// What is shown of auth guards.
#[derive(Debug, Default)]
pub(super) struct AuthGuardMetrics {
    up: Family<Labels, Gauge>,
}

impl AuthGuardMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register(
            "auth_guard_up",
            "Whether nothing is wrong with the auth guard of a panel (1) or something is (0)",
            metrics.up.clone(),
        );
        metrics
    }
}

impl Metrics {
    /// Whether nothing is wrong with the auth guard of each panel. Panels that are not named have none.
    pub fn auth_guards<'a>(&self, guards: impl Iterator<Item = (&'a str, bool)>) {
        self.auth_guard.up.clear();
        for (gateway, up) in guards {
            let gateway = gateway.to_owned();
            self.auth_guard.up.get_or_create(&Labels { gateway }).set(up.into());
        }
    }
}
