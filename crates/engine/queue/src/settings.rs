//! What the operator decides.

use mailstead_names::Domain;
use mailstead_net::Error;
use mailstead_net::tls::{ClientTls, Verification};

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

/// The two ways to take a server's certificate.
#[derive(Debug, Clone)]
pub struct OutgoingTls {
    /// It must be valid for the server's name.
    pub verified: ClientTls,
    /// Any will do.
    pub unverified: ClientTls,
}

impl OutgoingTls {
    /// Both ways, with these roots.
    ///
    /// # Errors
    /// When the TLS library refuses.
    pub fn new(verification: Verification) -> Result<OutgoingTls, Error> {
        Ok(OutgoingTls {
            verified: ClientTls::new(verification)?,
            unverified: ClientTls::new(Verification::Opportunistic)?,
        })
    }
}
