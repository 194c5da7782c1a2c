//! The connections of the listeners.

use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue},
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

use super::{Metrics, int};

/// A listener of this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
pub enum Listener {
    /// The one that nodes ask.
    Auth,
    /// The HTTP API, or a replica's probes.
    Api,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    listener: Listener,
}

/// What is counted of listeners.
#[derive(Debug, Default)]
pub(super) struct ListenerMetrics {
    open: Family<Labels, Gauge>,
    evicted: Family<Labels, Counter>,
}

impl ListenerMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register("connections", "Open connections of a listener", metrics.open.clone());
        registry.register(
            "connections_evicted",
            "Connections that were closed because every one of the listener was taken",
            metrics.evicted.clone(),
        );
        metrics
    }
}

impl Metrics {
    /// How many connections a listener has.
    pub fn connections(&self, listener: Listener, open: usize) {
        self.listeners.open.get_or_create(&Labels { listener }).set(int(open));
    }

    /// A connection was closed to make room for another one.
    pub fn connection_evicted(&self, listener: Listener) {
        self.listeners.evicted.get_or_create(&Labels { listener }).inc();
    }
}
