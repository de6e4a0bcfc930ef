//! Counters of this crate, for Prometheus.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;

/// Counters of this crate.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    recorded: Counter,
    lost: Counter,
}

impl Metrics {
    /// Counters at zero, shown by this registry.
    #[must_use]
    pub fn register(registry: &mut Registry) -> Metrics {
        let metrics = Metrics::default();
        registry.register("tls_results", "TLS results recorded for reports", metrics.recorded.clone());
        registry.register("tls_results_lost", "TLS results that could not be kept", metrics.lost.clone());
        metrics
    }

    pub(crate) fn recorded(&self, results: u64) {
        self.recorded.inc_by(results);
    }

    pub(crate) fn lost(&self, results: u64) {
        self.lost.inc_by(results);
    }

    #[cfg(test)]
    pub(crate) fn lost_so_far(&self) -> u64 {
        self.lost.get()
    }
}
