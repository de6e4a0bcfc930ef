//! Connecting to a server of any kind as RFC 7671 says, to see whether its certificate matches its TLSA records.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use mailstead_dns::{Answer, Authenticity, LookupError, Resolver, Tlsa};
use mailstead_mailauth::Evidence;
use mailstead_names::{Domain, EhloName, Host};
use mailstead_net::{Dialer, Target};
use mailstead_runtime::Deadline;
use mailstead_tlspolicy::facts::{MxRecords, NextHop};
use mailstead_tlspolicy::tlsa::{
    AddressChain, InsecureMx, Purpose, TlsaBaseDomain, Unusable, reference_identifiers, tlsa_candidates, to_be_tried,
    usable,
};
use mailstead_tlspolicy::verify::Checks;
use rustls::RootCertStore;

use crate::checks::conversation::{Conversation, Secured, handshake};
use crate::checks::options::transport::StartTls;

/// For connecting to one address.
const DIAL: Duration = Duration::from_secs(30);
/// For all that is said on one connection.
const PATIENCE: Duration = Duration::from_secs(60);
/// More addresses are not tried.
pub(super) const MOST_ADDRESSES: usize = 16;
/// There are no MX records in this: the name is what the operator says.
const NAMED: MxRecords = MxRecords::Implicit(Authenticity::Secure);

/// Whom to connect to, and how.
#[derive(Debug)]
pub(super) struct Dialling {
    pub(super) host: Domain,
    pub(super) port: u16,
    /// Usages of records that count.
    pub(super) usages: Vec<u8>,
    pub(super) starttls: StartTls,
    pub(super) roots: Arc<RootCertStore>,
}

/// All that was found out.
#[derive(Debug)]
pub(super) struct Seen {
    /// `None` for a host without an address.
    pub(super) addresses: Result<Option<Answer<IpAddr>>, LookupError>,
    pub(super) records: Records,
    /// One for each address, where there are records that can be used.
    pub(super) connections: Vec<Connection>,
    /// The look-ups of TLSA records.
    pub(super) evidence: Evidence,
}

/// What the DNS says of TLSA records.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Records {
    /// They were not looked for: there are no addresses, or DNSSEC does not prove them (RFC 7671 §7).
    NotLookedFor,
    /// It is not known whether there are any.
    Unknown(LookupError),
    /// There are none.
    Absent,
    /// There are some that DNSSEC does not prove.
    Insecure,
    /// There are some.
    Found {
        /// Where.
        base: TlsaBaseDomain,
        /// All of them.
        records: Vec<(Tlsa, Use)>,
    },
}

/// Whether a record is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    /// It is.
    Tried,
    /// Its usage is not one of those that count.
    NotAskedFor(u8),
    /// It cannot be.
    Unusable(Unusable),
    /// There is a stronger digest for the same usage and selector (RFC 7671 §9).
    Weaker,
}

impl fmt::Display for Use {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Use::Tried => f.write_str("used"),
            Use::NotAskedFor(usage) => write!(f, "not used: usage {usage} is not asked for"),
            Use::Unusable(why) => write!(f, "not used: {why}"),
            Use::Weaker => f.write_str("not used: there is a stronger digest for the same usage and selector"),
        }
    }
}

/// What became of one address.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) ip: IpAddr,
    pub(super) outcome: Result<Secured, Trouble>,
}

/// Why there is no TLS.
#[derive(Debug)]
pub(super) enum Trouble {
    /// There is no connection.
    Unreachable(String),
    /// There is one.
    Failed(String),
}

/// What it all comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The certificate matches, wherever there is one.
    Match,
    /// It does not, somewhere.
    NoMatch,
    /// TLS did not come about, somewhere.
    Failed,
    /// No address can be connected to.
    Unreachable,
    /// None of the records can be used.
    Unusable,
    /// There are no records.
    NoRecords,
    /// DNSSEC does not prove addresses or records.
    Insecure,
    /// Names cannot be looked up.
    Unknown,
}

impl Verdict {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Verdict::Match => "match",
            Verdict::NoMatch => "no-match",
            Verdict::Failed => "failed",
            Verdict::Unreachable => "unreachable",
            Verdict::Unusable => "unusable",
            Verdict::NoRecords => "no-records",
            Verdict::Insecure => "insecure",
            Verdict::Unknown => "unknown",
        }
    }
}

