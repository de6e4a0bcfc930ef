//! What the operator decides.

use std::sync::Arc;

use mailstead_names::Domain;
use rustls::RootCertStore;
use rustls::crypto::CryptoProvider;

use crate::NextHop;

/// Settings of the queue.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How we greet, and who reports.
    pub hostname: Domain,
    /// Takes all mail that is not for us; without one, such mail fails.
    pub next_hop: Option<NextHop>,
    /// Destinations served at the same time; each of them by one connection.
    pub concurrency: usize,
}

impl Settings {
    /// Ten destinations at a time, and no next hop.
    #[must_use]
    pub fn new(hostname: Domain) -> Settings {
        Settings { hostname, next_hop: None, concurrency: 10 }
    }
}

/// What connections to other servers are secured with.
#[derive(Debug, Clone)]
pub struct OutgoingTls {
    /// The authorities that certificates are checked against, enforced or not.
    pub roots: Arc<RootCertStore>,
    /// Cryptography.
    pub provider: Arc<CryptoProvider>,
}

impl OutgoingTls {
    /// With these authorities.
    #[must_use]
    pub fn new(roots: Arc<RootCertStore>) -> OutgoingTls {
        OutgoingTls { roots, provider: mailstead_net::tls::provider() }
    }
}
