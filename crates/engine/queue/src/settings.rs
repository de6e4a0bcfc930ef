//! What the operator decides.

use std::net::IpAddr;
use std::sync::Arc;

use mailstead_names::Domain;
pub use mailstead_tlspolicy::tlsa::InsecureMx;
use rustls::RootCertStore;
use rustls::crypto::CryptoProvider;

use crate::route::{Direct, Routes, TransportKind};

/// Settings of the queue.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How we greet, and who reports.
    pub hostname: Domain,
    /// Where mail goes that is not for us.
    pub routes: Routes,
    /// The addresses that this server takes mail at: among the servers of a domain it knows itself by them.
    pub addresses: Vec<IpAddr>,
    /// The addresses that direct connections come from, one for each family; the system chooses where there is none.
    pub sources: Vec<IpAddr>,
    /// Whether DANE is used for hosts whose names DNSSEC does not prove.
    pub insecure_mx: InsecureMx,
    /// Destinations served at the same time, and connections that serve them.
    pub concurrency: usize,
    /// Connections that serve one destination at the same time, as far as many messages wait for it and there is room for
    /// more than one.
    pub destination_concurrency: usize,
    /// Connections to one address at the same time.
    pub host_concurrency: usize,
}

impl Settings {
    /// Direct delivery to 40 destinations at a time, over at most 5 connections for one and 20 to one address.
    #[must_use]
    pub fn new(hostname: Domain) -> Settings {
        Settings {
            hostname,
            routes: Routes::only(TransportKind::Direct(Direct::default()).into()),
            addresses: Vec::new(),
            sources: Vec::new(),
            insecure_mx: InsecureMx::default(),
            concurrency: 40,
            destination_concurrency: 5,
            host_concurrency: 20,
        }
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
