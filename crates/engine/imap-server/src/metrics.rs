//! Counts for Prometheus. Logins are counted by `mailstead-login`.

use std::sync::Arc;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// What the IMAP server counts.
#[derive(Debug, Default, Clone)]
pub struct Metrics {
    connections: Counter,
    refused: Counter,
    open: Gauge,
    commands: Family<CommandLabels, Counter>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CommandLabels {
    command: &'static str,
    result: &'static str,
}

/// Counts a connection as open until dropped.
#[derive(Debug)]
pub(crate) struct OpenGuard(Arc<Metrics>);

impl Drop for OpenGuard {
    fn drop(&mut self) {
        self.0.open.dec();
    }
}

impl Metrics {
    /// Makes the counts visible.
    pub fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("imap");
        registry.register("connections", "Connections served", self.connections.clone());
        registry.register("refused", "Connections refused by a limit or a stop", self.refused.clone());
        registry.register("open", "Connections open now", self.open.clone());
        registry.register("commands", "Commands answered", self.commands.clone());
    }

    pub(crate) fn connected(self: &Arc<Self>) -> OpenGuard {
        self.connections.inc();
        self.open.inc();
        OpenGuard(Arc::clone(self))
    }

    pub(crate) fn refused(&self) {
        self.refused.inc();
    }

    pub(crate) fn command(&self, command: &'static str, result: &'static str) {
        self.commands.get_or_create(&CommandLabels { command, result }).inc();
    }
}
