//! Counters of this crate, for Prometheus.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// Counters of this crate.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    enqueued: Counter,
    attempts: Family<Attempt, Counter>,
    notices: Family<Notice, Counter>,
    connections: Family<Connection, Counter>,
    active: Gauge,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Attempt {
    route: &'static str,
    result: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Notice {
    kind: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Connection {
    result: &'static str,
}

impl Metrics {
    /// Counters at zero, shown by this registry.
    #[must_use]
    pub fn register(registry: &mut Registry) -> Metrics {
        let metrics = Metrics::default();
        registry.register("queue_recipients", "Recipients queued", metrics.enqueued.clone());
        registry.register("queue_attempts", "Attempts for a recipient, by route and result", metrics.attempts.clone());
        registry.register("queue_notices", "Notices written, by kind", metrics.notices.clone());
        registry.register("queue_connections", "Outgoing connections, by how they began", metrics.connections.clone());
        registry.register("queue_active", "Destinations being served", metrics.active.clone());
        metrics
    }

    pub(crate) fn enqueued(&self, recipients: usize) {
        self.enqueued.inc_by(recipients as u64);
    }

    pub(crate) fn attempt(&self, route: &'static str, result: &'static str) {
        self.attempts.get_or_create(&Attempt { route, result }).inc();
    }

    pub(crate) fn notice(&self, kind: &'static str) {
        self.notices.get_or_create(&Notice { kind }).inc();
    }

    pub(crate) fn connection(&self, result: &'static str) {
        self.connections.get_or_create(&Connection { result }).inc();
    }

    pub(crate) fn active(&self, destinations: usize) {
        self.active.set(i64::try_from(destinations).unwrap_or(i64::MAX));
    }
}
