//! What a scenario is: a domain, what it publishes, which servers take its mail, and what another sender makes of them.

use super::authority::Sent;
use super::receiver::Offer;
use crate::lab::{Dates, Spoil};

/// What Postfix makes of a domain, in its own words. It knows DANE, and nothing of MTA-STS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Mail goes there over TLS, and the certificate is what DANE demands.
    Verified,
    /// Mail goes there over TLS. The certificate is from an authority that is trusted; nobody demanded it. Or it is what
    /// DANE demands, but of a server that only an unsigned MX record names.
    Trusted,
    /// Mail goes there over TLS, and the certificate proves nothing; nobody demanded it.
    Untrusted,
    /// Mail goes there in clear.
    Plaintext,
    /// Mail is kept for later. What Postfix says about it has this in it.
    Deferred(&'static str),
    /// Mail goes back to its sender. What Postfix says about it has this in it.
    Bounced(&'static str),
}

/// How a zone is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Served {
    /// Signed.
    Signed,
    /// Not signed.
    Unsigned,
    /// Its server refuses to answer for it.
    Lame,
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
    /// A certificate as it should be, with what should be sent.
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

    /// With more or less sent.
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
    /// The anchor of the private authorities.
    Anchor,
    /// A certificate that no server has.
    Another,
    /// The same as for the server's own, without the last octet: of no length that a hash has.
    Shortened,
}

/// A TLSA record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tlsa {
    /// The name whose record it is, where that is not the server's.
    pub host: Option<&'static str>,
    /// Usage, selector and matching type.
    pub kind: (u8, u8, u8),
    /// What it is about.
    pub of: Of,
}

/// Where a name says that a server is, and whether it is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// An IPv4 address.
    V4,
    /// An IPv6 address.
    V6,
    /// An IPv4 address where nothing listens.
    DeadV4,
    /// An IPv6 address where nothing listens.
    DeadV6,
}

/// A server that takes mail for a domain.
#[derive(Debug, Clone)]
pub struct Host {
    /// Its name, in full, without the last dot.
    pub name: String,
    /// The name in the MX record, if that is an alias of the server's.
    pub alias: Option<&'static str>,
    /// The certificate that it shows.
    pub shown: Shown,
    /// What it makes of TLS.
    pub offer: Offer,
    /// Its TLSA records.
    pub tlsa: Vec<Tlsa>,
    /// Its addresses.
    pub reach: Vec<Reach>,
}

impl Host {
    /// A server with one IPv4 address, without TLSA records, and with a certificate that nobody trusts unless it is
    /// told to.
    pub fn new(name: &str) -> Self {
        let (shown, offer) = (Shown::by(By::Private), Offer::StartTls);
        Self { name: name.to_owned(), alias: None, shown, offer, tlsa: Vec::new(), reach: vec![Reach::V4] }
    }

    /// Shows another certificate.
    #[must_use]
    pub fn shows(mut self, shown: Shown) -> Self {
        self.shown = shown;
        self
    }

    /// Shows a certificate that every sender trusts.
    #[must_use]
    pub fn public(self) -> Self {
        self.shows(Shown::by(By::Public))
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
        self.tlsa.push(Tlsa { host: None, kind: (usage, selector, matching), of });
        self
    }

    /// Publishes a TLSA record for another name, for port 25 of which a client may ask.
    #[must_use]
    pub fn tlsa_at(mut self, host: &'static str, of: Of) -> Self {
        self.tlsa.push(Tlsa { host: Some(host), kind: (3, 1, 1), of });
        self
    }

    /// Lets the MX record have an alias.
    #[must_use]
    pub fn alias(mut self, name: &'static str) -> Self {
        self.alias = Some(name);
        self
    }

    /// Has other addresses.
    #[must_use]
    pub fn reach(mut self, reach: &[Reach]) -> Self {
        self.reach = reach.to_vec();
        self
    }
}

/// The mode of an MTA-STS policy (RFC 8461 §5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// No mail without what it demands.
    Enforce,
    /// Failures are reported, and nothing else.
    Testing,
    /// No policy, or not any more.
    None,
}

/// What becomes of a request for a policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Site {
    /// It gets the policy.
    Good,
    /// Nothing listens.
    Closed,
    /// It meets this certificate.
    Shows(Shown),
    /// It is answered with this error of HTTP.
    Error(u16),
    /// It is sent to another address, where there is a policy.
    Moved,
    /// It gets the policy as HTML.
    Html,
    /// It gets what is no policy.
    Malformed,
}

