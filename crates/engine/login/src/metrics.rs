//! Metrics of logins.

use mailstead_store::LoginOutcome;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

type Labels = [(&'static str, &'static str); 3];

/// Counters over all protocols.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    attempts: Family<Labels, Counter>,
}

impl Metrics {
    /// Registers everything.
    pub fn register(&self, registry: &mut Registry) {
        registry.register(
            "authentication",
            "Attempts to log in, by protocol, mechanism and outcome",
            self.attempts.clone(),
        );
    }

    pub(crate) fn count(&self, protocol: &'static str, mechanism: &'static str, outcome: LoginOutcome) {
        let labels = [("protocol", protocol), ("mechanism", mechanism), ("outcome", outcome.word())];
        self.attempts.get_or_create(&labels).inc();
    }
}
