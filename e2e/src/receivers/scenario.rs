//! What a scenario is: a domain, what it publishes, which servers take its mail, and what Postfix as a sender must make
//! of them.

use super::authority::Sent;
use super::postfix::Offer;
use crate::lab::{Dates, Spoil};

/// What a sender makes of a connection, in Postfix's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// TLS, and the certificate is what DANE demands.
    Verified,
    /// TLS, and the certificate comes from an authority that is trusted; nobody demanded it.
    Trusted,
    /// TLS, and the certificate proves nothing; nobody demanded it.
    Untrusted,
    /// No TLS.
    Plaintext,
    /// No mail would go there. What Postfix says about it has this in it.
    Refused(&'static str),
}

/// Whether a zone is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signing {
    /// It is.
    Signed,
    /// It is not.
    Unsigned,
}

/// Who signed a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// The authority that every sender trusts.
    Public,
    /// An authority that nobody knows but from DNS.
    Private,
    /// Nobody.
    Itself,
}

/// Whose name is in a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Named {
    /// The server's.
    Host,
    /// Somebody else's.
    Other,
}

/// The certificate that a server shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shown {
    /// Who signed it.
    pub by: By,
    /// Whose name is in it.
    pub named: Named,
    /// When it holds.
    pub dates: Dates,
    /// What is sent with it.
    pub sent: Sent,
}

impl Shown {
    /// A certificate of an authority, as it should be.
    pub const fn by(by: By) -> Self {
        let sent = match by {
            By::Public => Sent::Intermediate,
            By::Private => Sent::Anchor,
            By::Itself => Sent::Leaf,
        };
        Self { by, named: Named::Host, dates: Dates::Current, sent }
    }

    /// With somebody else's name.
    #[must_use]
    pub const fn misnamed(self) -> Self {
        Self { named: Named::Other, ..self }
    }

    /// Expired.
    #[must_use]
    pub const fn expired(self) -> Self {
        Self { dates: Dates::Past, ..self }
    }

    /// Sent with more or less.
    #[must_use]
    pub const fn sent(self, sent: Sent) -> Self {
        Self { sent, ..self }
    }
}

/// What a TLSA record is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Of {
    /// The server's own certificate.
    Leaf,
    /// The intermediate authority's.
    Intermediate,
    /// The anchor.
    Anchor,
    /// A certificate that no server has.
    Another,
}

/// A TLSA record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tlsa {
    /// Usage, selector and matching type.
    pub kind: (u8, u8, u8),
    /// What it is about.
    pub of: Of,
}

/// A server that takes mail for a domain.
#[derive(Debug, Clone)]
pub struct Host {
    /// Its name, in full, without the last dot.
    pub name: String,
    /// The certificate that it shows.
    pub shown: Shown,
    /// What it makes of TLS.
    pub offer: Offer,
    /// The TLSA records of its name.
    pub tlsa: Vec<Tlsa>,
}

impl Host {
    /// A server with a certificate of the private authority and no TLSA records.
    fn new(name: String) -> Self {
        Self { name, shown: Shown::by(By::Private), offer: Offer::StartTls, tlsa: Vec::new() }
    }

    /// Shows another certificate.
    #[must_use]
    pub fn shows(mut self, shown: Shown) -> Self {
        self.shown = shown;
        self
    }

    /// Makes something else of TLS.
    #[must_use]
    pub fn offers(mut self, offer: Offer) -> Self {
        self.offer = offer;
        self
    }

    /// Publishes a TLSA record.
    #[must_use]
    pub fn tlsa(mut self, usage: u8, selector: u8, matching: u8, of: Of) -> Self {
        self.tlsa.push(Tlsa { kind: (usage, selector, matching), of });
        self
    }
}

/// A scenario.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// The domain of the recipient, which names the scenario.
    pub domain: &'static str,
    /// What it is about.
    pub about: &'static str,
    /// The zones of the scenario; the first is the domain's.
    pub zones: Vec<(&'static str, Signing)>,
    /// Its servers, the preferred first.
    pub hosts: Vec<Host>,
    /// What is broken in the domain's zone.
    pub spoils: Vec<Spoil>,
    /// What Postfix makes of it, with `smtp_tls_security_level = dane`.
    pub postfix: Verdict,
}

impl Scenario {
    /// A domain in a signed zone of its own with one server, `mx` below it.
    pub fn new(domain: &'static str, about: &'static str, postfix: Verdict) -> Self {
        let hosts = vec![Host::new(format!("mx.{domain}"))];
        Self { domain, about, zones: vec![(domain, Signing::Signed)], hosts, spoils: Vec::new(), postfix }
    }

    /// Changes the server.
    #[must_use]
    pub fn host(mut self, change: impl FnOnce(Host) -> Host) -> Self {
        self.hosts = self.hosts.pop().map(change).into_iter().collect();
        self
    }
}