/// An MTA-STS policy.
#[derive(Debug, Clone)]
pub struct Policy {
    /// Its mode.
    pub mode: Mode,
    /// The patterns of its MX hosts.
    pub mx: Vec<String>,
    /// What becomes of who asks for it.
    pub site: Site,
    /// The text of the `_mta-sts` record.
    pub record: Option<&'static str>,
}

impl Policy {
    /// The record that a domain has at first.
    pub const RECORD: &'static str = "v=STSv1; id=20260101000000;";

    /// What is to be read, valid for a week.
    pub fn text(&self) -> String {
        let mode = match self.mode {
            Mode::Enforce => "enforce",
            Mode::Testing => "testing",
            Mode::None => "none",
        };
        let mx: String = self.mx.iter().map(|pattern| format!("mx: {pattern}\r\n")).collect();
        format!("version: STSv1\r\nmode: {mode}\r\n{mx}max_age: 604800\r\n")
    }
}

/// A scenario. What a sender must make of it is told by fields of its own, one for each sender.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// The domain of the recipient, which names the scenario.
    pub domain: &'static str,
    /// What it is about.
    pub about: &'static str,
    /// The zones of the scenario; the first is the domain's.
    pub zones: Vec<(&'static str, Served)>,
    /// Its servers, the preferred first.
    pub hosts: Vec<Host>,
    /// Its MTA-STS policy.
    pub policy: Option<Policy>,
    /// More records of the domain's zone.
    pub records: &'static str,
    /// What is broken in the domain's zone.
    pub spoils: Vec<Spoil>,
    /// What Postfix makes of it, with `smtp_tls_security_level = dane`.
    pub postfix: Verdict,
    /// What its probe `posttls-finger` makes of it, where that is another thing: it looks at the preferred server alone,
    /// and is not as patient with old TLS.
    pub probe: Option<Verdict>,
}

impl Scenario {
    /// A domain in a signed zone of its own, with one server, `mx` below it.
    pub fn new(domain: &'static str, about: &'static str, postfix: Verdict) -> Self {
        let hosts = vec![Host::new(&format!("mx.{domain}"))];
        let zones = vec![(domain, Served::Signed)];
        Self { domain, about, zones, hosts, policy: None, records: "", spoils: Vec::new(), postfix, probe: None }
    }

    /// Lets the domain's zone be unsigned.
    #[must_use]
    pub fn unsigned(mut self) -> Self {
        self.zones[0].1 = Served::Unsigned;
        self
    }

    /// Adds a zone.
    #[must_use]
    pub fn zone(mut self, name: &'static str, served: Served) -> Self {
        self.zones.push((name, served));
        self
    }

    /// Changes the last server.
    #[must_use]
    pub fn host(mut self, change: impl FnOnce(Host) -> Host) -> Self {
        let changed = self.hosts.pop().map(change);
        self.hosts.extend(changed);
        self
    }

    /// Has these servers instead.
    #[must_use]
    pub fn hosts(mut self, hosts: impl IntoIterator<Item = Host>) -> Self {
        self.hosts = hosts.into_iter().collect();
        self
    }

    /// Publishes an MTA-STS policy that names the domain's servers as they now are.
    #[must_use]
    pub fn policy(mut self, mode: Mode) -> Self {
        let mx = self.hosts.iter().map(|host| host.name.clone()).collect();
        self.policy = Some(Policy { mode, mx, site: Site::Good, record: Some(Policy::RECORD) });
        self
    }

    /// Changes the policy.
    #[must_use]
    pub fn but(mut self, change: impl FnOnce(&mut Policy)) -> Self {
        self.policy.as_mut().map(change);
        self
    }

    /// Adds records.
    #[must_use]
    pub fn records(mut self, records: &'static str) -> Self {
        self.records = records;
        self
    }

    /// Has another verdict of Postfix's probe.
    #[must_use]
    pub fn probe(mut self, verdict: Verdict) -> Self {
        self.probe = Some(verdict);
        self
    }

    /// Breaks something in the domain's zone.
    #[must_use]
    pub fn spoil(mut self, spoil: Spoil) -> Self {
        self.spoils.push(spoil);
        self
    }
}
