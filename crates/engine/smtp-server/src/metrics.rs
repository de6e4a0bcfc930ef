//! Counters of this crate, for Prometheus.

use mailstead_smtp::server::Role;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

/// Counters of this crate.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    /// Connections, by role and how they began.
    connections: Family<ConnectionLabels, Counter>,
    /// TLS handshakes, by role and how they ended.
    handshakes: Family<ConnectionLabels, Counter>,
    /// Recipients of messages, by role and what became of them.
    recipients: Family<CodeLabels, Counter>,
    /// Replies with 4yz and 5yz codes.
    errors: Family<CodeLabels, Counter>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ConnectionLabels {
    role: &'static str,
    result: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CodeLabels {
    role: &'static str,
    code: u16,
}

pub(crate) fn role_name(role: Role) -> &'static str {
    match role {
        Role::Transfer => "smtp",
        Role::Submission => "submission",
    }
}

impl Metrics {
    /// Counters at zero, shown by this registry.
    #[must_use]
    pub fn register(registry: &mut Registry) -> Metrics {
        let metrics = Metrics::default();
        registry.register("smtp_server_connections", "SMTP connections", metrics.connections.clone());
        registry.register("smtp_server_tls_handshakes", "TLS handshakes of SMTP", metrics.handshakes.clone());
        registry.register(
            "smtp_server_recipients",
            "Recipients, by the code of the final reply",
            metrics.recipients.clone(),
        );
        registry.register("smtp_server_errors", "SMTP replies with error codes", metrics.errors.clone());
        metrics
    }

    pub(crate) fn connection(&self, role: Role, result: &'static str) {
        self.connections.get_or_create(&ConnectionLabels { role: role_name(role), result }).inc();
    }

    pub(crate) fn handshake(&self, role: Role, result: &'static str) {
        self.handshakes.get_or_create(&ConnectionLabels { role: role_name(role), result }).inc();
    }

    pub(crate) fn recipients(&self, role: Role, code: u16, count: usize) {
        self.recipients.get_or_create(&CodeLabels { role: role_name(role), code }).inc_by(count as u64);
    }

    pub(crate) fn error(&self, role: Role, code: u16) {
        self.errors.get_or_create(&CodeLabels { role: role_name(role), code }).inc();
    }
}