impl Dialling {
    /// Looks up addresses and records, and connects to every address where there are records to be checked.
    pub(super) async fn dial(&self, resolver: &dyn Resolver, dialer: &dyn Dialer) -> Seen {
        let mut evidence = Evidence::default();
        let addresses =
            resolver.addresses(&self.host).await.map(|answer| Some(answer).filter(|found| !found.records.is_empty()));
        let (mut records, mut connections) = (Records::NotLookedFor, Vec::new());
        if let Ok(Some(found)) = &addresses {
            let chain = AddressChain::of(found);
            records = self.records(&chain, resolver, &mut evidence).await;
            if let Some((base, checks)) = self.checks(&chain, &records) {
                let server_name = Host::Domain(base.0);
                for ip in found.records.iter().take(MOST_ADDRESSES) {
                    let (address, starttls) = (SocketAddr::new(*ip, self.port), self.starttls);
                    let call = Call { address, starttls, server_name: &server_name, checks: &checks };
                    connections.push(call.connect(dialer).await);
                }
            }
        }
        Seen { addresses, records, connections, evidence }
    }

    /// The records of the first name that has any (RFC 7671 §7). A look-up without an answer is the end: what is not known
    /// must not be taken for absence.
    async fn records(&self, chain: &AddressChain, resolver: &dyn Resolver, evidence: &mut Evidence) -> Records {
        let candidates = tlsa_candidates(NAMED, InsecureMx::NotUsed, &self.host, chain);
        let mut otherwise = if candidates.is_empty() { Records::NotLookedFor } else { Records::Absent };
        for base in candidates {
            // A name that is too long has no records.
            let Ok(name) = base.record_name(self.port) else { continue };
            match evidence.records::<Tlsa>(resolver, &name).await {
                Err(error) => return Records::Unknown(error),
                Ok(answer) if answer.records.is_empty() => {}
                Ok(answer) if answer.is_secure() => {
                    return Records::Found { base, records: self.uses(answer.records) };
                }
                Ok(_) => otherwise = Records::Insecure,
            }
        }
        otherwise
    }

    fn uses(&self, records: Vec<Tlsa>) -> Vec<(Tlsa, Use)> {
        let counts = |record: &&Tlsa| self.usages.contains(&record.usage);
        let counting: Vec<Tlsa> = records.iter().filter(counts).cloned().collect();
        let tried = to_be_tried(&counting, Purpose::General);
        let used = |record: &Tlsa| match usable(record, Purpose::General) {
            Err(why) => Use::Unusable(why),
            Ok(()) if !counts(&record) => Use::NotAskedFor(record.usage),
            Ok(()) if tried.contains(record) => Use::Tried,
            Ok(()) => Use::Weaker,
        };
        records.into_iter().map(|record| (record.clone(), used(&record))).collect()
    }

    /// What certificates are checked against, where there are records that can be used.
    fn checks(&self, chain: &AddressChain, records: &Records) -> Option<(TlsaBaseDomain, Checks)> {
        let Records::Found { base, records } = records else { return None };
        let tried: Vec<Tlsa> =
            records.iter().filter(|(_, used)| *used == Use::Tried).map(|(record, _)| record.clone()).collect();
        let host = Host::Domain(self.host.clone());
        let expanded = chain.alias.as_ref().filter(|(_, authenticity)| *authenticity == Authenticity::Secure);
        let next_hop = NextHop::Domain { name: self.host.clone(), expanded: expanded.map(|(name, _)| name.clone()) };
        let anchored_names = reference_identifiers(&next_hop, NAMED, &host, base);
        let checks = Checks { roots: Arc::clone(&self.roots), name: host, records: tried, anchored_names };
        (!checks.records.is_empty()).then(|| (base.clone(), checks))
    }
}

/// Whom to connect to for one address, and what is checked there.
pub(super) struct Call<'a> {
    pub(super) address: SocketAddr,
    pub(super) starttls: StartTls,
    /// Sent as SNI: RFC 7671 §10.2, the server chooses its certificate by the TLSA base domain.
    pub(super) server_name: &'a Host,
    pub(super) checks: &'a Checks,
}

impl Call<'_> {
    /// Connects, says what it takes for TLS, and goes.
    pub(super) async fn connect(&self, dialer: &dyn Dialer) -> Connection {
        Connection { ip: self.address.ip(), outcome: self.secured(dialer).await }
    }

    async fn secured(&self, dialer: &dyn Dialer) -> Result<Secured, Trouble> {
        let dialled = dialer.dial(Target::from(self.address), Deadline::after(DIAL)).await;
        let mut stream = dialled.map_err(|error| Trouble::Unreachable(error.to_string()))?;
        let deadline = Deadline::after(PATIENCE);
        let checks = self.checks.clone();
        match self.starttls {
            StartTls::None => {
                let secured =
                    handshake(&mut stream, checks, self.server_name, deadline).await.map_err(Trouble::Failed)?;
                stream.close(deadline.earlier(Deadline::after(Duration::from_secs(5)))).await;
                Ok(secured)
            }
            StartTls::Smtp => {
                let helo = EhloName::Literal(stream.local_addr().ip());
                let mut conversation = Conversation::new(stream, helo, deadline);
                conversation.greeted().await.map_err(Trouble::Failed)?;
                let secured = conversation.start_tls(checks, self.server_name).await.map_err(Trouble::Failed)?;
                // In TLS 1.3 a server's refusal of our side arrives only now; what it says of itself does not matter.
                conversation.greeted().await.map_err(Trouble::Failed)?;
                conversation.quit().await;
                Ok(secured)
            }
        }
    }
}

impl Seen {
    /// What it all comes to.
    pub(super) fn verdict(&self) -> Verdict {
        let has_records = match (&self.addresses, &self.records) {
            (Err(_), _) | (_, Records::Unknown(_)) => return Verdict::Unknown,
            (Ok(None), _) => return Verdict::Unreachable,
            (Ok(Some(_)), Records::NotLookedFor | Records::Insecure) => return Verdict::Insecure,
            (_, Records::Absent) => return Verdict::NoRecords,
            (_, Records::Found { records, .. }) => records.iter().any(|(_, used)| *used == Use::Tried),
        };
        if !has_records {
            return Verdict::Unusable;
        }
        worst(&self.connections)
    }

    /// Why there is no match, in words.
    pub(super) fn objection(&self) -> Option<String> {
        let verdict = self.verdict();
        Some(match verdict {
            Verdict::Match => return None,
            Verdict::NoMatch | Verdict::Failed => return objection(&self.connections),
            Verdict::Unreachable if self.connections.is_empty() => "the host has no address".to_owned(),
            Verdict::Unreachable => "no address of the host can be connected to".to_owned(),
            Verdict::Unusable => "none of the TLSA records can be used".to_owned(),
            Verdict::NoRecords => "the host has no TLSA records for this port".to_owned(),
            Verdict::Insecure if self.records == Records::Insecure => {
                "there are TLSA records, but DNSSEC does not prove them".to_owned()
            }
            Verdict::Insecure => {
                "DNSSEC does not prove the addresses of the host, so that its TLSA records do not count".to_owned()
            }
            Verdict::Unknown => match (&self.addresses, &self.records) {
                (Err(error), _) | (_, Records::Unknown(error)) => error.to_string(),
                _ => return None,
            },
        })
    }
}

/// What connections to the addresses of one host come to: those that cannot be connected to count only where all are so.
pub(super) fn worst(connections: &[Connection]) -> Verdict {
    let reached = connections.iter().map(Connection::verdict).filter(|verdict| *verdict != Verdict::Unreachable);
    reached.reduce(|one, other| if one == Verdict::Match { other } else { one }).unwrap_or(Verdict::Unreachable)
}

/// Why one of them is no match, in words.
pub(super) fn objection(connections: &[Connection]) -> Option<String> {
    let verdict = worst(connections);
    let Connection { ip, outcome } = connections.iter().find(|connection| connection.verdict() == verdict)?;
    Some(match outcome {
        Ok(Secured { findings, .. }) => match &findings.dane {
            Some(Err(failure)) => format!("{ip}: {}", failure.detail),
            Some(Ok(_)) | None => return None,
        },
        Err(Trouble::Unreachable(why) | Trouble::Failed(why)) => format!("{ip}: {why}"),
    })
}

impl Connection {
    /// [`Verdict::Match`], [`Verdict::NoMatch`], [`Verdict::Failed`] or [`Verdict::Unreachable`].
    pub(super) fn verdict(&self) -> Verdict {
        match &self.outcome {
            Ok(Secured { findings, .. }) if matches!(findings.dane, Some(Ok(_))) => Verdict::Match,
            Ok(_) => Verdict::NoMatch,
            Err(Trouble::Failed(_)) => Verdict::Failed,
            Err(Trouble::Unreachable(_)) => Verdict::Unreachable,
        }
    }
}
